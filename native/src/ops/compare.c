// EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, LOGICAL_AND, LOGICAL_OR, with broadcasting; the output is bool.
//
// Quantized values are compared on a common scale, with eight more bits, as rounded as the reference has them.
#include "ops/broadcast.h"
#include "ops/whole.h"

typedef enum { IS_EQUAL, IS_NOT_EQUAL, IS_LESS, IS_LESS_EQUAL, IS_GREATER, IS_GREATER_EQUAL, IS_AND, IS_OR } relation;

typedef struct {
    er_broadcast bc;
    relation relation;
    bool scaled;
    er_multiplier a, b;
    int32_t a_zero, b_zero;
} compare;

static inline bool holds(relation r, bool less, bool equal)
{
    switch (r) {
    case IS_EQUAL: return equal;
    case IS_NOT_EQUAL: return !equal;
    case IS_LESS: return less;
    case IS_LESS_EQUAL: return less || equal;
    case IS_GREATER: return !less && !equal;
    default: return !less;
    }
}

static inline int32_t on_common_scale(int64_t v, int32_t zero, er_multiplier m)
{
    const int32_t x = (int32_t)(v - zero) * (1 << 8);
    const int32_t h = er_doubling_high_mul(x, m.q);
    return m.shift <= 0 ? er_rounding_shift(h, er_min32(-m.shift, 31)) : er_requantize(x, m);
}

// Elements of one type, side by side. The other relations are these three, of operands in the other order, or what they are not: NaN is in no
// order, and unequal.
#define RELATE(name, type) \
    static void name(relation r, size_t n, const type *x, const type *z, uint8_t *y) \
    { \
        const uint8_t inverted = r == IS_NOT_EQUAL; \
        if (r == IS_EQUAL || r == IS_NOT_EQUAL) for (size_t i = 0; i < n; i++) y[i] = (x[i] == z[i]) ^ inverted; \
        else if (r == IS_LESS) for (size_t i = 0; i < n; i++) y[i] = x[i] < z[i]; \
        else if (r == IS_LESS_EQUAL) for (size_t i = 0; i < n; i++) y[i] = x[i] <= z[i]; \
        else name(r == IS_GREATER ? IS_LESS : IS_LESS_EQUAL, n, z, x, y); \
    }
RELATE(relate_floats, float)
RELATE(relate_ints, int32_t)

static void relate_bools(bool both, size_t n, const uint8_t *x, const uint8_t *z, uint8_t *y)
{
    if (both) for (size_t i = 0; i < n; i++) y[i] = (x[i] != 0) & (z[i] != 0);
    else for (size_t i = 0; i < n; i++) y[i] = (x[i] | z[i]) != 0;
}

static bool relate_one(const compare *s, const er_tensor *x, const er_tensor *z, size_t a, size_t b)
{
    uint8_t y;
    if (s->relation >= IS_AND) {
        relate_bools(s->relation == IS_AND, 1, er_u8(x) + a, er_u8(z) + b, &y);
        return y;
    }
    if (x->def->type == EDGERT_FLOAT32) {
        relate_floats(s->relation, 1, er_f32(x) + a, er_f32(z) + b, &y);
        return y;
    }
    int64_t v = er_whole(x, a), w = er_whole(z, b);
    if (s->scaled) {
        v = on_common_scale(v, s->a_zero, s->a);
        w = on_common_scale(w, s->b_zero, s->b);
    }
    return holds(s->relation, v < w, v == w);
}

static void compare_run(const compare *s, const er_tensor *x, const er_tensor *z, size_t a, size_t b, uint8_t *y)
{
    const size_t n = s->bc.run, a_step = s->bc.a_step, b_step = s->bc.b_step;
    const bool beside = a_step == 1 && b_step == 1;
    if (beside && s->relation >= IS_AND) relate_bools(s->relation == IS_AND, n, er_u8(x) + a, er_u8(z) + b, y);
    else if (beside && x->def->type == EDGERT_FLOAT32) relate_floats(s->relation, n, er_f32(x) + a, er_f32(z) + b, y);
    else if (beside && x->def->type == EDGERT_INT32) relate_ints(s->relation, n, er_i32(x) + a, er_i32(z) + b, y);
    else for (size_t i = 0; i < n; i++) y[i] = relate_one(s, x, z, a + i * a_step, b + i * b_step);
}

static void run_compare(const er_op *op, er_pool *pool)
{
    (void)pool;
    const compare *s = op->state;
    for (size_t r = 0; r < s->bc.outer; r++) {
        size_t a, b;
        er_broadcast_offsets(&s->bc, r, &a, &b);
        compare_run(s, op->inputs[0], op->inputs[1], a, b, er_u8(op->outputs[0]) + r * s->bc.run);
    }
}

static er_status prepare(er_prepare *p, er_op *op, relation relation)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1];
    ER_TRY(er_expect_type(p, b, a->def->type, "second input"));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_BOOL, "output"));
    er_status status;
    compare *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_broadcast_shapes(p, a, b, op->outputs[0], &s->bc));
    s->relation = relation;
    // The reference compares int16 in order as it is.
    s->scaled = er_is_8bit(a) || (er_is_16bit(a) && relation <= IS_NOT_EQUAL && a->def->quant.n);
    if (s->scaled) {
        ER_TRY(er_expect_quantized(p, a, "first input"));
        ER_TRY(er_expect_quantized(p, b, "second input"));
        s->a = er_make_multiplier((double)er_scale(a));
        s->b = er_make_multiplier((double)er_scale(b));
        s->a_zero = er_zero(a);
        s->b_zero = er_zero(b);
    }
    op->run = run_compare;
    return ER_OK;
}

er_status er_prepare_equal(er_prepare *p, er_op *op) { return prepare(p, op, IS_EQUAL); }
er_status er_prepare_not_equal(er_prepare *p, er_op *op) { return prepare(p, op, IS_NOT_EQUAL); }
er_status er_prepare_less(er_prepare *p, er_op *op) { return prepare(p, op, IS_LESS); }
er_status er_prepare_less_equal(er_prepare *p, er_op *op) { return prepare(p, op, IS_LESS_EQUAL); }
er_status er_prepare_greater(er_prepare *p, er_op *op) { return prepare(p, op, IS_GREATER); }
er_status er_prepare_greater_equal(er_prepare *p, er_op *op) { return prepare(p, op, IS_GREATER_EQUAL); }
er_status er_prepare_logical_and(er_prepare *p, er_op *op) { return prepare(p, op, IS_AND); }
er_status er_prepare_logical_or(er_prepare *p, er_op *op) { return prepare(p, op, IS_OR); }
