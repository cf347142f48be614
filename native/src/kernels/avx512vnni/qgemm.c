// 8-bit matrix product: vpdpbusd multiplies four unsigned by four signed bytes into a 32-bit lane, exactly. int8
// activations become unsigned by adding 128 when A is packed.
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/x86/vec512.h"
#include "kernels/x86/vnni.h"

enum { SLIDES = 1, KR = 4, A_BYTES = 4, MOST_1 = 16, MOST_2 = 12, MOST_3 = 8, MOST_4 = 6 };

#define HALVES 32768

static inline vi v_weights(const uint8_t *p) { return _mm512_loadu_si512(p); }

#include "kernels/x86/qgemv.h"

static void pack_a(void *dst, const void *src, size_t n, bool is_signed)
{
    uint8_t *d = dst;
    const uint8_t *s = src;
    const __m512i flip = _mm512_set1_epi8(is_signed ? (char)-128 : 0);
    size_t i = 0;
    for (; i + 64 <= n; i += 64) _mm512_storeu_si512(d + i, _mm512_xor_si512(_mm512_loadu_si512(s + i), flip));
    const __mmask64 rest = ((__mmask64)1 << (n - i)) - 1;
    if (rest) _mm512_mask_storeu_epi8(d + i, rest, _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, s + i), flip));
}

void er_avx512vnni_qgemm(er_kernels *k)
{
    k->qgemm = (er_qgemm){.nr = LANES, .kr = KR, .a_size = 1, .bundle = 1, .least = -128, .pack_a = pack_a, .strip = next_panels, .run = qgemm, .run_row = qgemv, .scales = row_scales};
}
