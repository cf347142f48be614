// The 8-bit depthwise product, for every x86 instruction set: compiled once for each, after its vec*.h and
//     GROUP                               taps of an instruction: 4 with int8 weights, or 2 with int16 ones
//     OUTPUTS                             how many outputs are computed together
//     SLIDING                             whether there are registers for all weights of 3x3 taps (1) or not (0)
//     v_dot(sum, a, w)                    GROUP taps by their weights, per lane
//     v_interleave(row, n, at, x[4])      the bytes of up to GROUP rows at `at`, WIDE channels of each: a lane has one channel,
//                                         with its rows. The channels come in the order of v_whole and v_pack16.
//     v_interleave_one(row, n, at)        the same for LANES channels, in order
//
// A column of the filter is up to GROUP taps in one instruction. Columns are interleaved once and used for all the outputs
// that see them. Channels go in blocks of WIDE, the rest in blocks of LANES.
//
// Packed: a block_info for each block, then the blocks: header, then w[planes][kw][ceil(kh / GROUP)][channels][GROUP]. A
// second and third plane hold what is left of uint8 weights less their zero point that do not fit int8.
#ifndef ER_X86_QDEPTHWISE_H
#define ER_X86_QDEPTHWISE_H

#include "kernels/pack.h"
#include "kernels/x86/epilogue.h"

enum { WIDE = 4 * LANES };

typedef struct { uint32_t at, planes; } block_info;

// A wide block takes about as long as two and a half of the others.
static inline size_t block_width(size_t left) { return left > 2 * LANES ? WIDE : LANES; }

static size_t count_blocks(size_t channels)
{
    size_t rest = channels % WIDE;
    return channels / WIDE + (rest > 2 * LANES ? 1 : (rest + LANES - 1) / LANES);
}

// The channel of place j of a block: wide ones have the order in which bytes are interleaved and packed.
static inline size_t channel_of(size_t j, size_t width)
{
    if (width != WIDE) return j;
    size_t v = j / LANES, lane = j % LANES;
    return lane / 4 * 16 + 4 * v + lane % 4;
}

static size_t groups_of(size_t kh) { return (kh + GROUP - 1) / GROUP; }
static size_t plane_bytes(size_t width, size_t kh, size_t kw) { return kw * groups_of(kh) * width * 4; }

// As much of a weight as one plane takes.
static int32_t piece(int32_t *rest)
{
    if (GROUP == 2) {
        int32_t all = *rest;
        *rest = 0;
        return all;
    }
    int32_t v = *rest < -128 ? -128 : *rest > 127 ? 127 : *rest;
    *rest -= v;
    return v;
}

static void put_piece(uint8_t *to, int32_t *rest)
{
    int16_t v = (int16_t)piece(rest);
    memcpy(to, &v, 4 / GROUP);      // little-endian
}

// One channel of a block; returns how many planes its weights need. `weights` may be NULL: only that.
static uint32_t put_channel(const er_depthwise_weights *w, size_t channel, size_t width, size_t j, size_t bytes, uint8_t *weights)
{
    uint32_t planes = 1;
    for (size_t ky = 0; ky < w->kh; ky++) {
        for (size_t kx = 0; kx < w->kw; kx++) {
            int32_t rest = er_depthwise_weight(w, ky, kx, channel);
            size_t at = ((kx * groups_of(w->kh) + ky / GROUP) * width + j) * 4 + ky % GROUP * (4 / GROUP);
            for (uint32_t p = 0; p == 0 || rest; p++) {
                uint8_t unused[4];
                put_piece(weights ? weights + p * bytes + at : unused, &rest);
                if (p >= planes) planes = p + 1;
            }
        }
    }
    return planes;
}

static size_t depthwise_pack(const er_depthwise_weights *w, void *packed)
{
    uint8_t *base = packed;
    size_t at = er_round_up(count_blocks(w->channels) * sizeof(block_info), 64), block = 0;
    for (size_t c = 0, width; c < w->channels; c += width, block++) {
        width = block_width(w->channels - c);
        size_t bytes = plane_bytes(width, w->kh, w->kw), there = w->channels - c < width ? w->channels - c : width;
        uint32_t planes = 1;
        for (size_t j = 0; j < there && w->is_unsigned && GROUP == 4; j++) {
            uint32_t needed = put_channel(w, c + j, width, j, bytes, NULL);
            if (needed > planes) planes = needed;
        }
        size_t end = er_round_up(at + ER_HEADER * width + planes * bytes, 64);
        if (packed) {
            ((block_info *)packed)[block] = (block_info){(uint32_t)at, planes};
            memset(base + at, 0, end - at);
            for (size_t j = 0; j < width; j++) {
                size_t channel = c + channel_of(j, width);
                if (channel >= w->channels) continue;
                er_put_header(base + at, width, j, &w->params[channel], er_depthwise_fold(w, channel, w->x_zero), w->real);
                put_channel(w, channel, width, j, bytes, base + at + ER_HEADER * width);
            }
        }
        at = end;
    }
    return at;
}

typedef struct {
    const er_taps *taps;
    const uint8_t *const *row;  // of the line at hand
    size_t c;                   // the block's first channel
    const uint8_t *block;
    size_t planes, n;           // n: channels that exist from c on
    const scales *s;
    const er_output *o;
    const range *range;
    vi offset, limit;           // offset_of, near_limit
    bool plain;
    v_tail tail;
    uint8_t *out;
    size_t out_stride;
} dw_job;

// Sums are variables, s<output>_<vector>, as in qgemm.h.
#define EACH_OUTPUT(X) X(0) X(1) X(2) X(3)
#define EACH_VECTOR(X, p) X(p, 0) X(p, 1) X(p, 2) X(p, 3)

#define DW_DECLARE(p) vi s##p##_0 = bias0, s##p##_1 = bias1, s##p##_2 = bias2, s##p##_3 = bias3;
#define DW_DOT(p, v) if (v < vectors) s##p##_##v = v_dot(s##p##_##v, column[v], v_load(from + v * LANES * 4));
// The column at hand is tap number_of_column - first of output p, where it is one.
#define DW_DOT_OUTPUT(p) \
    if (p < outputs) { \
        const size_t first = share ? p * share : p * kw; \
        if (number_of_column >= first && number_of_column - first < kw) { \
            const uint8_t *from = plane + ((number_of_column - first) * groups + number_of_group) * width * 4; \
            EACH_VECTOR(DW_DOT, p) \
        } \
    }
#define DW_SCALES(v) const vf m##v = v_loadf(t->s[v].m), add##v = v_loadf(t->s[v].add);
#define DW_FINISHING \
    const range bytes = *t->range; \
    const v_tail tail = t->tail; \
    const size_t out_stride = t->out_stride; \
    const vi offset = t->offset, limit = t->limit; \
    const bool clip = t->o->large, slow = t->o->slow; \
    uint64_t near = 0; \
    DW_SCALES(0) DW_SCALES(1) DW_SCALES(2) DW_SCALES(3)
#define DW_FIX(p, v, y) if (p < outputs) y = fixed(s##p##_##v, m##v, add##v, offset, plain, clip);
// Output number `x`, and bit `bit` of those that are near to a tie.
#define DW_FINISH_ONE(p, x, bit) \
    { \
        vi y0 = v_zero(), y1 = y0, y2 = y0, y3 = y0; \
        DW_FIX(p, 0, y0) DW_FIX(p, 1, y1) DW_FIX(p, 2, y2) DW_FIX(p, 3, y3) \
        v_store_bytes(t->out + (x) * out_stride, clamped(v_pack16(v_whole(y0, y1), v_whole(y2, y3)), plain ? NULL : &bytes), tail); \
        if (__builtin_expect(any_near(y0, y1, y2, y3, limit) || (!plain && slow), 0)) near |= UINT64_C(1) << (bit); \
    }
#define DW_FINISH(p) if (p < outputs && vectors == 4) DW_FINISH_ONE(p, x + p, p)
#define DW_FINISH_ALL \
    { \
        DW_FINISHING \
        EACH_OUTPUT(DW_FINISH) \
        if (vectors == 1) { /* all outputs in one vector of bytes */ \
            vi y0 = v_zero(), y1, y2, y3; \
            DW_FIX(0, 0, y0) \
            y1 = y2 = y3 = y0; \
            DW_FIX(1, 0, y1) DW_FIX(2, 0, y2) DW_FIX(3, 0, y3) \
            store_rows(t->out + x * out_stride, out_stride, packed_bytes(v_whole(y0, y1), v_whole(y2, y3), plain ? NULL : &bytes), 4, outputs, t->n, tail); \
            if (__builtin_expect(any_near(y0, y1, y2, y3, limit) || (!plain && slow), 0)) near = (UINT64_C(1) << outputs) - 1; \
        } \
        if (__builtin_expect(near != 0, 0)) dw_mend(t, near, vectors, x); \
    }

#define DW_SAVE(p, v) if (v < vectors) sums[v] = s##p##_##v;

// One output's sums with a filter of any size.
__attribute__((always_inline)) static inline void dw_sums(const size_t vectors, const dw_job *t, size_t x, vi *sums)
{
    const size_t width = vectors * LANES, kh = t->taps->kh, kw = t->taps->kw, groups = groups_of(kh);
    const uint8_t *from = t->block + ER_HEADER * width;
    vi s0_0 = v_load(t->block), s0_1 = vectors > 1 ? v_load(t->block + 4 * LANES) : s0_0;
    vi s0_2 = vectors > 2 ? v_load(t->block + 8 * LANES) : s0_0, s0_3 = vectors > 3 ? v_load(t->block + 12 * LANES) : s0_0;
    for (size_t plane = 0; plane < t->planes; plane++) {
        for (size_t kx = 0; kx < kw; kx++) {
            size_t at = t->c + x * t->taps->x_step + kx * t->taps->tap_step;
            for (size_t g = 0; g < groups; g++, from += width * 4) {
                vi column[4];
                size_t rows = kh - g * GROUP < GROUP ? kh - g * GROUP : GROUP;
                if (vectors == 4) v_interleave(t->row + g * GROUP, rows, at, column);
                else column[0] = v_interleave_one(t->row + g * GROUP, rows, at);
                EACH_VECTOR(DW_DOT, 0)
            }
        }
    }
    EACH_VECTOR(DW_SAVE, 0)
}

// Of outputs from x on those in `which`, a bit each, that are too near to ties.
static __attribute__((noinline, cold)) void dw_mend(const dw_job *t, uint64_t which, size_t vectors, size_t x)
{
    for (; which; which &= which - 1) {
        size_t at = x + (size_t)__builtin_ctzll(which);
        vi sums[4];
        if (vectors == 4) dw_sums(4, t, at, sums);
        else dw_sums(1, t, at, sums);
        for (size_t v = 0; v < vectors; v++) {
            const vi y = fixed(sums[v], v_loadf(t->s[v].m), v_loadf(t->s[v].add), t->offset, t->plain, t->o->large);
            uint32_t lanes = lanes_to_mend(y, vectors == 4 ? LANES : t->n, t->o, t->plain);
            for (size_t j = 0; lanes && vectors == 4 && t->n < WIDE && j < LANES; j++)
                if (channel_of(v * LANES + j, WIDE) >= t->n) lanes &= ~(1u << j);
            if (lanes) mend_lanes(lanes, &sums[v], t->block, vectors * LANES, v * LANES, t->o, t->out + at * t->out_stride + 4 * v, vectors == 4);
        }
    }
}

// One step: column j of the tile, its rows from g * GROUP on, into all outputs that see it.
#define DW_STEP(j, g) \
    if (j < columns && g < groups) { \
        const size_t number_of_column = j, number_of_group = g; \
        const size_t at = t->c + (share ? x * x_step + j * tap_step : (x + j / kw) * x_step + j % kw * tap_step); \
        const size_t rows = kh - g * GROUP < GROUP ? kh - g * GROUP : GROUP; \
        vi column[4]; \
        if (vectors == 4) v_interleave(t->row + g * GROUP, rows, at, column); \
        else column[0] = v_interleave_one(t->row + g * GROUP, rows, at); \
        const uint8_t *plane = w; \
        EACH_OUTPUT(DW_DOT_OUTPUT) \
        for (size_t k = 1; k < planes; k++) { \
            plane += plane_step; \
            EACH_OUTPUT(DW_DOT_OUTPUT) \
        } \
    }
#define DW_COLUMN(j) DW_STEP(j, 0) DW_STEP(j, 1) DW_STEP(j, 2)

// Outputs [x, x + outputs) of one block; all but t and x are constants. `share`: by how many columns outputs are apart, 0 where
// their columns are not the same.
__attribute__((always_inline)) static inline void
dw_tile(const size_t outputs, const size_t vectors, const bool plain, const size_t kh, const size_t kw, const size_t share, const dw_job *t, size_t x)
{
    const size_t width = vectors * LANES, groups = groups_of(kh), x_step = t->taps->x_step, tap_step = t->taps->tap_step;
    const size_t columns = share ? (outputs - 1) * share + kw : outputs * kw, plane_step = kw * groups * width * 4, planes = GROUP == 2 ? 1 : t->planes;
    const uint8_t *w = t->block + ER_HEADER * width;
    const vi bias0 = v_load(t->block), bias1 = vectors > 1 ? v_load(t->block + 4 * LANES) : bias0;
    const vi bias2 = vectors > 2 ? v_load(t->block + 8 * LANES) : bias0, bias3 = vectors > 3 ? v_load(t->block + 12 * LANES) : bias0;
    EACH_OUTPUT(DW_DECLARE)
    DW_COLUMN(0) DW_COLUMN(1) DW_COLUMN(2) DW_COLUMN(3) DW_COLUMN(4) DW_COLUMN(5)
    DW_COLUMN(6) DW_COLUMN(7) DW_COLUMN(8) DW_COLUMN(9) DW_COLUMN(10) DW_COLUMN(11)
    DW_FINISH_ALL
}

// One output with a filter of any size.
__attribute__((always_inline)) static inline void dw_one(const size_t vectors, const dw_job *t, size_t x)
{
    const size_t outputs = 1;
    const bool plain = false;
    vi sums[4];
    dw_sums(vectors, t, x, sums);
    const vi s0_0 = sums[0], s0_1 = vectors > 1 ? sums[1] : s0_0, s0_2 = vectors > 2 ? sums[2] : s0_0, s0_3 = vectors > 3 ? sums[3] : s0_0;
    const vi s1_0 = s0_0, s1_1 = s0_0, s1_2 = s0_0, s1_3 = s0_0, s2_0 = s0_0, s2_1 = s0_0, s2_2 = s0_0, s2_3 = s0_0;
    const vi s3_0 = s0_0, s3_1 = s0_0, s3_2 = s0_0, s3_3 = s0_0;
    DW_FINISH_ALL
}

// ---- 3x3 with all weights in registers: goes along the line column by column, each of which is the last of one output, and one
// of the next one or two.

#define SLIDE_WEIGHTS(k, v) const vi w##k##_##v = v_load(w + (k * 4 + v) * LANES * 4);
#define SLIDE_ROWS(step) \
    rows[0] += step; \
    rows[1] += step; \
    rows[2] += step;
#define SLIDE_NEXT \
    v_interleave(rows, 3, 0, column); \
    SLIDE_ROWS(tap_step)
#define SLIDE_BEGIN(p) \
    s##p##_0 = v_dot(v_load(t->block), column[0], w0_0); \
    s##p##_1 = v_dot(v_load(t->block + 4 * LANES), column[1], w0_1); \
    s##p##_2 = v_dot(v_load(t->block + 8 * LANES), column[2], w0_2); \
    s##p##_3 = v_dot(v_load(t->block + 12 * LANES), column[3], w0_3);
#define SLIDE_TAP(p, k) \
    s##p##_0 = v_dot(s##p##_0, column[0], w##k##_0); \
    s##p##_1 = v_dot(s##p##_1, column[1], w##k##_1); \
    s##p##_2 = v_dot(s##p##_2, column[2], w##k##_2); \
    s##p##_3 = v_dot(s##p##_3, column[3], w##k##_3);
#define SLIDE_OUTPUT(p) \
    DW_FINISH_ONE(p, i, i - x) \
    if (++i == end) break;
#define SLIDE_ONE(p, q, r) { SLIDE_NEXT SLIDE_TAP(p, 2) SLIDE_TAP(q, 1) SLIDE_BEGIN(r) SLIDE_OUTPUT(p) }
#define SLIDE_NONE(p) \
    { \
        v_interleave(rows, 3, 0, column); \
        SLIDE_BEGIN(p) \
        v_interleave(rows, 3, tap_step, column); \
        SLIDE_TAP(p, 1) \
        v_interleave(rows, 3, 2 * tap_step, column); \
        SLIDE_TAP(p, 2) \
        SLIDE_ROWS(x_step) \
        SLIDE_OUTPUT(p) \
    }
#define SLIDE_TWO(p, q) { SLIDE_NEXT SLIDE_TAP(p, 1) SLIDE_NEXT SLIDE_TAP(p, 2) SLIDE_BEGIN(q) SLIDE_OUTPUT(p) }

// Outputs [x, end), at most 64, which are `share` columns apart, or 0 where their columns are not the same.
__attribute__((always_inline)) static inline void dw_slide(const bool plain, const size_t share, const dw_job *t, size_t x, size_t end)
{
    const size_t outputs = 3, tap_step = t->taps->tap_step, x_step = t->taps->x_step, first = t->c + x * x_step;
    const uint8_t *rows[3] = {t->row[0] + first, t->row[1] + first, t->row[2] + first}, *w = t->block + ER_HEADER * WIDE;
    EACH_VECTOR(SLIDE_WEIGHTS, 0) EACH_VECTOR(SLIDE_WEIGHTS, 1) EACH_VECTOR(SLIDE_WEIGHTS, 2)
    DW_FINISHING
    vi column[4], s0_0, s0_1, s0_2, s0_3, s1_0, s1_1, s1_2, s1_3, s2_0, s2_1, s2_2, s2_3;
    if (share == 0) {
        for (size_t i = x;;) SLIDE_NONE(0)
    } else if (share == 1) {
        SLIDE_NEXT
        SLIDE_BEGIN(0)
        SLIDE_NEXT
        SLIDE_TAP(0, 1)
        SLIDE_BEGIN(1)
        for (size_t i = x;;) {
            SLIDE_ONE(0, 1, 2)
            SLIDE_ONE(1, 2, 0)
            SLIDE_ONE(2, 0, 1)
        }
    } else {
        SLIDE_NEXT
        SLIDE_BEGIN(0)
        for (size_t i = x;;) {
            SLIDE_TWO(0, 1)
            SLIDE_TWO(1, 0)
        }
    }
    if (__builtin_expect(near != 0, 0)) dw_mend(t, near, 4, x);
}

typedef void dw_run(const dw_job *, size_t);

static void dw_any(const dw_job *t, size_t n)
{
    for (size_t x = 0; x < n; x++) dw_one(4, t, x);
}
static void dw_any_narrow(const dw_job *t, size_t n)
{
    for (size_t x = 0; x < n; x++) dw_one(1, t, x);
}

// All of n outputs: the last of several tiles begins with some that are done already, which come out the same.
#define TILES(vectors, plain, kh, kw, share) TILES_OF(OUTPUTS, vectors, plain, kh, kw, share)
#define TILES_OF(outputs, vectors, plain, kh, kw, share) \
    { \
        if (n < outputs) { \
            (vectors == 4 ? dw_any : dw_any_narrow)(t, n); \
            return; \
        } \
        for (size_t x = 0;; x = x + 2 * outputs <= n ? x + outputs : n - outputs) { \
            dw_tile(outputs, vectors, plain, kh, kw, share, t, x); \
            if (x + outputs == n) return; \
        } \
    }
#define SLIDES_OR_TILES(plain, share) \
    { \
        if (SLIDING && (plain || t->planes == 1)) { \
            for (size_t x = 0; x < n; x += 64) dw_slide(plain, share, t, x, n - x < 64 ? n : x + 64); \
            return; \
        } \
        TILES(4, plain, 3, 3, share) \
    }

static void dw_3x3_1_plain(const dw_job *t, size_t n) SLIDES_OR_TILES(true, 1)
static void dw_3x3_1_any(const dw_job *t, size_t n) SLIDES_OR_TILES(false, 1)
static void dw_3x3_1_narrow(const dw_job *t, size_t n) TILES(1, false, 3, 3, 1)
static void dw_3x3_2_plain(const dw_job *t, size_t n) SLIDES_OR_TILES(true, 2)
static void dw_3x3_2_any(const dw_job *t, size_t n) SLIDES_OR_TILES(false, 2)
static void dw_3x3_2_narrow(const dw_job *t, size_t n) TILES(1, false, 3, 3, 2)
static void dw_3x3_apart_plain(const dw_job *t, size_t n) SLIDES_OR_TILES(true, 0)
static void dw_3x3_apart_any(const dw_job *t, size_t n) SLIDES_OR_TILES(false, 0)
static void dw_3x3_apart_narrow(const dw_job *t, size_t n) TILES(1, false, 3, 3, 0)
static void dw_5x5_1_any(const dw_job *t, size_t n) TILES_OF(2, 4, false, 5, 5, 1)
static void dw_5x5_2_any(const dw_job *t, size_t n) TILES_OF(2, 4, false, 5, 5, 2)

// For blocks of WIDE channels with plain outputs, where that is worth its own, and with others; and for LANES channels.
typedef struct { dw_run *plain, *any, *narrow; } dw_runs;

static dw_runs choose(const er_taps *t)
{
    size_t share = t->x_step == t->tap_step ? 1 : t->x_step == 2 * t->tap_step ? 2 : 0;
    if (t->kh == 3 && t->kw == 3) {
        if (share == 1) return (dw_runs){dw_3x3_1_plain, dw_3x3_1_any, dw_3x3_1_narrow};
        if (share == 2) return (dw_runs){dw_3x3_2_plain, dw_3x3_2_any, dw_3x3_2_narrow};
        return (dw_runs){SLIDING ? dw_3x3_apart_plain : NULL, dw_3x3_apart_any, dw_3x3_apart_narrow};
    }
    if (t->kh == 5 && t->kw == 5 && share == 1) return (dw_runs){NULL, dw_5x5_1_any, dw_any_narrow};
    if (t->kh == 5 && t->kw == 5 && share == 2) return (dw_runs){NULL, dw_5x5_2_any, dw_any_narrow};
    return (dw_runs){NULL, dw_any, dw_any_narrow};
}

static void qdepthwise(size_t n, size_t channels, const er_taps *taps, const void *packed, const er_output *o, uint8_t *out, size_t out_stride)
{
    const block_info *info = packed;
    const range r = range_of(o);
    const dw_runs run = choose(taps);
    for (size_t c = 0, width; c < channels; c += width, info++) {
        width = block_width(channels - c);
        const bool plain = run.plain && is_plain(o) && width == WIDE && (SLIDING ? info->planes == 1 : n >= OUTPUTS);
        scales s[4];
        dw_job t = {taps, taps->row, c, (const uint8_t *)packed + info->at, info->planes, channels - c, s, o, &r, v_set32(offset_of(o, plain)),
                    v_set32(near_limit(o, plain)), plain, tail_of(channels - c, width / LANES), out + c, out_stride};
        for (size_t v = 0; v < width / LANES; v++) s[v] = scales_of(t.block, width, v * LANES, o, plain);
        for (size_t line = 0; line < taps->lines; line++, t.row += taps->kh, t.out += taps->out_line)
            (width == LANES ? run.narrow : plain ? run.plain : run.any)(&t, n);
    }
}

#endif
