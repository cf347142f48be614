// Vectors of AVX2: 8 lanes. See epilogue.h and qgemm.h for what they are used for.
#ifndef ER_VEC256_H
#define ER_VEC256_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef __m256i vi;
typedef __m256 vf;
enum { LANES = 8 };

#define V_REGISTER(x) "x"(x)      // as an operand of assembly

static inline vi v_zero(void) { return _mm256_setzero_si256(); }
static inline vf v_zerof(void) { return _mm256_setzero_ps(); }
static inline void v_store(void *p, vi x) { _mm256_storeu_si256(p, x); }
static inline vi v_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline vf v_loadf(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_save(void *p, vi x) { _mm256_storeu_si256((__m256i *)p, x); }
// The first n lanes; what is behind them is not touched.
static inline vi v_first(size_t n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
static inline vf v_loadf_some(const float *p, size_t n) { return _mm256_maskload_ps(p, v_first(n)); }
static inline void v_savef_some(float *p, vf x, size_t n) { _mm256_maskstore_ps(p, v_first(n), x); }
static inline void v_savef(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline vi v_set32(int32_t x) { return _mm256_set1_epi32(x); }
static inline vi v_set8(uint8_t x) { return _mm256_set1_epi8((char)x); }
static inline vf v_setf(float x) { return _mm256_set1_ps(x); }
static inline vf v_float(vi x) { return _mm256_cvtepi32_ps(x); }
static inline vi v_round(vf x) { return _mm256_cvtps_epi32(x); }
static inline vf v_mulf(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_minf(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_maxf(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vi v_add32(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vf v_addf(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vi v_cut(vf x) { return _mm256_cvttps_epi32(x); }
static inline vi v_sub32(vi a, vi b) { return _mm256_sub_epi32(a, b); }
// Products of neighbouring 16-bit elements, added.
static inline vi v_dot16(vi a, vi b) { return _mm256_madd_epi16(a, b); }
static inline vi v_mul32(vi a, vi b) { return _mm256_mullo_epi32(a, b); }
#define v_shift_right(x, n) _mm256_srai_epi32(x, n)
static inline vi v_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
static inline vi v_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi v_or(vi a, vi b) { return _mm256_or_si256(a, b); }
static inline vi v_add_saturated8(vi a, vi b) { return _mm256_adds_epu8(a, b); }
static inline vi v_shuffle8(vi table, vi at) { return _mm256_shuffle_epi8(table, at); }     // within each 128 bits
static inline vi v_repeat16(const uint8_t *p) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p)); }
static inline vf v_from_doubles(const void *p)
{
    const double *d = (const double *)p;
    return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(d + 4)), _mm256_cvtpd_ps(_mm256_loadu_pd(d)));
}

// The four bytes at p in every lane.
static inline vi v_spread(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    return v_set32(four);
}

// Elements of a and b in turn, within each 128 bits.
#define v_unpack_low8 _mm256_unpacklo_epi8
#define v_unpack_high8 _mm256_unpackhi_epi8
#define v_unpack_low16 _mm256_unpacklo_epi16
#define v_unpack_high16 _mm256_unpackhi_epi16

// 2^x for whole x from -126 to 127, and 0 where x is not negative.
static inline vf v_power(vi x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(x, _mm256_set1_epi32(127)), 23)); }
static inline vf v_where_negative(vi x, vf y) { return _mm256_and_ps(_mm256_castsi256_ps(_mm256_srai_epi32(x, 31)), y); }

// y >= 0 with the sign of x.
static inline vf v_copysign(vf y, vf x) { return _mm256_or_ps(_mm256_and_ps(x, _mm256_set1_ps(-0.0f)), y); }

// Numbers with 16 bits after the point: their whole parts as 16-bit numbers, in the order in which v_pack16 takes them.
static inline vi v_whole(vi a, vi b) { return _mm256_packs_epi32(_mm256_srai_epi32(a, 16), _mm256_srai_epi32(b, 16)); }

// In the low half of each lane: the least fraction. The high halves mean nothing, and those of a limit are 0.
static inline vi v_least(vi a, vi b) { return _mm256_min_epu16(a, b); }
static inline _Bool v_any_below(vi least, vi limit)
{
    __m256i below = _mm256_subs_epu16(limit, least);
    return !_mm256_testz_si256(below, below);
}
static inline uint32_t v_lanes_below(vi x, int32_t limit)
{
    __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(limit), _mm256_and_si256(x, _mm256_set1_epi32(0xFFFF)));
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(low));
}

// Saturated to 16 bits and to unsigned bytes, within each 128 bits.
static inline vi v_pack32(vi a, vi b) { return _mm256_packs_epi32(a, b); }
static inline vi v_pack16(vi a, vi b) { return _mm256_packus_epi16(a, b); }
static inline vi v_clamp8(vi x, vi low, vi high) { return _mm256_min_epu8(_mm256_max_epu8(x, low), high); }

// The bytes that v_whole (or v_pack32) and v_pack16 made of four vectors: back in order.
static inline vi v_in_order(vi x) { return _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)); }

// The upper half, or quarter i, of x to its low end; i is a constant.
static inline vi v_half(vi x) { return _mm256_castsi128_si256(_mm256_extracti128_si256(x, 1)); }
#define v_quarter(x, i) _mm256_castsi128_si256(_mm_cvtsi64_si128(_mm256_extract_epi64(x, i)))

// Half (parts = 2) or quarter (4) number i of x to memory; both are constants.
__attribute__((always_inline)) static inline void v_save_part(uint8_t *out, vi x, size_t parts, int i)
{
    if (parts == 2) {
        _mm_storeu_si128((__m128i *)(void *)out, i ? _mm256_extracti128_si256(x, 1) : _mm256_castsi256_si128(x));
    } else {
        const __m128i half = i > 1 ? _mm256_extracti128_si256(x, 1) : _mm256_castsi256_si128(x);
        _mm_storel_epi64((__m128i *)(void *)out, i % 2 ? _mm_unpackhi_epi64(half, half) : half);
    }
}

// The first n bytes of x, at most a whole vector.
typedef size_t v_tail;
static inline v_tail v_tail_of(size_t n) { return n; }
static inline void v_store_bytes(uint8_t *out, vi x, v_tail n)
{
    if (n >= 32) {
        _mm256_storeu_si256((__m256i *)(void *)out, x);
        return;
    }
    __m128i rest = _mm256_castsi256_si128(x);
    if (n & 16) {
        _mm_storeu_si128((__m128i *)(void *)out, rest);
        rest = _mm256_extracti128_si256(x, 1);
        out += 16;
    }
    if (n & 8) {
        _mm_storel_epi64((__m128i *)(void *)out, rest);
        rest = _mm_unpackhi_epi64(rest, rest);
        out += 8;
    }
    uint64_t last = (uint64_t)_mm_cvtsi128_si64(rest);
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

#endif
