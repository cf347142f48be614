// The 8-bit depthwise product, for every x86 instruction set: compiled once for each, after its vec*.h and
//     GROUP                               taps of an instruction: 4 with int8 weights, or 2 with int16 ones
//     OUTPUTS                             how many outputs are computed together
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

static inline size_t block_width(size_t left) { return left >= WIDE ? WIDE : LANES; }

static size_t count_blocks(size_t channels) { return channels / WIDE + (channels % WIDE + LANES - 1) / LANES; }

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
#define DW_FIX(p, v, y) if (p < outputs) y = fixed(s##p##_##v, m##v, add##v, offset, plain, clip);
#define DW_FINISH(p) \
    if (p < outputs && vectors == 4) { \
        vi y0, y1, y2, y3; \
        DW_FIX(p, 0, y0) DW_FIX(p, 1, y1) DW_FIX(p, 2, y2) DW_FIX(p, 3, y3) \
        v_store_bytes(t->out + (x + p) * out_stride, clamped(v_pack16(v_whole(y0, y1), v_whole(y2, y3)), plain ? NULL : &bytes), tail); \
        if (__builtin_expect(any_near(y0, y1, y2, y3, limit) || (!plain && slow), 0)) { \
            which |= 1u << p; \
            DW_NEAR(p) \
        } \
    }
#define DW_NEAR(p) near[p][0] = y0; near[p][1] = y1; near[p][2] = y2; near[p][3] = y3;
#define DW_SCALES(v) const vf m##v = v_loadf(t->s[v].m), add##v = v_loadf(t->s[v].add);
#define DW_FINISH_ALL \
    { \
        const range bytes = *t->range; \
        const v_tail tail = t->tail; \
        const size_t out_stride = t->out_stride; \
        const vi offset = t->offset, limit = t->limit; \
        const bool clip = t->o->large, slow = t->o->slow; \
        uint32_t which = 0; \
        vi near[outputs][4]; \
        DW_SCALES(0) DW_SCALES(1) DW_SCALES(2) DW_SCALES(3) \
        EACH_OUTPUT(DW_FINISH) \
        if (vectors == 1) { /* all outputs in one vector of bytes */ \
            vi y0, y1, y2, y3; \
            DW_FIX(0, 0, y0) \
            y1 = y2 = y3 = y0; \
            DW_FIX(1, 0, y1) DW_FIX(2, 0, y2) DW_FIX(3, 0, y3) \
            store_rows(t->out + x * out_stride, out_stride, packed_bytes(v_whole(y0, y1), v_whole(y2, y3), plain ? NULL : &bytes), 4, outputs, t->n, tail); \
            if (__builtin_expect(any_near(y0, y1, y2, y3, limit) || (!plain && slow), 0)) { \
                which = 1; \
                DW_NEAR(0) \
            } \
        } \
        if (__builtin_expect(which != 0, 0)) dw_mend(t, which, outputs, vectors, near, x); \
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
                if (vectors == 4) v_interleave(t->taps->row + g * GROUP, rows, at, column);
                else column[0] = v_interleave_one(t->taps->row + g * GROUP, rows, at);
                EACH_VECTOR(DW_DOT, 0)
            }
        }
    }
    EACH_VECTOR(DW_SAVE, 0)
}

// Outputs from x on that are too near to ties: y has four vectors for every bit of `which`, of one output, or of all, one each.
static __attribute__((noinline, cold)) void dw_mend(const dw_job *t, uint32_t which, size_t outputs, size_t vectors, vi y[][4], size_t x)
{
    for (size_t p = 0; p < outputs; p++) {
        if (vectors == 4 && !(which >> p & 1)) continue;
        vi sums[4];
        if (vectors == 4) dw_sums(4, t, x + p, sums);
        else dw_sums(1, t, x + p, sums);
        for (size_t v = 0; v < vectors; v++) {
            uint32_t lanes = vectors == 4 ? lanes_to_mend(y[p][v], LANES, t->o, t->plain) : lanes_to_mend(y[0][p], t->n, t->o, t->plain);
            if (lanes) mend_lanes(lanes, &sums[v], t->block, vectors * LANES, v * LANES, t->o, t->out + (x + p) * t->out_stride + 4 * v, vectors == 4);
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
        if (vectors == 4) v_interleave(t->taps->row + g * GROUP, rows, at, column); \
        else column[0] = v_interleave_one(t->taps->row + g * GROUP, rows, at); \
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
    const size_t columns = share ? (outputs - 1) * share + kw : outputs * kw, plane_step = kw * groups * width * 4, planes = t->planes;
    const uint8_t *w = t->block + ER_HEADER * width;
    const vi bias0 = v_load(t->block), bias1 = vectors > 1 ? v_load(t->block + 4 * LANES) : bias0;
    const vi bias2 = vectors > 2 ? v_load(t->block + 8 * LANES) : bias0, bias3 = vectors > 3 ? v_load(t->block + 12 * LANES) : bias0;
    EACH_OUTPUT(DW_DECLARE)
    DW_COLUMN(0) DW_COLUMN(1) DW_COLUMN(2) DW_COLUMN(3) DW_COLUMN(4) DW_COLUMN(5)
    DW_COLUMN(6) DW_COLUMN(7) DW_COLUMN(8) DW_COLUMN(9) DW_COLUMN(10) DW_COLUMN(11)
    DW_FINISH_ALL
}

// One output with a filter of any size.
__attribute__((always_inline)) static inline void dw_one(const size_t vectors, const bool plain, const dw_job *t, size_t x)
{
    const size_t outputs = 1;
    vi sums[4];
    dw_sums(vectors, t, x, sums);
    const vi s0_0 = sums[0], s0_1 = vectors > 1 ? sums[1] : s0_0, s0_2 = vectors > 2 ? sums[2] : s0_0, s0_3 = vectors > 3 ? sums[3] : s0_0;
    const vi s1_0 = s0_0, s1_1 = s0_0, s1_2 = s0_0, s1_3 = s0_0, s2_0 = s0_0, s2_1 = s0_0, s2_2 = s0_0, s2_3 = s0_0;
    const vi s3_0 = s0_0, s3_1 = s0_0, s3_2 = s0_0, s3_3 = s0_0;
    DW_FINISH_ALL
}

typedef void dw_run(const dw_job *, size_t);

// All of n outputs: the last of several tiles begins with some that are done already, which come out the same.
#define TILES(vectors, plain, kh, kw, share) \
    { \
        if (n < OUTPUTS) { \
            for (size_t x = 0; x < n; x++) dw_tile(1, vectors, plain, kh, kw, share, t, x); \
            return; \
        } \
        for (size_t x = 0;; x = x + 2 * OUTPUTS <= n ? x + OUTPUTS : n - OUTPUTS) { \
            dw_tile(OUTPUTS, vectors, plain, kh, kw, share, t, x); \
            if (x + OUTPUTS == n) return; \
        } \
    }
#define RUN(name, k, share) \
    static void name##_plain(const dw_job *t, size_t n) TILES(4, true, k, k, share) \
    static void name##_any(const dw_job *t, size_t n) TILES(4, false, k, k, share) \
    static void name##_narrow(const dw_job *t, size_t n) TILES(1, false, k, k, share) \
    static dw_run *const name[3] = {name##_plain, name##_any, name##_narrow};
RUN(dw_3x3_1, 3, 1)
RUN(dw_3x3_2, 3, 2)
RUN(dw_3x3_apart, 3, 0)
RUN(dw_5x5_1, 5, 1)
RUN(dw_5x5_2, 5, 2)

static void dw_any_wide(const dw_job *t, size_t n)
{
    for (size_t x = 0; x < n; x++) dw_one(4, false, t, x);
}
static void dw_any_narrow(const dw_job *t, size_t n)
{
    for (size_t x = 0; x < n; x++) dw_one(1, false, t, x);
}
static dw_run *const dw_any[3] = {dw_any_wide, dw_any_wide, dw_any_narrow};

// For blocks of WIDE channels with plain outputs and with others, and for LANES channels.
static dw_run *const *choose(const er_taps *t)
{
    size_t share = t->x_step == t->tap_step ? 1 : t->x_step == 2 * t->tap_step ? 2 : 0;
    if (t->kh == 3 && t->kw == 3) return share == 1 ? dw_3x3_1 : share == 2 ? dw_3x3_2 : dw_3x3_apart;
    if (t->kh == 5 && t->kw == 5 && share) return share == 1 ? dw_5x5_1 : dw_5x5_2;
    return dw_any;
}

static void qdepthwise(size_t n, size_t channels, const er_taps *taps, const void *packed, const er_output *o, uint8_t *out, size_t out_stride)
{
    const block_info *info = packed;
    const range r = range_of(o);
    dw_run *const *run = choose(taps);
    for (size_t c = 0, width; c < channels; c += width, info++) {
        width = block_width(channels - c);
        const bool plain = is_plain(o) && width == WIDE && run[0] != run[1];
        scales s[4];
        dw_job t = {taps, c, (const uint8_t *)packed + info->at, info->planes, channels - c, s, o, &r, v_set32(offset_of(o, plain)),
                    v_set32(near_limit(o, plain)), plain, tail_of(channels - c, width / LANES), out + c, out_stride};
        for (size_t v = 0; v < width / LANES; v++) s[v] = scales_of(t.block, width, v * LANES, o, plain);
        run[width == LANES ? 2 : plain ? 0 : 1](&t, n);
    }
}

#endif
