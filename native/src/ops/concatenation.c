// CONCATENATION of any number of tensors of any type along one axis. uint8 inputs may have scales of their own.
#include <math.h>
#include <string.h>

#include "ops/concatenation.h"

typedef struct { size_t outer, out_row; size_t *row; uint8_t **table; } concatenation;      // row: bytes of each input; table: or NULL

static void run_concatenation(const er_op *op, er_pool *pool)
{
    (void)pool;
    const concatenation *s = op->state;
    size_t at = 0;
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const uint8_t *x = er_u8(op->inputs[i]), *table = s->table[i];
        uint8_t *y = er_u8(op->outputs[0]) + at;
        size_t n = s->row[i];
        for (size_t r = 0; r < s->outer && n && x != y; r++, x += n, y += s->out_row) {
            if (!table) memcpy(y, x, n);
            else for (size_t j = 0; j < n; j++) y[j] = table[x[j]];
        }
        at += n;
    }
}

bool er_concatenation_holds(const er_op *op, int32_t input, size_t *offset)
{
    const concatenation *s = op->state;
    if (op->run != run_concatenation || s->outer != 1 || s->table[input]) return false;
    *offset = 0;
    for (int32_t i = 0; i < input; i++) *offset += s->row[i];
    return true;
}

// The reference requantizes in float32.
static void fill_table(const er_tensor *x, const er_tensor *y, uint8_t *table)
{
    float inverse = 1.0f / er_scale(y), scale = er_scale(x) * inverse, bias = -(float)er_zero(x) * scale;
    for (int32_t i = 0; i < 256; i++) {
        float v = roundf((float)i * scale + bias) + (float)er_zero(y);
        table[i ^ (x->flipped ? 0x80 : 0)] = (uint8_t)((!(v > 0) ? 0 : v > 255 ? 255 : (int32_t)v) ^ (y->flipped ? 0x80 : 0));
    }
}

er_status er_prepare_concatenation(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, INT32_MAX, 1));
    const er_tensor *first = op->inputs[0];
    er_tensor *y = op->outputs[0];
    er_concatenation_options o = er_read_concatenation(op->def->options);
    if (o.activation) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it has the fused activation number %d; the reference has none here either", (int)o.activation);
    int32_t axis, dims[ER_MAX_RANK];
    ER_TRY(er_resolve_axis(p, o.axis, first->rank, &axis));
    ER_TRY(er_expect_type(p, y, first->def->type, "output"));
    memcpy(dims, first->dims, sizeof dims);
    int64_t along = 0;
    er_status status;
    concatenation *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->row = er_alloc(p, (size_t)op->n_inputs * sizeof *s->row, &status);
    ER_TRY(status);
    s->table = er_alloc(p, (size_t)op->n_inputs * sizeof *s->table, &status);
    ER_TRY(status);
    size_t inner = er_type_size(first->def->type);
    s->outer = 1;
    for (int32_t d = 0; d < first->rank; d++) {
        if (d < axis) s->outer *= (size_t)first->dims[d];
        if (d > axis) inner *= (size_t)first->dims[d];
    }
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const er_tensor *x = op->inputs[i];
        if (!x) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input %d is left out", i);
        ER_TRY(er_expect_type(p, x, first->def->type, "input"));
        bool fits = x->rank == first->rank;
        for (int32_t d = 0; fits && d < x->rank; d++) fits = d == axis || x->dims[d] == first->dims[d];
        if (!fits) return er_op_fail(p, EDGERT_ERROR_MODEL, "the shape of its input %d does not fit that of input 0", i);
        along += x->dims[axis];
        s->row[i] = (size_t)x->dims[axis] * inner;
        if (x->def->type == EDGERT_UINT8 && (er_scale(x) != er_scale(y) || er_zero(x) != er_zero(y))) {
            ER_TRY(er_expect_quantized(p, x, "input"));
            ER_TRY(er_expect_quantized(p, y, "output"));
            s->table[i] = er_alloc(p, 256, &status);
            ER_TRY(status);
            fill_table(x, y, s->table[i]);
        } else {
            ER_TRY(er_expect_same_quantization(p, x, y));
        }
        s->out_row += s->row[i];
    }
    if (along > INT32_MAX) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output is too large");
    dims[axis] = (int32_t)along;
    ER_TRY(er_set_shape(p, y, dims, first->rank));
    op->run = run_concatenation;
    return ER_OK;
}
