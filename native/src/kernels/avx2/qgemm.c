// 8-bit matrix product. Activations are widened to int16 when A is packed, weights in the loop (vpmovsxbw), and
// vpmaddwd multiplies pairs: exact for all values.
#include "kernels/avx2/avx2.h"
#include "kernels/x86/vec256.h"

enum { SLIDES = 0, KR = 2, A_BYTES = 4, MOST_1 = 12, MOST_2 = 6, MOST_3 = 0, MOST_4 = 0 };

static inline vi v_weights(const uint8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p)); }
static inline vi v_dot(vi sum, vi a, vi w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, w)); }

#include "kernels/x86/qgemv.h"

static inline __m256i widen(const uint8_t *p, bool is_signed)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return is_signed ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x);
}

static void pack_a(void *dst, const void *src, size_t n, bool is_signed)
{
    int16_t *d = dst;
    const uint8_t *s = src;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) _mm256_storeu_si256((__m256i *)(void *)(d + i), widen(s + i, is_signed));
    for (; i < n; i++) d[i] = is_signed ? (int8_t)s[i] : s[i];
}

void er_avx2_qgemm(er_kernels *k)
{
    k->qgemm = (er_qgemm){.nr = LANES, .kr = KR, .a_size = 2, .bundle = 1, .least = -128, .pack_a = pack_a, .strip = next_panels, .run = qgemm, .run_row = qgemv, .scales = row_scales};
}
