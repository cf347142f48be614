// Functions of two values with broadcasting: DIV, FLOOR_DIV, FLOOR_MOD, POW, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE, ATAN2, BITWISE_XOR,
// RIGHT_SHIFT, and ADD, SUB, MUL on whole numbers, MUL on complex ones. Quantized ones: elementwise.c.
//
// Whole numbers that do not fit wrap, as the reference's do on x86.
#include "ops/binary.h"

#include <math.h>

#include "ops/broadcast.h"
#include "ops/elementwise.h"

typedef struct binary binary;
typedef void loop(const er_op *op, const binary *s, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *y);

struct binary {
    er_broadcast bc;
    loop *loop;
    size_t element;
    int32_t low, high;          // int32 and int64: range after the fused activation
    int64_t lowest, highest;
    float min, max;
};

typedef struct { const er_op *op; const binary *s; } run_arg;

static void run_pair(const void *state, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *y)
{
    const run_arg *arg = state;
    arg->s->loop(arg->op, arg->s, n, a, a_step, b, b_step, y);
}

static void run_binary(const er_op *op, er_pool *pool)
{
    const binary *s = op->state;
    const er_tensor *a = op->inputs[0], *b = op->inputs[1], *y = op->outputs[0];
    const run_arg arg = {op, s};
    // One thread alone tells of a fault, which whole numbers may have.
    if (a->def->type == EDGERT_FLOAT32) er_broadcast_shared(pool, (double)y->count * 32, &s->bc, s->element, a->data, b->data, y->data, run_pair, &arg);
    else er_broadcast_each(&s->bc, s->element, a->data, b->data, y->data, run_pair, &arg);
}

// One loop a type and function: x and z are an element of each input. Of inputs that both advance, as vectors.
#define LOOP(name, type, expression)                                                                                   \
    static void name(const er_op *op, const binary *s, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *out) \
    {                                                                                                                  \
        (void)op, (void)s;                                                                                             \
        const type *p = a, *q = b;                                                                                     \
        type *y = out;                                                                                                 \
        if (a_step && b_step) {                                                                                        \
            for (size_t i = 0; i < n; i++) {                                                                           \
                const type x = p[i], z = q[i];                                                                         \
                y[i] = (type)(expression);                                                                             \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        if (a_step) {                                                                                                  \
            const type z = *q;                                                                                         \
            for (size_t i = 0; i < n; i++) {                                                                           \
                const type x = p[i];                                                                                   \
                y[i] = (type)(expression);                                                                             \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        for (size_t i = 0; i < n; i++, p += a_step, q += b_step) {                                                     \
            const type x = *p, z = *q;                                                                                 \
            y[i] = (type)(expression);                                                                                 \
        }                                                                                                              \
    }

static inline float clamp_float(float v, const binary *s) { return v < s->min ? s->min : v > s->max ? s->max : v; }
static inline int32_t clamp_int(int32_t v, const binary *s) { return er_clamp32(v, s->low, s->high); }
static inline int64_t clamp_long(uint64_t v, const binary *s)
{
    const int64_t x = (int64_t)v;
    return x < s->lowest ? s->lowest : x > s->highest ? s->highest : x;
}

static inline int64_t divide(const er_op *op, int64_t x, int64_t z)
{
    if (z == 0) er_op_fault(op, "it divides by 0");
    return z == 0 ? 0 : z == -1 ? (int64_t)(0 - (uint64_t)x) : x / z;
}

static inline int64_t divide_down(const er_op *op, int64_t x, int64_t z)
{
    const int64_t q = divide(op, x, z);
    return q - (z != 0 && z != -1 && x % z != 0 && (x < 0) != (z < 0));
}

static inline int64_t modulo(const er_op *op, int64_t x, int64_t z)
{
    if (z == 0) er_op_fault(op, "it divides by 0");
    const int64_t m = z == 0 || z == -1 ? 0 : x % z;
    return m != 0 && (m < 0) != (z < 0) ? m + z : m;
}

static inline float modulo_float(float x, float z)
{
    const float m = fmodf(x, z);
    return m != 0 && (m < 0) != (z < 0) ? m + z : m;
}

static inline int32_t power_int(const er_op *op, int32_t x, int32_t z)
{
    if (z < 0) er_op_fault(op, "an exponent of a whole number is negative");
    const double v = z < 0 ? 0 : pow((double)x, (double)z);
    return v > -2147483649.0 && v < 2147483648.0 ? (int32_t)v : INT32_MIN;
}

LOOP(add_i32, int32_t, clamp_int((int32_t)((uint32_t)x + (uint32_t)z), s))
LOOP(add_i64, int64_t, clamp_long((uint64_t)x + (uint64_t)z, s))
LOOP(sub_i32, int32_t, clamp_int((int32_t)((uint32_t)x - (uint32_t)z), s))
LOOP(sub_i64, int64_t, clamp_long((uint64_t)x - (uint64_t)z, s))
LOOP(mul_i32, int32_t, clamp_int((int32_t)((uint32_t)x * (uint32_t)z), s))
LOOP(mul_i64, int64_t, clamp_long((uint64_t)x * (uint64_t)z, s))
LOOP(mul_u32, uint32_t, x * z)
LOOP(div_f32, float, clamp_float(x / z, s))
LOOP(div_i32, int32_t, clamp_int((int32_t)divide(op, x, z), s))
LOOP(floor_div_f32, float, floor((double)x / (double)z))
LOOP(floor_div_i8, int8_t, divide_down(op, x, z))
LOOP(floor_div_i16, int16_t, divide_down(op, x, z))
LOOP(floor_div_i32, int32_t, divide_down(op, x, z))
LOOP(floor_div_i64, int64_t, divide_down(op, x, z))
LOOP(floor_mod_f32, float, modulo_float(x, z))
LOOP(floor_mod_i8, int8_t, modulo(op, x, z))
LOOP(floor_mod_i16, int16_t, modulo(op, x, z))
LOOP(floor_mod_i32, int32_t, modulo(op, x, z))
LOOP(floor_mod_i64, int64_t, modulo(op, x, z))
LOOP(pow_f32, float, pow((double)x, (double)z))
LOOP(pow_i32, int32_t, power_int(op, x, z))
LOOP(max_f32, float, x > z ? x : z)
LOOP(max_i8, int8_t, x > z ? x : z)
LOOP(max_u8, uint8_t, x > z ? x : z)
LOOP(max_i16, int16_t, x > z ? x : z)
LOOP(max_i32, int32_t, x > z ? x : z)
LOOP(max_i64, int64_t, x > z ? x : z)
LOOP(min_f32, float, x < z ? x : z)
LOOP(min_i8, int8_t, x < z ? x : z)
LOOP(min_u8, uint8_t, x < z ? x : z)
LOOP(min_i16, int16_t, x < z ? x : z)
LOOP(min_i32, int32_t, x < z ? x : z)
LOOP(min_i64, int64_t, x < z ? x : z)
LOOP(squared_f32, float, (x - z) * (x - z))
LOOP(squared_i32, int32_t, ((uint32_t)x - (uint32_t)z) * ((uint32_t)x - (uint32_t)z))
LOOP(atan2_f32, float, atan2((double)x, (double)z))
LOOP(atan2_f64, double, atan2(x, z))
LOOP(xor_8, uint8_t, x ^ z)
LOOP(xor_16, uint16_t, x ^ z)
LOOP(xor_32, uint32_t, x ^ z)
// A shift by the width and more gives the sign, by less than nothing nothing: as the reference.
static inline int32_t shift_by(int64_t z, int32_t bits) { return (int32_t)(z < 0 ? 0 : z >= bits ? bits - 1 : z); }
LOOP(shift_i8, int8_t, x >> shift_by(z, 8))
LOOP(shift_u8, uint8_t, x >> shift_by(z, 8))
LOOP(shift_i16, int16_t, x >> shift_by(z, 16))
LOOP(shift_u16, uint16_t, x >> shift_by(z, 16))
LOOP(shift_i32, int32_t, x >> shift_by(z, 32))
LOOP(shift_u32, uint32_t, x >> shift_by(z, 32))
#undef LOOP

static void mul_complex(const er_op *op, const binary *s, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *out)
{
    (void)op, (void)s;
    const float *x = a, *z = b;
    float *y = out;
    for (size_t i = 0; i < n; i++, x += 2 * a_step, z += 2 * b_step, y += 2) {
        y[0] = x[0] * z[0] - x[1] * z[1];
        y[1] = x[0] * z[1] + x[1] * z[0];
    }
}

static loop *const loops[ER_BINARY_FUNCTIONS][EDGERT_UINT16 + 1] = {
    [ER_BINARY_ADD] = {[EDGERT_INT32] = add_i32, [EDGERT_INT64] = add_i64},
    [ER_BINARY_SUB] = {[EDGERT_INT32] = sub_i32, [EDGERT_INT64] = sub_i64},
    [ER_BINARY_MUL] = {[EDGERT_INT32] = mul_i32, [EDGERT_INT64] = mul_i64, [EDGERT_UINT32] = mul_u32, [EDGERT_COMPLEX64] = mul_complex},
    [ER_BINARY_DIV] = {[EDGERT_FLOAT32] = div_f32, [EDGERT_INT32] = div_i32},
    [ER_BINARY_FLOOR_DIV] = {[EDGERT_FLOAT32] = floor_div_f32, [EDGERT_INT8] = floor_div_i8, [EDGERT_INT16] = floor_div_i16, [EDGERT_INT32] = floor_div_i32, [EDGERT_INT64] = floor_div_i64},
    [ER_BINARY_FLOOR_MOD] = {[EDGERT_FLOAT32] = floor_mod_f32, [EDGERT_INT8] = floor_mod_i8, [EDGERT_INT16] = floor_mod_i16, [EDGERT_INT32] = floor_mod_i32, [EDGERT_INT64] = floor_mod_i64},
    [ER_BINARY_POW] = {[EDGERT_FLOAT32] = pow_f32, [EDGERT_INT32] = pow_i32},
    [ER_BINARY_MAXIMUM] = {[EDGERT_FLOAT32] = max_f32, [EDGERT_INT8] = max_i8, [EDGERT_UINT8] = max_u8, [EDGERT_INT16] = max_i16, [EDGERT_INT32] = max_i32, [EDGERT_INT64] = max_i64},
    [ER_BINARY_MINIMUM] = {[EDGERT_FLOAT32] = min_f32, [EDGERT_INT8] = min_i8, [EDGERT_UINT8] = min_u8, [EDGERT_INT16] = min_i16, [EDGERT_INT32] = min_i32, [EDGERT_INT64] = min_i64},
    [ER_BINARY_SQUARED_DIFFERENCE] = {[EDGERT_FLOAT32] = squared_f32, [EDGERT_INT32] = squared_i32},
    [ER_BINARY_ATAN2] = {[EDGERT_FLOAT32] = atan2_f32, [EDGERT_FLOAT64] = atan2_f64},
    [ER_BINARY_XOR] = {[EDGERT_INT8] = xor_8, [EDGERT_UINT8] = xor_8, [EDGERT_INT16] = xor_16, [EDGERT_UINT16] = xor_16, [EDGERT_INT32] = xor_32, [EDGERT_UINT32] = xor_32},
    [ER_BINARY_SHIFT] = {[EDGERT_INT8] = shift_i8, [EDGERT_UINT8] = shift_u8, [EDGERT_INT16] = shift_i16, [EDGERT_UINT16] = shift_u16, [EDGERT_INT32] = shift_i32, [EDGERT_UINT32] = shift_u32},
};

er_status er_prepare_binary(er_prepare *p, er_op *op, er_binary_function f, er_activation activation)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1];
    const edgert_type type = a->def->type;
    ER_TRY(er_expect_type(p, b, type, "second input"));
    ER_TRY(er_expect_type(p, op->outputs[0], type, "output"));
    if (type > EDGERT_UINT16 || !loops[f][type]) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it has no function for %s", er_type_name(type));
    er_status status;
    binary *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->loop = loops[f][type];
    s->element = er_type_size(type);
    ER_TRY(er_broadcast_shapes(p, a, b, op->outputs[0], &s->bc));
    ER_TRY(er_activation_floats(p, activation, &s->min, &s->max));
    s->low = isfinite(s->min) ? (int32_t)s->min : INT32_MIN;
    s->high = isfinite(s->max) ? (int32_t)s->max : INT32_MAX;
    s->lowest = isfinite(s->min) ? s->low : INT64_MIN;
    s->highest = isfinite(s->max) ? s->high : INT64_MAX;
    op->run = run_binary;
    return ER_OK;
}

er_status er_prepare_div(er_prepare *p, er_op *op)
{
    if (op->n_inputs > 0 && op->inputs[0] && (er_is_8bit(op->inputs[0]) || er_is_16bit(op->inputs[0]))) return er_prepare_quantized_div(p, op);
    return er_prepare_binary(p, op, ER_BINARY_DIV, er_read_activation(op->def->options));
}

er_status er_prepare_squared_difference(er_prepare *p, er_op *op)
{
    if (op->n_inputs > 0 && op->inputs[0] && er_is_8bit(op->inputs[0])) return er_prepare_quantized_squared_difference(p, op);
    return er_prepare_binary(p, op, ER_BINARY_SQUARED_DIFFERENCE, ER_ACT_NONE);
}

er_status er_prepare_floor_div(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_FLOOR_DIV, ER_ACT_NONE); }
er_status er_prepare_floor_mod(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_FLOOR_MOD, ER_ACT_NONE); }
er_status er_prepare_pow(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_POW, ER_ACT_NONE); }
er_status er_prepare_maximum(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_MAXIMUM, ER_ACT_NONE); }
er_status er_prepare_minimum(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_MINIMUM, ER_ACT_NONE); }
er_status er_prepare_atan2(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_ATAN2, ER_ACT_NONE); }
er_status er_prepare_bitwise_xor(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_XOR, ER_ACT_NONE); }
er_status er_prepare_right_shift(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_SHIFT, ER_ACT_NONE); }
