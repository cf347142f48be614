// Tensors out of shapes and single values: SHAPE, RANK, FILL, ZEROS_LIKE, RANGE, BROADCAST_ARGS, ONE_HOT.
#include <math.h>
#include <string.h>

#include "ops/whole.h"

er_status er_prepare_shape(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    if (!(ER_T(y->def->type) & ER_INDEX)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output is %s, expected int32 or int64", er_type_name(y->def->type));
    ER_TRY(er_set_shape(p, y, &x->rank, 1));
    er_status status;
    const bool there = er_constant_output(p, op, &status) != NULL;
    for (int32_t d = 0; there && d < x->rank; d++) er_put_whole(y, (size_t)d, x->dims[d]);
    return status;
}

er_status er_prepare_rank(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_INT32, "output"));
    ER_TRY(er_set_shape(p, op->outputs[0], NULL, 0));
    er_status status;
    int32_t *data = er_constant_output(p, op, &status);
    if (data) *data = op->inputs[0]->rank;
    return status;
}

// Sparse constants are expanded when the model is opened: nothing is left to do.
er_status er_prepare_densify(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(er_expect_type(p, op->outputs[0], op->inputs[0]->def->type, "output"));
    ER_TRY(er_set_same_shape(p, op->outputs[0], op->inputs[0]));
    er_use_view(op);
    return ER_OK;
}

// The shape that two shapes broadcast to.
er_status er_prepare_broadcast_args(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    er_tensor *y = op->outputs[0];
    int32_t a[ER_MAX_RANK], b[ER_MAX_RANK], na, nb;
    ER_TRY(er_read_ints(p, op->inputs[0], "first shape", a, &na));
    ER_TRY(er_read_ints(p, op->inputs[1], "second shape", b, &nb));
    ER_TRY(er_expect_type(p, y, op->inputs[0]->def->type, "output"));
    const int32_t n = er_max32(na, nb);
    ER_TRY(er_set_shape(p, y, &n, 1));
    er_status status;
    er_constant_output(p, op, &status);
    ER_TRY(status);
    for (int32_t d = 0; d < n; d++) {
        const int32_t x = d < n - na ? 1 : a[d - (n - na)], z = d < n - nb ? 1 : b[d - (n - nb)];
        if (x != z && x != 1 && z != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "sizes %d and %d do not broadcast", x, z);
        er_put_whole(y, (size_t)d, x == 1 ? z : x);
    }
    return ER_OK;
}

static void run_fill(const er_op *op, er_pool *pool)
{
    (void)pool;
    const er_tensor *value = op->inputs[1], *y = op->outputs[0];
    const size_t each = er_type_size(y->def->type);
    if (y->count) memcpy(y->data, value->data, each);
    er_repeat(y->data, each, y->count * each);
}

er_status er_prepare_fill(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    int32_t dims[ER_MAX_RANK], rank;
    ER_TRY(er_read_ints(p, op->inputs[0], "shape", dims, &rank));
    ER_TRY(er_expect_type(p, op->outputs[0], op->inputs[1]->def->type, "output"));
    if (op->inputs[1]->count != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its value has %zu values, expected 1", op->inputs[1]->count);
    op->run = run_fill;
    return er_set_shape(p, op->outputs[0], dims, rank);
}

static void run_zeros(const er_op *op, er_pool *pool)
{
    (void)pool;
    if (op->outputs[0]->bytes) memset(op->outputs[0]->data, 0, op->outputs[0]->bytes);
}

er_status er_prepare_zeros_like(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(er_expect_type(p, op->outputs[0], op->inputs[0]->def->type, "output"));
    op->run = run_zeros;
    return er_set_same_shape(p, op->outputs[0], op->inputs[0]);
}

// ---- RANGE

static void run_range(const er_op *op, er_pool *pool)
{
    (void)pool;
    const er_tensor *start = op->inputs[0], *delta = op->inputs[2], *y = op->outputs[0];
    if (y->def->type == EDGERT_FLOAT32) {
        float v = *er_f32(start);
        for (size_t i = 0; i < y->count; i++, v += *er_f32(delta)) er_f32(y)[i] = v;
    } else if (y->def->type == EDGERT_INT64) {
        for (size_t i = 0; i < y->count; i++) ((int64_t *)y->data)[i] = (int64_t)(*(const uint64_t *)start->data + i * *(const uint64_t *)delta->data);
    } else {
        for (size_t i = 0; i < y->count; i++) er_i32(y)[i] = (int32_t)(*(const uint32_t *)start->data + (uint32_t)i * *(const uint32_t *)delta->data);
    }
}

er_status er_prepare_range(er_prepare *p, er_op *op)
{
    static const char *const roles[] = {"start", "limit", "delta"};
    ER_TRY(er_expect_io(p, op, 3, 3, 1));
    for (int32_t i = 0; i < 3; i++) {
        ER_TRY(er_expect_values(p, op->inputs[i], roles[i]));
        ER_TRY(er_expect_type(p, op->inputs[i], op->inputs[0]->def->type, roles[i]));
        if (op->inputs[i]->count != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s has %zu values, expected 1", roles[i], op->inputs[i]->count);
    }
    ER_TRY(er_expect_type(p, op->outputs[0], op->inputs[0]->def->type, "output"));
    double v[3];
    for (int32_t i = 0; i < 3; i++) {
        const er_tensor *t = op->inputs[i];
        v[i] = t->def->type == EDGERT_FLOAT32 ? (double)*er_f32(t) : (double)er_whole(t, 0);
    }
    if (!(v[2] != 0) || !((v[0] >= v[1] && v[2] < 0) || (v[0] <= v[1] && v[2] > 0)))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it goes from %g to %g by %g", v[0], v[1], v[2]);
    double n = ceil(fabs((v[1] - v[0]) / v[2]));
    if (op->inputs[0]->def->type == EDGERT_FLOAT32) n = ceil(fabs((double)((*er_f32(op->inputs[1]) - *er_f32(op->inputs[0])) / *er_f32(op->inputs[2]))));
    if (!(n <= INT32_MAX)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output is too large");
    op->run = run_range;
    return er_set_shape(p, op->outputs[0], (int32_t[]){(int32_t)n}, 1);
}

// ---- ONE_HOT

typedef struct { size_t outer, depth, inner; } one_hot;

static void run_one_hot(const er_op *op, er_pool *pool)
{
    (void)pool;
    const one_hot *s = op->state;
    const er_tensor *indices = op->inputs[0], *y = op->outputs[0];
    const size_t each = er_type_size(y->def->type);
    uint8_t *to = er_u8(y);
    for (size_t o = 0; o < s->outer; o++)
        for (size_t d = 0; d < s->depth; d++)
            for (size_t i = 0; i < s->inner; i++, to += each) {
                const size_t at = o * s->inner + i;
                const int64_t index = er_whole(indices, at);
                memcpy(to, op->inputs[index == (int64_t)d ? 2 : 3]->data, each);
            }
}

er_status er_prepare_one_hot(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 4, 4, 1));
    const er_tensor *indices = op->inputs[0];
    int32_t depth[ER_MAX_RANK], n, axis = er_read_int(op->def->options), dims[ER_MAX_RANK + 1];
    ER_TRY(er_read_ints(p, op->inputs[1], "depth", depth, &n));
    if (n != 1 || depth[0] < 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its depth is not one positive number");
    for (int32_t i = 2; i < 4; i++) {
        ER_TRY(er_expect_type(p, op->inputs[i], op->outputs[0]->def->type, "value"));
        if (op->inputs[i]->count != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its value has %zu values, expected 1", op->inputs[i]->count);
    }
    if (axis == -1) axis = indices->rank;
    if (axis < 0 || axis > indices->rank) return er_op_fail(p, EDGERT_ERROR_MODEL, "its axis is %d, for indices of rank %d", axis, indices->rank);
    er_status status;
    one_hot *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (one_hot){1, (size_t)depth[0], 1};
    for (int32_t d = 0; d <= indices->rank; d++) {
        dims[d] = d < axis ? indices->dims[d] : d == axis ? depth[0] : indices->dims[d - 1];
        if (d < axis) s->outer *= (size_t)dims[d];
        if (d > axis) s->inner *= (size_t)dims[d];
    }
    op->run = run_one_hot;
    return er_set_shape(p, op->outputs[0], dims, indices->rank + 1);
}
