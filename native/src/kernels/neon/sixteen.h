// Sixteen bytes as 16-bit elements.
#ifndef ER_NEON_SIXTEEN_H
#define ER_NEON_SIXTEEN_H

#include "kernels/arm/epilogue.h"

// Less its zero point, in 16 bits: sixteen of them.
typedef struct { int16x8_t low, high; } sixteen;

#if defined(__aarch64__)
static inline sixteen less_signed(int8x16_t x, int8x16_t zero) { return (sixteen){vsubl_s8(vget_low_s8(x), vget_low_s8(zero)), vsubl_high_s8(x, zero)}; }
static inline sixteen less_unsigned(uint8x16_t x, uint8x16_t zero)
{
    return (sixteen){vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(x), vget_low_u8(zero))), vreinterpretq_s16_u16(vsubl_high_u8(x, zero))};
}
#else
static inline sixteen less_signed(int8x16_t x, int8x16_t zero)
{
    return (sixteen){vsubl_s8(vget_low_s8(x), vget_low_s8(zero)), vsubl_s8(vget_high_s8(x), vget_high_s8(zero))};
}
static inline sixteen less_unsigned(uint8x16_t x, uint8x16_t zero)
{
    return (sixteen){vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(x), vget_low_u8(zero))), vreinterpretq_s16_u16(vsubl_u8(vget_high_u8(x), vget_high_u8(zero)))};
}
#endif

// `zero` is in the range of the type.
__attribute__((always_inline)) static inline sixteen widened(const uint8_t *p, bool is_signed, uint8x16_t zero)
{
    const uint8x16_t x = vld1q_u8(p);
    return is_signed ? less_signed(vreinterpretq_s8_u8(x), vreinterpretq_s8_u8(zero)) : less_unsigned(x, zero);
}

// What `widened` can take off.
static inline bool in_range(int32_t zero, bool is_signed) { return zero >= (is_signed ? -128 : 0) && zero <= (is_signed ? 127 : 255); }

#endif
