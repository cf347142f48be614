// 8-bit depthwise product.
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/x86/vec512.h"
#include "kernels/x86/vnni.h"

enum { GROUP = 4, OUTPUTS = 4, SLIDING = 1 };

static inline __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

// The rows into the four quarters, then four channels of all rows into each, then their bytes in turn.
__attribute__((always_inline)) static inline vi v_interleave_one(const uint8_t *const *row, size_t n, size_t at)
{
    vi x = _mm512_zextsi128_si512(load16(row[0] + at));
    if (n > 1) x = _mm512_inserti32x4(x, load16(row[1] + at), 1);
    if (n > 2) x = _mm512_inserti32x4(x, load16(row[2] + at), 2);
    if (n > 3) x = _mm512_inserti32x4(x, load16(row[3] + at), 3);
    const __m512i transpose = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    return _mm512_shuffle_epi8(v_in_order(x), transpose);
}

#include "kernels/x86/qdepthwise.h"

void er_avx512vnni_qdepthwise(er_kernels *k) { k->qdepthwise = (er_qdepthwise){ER_BYTES_UNSIGNED, WIDE, 1, depthwise_pack, qdepthwise}; }
