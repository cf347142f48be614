// GATHER_ND: slices of the input at the places that rows of indices name. Any type; indices int16, int32 or int64.
#include <string.h>

#include "ops/whole.h"

typedef struct { size_t rows, depth, slice; size_t stride[ER_MAX_RANK]; } gather;   // slice, stride: bytes

static void run_gather(const er_op *op, er_pool *pool)
{
    (void)pool;
    const gather *s = op->state;
    const er_tensor *x = op->inputs[0], *indices = op->inputs[1];
    uint8_t *y = er_u8(op->outputs[0]);
    for (size_t r = 0; r < s->rows; r++, y += s->slice) {
        size_t from = 0;
        bool inside = true;
        for (size_t d = 0; d < s->depth; d++) {
            size_t at = r * s->depth + d;
            int64_t i = er_whole(indices, at);
            if (i < 0 || i >= x->dims[d]) inside = false;
            else from += (size_t)i * s->stride[d];
        }
        if (!inside) er_op_fault(op, "an index lies outside of its input");
        if (inside && s->slice) memcpy(y, er_u8(x) + from, s->slice);
        else memset(y, 0, s->slice);
    }
}

er_status er_prepare_gather_nd(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0], *indices = op->inputs[1];
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (!(ER_T(indices->def->type) & (ER_INDEX | ER_16BIT)))
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its indices are %s, expected int16, int32 or int64", er_type_name(indices->def->type));
    if (indices->rank < 1 || indices->dims[indices->rank - 1] > x->rank)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its indices have rank %d, and %d for each of the input's %d dimensions", indices->rank,
                          indices->rank ? indices->dims[indices->rank - 1] : 0, x->rank);
    er_status status;
    gather *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    int32_t depth = indices->dims[indices->rank - 1], rank = 0, dims[2 * ER_MAX_RANK];
    *s = (gather){.rows = 1, .depth = (size_t)depth, .slice = er_type_size(x->def->type)};
    for (int32_t d = 0; d + 1 < indices->rank; d++) {
        dims[rank++] = indices->dims[d];
        s->rows *= (size_t)indices->dims[d];
    }
    for (int32_t d = depth; d < x->rank; d++) {
        dims[rank++] = x->dims[d];
        s->slice *= (size_t)x->dims[d];
    }
    size_t stride = s->slice;
    for (int32_t d = depth - 1; d >= 0; d--) {
        s->stride[d] = stride;
        stride *= (size_t)x->dims[d];
    }
    if (rank > ER_MAX_RANK) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output has rank %d, at most %d is supported", rank, ER_MAX_RANK);
    op->run = run_gather;
    return er_set_shape(p, y, dims, rank);
}
