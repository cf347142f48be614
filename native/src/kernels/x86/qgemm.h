// The 8-bit matrix product, for every x86 instruction set: compiled once for each, after its vec*.h, which says how
// products are made:
//     KR, A_BYTES                 products of a step, and the bytes of A that they take
//     v_spread(p)                 a step's A in all lanes
//     v_weights(p)                a step's weights of a panel of LANES channels, CHUNK bytes
//     v_dot(sum, a, w)            sum + products
//     SLIDES                      whether SLIDE pays (1), or registers do not suffice (0)
//     HALVES                      (a macro) up to so many bytes of a strip are better computed by half tiles
//     MOST_1 ... MOST_4           rows of a tile of so many panels: all sums are in registers (0: no such tile)
//     ORDERED                     (a macro) steps are in an order of three kinds, for v_quad(sum, a, w, b, u), v_pair(sum, a, w) and
//                                 v_dot; a strip's notes tell how many there are, and where their bytes of A are
#ifndef ER_X86_QGEMM_H
#define ER_X86_QGEMM_H

#include "kernels/x86/epilogue.h"

enum { MAX_PANELS = 4 };

typedef struct {
    const er_rows *rows;
    const er_output *o;
    const uint8_t *strip;       // headers and weights of the tile's panels
    size_t panel_bytes;
    size_t n;                   // channels from there on
    const scales *s;            // of each panel
    range range;
    vi offset, limit;           // offset_of, near_limit
    v_tail tail;                // what there is to store of a row
    bool plain;                 // is_plain
    bool clip, slow;            // er_output.large, slow
    const uint8_t *notes;
    bool slides;                // rows overlap by two thirds: SLIDE_STEP
    size_t out_stride;
} job;

enum { HEADER = ER_HEADER * LANES, CHUNK = LANES * KR };     // bytes of a panel's header, and of its weights of a step

#if ORDERED
// The notes of a strip are by segment, and within it by windows of steps: three counts, and for each step where in the window it was.
enum { WINDOW = 255, MOST_PANELS = 2 };

static inline size_t segment_notes(size_t groups) { return groups + (groups + WINDOW - 1) / WINDOW * 3; }

// A panel's share: strips have two, but for the last, whose notes go on behind it.
static inline size_t note_bytes(size_t segments, size_t groups) { return (segments * segment_notes(groups) + MOST_PANELS - 1) / MOST_PANELS; }

// Those of a strip of so many segments.
static inline const uint8_t *notes_of(const uint8_t *strip, size_t panels, size_t panel_bytes, size_t segments, size_t groups)
{
    return strip + panels * (panel_bytes - note_bytes(segments, groups));
}

// Those of the segments that rows have.
static inline const uint8_t *notes_for(const uint8_t *strip, size_t panels, size_t panel_bytes, const er_rows *r)
{
    return notes_of(strip, panels, panel_bytes, r->before + r->segments + r->after, r->groups) + r->before * segment_notes(r->groups);
}
#endif

// One row's sums of one panel of a strip, once more.
static vi sums_of(const er_rows *r, const uint8_t *row, const uint8_t *strip, size_t panels, size_t panel_bytes, size_t p)
{
    const size_t step = panels * CHUNK;
    const uint8_t *w = strip + panels * HEADER + p * CHUNK + r->before * r->groups * step;
    (void)panel_bytes;
    vi sum = v_load(strip + p * HEADER), sum1 = v_zero(), sum2 = sum1, sum3 = sum1;     // no product waits for the last
    for (size_t s = 0; s < r->segments; s++) {
        const uint8_t *a = row + s * r->segment_stride;
        size_t g = r->groups;
#if ORDERED
        const uint8_t *note = notes_for(strip, panels, panel_bytes, r) + s * segment_notes(g);
        for (size_t i = 0; i < g; i++, note++, w += step) {
            if (i % WINDOW == 0) note += 3;
            sum = v_dot(sum, v_spread(a + (i / WINDOW * WINDOW + *note) * A_BYTES), v_weights(w));
        }
        continue;
#endif
        for (; g >= 4; g -= 4, a += 4 * A_BYTES, w += 4 * step) {
            sum = v_dot(sum, v_spread(a), v_weights(w));
            sum1 = v_dot(sum1, v_spread(a + A_BYTES), v_weights(w + step));
            sum2 = v_dot(sum2, v_spread(a + 2 * A_BYTES), v_weights(w + 2 * step));
            sum3 = v_dot(sum3, v_spread(a + 3 * A_BYTES), v_weights(w + 3 * step));
        }
        for (; g; g--, a += A_BYTES, w += step) sum = v_dot(sum, v_spread(a), v_weights(w));
    }
    sum = v_add32(v_add32(sum, sum1), v_add32(sum2, sum3));
    for (size_t e = 0; e < r->extras; e++, w += step) sum = v_dot(sum, v_spread(row + r->extra_at[e]), v_weights(w));
    return sum;
}

// A tile's outputs that are too near to ties: y has four vectors for every bit of `which`, of as many rows as their bytes fill a vector.
static __attribute__((noinline, cold)) void mend(const job *t, uint32_t which, size_t mr, size_t panels, vi y[][4], const uint8_t *rows, uint8_t *out)
{
    const size_t together = panels == 1 ? 4 : panels == 2 ? 2 : 1;
    for (; which; which &= which - 1) {
        size_t bit = (size_t)__builtin_ctz(which);
        for (size_t i = bit * together; i < mr && i < (bit + 1) * together; i++) {
            for (size_t p = 0; p < panels; p++) {
                uint32_t lanes = lanes_to_mend(y[bit][i % together * panels + p], t->n - p * LANES, t->o, t->plain);
                if (!lanes) continue;
                const vi sum = sums_of(t->rows, rows + i * t->rows->row_stride, t->strip, panels, t->panel_bytes, p);
                mend_lanes(lanes, &sum, t->strip + p * HEADER, LANES, 0, t->o, out + i * t->out_stride + p * LANES, false);
            }
        }
    }
}

// A tile's sums are variables, s<row>_<panel>, and what is done with each is written out by macros: whether a compiler unrolls
// loops over an array early enough to keep it in registers is luck (gcc 12 does at no level). Conditions are constants.
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define EACH_PANEL(X, i) X(i, 0) X(i, 1) X(i, 2) X(i, 3)

#define DECLARE(i) vi s##i##_0 = bias0, s##i##_1 = bias1, s##i##_2 = bias2, s##i##_3 = bias3;

// Rows are addressed from every fourth one, with one and three strides in registers: x86 can add up to two of them. The compiler
// would rather have a register for every row, and it has not as many.
#define DOT(i, p) if (p < panels) s##i##_##p = v_dot(s##i##_##p, x##i, w##p);
#define DOT_ROW(i) \
    if (i < mr) { \
        vi x##i = v_spread((i / 4 == 0 ? a0 : i / 4 == 1 ? a4 : i / 4 == 2 ? a8 : a12) + (i % 4 == 3 ? stride3 : i % 4 * stride)); \
        EACH_PANEL(DOT, i) \
    }
#define STEP \
    { \
        vi w0 = v_weights(w), w1 = panels > 1 ? v_weights(w + CHUNK) : w0; \
        vi w2 = panels > 2 ? v_weights(w + 2 * CHUNK) : w0, w3 = panels > 3 ? v_weights(w + 3 * CHUNK) : w0; \
        EACH_ROW(DOT_ROW) \
        w += panels * CHUNK; \
    }
// Rows that overlap, of a convolution three taps wide and stride 1: what one row reads at tap 1 the row before reads at tap 2. Each
// step's A is spread once for the three. With one panel, loads would else be what there is too much of.
#define SLIDE_FIRST(i) if (i < mr) s##i##_0 = v_dot(s##i##_0, x, w0);
#define SLIDE_SECOND(i) if (i < mr) s##i##_0 = v_dot(s##i##_0, x, w1);
#define SLIDE_THIRD(i) if (i < mr) s##i##_0 = v_dot(s##i##_0, x, w2);
#define SLIDE(base, i, j, k) \
    if (k < mr) { \
        vi x = v_spread(base + (i % 4 == 3 ? stride3 : i % 4 * stride)); \
        SLIDE_FIRST(i) SLIDE_SECOND(j) SLIDE_THIRD(k) \
    }
#define SLIDE_STEP \
    { \
        const size_t tap = r->groups / 3 * CHUNK; \
        vi w0 = v_weights(w), w1 = v_weights(w + tap), w2 = v_weights(w + 2 * tap); \
        { vi x = v_spread(a0); SLIDE_FIRST(0) } \
        { vi x = v_spread(a0 + stride); SLIDE_FIRST(1) SLIDE_SECOND(0) } \
        SLIDE(a0, 2, 1, 0) SLIDE(a0, 3, 2, 1) SLIDE(a4, 4, 3, 2) SLIDE(a4, 5, 4, 3) SLIDE(a4, 6, 5, 4) SLIDE(a4, 7, 6, 5) \
        SLIDE(a8, 8, 7, 6) SLIDE(a8, 9, 8, 7) SLIDE(a8, 10, 9, 8) SLIDE(a8, 11, 10, 9) SLIDE(a12, 12, 11, 10) SLIDE(a12, 13, 12, 11) \
        SLIDE(a12, 14, 13, 12) SLIDE(a12, 15, 14, 13) \
        if (mr == 16) { \
            { vi x = v_spread(a16); SLIDE_SECOND(15) SLIDE_THIRD(14) } \
            { vi x = v_spread(a16 + stride); SLIDE_THIRD(15) } \
        } \
        w += CHUNK; \
    }
#if ORDERED
#define AT(base, i) ((i / 4 == 0 ? base##0 : base##4) + (i % 4 == 3 ? stride3 : i % 4 * stride))
#define PAIR(i, p) if (p < panels) s##i##_##p = v_pair(s##i##_##p, x, w##p);
#define PAIR_ROW(i) \
    if (i < mr) { \
        const vi x = v_spread(AT(a, i)); \
        EACH_PANEL(PAIR, i) \
    }
#define QUAD(i, p) if (p < panels) s##i##_##p = v_quad(s##i##_##p, x, w##p, y, u##p);
#define QUAD_ROW(i) \
    if (i < mr) { \
        const vi x = v_spread(AT(a, i)), y = v_spread(AT(b, i)); \
        EACH_PANEL(QUAD, i) \
    }
#define WIDE_ROW(i) \
    if (i < mr) { \
        const vi x##i = v_spread(AT(a, i)); \
        EACH_PANEL(DOT, i) \
    }
#define STEP_POINTERS(base, at) const uint8_t *base##0 = window + (at) * A_BYTES, *base##4 = base##0 + 4 * stride;
#define STEP_WEIGHTS(name, at) \
    const vi name##0 = v_load(w + (at) * CHUNK), name##1 = panels > 1 ? v_load(w + ((at) + 1) * CHUNK) : name##0; \
    const vi name##2 = name##0, name##3 = name##0; \
    (void)name##1, (void)name##2, (void)name##3;
#define ORDERED_STEP(ROW) \
    { \
        STEP_POINTERS(a, note[0]) \
        STEP_WEIGHTS(w, 0) \
        (void)a4; \
        EACH_ROW(ROW) \
        w += panels * CHUNK; \
        note++; \
    }
#define ORDERED_QUAD \
    { \
        STEP_POINTERS(a, note[0]) \
        STEP_POINTERS(b, note[1]) \
        STEP_WEIGHTS(w, 0) \
        STEP_WEIGHTS(u, panels) \
        (void)a4, (void)b4; \
        EACH_ROW(QUAD_ROW) \
        w += 2 * panels * CHUNK; \
        note += 2; \
    }
// All steps of a segment that begins at `from`.
#define ORDERED_STEPS \
    for (size_t g = 0; g < r->groups; g += WINDOW) { \
        const uint8_t *window = from + g * A_BYTES; \
        size_t quads = note[0], pairs = note[1], wides = note[2]; \
        note += 3; \
        for (; quads; quads--) ORDERED_QUAD \
        for (; pairs; pairs--) ORDERED_STEP(PAIR_ROW) \
        for (; wides; wides--) ORDERED_STEP(WIDE_ROW) \
    }
#endif

#define ROW_POINTERS(from) const uint8_t *a0 = from, *a4 = a0 + 4 * stride, *a8 = a0 + 8 * stride, *a12 = a0 + 12 * stride, *a16 = a0 + 16 * stride
#define ADVANCE \
    { \
        a0 += A_BYTES; \
        if (mr > 4) { a4 += A_BYTES; __asm__("" : "+r"(a4)); } \
        if (mr > 8) { a8 += A_BYTES; __asm__("" : "+r"(a8)); } \
        if (mr > 12) { a12 += A_BYTES; __asm__("" : "+r"(a12)); } \
    }
#define SLIDE_ADVANCE \
    { \
        a0 += A_BYTES; \
        a4 += A_BYTES; \
        a8 += A_BYTES; \
        a12 += A_BYTES; \
        a16 += A_BYTES; \
        __asm__("" : "+r"(a4), "+r"(a8), "+r"(a12), "+r"(a16)); \
    }

// Rows are finished together as far as their bytes fill a vector: one of four panels, two of two, four of one. Sums are not needed
// after that, so that each becomes an output where it is: to mend one it is computed again.
#define FIX(i, p, y) if (i < mr && p < panels) y = fixed(s##i##_##p, m##p, add##p, offset, plain, clip);
#define FOUR_VECTORS vi y0 = v_zero(), y1 = y0, y2 = y0, y3 = y0;
#define PACKED packed_bytes(v_whole(y0, y1), v_whole(y2, y3), plain ? NULL : &t->range)
#define NOTE(bit) \
    if (__builtin_expect(any_near(y0, y1, y2, y3, limit) || (!plain && slow), 0)) { \
        which |= 1u << (bit); \
        near[bit][0] = y0; \
        near[bit][1] = y1; \
        near[bit][2] = y2; \
        near[bit][3] = y3; \
    }
#define FINISH_FOUR(i, j, k, l) \
    if (panels == 1 && i < mr) { \
        FOUR_VECTORS \
        FIX(i, 0, y0) FIX(j, 0, y1) FIX(k, 0, y2) FIX(l, 0, y3) \
        if (j >= mr) y1 = y0; \
        if (k >= mr) y2 = y0; \
        if (l >= mr) y3 = y0; \
        const size_t there = mr - i < 4 ? mr - i : 4; \
        store_rows(out + i * out_stride, out_stride, PACKED, 4, there, t->n, tail); \
        NOTE(i / 4) \
    } \
    FINISH_TWO(i, j) FINISH_TWO(k, l)
#define FINISH_TWO(i, k) \
    if (panels == 2 && i < mr) { \
        FOUR_VECTORS \
        FIX(i, 0, y0) FIX(i, 1, y1) FIX(k, 0, y2) FIX(k, 1, y3) \
        if (k >= mr) y2 = y3 = y0; \
        const size_t there = mr - i < 2 ? 1 : 2; \
        store_rows(out + i * out_stride, out_stride, PACKED, 2, there, t->n, tail); \
        NOTE(i / 2) \
    } \
    FINISH_ONE(i) FINISH_ONE(k)
#define FINISH_ONE(i) \
    if (panels > 2 && i < mr) { \
        FOUR_VECTORS \
        FIX(i, 0, y0) FIX(i, 1, y1) FIX(i, 2, y2) FIX(i, 3, y3) \
        if (panels == 3) y3 = y2; \
        v_store_bytes(out + i * out_stride, PACKED, tail); \
        NOTE(i) \
    }
#define FINISH_ALL FINISH_FOUR(0, 1, 2, 3) FINISH_FOUR(4, 5, 6, 7) FINISH_FOUR(8, 9, 10, 11) FINISH_FOUR(12, 13, 14, 15)
#define SAVE(i, p) if (i < mr && p < panels) v_store(out + i * t->out_stride + p * 4 * LANES, s##i##_##p);
#define SAVE_ROW(i) EACH_PANEL(SAVE, i)
#define PANEL_SCALES(p) const vf m##p = v_loadf(t->s[p < panels ? p : 0].m), add##p = v_loadf(t->s[p < panels ? p : 0].add);

// mr rows by `panels` panels: constants. *t and *r are the caller's own copies of *shared and its rows, which stores to `out` cannot change, as far
// as the compiler knows: what it reads of them stays in registers from tile to tile.
__attribute__((always_inline)) static inline void
tile(const size_t mr, const size_t panels, const job *t, const er_rows *r, const bool sums, const job *shared, const uint8_t *rows, uint8_t *out)
{
    const size_t stride = r->row_stride;
    const uint8_t *w = t->strip;
    const vi bias0 = v_load(w), bias1 = panels > 1 ? v_load(w + HEADER) : bias0;
    const vi bias2 = panels > 2 ? v_load(w + 2 * HEADER) : bias0, bias3 = panels > 3 ? v_load(w + 3 * HEADER) : bias0;
    EACH_ROW(DECLARE)
    w += panels * HEADER + r->before * r->groups * panels * CHUNK;
    size_t stride3 = 3 * stride;
    __asm__("" : "+r"(stride3));
#if ORDERED
    const uint8_t *note = t->notes;
    const uint8_t *from = rows;
    for (size_t s = r->segments; s; s--, from += r->segment_stride) ORDERED_STEPS
#else
    for (size_t s = 0; s < r->segments; s++) {
        ROW_POINTERS(rows + s * r->segment_stride);
        size_t g = 0;
        if (SLIDES && panels == 1 && mr >= 4 && t->slides) {
            for (; g < r->groups / 3; g++) {
                SLIDE_STEP
                SLIDE_ADVANCE
            }
            w += r->groups / 3 * 2 * CHUNK;
            continue;
        }
        for (; g < r->groups; g++) {
            STEP
            ADVANCE
        }
    }
#endif
    for (size_t e = 0; e < r->extras; e++) {
        ROW_POINTERS(rows + r->extra_at[e]);
        (void)a16;
        STEP
    }
    if (__builtin_expect(sums, 0)) {
        EACH_ROW(SAVE_ROW)
        return;
    }
    PANEL_SCALES(0) PANEL_SCALES(1) PANEL_SCALES(2) PANEL_SCALES(3)
    const v_tail tail = t->tail;
    const size_t out_stride = t->out_stride;
    const vi offset = t->offset, limit = t->limit;
    const bool clip = t->clip, slow = t->slow;
    uint32_t which = 0;
    vi near[16][4];     // of rows that are finished together
    if (t->plain) {
        const bool plain = true;
        FINISH_ALL
    } else {
        const bool plain = false;
        FINISH_ALL
    }
    if (__builtin_expect(which != 0, 0)) mend(shared, which, mr, panels, near, rows, out);
}

#define ROWS(mr, panels) \
    case mr: \
        if ((mr) <= MOST_##panels) \
            for (; count; count--, rows += (mr) * row_stride, out += (mr) * out_stride) tile(mr, panels, &t, &r, sums, shared, rows, out); \
        break

// `count` tiles of mr rows by `panels` panels.
static void run_tiles(size_t count, size_t mr, size_t panels, const job *shared, const uint8_t *rows, uint8_t *out)
{
    const job t = *shared;
    const er_rows r = *t.rows;
    const size_t row_stride = r.row_stride, out_stride = t.out_stride;
    const bool sums = t.o->sums;
    switch (panels) {
    case 1: switch (mr) { ROWS(1, 1); ROWS(2, 1); ROWS(4, 1); ROWS(8, 1); ROWS(12, 1); ROWS(16, 1); } break;
    case 2: switch (mr) { ROWS(1, 2); ROWS(2, 2); ROWS(4, 2); ROWS(6, 2); ROWS(8, 2); ROWS(10, 2); ROWS(12, 2); } break;
    case 3: switch (mr) { ROWS(1, 3); ROWS(2, 3); ROWS(3, 3); ROWS(4, 3); ROWS(5, 3); ROWS(6, 3); ROWS(7, 3); ROWS(8, 3); } break;
    case 4: switch (mr) { ROWS(1, 4); ROWS(2, 4); ROWS(3, 4); ROWS(4, 4); ROWS(5, 4); ROWS(6, 4); } break;
    }
}

#if HALVES
#include "kernels/x86/halves.h"
#endif

// How high tiles for m rows are: even ones, since a small rest would not hide the latency of its few sums. Narrow tiles come
// in heights that fill vectors of bytes.
static size_t tile_height(size_t m, size_t panels)
{
    static const size_t most[MAX_PANELS + 1] = {0, MOST_1, MOST_2, MOST_3, MOST_4};
    if (m == 1) return 1;
    size_t tiles = m <= most[panels] ? 1 : (m + most[panels] - 1) / most[panels], mr = tiles == 1 ? m : (m + tiles - 1) / tiles, unit = panels > 2 ? 1 : 4 / panels;
    if (mr >= unit) mr = (mr + unit - 1) / unit * unit;
    while (mr > m || (mr < unit && mr == 3)) mr = mr > unit ? mr - unit : mr - 1;
    return mr;
}

// How high the tile for what is left is: as high, or with some rows that are done already.
static size_t rest_height(size_t rest, size_t panels)
{
    if (rest < 3 || panels > 2) return rest;
    return panels == 2 ? (rest + 1) / 2 * 2 : (rest + 3) / 4 * 4;
}

// How many of the panels that are left make the next strip.
static size_t next_panels(size_t left)
{
    const size_t widest = MOST_4 ? 4 : MOST_3 ? 3 : 2;
    if (left >= 3 * widest) return widest;
    return left <= widest ? left : left <= 2 * widest ? (left + 1) / 2 : (left + 2) / 3;    // 9 = 3 + 3 + 3: narrow tiles do less for each load
}

static void qgemm(const er_rows *r, size_t n, size_t behind, const void *packed, size_t panel_bytes, const er_output *o, uint8_t *out, size_t out_stride)
{
    scales s[MAX_PANELS];
    if (!r->m) return;
    const bool plain = is_plain(o);
    job t = {r, o, packed, panel_bytes, n, s, range_of(o), v_set32(offset_of(o, plain)), v_set32(near_limit(o, plain)), v_tail_of(0), plain, o->large, o->slow, NULL, r->groups % 3 == 0 && 3 * r->row_stride == r->groups * A_BYTES, out_stride};
    for (size_t panels; t.n;) {
        panels = next_panels((t.n + behind + LANES - 1) / LANES);
        t.tail = tail_of(t.n, panels);
#if ORDERED
        t.notes = notes_for(t.strip, panels, panel_bytes, r);
#endif
        for (size_t p = 0; p < panels; p++) s[p] = scales_of(t.strip + p * HEADER, LANES, 0, o, plain);
        const size_t mr = tile_height(r->m, panels);
#if HALVES
        const bool halves = !o->sums && suits_halves(&t, panels);
        if (halves) (panels == 2 ? halves_of_2 : panels == 3 ? halves_of_3 : halves_of_4)(&t, out);
#else
        const bool halves = false;
#endif
        for (size_t line = 0; line < r->lines && !halves; line++) {
            const uint8_t *rows = (const uint8_t *)r->a + line * r->line_stride;
            uint8_t *to = out + line * r->m * out_stride;
            if (mr == r->m) {
                run_tiles(1, mr, panels, &t, rows, to);
                continue;
            }
            run_tiles(r->m / mr, mr, panels, &t, rows, to);
            if (r->m % mr) {        // rows that are done already come out the same
                const size_t rest = rest_height(r->m % mr, panels);
                run_tiles(1, rest, panels, &t, rows + (r->m - rest) * r->row_stride, to + (r->m - rest) * out_stride);
            }
        }
        t.strip += panels * panel_bytes;
        out += panels * LANES * (o->sums ? sizeof(int32_t) : 1);
        t.n -= t.n < panels * LANES ? t.n : panels * LANES;
    }
}

#endif
