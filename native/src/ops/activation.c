// Activations: LOGISTIC, TANH, RELU, RELU6, RELU_N1_TO_1, RELU_0_TO_1, LEAKY_RELU, HARD_SWISH. int8, uint8, float32, and int16 for what the
// reference has on it. Other functions of one value: unary.c.
//
// On 8 bits each is a table, filled here by the arithmetic that the reference uses for one value.
#include <math.h>

#include "base/exponential.h"
#include "base/one_value.h"
#include "base/q15.h"
#include "ops/table16.h"

// On float32 either a kernel, or one that multiplies by 1 and clamps to [a, b], or a loop of its own with two numbers.
typedef struct { er_float_function *kernel; er_float_binary *clamp; void (*loop)(size_t n, const float *x, float *y, float a, float b); float a, b; } float_function;

static void float_span(const er_op *op, size_t from, size_t to)
{
    const float_function *s = op->state;
    const float *x = er_f32(op->inputs[0]) + from;
    float *y = er_f32(op->outputs[0]) + from;
    if (s->kernel) s->kernel(to - from, x, y);
    else if (s->clamp) s->clamp(to - from, x, 1, &(float){1}, 0, s->a, s->b, y);
    else s->loop(to - from, x, y, s->a, s->b);
}

static void run_floats(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 2, float_span, op); }

// What is common: one input, one output of its type and shape. Either `*table` is set, or the float function is used.
static er_status prepare(er_prepare *p, er_op *op, float_function f, uint8_t **table)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    ER_TRY(er_set_same_shape(p, y, x));
    *table = NULL;
    if (er_is_8bit(x)) {
        ER_TRY(er_expect_quantized(p, x, "input"));
        ER_TRY(er_expect_quantized(p, y, "output"));
        return er_use_table(p, op, table);
    }
    er_status status;
    float_function *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = f;
    op->run = run_floats;
    op->share = ER_SHARE_IN_PLACE;
    return ER_OK;
}

static uint8_t clamped(int64_t v, int32_t min, int32_t max)
{
    return (uint8_t)er_clamp64(v, min, max);
}

// ---- functions in float32, rounded

static void fill_by_float(const er_tensor *x, const er_tensor *y, float (*fn)(float, const void *), uint8_t *table)
{
    int32_t min = er_lowest(y), max = er_highest(y);
    float inverse = 1.0f / er_scale(y);
    for (int32_t i = 0; i < 256; i++) {
        float v = fn(er_scale(x) * (float)(er_byte_value(x, i) - er_zero(x)), NULL);
        float q = roundf(v * inverse) + (float)er_zero(y);
        table[i] = clamped(q > (float)max ? max : q >= (float)min ? (int64_t)q : min, min, max);
    }
}

// Not by the C library's float functions, so that the result does not depend on them.
static float logistic(float x, const void *s) { (void)s; return 1.0f / (1.0f + er_expf(-x)); }
static float hyperbolic_tangent(float x, const void *s) { (void)s; return er_tanhf(x); }

// ---- on int16, by lines between points of the sigmoid

typedef struct { er_scaling16 scaling; bool tanh; uint16_t points[256]; } sigmoid16;

static void sigmoid16_span(const er_op *op, size_t from, size_t to)
{
    const sigmoid16 *s = op->state;
    const int16_t *x = op->inputs[0]->data;
    int16_t *y = op->outputs[0]->data;
    if (s->tanh) for (size_t i = from; i < to; i++) y[i] = er_tanh16(s->points, s->scaling, x[i]);
    else for (size_t i = from; i < to; i++) y[i] = er_logistic16(s->points, s->scaling, x[i]);
}

static void run_sigmoid16(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 2, sigmoid16_span, op); }

static er_status use_sigmoid16(er_prepare *p, er_op *op, bool tanh)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    ER_TRY(er_expect_symmetric(p, x, "input"));
    ER_TRY(er_expect_symmetric(p, y, "output"));
    if (er_scale(y) != 1.0f / 32768) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output has scale %g, expected 1/32768", (double)er_scale(y));
    er_status status;
    sigmoid16 *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->tanh = tanh;
    s->scaling = er_scaling16_of(er_scale(x), tanh ? 1 : 0);
    er_sigmoid_points(s->points);
    op->run = run_sigmoid16;
    op->kernel = "table";
    return ER_OK;
}

er_status er_prepare_logistic(er_prepare *p, er_op *op)
{
    uint8_t *table;
    ER_TRY(prepare(p, op, (float_function){.kernel = p->kernels->logistic_floats}, &table));
    const er_tensor *y = op->outputs[0];
    if (y->def->type == EDGERT_INT16) return use_sigmoid16(p, op, false);
    if (!table) return ER_OK;
    if (er_scale(y) != 1.0f / 256) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output has scale %g, expected 1/256", (double)er_scale(y));
    fill_by_float(op->inputs[0], y, logistic, table);
    return ER_OK;
}

er_status er_prepare_tanh(er_prepare *p, er_op *op)
{
    uint8_t *table;
    ER_TRY(prepare(p, op, (float_function){.kernel = p->kernels->tanh_floats}, &table));
    if (op->outputs[0]->def->type == EDGERT_INT16) return use_sigmoid16(p, op, true);
    if (table) fill_by_float(op->inputs[0], op->outputs[0], hyperbolic_tangent, table);
    return ER_OK;
}

// ---- the RELU family

// RELU and LEAKY_RELU on int16: one multiplier for each sign. A negative slope is rounded before its sign is changed.
typedef struct { er_multiplier positive, negative; bool turned; int32_t min, max; } relu16;

static int32_t leaked(int32_t x, er_multiplier positive, er_multiplier negative, bool turned)
{
    if (x >= 0) return er_requantize(x, positive);
    const int32_t y = er_requantize(x, negative);
    return turned ? (int32_t)(0 - (uint32_t)y) : y;
}

static void relu16_span(const er_op *op, size_t from, size_t to)
{
    const relu16 *s = op->state;
    const int16_t *x = op->inputs[0]->data;
    int16_t *y = op->outputs[0]->data;
    for (size_t i = from; i < to; i++) y[i] = (int16_t)er_clamp32(leaked(x[i], s->positive, s->negative, s->turned), s->min, s->max);
}

static void run_relu16(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 2, relu16_span, op); }

static er_status use_relu16(er_prepare *p, er_op *op, relu16 r)
{
    ER_TRY(er_expect_symmetric(p, op->inputs[0], "input"));
    ER_TRY(er_expect_symmetric(p, op->outputs[0], "output"));
    er_status status;
    relu16 *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = r;
    op->run = run_relu16;
    return ER_OK;
}

static er_status prepare_relu(er_prepare *p, er_op *op, er_activation activation)
{
    uint8_t *table;
    float_function f = {.clamp = p->kernels->mul_floats};
    ER_TRY(er_activation_floats(p, activation, &f.a, &f.b));
    ER_TRY(prepare(p, op, f, &table));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (x->def->type == EDGERT_FLOAT32) return ER_OK;
    er_output o;
    ER_TRY(er_activation_output(p, activation, y, &o));
    er_multiplier m = er_make_multiplier((double)(er_scale(x) / er_scale(y)));
    if (!table) return use_relu16(p, op, (relu16){m, m, false, o.min, o.max});
    for (int32_t i = 0; i < 256; i++)
        table[i] = clamped((int64_t)o.zero + er_requantize(er_byte_value(x, i) - er_zero(x), m), o.min, o.max);
    return ER_OK;
}

er_status er_prepare_relu(er_prepare *p, er_op *op) { return prepare_relu(p, op, ER_ACT_RELU); }
er_status er_prepare_relu6(er_prepare *p, er_op *op) { return prepare_relu(p, op, ER_ACT_RELU6); }
er_status er_prepare_relu_n1_to_1(er_prepare *p, er_op *op) { return prepare_relu(p, op, ER_ACT_RELU_N1_TO_1); }
er_status er_prepare_relu_0_to_1(er_prepare *p, er_op *op) { return prepare_relu(p, op, ER_ACT_RELU_0_TO_1); }

ER_FLOAT_LOOP(leak, ((void)unused, v * (v > 0 ? 1.0f : a)), , float a, float unused)      // without a branch

er_status er_prepare_leaky_relu(er_prepare *p, er_op *op)
{
    uint8_t *table;
    float alpha = er_read_leaky_relu_alpha(op->def->options);
    ER_TRY(prepare(p, op, (float_function){.loop = leak, .a = alpha}, &table));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (x->def->type == EDGERT_FLOAT32) return ER_OK;
    int32_t min = er_lowest(y), max = er_highest(y);
    er_multiplier positive = er_make_multiplier((double)(er_scale(x) / er_scale(y)));
    er_multiplier negative = er_make_multiplier((double)fabsf(er_scale(x) * alpha / er_scale(y)));
    if (!table) return use_relu16(p, op, (relu16){positive, negative, alpha < 0, min, max});
    for (int32_t i = 0; i < 256; i++) table[i] = clamped((int64_t)er_zero(y) + leaked(er_byte_value(x, i) - er_zero(x), positive, negative, alpha < 0), min, max);
    return ER_OK;
}

// ---- HARD_SWISH: x * relu6(x + 3) / 6, in 16-bit fixed point

static inline float clamp(float v, float min, float max)
{
    v = v < min ? min : v;
    return v > max ? max : v;
}

ER_FLOAT_LOOP(hard_swish, v * clamp(v + low, 0, high) / high, , float low, float high)

// er_times16, but cut towards zero.
static int16_t times16_cut(int16_t a, int16_t b) { return (int16_t)er_saturate16(a * b / (1 << 15)); }

// gemmlowp's division by 2^n, halves away from zero, on 16 bits: from n = 16 on its mask is all ones, and zero becomes one.
static int32_t rounding_shift16(int16_t x, int32_t n)
{
    int16_t mask = (int16_t)((INT64_C(1) << n) - 1);
    int32_t rest = x & mask, threshold = (mask >> 1) + (x < 0);
    return (x >> er_min32(n, 31)) + (rest > threshold);
}

// The upper half of a 31-bit multiplier.
static int16_t upper_half(int32_t q) { return (int16_t)(q >= INT32_MAX - (1 << 15) ? INT16_MAX : (q + (1 << 15)) >> 16); }

er_status er_prepare_hard_swish(er_prepare *p, er_op *op)
{
    uint8_t *table;
    ER_TRY(prepare(p, op, (float_function){.loop = hard_swish, .a = 3, .b = 6}, &table));
    if (!table) return ER_OK;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    int32_t min = er_lowest(y), max = er_highest(y);
    const float hires = (1.0f / 128.0f) * er_scale(x), reluish_scale = 3.0f / 32768.0f;
    er_multiplier mo = er_make_multiplier((double)(hires / er_scale(y))), mr = er_make_multiplier((double)(hires / reluish_scale));
    if (mo.shift > 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output's scale, %g, is too small for its input's, %g", (double)er_scale(y), (double)er_scale(x));
    int16_t qo = upper_half(mo.q), qr = upper_half(mr.q);
    for (int32_t i = 0; i < 256; i++) {
        int16_t v = (int16_t)(er_byte_value(x, i) - er_zero(x));
        int16_t fine = (int16_t)(v * (1 << 7));
        int16_t on_output_scale = (int16_t)er_times16(fine, qo);
        int16_t r = fine;
        if (mr.shift > 0) r = (int16_t)er_saturate16(er_saturating_left_shift(r, mr.shift - 1));
        r = (int16_t)er_times16(r, qr);
        if (mr.shift > 0) r = (int16_t)er_saturate16(r * 2);
        if (mr.shift < 0) r = (int16_t)rounding_shift16(r, -mr.shift);
        r = (int16_t)((r + (1 << 15)) >> 1);
        int32_t out = rounding_shift16(times16_cut(r, on_output_scale), -mo.shift);
        table[i] = clamped((int64_t)out + er_zero(y), min, max);
    }
    return ER_OK;
}
