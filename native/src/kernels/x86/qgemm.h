// The 8-bit matrix product, for every x86 instruction set: compiled once for each, after its vec*.h, which says how
// products are made:
//     KR, A_BYTES                 products of a step, and the bytes of A that they take
//     v_spread(p)                 a step's A in all lanes
//     v_weights(p)                a step's weights of a panel of LANES channels, LANES * KR bytes
//     v_dot(sum, a, w)            sum + products
//     MOST_1 ... MOST_4, MOST_8   rows of a tile of so many panels: all sums are in registers (0: no such tile)
#ifndef ER_X86_QGEMM_H
#define ER_X86_QGEMM_H

#include "kernels/x86/epilogue.h"

enum { MAX_PANELS = 8, MAX_SUMS = 24 };

typedef struct {
    const er_rows *rows;
    const er_output *o;
    const uint8_t *panel;       // the first of the tile
    size_t panel_bytes, n;      // channels from there on
    const scales *s;            // of each panel
    range range;
    size_t out_stride;
} job;

static __attribute__((noinline)) void mend(const job *t, size_t mr, size_t panels, const vi *sums, uint8_t *out)
{
    for (size_t i = 0; i < mr; i++)
        for (size_t p = 0; p < panels && p * LANES < t->n; p++)
            mend_vector(sums[i * panels + p], &t->s[p], t->panel + p * t->panel_bytes, LANES, 0, t->n - p * LANES, t->o, out + i * t->out_stride + p * LANES, false);
}

__attribute__((always_inline)) static inline void
step(vi (*sum)[MAX_PANELS], size_t mr, size_t panels, const uint8_t *a, size_t stride, const uint8_t *w, size_t panel_bytes)
{
    vi weights[MAX_PANELS];
    for (size_t p = 0; p < panels; p++) weights[p] = v_weights(w + p * panel_bytes);
    for (size_t i = 0; i < mr; i++) {
        vi x = v_spread(a + i * stride);
        for (size_t p = 0; p < panels; p++) sum[i][p] = v_dot(sum[i][p], x, weights[p]);
    }
}

// mr rows by `panels` panels. Inlined with constants, so that the sums are registers.
__attribute__((always_inline)) static inline void tile(size_t mr, size_t panels, const job *t, const uint8_t *rows, uint8_t *out)
{
    const er_rows *r = t->rows;
    vi sum[MAX_SUMS][MAX_PANELS];
    for (size_t p = 0; p < panels; p++) {
        vi bias = v_load(t->panel + p * t->panel_bytes);
        for (size_t i = 0; i < mr; i++) sum[i][p] = bias;
    }
    const uint8_t *w = t->panel + ER_HEADER * LANES;
    const size_t stride = r->row_stride, panel_bytes = t->panel_bytes;
    for (size_t s = 0; s < r->segments; s++) {
        const uint8_t *a = rows + s * r->segment_stride;
        for (size_t g = 0; g < r->groups; g++, a += A_BYTES, w += LANES * KR) step(sum, mr, panels, a, stride, w, panel_bytes);
    }
    for (size_t e = 0; e < r->extras; e++, w += LANES * KR) step(sum, mr, panels, rows + r->extra_at[e], stride, w, panel_bytes);

    vf worst = v_zerof();
    for (size_t i = 0; i < mr; i++) {
        for (size_t first = 0; first < panels; first += 4) {
            size_t vectors = panels - first < 4 ? panels - first : 4;
            vi y[4];
            for (size_t p = 0; p < vectors; p++) {
                vf x = scaled(sum[i][first + p], &t->s[first + p]);
                worst = v_worst(worst, x);
                y[p] = v_round(x);
            }
            store_outputs(out + i * t->out_stride + first * LANES, y, vectors, t->n - first * LANES, &t->range);
        }
    }
    if (__builtin_expect(v_any_above(worst, LIMIT) || t->o->slow, 0)) {
        vi sums[MAX_SUMS];
        for (size_t i = 0; i < mr; i++)
            for (size_t p = 0; p < panels; p++) sums[i * panels + p] = sum[i][p];
        mend(t, mr, panels, sums, out);
    }
}

#define ROWS(mr, panels) case mr: if ((mr) <= MOST_##panels) tile(mr, panels, t, rows, out); break

static void run_tile(size_t mr, size_t panels, const job *t, const uint8_t *rows, uint8_t *out)
{
    switch (panels) {
    case 1:
        switch (mr) {
        ROWS(1, 1); ROWS(2, 1); ROWS(3, 1); ROWS(4, 1); ROWS(5, 1); ROWS(6, 1); ROWS(7, 1); ROWS(8, 1);
        ROWS(9, 1); ROWS(10, 1); ROWS(11, 1); ROWS(12, 1); ROWS(13, 1); ROWS(14, 1); ROWS(15, 1); ROWS(16, 1);
        }
        break;
    case 2:
        switch (mr) {
        ROWS(1, 2); ROWS(2, 2); ROWS(3, 2); ROWS(4, 2); ROWS(5, 2); ROWS(6, 2);
        ROWS(7, 2); ROWS(8, 2); ROWS(9, 2); ROWS(10, 2); ROWS(11, 2); ROWS(12, 2);
        }
        break;
    case 3:
        switch (mr) { ROWS(1, 3); ROWS(2, 3); ROWS(3, 3); ROWS(4, 3); ROWS(5, 3); ROWS(6, 3); ROWS(7, 3); ROWS(8, 3); }
        break;
    case 4:
        switch (mr) { ROWS(1, 4); ROWS(2, 4); ROWS(3, 4); ROWS(4, 4); ROWS(5, 4); ROWS(6, 4); }
        break;
    default:
        switch (mr) { ROWS(1, 8); ROWS(2, 8); }
    }
}

// How many panels to take next: `left` panels of rows in lines of m.
static size_t next_panels(size_t left, size_t m)
{
    if (m <= MOST_8 && left >= 8) return 8;
    size_t widest = MOST_4 ? 4 : MOST_3 ? 3 : 2;
    if (left <= widest) return left;
    return left < 2 * widest ? (left + 1) / 2 : widest;     // 5 = 3 + 2: narrow tiles do less for each load
}

static void qgemm(const er_rows *r, size_t n, const void *packed, size_t panel_bytes, const er_output *o, uint8_t *out, size_t out_stride)
{
    static const size_t most[MAX_PANELS + 1] = {0, MOST_1, MOST_2, MOST_3, MOST_4, 0, 0, 0, MOST_8};
    scales s[MAX_PANELS];
    job t = {r, o, packed, panel_bytes, n, s, range_of(o), out_stride};
    for (size_t panels; t.n;) {
        panels = next_panels((t.n + LANES - 1) / LANES, r->m);
        for (size_t p = 0; p < panels; p++) s[p] = scales_of(t.panel + p * panel_bytes, LANES, 0, o->real);
        for (size_t line = 0; line < r->lines; line++) {
            const uint8_t *rows = (const uint8_t *)r->a + line * r->line_stride;
            uint8_t *to = out + line * r->m * out_stride;
            // Tiles of even height: a small rest would not hide the latency of its few sums.
            for (size_t left = r->m, tiles = (left + most[panels] - 1) / most[panels]; left; tiles--) {
                size_t mr = (left + tiles - 1) / tiles;
                run_tile(mr, panels, &t, rows, to);
                left -= mr;
                rows += mr * r->row_stride;
                to += mr * out_stride;
            }
        }
        t.panel += panels * panel_bytes;
        out += panels * LANES;
        t.n -= t.n < panels * LANES ? t.n : panels * LANES;
    }
}

#endif
