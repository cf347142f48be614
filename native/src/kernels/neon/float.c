// float32: products, fused or exact, in tiles of up to 8 rows by one panel of 8 channels. AArch64 only: NEON of ARMv7 flushes small
// numbers to zero.
#if defined(__aarch64__)
#include <arm_neon.h>

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

__attribute__((always_inline)) static inline void depthwise(const bool exact, size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step,
                                                            const float *bias, const float *w, float min, float max, float *out, size_t out_stride)
{
    const float32x4_t least = vdupq_n_f32(min), most = vdupq_n_f32(max);
    for (size_t x = 0; x < n; x++) {
        size_t c = 0;
        for (; c + 4 <= channels; c += 4) {
            float32x4_t sum = vdupq_n_f32(0);
            for (size_t t = 0; t < taps; t++) {
                const float32x4_t from = vld1q_f32(tap[t] + x * x_step + c), weight = vld1q_f32(w + t * channels + c);
                sum = exact ? vaddq_f32(sum, vmulq_f32(from, weight)) : vfmaq_f32(sum, from, weight);
            }
            vst1q_f32(out + x * out_stride + c, clamped(vaddq_f32(sum, vld1q_f32(bias + c)), least, most));
        }
        for (; c < channels; c++) {
            float sum = 0;
            for (size_t t = 0; t < taps; t++) sum += tap[t][x * x_step + c] * w[t * channels + c];
            sum += bias[c];
            out[x * out_stride + c] = sum < min ? min : sum > max ? max : sum;
        }
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
    k->sdepthwise = sdepthwise;
    k->sgemm_exact = (er_sgemm){NR, sgemm_exact};
    k->sdepthwise_exact = sdepthwise_exact;
}
#else
#include "kernels/neon/neon.h"

void er_neon_float(er_kernels *k) { (void)k; }
#endif
