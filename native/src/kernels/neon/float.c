// float32: products, fused or exact, in tiles of up to 8 rows by one panel of 8 channels. AArch64 only: NEON of ARMv7 flushes small
// numbers to zero.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/arm/columns.h"
#include "kernels/float_pool.h"
#include "kernels/loops.h"
#include "kernels/neon/neon.h"

enum { NR = 8, MR = 8 };

// This order of operands keeps a NaN.
static inline float32x4_t clamped(float32x4_t x, float32x4_t min, float32x4_t max) { return vminq_f32(vmaxq_f32(x, min), max); }

static inline void store_floats(float *out, float32x4_t low, float32x4_t high, size_t n)
{
    if (n >= NR) {
        vst1q_f32(out, low);
        vst1q_f32(out + 4, high);
        return;
    }
    float v[NR];
    vst1q_f32(v, low);
    vst1q_f32(v + 4, high);
    for (size_t j = 0; j < n; j++) out[j] = v[j];
}

#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define DECLARE(i) float32x4_t low##i = vdupq_n_f32(0), high##i = low##i;
#define ROW_POINTER(i) const float *a##i = a + (i < mr ? i : 0) * stride;
#define LOAD(i) const float32x4_t x##i = vld1q_f32(a##i + k);
#define STEP(i, lane) \
    if (i < mr) { \
        low##i = exact ? vaddq_f32(low##i, vmulq_laneq_f32(w_low, x##i, lane)) : vfmaq_laneq_f32(low##i, w_low, x##i, lane); \
        high##i = exact ? vaddq_f32(high##i, vmulq_laneq_f32(w_high, x##i, lane)) : vfmaq_laneq_f32(high##i, w_high, x##i, lane); \
    }
#define STEP_0(i) STEP(i, 0)
#define STEP_1(i) STEP(i, 1)
#define STEP_2(i) STEP(i, 2)
#define STEP_3(i) STEP(i, 3)
#define ONE_OF_FOUR(number, X) { const float32x4_t w_low = vld1q_f32(w + number * NR), w_high = vld1q_f32(w + number * NR + 4); EACH_ROW(X) }
#define ONE(i) \
    if (i < mr) { \
        low##i = exact ? vaddq_f32(low##i, vmulq_n_f32(w_low, a##i[k])) : vfmaq_n_f32(low##i, w_low, a##i[k]); \
        high##i = exact ? vaddq_f32(high##i, vmulq_n_f32(w_high, a##i[k])) : vfmaq_n_f32(high##i, w_high, a##i[k]); \
    }
#define FINISH(i) \
    if (i < mr) store_floats(out + i * out_stride, clamped(vaddq_f32(low##i, bias_low), least, most), clamped(vaddq_f32(high##i, bias_high), least, most), n);

__attribute__((always_inline)) static inline void
tile(const bool exact, const size_t mr, const er_rows *r, const uint8_t *rows, size_t n, const float *panel, float min, float max, float *out, size_t out_stride)
{
    const size_t stride = r->row_stride / sizeof(float), length = r->groups;
    const float *w = panel + NR;
    EACH_ROW(DECLARE)
    for (size_t s = 0; s < r->segments; s++) {
        const float *a = (const float *)(const void *)(rows + s * r->segment_stride);
        EACH_ROW(ROW_POINTER)
        size_t k = 0;
        for (; k + 4 <= length; k += 4, w += 4 * NR) {
            EACH_ROW(LOAD)
            ONE_OF_FOUR(0, STEP_0) ONE_OF_FOUR(1, STEP_1) ONE_OF_FOUR(2, STEP_2) ONE_OF_FOUR(3, STEP_3)
        }
        for (; k < length; k++, w += NR) ONE_OF_FOUR(0, ONE)
    }
    const float32x4_t bias_low = vld1q_f32(panel), bias_high = vld1q_f32(panel + 4), least = vdupq_n_f32(min), most = vdupq_n_f32(max);
    EACH_ROW(FINISH)
}

#define CASE(mr) case mr: tile(exact, mr, r, rows, n - n0, panel, min, max, to, out_stride); break

__attribute__((always_inline)) static inline void run_lines(const bool exact, const er_rows *r, size_t n, const float *packed, size_t panel_floats, float min,
                                                            float max, float *out, size_t out_stride)
{
    for (size_t n0 = 0; n0 < n; n0 += NR) {
        const float *panel = packed + n0 / NR * panel_floats;
        for (size_t line = 0; line < r->lines; line++) {
            const uint8_t *rows = (const uint8_t *)r->a + line * r->line_stride;
            float *to = out + line * r->m * out_stride + n0;
            for (size_t left = r->m, mr; left; left -= mr, rows += mr * r->row_stride, to += mr * out_stride) {
                mr = left < MR ? left : MR;
                switch (mr) { CASE(8); CASE(7); CASE(6); CASE(5); CASE(4); CASE(3); CASE(2); CASE(1); }
            }
        }
    }
}

static void sgemm(const er_rows *r, size_t n, const float *packed, size_t panel_floats, float min, float max, float *out, size_t out_stride)
{
    run_lines(false, r, n, packed, panel_floats, min, max, out, out_stride);
}

static void sgemm_exact(const er_rows *r, size_t n, const float *packed, size_t panel_floats, float min, float max, float *out, size_t out_stride)
{
    run_lines(true, r, n, packed, panel_floats, min, max, out, out_stride);
}

#define ADD_TAP(exact, sum, x, w) ((exact) ? vaddq_f32(sum, vmulq_f32(x, w)) : vfmaq_f32(sum, x, w))

typedef struct {
    size_t n, channels, x_step;
    const float *const *tap;
    const float *bias, *w;
    float32x4_t least, most;
    float *out;
    size_t out_stride;
} dw_job;

// Four channels from c on of nine taps, whose weights stay in registers. `slides`: taps are rows of three columns next to each other, so that
// columns stay there, too, while they are part of an output.
#define NINE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define DW_WEIGHT(t) const float32x4_t w##t = vld1q_f32(j->w + t * j->channels + c);
#define DW_TAP(t) const float *from##t = j->tap[t] + c;
#define DW_PRODUCT(t) sum = ADD_TAP(exact, sum, vld1q_f32(from##t + x * j->x_step), w##t);
#define DW_STORE \
    vst1q_f32(out, clamped(vaddq_f32(sum, bias), j->least, j->most)); \
    out += j->out_stride;
#define DW_OUTPUT(a, b, c) \
    { \
        float32x4_t sum = vdupq_n_f32(0); \
        sum = ADD_TAP(exact, ADD_TAP(exact, ADD_TAP(exact, sum, a##0, w0), b##0, w1), c##0, w2); \
        sum = ADD_TAP(exact, ADD_TAP(exact, ADD_TAP(exact, sum, a##1, w3), b##1, w4), c##1, w5); \
        sum = ADD_TAP(exact, ADD_TAP(exact, ADD_TAP(exact, sum, a##2, w6), b##2, w7), c##2, w8); \
        DW_STORE \
        if (--left == 0) break; \
    }

__attribute__((always_inline)) static inline void nine_taps(const bool exact, const dw_job *j, bool slides, size_t c)
{
    NINE(DW_WEIGHT)
    const float32x4_t bias = vld1q_f32(j->bias + c);
    float *out = j->out + c;
    if (!slides) {
        NINE(DW_TAP)
        for (size_t x = 0; x < j->n; x++) {
            float32x4_t sum = vdupq_n_f32(0);
            NINE(DW_PRODUCT)
            DW_STORE
        }
        return;
    }
    const size_t step = j->x_step * sizeof(float);
    const float *r0 = j->tap[0] + c, *r1 = j->tap[3] + c, *r2 = j->tap[6] + c;
    float32x4_t x0, x1, x2, y0, y1, y2, z0, z1, z2;
    size_t left = j->n;
    NEXT_COLUMN(x)
    NEXT_COLUMN(y)
    EACH_NEIGHBOUR(DW_OUTPUT)
}

// Any taps: four outputs, or one, so that weights are loaded once for them, and no sum waits for the one before.
__attribute__((always_inline)) static inline void any_taps(const bool exact, const dw_job *j, size_t taps, const size_t outputs, size_t x, size_t c)
{
    float32x4_t sum[4];
    for (size_t i = 0; i < outputs; i++) sum[i] = vdupq_n_f32(0);
    for (size_t t = 0; t < taps; t++) {
        const float *from = j->tap[t] + x * j->x_step + c;
        const float32x4_t w = vld1q_f32(j->w + t * j->channels + c);
        for (size_t i = 0; i < outputs; i++) sum[i] = ADD_TAP(exact, sum[i], vld1q_f32(from + i * j->x_step), w);
    }
    const float32x4_t bias = vld1q_f32(j->bias + c);
    for (size_t i = 0; i < outputs; i++) vst1q_f32(j->out + (x + i) * j->out_stride + c, clamped(vaddq_f32(sum[i], bias), j->least, j->most));
}

__attribute__((always_inline)) static inline void depthwise(const bool exact, size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step,
                                                            const float *bias, const float *w, float min, float max, float *out, size_t out_stride)
{
    const dw_job j = {n, channels, x_step, tap, bias, w, vdupq_n_f32(min), vdupq_n_f32(max), out, out_stride};
    bool slides = taps == 9;
    for (size_t t = 0; t < taps && slides; t++) slides = t % 3 == 0 || tap[t] == tap[t - 1] + x_step;
    size_t c = 0;
    for (; n && c + 4 <= channels; c += 4) {
        if (taps == 9) {
            nine_taps(exact, &j, slides, c);
            continue;
        }
        size_t x = 0;
        for (; x + 4 <= n; x += 4) any_taps(exact, &j, taps, 4, x, c);
        for (; x < n; x++) any_taps(exact, &j, taps, 1, x, c);
    }
    for (; c < channels; c++)
        for (size_t x = 0; x < n; x++) {
            float sum = 0;
            for (size_t t = 0; t < taps; t++) sum = exact ? sum + tap[t][x * x_step + c] * w[t * channels + c] : fmaf(tap[t][x * x_step + c], w[t * channels + c], sum);
            sum += bias[c];
            out[x * out_stride + c] = sum < min ? min : sum > max ? max : sum;
        }
}

static void sdepthwise(size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step, const float *bias, const float *w, float min, float max,
                       float *out, size_t out_stride)
{
    depthwise(false, n, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
}

static void sdepthwise_exact(size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step, const float *bias, const float *w, float min, float max,
                             float *out, size_t out_stride)
{
    depthwise(true, n, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
}

void er_neon_float(er_kernels *k)
{
    k->sgemm = (er_sgemm){NR, sgemm};
    SET_LOOPS(k)
    SET_FLOAT_POOLS(k)
    k->sdepthwise = sdepthwise;
    k->sgemm_exact = (er_sgemm){NR, sgemm_exact};
    k->sdepthwise_exact = sdepthwise_exact;
}
#else
#include "kernels/neon/neon.h"

void er_neon_float(er_kernels *k) { (void)k; }
#endif
