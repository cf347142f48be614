// PAD, PADV2. Any type; PAD fills with zero, which for quantized types is the zero point.
#include <string.h>

#include "ops/move.h"
#include "ops/pad.h"
#include "ops/whole.h"

typedef struct {
    er_move move;
    size_t element;
    uint8_t value[8];
    const er_tensor *value_tensor;      // PADV2
    int32_t before[ER_MAX_RANK];
} pad;

static void run_pad(const er_op *op, er_pool *pool)
{
    (void)pool;
    const pad *s = op->state;
    uint8_t *y = er_u8(op->outputs[0]);
    const uint8_t *value = s->value_tensor ? s->value_tensor->data : s->value;
    const size_t bytes = op->outputs[0]->count * s->element;
    if (bytes) memcpy(y, value, s->element);
    er_repeat(y, s->element, bytes);
    er_move_run(&s->move, op->inputs[0]->data, y);
}

static er_status prepare(er_prepare *p, er_op *op, bool v2)
{
    ER_TRY(er_expect_io(p, op, v2 ? 3 : 2, v2 ? 3 : 2, 1));
    const er_tensor *x = op->inputs[0], *pads = op->inputs[1];
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    ER_TRY(er_expect_values(p, pads, "paddings"));
    if (pads->def->type != EDGERT_INT32 && pads->def->type != EDGERT_INT64)
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its paddings are %s, expected int32", er_type_name(pads->def->type));
    if (pads->rank != 2 || pads->dims[0] != x->rank || pads->dims[1] != 2)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its paddings have not the shape [%d, 2] that its input needs", x->rank);
    er_status status;
    pad *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->element = s->move.element = er_type_size(x->def->type);
    int32_t dims[ER_MAX_RANK];
    for (int32_t i = 0; i < x->rank; i++) {
        const int64_t b = er_whole(pads, 2 * (size_t)i), a = er_whole(pads, 2 * (size_t)i + 1);
        if (a < 0 || b < 0 || a > INT32_MAX || b > INT32_MAX || a + b + x->dims[i] > INT32_MAX)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its paddings of dimension %d are negative or too large", i);
        s->before[i] = (int32_t)b;
        dims[i] = (int32_t)(a + b + x->dims[i]);
    }
    ER_TRY(er_set_shape(p, y, dims, x->rank));
    s->move.rank = x->rank;
    memcpy(s->move.dims, x->dims, sizeof dims);
    er_strides(x->dims, x->rank, s->element, s->move.from_stride);
    er_strides(y->dims, y->rank, s->element, s->move.to_stride);
    for (int32_t i = 0; i < x->rank; i++) s->move.to += s->before[i] * s->move.to_stride[i];
    er_move_simplify(&s->move);
    if (v2) {
        s->value_tensor = op->inputs[2];
        ER_TRY(er_expect_type(p, s->value_tensor, x->def->type, "padding value"));
        if (s->value_tensor->count != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its padding value has %zu values, expected 1", s->value_tensor->count);
    } else if (er_is_8bit(x)) {
        s->value[0] = (uint8_t)er_stored_zero(y);
    }
    op->run = run_pad;
    return ER_OK;
}

er_pads er_take_pad(er_op *op, const er_conv_options *o)
{
    const er_pads none = {0, 0, 0, 0};
    er_op *by = op->pad;
    if (!by || by->run != run_pad || o->padding != ER_VALID || !er_same_quantization(by->inputs[0], by->outputs[0])) return none;
    const er_tensor *x = by->inputs[0], *y = by->outputs[0], *w = op->inputs[1];
    const pad *s = by->state;
    if (x->rank != 4 || y->dims[0] != x->dims[0] || y->dims[3] != x->dims[3] || s->value_tensor || w->rank != 4) return none;
    const er_pads pads = {s->before[1], s->before[2], y->dims[1] - x->dims[1], y->dims[2] - x->dims[2]};
    // Every window sees some of the image's first row and column, or would if it were large enough.
    if (pads.top >= w->dims[1] || pads.left >= w->dims[2]) return none;
    op->inputs[0] = by->inputs[0];
    return pads;
}

er_status er_prepare_pad(er_prepare *p, er_op *op) { return prepare(p, op, false); }
er_status er_prepare_padv2(er_prepare *p, er_op *op) { return prepare(p, op, true); }
