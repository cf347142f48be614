// A vector by a matrix, 8-bit, for every x86 instruction set: one row of qgemm.h. Weights go by once, at the speed of the cache that
// they come from. All else is to be out of their way: what sums are scaled with is computed when the model is
// planned, and mostly is the same for all panels.
#ifndef ER_X86_QGEMV_H
#define ER_X86_QGEMV_H

#include "kernels/x86/qgemm.h"

static __attribute__((noinline, cold)) void mend_strip(const uint8_t *x, size_t groups, size_t panels, const vi *y, const uint8_t *strip, size_t panel_bytes, const er_output *o, size_t n, uint8_t *out)
{
    const er_rows one = {.segments = 1, .groups = groups};
    for (size_t p = 0; p < panels && p * LANES < n; p++) {
        uint32_t lanes = lanes_to_mend(y[p], n - p * LANES, o, false);
        if (!lanes) continue;
        const vi sum = sums_of(&one, x, strip, panels, panel_bytes, p);
        mend_lanes(lanes, &sum, strip + p * HEADER, LANES, 0, o, out + p * LANES, false);
    }
}

// Sums are two or four, of every second or fourth step, so that none waits for the last.
#define VECTOR_PANELS(X) X(0) X(1) X(2) X(3)
#define VECTOR_SUMS(p) vi s##p = v_load(strip + (p < panels ? p : 0) * HEADER), t##p = v_zero(), u##p = v_zero(), v##p = v_zero();
#define VECTOR_STEP(sum, step, p) if (p < panels) sum##p = v_dot(sum##p, x##step, v_weights(w + (step * panels + p) * CHUNK));
#define VECTOR_0(p) VECTOR_STEP(s, 0, p)
#define VECTOR_1(p) VECTOR_STEP(t, 1, p)
#define VECTOR_2(p) VECTOR_STEP(u, 2, p)
#define VECTOR_3(p) VECTOR_STEP(v, 3, p)
#if ORDERED
#define VECTOR_QUAD(sum, a, b, p) if (p < panels) sum##p = v_quad(sum##p, x##a, v_load(w + (a * panels + p) * CHUNK), x##b, v_load(w + (b * panels + p) * CHUNK));
#define VECTOR_QUAD_0(p) VECTOR_QUAD(s, 0, 1, p)
#define VECTOR_QUAD_2(p) VECTOR_QUAD(t, 2, 3, p)
#define VECTOR_PAIR(p) if (p < panels) u##p = v_pair(u##p, x0, v_load(w + p * CHUNK));
#endif
// Each sum stays in one register: gcc moves them around.
#define VECTOR_STAY(p) if (p < panels) __asm__("" : "+" V_REGISTER(s##p), "+" V_REGISTER(t##p));
#define VECTOR_ADD(p) s##p = v_add32(v_add32(s##p, t##p), v_add32(u##p, v##p));
#define VECTOR_SCALE(p) vf f##p = p < panels ? scaled(s##p, v_loadf(scale + p * step), v_loadf(scale + p * step + LANES)) : v_zerof();
#define VECTOR_CLIP(p) f##p = clipped(f##p);
#define VECTOR_ROUND(p) const vi y##p = p < panels ? v_add32(v_round(f##p), offset) : y0;

__attribute__((always_inline)) static inline void strip_by_vector(const size_t panels, const uint8_t *row, size_t groups, const uint8_t *strip, size_t panel_bytes, const float *scale,
                                                                  size_t step, const er_output *o, const range *bytes, vi offset, vi limit, size_t n, uint8_t *out)
{
    const uint8_t *w = strip + panels * HEADER, *x = row;
    const size_t all = groups;
    (void)panel_bytes;
    VECTOR_PANELS(VECTOR_SUMS)
#if ORDERED
    const uint8_t *note = notes_of(strip, panels, panel_bytes, 1, groups);
    for (size_t g = 0; g < groups; g += WINDOW, x += WINDOW * A_BYTES) {
        size_t quads = note[0], pairs = note[1], wides = note[2];
        for (note += 3; quads >= 2; quads -= 2, note += 4, w += 4 * panels * CHUNK) {
            const vi x0 = v_spread(x + note[0] * A_BYTES), x1 = v_spread(x + note[1] * A_BYTES), x2 = v_spread(x + note[2] * A_BYTES), x3 = v_spread(x + note[3] * A_BYTES);
            VECTOR_PANELS(VECTOR_QUAD_0)
            VECTOR_PANELS(VECTOR_QUAD_2)
        }
        for (; quads; quads--, note += 2, w += 2 * panels * CHUNK) {
            const vi x0 = v_spread(x + note[0] * A_BYTES), x1 = v_spread(x + note[1] * A_BYTES);
            VECTOR_PANELS(VECTOR_QUAD_0)
        }
        for (; pairs; pairs--, note++, w += panels * CHUNK) {
            const vi x0 = v_spread(x + note[0] * A_BYTES);
            VECTOR_PANELS(VECTOR_PAIR)
        }
        for (; wides; wides--, note++, w += panels * CHUNK) {
            const vi x0 = v_spread(x + note[0] * A_BYTES);
            VECTOR_PANELS(VECTOR_0)
        }
    }
#else
    for (; panels < 3 && groups >= 4; groups -= 4, x += 4 * A_BYTES, w += 4 * panels * CHUNK) {
        const vi x0 = v_spread(x), x1 = v_spread(x + A_BYTES), x2 = v_spread(x + 2 * A_BYTES), x3 = v_spread(x + 3 * A_BYTES);
        VECTOR_PANELS(VECTOR_0)
        VECTOR_PANELS(VECTOR_1)
        VECTOR_PANELS(VECTOR_2)
        VECTOR_PANELS(VECTOR_3)
    }
    for (; groups >= 2; groups -= 2, x += 2 * A_BYTES, w += 2 * panels * CHUNK) {
        const vi x0 = v_spread(x), x1 = v_spread(x + A_BYTES);
        VECTOR_PANELS(VECTOR_0)
        VECTOR_PANELS(VECTOR_1)
        VECTOR_PANELS(VECTOR_STAY)
    }
    if (groups) {
        const vi x0 = v_spread(x);
        VECTOR_PANELS(VECTOR_0)
    }
#endif
    VECTOR_PANELS(VECTOR_ADD)
    VECTOR_PANELS(VECTOR_SCALE)
    if (o->large) { VECTOR_PANELS(VECTOR_CLIP) }
    const vi y0 = v_add32(v_round(f0), offset);
    VECTOR_ROUND(1) VECTOR_ROUND(2) VECTOR_ROUND(3)
    const vi packed = packed_bytes(v_whole(y0, y1), v_whole(y2, y3), bytes);
    // A masked store would keep the next layer waiting until it is in the cache.
    if (panels == 4 && n >= 4 * LANES) v_save(out, packed);
    else v_store_bytes(out, packed, tail_of(n, panels));
    if (__builtin_expect(any_near(y0, y1, y2, y3, limit) || o->slow, 0)) {
        const vi y[] = {y0, y1, y2, y3};
        mend_strip(row, all, panels, y, strip, panel_bytes, o, n, out);
    }
}

#define BY_VECTOR(panels) strip_by_vector(panels, x, groups, strip, panel_bytes, scale, s->step, o, &bytes, offset, limit, n, out)

static void qgemv(const void *x, size_t groups, size_t n, size_t behind, const void *packed, size_t panel_bytes, const er_row_scales *s, const er_output *o, uint8_t *out)
{
    const range bytes = range_of(o);
    const vi offset = v_set32(offset_of(o, false)), limit = v_set32(near_limit(o, false));
    const uint8_t *strip = packed;
    const float *scale = s->scale;
    for (size_t panels; n;) {
        panels = next_panels((n + behind + LANES - 1) / LANES);
        switch (panels) {
        case 1: BY_VECTOR(1); break;
        case 2: BY_VECTOR(2); break;
        case 3: if (MOST_3) BY_VECTOR(3); break;
        case 4: if (MOST_4) BY_VECTOR(4); break;
        }
        strip += panels * panel_bytes;
        scale += panels * s->step;
        out += panels * LANES;
        n -= n < panels * LANES ? n : panels * LANES;
    }
}

static void row_scales(size_t n, const void *packed, size_t panel_bytes, const er_output *o, float *scale)
{
    const uint8_t *strip = packed;
    for (size_t left = (n + LANES - 1) / LANES, panels; left; left -= panels, strip += panels * panel_bytes) {
        panels = next_panels(left);
        for (size_t p = 0; p < panels; p++, scale += 2 * LANES) {
            const scales s = scales_of(strip + p * HEADER, LANES, 0, o, false);
            memcpy(scale, &s, sizeof s);
        }
    }
}

#endif
