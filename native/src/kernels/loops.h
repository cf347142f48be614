// Plain loops, compiled once for each instruction set, which compilers make vectors of: what surrounds the products of a float32 input that is
// quantized when it comes, the products of recurrent networks and of 16x8 ones, float additions and multiplications, and functions of floats.
#ifndef ER_KERNELS_LOOPS_H
#define ER_KERNELS_LOOPS_H

#include <math.h>
#include <string.h>

#include "base/exponential.h"
#include "base/one_value.h"
#include "base/q15.h"
#include "kernels/kernels.h"

// Numbers in the order of floats, and back. Reductions of floats stay as they are written, those of integers become vectors.
static inline int32_t ordered(int32_t bits) { return bits ^ (bits >> 31 & INT32_MAX); }

static inline float from_ordered(int32_t v)
{
    const int32_t bits = ordered(v);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

ER_FLOAT_LOOP(tanh_floats, er_tanhf(v), )
ER_FLOAT_LOOP(sigmoid_floats, er_sigmoidf(v), )
ER_FLOAT_LOOP(logistic_floats, er_logisticf(v), )
ER_FLOAT_LOOP(exp_floats, er_exp_of_float(v), )
ER_FLOAT_LOOP(elu_floats, er_eluf(v), )
ER_FLOAT_LOOP(gelu_floats, er_geluf(v), )
ER_FLOAT_LOOP(gelu_tanh_floats, er_gelu_tanhf(v), )
ER_LOOP(int16_t, sigmoid_words, er_sigmoid_q15(v), )
ER_LOOP(int16_t, tanh_words, er_tanh_q15(v, bits), , int32_t bits)

// er_requantize without the case that no multiplier makes, both factors INT32_MIN, which would be a branch.
static inline int32_t requantized(int32_t x, er_multiplier m)
{
    const int32_t left = m.shift > 0 ? m.shift : 0, right = m.shift > 0 ? 0 : -m.shift;
    const int64_t product = (int64_t)(int32_t)((uint32_t)x << left) * m.q;
    return er_rounding_shift((int32_t)((product + (INT64_C(1) << 30)) >> 31), right);
}

static void gate_words(size_t n, const int32_t *a, er_multiplier am, const int32_t *b, er_multiplier bm, int16_t *y)
{
    for (size_t i = 0; i < n; i++) {
        const int64_t sum = (int64_t)er_saturate16(requantized(a[i], am)) + requantized(b[i], bm);
        y[i] = (int16_t)(sum < INT16_MIN ? INT16_MIN : sum > INT16_MAX ? INT16_MAX : sum);
    }
}

// Numbers come to where they are bytes in pieces of so many: between 64 bits and 8 gcc finds no vectors in one step.
enum { TOGETHER = 64 };

// y[i] = zero + clamp(v[i], min, max).
static inline void put_bytes(size_t n, const int32_t *v, int32_t zero, int32_t min, int32_t max, uint8_t *y)
{
    for (size_t i = 0; i < n; i++) {
        const int32_t least = v[i] < min ? min : v[i];
        y[i] = (uint8_t)(zero + (least > max ? max : least));
    }
}

static void requantize_sums(size_t n, const int32_t *sums, int32_t less, er_multiplier m, const er_output *o, uint8_t *y)
{
    const int32_t zero = o->zero, min = o->min - zero, max = o->max - zero;
    int32_t part[TOGETHER];
    for (size_t i = 0, some; i < n; i += some, sums += some, y += some) {
        some = n - i < TOGETHER ? n - i : TOGETHER;
        for (size_t j = 0; j < some; j++) part[j] = requantized((int32_t)((uint32_t)sums[j] - (uint32_t)less), m);
        put_bytes(some, part, zero, min, max, y);
    }
}

static void requantize_channels(size_t pixels, size_t n, const int32_t *sums, const er_channel_multipliers *m, const er_output *o, uint8_t *y)
{
    const int32_t zero = o->zero, min = o->min - zero, max = o->max - zero;
    int32_t part[TOGETHER];
    for (size_t i = 0; i < pixels; i++, sums += n, y += n) {
        for (size_t c = 0, some; c < n; c += some) {
            const int32_t *x = sums + c, *bias = m->bias + c, *q = m->q + c, *left = m->left + c, *right = m->right + c;
            some = n - c < TOGETHER ? n - c : TOGETHER;
            for (size_t j = 0; j < some; j++) {
                const int64_t product = (int64_t)(int32_t)(((uint32_t)x[j] + (uint32_t)bias[j]) << left[j]) * q[j];
                part[j] = er_rounding_shift((int32_t)((product + (INT64_C(1) << 30)) >> 31), right[j]);
            }
            put_bytes(some, part, zero, min, max, y + c);
        }
    }
}

// n terms of a 16-bit sum, or as many times the only one.
static inline void word_terms(size_t n, const int16_t *x, size_t step, int32_t zero, int32_t shift, er_multiplier m, int32_t *y)
{
    const int32_t first = requantized((int32_t)((uint32_t)(x[0] - zero) << shift), m);
    for (size_t j = 0; j < n; j++) y[j] = step ? requantized((int32_t)((uint32_t)(x[j] - zero) << shift), m) : first;
}

static inline void put_words(size_t n, const int32_t *v, const er_output *o, int16_t *y)
{
    const int32_t zero = o->zero, min = o->min - zero, max = o->max - zero;
    for (size_t i = 0; i < n; i++) {
        const int32_t least = v[i] < min ? min : v[i];
        y[i] = (int16_t)(zero + (least > max ? max : least));
    }
}

static void add_words(size_t n, const int16_t *a, size_t a_step, const int16_t *b, size_t b_step, const er_words_params *p, int16_t *out)
{
    const er_multiplier m = p->out;
    const uint32_t sign = p->subtract ? UINT32_MAX : 1;
    int32_t u[TOGETHER], v[TOGETHER];
    for (size_t i = 0, some; i < n; i += some, a += some * a_step, b += some * b_step, out += some) {
        some = n - i < TOGETHER ? n - i : TOGETHER;
        word_terms(some, a, a_step, p->a_zero, p->shift, p->a, u);
        word_terms(some, b, b_step, p->b_zero, p->shift, p->b, v);
        for (size_t j = 0; j < some; j++) u[j] = requantized((int32_t)((uint32_t)u[j] + sign * (uint32_t)v[j]), m);
        put_words(some, u, &p->o, out);
    }
}

static void mul_words(size_t n, const int16_t *a, size_t a_step, const int16_t *b, size_t b_step, const er_words_params *p, int16_t *out)
{
    const er_multiplier m = p->out;
    const int32_t a_zero = p->a_zero, b_zero = p->b_zero;
    int32_t v[TOGETHER];
    for (size_t i = 0, some; i < n; i += some, a += some * a_step, b += some * b_step, out += some) {
        some = n - i < TOGETHER ? n - i : TOGETHER;
        for (size_t j = 0; j < some; j++) v[j] = b[b_step ? j : 0] - b_zero;
        for (size_t j = 0; j < some; j++) v[j] = requantized((int32_t)((uint32_t)(a[a_step ? j : 0] - a_zero) * (uint32_t)v[j]), m);
        put_words(some, v, &p->o, out);
    }
}

static void add_to_floats(size_t n, const void *x, void *y)
{
    const float *from = x;
    float *to = y;
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

static void add_to_sums(size_t n, const void *x, void *y)
{
    const uint32_t *from = x;
    uint32_t *to = y;
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

static void prelu(size_t n, const uint8_t *x, size_t x_step, const uint8_t *alpha, size_t alpha_step, const er_prelu_params *p, uint8_t *y)
{
    const int32_t x_zero = p->x_zero, alpha_zero = p->alpha_zero, zero = p->zero, min = p->min - zero, max = p->max - zero, flip = p->is_signed ? 128 : 0;
    const er_multiplier positive = p->positive, negative = p->negative;
    int32_t v[TOGETHER], product[TOGETHER];
    for (size_t i = 0, some; i < n; i += some, x += some * x_step, alpha += some * alpha_step, y += some) {
        some = n - i < TOGETHER ? n - i : TOGETHER;
        // An int8 with its top bit inverted is 128 more than it was.
        for (size_t j = 0; j < some; j++) v[j] = (x[j * x_step] ^ flip) - flip - x_zero;
        for (size_t j = 0; j < some; j++) product[j] = v[j] * ((alpha[j * alpha_step] ^ flip) - flip - alpha_zero);
        for (size_t j = 0; j < some; j++) {
            const int32_t a = requantized(v[j], positive), b = requantized(product[j], negative);
            v[j] = v[j] >= 0 ? a : b;
        }
        put_bytes(some, v, zero, min, max, y);
    }
}

static void float_range(size_t n, const float *x, float *least, float *most)
{
    int32_t low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        const int32_t v = ordered(bits);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    *least = from_ordered(low);
    *most = from_ordered(high);
    if (!isnan(*least) && !isnan(*most)) return;
    *least = *most = 0;     // NaN is in the range of all others
    for (size_t i = 0; i < n; i++) {
        if (x[i] < *least) *least = x[i];
        if (x[i] > *most) *most = x[i];
    }
}

// Half away from zero: the largest float below 1/2 is added and the rest cut off. Right for every float from -256 to 256 (all were tried). The zero point,
// a whole number, comes after that: where it is not 0 the sum's halves would go the other way.
static void quantize_dynamic(size_t n, const float *x, float inverse, float zero, float low, int8_t *y)
{
    const float least = low - zero, most = 127 - zero;
    const int32_t offset = (int32_t)zero;
    for (size_t i = 0; i < n; i++) {
        float v = x[i] * inverse;
        v = v > least ? v : least;
        v = v < most ? v : most;
        y[i] = (int8_t)((int32_t)(v + copysignf(0x1.fffffep-2f, v)) + offset);
    }
}

static void scale_sums(size_t n, const int32_t *sums, const int32_t *weight_sums, int32_t zero, const float *scales, float scale, bool apart,
                       const float *bias, float min, float max, float *y)
{
    const float first = apart ? 1 : scale, second = apart ? scale : 1;
    for (size_t j = 0; j < n; j++) {
        const int32_t sum = (int32_t)((uint32_t)sums[j] - (uint32_t)zero * (uint32_t)weight_sums[j]);
        const float v = (float)sum * (scales[j] * first) * second + bias[j];
        y[j] = v < min ? min : v > max ? max : v;
    }
}

static float dot_floats(size_t n, const float *a, const float *b)
{
    enum { LANES = 16 };
    float lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += a[i + j] * b[i + j];
    for (; i < n; i++) sum += a[i] * b[i];
    for (size_t j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

static int32_t dot_bytes(size_t n, const int8_t *w, const int8_t *x, int32_t zero)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const int16_t a = (int16_t)(x[i] - zero), b = w[i];
        sum += (uint32_t)(a * b);
    }
    return (int32_t)sum;
}

static int32_t dot_unsigned(size_t n, const int8_t *w, const uint8_t *x)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const int16_t a = x[i], b = w[i];
        sum += (uint32_t)(a * b);
    }
    return (int32_t)sum;
}

static void dot_blocks(size_t blocks, size_t size, const uint8_t *w, const int8_t *x, const int32_t *eights, const float *scales, float *y)
{
    for (size_t b = 0; b < blocks; b++, scales += ER_BLOCK_ROWS) {
        int32_t sums[ER_BLOCK_ROWS];
        for (size_t j = 0; j < ER_BLOCK_ROWS; j++) sums[j] = -eights[b];
        for (size_t i = 0; i < size; i += 8, x += 8, w += 4 * ER_BLOCK_ROWS) {
            for (size_t j = 0; j < ER_BLOCK_ROWS; j++) {
                int32_t sum = 0;
                for (size_t t = 0; t < 4; t++) sum += (w[4 * j + t] & 15) * x[t] + (w[4 * j + t] >> 4) * x[4 + t];
                sums[j] += sum;
            }
        }
        for (size_t j = 0; j < ER_BLOCK_ROWS; j++) y[j] += (float)sums[j] * scales[j];
    }
}

static int64_t dot_words(size_t n, const int16_t *x, const int8_t *w)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n;) {        // 256 products of 24 bits fit 32
        const size_t end = n - i < 256 ? n : i + 256;
        int32_t part = 0;
        for (; i < end; i++) {
            const int16_t v = w[i];
            part += x[i] * v;
        }
        sum += part;
    }
    return sum;
}

static void add_products(size_t n, const int16_t *x, int32_t zero, const int8_t *w, int32_t *sums)
{
    for (size_t i = 0; i < n; i++) sums[i] += (x[i] - zero) * w[i];
}

static inline float clamp_float(float v, float min, float max) { return v < min ? min : v > max ? max : v; }

// Vectors where steps are 1, and where one input is one number.
#define FLOATS(name, expression) \
    static void name(size_t n, const float *a, size_t a_step, const float *b, size_t b_step, float min, float max, float *y) \
    { \
        if (a_step && b_step) { \
            for (size_t i = 0; i < n; i++) { const float p = a[i], q = b[i]; y[i] = clamp_float(expression, min, max); } \
        } else if (a_step) { \
            const float q = *b; \
            for (size_t i = 0; i < n; i++) { const float p = a[i]; y[i] = clamp_float(expression, min, max); } \
        } else { \
            const float p = *a; \
            for (size_t i = 0; i < n; i++) { const float q = b[i * b_step]; y[i] = clamp_float(expression, min, max); } \
        } \
    }
FLOATS(add_floats, p + q)
FLOATS(sub_floats, p - q)
FLOATS(mul_floats, p * q)
#undef FLOATS

#define SET_LOOPS(k) \
    (k)->tanh_floats = tanh_floats; \
    (k)->sigmoid_floats = sigmoid_floats; \
    (k)->logistic_floats = logistic_floats; \
    (k)->exp_floats = exp_floats; \
    (k)->elu_floats = elu_floats; \
    (k)->gelu_floats = gelu_floats; \
    (k)->gelu_tanh_floats = gelu_tanh_floats; \
    (k)->sigmoid_words = sigmoid_words; \
    (k)->tanh_words = tanh_words; \
    (k)->gate_words = gate_words; \
    (k)->requantize_sums = requantize_sums; \
    (k)->prelu = prelu; \
    (k)->add_to_floats = add_to_floats; \
    (k)->add_to_sums = add_to_sums; \
    (k)->requantize_channels = requantize_channels; \
    (k)->float_range = float_range; \
    (k)->quantize_dynamic = quantize_dynamic; \
    (k)->scale_sums = scale_sums; \
    (k)->dot_floats = dot_floats; \
    (k)->dot_bytes = dot_bytes; \
    (k)->dot_unsigned = dot_unsigned; \
    (k)->dot_blocks = dot_blocks; \
    (k)->add_floats = add_floats; \
    (k)->sub_floats = sub_floats; \
    (k)->mul_floats = mul_floats; \
    (k)->dot_words = dot_words; \
    (k)->add_products = add_products; \
    (k)->add_words = add_words; \
    (k)->mul_words = mul_words;

#endif
