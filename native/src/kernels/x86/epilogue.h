// From 32-bit sums to outputs, for every vector width: compiled once for each instruction set, after its vec*.h.
//
// The two roundings of er_requantize are one (docs/numerics.md): with m = q * 2^(shift-31),
//     y = sum * m + sign(sum) * 2^(shift-1), rounded to the nearest integer       (the second term only where shift < 0)
// where only exact ties need a thought. In float32 this is one fused multiply-add, here with 16 bits after the point, and a
// conversion; it is right unless the value lies within NEAR of a tie. |y| is less than 256 where it matters, 2^24 with the bits after
// the point: m and the sum are rounded to 24 bits, which makes less than 1 each, and the product and the conversion 1/2.
// The least fraction of a tile is kept, and where it comes too near, the outputs that do are computed again by er_finish.
#ifndef ER_X86_EPILOGUE_H
#define ER_X86_EPILOGUE_H

#include "kernels/finish.h"
#include "kernels/x86/bytes.h"

enum { ONE = 65536, NEAR = 3, NEAR_BELOW = 2 * NEAR + 1 };

// Of LANES channels: what a sum is multiplied with and what is added with the sum's sign.
typedef struct { float m[LANES], nudge[LANES]; } scales;

static inline scales scales_of(const uint8_t *header, size_t width, size_t at, bool real)
{
    scales s;
    const uint8_t *h = header + 4 * width;
    if (real) {
        v_savef(s.m, v_mulf(v_from_doubles(h + 8 * at), v_setf(ONE)));
        v_savef(s.nudge, v_zerof());
        return s;
    }
    vi q = v_load(h + 4 * at), shift = v_load(h + 4 * (width + at));
    v_savef(s.m, v_mulf(v_float(q), v_power(v_add32(shift, v_set32(16 - 31)))));
    v_savef(s.nudge, v_where_negative(shift, v_power(v_add32(shift, v_set32(16 - 1)))));
    return s;
}

// What is added to an output: its zero point, counted from the type's lowest value, one half to round, and NEAR, so that
// what is near to a tie has less than NEAR_BELOW behind the point.
static inline vi offset_of(const er_output *o) { return v_set32((o->zero + range_base(o)) * ONE + ONE / 2 + NEAR); }

// Outputs of sums, times ONE.
__attribute__((always_inline)) static inline vf scaled(vi sum, vf m, vf nudge)
{
    vf x = v_float(sum);
    return v_fma(x, m, v_copysign(nudge, x));
}

// Four vectors of them with 16 bits after the point. `clip`: what is too large would become the smallest number (er_output.large).
__attribute__((always_inline)) static inline void fix(vf x0, vf x1, vf x2, vf x3, vi offset, bool clip, vi *y, vi *least, size_t vectors)
{
    if (clip) {
        const vf most = v_setf(2.09e9f);
        x0 = v_minf(x0, most);
        if (vectors > 1) x1 = v_minf(x1, most);
        if (vectors > 2) x2 = v_minf(x2, most);
        if (vectors > 3) x3 = v_minf(x3, most);
    }
    y[0] = v_add32(v_round(x0), offset);
    y[1] = vectors > 1 ? v_add32(v_round(x1), offset) : y[0];
    y[2] = vectors > 2 ? v_add32(v_round(x2), offset) : y[0];
    y[3] = vectors > 3 ? v_add32(v_round(x3), offset) : y[2];
    *least = v_least(*least, y[0]);
    if (vectors > 1) *least = v_least(*least, y[1]);
    if (vectors > 2) *least = v_least(*least, y[2]);
    if (vectors > 3) *least = v_least(*least, y[3]);
}

// Lanes of a vector of sums, of which n exist, that float32 cannot be trusted with.
static inline uint32_t lanes_to_mend(vi sum, const scales *s, size_t n, vi offset, const er_output *o)
{
    uint32_t there = UINT32_MAX >> (n < LANES ? 32 - n : 32 - LANES);
    if (o->slow) return there;
    vf x = scaled(sum, v_loadf(s->m), v_loadf(s->nudge));
    vi y[4], least = v_ones();
    fix(x, x, x, x, offset, o->large, y, &least, 1);
    return there & v_lanes_below(y[0], NEAR_BELOW);
}

// Computes them again. `header` has `width` channels, of which the vector's are those from `at` on. `apart`: the bytes of every four
// lanes are 16 from those before.
static __attribute__((noinline)) void mend_lanes(uint32_t lanes, const vi *sum, const uint8_t *header, size_t width, size_t at,
                                                 const er_output *o, uint8_t *out, bool apart)
{
    int32_t sums[LANES];
    v_save(sums, *sum);
    for (; lanes; lanes &= lanes - 1) {
        size_t j = (size_t)__builtin_ctz(lanes);
        out[apart ? j / 4 * 16 + j % 4 : j] = er_finish(sums[j], header, width, at + j, o);
    }
}

#endif
