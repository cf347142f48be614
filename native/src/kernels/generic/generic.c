// The plain C kernels: what every instruction set must equal.
#include <string.h>

#include "kernels/float_pool.h"
#include "kernels/loops.h"
#include "kernels/reduce.h"
#include "kernels/convert.h"
#include "base/checked.h"
#include "kernels/finish.h"
#include "kernels/pack.h"

enum { NR = 4 };

static void pack_a(void *dst, const void *src, size_t n, bool is_signed)
{
    int16_t *d = dst;
    for (size_t i = 0; i < n; i++) d[i] = is_signed ? ((const int8_t *)src)[i] : ((const uint8_t *)src)[i];
}

static size_t one_panel(size_t left)
{
    (void)left;
    return 1;
}

static void qgemm(const er_rows *r, size_t n, size_t behind, const void *panels, size_t panel_bytes, const er_output *o, uint8_t *out, size_t out_stride)
{
    (void)behind;
    for (size_t n0 = 0; n0 < n; n0 += NR) {
        const uint8_t *panel = (const uint8_t *)panels + n0 / NR * panel_bytes;
        const int32_t *header = (const int32_t *)(const void *)panel;
        for (size_t i = 0; i < r->lines * r->m; i++) {
            const uint8_t *row = (const uint8_t *)r->a + i / r->m * r->line_stride + i % r->m * r->row_stride;
            const int8_t *w = (const int8_t *)panel + (ER_HEADER + r->before * r->groups) * NR;
            uint32_t sum[NR];
            for (size_t j = 0; j < NR; j++) sum[j] = (uint32_t)header[j];
            for (size_t s = 0; s < r->segments; s++) {
                const int16_t *a = (const int16_t *)(const void *)(row + s * r->segment_stride);
                for (size_t k = 0; k < r->groups; k++, w += NR)
                    for (size_t j = 0; j < NR; j++) sum[j] += (uint32_t)(a[k] * w[j]);
            }
            for (size_t e = 0; e < r->extras; e++, w += NR) {
                int16_t a;
                memcpy(&a, row + r->extra_at[e], sizeof a);
                for (size_t j = 0; j < NR; j++) sum[j] += (uint32_t)(a * w[j]);
            }
            if (o->sums) {
                memcpy(out + i * out_stride + n0 * sizeof(int32_t), sum, sizeof sum);
                continue;
            }
            for (size_t j = 0; j < NR && n0 + j < n; j++) out[i * out_stride + n0 + j] = er_finish((int32_t)sum[j], header, NR, j, o);
        }
    }
}

static inline float clampf(float x, float min, float max) { return x < min ? min : x > max ? max : x; }

static void sgemm(const er_rows *r, size_t n, const float *panels, size_t panel_floats, float min, float max, float *out, size_t out_stride)
{
    for (size_t n0 = 0; n0 < n; n0 += NR) {
        const float *panel = panels + n0 / NR * panel_floats;
        for (size_t i = 0; i < r->lines * r->m; i++) {
            const uint8_t *row = (const uint8_t *)r->a + i / r->m * r->line_stride + i % r->m * r->row_stride;
            const float *w = panel + NR;
            float sum[NR] = {0};
            for (size_t s = 0; s < r->segments; s++) {
                const float *a = (const float *)(const void *)(row + s * r->segment_stride);
                for (size_t k = 0; k < r->groups; k++, w += NR)
                    for (size_t j = 0; j < NR; j++) sum[j] += a[k] * w[j];
            }
            for (size_t j = 0; j < NR && n0 + j < n; j++) out[i * out_stride + n0 + j] = clampf(sum[j] + panel[j], min, max);
        }
    }
}

static inline int32_t value(uint8_t raw, bool is_signed) { return is_signed ? (int8_t)raw : raw; }

// One header for all channels, then int16 w[kh][kw][channels].
static size_t depthwise_pack(const er_depthwise_weights *w, void *packed)
{
    uint8_t *to = packed;
    size_t n = w->channels;
    for (size_t c = 0; packed && c < n; c++) {
        er_put_header(packed, n, c, &w->params[c], er_depthwise_fold(w, c, w->x_zero), w->real);
        for (size_t ky = 0; ky < w->kh; ky++) {
            for (size_t kx = 0; kx < w->kw; kx++) {
                int16_t v = (int16_t)er_depthwise_weight(w, ky, kx, c);
                memcpy(to + ER_HEADER * n + 2 * ((ky * w->kw + kx) * n + c), &v, 2);
            }
        }
    }
    return (ER_HEADER + 2 * w->kh * w->kw) * n;
}

static void qdepthwise(size_t n, size_t channels, const er_taps *t, const void *packed, const er_output *o, uint8_t *out, size_t out_stride)
{
    const int32_t *bias = packed;
    const int16_t *weights = (const int16_t *)(const void *)((const uint8_t *)packed + ER_HEADER * channels);
    for (size_t i = 0; i < t->lines * n; i++) {
        const uint8_t *const *row = t->row + i / n * t->kh;
        size_t x = i % n;
        for (size_t c = 0; c < channels; c++) {
            const int16_t *w = weights + c;
            uint32_t sum = (uint32_t)bias[c];
            for (size_t ky = 0; ky < t->kh; ky++)
                for (size_t kx = 0; kx < t->kw; kx++, w += channels)
                    sum += (uint32_t)(value(row[ky][x * t->x_step + kx * t->tap_step + c], t->is_signed) * *w);
            out[i / n * t->out_line + x * out_stride + c] = er_finish((int32_t)sum, packed, channels, c, o);
        }
    }
}

static void sdepthwise(size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step, const float *bias,
                       const float *w, float min, float max, float *out, size_t out_stride)
{
    for (size_t x = 0; x < n; x++) {
        for (size_t c = 0; c < channels; c++) {
            float sum = 0;
            for (size_t t = 0; t < taps; t++) sum += tap[t][x * x_step + c] * w[t * channels + c];
            out[x * out_stride + c] = clampf(sum + bias[c], min, max);
        }
    }
}

void er_qadd_generic(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) out[i] = er_qadd_one(a[i * a_step], b[i * b_step], p);
}

static void qmul(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qmul_params *p, uint8_t *out)
{
    uint8_t header[ER_HEADER] = {0};
    er_put_header(header, 1, 0, &(er_channel){0, p->m}, 0, false);
    for (size_t i = 0; i < n; i++)
        out[i] = er_finish((value(a[i * a_step], p->a_signed) - p->a_zero) * (value(b[i * b_step], p->b_signed) - p->b_zero), header, 1, 0, &p->o);
}

static void qmax_pool(size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out)
{
    for (size_t at = 0; pixels; pixels--, at += x_step, out += channels) {
        for (size_t c = 0; c < channels; c++) {
            int32_t best = value(tap[0][at + c], is_signed);
            for (size_t t = 1; t < taps; t++) best = er_max32(best, value(tap[t][at + c], is_signed));
            out[c] = (uint8_t)er_clamp32(best, min, max);
        }
    }
}

static void qaverage_pool(size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out)
{
    const int32_t n = (int32_t)taps;
    for (size_t at = 0; pixels; pixels--, at += x_step, out += channels) {
        for (size_t c = 0; c < channels; c++) {
            int32_t sum = 0;
            for (size_t t = 0; t < taps; t++) sum += value(tap[t][at + c], is_signed);
            int32_t mean = sum > 0 || !is_signed ? (sum + n / 2) / n : (sum - n / 2) / n;
            out[c] = (uint8_t)er_clamp32(mean, min, max);
        }
    }
}

static void resize_uint8(size_t n, size_t channels, const float *top, const float *bottom, const er_resize_column *columns, uint8_t *out)
{
    for (size_t i = 0; i < n; i++, out += channels) {
        size_t l = columns[i].low, h = columns[i].high;
        float right = columns[i].real, left = 1 - right;
        for (size_t c = 0; c < channels; c++)
            out[c] = (uint8_t)(top[l + c] * left + bottom[l + c] * left + top[h + c] * right + bottom[h + c] * right + 0.5f);
    }
}

static void resize_int8(size_t n, size_t channels, const int32_t *mixed, const er_resize_column *columns, int8_t *out)
{
    for (size_t i = 0; i < n; i++, out += channels) {
        const int32_t *low = mixed + columns[i].low, *high = mixed + columns[i].high, right = columns[i].fixed, left = 1024 - right;
        for (size_t c = 0; c < channels; c++) {
            int32_t sum = low[c] * left + high[c] * right;     // |sum| <= 128 * 2^20: it fits
            out[c] = (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
        }
    }
}

static void qarg_max(size_t rows, size_t n, const uint8_t *v, bool is_signed, int32_t *best)
{
    for (size_t r = 0; r < rows; r++, v += n) {
        best[r] = 0;
        for (size_t i = 1; i < n; i++)
            if (value(v[i], is_signed) > value(v[best[r]], is_signed)) best[r] = (int32_t)i;
    }
}

static void qlookup(size_t n, const uint8_t *x, const uint8_t *table, uint8_t *y)
{
    for (size_t i = 0; i < n; i++) y[i] = table[x[i]];
}

void er_kernels_generic(er_kernels *k)
{
    k->speed = 1;
    k->qgemm = (er_qgemm){.nr = NR, .kr = 1, .a_size = 2, .bundle = 1, .least = -128, .pack_a = pack_a, .strip = one_panel, .run = qgemm};
    k->sgemm = k->sgemm_exact = (er_sgemm){NR, sgemm};
    SET_LOOPS(k)
    SET_REDUCTIONS(k)
    SET_FLOAT_POOLS(k)
    k->qdepthwise = (er_qdepthwise){ER_BYTES_ANY, 1, 1, depthwise_pack, qdepthwise};
    k->sdepthwise = k->sdepthwise_exact = sdepthwise;
    k->qadd = er_qadd_generic;
    k->qmul = qmul;
    k->qmax_pool = qmax_pool;
    k->qaverage_pool = qaverage_pool;
    k->resize_uint8 = resize_uint8;
    k->resize_int8 = resize_int8;
    k->qlookup = qlookup;
    k->quantize = quantize;
    k->dequantize = dequantize;
    k->qarg_max = qarg_max;
}
