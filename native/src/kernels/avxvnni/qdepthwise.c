// 8-bit depthwise product.
#include "kernels/avxvnni/avxvnni.h"
#include "kernels/x86/vec256.h"

enum { GROUP = 4, OUTPUTS = 2 };


// As assembly, for gcc, which with the intrinsic copies sums from register to register; clang would take every operand from memory.
static inline vi v_dot(vi sum, vi a, vi w)
{
#if defined(__clang__)
    return _mm256_dpbusd_avx_epi32(sum, a, w);
#else
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "xm"(w));
    return sum;
#endif
}

__attribute__((always_inline)) static inline void v_interleave(const uint8_t *const *row, size_t n, size_t at, vi *x)
{
    vi r0 = v_load(row[0] + at), r1 = n > 1 ? v_load(row[1] + at) : v_zero();
    vi r2 = n > 2 ? v_load(row[2] + at) : v_zero(), r3 = n > 3 ? v_load(row[3] + at) : v_zero();
    vi a = _mm256_unpacklo_epi8(r0, r1), b = _mm256_unpackhi_epi8(r0, r1), c = _mm256_unpacklo_epi8(r2, r3), d = _mm256_unpackhi_epi8(r2, r3);
    x[0] = _mm256_unpacklo_epi16(a, c);
    x[1] = _mm256_unpackhi_epi16(a, c);
    x[2] = _mm256_unpacklo_epi16(b, d);
    x[3] = _mm256_unpackhi_epi16(b, d);
}

static inline __m128i load8(const uint8_t *p) { return _mm_loadl_epi64((const __m128i *)(const void *)p); }

__attribute__((always_inline)) static inline vi v_interleave_one(const uint8_t *const *row, size_t n, size_t at)
{
    __m128i zero = _mm_setzero_si128(), a = _mm_unpacklo_epi8(load8(row[0] + at), n > 1 ? load8(row[1] + at) : zero);
    __m128i b = n > 2 ? _mm_unpacklo_epi8(load8(row[2] + at), n > 3 ? load8(row[3] + at) : zero) : zero;
    return _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b));
}

#include "kernels/x86/qdepthwise.h"

void er_avxvnni_qdepthwise(er_kernels *k) { k->qdepthwise = (er_qdepthwise){true, WIDE, depthwise_pack, qdepthwise}; }
