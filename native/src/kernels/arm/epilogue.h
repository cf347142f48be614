// From 32-bit sums to bytes, for Arm. Its saturating doubling multiplication and its rounding shift are the two roundings of
// er_requantize as they stand, so that nothing needs to be computed again:
//     h = sqrdmulh(sum, q);  h -= (h < 0);  y = srshl(h, shift)
#ifndef ER_ARM_EPILOGUE_H
#define ER_ARM_EPILOGUE_H

#include <arm_neon.h>

#include "kernels/finish.h"

enum { LANES = 4, HEADER = ER_HEADER * LANES };     // channels of a vector, and bytes that they have in a header

typedef int32x4_t vi;

// How sums are requantized. PLAIN: negative sums all become the lowest byte whatever their rounding is, as after an activation, all bytes
// are outputs, and no shift is to the left. FULL: all shifts are to the right, and all bytes are outputs. RIGHT: all shifts are to the right. SLOW:
// others, er_output.real among them. The first two have no remainder of channels.
typedef enum { PLAIN, FULL, RIGHT, SLOW } rounding;

// Outputs are made as int8, of which `flip` makes the output's type. `free`: all bytes are in range, and there is nothing to flip.
typedef struct { int16x8_t zero; int8x16_t low, high, flip; bool free; } range;

static inline range range_of(const er_output *o)
{
    const int32_t base = o->min < 0 || o->zero < 0 ? 0 : 128;
    return (range){vdupq_n_s16((int16_t)(o->zero - base)), vdupq_n_s8((int8_t)(o->min - base)), vdupq_n_s8((int8_t)(o->max - base)),
                   vdupq_n_s8((int8_t)(base ? -128 : 0)), base == 0 && o->min == -128 && o->max == 127};
}

static inline vi load_ints(const uint8_t *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }

// Sums begin with biases. Compilers would load them once and copy them for each row: an instruction for each vector, where two are
// loaded by one. The offset `at` is a constant: compilers would keep every sum of it and the pointer, on the stack at last.
#if defined(__aarch64__)
#if defined(__OPTIMIZE__)
#define LOAD_TWO(x, y, from, at) __asm__ volatile("ldp %q0, %q1, [%2, %3]" : "=w"(x), "=w"(y) : "r"(from), "i"(at) : "memory");
#else
#define LOAD_TWO(x, y, from, at) __asm__ volatile("ldp %q0, %q1, [%2]" : "=w"(x), "=w"(y) : "r"(from + at) : "memory");
#endif
// Two vectors of weights, and the pointer behind them; and three or four, which are variables of v0 to v3.
#define NEXT_TWO(x, y, from) __asm__("ldp %q0, %q1, [%2], #32" : "=w"(x), "=w"(y), "+r"(from) : : "memory");
#define NEXT_THREE(x, y, z, from) \
    __asm__ volatile("ld1 {%0.16b, %1.16b, %2.16b}, [%3], #48" : "=w"(x), "=w"(y), "=w"(z), "+r"(from) : : "memory");
#define NEXT_FOUR(x, y, z, u, from) \
    __asm__ volatile("ld1 {%0.16b, %1.16b, %2.16b, %3.16b}, [%4], #64" : "=w"(x), "=w"(y), "=w"(z), "=w"(u), "+r"(from) : : "memory");
#else
#define LOAD_TWO(x, y, from, at) \
    x = load_ints(from + at); \
    y = load_ints(from + at + 16);
#endif

#if defined(__aarch64__)
// A row's sixteen bytes, and the pointer at the next row; and sixteen outputs likewise.
#define NEXT_ROW(x, from, stride) __asm__("ld1 {%0.16b}, [%1], %2" : "=w"(x), "+r"(from) : "r"(stride) : "memory");
#define STORE_ROW(x, to, stride) __asm__ volatile("st1 {%1.16b}, [%0], %2" : "+r"(to) : "w"(x), "r"(stride) : "memory");
#endif

// What `scaled` can multiply with, but for 1/2, where there is nothing to round.
static inline bool is_right_or_half(er_multiplier m) { return m.shift < 0 || er_is_half(m); }

// The largest shift in a header of so many vectors of channels.
static inline int32_t largest_shift(const uint8_t *header, size_t vectors)
{
    const uint8_t *shift = header + 8 * LANES * vectors;
    vi most = load_ints(shift);
    for (size_t v = 1; v < vectors; v++) most = vmaxq_s32(most, load_ints(shift + 4 * LANES * v));
    const int32x2_t half = vmax_s32(vget_low_s32(most), vget_high_s32(most));
    return er_max32(vget_lane_s32(half, 0), vget_lane_s32(half, 1));
}

// `full`: all bytes are outputs, and there is no remainder of channels.
static inline rounding rounding_of(int32_t largest, const er_output *o, bool full)
{
    if (o->real || o->sums || largest > 0) return SLOW;
    if (full && o->zero == o->min) return PLAIN;
    return largest >= 0 ? SLOW : full ? FULL : RIGHT;
}

__attribute__((always_inline)) static inline vi scaled(vi sum, vi q, vi shift, rounding how)
{
    const vi h = vqrdmulhq_s32(sum, q);
    return vrshlq_s32(how == PLAIN ? h : vsraq_n_s32(h, h, 31), shift);
}

// Any multiplier: lanes with a shift to the left round once. The lanes' channels are those from `at` on, of a header of `width`.
static inline vi scaled_slowly(vi sum, const uint8_t *header, size_t width, size_t at, const er_output *o)
{
    if (!o->real) {
        const vi shift = load_ints(header + 4 * (2 * width + at)), zero = vdupq_n_s32(0), right = vminq_s32(shift, zero);
        const vi h = vqrdmulhq_s32(vshlq_s32(sum, vmaxq_s32(shift, zero)), load_ints(header + 4 * (width + at)));
        return vrshlq_s32(vsraq_n_s32(h, vandq_s32(h, right), 31), right);
    }
    const uint8_t *m = header + 4 * width + 8 * at;
#if defined(__aarch64__)
    if (!o->slow) {     // products fit 32 bits
        const float64x2_t low = vmulq_f64(vcvtq_f64_s64(vmovl_s32(vget_low_s32(sum))), vreinterpretq_f64_u8(vld1q_u8(m)));
        const float64x2_t high = vmulq_f64(vcvtq_f64_s64(vmovl_high_s32(sum)), vreinterpretq_f64_u8(vld1q_u8(m + 16)));
        return vcombine_s32(vmovn_s64(vcvtaq_s64_f64(low)), vmovn_s64(vcvtaq_s64_f64(high)));
    }
#endif
    int32_t y[LANES];
    vst1q_s32(y, sum);
    for (size_t j = 0; j < LANES; j++) {
        double real;
        memcpy(&real, m + 8 * j, 8);
        y[j] = (int32_t)((uint32_t)er_requantize_real(y[j], real) + (uint32_t)o->zero);     // wraps, as the reference does
        y[j] = er_clamp32(y[j], o->min, o->max) - o->zero;
    }
    return vld1q_s32(y);
}

__attribute__((always_inline)) static inline int8x16_t clamped(int8x16_t bytes, const range *r)
{
    return r->free ? bytes : veorq_s8(vminq_s8(vmaxq_s8(bytes, r->low), r->high), r->flip);
}

static inline int16x8_t narrowed16(vi a, vi b)
{
#if defined(__aarch64__)
    return vqmovn_high_s32(vqmovn_s32(a), b);
#else
    return vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
#endif
}

static inline int8x16_t narrowed8(int16x8_t a, int16x8_t b)
{
#if defined(__aarch64__)
    return vqmovn_high_s16(vqmovn_s16(a), b);
#else
    return vcombine_s8(vqmovn_s16(a), vqmovn_s16(b));
#endif
}

// Bytes of four vectors of outputs, next to each other.
__attribute__((always_inline)) static inline int8x16_t packed_bytes(vi y0, vi y1, vi y2, vi y3, const range *r, rounding how)
{
#if defined(__aarch64__)
    if (how == PLAIN) {     // 0 to 255, of which the zero point makes -128 to 127
        const uint16x8_t low = vqmovun_high_s32(vqmovun_s32(y0), y1), high = vqmovun_high_s32(vqmovun_s32(y2), y3);
        return vreinterpretq_s8_u8(veorq_u8(vqmovn_high_u16(vqmovn_u16(low), high), vdupq_n_u8(0x80)));
    }
#endif
    const int8x16_t bytes = narrowed8(vqaddq_s16(narrowed16(y0, y1), r->zero), vqaddq_s16(narrowed16(y2, y3), r->zero));
    return how == FULL ? bytes : clamped(bytes, r);
}

#if defined(__aarch64__)
// Outputs that fit 16 bits lose nothing when the upper half of each is dropped, which is one instruction for two vectors.
static inline int16x8_t lower_halves(vi a, vi b) { return vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)); }

// packed_bytes of such outputs; PLAIN or FULL.
__attribute__((always_inline)) static inline int8x16_t bytes_of_16(int16x8_t a, int16x8_t b, const range *r, rounding how)
{
    if (how == PLAIN) return vreinterpretq_s8_u8(veorq_u8(vqmovun_high_s16(vqmovun_s16(a), b), vdupq_n_u8(0x80)));
    return narrowed8(vqaddq_s16(a, r->zero), vqaddq_s16(b, r->zero));
}
#endif

// The first n bytes of x, at most all.
static inline void store_bytes(uint8_t *out, int8x16_t x, size_t n)
{
    if (n >= 16) {
        vst1q_s8((int8_t *)out, x);
        return;
    }
    int8x8_t rest = vget_low_s8(x);
    if (n & 8) {
        vst1_s8((int8_t *)out, rest);
        rest = vget_high_s8(x);
        out += 8;
    }
    uint64_t last = vget_lane_u64(vreinterpret_u64_s8(rest), 0);
    if (n & 4) {
        memcpy(out, &last, 4);
        last >>= 32;
        out += 4;
    }
    if (n & 2) {
        memcpy(out, &last, 2);
        last >>= 16;
        out += 2;
    }
    if (n & 1) *out = (uint8_t)last;
}

// `rows` rows of 16 / parts bytes each, of which n are to be stored.
__attribute__((always_inline)) static inline void store_rows(uint8_t *out, size_t stride, int8x16_t x, const size_t parts, const size_t rows, size_t n)
{
    const size_t each = 16 / parts;
    if (parts == 1) {
        store_bytes(out, x, n);
    } else if (n >= each && parts == 2) {
        vst1_s8((int8_t *)out, vget_low_s8(x));
        if (rows > 1) vst1_s8((int8_t *)out + stride, vget_high_s8(x));
    } else if (n >= each) {
        const int32x4_t four = vreinterpretq_s32_s8(x);
        int32_t lane[4];
        lane[0] = vgetq_lane_s32(four, 0);
        memcpy(out, &lane[0], 4);
        if (rows > 1) { lane[1] = vgetq_lane_s32(four, 1); memcpy(out + stride, &lane[1], 4); }
        if (rows > 2) { lane[2] = vgetq_lane_s32(four, 2); memcpy(out + 2 * stride, &lane[2], 4); }
        if (rows > 3) { lane[3] = vgetq_lane_s32(four, 3); memcpy(out + 3 * stride, &lane[3], 4); }
    } else {
        uint8_t all[16];
        vst1q_u8(all, vreinterpretq_u8_s8(x));
        for (size_t i = 0; i < rows; i++) memcpy(out + i * stride, all + i * each, n);
    }
}

#endif
