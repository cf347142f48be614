// From 32-bit sums to outputs, for every vector width: compiled once for each instruction set, after its vec*.h.
//
// The two roundings of er_requantize are one (docs/numerics.md): with m = q * 2^(shift-31),
//     y = sum * m + sign(sum) * 2^(shift-1), rounded to the nearest integer       (the second term only where shift < 0)
// where only exact ties need a thought. In float32 this is one fused multiply-add, here with 16 bits after the point, and a
// conversion; it is right unless the value lies as near to a tie as float32 is off, by nearness() below. Outputs that do are computed
// again by er_finish: near ones are three to seven of 65536.
#ifndef ER_X86_EPILOGUE_H
#define ER_X86_EPILOGUE_H

#include "kernels/finish.h"
#include "kernels/x86/bytes.h"

enum { ONE = 65536 };

// Outputs for which less is to do: all bytes are in range, nothing becomes too large, and the sign of a sum makes no difference,
// as negative ones all become 0. They may be computed as others are (`plain` is false), but not the other way round.
static inline bool is_plain(const er_output *o)
{
    return range_of(o).free && (o->real || o->zero <= 0) && !o->large && !o->slow;
}

// By how much an output times ONE may be off, rounded up less one half, as it is a whole number. The product is less than 2^24 where
// it matters. Rounding the multiplier to 24 bits makes 1, or 1/2 where `scales` evens it out; the multiplication and the
// conversion 3/4 together; and a sum that needs more than 24 bits 1.
static inline int32_t nearness(const er_output *o, bool plain) { return (plain && !o->real ? 1 : 2) + o->wide; }

// An output lies too near to a tie where less than this is behind its point.
static inline int32_t near_limit(const er_output *o, bool plain) { return 2 * nearness(o, plain) + 1; }

// What is added to an output: its zero point, counted from the type's lowest value, one half to round, and nearness(), so that what
// is near to a tie is not below 0 behind the point.
static inline int32_t offset_of(const er_output *o, bool plain) { return (o->zero + er_output_base(o)) * ONE + ONE / 2 + nearness(o, plain); }

// Of LANES channels: what a sum is multiplied with, and what is added: the offset and all, where outputs are plain, else
// the second term with the sum's sign.
typedef struct { _Alignas(4 * LANES) float m[LANES], add[LANES]; } scales;

static inline scales scales_of(const uint8_t *header, size_t width, size_t at, const er_output *o, bool plain)
{
    scales s;
    const uint8_t *h = header + 4 * width;
    const vf offset = v_setf(plain ? (float)offset_of(o, true) : 0);
    if (o->real) {
        v_savef(s.m, v_mulf(v_from_doubles(h + 8 * at), v_setf(ONE)));
        v_savef(s.add, offset);
        return s;
    }
    vi q = v_load(h + 4 * at), shift = v_load(h + 4 * (width + at));
    vf rounded = v_float(q), nudge = v_where_negative(shift, v_power(v_add32(shift, v_set32(16 - 1))));
    // What the multiplier loses in the middle of the outputs' range: middle * rest / q, where 1/q is nearly a line.
    vf rest = v_float(v_sub32(q, v_cut(rounded))), middle = v_setf(plain ? 0x1p-31f * 128 * (float)ONE : 0);
    vf reciprocal = v_fma(rounded, v_setf(-2 * 0x1p-31f), v_setf(2.914f));
    v_savef(s.m, v_mulf(rounded, v_power(v_add32(shift, v_set32(16 - 31)))));
    v_savef(s.add, v_addf(v_fma(middle, v_mulf(rest, reciprocal), offset), nudge));
    return s;
}

// Outputs that are not plain before they are rounded and the offset is added. What is too large would become the smallest number: it has to be
// clipped first (er_output.large).
__attribute__((always_inline)) static inline vf scaled(vi sum, vf m, vf add)
{
    const vf x = v_float(sum);
    return v_fma(x, m, v_copysign(add, x));
}
__attribute__((always_inline)) static inline vf clipped(vf y) { return v_minf(y, v_setf(2.09e9f)); }

// Outputs of sums, times ONE.
__attribute__((always_inline)) static inline vi fixed(vi sum, vf m, vf add, vi offset, bool plain, bool clip)
{
    if (plain) return v_round(v_fma(v_float(sum), m, add));
    const vf y = scaled(sum, m, add);
    return v_add32(v_round(clip ? clipped(y) : y), offset);
}

// Whether one of four vectors of them lies too near to a tie.
__attribute__((always_inline)) static inline bool any_near(vi y0, vi y1, vi y2, vi y3, vi limit)
{
    return v_any_below(v_least(v_least(y0, y1), v_least(y2, y3)), limit);
}

// Of a vector of outputs, of which n exist, the lanes that float32 cannot be trusted with.
static inline uint32_t lanes_to_mend(vi y, size_t n, const er_output *o, bool plain)
{
    uint32_t there = UINT32_MAX >> (n < LANES ? 32 - n : 32 - LANES);
    return o->slow ? there : there & v_lanes_below(y, near_limit(o, plain));
}

// Computes them again from their sums. `header` has `width` channels, of which the vector's are those from `at` on. `apart`: the bytes of every four
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
