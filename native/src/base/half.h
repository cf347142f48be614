// float16 (IEEE 754's binary16) and bfloat16 (a float's upper half) to and from float: exactly, and rounded to the nearest, halves to even.
#ifndef ER_HALF_H
#define ER_HALF_H

#include <stdint.h>
#include <string.h>

static inline float er_float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t er_bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float er_half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF;
    if (exponent == 0) {
        const float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    return er_float_of_bits(sign | (exponent == 31 ? 0x7F800000u : (exponent + 112) << 23) | fraction << 13);
}

static inline uint16_t er_float_to_half(float f)
{
    const uint32_t bits = er_bits_of_float(f), sign = bits >> 16 & 0x8000, size = bits & 0x7FFFFFFF;
    if (size > 0x7F800000) return (uint16_t)(sign | 0x7E00);                   // NaN
    if (size >= 0x477FF000) return (uint16_t)(sign | 0x7C00);                  // 65520 and above
    if (size < 0x38800000)                                                      // below 2^-14: adding 1/2 rounds to the last place
        return (uint16_t)(sign | (er_bits_of_float(er_float_of_bits(size) + 0.5f) - 0x3F000000));
    const uint32_t even = size >> 13 & 1;
    return (uint16_t)(sign | (size - 0x38000000 + 0xFFF + even) >> 13);
}

static inline float er_bfloat_to_float(uint16_t b) { return er_float_of_bits((uint32_t)b << 16); }

static inline uint16_t er_float_to_bfloat(float f)
{
    const uint32_t bits = er_bits_of_float(f);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)((bits >> 16 & 0x8000) | 0x7FC0);     // NaN
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#endif
