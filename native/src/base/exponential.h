// exp of a float, the same on every platform, and nearly always what glibc's and musl's expf give (two of all floats differ, in the last bit): those
// use this method, too, which Arm's optimized-routines describe. x = (k + r) ln 2 / 32 with |r| <= 1/2; 2^(k / 32) comes from a table and the exponent, and
// a cubic polynomial, whose coefficients are of the least error, gives the rest in double.
#ifndef ER_EXPONENTIAL_H
#define ER_EXPONENTIAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

extern const double er_exp_powers[32];

static inline float er_expf(float x)
{
    if (!(x > -104)) return isnan(x) ? x : 0;
    if (x > 89) return INFINITY;
    // Adding and taking away 1.5 * 2^52 rounds to a whole number.
    const double z = (double)x * (32 * 0x1.71547652b82fep+0), k = z + 0x1.8p52 - 0x1.8p52, r = z - k;
    const int64_t n = (int64_t)k;
    double power = er_exp_powers[n & 31];
    uint64_t bits;
    memcpy(&bits, &power, sizeof bits);
    bits += (uint64_t)(n >> 5) << 52;
    memcpy(&power, &bits, sizeof power);
    const double high = 0x1.c6af84b912394p-5 / 32768 * r + 0x1.ebfce50fac4f3p-3 / 1024, low = 0x1.62e42ff0c52d6p-1 / 32 * r + 1;
    return (float)((high * (r * r) + low) * power);
}

// tanh and 1 / (1 + exp(-x)) of a float, rounded once: computed in double without calls, tables or branches, so that loops of them become vectors and give the same
// everywhere. (tanhf was compared with the C library's tanh in double, rounded, on every seventh float: equal.)
//
// exp(a) - 1 for |a| <= 700: a = k ln 2 + r with |r| <= ln 2 / 2, and Taylor's series, whose rest is below 2^-53.
static inline double er_expm1(double a)
{
    const double shifted = a * 0x1.71547652b82fep+0 + 0x1.8p52, k = shifted - 0x1.8p52, r = (a - k * 0x1.62e42fefa39efp-1) - k * 0x1.abc9e3b39803fp-56;
    double p = 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r * r + r;
    uint64_t bits;      // k lies in the low bits of `shifted`
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return p * power + (power - 1);
}

static inline float er_tanhf(float x)
{
    double a = fabs((double)x);
    a = a < 20 ? a : 20;
    const double m = er_expm1(2 * a);
    const float y = copysignf((float)(m / (m + 2)), x);
    return x == x ? y : x;
}

static inline float er_sigmoidf(float x)
{
    double a = -(double)x;
    a = a < 120 ? a > -120 ? a : -120 : 120;
    const float y = (float)(1 / (er_expm1(a) + 2));
    return x == x ? y : x;
}

#endif
