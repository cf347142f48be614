// gemmlowp's fixed point on int16: sigmoid and tanh of gates. Everything is computed without branches that depend on the numbers, so that loops
// of them become vectors; values are int32 in the range of int16.
#ifndef ER_Q15_H
#define ER_Q15_H

#include <stdbool.h>

#include "base/fixed_point.h"

static inline int32_t er_saturate16(int32_t x) { return x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x; }

// a * b in Q0.15 of their formats, halves away from zero.
static inline int32_t er_times16(int32_t a, int32_t b)
{
    const int32_t ab = a * b, rounded = ab + (ab >= 0 ? 1 << 14 : 1 - (1 << 14));
    // Division cuts towards zero. -1 times -1 is the one product that does not fit.
    return er_saturate16((rounded + (rounded >> 31 & 32767)) >> 15);
}

static inline int32_t er_shift_left16(int32_t x, int32_t n) { return er_saturate16((int32_t)((uint32_t)x << n)); }

// A constant of 31 bits as 15.
static inline int32_t er_constant16(int32_t q31) { return er_rounding_shift(q31, 16); }

// exp(x) for x <= 0 in Q(bits).(15 - bits), bits <= 7.
// (Inlined whatever it costs: clang makes no vectors of loops with a call.)
__attribute__((always_inline)) static inline int32_t er_exp_q15(int32_t x, int32_t bits)
{
    static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t fraction = 15 - bits, quarter = 1 << (fraction - 2);
    const int32_t part = (x & (quarter - 1)) - quarter;
    // Taylor's series around -1/8.
    const int32_t a = (int16_t)(er_shift_left16(part, bits) + (1 << 12));
    const int32_t a2 = er_times16(a, a), a3 = er_times16(a2, a), a4 = er_times16(a2, a2);
    const int32_t tail = er_rounding_shift((int16_t)(er_times16((int16_t)(er_rounding_shift(a4, 2) + a3), er_constant16(715827883)) + a2), 1);
    const int32_t middle = er_constant16(1895147668);
    int32_t y = er_saturate16(middle + er_times16(middle, (int16_t)(a + tail)));
    const int32_t rest = part - x;
    for (int32_t k = 0; k < 7; k++) {
        // Bits beyond the format's are not set in `rest`.
        const int32_t z = er_times16(y, er_constant16(factor[k]));
        y = rest & (bits > k - 2 ? 1 << (fraction + k - 2) : 0) ? z : y;
    }
    y = bits > 5 && x < -(32 << fraction) ? 0 : y;
    return x == 0 ? INT16_MAX : y;
}

// 1 / ((1 + x) / 2) in Q2.13, for x in [0, 1].
__attribute__((always_inline)) static inline int32_t er_reciprocal_q15(int32_t x)
{
    const int32_t half = (x + INT16_MAX + 1) >> 1;
    int32_t y = (int16_t)(er_constant16(1515870810) + er_times16(half, -er_constant16(1010580540)));
    for (int i = 0; i < 3; i++) {
        const int32_t off = (int16_t)((1 << 13) - er_times16(half, y));
        y = (int16_t)(y + er_shift_left16(er_times16(y, off), 2));
    }
    return y;
}

// x in Q3.12; the result is in Q0.15.
static inline int16_t er_sigmoid_q15(int16_t x)
{
    // Of what is positive, and 1 less that for the rest.
    const int32_t y = er_shift_left16(er_reciprocal_q15(er_exp_q15((int16_t)(x > 0 ? -x : x), 3)), 1);
    return (int16_t)(x == 0 ? 1 << 14 : x > 0 ? y : INT16_MAX - y);
}

// x in Q(bits).(15 - bits), 0 <= bits <= 6; the result is in Q0.15.
static inline int16_t er_tanh_q15(int16_t x, int32_t bits)
{
    const int32_t e = er_exp_q15((int16_t)(x < 0 ? x : -x), bits + 1);
    const int32_t y = er_shift_left16((int16_t)(er_reciprocal_q15(e) - (1 << 13)), 2);
    return (int16_t)(x == 0 ? 0 : x < 0 ? -y : y);
}

#endif
