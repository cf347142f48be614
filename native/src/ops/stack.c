// PACK (tensors of one shape become one with a new axis) and UNPACK (the way back). Any type.
#include <string.h>

#include "ops/op.h"

typedef struct { size_t outer, inner; } stack;      // inner: bytes

static void run_pack(const er_op *op, er_pool *pool)
{
    (void)pool;
    const stack *s = op->state;
    uint8_t *y = er_u8(op->outputs[0]);
    for (size_t o = 0; o < s->outer; o++)
        for (int32_t i = 0; i < op->n_inputs; i++, y += s->inner)
            if (s->inner) memcpy(y, er_u8(op->inputs[i]) + o * s->inner, s->inner);
}

static void run_unpack(const er_op *op, er_pool *pool)
{
    (void)pool;
    const stack *s = op->state;
    const uint8_t *x = er_u8(op->inputs[0]);
    for (size_t o = 0; o < s->outer; o++)
        for (int32_t i = 0; i < op->n_outputs; i++, x += s->inner)
            if (s->inner) memcpy(er_u8(op->outputs[i]) + o * s->inner, x, s->inner);
}

// `dims` are those of one of the parts.
static er_status set_state(er_prepare *p, er_op *op, const int32_t *dims, int32_t rank, int32_t axis, edgert_type type)
{
    er_status status;
    stack *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (stack){1, er_type_size(type)};
    for (int32_t d = 0; d < rank; d++) {
        if (d < axis) s->outer *= (size_t)dims[d];
        else s->inner *= (size_t)dims[d];
    }
    return ER_OK;
}

er_status er_prepare_pack(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, INT32_MAX, 1));
    const er_tensor *first = op->inputs[0];
    int32_t axis, dims[ER_MAX_RANK + 1];
    ER_TRY(er_resolve_axis(p, er_read_stack_axis(op->def->options), first->rank + 1, &axis));
    ER_TRY(er_expect_type(p, op->outputs[0], first->def->type, "output"));
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const er_tensor *x = op->inputs[i];
        if (!x) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input %d is left out", i);
        ER_TRY(er_expect_type(p, x, first->def->type, "input"));
        if (x->rank != first->rank || memcmp(x->dims, first->dims, (size_t)x->rank * sizeof *x->dims))
            return er_op_fail(p, EDGERT_ERROR_MODEL, "the shape of its input %d is not that of input 0", i);
        ER_TRY(er_expect_same_quantization(p, x, op->outputs[0]));
    }
    for (int32_t d = 0; d <= first->rank; d++) dims[d] = d < axis ? first->dims[d] : d == axis ? op->n_inputs : first->dims[d - 1];
    op->run = run_pack;
    ER_TRY(set_state(p, op, first->dims, first->rank, axis, first->def->type));
    return er_set_shape(p, op->outputs[0], dims, first->rank + 1);
}

er_status er_prepare_unpack(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, op->n_outputs));
    const er_tensor *x = op->inputs[0];
    int32_t axis, dims[ER_MAX_RANK] = {0};
    ER_TRY(er_resolve_axis(p, er_read_stack_axis(op->def->options), x->rank, &axis));
    if (x->dims[axis] != op->n_outputs)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has size %d along axis %d, expected %d, the number of its outputs", x->dims[axis], axis, op->n_outputs);
    for (int32_t d = 0; d + 1 < x->rank; d++) dims[d] = x->dims[d < axis ? d : d + 1];
    for (int32_t i = 0; i < op->n_outputs; i++) {
        ER_TRY(er_expect_type(p, op->outputs[i], x->def->type, "output"));
        ER_TRY(er_expect_same_quantization(p, x, op->outputs[i]));
        ER_TRY(er_set_shape(p, op->outputs[i], dims, x->rank - 1));
    }
    op->run = run_unpack;
    return set_state(p, op, dims, x->rank - 1, axis, x->def->type);
}
