// exp of a float, the same on every platform, and nearly always what glibc's and musl's expf give (two of all floats differ, in the last bit): those
// use this method, too, which Arm's optimized-routines describe. x = (k + r) ln 2 / 32 with |r| <= 1/2; 2^(k / 32) comes from a table and the exponent, and
// a cubic polynomial, whose coefficients are of the least error, gives the rest in double.
#ifndef ER_EXPONENTIAL_H
#define ER_EXPONENTIAL_H

#include <math.h>
#include <stddef.h>
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

// What the reference computes of them, rounding by rounding: for models in which the last bit of a float decides an integer (er_kernels_exact). On floats the
// reference's LOGISTIC leaves out what would not change it: the sum at small values, and everything at large ones.
#define ER_LOGISTIC_IS_1 16.619047164916992188f
#define ER_LOGISTIC_IS_EXP (-9.0f)
void er_exp_floats_exact(size_t n, const float *x, float *y);
void er_logistic_floats_exact(size_t n, const float *x, float *y);

// tanh and 1 / (1 + exp(-x)) of a float, rounded once: computed in double without calls, tables or branches, so that loops of them become vectors and give the same
// everywhere. (tanhf was compared with the C library's tanh in double, rounded, on every seventh float: equal.)
//
// exp(a) for |a| <= 700 is (1 + rest) * power: a = k ln 2 + r with |r| <= ln 2 / 2, and Taylor's series, whose rest is below 2^-53.
typedef struct er_exp_parts { double rest, power; } er_exp_parts;

static inline er_exp_parts er_exp_parts_of(double a)
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
    return (er_exp_parts){p, power};
}

static inline double er_exp(double a)
{
    const er_exp_parts e = er_exp_parts_of(a);
    return e.rest * e.power + e.power;
}

static inline double er_expm1(double a)
{
    const er_exp_parts e = er_exp_parts_of(a);
    return e.rest * e.power + (e.power - 1);
}

// exp of a float as er_tanhf is made; this one's loops become vectors, er_expf is for one at a time.
static inline float er_exp_of_float(float x)
{
    double a = (double)x;
    a = a < 90 ? a > -110 ? a : -110 : 90;
    return x == x ? (float)er_exp(a) : x;
}

// 1 - erf(z) for 0 <= z <= 26: t exp(P(t) - z^2) with t = 1 / (1 + z / 2), as Numerical Recipes has it. P is a polynomial that was fitted at Chebyshev's points
// to erfcx of scipy, in u = -1 to 1 for t = 0.066 to 1; the largest relative error is 4e-11.
static inline double er_erfc(double z)
{
    const double t = 1 / (1 + z * 0.5), u = (t - 0.066) * (2 / 0.934) - 1;
    double p = -0x1.312d7ab85d7e3p-18;
    p = p * u + 0x1.68caf1523b373p-18;
    p = p * u + 0x1.f70f1f3066fcdp-16;
    p = p * u + -0x1.c7791e179a216p-15;
    p = p * u + -0x1.86a3232ecb83dp-14;
    p = p * u + 0x1.471d5ca5eb8a7p-12;
    p = p * u + 0x1.0e755d25f22d8p-13;
    p = p * u + -0x1.796c94dad3432p-10;
    p = p * u + 0x1.d56133517fbbfp-12;
    p = p * u + 0x1.b17eb94eba43ep-8;
    p = p * u + -0x1.5698b938a17f2p-8;
    p = p * u + -0x1.47c985cd4f901p-5;
    p = p * u + 0x1.0e50d4a631be7p-5;
    p = p * u + 0x1.445a8ffe2f299p-1;
    p = p * u + -0x1.412148b8e5aacp-1;
    return t * er_exp(p - z * z);
}

static inline float er_geluf(float x)
{
    double z = fabs((double)x) * 0.70710678118654752440;
    z = z < 26 ? z : 26;
    const double c = er_erfc(z);
    return (float)(0.5 * (double)x * (x > 0 ? 2 - c : c));
}

// The same by 1 + tanh(v) = 2 - 2 / (exp(2 v) + 1).
static inline float er_gelu_tanhf(float x)
{
    double a = 2 * 0.7978845608028654 * ((double)x + 0.044715 * (double)x * (double)x * (double)x);
    a = a < 100 ? a > -300 ? a : -300 : 100;
    const double m = er_exp(a);
    return (float)((double)x * (m / (m + 1)));
}

static inline float er_eluf(float x)
{
    double a = (double)x;
    a = a < 0 ? a > -100 ? a : -100 : 0;
    return x < 0 ? (float)er_expm1(a) : x;
}

// LOGISTIC, with the same limits.
static inline float er_logisticf(float x)
{
    double a = (double)x;
    a = a < 20 ? a > -110 ? a : -110 : 20;
    const double m = er_exp(a);
    const float y = (float)(x < ER_LOGISTIC_IS_EXP ? m : m / (m + 1));
    return x == x ? x > ER_LOGISTIC_IS_1 ? 1 : y : x;
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
