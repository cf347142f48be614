// SELECT and SELECT_V2: elements of one input or the other, as a condition says. WHERE: where a condition holds. Any type.
#include <string.h>

#include "ops/op.h"

typedef struct { int32_t rank; int32_t dims[ER_MAX_RANK]; size_t stride[3][ER_MAX_RANK]; } choice;     // strides in elements, 0 where repeated

static void run_select(const er_op *op, er_pool *pool)
{
    (void)pool;
    const choice *s = op->state;
    const er_tensor *y = op->outputs[0];
    const size_t each = er_type_size(y->def->type);
    size_t from[3] = {0};
    int32_t at[ER_MAX_RANK] = {0};
    for (size_t i = 0; i < y->count; i++) {
        const int which = er_u8(op->inputs[0])[from[0]] ? 1 : 2;
        memcpy(er_u8(y) + i * each, er_u8(op->inputs[which]) + from[which] * each, each);
        for (int32_t d = s->rank - 1; d >= 0; d--) {
            for (int k = 0; k < 3; k++) from[k] += s->stride[k][d];
            if (++at[d] < s->dims[d]) break;
            for (int k = 0; k < 3; k++) from[k] -= s->stride[k][d] * (size_t)s->dims[d];
            at[d] = 0;
        }
    }
}

static er_status prepare_select(er_prepare *p, er_op *op, bool v2)
{
    ER_TRY(er_expect_io(p, op, 3, 3, 1));
    const er_tensor *condition = op->inputs[0], *a = op->inputs[1], *b = op->inputs[2];
    ER_TRY(er_expect_type(p, condition, EDGERT_BOOL, "condition"));
    ER_TRY(er_expect_type(p, b, a->def->type, "third input"));
    ER_TRY(er_expect_type(p, op->outputs[0], a->def->type, "output"));
    if (!(ER_T(a->def->type) & ER_ANY)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its inputs are %s", er_type_name(a->def->type));
    er_status status;
    choice *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    int32_t rank = er_max32(condition->rank, er_max32(a->rank, b->rank));
    // SELECT: a condition of rank 1 chooses among rows.
    const bool rows = !v2 && condition->rank == 1 && a->rank > 1 && condition->dims[0] == a->dims[0];
    for (int32_t d = 0; d < rank; d++) {
        s->dims[d] = 1;
        for (int k = 0; k < 3; k++) {
            const er_tensor *t = op->inputs[k];
            const int32_t shift = rows && k == 0 ? 0 : rank - t->rank;
            const int32_t n = d < shift || d - shift >= t->rank ? 1 : t->dims[d - shift];
            if (n == 1) continue;
            if (s->dims[d] != 1 && s->dims[d] != n) return er_op_fail(p, EDGERT_ERROR_MODEL, "its inputs do not broadcast: sizes %d and %d in dimension %d", s->dims[d], n, d);
            s->dims[d] = n;
        }
    }
    s->rank = rank;
    for (int k = 0; k < 3; k++) {
        const er_tensor *t = op->inputs[k];
        const int32_t shift = rows && k == 0 ? 0 : rank - t->rank;
        size_t stride = 1;
        for (int32_t d = t->rank - 1; d >= 0; d--) {
            s->stride[k][d + shift] = t->dims[d] == 1 ? 0 : stride;
            stride *= (size_t)t->dims[d];
        }
    }
    op->run = run_select;
    return er_set_shape(p, op->outputs[0], s->dims, rank);
}

er_status er_prepare_select(er_prepare *p, er_op *op) { return prepare_select(p, op, false); }
er_status er_prepare_select_v2(er_prepare *p, er_op *op) { return prepare_select(p, op, true); }

// ---- WHERE: [number of places][rank], int64

static bool is_true(const er_tensor *t, size_t i)
{
    switch (t->def->type) {
    case EDGERT_FLOAT32: return er_f32(t)[i] != 0;
    case EDGERT_INT32: case EDGERT_UINT32: return er_i32(t)[i] != 0;
    case EDGERT_INT64: return ((const int64_t *)t->data)[i] != 0;
    default: return er_u8(t)[i] != 0;
    }
}

static void run_where(const er_op *op, er_pool *pool)
{
    (void)pool;
    const er_tensor *x = op->inputs[0];
    int64_t *y = op->outputs[0]->data;
    for (size_t i = 0; i < x->count; i++) {
        if (!is_true(x, i)) continue;
        size_t rest = i;
        for (int32_t d = x->rank - 1; d >= 0; d--) {
            y[d] = (int64_t)(rest % (size_t)x->dims[d]);
            rest /= (size_t)x->dims[d];
        }
        y += x->rank;
    }
}

er_status er_prepare_where(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_INT64, "output"));
    ER_TRY(er_expect_values(p, x, "condition"));
    int32_t n = 0;
    for (size_t i = 0; i < x->count; i++) n += is_true(x, i);
    op->run = run_where;
    return er_set_shape(p, op->outputs[0], (int32_t[]){n, x->rank}, 2);
}
