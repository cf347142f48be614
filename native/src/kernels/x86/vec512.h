// Vectors of AVX-512: 16 lanes. See epilogue.h and qgemm.h for what they are used for.
#ifndef ER_VEC512_H
#define ER_VEC512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef __m512i vi;
typedef __m512 vf;
enum { LANES = 16 };

#define V_REGISTER(x) "v"(x)      // as an operand of assembly

static inline vi v_zero(void) { return _mm512_setzero_si512(); }
static inline vf v_zerof(void) { return _mm512_setzero_ps(); }
static inline void v_store(void *p, vi x) { _mm512_storeu_si512(p, x); }
static inline vi v_load(const void *p) { return _mm512_loadu_si512(p); }
static inline vf v_loadf(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_save(void *p, vi x) { _mm512_storeu_si512(p, x); }
// The first n lanes; what is behind them is not touched.
static inline vf v_loadf_some(const float *p, size_t n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
static inline void v_savef_some(float *p, vf x, size_t n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x); }
static inline void v_savef(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline vi v_set32(int32_t x) { return _mm512_set1_epi32(x); }
static inline vi v_set8(uint8_t x) { return _mm512_set1_epi8((char)x); }
static inline vf v_setf(float x) { return _mm512_set1_ps(x); }
static inline vf v_float(vi x) { return _mm512_cvtepi32_ps(x); }
static inline vi v_round(vf x) { return _mm512_cvtps_epi32(x); }
static inline vf v_mulf(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_minf(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_maxf(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vi v_add32(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vf v_addf(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vi v_cut(vf x) { return _mm512_cvttps_epi32(x); }
static inline vi v_sub32(vi a, vi b) { return _mm512_sub_epi32(a, b); }
// Products of neighbouring 16-bit elements, added.
static inline vi v_dot16(vi a, vi b) { return _mm512_madd_epi16(a, b); }
static inline vi v_mul32(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
#define v_shift_right(x, n) _mm512_srai_epi32(x, n)
static inline vi v_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
static inline vi v_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi v_or(vi a, vi b) { return _mm512_or_si512(a, b); }
static inline vi v_add_saturated8(vi a, vi b) { return _mm512_adds_epu8(a, b); }
static inline vi v_shuffle8(vi table, vi at) { return _mm512_shuffle_epi8(table, at); }     // within each 128 bits
static inline vi v_repeat16(const uint8_t *p) { return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)p)); }
static inline vf v_from_doubles(const void *p)
{
    __m256 low = _mm512_cvtpd_ps(_mm512_loadu_pd(p)), high = _mm512_cvtpd_ps(_mm512_loadu_pd((const uint8_t *)p + 64));
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

// The four bytes at p in every lane.
static inline vi v_spread(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    return v_set32(four);
}

// Elements of a and b in turn, within each 128 bits.
#define v_unpack_low8 _mm512_unpacklo_epi8
#define v_unpack_high8 _mm512_unpackhi_epi8
#define v_unpack_low16 _mm512_unpacklo_epi16
#define v_unpack_high16 _mm512_unpackhi_epi16

// 2^x for whole x from -126 to 127, and 0 where x is not negative.
static inline vf v_power(vi x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(x, _mm512_set1_epi32(127)), 23)); }
static inline vf v_where_negative(vi x, vf y) { return _mm512_maskz_mov_ps(_mm512_movepi32_mask(x), y); }

// y >= 0 with the sign of x.
static inline vf v_copysign(vf y, vf x)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(y), 0xEA));
}

// Numbers with 16 bits after the point: their whole parts as 16-bit numbers, in the order in which v_pack16 takes them.
static inline vi v_whole(vi a, vi b)
{
    const vi high = _mm512_set_epi32(0x3F003D, 0x3B0039, 0x1F001D, 0x1B0019, 0x370035, 0x330031, 0x170015, 0x130011,
                                     0x2F002D, 0x2B0029, 0x0F000D, 0x0B0009, 0x270025, 0x230021, 0x070005, 0x030001);
    return _mm512_permutex2var_epi16(a, high, b);
}

// In the low half of each lane: the least fraction. The high halves mean nothing, and those of a limit are 0.
static inline vi v_least(vi a, vi b) { return _mm512_min_epu16(a, b); }
static inline _Bool v_any_below(vi least, vi limit) { return _mm512_cmplt_epu16_mask(least, limit) != 0; }
static inline uint32_t v_lanes_below(vi x, int32_t limit)
{
    return _mm512_cmplt_epu32_mask(_mm512_and_si512(x, _mm512_set1_epi32(0xFFFF)), _mm512_set1_epi32(limit));
}

// Saturated to 16 bits and to unsigned bytes, within each 128 bits.
static inline vi v_pack32(vi a, vi b) { return _mm512_packs_epi32(a, b); }
static inline vi v_pack16(vi a, vi b) { return _mm512_packus_epi16(a, b); }
static inline vi v_clamp8(vi x, vi low, vi high) { return _mm512_min_epu8(_mm512_max_epu8(x, low), high); }

// The bytes that v_whole (or v_pack32) and v_pack16 made of four vectors: back in order.
static inline vi v_in_order(vi x)
{
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), x);
}

// The upper half, or quarter i, of x to its low end; i is a constant.
static inline vi v_half(vi x) { return _mm512_castsi256_si512(_mm512_extracti64x4_epi64(x, 1)); }
#define v_quarter(x, i) _mm512_castsi128_si512(_mm512_extracti32x4_epi32(x, i))

// Half (parts = 2) or quarter (4) number i of x to memory; both are constants.
__attribute__((always_inline)) static inline void v_save_part(uint8_t *out, vi x, size_t parts, int i)
{
    if (parts == 2) {
        const __m256i half = i ? _mm512_extracti64x4_epi64(x, 1) : _mm512_castsi512_si256(x);
        _mm256_storeu_si256((__m256i *)(void *)out, half);
    } else {
        const __m128i quarter = i == 0 ? _mm512_castsi512_si128(x) : i == 1 ? _mm512_extracti32x4_epi32(x, 1)
                                     : i == 2 ? _mm512_extracti32x4_epi32(x, 2) : _mm512_extracti32x4_epi32(x, 3);
        _mm_storeu_si128((__m128i *)(void *)out, quarter);
    }
}

// The first n bytes of x, at most a whole vector.
typedef __mmask64 v_tail;
static inline v_tail v_tail_of(size_t n) { return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1; }
static inline void v_store_bytes(uint8_t *out, vi x, v_tail tail)
{
    // Loads soon after cannot take their bytes from a masked store before it is in the cache.
    if (__builtin_constant_p(tail) && tail == UINT64_MAX) _mm512_storeu_si512(out, x);
    else _mm512_mask_storeu_epi8(out, tail, x);
}

#endif
