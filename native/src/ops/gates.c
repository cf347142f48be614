#include "ops/gates.h"

#include <math.h>

void er_vector_carve(er_vector *v, er_carver *c)
{
    v->bytes = er_carve(c, v->n * v->batches);
    v->quantized = er_carve(c, v->batches * sizeof *v->quantized);
}

void er_vector_quantize(er_vector *v, bool asymmetric)
{
    v->zero = true;
    for (size_t i = 0; v->zero && i < v->n * v->batches; i++) v->zero = v->values[i] == 0;
    for (size_t b = 0; v->bytes && !v->zero && b < v->batches; b++)
        v->quantized[b] = er_quantize_floats(v->kernels, v->values + b * v->n, v->n, asymmetric, v->bytes + b * v->n);
}

void er_gate_accumulate(const er_tensor *w, const er_vector *x, size_t rows, float *y)
{
    if (x->zero) return;
    for (size_t b = 0; b < x->batches; b++, y += rows) {
        const float *v = x->values + b * x->n;
        if (w->rank == 1) {
            for (size_t r = 0; r < rows; r++) y[r] += er_f32(w)[r] * v[r];
        } else if (w->def->type == EDGERT_FLOAT32) {
            for (size_t r = 0; r < rows; r++) y[r] += x->kernels->dot_floats(x->n, er_f32(w) + r * x->n, v);
        } else {
            const er_dynamic q = x->quantized[b];
            const float scale = q.scale * er_scale(w);
            for (size_t r = 0; r < rows; r++) {
                y[r] += (float)x->kernels->dot_bytes(x->n, er_i8(w) + r * x->n, x->bytes + b * x->n, q.zero) * scale;
            }
        }
    }
}

er_status er_expect_gate_activation(er_prepare *p, er_activation a)
{
    if (a == ER_ACT_NONE || a == ER_ACT_RELU || a == ER_ACT_RELU_N1_TO_1 || a == ER_ACT_RELU6 || a == ER_ACT_TANH) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its activation number %d is not supported", (int)a);
}

void er_gate_activate(const er_kernels *kernels, er_activation a, size_t n, const float *x, float *y)
{
    if (a == ER_ACT_TANH) {
        kernels->tanh_floats(n, x, y);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const float v = x[i];
        switch (a) {
        case ER_ACT_RELU: y[i] = v < 0 ? 0 : v; break;
        case ER_ACT_RELU_N1_TO_1: y[i] = v < -1 ? -1 : v > 1 ? 1 : v; break;
        case ER_ACT_RELU6: y[i] = v < 0 ? 0 : v > 6 ? 6 : v; break;
        default: y[i] = v;
        }
    }
}

void er_gate_normalize(size_t n, size_t batches, float *x)
{
    for (size_t b = 0; b < batches; b++, x += n) {
        float sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) sum += x[i];
        const float mean = sum / (float)n;
        for (size_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
        const float inverse = 1.0f / sqrtf(squares / (float)n + 1e-8f);
        for (size_t i = 0; i < n; i++) x[i] = (x[i] - mean) * inverse;
    }
}

// ---- gemmlowp's fixed point on int16

static int16_t saturate(int32_t x) { return (int16_t)er_clamp32(x, INT16_MIN, INT16_MAX); }

// a * b in Q0.15 of their formats, halves away from zero.
static int16_t times(int16_t a, int16_t b)
{
    if (a == INT16_MIN && b == INT16_MIN) return INT16_MAX;
    const int32_t ab = a * b;
    return (int16_t)((ab + (ab >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15));
}

static int16_t shift_left(int16_t x, int32_t n) { return saturate((int32_t)((uint32_t)(int32_t)x << n)); }
static int16_t shift_right(int16_t x, int32_t n) { return (int16_t)er_rounding_shift(x, n); }

// A constant of 31 bits as 15.
static int16_t constant(int32_t q31) { return (int16_t)er_rounding_shift(q31, 16); }

// exp(x) for x <= 0 in Q(bits).
static int16_t exp_q15(int16_t x, int32_t bits)
{
    static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (x == 0) return INT16_MAX;
    const int32_t fraction = 15 - bits, quarter = 1 << (fraction - 2);
    const int16_t part = (int16_t)((x & (quarter - 1)) - quarter);
    // Taylor's series around -1/8.
    const int16_t a = (int16_t)(shift_left(part, bits) + (1 << 12));
    const int16_t a2 = times(a, a), a3 = times(a2, a), a4 = times(a2, a2);
    const int16_t tail = shift_right((int16_t)(times((int16_t)(shift_right(a4, 2) + a3), constant(715827883)) + a2), 1);
    const int16_t middle = constant(1895147668);
    int16_t y = saturate(middle + times(middle, (int16_t)(a + tail)));
    const int32_t rest = part - x;
    for (int32_t k = 0; k < 7; k++)
        if (bits > k - 2 && rest & 1 << (fraction + k - 2)) y = times(y, constant(factor[k]));
    if (bits > 5 && x < -(32 << fraction)) return 0;
    return y;
}

// 1 / ((1 + x) / 2) in Q2.13, for x in [0, 1].
static int16_t reciprocal(int16_t x)
{
    const int32_t sum = x + INT16_MAX;
    const int16_t half = (int16_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    int16_t y = (int16_t)(constant(1515870810) + times(half, (int16_t)-constant(1010580540)));
    for (int i = 0; i < 3; i++) {
        const int16_t off = (int16_t)((1 << 13) - times(half, y));
        y = (int16_t)(y + shift_left(times(y, off), 2));
    }
    return y;
}

int16_t er_sigmoid_q15(int16_t x)
{
    if (x == 0) return 1 << 14;
    // Of what is positive, and 1 less that for the rest.
    const int16_t y = shift_left(reciprocal(exp_q15((int16_t)(x > 0 ? -x : x), 3)), 1);
    return x > 0 ? y : (int16_t)(INT16_MAX - y);
}

int16_t er_tanh_q15(int16_t x, int32_t bits)
{
    if (x == 0) return 0;
    const int16_t e = exp_q15((int16_t)(x < 0 ? x : -x), bits + 1);
    const int16_t y = shift_left((int16_t)(reciprocal(e) - (1 << 13)), 2);
    return x < 0 ? (int16_t)-y : y;
}
