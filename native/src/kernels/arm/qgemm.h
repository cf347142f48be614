// The 8-bit matrix product, for every Arm instruction set: compiled once for each, after
//     KR, BUNDLE                          products of a group, and groups of a panel that lie together
//     MOST_1 ... MOST_4                   rows of a tile of so many panels: all sums are in registers (0: no such tile)
//     SUMS(mr, panels)                    code that sets s<row>_<panel>, vectors of the sums of LANES channels, for mr rows from
//                                         `rows` on, of the er_rows r: bias and all products. `none` is 0.
//     FULL_TILES                          whether FULL is worth code of its own (1) or goes as RIGHT (0)
//     SIXTEEN(t, out)                     (a macro, where there is one) lines of plain rows of one segment with 16 products by four panels
//     BEGINNING(strip, panels, to)        what sums begin with, made in 96 bytes of each panel (not needed where it is the biases)
//     FIT_16                              (a macro) PLAIN and FULL are only strips whose outputs fit 16 bits, whatever A is (note_of)
//     PAIRED                              (a macro) sums of two rows lie together, until SPLIT sets s<row>_<panel>; of more than two panels FINISH_PAIRS
//                                         stores them, PLAIN or FULL, as they are
// A is int8. Panels have LANES channels.
#ifndef ER_ARM_QGEMM_H
#define ER_ARM_QGEMM_H

#include <math.h>

#include "kernels/arm/epilogue.h"

#ifndef BEGINNING
#define BEGINNING(strip, panels, to) ((void)(to), (strip))
#endif
#ifdef PAIRED
enum { TOGETHER = 2 };      // rows
#else
enum { TOGETHER = 1 };
#define SPLIT
#define FINISH_PAIRS if (0) {}
#endif

enum { MAX_PANELS = 4, MOST_ROWS = 12, CHUNK = LANES * KR };        // bytes of a panel's group

typedef struct job {
    const er_rows *rows;
    const er_output *o;
    const uint8_t *strip;       // headers and weights of the tile's panels
    const uint8_t *begin;       // what sums begin with
    size_t n;                   // channels from there on
    size_t panel_bytes;
    range range;
    rounding how;
    size_t out_stride;
} job;

#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define EACH_PANEL(X, i) X(i, 0) X(i, 1) X(i, 2) X(i, 3)

// Biases, multipliers or shifts of panel p of a strip.
static inline vi header_ints(const uint8_t *strip, size_t panels, size_t which, size_t p) { return load_ints(strip + 16 * (which * panels + (p < panels ? p : 0))); }

static inline bool is_single(const er_rows *r) { return r->segments == 1 && !r->extras && !r->before && !r->after; }

// Bytes of weights before the first segment.
#define WEIGHTS_BEFORE(panels) (single ? 0 : r->before * r->groups * panels * CHUNK)

// A row's sums begin with the biases.
#define BEGIN_ROW(i) \
    if (i < mr && panels == 1) s##i##_0 = load_ints(t->begin); \
    if (i < mr && panels > 1) LOAD_TWO(s##i##_0, s##i##_1, t->begin, 0) \
    if (i < mr && panels == 3) s##i##_2 = load_ints(t->begin + 32); \
    if (i < mr && panels > 3) LOAD_TWO(s##i##_2, s##i##_3, t->begin, 32)

// Sums are variables, as on x86.
#define DECLARE(i) vi s##i##_0 = none, s##i##_1 = none, s##i##_2 = none, s##i##_3 = none;

// Rows are finished together as far as their bytes fill a vector: one of four panels, two of two, four of one.
// Before that all sums are scaled, panel by panel, so that no more registers are in use than a tile's sums and one panel's multipliers.
#define SCALE(i, p) if (i < mr) s##i##_##p = scaled(s##i##_##p, q, shift, how);
#define SCALE_PANEL(p) \
    if (p < panels) { \
        const vi q = header_ints(t->strip, panels, 1, p), shift = header_ints(t->strip, panels, 2, p); \
        SCALE(0, p) SCALE(1, p) SCALE(2, p) SCALE(3, p) SCALE(4, p) SCALE(5, p) SCALE(6, p) SCALE(7, p) SCALE(8, p) SCALE(9, p) SCALE(10, p) SCALE(11, p) \
    }
#define FIX(i, p, y) if (i < mr && p < panels) y = s##i##_##p;
#define FOUR_VECTORS vi y0 = none, y1 = y0, y2 = y0, y3 = y0;
// STORE_WHOLE: a row's outputs of three panels or four. Rows follow each other, so that the pointer can, too (FOLLOWING).
#ifdef FIT_16
#define FOLLOWING(kind) ((kind == PLAIN || kind == FULL) && panels == 4)
#define STORE_WHOLE(bytes_of_row, i) \
    if (how != RIGHT && panels == 4) STORE_ROW(bytes_of_row, to, out_stride) \
    else store_bytes(out + i * out_stride, bytes_of_row, n < panels * LANES ? n : panels * LANES);
#define PACKED (how == RIGHT ? packed_bytes(y0, y1, y2, y3, &bytes, RIGHT) : bytes_of_16(lower_halves(y0, y1), lower_halves(y2, y3), &bytes, how))
#else
#define STORE_WHOLE(bytes_of_row, i) store_bytes(out + i * out_stride, bytes_of_row, n < panels * LANES ? n : panels * LANES);
#define FOLLOWING(kind) ((void)to, false)
#define PACKED packed_bytes(y0, y1, y2, y3, &bytes, how)
#endif
#define FINISH_FOUR(i, j, k, l) \
    if (panels == 1 && i < mr) { \
        FOUR_VECTORS \
        FIX(i, 0, y0) FIX(j, 0, y1) FIX(k, 0, y2) FIX(l, 0, y3) \
        store_rows(out + i * out_stride, out_stride, PACKED, 4, mr - i < 4 ? mr - i : 4, n); \
    } \
    FINISH_TWO(i, j) FINISH_TWO(k, l)
#define FINISH_TWO(i, k) \
    if (panels == 2 && i < mr) { \
        FOUR_VECTORS \
        FIX(i, 0, y0) FIX(i, 1, y1) FIX(k, 0, y2) FIX(k, 1, y3) \
        store_rows(out + i * out_stride, out_stride, PACKED, 2, mr - i < 2 ? 1 : 2, n); \
    } \
    FINISH_ONE(i) FINISH_ONE(k)
#define FINISH_ONE(i) \
    if (panels > 2 && i < mr) { \
        FOUR_VECTORS \
        FIX(i, 0, y0) FIX(i, 1, y1) FIX(i, 2, y2) FIX(i, 3, y3) \
        STORE_WHOLE(PACKED, i) \
    }
#define FINISH_ALL SCALE_PANEL(0) SCALE_PANEL(1) SCALE_PANEL(2) SCALE_PANEL(3) FINISH_FOUR(0, 1, 2, 3) FINISH_FOUR(4, 5, 6, 7) FINISH_FOUR(8, 9, 10, 11)
#define SAVE(i, p) if (i < mr && p < panels) vst1q_s32((int32_t *)(void *)(saved + i * saved_stride) + p * LANES, s##i##_##p);
#define SAVE_ROW(i) EACH_PANEL(SAVE, i)

// A row of up to n channels, with any multipliers.
__attribute__((always_inline)) static inline void store_slowly(const int32_t *sums, const uint8_t *strip, size_t panels, size_t n, const er_output *o, const range *bytes, uint8_t *out)
{
    vi y[MAX_PANELS];
    for (size_t p = 0; p < MAX_PANELS; p++) y[p] = p < panels ? scaled_slowly(vld1q_s32(sums + p * LANES), strip, panels * LANES, p * LANES, o) : y[0];
    store_bytes(out, packed_bytes(y[0], y[1], y[2], y[3], bytes, SLOW), n < panels * LANES ? n : panels * LANES);
}

static __attribute__((noinline)) void finish_slowly(const job *t, const int32_t *sums, size_t mr, size_t panels, uint8_t *out)
{
    for (size_t i = 0; i < mr; i++, out += t->out_stride, sums += panels * LANES) store_slowly(sums, t->strip, panels, t->n, t->o, &t->range, out);
}

// mr rows by `panels` panels: constants. The job comes as a copy that no store to `out` can touch, and `slow` as it is. `single`: rows are one
// segment without extras, whose code is spared then. Returns where the outputs of the next rows go.
__attribute__((always_inline)) static inline uint8_t *tile(const size_t mr, const size_t panels, const bool single, const rounding kind, const job *t, const er_rows *r,
                                                           const job *slow, const uint8_t *rows, uint8_t *out)
{
    const vi none = vdupq_n_s32(0);
    EACH_ROW(DECLARE)
    SUMS(mr, panels)
    const range bytes = t->range;
    const size_t out_stride = t->out_stride;
    uint8_t *to = out;
    if (__builtin_expect(kind == SLOW, 0)) {
        SPLIT
        int32_t sums[MOST_ROWS * MAX_PANELS * LANES];
        const bool are_outputs = slow->o->sums;
        uint8_t *saved = are_outputs ? out : (uint8_t *)sums;
        const size_t saved_stride = are_outputs ? out_stride : panels * LANES * sizeof *sums;
        EACH_ROW(SAVE_ROW)
        if (!are_outputs) finish_slowly(slow, sums, mr, panels, out);
    } else if (kind == PLAIN) {
        const rounding how = PLAIN;
        const size_t n = panels * LANES;
        FINISH_PAIRS else { SPLIT FINISH_ALL }
    } else if (FULL_TILES && kind == FULL) {
        const rounding how = FULL;
        const size_t n = panels * LANES;
        FINISH_PAIRS else { SPLIT FINISH_ALL }
    } else {
        const rounding how = RIGHT;
        const size_t n = t->n;
        SPLIT
        FINISH_ALL
    }
    return FOLLOWING(kind) ? to : out + mr * out_stride;
}

// The tile that most of a large product is made of.
#define MOSTLY(mr, panels) (panels > 2 && mr == MOST_##panels)
#define TILES(mr, panels, single, kind) \
    for (size_t line = 0; line < r.lines; line++, rows += r.line_stride, out += out_line) { \
        const uint8_t *from = rows; \
        uint8_t *to = out; \
        for (size_t left = count; left; left--, from += (mr) * row_stride) to = tile(mr, panels, single, kind, &copy, &r, t, from, to); \
    }
#define ROWS(mr, panels) \
    case mr: \
        if ((mr) > MOST_##panels) break; \
        if (MOSTLY(mr, panels) && single && copy.how == PLAIN) TILES(mr, panels, true, PLAIN) \
        else if (MOSTLY(mr, panels) && FULL_TILES && single && copy.how == FULL) TILES(mr, panels, true, FULL) \
        else TILES(mr, panels, false, copy.how) \
        break

// `count` tiles of mr rows by `panels` panels, of each line.
static void run_tiles(size_t count, size_t mr, size_t panels, const job *t, const uint8_t *rows, uint8_t *out)
{
    const job copy = *t;
    const er_rows r = *t->rows;
    const size_t row_stride = r.row_stride, out_line = r.m * t->out_stride;
    const bool single = is_single(&r);
    switch (panels) {
    case 1: switch (mr) { ROWS(1, 1); ROWS(2, 1); ROWS(3, 1); ROWS(4, 1); ROWS(6, 1); ROWS(8, 1); ROWS(10, 1); ROWS(12, 1); } break;
    case 2: switch (mr) { ROWS(1, 2); ROWS(2, 2); ROWS(3, 2); ROWS(4, 2); ROWS(6, 2); ROWS(8, 2); ROWS(10, 2); ROWS(12, 2); } break;
    case 3: switch (mr) { ROWS(1, 3); ROWS(2, 3); ROWS(3, 3); ROWS(4, 3); ROWS(5, 3); ROWS(6, 3); ROWS(7, 3); ROWS(8, 3); } break;
    case 4: switch (mr) { ROWS(1, 4); ROWS(2, 4); ROWS(3, 4); ROWS(4, 4); ROWS(5, 4); ROWS(6, 4); } break;
    }
}

// The lowest tile that has at least m rows, or the highest.
static size_t tile_height(size_t m, size_t panels)
{
    static const size_t most[MAX_PANELS + 1] = {0, MOST_1, MOST_2, MOST_3, MOST_4};
    if (m >= most[panels]) return most[panels];
    return panels < 3 && m > 4 ? (m + 1) / 2 * 2 : m;
}

// What is known of a strip since it was packed. `shift`: of the largest one's sign.
typedef struct { bool fits; int32_t shift; } strip_note;

#ifdef FIT_16
static size_t fit_bytes(size_t segments, size_t groups)
{
    (void)segments, (void)groups;
    return 1;
}

// A strip's last byte: whether its outputs fit, and 0, 2 or 4 as its largest shift is to the right, none, or to the left.
static inline strip_note note_of(const uint8_t *strip, size_t panels, size_t panel_bytes)
{
    const uint8_t note = strip[panels * panel_bytes - 1];
    return (strip_note){note & 1, (note >> 1) - 1};
}

// sums[j] + the sizes of channel j's weights in a chunk.
static inline uint32x4_t add_sizes(uint32x4_t sums, const int8_t *w)
{
    const uint16x8_t first = vpaddlq_u8(vreinterpretq_u8_s8(vabsq_s8(vld1q_s8(w))));
    if (KR == 4) return vpadalq_u16(sums, first);
    const uint16x8_t second = vpaddlq_u8(vreinterpretq_u8_s8(vabsq_s8(vld1q_s8(w + 16))));
    return vaddq_u32(sums, vpaddq_u32(vpaddlq_u16(first), vpaddlq_u16(second)));
}

// Whether no output of a packed strip is larger than 16 bits: of the sums that its weights and biases can make, bytes of A being -128 at the least.
static bool fits_16(const uint8_t *strip, size_t panels, size_t panel_bytes)
{
    const int8_t *w = (const int8_t *)strip + panels * HEADER;
    uint32x4_t sums[MAX_PANELS];
    for (size_t p = 0; p < panels; p++) sums[p] = vdupq_n_u32(0);
    for (size_t g = 0; g < (panel_bytes - HEADER) / CHUNK; g++)         // with extras, and zeros
        for (size_t p = 0; p < panels; p++, w += CHUNK) sums[p] = add_sizes(sums[p], w);
    for (size_t p = 0; p < panels; p++) {
        uint32_t weights[LANES];
        int32_t header[3][LANES];       // biases, multipliers, shifts
        vst1q_u32(weights, sums[p]);
        for (size_t i = 0; i < 3; i++) vst1q_s32(header[i], load_ints(strip + 16 * (i * panels + p)));
        for (size_t j = 0; j < LANES; j++) {
            const double most = fabs((double)header[0][j]) + 128.0 * weights[j];
            if (!(ldexp(most * header[1][j], header[2][j] - 31) < INT16_MAX)) return false;
        }
    }
    return true;
}

static void note_fit(void *strip, size_t panels, size_t panel_bytes, size_t segments, size_t groups)
{
    (void)segments, (void)groups;
    const bool fits = fits_16(strip, panels, panel_bytes);
    const int32_t shift = largest_shift(strip, panels);
    ((uint8_t *)strip)[panels * panel_bytes - 1] = (uint8_t)(fits | (shift < 0 ? 0 : shift == 0 ? 2 : 4));
}
#else
static inline strip_note note_of(const uint8_t *strip, size_t panels, size_t panel_bytes)
{
    (void)panel_bytes;
    return (strip_note){true, largest_shift(strip, panels)};        // they fit, or need not
}
#endif

// How many of the panels that are left make the next strip.
static size_t next_panels(size_t left)
{
    const size_t widest = MOST_4 ? 4 : MOST_3 ? 3 : MOST_2 ? 2 : 1, tiles = (left + widest - 1) / widest;
    if (left >= 3 * widest) return widest;
    return (left + tiles - 1) / tiles;
}

// Lines of rows: even tiles, then one for the rest of each, which may begin with rows that are done already, and come out the same.
static void run_lines(size_t panels, const job *t, uint8_t *out)
{
    const uint8_t *rows = t->rows->a;
    const size_t m = t->rows->m, highest = tile_height(m, panels), tiles = (m + highest - 1) / highest, each = (m + tiles - 1) / tiles;
    const size_t mr = tile_height(tiles > 1 ? er_round_up(each, TOGETHER) : each, panels);
    if (mr > m) {       // no tile is as low: one less, and the rest
        run_tiles(1, mr - 2, panels, t, rows, out);
        run_tiles(1, 1, panels, t, rows + (m - 1) * t->rows->row_stride, out + (m - 1) * t->out_stride);
        return;
    }
    run_tiles(m / mr, mr, panels, t, rows, out);
    if (m % mr == 0) return;
    size_t rest = tile_height(m % mr, panels);
    run_tiles(1, rest, panels, t, rows + (m - rest) * t->rows->row_stride, out + (m - rest) * t->out_stride);
}

static void qgemm(const er_rows *r, size_t n, size_t behind, const void *packed, size_t panel_bytes, const er_output *o, uint8_t *out, size_t out_stride)
{
    if (!r->m) return;
    uint8_t begin[MAX_PANELS * 96];
    job t = {r, o, packed, begin, n, panel_bytes, range_of(o), SLOW, out_stride};
    for (size_t panels; t.n;) {
        panels = next_panels((t.n + behind + LANES - 1) / LANES);
        t.begin = BEGINNING(t.strip, panels, begin);
        const strip_note note = note_of(t.strip, panels, panel_bytes);
        t.how = rounding_of(note.shift, o, t.range.free && t.n >= panels * LANES && note.fits);
#ifdef SIXTEEN
        if (panels == 4 && t.how == PLAIN && is_single(r) && r->groups * KR == 16 && r->m > 1) SIXTEEN(&t, out);
        else
#endif
            run_lines(panels, &t, out);
        t.strip += panels * panel_bytes;
        out += panels * LANES * (o->sums ? sizeof(int32_t) : 1);
        t.n -= t.n < panels * LANES ? t.n : panels * LANES;
    }
}

// One row: what a tile does, without what it takes to go from strip to strip.
__attribute__((always_inline)) static inline void row_of(const size_t panels, const uint8_t *rows, size_t groups, size_t n, const uint8_t *strip, size_t panel_bytes,
                                                         const er_output *o, const range *bytes, uint8_t *out)
{
    uint8_t begin[MAX_PANELS * 96];
    const er_rows row = {.segments = 1, .groups = groups}, *r = &row;
    const job one = {.rows = r, .strip = strip, .begin = BEGINNING(strip, panels, begin), .panel_bytes = panel_bytes}, *t = &one;
    const vi none = vdupq_n_s32(0);
    const size_t mr = 1;
    const bool single = true;
    EACH_ROW(DECLARE)
    SUMS(mr, panels)
    SPLIT
    int32_t sums[MAX_PANELS * LANES];
    uint8_t *const saved = (uint8_t *)sums;
    const size_t saved_stride = 0;      // one row
    EACH_ROW(SAVE_ROW)
    store_slowly(sums, strip, panels, n, o, bytes, out);
}

#define ROW_OF(panels) case panels: if (MOST_##panels) row_of(panels, row, groups, n, strip, panel_bytes, o, &bytes, out); break;

static void qgemv(const void *row, size_t groups, size_t n, size_t behind, const void *packed, size_t panel_bytes, const er_row_scales *s, const er_output *o, uint8_t *out)
{
    (void)s;
    const range bytes = range_of(o);
    const uint8_t *strip = packed;
    for (size_t panels, some; n; n -= some, out += some, strip += panels * panel_bytes) {
        panels = next_panels((n + behind + LANES - 1) / LANES);
        some = n < panels * LANES ? n : panels * LANES;
        switch (panels) { ROW_OF(1) ROW_OF(2) ROW_OF(3) ROW_OF(4) }
    }
}

// Multipliers are used as the headers have them.
static void no_scales(size_t n, const void *packed, size_t panel_bytes, const er_output *o, float *scale)
{
    (void)packed, (void)panel_bytes, (void)o;
    memset(scale, 0, 2 * er_round_up(n, LANES) * sizeof *scale);
}

static void pack_a(void *dst, const void *src, size_t n, bool is_signed)
{
    uint8_t *d = dst;
    const uint8_t *s = src, mask = is_signed ? 0 : 0x80;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) vst1q_u8(d + i, veorq_u8(vld1q_u8(s + i), vdupq_n_u8(mask)));
    for (; i < n; i++) d[i] = s[i] ^ mask;
}

#endif
