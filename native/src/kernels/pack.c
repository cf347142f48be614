#include "kernels/pack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

void er_put_header(void *header, size_t width, size_t j, const er_channel *c, int32_t fold, bool real)
{
    uint8_t *h = header;
    int32_t bias = (int32_t)((uint32_t)c->bias - (uint32_t)fold);
    memcpy(h + 4 * j, &bias, 4);
    if (real) {
        memcpy(h + 4 * width + 8 * j, &c->m, 8);
    } else {
        er_multiplier m = er_make_multiplier(c->m);
        memcpy(h + 4 * (width + j), &m.q, 4);
        memcpy(h + 4 * (2 * width + j), &m.shift, 4);
    }
}

static inline int32_t weight_at(const void *weights, size_t i, bool is_unsigned)
{
    return is_unsigned ? ((const uint8_t *)weights)[i] : ((const int8_t *)weights)[i];
}

// The sum of the positive weights, and of the negative ones' magnitudes.
typedef struct { int64_t positive, negative; } magnitudes;

static magnitudes magnitudes_of(size_t k, size_t stride, size_t first, const void *weights, bool is_unsigned, int32_t w_zero)
{
    int64_t sum = 0, all = 0;
    if (stride == 1 && !is_unsigned) {      // a loop that the compiler makes vectors of
        const int8_t *w = (const int8_t *)weights + first;
        for (size_t done = 0; done < k;) {
            size_t end = k - done < 65536 ? k : done + 65536;
            int32_t part = 0, part_all = 0;
            for (size_t i = done; i < end; i++) {
                part += w[i];
                part_all += abs(w[i]);
            }
            sum += part;
            all += part_all;
            done = end;
        }
    } else {
        for (size_t i = 0; i < k; i++) {
            int32_t w = weight_at(weights, first + i * stride, is_unsigned) - w_zero;
            sum += w;
            all += abs(w);
        }
    }
    return (magnitudes){(all + sum) / 2, (all - sum) / 2};
}

void er_set_reach(er_output *o, size_t n, size_t k, size_t stride, size_t channel_stride, const void *weights, bool is_unsigned, int32_t w_zero,
                  int32_t x_zero, const er_channel *c)
{
    const double up = 255 - x_zero, down = x_zero;
    o->slow = o->large = o->wide = false;
    for (size_t j = 0; j < n; j++) {
        // Mostly the largest sum that any weights could have is small enough.
        double bias = c[j].bias, reach = fabs(bias) + 255.0 * (is_unsigned ? 255.0 : 128.0) * (double)k;
        const bool fine = c[j].m < 0x1p-15;
        if (reach * c[j].m < 0x1p14 && reach < (fine ? 0x1p24 : 0x1p30)) continue;
        if (o->large && c[j].m < 0.5 && (!fine || o->wide)) continue;       // nothing more to find out
        magnitudes w = magnitudes_of(k, stride, j * channel_stride, weights, is_unsigned, w_zero);
        double most = bias + up * (double)w.positive + down * (double)w.negative, least = bias - up * (double)w.negative - down * (double)w.positive;
        reach = fmax(fabs(most), fabs(least));
        if (reach >= 0x1p31) reach = most = 0x1p31;     // sums wrap
        o->large = o->large || most * c[j].m >= 0x1p15 - 512;
        o->wide = o->wide || (fine && reach >= 0x1p24);
        // Channels that are always zero come with biases of 2^30; what is multiplied with less than 1/2 is small all the same.
        o->slow = o->slow || (c[j].m >= 0.5 && (reach >= 0x1p30 || reach * c[j].m >= 0x1p30));
    }
}

// ---- matrix product

size_t er_qgemm_panel_bytes(const er_qgemm *g, size_t segments, size_t length, size_t extras)
{
    size_t nr = (size_t)g->nr, kr = (size_t)g->kr;
    return er_round_up(ER_HEADER * nr + (segments * er_round_up(length, kr) + extras * kr) * nr + er_qgemm_notes(g, segments, er_round_up(length, kr) / kr), 64);
}

static int32_t clamp_weight(int32_t v, int32_t least) { return v < least ? least : v > 127 ? 127 : v; }

// How many more numbers of [least, 127] it takes to add up to v, from -255 to 255.
static size_t pieces_left(int32_t v, int32_t least)
{
    int32_t rest = v - clamp_weight(v, least);
    return (rest != 0) + (rest != clamp_weight(rest, least));
}

size_t er_qgemm_extras(const er_qgemm *g, const er_gemm_weights *w, uint32_t *list)
{
    if (!w->is_unsigned && g->least == -128) return 0;
    size_t kr = (size_t)g->kr, groups = (w->length + kr - 1) / kr, count = 0;
    const uint8_t *weights = w->w, flip = w->is_unsigned ? 0 : 0x80;
    uint8_t least = 255, most = 0;
    for (size_t i = 0; i < w->n * w->segments * w->length; i++) {
        const uint8_t v = weights[i] ^ flip;
        if (v < least) least = v;
        if (v > most) most = v;
    }
    if (!pieces_left(least - flip - w->zero, g->least) && !pieces_left(most - flip - w->zero, g->least)) return 0;
    for (size_t s = 0; s < w->segments; s++) {
        for (size_t k = 0; k < groups; k++) {
            size_t need = 0;
            for (size_t j = 0; j < w->n; j++) {
                for (size_t i = k * kr; i < (k + 1) * kr && i < w->length; i++) {
                    size_t left = pieces_left(weight_at(weights, (j * w->segments + s) * w->length + i, w->is_unsigned) - w->zero, g->least);
                    if (left > need) need = left;
                }
            }
            for (size_t e = 0; e < need; e++, count++)
                if (list) list[count] = (uint32_t)(s * groups + k);
        }
    }
    return count;
}

// Where a run's groups go: `kr` bytes each, `step` bytes apart.
typedef struct { int8_t *to; size_t kr, step; } places;

// A run of weights; the bytes behind the last are zero already. Returns their sum.
__attribute__((always_inline)) static inline int32_t put_run(const places at, const size_t kr, const int8_t *w, size_t length)
{
    const size_t step = at.step;
    int8_t *to = at.to;
    int32_t sum = 0;
    size_t i = 0;
    for (; i + kr <= length; i += kr, to += step) {
        for (size_t j = 0; j < kr; j++) {
            to[j] = w[i + j];
            sum += to[j];
        }
    }
    for (size_t j = 0; i + j < length; j++) {
        to[j] = w[i + j];
        sum += to[j];
    }
    return sum;
}

// The same for weights that may leave something over for the extras.
static int32_t put_clamped_run(places p, const void *w, bool is_unsigned, int32_t zero, int32_t least, size_t length)
{
    int32_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        int32_t v = weight_at(w, i, is_unsigned) - zero;
        p.to[i / p.kr * p.step + i % p.kr] = (int8_t)clamp_weight(v, least);
        sum += v;
    }
    return sum;
}

// The extras of one channel: of a group that is listed twice, the second takes what the first has left.
static void put_extras(const er_qgemm *g, int8_t *to, size_t step, const er_gemm_weights *w, size_t channel, size_t extras, const uint32_t *list)
{
    const size_t kr = (size_t)g->kr, groups = (w->length + kr - 1) / kr;
    for (size_t e = 0; e < extras; e++, to += step) {
        const size_t run = (channel * w->segments + list[e] / groups) * w->length;
        bool second = e > 0 && list[e - 1] == list[e];
        for (size_t i = 0, k = list[e] % groups * kr; i < kr && k < w->length; i++, k++) {
            int32_t v = weight_at(w->w, run + k, w->is_unsigned) - w->zero, rest = v - clamp_weight(v, g->least);
            to[i] = (int8_t)(second ? rest - clamp_weight(rest, g->least) : clamp_weight(rest, g->least));
        }
    }
}

// Channel j of panel p of a strip, whose weights begin at `to`. Returns their sum.
static uint32_t put_channel(const er_qgemm *g, const er_gemm_weights *w, size_t channel, size_t panels, size_t p, size_t j, size_t extras,
                            const uint32_t *list, int8_t *to)
{
    const size_t kr = (size_t)g->kr, chunk = (size_t)g->nr * kr, bundle = (size_t)g->bundle, length = w->length, groups = (length + kr - 1) / kr;
    const bool clamped = w->is_unsigned || extras;
    uint32_t sum = 0;
    for (size_t s = 0; s < w->segments; s++, to += groups * panels * chunk) {
        const int8_t *from = (const int8_t *)w->w + (channel * w->segments + s) * length;
        for (size_t g0 = 0, together; g0 < groups; g0 += together) {
            together = bundle == 1 ? groups : groups - g0 < bundle ? groups - g0 : bundle;
            const size_t k0 = g0 * kr, n = length - k0 < together * kr ? length - k0 : together * kr;
            // Alone, groups are as far apart as panels make them; in bundles they are next to each other.
            const places at = bundle == 1 ? (places){to + p * chunk + j * kr, kr, panels * chunk} : (places){to + g0 * panels * chunk + p * together * chunk + j * kr, kr, chunk};
            // With the group's size known the compiler makes one move of it.
            if (clamped) sum += (uint32_t)put_clamped_run(at, from + k0, w->is_unsigned, w->zero, g->least, n);
            else if (kr == 4) sum += (uint32_t)put_run(at, 4, from + k0, n);
            else if (kr == 2) sum += (uint32_t)put_run(at, 2, from + k0, n);
            else sum += (uint32_t)put_run(at, kr, from + k0, n);
        }
    }
    put_extras(g, to + p * chunk + j * kr, panels * chunk, w, channel, extras, list);
    return sum;
}

void er_qgemm_pack(const er_qgemm *g, const er_gemm_weights *w, size_t extras, const uint32_t *list, int32_t a_zero,
                   const er_channel *channels, bool real, void *packed)
{
    size_t nr = (size_t)g->nr, panel_bytes = er_qgemm_panel_bytes(g, w->segments, w->length, extras), left = (w->n + nr - 1) / nr, panels;
    uint8_t *base = packed;
    for (size_t n0 = 0; left; left -= panels, n0 += panels * nr, base += panels * panel_bytes) {
        panels = g->strip(left);
        memset(base, 0, panels * panel_bytes);
        for (size_t i = 0; i < panels * nr && n0 + i < w->n; i++) {
            size_t p = i / nr, j = i % nr;
            uint32_t sum = put_channel(g, w, n0 + i, panels, p, j, extras, list, (int8_t *)base + panels * ER_HEADER * nr);
            const int32_t fold = (int32_t)(sum * (uint32_t)a_zero);
            if (g->one_header) er_put_header(base, panels * nr, i, &channels[n0 + i], fold, real);
            else er_put_header(base + p * ER_HEADER * nr, nr, j, &channels[n0 + i], fold, real);
        }
        if (g->take_notes) g->take_notes(base, panels, panel_bytes, w->segments, (w->length + (size_t)g->kr - 1) / (size_t)g->kr);
    }
}

size_t er_sgemm_panel_floats(const er_sgemm *g, size_t k) { return (size_t)g->nr * (k + 1); }

void er_sgemm_pack(const er_sgemm *g, size_t n, size_t k, const float *weights, const float *bias, float *packed)
{
    size_t nr = (size_t)g->nr;
    memset(packed, 0, (n + nr - 1) / nr * er_sgemm_panel_floats(g, k) * sizeof *packed);
    for (size_t j = 0; j < n; j++) {
        float *panel = packed + j / nr * er_sgemm_panel_floats(g, k);
        panel[j % nr] = bias ? bias[j] : 0;
        for (size_t i = 0; i < k; i++) panel[nr + i * nr + j % nr] = weights[j * k + i];
    }
}

// ---- depthwise

int32_t er_depthwise_fold(const er_depthwise_weights *w, size_t c, int32_t x_zero)
{
    int32_t sum = 0;
    for (size_t ky = 0; ky < w->kh; ky++)
        for (size_t kx = 0; kx < w->kw; kx++) sum += er_depthwise_weight(w, ky, kx, c);
    return (int32_t)((uint32_t)sum * (uint32_t)x_zero);
}
