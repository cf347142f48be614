// A vector by a matrix, 8-bit, for every x86 instruction set: one row of qgemm.h. Weights go by once, at the speed of the cache that
// they come from. All else is to be out of their way: what sums are scaled with is computed when the model is
// planned, and mostly is the same for all panels.
#ifndef ER_X86_QGEMV_H
#define ER_X86_QGEMV_H

#include "kernels/x86/qgemm.h"

// What is the same for all strips.
typedef struct {
    const uint8_t *x;
    size_t groups;
    const er_output *o;
    size_t panel_bytes;
    range range;
    vi offset, limit;
} vector_job;

static __attribute__((noinline, cold)) void mend_strip(const vector_job *t, size_t panels, const vi *y, const uint8_t *strip, size_t n, uint8_t *out)
{
    const er_rows one = {.segments = 1, .groups = t->groups};
    for (size_t p = 0; p < panels && p * LANES < n; p++) {
        uint32_t lanes = lanes_to_mend(y[p], n - p * LANES, t->o, false);
        if (!lanes) continue;
        const vi sum = sums_of(&one, t->x, strip, panels, t->panel_bytes, p);
        mend_lanes(lanes, &sum, strip + p * HEADER, LANES, 0, t->o, out + p * LANES, false);
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
#define VECTOR_ADD(p) s##p = v_add32(v_add32(s##p, t##p), v_add32(u##p, v##p));
#define VECTOR_FIX(p) const vi y##p = p < panels ? fixed(s##p, v_loadf(scale + p * step), v_loadf(scale + p * step + LANES), t->offset, false, t->o->large) : y0;

__attribute__((always_inline)) static inline void strip_by_vector(const size_t panels, const vector_job *t, const uint8_t *strip,
                                                                  const float *scale, size_t step, size_t n, uint8_t *out)
{
    const uint8_t *w = strip + panels * HEADER, *x = t->x;
    size_t groups = t->groups;
    VECTOR_PANELS(VECTOR_SUMS)
#if ORDERED
    const uint8_t *note = notes_of(strip, panels, t->panel_bytes, 1, groups);
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
    }
    if (groups) {
        const vi x0 = v_spread(x);
        VECTOR_PANELS(VECTOR_0)
    }
#endif
    VECTOR_PANELS(VECTOR_ADD)
    const vi y0 = fixed(s0, v_loadf(scale), v_loadf(scale + LANES), t->offset, false, t->o->large);
    VECTOR_FIX(1) VECTOR_FIX(2) VECTOR_FIX(3)
    const range bytes = t->range;
    const vi packed = packed_bytes(v_whole(y0, y1), v_whole(y2, y3), &bytes);
    // A masked store would keep the next layer waiting until it is in the cache.
    if (panels == 4 && n >= 4 * LANES) v_save(out, packed);
    else v_store_bytes(out, packed, tail_of(n, panels));
    if (__builtin_expect(any_near(y0, y1, y2, y3, t->limit) || t->o->slow, 0)) {
        const vi y[] = {y0, y1, y2, y3};
        mend_strip(t, panels, y, strip, n, out);
    }
}

static void qgemv(const void *x, size_t groups, size_t n, size_t behind, const void *packed, size_t panel_bytes, const er_row_scales *s, const er_output *o, uint8_t *out)
{
    const vector_job t = {x, groups, o, panel_bytes, range_of(o), v_set32(offset_of(o, false)), v_set32(near_limit(o, false))};
    const uint8_t *strip = packed;
    const float *scale = s->scale;
    for (size_t panels; n;) {
        panels = next_panels((n + behind + LANES - 1) / LANES);
        switch (panels) {
        case 1: strip_by_vector(1, &t, strip, scale, s->step, n, out); break;
        case 2: strip_by_vector(2, &t, strip, scale, s->step, n, out); break;
        case 3: if (MOST_3) strip_by_vector(3, &t, strip, scale, s->step, n, out); break;
        case 4: if (MOST_4) strip_by_vector(4, &t, strip, scale, s->step, n, out); break;
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
