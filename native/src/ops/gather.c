// GATHER: slices of the input along one axis, in the order of indices; with batch dimensions. EMBEDDING_LOOKUP: rows. Any type.
#include <string.h>

#include "ops/whole.h"

typedef struct { size_t batches, outer, n, along, slice; } gather;       // slice: bytes

static void run_gather(const er_op *op, er_pool *pool)
{
    (void)pool;
    const gather *s = op->state;
    const er_tensor *x = op->inputs[0], *indices = op->inputs[1];
    uint8_t *y = er_u8(op->outputs[0]);
    for (size_t b = 0; b < s->batches; b++) {
        for (size_t o = 0; o < s->outer; o++) {
            const uint8_t *from = er_u8(x) + (b * s->outer + o) * s->along * s->slice;
            for (size_t i = 0; i < s->n; i++, y += s->slice) {
                const int64_t at = er_whole(indices, b * s->n + i);
                const bool inside = at >= 0 && (uint64_t)at < s->along;
                if (!inside) er_op_fault(op, "an index lies outside of its input");
                if (!s->slice) continue;
                if (inside) memcpy(y, from + (size_t)at * s->slice, s->slice);
                else memset(y, 0, s->slice);
            }
        }
    }
}

er_status er_prepare_gather(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0], *indices = op->inputs[1];
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    if (!(ER_T(indices->def->type) & (ER_INDEX | ER_16BIT)))
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its indices are %s, expected int32 or int64", er_type_name(indices->def->type));
    const er_int_pair o = er_read_int_pair(op->def->options);
    int32_t axis, batch = o.second < 0 ? o.second + indices->rank : o.second, dims[2 * ER_MAX_RANK], rank = 0;
    ER_TRY(er_resolve_axis(p, o.first, x->rank, &axis));
    if (batch < 0 || batch > indices->rank || batch > axis)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d batch dimensions, with indices of rank %d and axis %d", o.second, indices->rank, axis);
    er_status status;
    gather *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (gather){.batches = 1, .outer = 1, .n = 1, .along = (size_t)x->dims[axis], .slice = er_type_size(x->def->type)};
    for (int32_t d = 0; d < batch; d++) {
        if (x->dims[d] != indices->dims[d]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its batch dimension %d has sizes %d and %d", d, x->dims[d], indices->dims[d]);
        s->batches *= (size_t)x->dims[d];
        dims[rank++] = x->dims[d];
    }
    for (int32_t d = batch; d < axis; d++) {
        s->outer *= (size_t)x->dims[d];
        dims[rank++] = x->dims[d];
    }
    for (int32_t d = batch; d < indices->rank; d++) {
        s->n *= (size_t)indices->dims[d];
        dims[rank++] = indices->dims[d];
    }
    for (int32_t d = axis + 1; d < x->rank; d++) {
        s->slice *= (size_t)x->dims[d];
        dims[rank++] = x->dims[d];
    }
    op->run = run_gather;
    return er_set_shape(p, op->outputs[0], dims, rank);
}

// ---- EMBEDDING_LOOKUP: rows of input 1, whose type is the output's, or int8 (one scale, or one a row) that becomes float32

typedef struct { size_t row; } lookup;

static void run_lookup(const er_op *op, er_pool *pool)
{
    (void)pool;
    const lookup *s = op->state;
    const er_tensor *indices = op->inputs[0], *x = op->inputs[1], *y = op->outputs[0];
    const er_quantization *q = &x->def->quant;
    for (size_t i = 0; i < indices->count; i++) {
        const int32_t at = er_i32(indices)[i];
        if (at < 0 || at >= x->dims[0]) {
            er_op_fault(op, "an index lies outside of its table");
            continue;
        }
        const size_t from = (size_t)at * s->row;
        if (x->def->type == y->def->type) {
            const size_t each = er_type_size(x->def->type);
            if (s->row) memcpy(er_u8(y) + i * s->row * each, er_u8(x) + from * each, s->row * each);
        } else {
            const float scale = q->scale[q->n > 1 ? at : 0];
            for (size_t j = 0; j < s->row; j++) er_f32(y)[i * s->row + j] = (float)er_i8(x)[from + j] * scale;
        }
    }
}

er_status er_prepare_embedding_lookup(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *indices = op->inputs[0], *x = op->inputs[1];
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_rank(p, indices, 1, "indices"));
    if (x->rank < 2) return er_op_fail(p, EDGERT_ERROR_MODEL, "its table has rank %d, expected 2 or more", x->rank);
    if (x->def->type != y->def->type) {
        if (x->def->type != EDGERT_INT8 || y->def->type != EDGERT_FLOAT32)
            return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it makes %s of %s", er_type_name(y->def->type), er_type_name(x->def->type));
        const er_quantization *q = &x->def->quant;
        if (q->n < 1 || (q->n > 1 && (q->n != x->dims[0] || q->dimension != 0))) return er_op_fail(p, EDGERT_ERROR_MODEL, "its int8 table has %d scales, expected 1 or %d", q->n, x->dims[0]);
    } else if (!(ER_T(x->def->type) & ER_ANY)) {
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its table is %s", er_type_name(x->def->type));
    }
    er_status status;
    lookup *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    int32_t dims[ER_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[0] = indices->dims[0];
    s->row = 1;
    for (int32_t d = 1; d < x->rank; d++) s->row *= (size_t)x->dims[d];
    op->run = run_lookup;
    return er_set_shape(p, y, dims, x->rank);
}
