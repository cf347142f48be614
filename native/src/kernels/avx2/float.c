// float32: products with fused multiply-add, tiles of up to 6 rows by 2 panels of 8 channels.
#include <immintrin.h>

#include "kernels/loops.h"
#include "kernels/avx2/avx2.h"

enum { NR = 8, MR = 6 };

static inline __m256 clamp8(__m256 x, float min, float max)
{
    // This order of operands keeps a NaN.
    return _mm256_min_ps(_mm256_set1_ps(max), _mm256_max_ps(_mm256_set1_ps(min), x));
}

static inline void store_floats(float *out, __m256 x, size_t n)
{
    if (n >= 8) {
        _mm256_storeu_ps(out, x);
        return;
    }
    float v[8];
    _mm256_storeu_ps(v, x);
    for (size_t j = 0; j < n; j++) out[j] = v[j];
}

__attribute__((always_inline)) static inline void
tile(size_t mr, size_t panels, const er_rows *r, const uint8_t *rows, size_t n, const float *panel, size_t panel_floats, float min, float max,
     float *out, size_t out_stride)
{
    __m256 sum[MR][2];
    for (size_t p = 0; p < panels; p++)
        for (size_t i = 0; i < mr; i++) sum[i][p] = _mm256_setzero_ps();
    const float *w0 = panel + NR;
    const size_t stride = r->row_stride / sizeof(float);
    for (size_t s = 0; s < r->segments; s++) {
        const float *a = (const float *)(const void *)(rows + s * r->segment_stride);
        for (size_t g = 0; g < r->groups; g++, a++, w0 += NR) {
            __m256 w[2];
            w[0] = _mm256_loadu_ps(w0);
            w[1] = panels > 1 ? _mm256_loadu_ps(w0 + panel_floats) : w[0];
            for (size_t i = 0; i < mr; i++) {
                __m256 x = _mm256_set1_ps(a[i * stride]);
                for (size_t p = 0; p < panels; p++) sum[i][p] = _mm256_fmadd_ps(x, w[p], sum[i][p]);
            }
        }
    }
    for (size_t p = 0; p < panels; p++) {
        __m256 bias = _mm256_loadu_ps(panel + p * panel_floats);
        for (size_t i = 0; i < mr; i++)
            store_floats(out + i * out_stride + p * NR, clamp8(_mm256_add_ps(sum[i][p], bias), min, max), n - p * NR);
    }
}

#define CASE(mr, panels) case mr: tile(mr, panels, r, rows, n, panel, panel_floats, min, max, out, out_stride); break

// One line of rows by `panels` panels, in tiles of even height up to `most`: a small rest would not hide the latency of
// its few sums.
static void run_line(const er_rows *r, const uint8_t *rows, size_t panels, size_t most, size_t n, const float *panel, size_t panel_floats, float min,
                 float max, float *out, size_t out_stride)
{
    for (size_t left = r->m, tiles = (left + most - 1) / most; left; tiles--) {
        size_t mr = (left + tiles - 1) / tiles;
        if (panels == 2) {
            switch (mr) { CASE(6, 2); CASE(5, 2); CASE(4, 2); CASE(3, 2); CASE(2, 2); CASE(1, 2); }
        } else {
            switch (mr) { CASE(6, 1); CASE(5, 1); CASE(4, 1); CASE(3, 1); CASE(2, 1); CASE(1, 1); }
        }
        left -= mr;
        rows += mr * r->row_stride;
        out += mr * out_stride;
    }
}

static void sgemm(const er_rows *r, size_t n, const float *packed, size_t panel_floats, float min, float max, float *out, size_t out_stride)
{
    for (size_t n0 = 0; n0 < n;) {
        size_t panels = n - n0 > NR ? 2 : 1, most = MR;
        const float *panel = packed + n0 / NR * panel_floats;
        for (size_t line = 0; line < r->lines; line++)
            run_line(r, (const uint8_t *)r->a + line * r->line_stride, panels, most, n - n0, panel, panel_floats, min, max,
                     out + line * r->m * out_stride + n0, out_stride);
        n0 += panels * NR;
    }
}

static void sdepthwise(size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step, const float *bias,
                       const float *w, float min, float max, float *out, size_t out_stride)
{
    for (size_t x = 0; x < n; x++) {
        size_t c = 0;
        for (; c + 8 <= channels; c += 8) {
            __m256 sum = _mm256_setzero_ps();
            for (size_t t = 0; t < taps; t++)
                sum = _mm256_fmadd_ps(_mm256_loadu_ps(tap[t] + x * x_step + c), _mm256_loadu_ps(w + t * channels + c), sum);
            _mm256_storeu_ps(out + x * out_stride + c, clamp8(_mm256_add_ps(sum, _mm256_loadu_ps(bias + c)), min, max));
        }
        for (; c < channels; c++) {
            float sum = 0;
            for (size_t t = 0; t < taps; t++) sum += tap[t][x * x_step + c] * w[t * channels + c];
            sum += bias[c];
            out[x * out_stride + c] = sum < min ? min : sum > max ? max : sum;
        }
    }
}

void er_avx2_float(er_kernels *k)
{
    k->sgemm = (er_sgemm){NR, sgemm};
    SET_LOOPS(k)
    k->sdepthwise = sdepthwise;
}
