// 8-bit depthwise product.
#include "kernels/avxvnni/avxvnni.h"
#include "kernels/x86/vec256.h"
#include "kernels/x86/vnni.h"

enum { GROUP = 4, OUTPUTS = 2, SLIDING = 0 };

static inline __m128i load8(const uint8_t *p) { return _mm_loadl_epi64((const __m128i *)(const void *)p); }

__attribute__((always_inline)) static inline vi v_interleave_one(const uint8_t *const *row, size_t n, size_t at)
{
    __m128i zero = _mm_setzero_si128(), a = _mm_unpacklo_epi8(load8(row[0] + at), n > 1 ? load8(row[1] + at) : zero);
    __m128i b = n > 2 ? _mm_unpacklo_epi8(load8(row[2] + at), n > 3 ? load8(row[3] + at) : zero) : zero;
    return _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b));
}

#include "kernels/x86/qdepthwise.h"

void er_avxvnni_qdepthwise(er_kernels *k) { k->qdepthwise = (er_qdepthwise){ER_BYTES_UNSIGNED, WIDE, 1, depthwise_pack, qdepthwise}; }
