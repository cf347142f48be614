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

// Eight bytes are added up as one word, two of them in each field of 16 bits, which holds the sum of 128 words.
enum { WORDS = 128 };
static const uint64_t low_bytes = UINT64_C(0x00ff00ff00ff00ff), sign_bits = UINT64_C(0x8080808080808080);

static inline uint64_t add_fields(uint64_t fields, uint64_t bytes) { return fields + (bytes & low_bytes) + (bytes >> 8 & low_bytes); }

static inline int64_t sum_of_fields(uint64_t f)
{
    return (int64_t)((f & 0xffff) + (f >> 16 & 0xffff) + (f >> 32 & 0xffff) + (f >> 48));
}

// The sum of n bytes that are unsigned when `flip`, of a byte of a word, has been applied.
static int64_t sum_of_bytes(const uint8_t *w, size_t n, uint64_t flip)
{
    int64_t sum = 0;
    size_t i = 0;
    while (n - i >= 8) {
        const size_t rest = (n - i) / 8, words = rest < WORDS ? rest : WORDS;
        uint64_t fields = 0, word;
        for (size_t j = 0; j < words; j++, i += 8) {
            memcpy(&word, w + i, 8);
            fields = add_fields(fields, word ^ flip);
        }
        sum += sum_of_fields(fields);
    }
    for (; i < n; i++) sum += (uint8_t)(w[i] ^ (flip & 0xff));
    return sum;
}

// The sum of the positive weights, and of the negative ones' magnitudes.
typedef struct { int64_t positive, negative; } magnitudes;

static magnitudes magnitudes_of_bytes(const int8_t *w, size_t n)
{
    magnitudes all = {0, 0};
    size_t i = 0;
    while (n - i >= 8) {
        const size_t rest = (n - i) / 8, words = rest < WORDS ? rest : WORDS;
        uint64_t positive = 0, negative = 0, word;
        for (size_t j = 0; j < words; j++, i += 8) {
            memcpy(&word, w + i, 8);
            // A negative byte's magnitude is its complement and one more.
            const uint64_t sign = (word & sign_bits) >> 7, mask = (sign << 8) - sign;
            positive = add_fields(positive, word & ~mask);
            negative = add_fields(negative, (~word & mask) + sign);
        }
        all.positive += sum_of_fields(positive);
        all.negative += sum_of_fields(negative);
    }
    for (; i < n; i++) {
        if (w[i] > 0) all.positive += w[i];
        else all.negative -= w[i];
    }
    return all;
}

int64_t er_sum_int8(const int8_t *w, size_t n) { return sum_of_bytes((const uint8_t *)w, n, sign_bits) - 128 * (int64_t)n; }

static magnitudes magnitudes_of(size_t k, size_t stride, size_t first, const void *weights, bool is_unsigned, int32_t w_zero)
{
    if (stride == 1 && !is_unsigned && w_zero == 0) return magnitudes_of_bytes((const int8_t *)weights + first, k);
    magnitudes all = {0, 0};
    if (stride == 1 && is_unsigned) {       // loops that become vectors
        const uint8_t *w = (const uint8_t *)weights + first;
        for (size_t i = 0, n; i < k; i += n) {
            uint32_t positive = 0, negative = 0;
            n = k - i < 65536 ? k - i : 65536;
            for (size_t j = 0; j < n; j++) {
                const int32_t v = w[i + j] - w_zero;
                positive += (uint32_t)(v > 0 ? v : 0);
                negative += (uint32_t)(v < 0 ? -v : 0);
            }
            all.positive += positive;
            all.negative += negative;
        }
        return all;
    }
    for (size_t i = 0; i < k; i++) {
        const int32_t w = weight_at(weights, first + i * stride, is_unsigned) - w_zero;
        if (w > 0) all.positive += w;
        else all.negative -= w;
    }
    return all;
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

static size_t note_bytes(const er_qgemm *g, size_t segments, size_t length)
{
    return g->arrange ? g->note_bytes(segments, (length + (size_t)g->kr - 1) / (size_t)g->kr) : 0;
}

size_t er_qgemm_panel_bytes(const er_qgemm *g, size_t segments, size_t length, size_t extras)
{
    size_t nr = (size_t)g->nr, kr = (size_t)g->kr;
    return er_round_up(ER_HEADER * nr + (segments * er_round_up(length, kr) + extras * kr) * nr + note_bytes(g, segments, length), 32);
}

size_t er_qgemm_bytes(const er_qgemm *g, size_t n, size_t segments, size_t length, size_t extras)
{
    const size_t nr = (size_t)g->nr, panels = (n + nr - 1) / nr;
    return er_round_up(panels * er_qgemm_panel_bytes(g, segments, length, extras) + note_bytes(g, segments, length), 64);
}

static int32_t clamp_weight(int32_t v, int32_t least) { return v < least ? least : v > 127 ? 127 : v; }

bool er_qgemm_suits(const er_qgemm *g, const er_gemm_weights *w)
{
    enum { SAMPLES = 64, STRIP = 16, MOST_SUM = 128 };
    if (!g->run) return false;
    const size_t kr = (size_t)g->kr, groups = w->length / kr, steps = w->n / STRIP * w->segments * groups, every = steps / SAMPLES + 1;
    if (!steps) return false;
    size_t seen = 0, large = 0;
    for (size_t i = 0; i < steps; i += every, seen++) {
        bool fits = true;
        for (size_t j = 0; j < STRIP && fits; j++) {
            const size_t channel = i / (w->segments * groups) * STRIP + j, run = channel * w->segments + i / groups % w->segments;
            for (size_t k = i % groups * kr, end = k + kr; k < end; k += 2) {
                const int32_t a = clamp_weight(weight_at(w->w, run * w->length + k, w->is_unsigned) - w->zero, g->least);
                const int32_t b = clamp_weight(weight_at(w->w, run * w->length + k + 1, w->is_unsigned) - w->zero, g->least);
                const int32_t up = (a > 0 ? a : 0) + (b > 0 ? b : 0), down = (a < 0 ? a : 0) + (b < 0 ? b : 0);
                fits = fits && up <= MOST_SUM && down >= -MOST_SUM;
            }
        }
        large += !fits;
    }
    return large * 4 <= seen;
}

// How many more numbers of [least, 127] it takes to add up to v, from -255 to 255.
static size_t pieces_left(int32_t v, int32_t least)
{
    int32_t rest = v - clamp_weight(v, least);
    return (rest != 0) + (rest != clamp_weight(rest, least));
}

// The least and the largest of n bytes, which are unsigned when `flip` has been applied.
static void ends_of_bytes(const uint8_t *w, size_t n, uint8_t flip, uint8_t *least, uint8_t *most)
{
    uint8_t low = 255, high = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t v = w[i] ^ flip;
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    *least = low;
    *most = high;
}

size_t er_qgemm_extras(const er_qgemm *g, const er_gemm_weights *w, uint8_t *need)
{
    const size_t kr = (size_t)g->kr, groups = (w->length + kr - 1) / kr;
    const uint8_t *weights = w->w, flip = w->is_unsigned ? 0 : 0x80;
    uint8_t least, most;
    memset(need, 0, w->segments * groups);
    if (!w->is_unsigned && g->least == -128) return 0;
    size_t count = 0;
    for (size_t run = 0; run < w->n * w->segments; run++, weights += w->length) {
        ends_of_bytes(weights, w->length, flip, &least, &most);
        if (!pieces_left(least - flip - w->zero, g->least) && !pieces_left(most - flip - w->zero, g->least)) continue;
        for (size_t i = 0; i < w->length; i++) {
            uint8_t *now = &need[run % w->segments * groups + i / kr];
            const size_t left = pieces_left((weights[i] ^ flip) - flip - w->zero, g->least);
            if (left <= *now) continue;
            count += left - *now;
            *now = (uint8_t)left;
        }
    }
    return count;
}

void er_qgemm_list_extras(const er_qgemm *g, const er_gemm_weights *w, const uint8_t *need, uint32_t *list)
{
    const size_t kr = (size_t)g->kr, all = w->segments * ((w->length + kr - 1) / kr);
    for (size_t i = 0; i < all; i++)
        for (size_t e = 0; e < need[i]; e++) *list++ = (uint32_t)i;
}

// Where a run's groups go: `kr` bytes each, `step` bytes apart.
typedef struct { int8_t *to; size_t kr, step; } places;

// A run of weights; the bytes behind the last are zero already.
__attribute__((always_inline)) static inline void put_run(const places at, const size_t kr, const int8_t *w, size_t length)
{
    int8_t *to = at.to;
    size_t i = 0;
    for (; i + kr <= length; i += kr, to += at.step) memcpy(to, w + i, kr);
    if (i < length) memcpy(to, w + i, length - i);
}

// Weights less their zero point; what does not fit is left to the extras.
static void clamp_run(int8_t *to, const void *w, bool is_unsigned, int32_t zero, int32_t least, size_t length)
{
    for (size_t i = 0; i < length; i++) to[i] = (int8_t)clamp_weight(weight_at(w, i, is_unsigned) - zero, least);
}

enum { TOGETHER = 64, MOST_KR = 8 };        // groups that are put in one go

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

// A strip's weights: of `channels` channels from n0 on, in `panels` panels, which begin at `to`. Returns where the extras begin. Some groups
// of all channels at a time: a channel's groups lie far apart, and what its neighbours add to their cache lines should find these in the cache.
static int8_t *put_strip(const er_qgemm *g, const er_gemm_weights *w, size_t n0, size_t channels, size_t panels, bool clamped, int8_t *to)
{
    const size_t nr = (size_t)g->nr, kr = (size_t)g->kr, chunk = nr * kr, bundle = (size_t)g->bundle, length = w->length, groups = (length + kr - 1) / kr;
    for (size_t s = 0; s < w->segments; s++, to += groups * panels * chunk) {
        for (size_t g0 = 0, together; g0 < groups; g0 += together) {
            const size_t most = bundle == 1 ? TOGETHER : bundle;
            together = groups - g0 < most ? groups - g0 : most;
            const size_t k0 = g0 * kr, n = length - k0 < together * kr ? length - k0 : together * kr;
            for (size_t i = 0; i < channels; i++) {
                const size_t p = i / nr, j = i % nr;
                const int8_t *from = (const int8_t *)w->w + ((n0 + i) * w->segments + s) * length + k0;
                int8_t fitting[TOGETHER * MOST_KR];
                if (clamped) {
                    clamp_run(fitting, from, w->is_unsigned, w->zero, g->least, n);
                    from = fitting;
                }
                // Alone, groups are as far apart as panels make them; in bundles they are next to each other.
                const places at = bundle == 1 ? (places){to + (g0 * panels + p) * chunk + j * kr, kr, panels * chunk}
                                              : (places){to + (g0 * panels + p * together) * chunk + j * kr, kr, chunk};
                // With the group's size known the compiler makes one move of it.
                if (kr == 4) put_run(at, 4, from, n);
                else if (kr == 2) put_run(at, 2, from, n);
                else put_run(at, kr, from, n);
            }
        }
    }
    return to;
}

void er_qgemm_pack(const er_qgemm *g, const er_gemm_weights *w, size_t extras, const uint32_t *list, int32_t a_zero,
                   const er_channel *channels, bool real, void *packed)
{
    const size_t nr = (size_t)g->nr, kr = (size_t)g->kr, panel_bytes = er_qgemm_panel_bytes(g, w->segments, w->length, extras), k = w->segments * w->length;
    const bool clamped = w->is_unsigned || extras;
    const int64_t zeros = (int64_t)k * (w->zero + (w->is_unsigned ? 0 : 128));
    uint8_t *base = packed, *behind = base + (w->n + nr - 1) / nr * panel_bytes;
    memset(behind, 0, er_qgemm_bytes(g, w->n, w->segments, w->length, extras) - (size_t)(behind - base));
    for (size_t n0 = 0, panels; n0 < w->n; n0 += panels * nr, base += panels * panel_bytes) {
        panels = g->strip((w->n - n0 + nr - 1) / nr);
        memset(base, 0, panels * panel_bytes);
        const size_t count = w->n - n0 < panels * nr ? w->n - n0 : panels * nr;
        int8_t *end = put_strip(g, w, n0, count, panels, clamped, (int8_t *)base + panels * ER_HEADER * nr);
        for (size_t i = 0; i < count; i++) {
            const size_t p = i / nr, j = i % nr;
            put_extras(g, end + (p * nr + j) * kr, panels * nr * kr, w, n0 + i, extras, list);
            const int64_t sum = sum_of_bytes((const uint8_t *)w->w + (n0 + i) * k, k, w->is_unsigned ? 0 : sign_bits) - zeros;
            const int32_t fold = (int32_t)((uint32_t)sum * (uint32_t)a_zero);
            if (g->one_header) er_put_header(base, panels * nr, i, &channels[n0 + i], fold, real);
            else er_put_header(base + p * ER_HEADER * nr, nr, j, &channels[n0 + i], fold, real);
        }
        if (g->arrange) g->arrange(base, panels, panel_bytes, w->segments, (w->length + kr - 1) / kr);
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

void er_sgemm_pack_rows(const er_sgemm *g, size_t n, size_t k, const float *weights, float *packed)
{
    const size_t nr = (size_t)g->nr;
    for (size_t j = 0; j < n; j += nr, packed += er_sgemm_panel_floats(g, k)) {
        const size_t some = n - j < nr ? n - j : nr;
        if (some < nr) memset(packed, 0, er_sgemm_panel_floats(g, k) * sizeof *packed);
        memset(packed, 0, nr * sizeof *packed);
        for (size_t i = 0; i < k; i++) memcpy(packed + nr + i * nr, weights + i * n + j, some * sizeof *packed);
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
