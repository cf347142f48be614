// The 8-bit depthwise product, for every Arm instruction set. Channels go in blocks of WIDE. Two taps' products fit int16 as no weight is
// -128; a plane of weights more takes what does not fit (uint8 less its zero point). With
//     DOT_COLUMNS                         (a macro) 3x3 taps go by columns, three bytes and a zero to each channel's dot product
// blocks with one plane of 3x3 weights have them by column.
//
// Packed: a block_info for each block, then the blocks: header, then w[planes][kh][kw][WIDE], or w[kw][WIDE][4] by column.
#ifndef ER_ARM_QDEPTHWISE_H
#define ER_ARM_QDEPTHWISE_H

#include <math.h>

#include "kernels/arm/columns.h"
#include "kernels/arm/epilogue.h"
#include "kernels/pack.h"

enum { WIDE = 16, WIDE_HEADER = ER_HEADER * WIDE, LEAST = -127 };

// `triples`: the products of three taps of a column fit int16, too. `fits`: all outputs fit 16 bits, whatever the input is.
// `shift`: the largest one.
typedef struct { uint32_t at; uint16_t planes; bool by_column, triples, fits; int8_t shift; } block_info;

static inline int32_t piece_of(int32_t v) { return v < LEAST ? LEAST : v > 127 ? 127 : v; }

// What is to be known of a block's weights.
static block_info look_at(const er_depthwise_weights *w, size_t c, size_t there)
{
    block_info b = {0, 1, false, w->kh == 3 && w->kw == 3, true, 0};
    for (size_t i = c; i < c + there; i++) {
        int64_t sum = 0, sizes = 0;     // of a channel's weights
        for (size_t kx = 0; kx < w->kw; kx++) {
            int32_t all = 0;
            for (size_t ky = 0; ky < w->kh; ky++) {
                int32_t v = er_depthwise_weight(w, ky, kx, i);
                uint16_t planes = (uint16_t)(1 + (v != piece_of(v)) + (v - piece_of(v) != piece_of(v - piece_of(v))));
                if (planes > b.planes) b.planes = planes;
                all += v < 0 ? -v : v;
                sum += v;
            }
            b.triples = b.triples && all <= 255;
            sizes += all;
        }
        const double most = fabs((double)(w->params[i].bias - w->x_zero * sum)) + 128.0 * (double)sizes;
        if (!(most * w->params[i].m < INT16_MAX - 1)) b.fits = false;
    }
#ifdef DOT_COLUMNS
    b.by_column = w->kh == 3 && w->kw == 3 && b.planes == 1;
#endif
    return b;
}

static void put_weights(const er_depthwise_weights *w, const block_info *b, size_t channel, size_t j, int8_t *to)
{
    for (size_t ky = 0; ky < w->kh; ky++) {
        for (size_t kx = 0; kx < w->kw; kx++) {
            int32_t rest = er_depthwise_weight(w, ky, kx, channel);
            if (b->by_column) {
                to[(kx * WIDE + j) * 4 + ky] = (int8_t)rest;
                continue;
            }
            for (size_t p = 0; p < b->planes; p++) {
                to[((p * w->kh + ky) * w->kw + kx) * WIDE + j] = (int8_t)piece_of(rest);
                rest -= piece_of(rest);
            }
        }
    }
}

static size_t depthwise_pack(const er_depthwise_weights *w, void *packed)
{
    uint8_t *base = packed;
    size_t at = er_round_up((w->channels + WIDE - 1) / WIDE * sizeof(block_info), 64);
    for (size_t c = 0; c < w->channels; c += WIDE) {
        const size_t there = w->channels - c < WIDE ? w->channels - c : WIDE;
        block_info b = look_at(w, c, there);
        b.at = (uint32_t)at;
        size_t end = er_round_up(at + WIDE_HEADER + (b.by_column ? 12 : b.planes * w->kh * w->kw) * WIDE, 64);
        if (packed) {
            memset(base + at, 0, end - at);
            for (size_t j = 0; j < there; j++) {
                er_put_header(base + at, WIDE, j, &w->params[c + j], er_depthwise_fold(w, c + j, w->x_zero), w->real);
                put_weights(w, &b, c + j, j, (int8_t *)base + at + WIDE_HEADER);
            }
            b.shift = (int8_t)(w->real ? 0 : largest_shift(base + at, WIDE / LANES));
            ((block_info *)packed)[c / WIDE] = b;
        }
        at = end;
    }
    return at;
}

typedef struct {
    const er_taps *taps;
    const uint8_t *const *row;  // of all lines
    size_t c;                   // the block's first channel
    const uint8_t *block;
    size_t planes, n;           // n: channels that exist from c on
    bool fits;
    const er_output *o;
    range range;
    rounding how;
    uint8_t *out;
    size_t out_stride;
} dw_job;

static __attribute__((noinline, cold)) void dw_finish_slowly(const dw_job *t, const int32_t *sums, uint8_t *out)
{
    vi y[4];
    for (size_t v = 0; v < 4; v++) y[v] = scaled_slowly(vld1q_s32(sums + v * LANES), t->block, WIDE, v * LANES, t->o);
    store_bytes(out, packed_bytes(y[0], y[1], y[2], y[3], &t->range, SLOW), t->n);
}

// One output from its sums. `t` is a copy of the job that no store can touch, and `slow` the job.
__attribute__((always_inline)) static inline void dw_finish(const dw_job *t, const dw_job *slow, rounding how, vi s0, vi s1, vi s2, vi s3, uint8_t *out)
{
    if (__builtin_expect(how == SLOW, 0)) {
        int32_t sums[WIDE];
        vst1q_s32(sums, s0);
        vst1q_s32(sums + LANES, s1);
        vst1q_s32(sums + 2 * LANES, s2);
        vst1q_s32(sums + 3 * LANES, s3);
        dw_finish_slowly(slow, sums, out);
        return;
    }
    if (how != PLAIN) how = RIGHT;
    const uint8_t *q = t->block + 4 * WIDE, *shift = t->block + 8 * WIDE;
    const vi y0 = scaled(s0, load_ints(q), load_ints(shift), how), y1 = scaled(s1, load_ints(q + 16), load_ints(shift + 16), how);
    const vi y2 = scaled(s2, load_ints(q + 32), load_ints(shift + 32), how), y3 = scaled(s3, load_ints(q + 48), load_ints(shift + 48), how);
    store_bytes(out, packed_bytes(y0, y1, y2, y3, &t->range, how), how == PLAIN ? WIDE : t->n);
}

static inline int16x8_t mul_low(int8x16_t x, int8x16_t w) { return vmull_s8(vget_low_s8(x), vget_low_s8(w)); }
static inline int16x8_t mla_low(int16x8_t p, int8x16_t x, int8x16_t w) { return vmlal_s8(p, vget_low_s8(x), vget_low_s8(w)); }
#if defined(__aarch64__)
static inline int16x8_t mul_high(int8x16_t x, int8x16_t w) { return vmull_high_s8(x, w); }
static inline int16x8_t mla_high(int16x8_t p, int8x16_t x, int8x16_t w) { return vmlal_high_s8(p, x, w); }
static inline vi add_high(vi s, int16x8_t p) { return vaddw_high_s16(s, p); }
#else
static inline int16x8_t mul_high(int8x16_t x, int8x16_t w) { return vmull_s8(vget_high_s8(x), vget_high_s8(w)); }
static inline int16x8_t mla_high(int16x8_t p, int8x16_t x, int8x16_t w) { return vmlal_s8(p, vget_high_s8(x), vget_high_s8(w)); }
static inline vi add_high(vi s, int16x8_t p) { return vaddw_s16(s, vget_high_s16(p)); }
#endif

#define DW_ADD(low, high) \
    s0 = vaddw_s16(s0, vget_low_s16(low)); \
    s1 = add_high(s1, low); \
    s2 = vaddw_s16(s2, vget_low_s16(high)); \
    s3 = add_high(s3, high);
#define DW_ONE(x, w) { const int16x8_t low = mul_low(x, w), high = mul_high(x, w); DW_ADD(low, high) }
#define DW_TWO(x, w, y, v) { const int16x8_t low = mla_low(mul_low(x, w), y, v), high = mla_high(mul_high(x, w), y, v); DW_ADD(low, high) }
#define DW_THREE(x, w, y, v, z, u) \
    { \
        const int16x8_t low = mla_low(mla_low(mul_low(x, w), y, v), z, u), high = mla_high(mla_high(mul_high(x, w), y, v), z, u); \
        DW_ADD(low, high) \
    }
#define DW_BIAS vi s0 = load_ints(block), s1 = load_ints(block + 16), s2 = load_ints(block + 32), s3 = load_ints(block + 48);

static inline int8x16_t load_bytes(const void *p) { return vld1q_s8(p); }

// Any filter.
static void dw_any(const dw_job *job, size_t n)
{
    const dw_job t = *job;
    const size_t kh = t.taps->kh, kw = t.taps->kw, step = t.taps->tap_step;
    for (size_t i = 0; i < t.taps->lines * n; i++) {
        const size_t line = i / n, x = i % n;
        const uint8_t *block = t.block;
        const int8_t *w = (const int8_t *)block + WIDE_HEADER;
        DW_BIAS
        for (size_t plane = 0; plane < t.planes; plane++) {
            for (size_t ky = 0; ky < kh; ky++) {
                const uint8_t *from = t.row[line * kh + ky] + t.c + x * t.taps->x_step;
                size_t kx = 0;
                for (; kx + 2 <= kw; kx += 2, w += 2 * WIDE, from += 2 * step) DW_TWO(load_bytes(from), load_bytes(w), load_bytes(from + step), load_bytes(w + WIDE))
                if (kx == kw) continue;
                DW_ONE(load_bytes(from), load_bytes(w))
                w += WIDE;
            }
        }
        dw_finish(&t, job, t.how, s0, s1, s2, s3, t.out + line * t.taps->out_line + x * t.out_stride);
    }
}

// ---- 3x3: columns stay in registers while they are part of an output. Those are `share` columns apart, or 0.

#define DW_OUTPUT(a, b, c) \
    { \
        DW_BIAS \
        if (triples) { \
            DW_THREE(a##0, w00, a##1, w10, a##2, w20) \
            DW_THREE(b##0, w01, b##1, w11, b##2, w21) \
            DW_THREE(c##0, w02, c##1, w12, c##2, w22) \
        } else { \
            DW_TWO(a##0, w00, a##1, w10) \
            DW_TWO(a##2, w20, b##0, w01) \
            DW_TWO(b##1, w11, b##2, w21) \
            DW_TWO(c##0, w02, c##1, w12) \
            DW_ONE(c##2, w22) \
        } \
        dw_finish(&t, job, how, s0, s1, s2, s3, out); \
        out += t.out_stride; \
        if (--n == 0) break; \
    }
#define DW_WEIGHT(ky, kx) const int8x16_t w##ky##kx = load_bytes(block + WIDE_HEADER + (ky * 3 + kx) * WIDE);

__attribute__((always_inline)) static inline void dw_3x3(const dw_job *job, const size_t share, const bool triples, const rounding how, const size_t outputs)
{
    const dw_job t = *job;
    const uint8_t *block = t.block;
    const size_t step = t.taps->tap_step, away = t.taps->x_step - 3 * step;
    DW_WEIGHT(0, 0) DW_WEIGHT(0, 1) DW_WEIGHT(0, 2) DW_WEIGHT(1, 0) DW_WEIGHT(1, 1) DW_WEIGHT(1, 2) DW_WEIGHT(2, 0) DW_WEIGHT(2, 1) DW_WEIGHT(2, 2)
    for (size_t line = 0; line < t.taps->lines; line++) {
        const uint8_t *r0 = t.row[3 * line] + t.c, *r1 = t.row[3 * line + 1] + t.c, *r2 = t.row[3 * line + 2] + t.c;
        uint8_t *out = t.out + line * t.taps->out_line;
        size_t n = outputs;
        int8x16_t x0, x1, x2, y0, y1, y2, z0, z1, z2;
        NEXT_COLUMN(x)
        if (share == 1) {
            NEXT_COLUMN(y)
            EACH_NEIGHBOUR(DW_OUTPUT)
        } else if (share == 2) {
            for (;;) {
                NEXT_COLUMN(y)
                NEXT_COLUMN(z)
                DW_OUTPUT(x, y, z)
                NEXT_COLUMN(y)
                NEXT_COLUMN(x)
                DW_OUTPUT(z, y, x)
            }
        } else {        // columns that no other output sees
            for (;;) {
                NEXT_COLUMN(y)
                NEXT_COLUMN(z)
                DW_OUTPUT(x, y, z)
                r0 += away;
                r1 += away;
                r2 += away;
                NEXT_COLUMN(x)
            }
        }
    }
}

#define DW_3X3(name, share, triples) \
    static void name##_plain(const dw_job *t, size_t n) { dw_3x3(t, share, triples, PLAIN, n); } \
    static void name(const dw_job *t, size_t n) { dw_3x3(t, share, triples, t->how, n); }
DW_3X3(dw_3x3_0, 0, false)
DW_3X3(dw_3x3_1, 1, false)
DW_3X3(dw_3x3_2, 2, false)
DW_3X3(dw_3x3_1_triples, 1, true)
DW_3X3(dw_3x3_2_triples, 2, true)

// n outputs of each line.
typedef void dw_run(const dw_job *, size_t n);

#ifdef DOT_COLUMNS
static dw_run *run_by_column(size_t share, bool plain);
#endif

static dw_run *choose(const er_taps *t, const block_info *b, bool plain)
{
    const size_t share = t->x_step == t->tap_step ? 1 : t->x_step == 2 * t->tap_step ? 2 : 0;
#ifdef DOT_COLUMNS
    if (b->by_column) return run_by_column(share, plain);
#endif
    if (t->kh != 3 || t->kw != 3 || b->planes > 1) return dw_any;
    if (!share) return plain ? dw_3x3_0_plain : dw_3x3_0;
    if (b->triples) return share == 1 ? plain ? dw_3x3_1_triples_plain : dw_3x3_1_triples : plain ? dw_3x3_2_triples_plain : dw_3x3_2_triples;
    return share == 1 ? plain ? dw_3x3_1_plain : dw_3x3_1 : plain ? dw_3x3_2_plain : dw_3x3_2;
}

static void qdepthwise(size_t n, size_t channels, const er_taps *taps, const void *packed, const er_output *o, uint8_t *out, size_t out_stride)
{
    const block_info *info = packed;
    const range r = range_of(o);
    for (size_t c = 0; n && c < channels; c += WIDE, info++) {
        const uint8_t *block = (const uint8_t *)packed + info->at;
        const rounding how = rounding_of(info->shift, o, r.free && channels - c >= WIDE);
        dw_run *run = choose(taps, info, how == PLAIN);
        const dw_job t = {taps, taps->row, c, block, info->planes, channels - c, info->fits, o, r, how, out + c, out_stride};
        run(&t, n);
    }
}

#endif
