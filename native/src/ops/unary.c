// Functions of one value: ABS, NEG, SQUARE, SQRT, RSQRT, EXP, LOG, SIN, COS, FLOOR, CEIL, ROUND, SIGN, ELU, GELU, LOGICAL_NOT. float32, and what
// else the reference has: int8 by a table of 256 values, int16 by one of lines, whole numbers as they are.
#include <math.h>
#include <stdlib.h>

#include "base/exponential.h"
#include "base/one_value.h"
#include "ops/table16.h"
#include "ops/whole.h"

// ---- float32. Through double where the C library's float functions differ from system to system.

static float exponential(float x) { return er_expf(x); }
static float logarithm(float x) { return (float)log((double)x); }
static float sine(float x) { return (float)sin((double)x); }
static float cosine(float x) { return (float)cos((double)x); }
static float elu(float x) { return x < 0 ? (float)expm1((double)x) : x; }
static float gelu(float x) { return (float)(0.5 * (double)x * (1 + erf((double)x * 0.70710678118654752440))); }

static float gelu_by_tanh(float x)
{
    const double v = (double)x;
    return (float)(0.5 * v * (1 + tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))));
}

ER_FLOAT_LOOP(negate, -v, )
ER_FLOAT_LOOP(take_absolute, fabsf(v), )
ER_FLOAT_LOOP(take_square, v * v, )
ER_FLOAT_LOOP(take_root, sqrtf(v), )
ER_FLOAT_LOOP(take_reciprocal_root, 1.0f / sqrtf(v), )
ER_FLOAT_LOOP(take_sign, v > 0 ? 1.0f : v < 0 ? -1.0f : v, )
ER_FLOAT_LOOP(round_down, floorf(v), )
ER_FLOAT_LOOP(round_up, ceilf(v), )
ER_FLOAT_LOOP(round_even, nearbyintf(v), )        // halves to even
ER_FLOAT_LOOP(take_logarithm, logarithm(v), )
ER_FLOAT_LOOP(take_sine, sine(v), )
ER_FLOAT_LOOP(take_cosine, cosine(v), )

// The function of float32.
typedef struct { er_float_function *loop; } function;

static void float_span(const er_op *op, size_t from, size_t to)
{
    const function *s = op->state;
    s->loop(to - from, er_f32(op->inputs[0]) + from, er_f32(op->outputs[0]) + from);
}

static void run_floats(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 3, float_span, op); }

typedef struct { float (*fn)(float); } of_one;
static float on_value(float x, const void *arg) { return ((const of_one *)arg)->fn(x); }

// Type and shape of the output; float32 is ready then.
static er_status prepare(er_prepare *p, er_op *op, er_float_function *loop)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    ER_TRY(er_set_same_shape(p, op->outputs[0], x));
    er_status status;
    function *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->loop = loop;
    op->run = run_floats;
    op->share = ER_SHARE_IN_PLACE;
    return ER_OK;
}

static uint8_t clamp8(const er_tensor *y, double v) { return (uint8_t)(int32_t)(!(v > er_lowest(y)) ? er_lowest(y) : v > er_highest(y) ? er_highest(y) : v); }

// A table of `fn` in float32, rounded: int8, uint8, int16.
static er_status use_function_table(er_prepare *p, er_op *op, er_function *fn, const void *arg)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    if (er_is_16bit(x)) {
        ER_TRY(er_expect_symmetric(p, x, "input"));
        ER_TRY(er_expect_symmetric(p, y, "output"));
        int16_t *table;
        ER_TRY(er_use_table16(p, op, &table));
        er_table16_fill(er_scale(x), er_zero(x), er_scale(y), er_zero(y), fn, arg, table);
        return ER_OK;
    }
    uint8_t *table;
    ER_TRY(er_use_table(p, op, &table));
    const float inverse = 1.0f / er_scale(y);
    for (int32_t i = 0; i < 256; i++)
        table[i] = clamp8(y, (double)(roundf(fn(er_scale(x) * (float)(er_byte_value(x, i) - er_zero(x)), arg) * inverse) + (float)er_zero(y)));
    return ER_OK;
}

static er_status prepare_table(er_prepare *p, er_op *op, er_float_function *loop, float (*fn)(float))
{
    ER_TRY(prepare(p, op, loop));
    const of_one f = {fn};
    return op->inputs[0]->def->type == EDGERT_FLOAT32 ? ER_OK : use_function_table(p, op, on_value, &f);
}

er_status er_prepare_square(er_prepare *p, er_op *op) { return prepare(p, op, take_square); }
er_status er_prepare_sin(er_prepare *p, er_op *op) { return prepare(p, op, take_sine); }
er_status er_prepare_cos(er_prepare *p, er_op *op) { return prepare(p, op, take_cosine); }
er_status er_prepare_floor(er_prepare *p, er_op *op) { return prepare(p, op, round_down); }
er_status er_prepare_ceil(er_prepare *p, er_op *op) { return prepare(p, op, round_up); }
er_status er_prepare_round(er_prepare *p, er_op *op) { return prepare(p, op, round_even); }
er_status er_prepare_exp(er_prepare *p, er_op *op) { return prepare_table(p, op, p->kernels->exp_floats, exponential); }
er_status er_prepare_elu(er_prepare *p, er_op *op) { return prepare_table(p, op, p->kernels->elu_floats, elu); }

er_status er_prepare_gelu(er_prepare *p, er_op *op)
{
    if (er_read_gelu_approximate(op->def->options)) return prepare_table(p, op, p->kernels->gelu_tanh_floats, gelu_by_tanh);
    return prepare_table(p, op, p->kernels->gelu_floats, gelu);
}

// ---- LOG: of 0 and less, the lowest output

static float log_or_lowest(float x, const void *arg) { return x <= 0 ? *(const float *)arg : logarithm(x); }

er_status er_prepare_log(er_prepare *p, er_op *op)
{
    ER_TRY(prepare(p, op, take_logarithm));
    const er_tensor *y = op->outputs[0];
    if (y->def->type == EDGERT_FLOAT32) return ER_OK;
    const float lowest = (float)(er_lowest(y) - er_zero(y)) * er_scale(y);
    return use_function_table(p, op, log_or_lowest, &lowest);
}

// ---- SQRT and RSQRT: negative values are an error

static void check_not_negative(const er_op *op)
{
    const er_tensor *x = op->inputs[0];
    bool fine = true;
    for (size_t i = 0; i < x->count; i++) fine = fine && er_whole(x, i) >= er_zero(x);
    if (!fine) er_op_fault(op, "a value is negative, which has no root");
}

static void run_table_of_roots(const er_op *op, er_pool *pool)
{
    check_not_negative(op);
    er_run_table(op, pool);
}

// SQRT: int8 and int16 through float32, without rounding.

static int64_t root_of(const er_tensor *x, const er_tensor *y, int32_t value)
{
    const float root = sqrtf(er_scale(x) * (float)(value - er_zero(x))) / er_scale(y);
    return er_clamp64((root < 65536 ? (int64_t)root : 65536) + er_zero(y), er_lowest(y), er_highest(y));
}

static void roots16_span(const er_op *op, size_t from, size_t to)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    for (size_t i = from; i < to; i++) ((int16_t *)y->data)[i] = (int16_t)root_of(x, y, ((const int16_t *)x->data)[i]);
}

static void run_roots16(const er_op *op, er_pool *pool)
{
    check_not_negative(op);
    er_for_spans(pool, op->outputs[0]->count, 4, roots16_span, op);
}

er_status er_prepare_sqrt(er_prepare *p, er_op *op)
{
    ER_TRY(prepare(p, op, take_root));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (x->def->type == EDGERT_FLOAT32) return ER_OK;
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    if (er_is_16bit(x)) {
        ER_TRY(er_expect_symmetric(p, x, "input"));
        ER_TRY(er_expect_symmetric(p, y, "output"));
        op->run = run_roots16;
        return ER_OK;
    }
    uint8_t *table;
    ER_TRY(er_use_table(p, op, &table));
    for (int32_t i = 0; i < 256; i++) table[i] = (uint8_t)root_of(x, y, (int8_t)i);
    op->run = run_table_of_roots;
    return ER_OK;
}

// RSQRT: int8 in fixed point, int16 by lines.

static void run_rsqrt16(const er_op *op, er_pool *pool)
{
    check_not_negative(op);
    er_run_table16(op, pool);
}

static float rsqrt_or_highest(float x, const void *arg) { return x <= 0 ? INT16_MAX * *(const float *)arg : 1.0f / sqrtf(x); }

er_status er_prepare_rsqrt(er_prepare *p, er_op *op)
{
    ER_TRY(prepare(p, op, take_reciprocal_root));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (x->def->type == EDGERT_FLOAT32) return ER_OK;
    if (er_is_16bit(x)) {
        const float scale = er_scale(y);
        ER_TRY(use_function_table(p, op, rsqrt_or_highest, &scale));
        op->run = run_rsqrt16;
        return ER_OK;
    }
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    uint8_t *table;
    ER_TRY(er_use_table(p, op, &table));
    enum { SHIFT = 20 };
    er_multiplier m = er_make_multiplier(1.0 / (double)(sqrtf(er_scale(x)) * er_scale(y)));
    for (int32_t i = 0; i < 256; i++) {
        const int32_t v = (int8_t)i - er_zero(x);
        if (v <= 0) {
            table[i] = INT8_MAX;
            continue;
        }
        er_multiplier root = er_inverse_root(v);
        root.shift += SHIFT;
        const er_multiplier out = m.shift - SHIFT < -31 ? (er_multiplier){0, 0} : (er_multiplier){m.q, m.shift - SHIFT};
        table[i] = clamp8(y, (double)((int64_t)er_requantize(er_requantize(1, root), out) + er_zero(y)));
    }
    op->run = run_table_of_roots;
    return ER_OK;
}

// ---- whole numbers

typedef enum { WHOLE_ABS, WHOLE_NEG, WHOLE_SIGN, WHOLE_NOT } whole;

static inline int64_t whole_value(whole f, int64_t x)
{
    switch (f) {
    case WHOLE_ABS: return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
    case WHOLE_NEG: return (int64_t)(0 - (uint64_t)x);
    case WHOLE_SIGN: return (x > 0) - (x < 0);
    default: return !x;
    }
}

static void whole_span(const er_op *op, size_t from, size_t to)
{
    const whole f = *(const whole *)op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    switch (x->def->type) {
    case EDGERT_BOOL: for (size_t i = from; i < to; i++) er_u8(y)[i] = !er_u8(x)[i]; break;
    case EDGERT_INT8: for (size_t i = from; i < to; i++) er_i8(y)[i] = (int8_t)whole_value(f, er_i8(x)[i]); break;
    case EDGERT_INT16: for (size_t i = from; i < to; i++) ((int16_t *)y->data)[i] = (int16_t)whole_value(f, ((const int16_t *)x->data)[i]); break;
    case EDGERT_INT32: for (size_t i = from; i < to; i++) er_i32(y)[i] = (int32_t)whole_value(f, er_i32(x)[i]); break;
    case EDGERT_FLOAT64:
        for (size_t i = from; i < to; i++) {
            const double v = ((const double *)x->data)[i];
            ((double *)y->data)[i] = v > 0 ? 1 : v < 0 ? -1 : v;
        }
        break;
    default: for (size_t i = from; i < to; i++) ((int64_t *)y->data)[i] = whole_value(f, ((const int64_t *)x->data)[i]); break;
    }
}

static void run_whole(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 1, whole_span, op); }

static er_status prepare_whole(er_prepare *p, er_op *op, er_float_function *loop, whole f)
{
    ER_TRY(prepare(p, op, loop));
    if (op->inputs[0]->def->type == EDGERT_FLOAT32) return ER_OK;
    er_status status;
    whole *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = f;
    op->run = run_whole;
    return ER_OK;
}

er_status er_prepare_neg(er_prepare *p, er_op *op) { return prepare_whole(p, op, negate, WHOLE_NEG); }
er_status er_prepare_sign(er_prepare *p, er_op *op) { return prepare_whole(p, op, take_sign, WHOLE_SIGN); }
er_status er_prepare_logical_not(er_prepare *p, er_op *op) { return prepare_whole(p, op, NULL, WHOLE_NOT); }

// ---- ABS: quantized values are measured from their zero point

typedef struct { bool rescales; er_multiplier m; int32_t x_zero, y_zero; } absolute;

static int32_t absolute_value(const absolute *s, int32_t x, int32_t low, int32_t high)
{
    const int32_t v = abs(x - s->x_zero);
    const int64_t y = (int64_t)(s->rescales ? er_requantize(v, s->m) : v) + s->y_zero;
    return er_clamp64(y, low, high);
}

static void abs16_span(const er_op *op, size_t from, size_t to)
{
    const int16_t *x = op->inputs[0]->data;
    for (size_t i = from; i < to; i++) ((int16_t *)op->outputs[0]->data)[i] = (int16_t)absolute_value(op->state, x[i], INT16_MIN, INT16_MAX);
}

static void run_abs16(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 2, abs16_span, op); }

er_status er_prepare_abs(er_prepare *p, er_op *op)
{
    ER_TRY(prepare_whole(p, op, take_absolute, WHOLE_ABS));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (!er_is_8bit(x) && !(er_is_16bit(x) && x->def->quant.n)) return ER_OK;
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    const absolute a = {er_scale(x) != er_scale(y), er_make_multiplier((double)(er_scale(x) / er_scale(y))), er_zero(x), er_zero(y)};
    if (er_is_16bit(x)) {
        ER_TRY(er_expect_symmetric(p, x, "input"));
        ER_TRY(er_expect_symmetric(p, y, "output"));
        er_status status;
        absolute *s = op->state = er_alloc(p, sizeof *s, &status);
        ER_TRY(status);
        *s = a;
        op->run = run_abs16;
        return ER_OK;
    }
    uint8_t *table;
    ER_TRY(er_use_table(p, op, &table));
    for (int32_t i = 0; i < 256; i++) table[i] = (uint8_t)absolute_value(&a, (int8_t)i, INT8_MIN, INT8_MAX);
    return ER_OK;
}
