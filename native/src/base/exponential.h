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

#endif
