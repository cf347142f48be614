// 8-bit depthwise product: the bytes of two taps become int16 pairs, which vpmaddwd multiplies with their weights and adds.
#include "kernels/avx2/avx2.h"
#include "kernels/x86/vec256.h"

enum { GROUP = 2, OUTPUTS = 2, SLIDING = 0 };

static inline vi v_dot(vi sum, vi a, vi w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, w)); }

__attribute__((always_inline)) static inline void v_interleave(const uint8_t *const *row, size_t n, size_t at, vi *x)
{
    const vi zero = v_zero();
    vi r0 = v_load(row[0] + at), low0 = v_unpack_low8(r0, zero), high0 = v_unpack_high8(r0, zero), low1 = zero, high1 = zero;
    if (n > 1) {
        vi r1 = v_load(row[1] + at);
        low1 = v_unpack_low8(r1, zero);
        high1 = v_unpack_high8(r1, zero);
    }
    x[0] = v_unpack_low16(low0, low1);
    x[1] = v_unpack_high16(low0, low1);
    x[2] = v_unpack_low16(high0, high1);
    x[3] = v_unpack_high16(high0, high1);
}

static inline __m128i load8(const uint8_t *p) { return _mm_loadl_epi64((const __m128i *)(const void *)p); }

__attribute__((always_inline)) static inline vi v_interleave_one(const uint8_t *const *row, size_t n, size_t at)
{
    if (n == 1) return _mm256_cvtepu8_epi32(load8(row[0] + at));
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(load8(row[0] + at), load8(row[1] + at)));
}

#include "kernels/x86/qdepthwise.h"

void er_avx2_qdepthwise(er_kernels *k) { k->qdepthwise = (er_qdepthwise){ER_BYTES_UNSIGNED, WIDE, 1, depthwise_pack, qdepthwise}; }
