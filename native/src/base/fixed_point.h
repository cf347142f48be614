// Fixed-point arithmetic of TFLite's reference kernels: multipliers, requantization, and gemmlowp's functions of
// numbers in Qm.n (exp and 1/(1+x) of softmax).
//
// A real multiplier m is q * 2^(shift-31) with 2^30 <= q < 2^31. See docs/numerics.md for which operator rounds how.
#ifndef ER_FIXED_POINT_H
#define ER_FIXED_POINT_H

#include <math.h>
#include <stdint.h>

typedef struct er_multiplier { int32_t q; int32_t shift; } er_multiplier;

// m >= 0. Below 2^-32 it becomes 0; from 2^30 on it saturates, as the reference does.
static inline er_multiplier er_make_multiplier(double m)
{
    er_multiplier r = {0, 0};
    if (!(m > 0)) return r;
    if (!(m < 4294967296.0)) m = 4294967296.0;
    int e;
    double f = frexp(m, &e);
    int64_t q = (int64_t)round(f * 2147483648.0);
    if (q == (INT64_C(1) << 31)) { q /= 2; e++; }
    if (e < -31) { e = 0; q = 0; }
    if (e > 30) { e = 30; q = INT32_MAX; }
    r.q = (int32_t)q;
    r.shift = e;
    return r;
}

// floor(a * b / 2^31 + 1/2), saturated where both are INT32_MIN.
static inline int32_t er_doubling_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

// x / 2^n, halves away from zero. 0 <= n <= 31.
static inline int32_t er_rounding_shift(int32_t x, int32_t n)
{
    int32_t mask = (int32_t)((UINT32_C(1) << n) - 1);
    int32_t rest = x & mask, threshold = (mask >> 1) + (x < 0);
    return (x >> n) + (rest > threshold);
}

// Two roundings: after the multiplication and after the right shift. The left shift wraps, as in the reference.
static inline int32_t er_requantize(int32_t x, er_multiplier m)
{
    int32_t left = m.shift > 0 ? m.shift : 0, right = m.shift > 0 ? 0 : -m.shift;
    return er_rounding_shift(er_doubling_high_mul((int32_t)((uint32_t)x << left), m.q), right);
}

// One rounding, halves up; m.shift <= 30.
static inline int32_t er_requantize_once(int32_t x, er_multiplier m)
{
    const int32_t shift = m.shift < -31 ? 62 : 31 - m.shift;
    return (int32_t)(((int64_t)x * m.q + (INT64_C(1) << (shift - 1))) >> shift);
}

// The two roundings of er_requantize as one (docs/numerics.md): for products p = x * q that fit 64 bits,
//     er_requantize(x, m) = low 32 bits of ((p + (p < 0 ? negative : positive)) >> shift) - unbias
// with a logical shift: 2^63 is added before it, and unbias is what that becomes. A left shift is right only where
// x * 2^m.shift fits 32 bits.
typedef struct er_rounding { uint64_t positive, negative; int64_t shift; uint32_t unbias; } er_rounding;

static inline er_rounding er_make_rounding(er_multiplier m)
{
    int32_t r = -m.shift;
    uint64_t bias = UINT64_C(1) << 63, half = bias + (UINT64_C(1) << (30 + r)), first = r > 0 ? UINT64_C(1) << 30 : 0;
    return (er_rounding){half + first, half - first, 31 + r, (uint32_t)(UINT64_C(1) << (32 - r))};
}

// round(p), halves away from zero. What does not fit int32 becomes INT32_MIN, as x86 converts it.
static inline int32_t er_round_real(double p)
{
    double whole = trunc(p), rest = p - whole;
    if (rest >= 0.5) whole += 1;
    if (rest <= -0.5) whole -= 1;
    return whole > -2147483649.0 && whole < 2147483648.0 ? (int32_t)whole : INT32_MIN;
}

static inline int32_t er_requantize_real(int32_t x, double m) { return er_round_real(x * m); }

// x * 2^n, saturated.
static inline int32_t er_saturating_left_shift(int32_t x, int32_t n)
{
    int64_t y = (int64_t)x * (INT64_C(1) << n);
    return y < INT32_MIN ? INT32_MIN : y > INT32_MAX ? INT32_MAX : (int32_t)y;
}

// exp(a) for a <= 0 in Q5.26; the result is in Q0.31.
int32_t er_exp_on_negative(int32_t a);

// 1 / (1 + x) for x in [0, 1), both in Q0.31.
int32_t er_one_over_one_plus(int32_t x);

// 1 / sqrt(x) for x >= 0, as a multiplier (gemmlowp's Newton-Raphson; of 0 and 1, almost 1).
er_multiplier er_inverse_root(int32_t x);

// log(x) for x >= 1 in Q12.19; the result is in Q5.26.
int32_t er_log_of_one_and_more(int32_t x);

// The multiplier of int16 layers: x has 48 bits, q is cut to 16, and one rounding is made. The reference knows no multipliers of 2^14 and more.
static inline int32_t er_requantize64(int64_t x, er_multiplier m)
{
    const int64_t q = m.q < 0x7FFF0000 ? (m.q + (1 << 15)) >> 16 : 0x7FFF;
    const int32_t shift = m.shift > 14 ? 1 : m.shift < -47 ? 62 : 15 - m.shift;
    return (int32_t)((int64_t)((uint64_t)x * (uint64_t)q + (UINT64_C(1) << (shift - 1))) >> shift);      // wraps, as the reference's
}

#endif
