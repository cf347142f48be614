// RESHAPE, SQUEEZE, EXPAND_DIMS: the same bytes under another shape.
#include <string.h>

#include "ops/op.h"

static er_status use_shape(er_prepare *p, er_op *op, const int32_t *dims, int32_t rank)
{
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, op->inputs[0]->def->type, "output"));
    ER_TRY(er_set_shape(p, y, dims, rank));
    if (y->count != op->inputs[0]->count)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %zu values, its output's shape %zu", op->inputs[0]->count, y->count);
    er_use_view(op);
    return ER_OK;
}

er_status er_prepare_reshape(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 2, 1));
    const er_tensor *x = op->inputs[0];
    int32_t dims[ER_MAX_RANK] = {0}, rank = 0, open = -1;
    er_int_list list = er_read_reshape(op->def->options);
    if (op->n_inputs > 1 && op->inputs[1]) {
        ER_TRY(er_read_ints(p, op->inputs[1], "shape", dims, &rank));
    } else if (list.n >= 0) {
        if (list.n > ER_MAX_RANK) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its shape has rank %d, at most %d is supported", list.n, ER_MAX_RANK);
        for (rank = 0; rank < list.n; rank++) dims[rank] = er_int_list_at(list, rank);
        // Files of TFLite's first year write a scalar as [0].
        if (rank == 1 && dims[0] == 0 && x->count) rank = 0;
    } else {
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has no shape");
    }
    size_t known = 1;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] == -1) {
            if (open >= 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its shape leaves two sizes open");
            open = i;
        } else if (dims[i] < 0 || !er_mul_size(known, (size_t)dims[i], &known)) {
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its shape has size %d in dimension %d", dims[i], i);
        }
    }
    if (open >= 0) {
        if (!known ? x->count != 0 : x->count % known != 0)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %zu values, expected a multiple of %zu", x->count, known);
        dims[open] = known ? (int32_t)(x->count / known) : 0;
    }
    return use_shape(p, op, dims, rank);
}

er_status er_prepare_squeeze(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    er_int_list list = er_read_squeeze(op->def->options);
    bool squeezed[ER_MAX_RANK] = {false};
    for (int32_t i = 0; i < list.n; i++) {
        int32_t axis;
        ER_TRY(er_resolve_axis(p, er_int_list_at(list, i), x->rank, &axis));
        if (x->dims[axis] != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it squeezes dimension %d, which has size %d, expected 1", axis, x->dims[axis]);
        squeezed[axis] = true;
    }
    int32_t dims[ER_MAX_RANK], rank = 0;
    for (int32_t i = 0; i < x->rank; i++)
        if (list.n ? !squeezed[i] : x->dims[i] != 1) dims[rank++] = x->dims[i];
    return use_shape(p, op, dims, rank);
}

er_status er_prepare_expand_dims(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    int32_t axis[ER_MAX_RANK], n, at, dims[ER_MAX_RANK + 1];
    ER_TRY(er_read_ints(p, op->inputs[1], "axis", axis, &n));
    if (n != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its axis has %d values, expected 1", n);
    ER_TRY(er_resolve_axis(p, axis[0], x->rank + 1, &at));
    for (int32_t i = 0; i <= x->rank; i++) dims[i] = i < at ? x->dims[i] : i == at ? 1 : x->dims[i - 1];
    return use_shape(p, op, dims, x->rank + 1);
}
