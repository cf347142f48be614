// 8-bit matrix product: vpdpbusd multiplies four unsigned by four signed bytes into a 32-bit lane, exactly. int8
// activations become unsigned by adding 128 when A is packed.
#include "kernels/avxvnni/avxvnni.h"
#include "kernels/x86/vec256.h"
#include "kernels/x86/vnni.h"

enum { SLIDES = 1, KR = 4, A_BYTES = 4, MOST_1 = 12, MOST_2 = 6, MOST_3 = 4, MOST_4 = 3 };

static inline vi v_weights(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }

#include "kernels/x86/pack_bytes.h"
#include "kernels/x86/qgemv.h"

void er_avxvnni_qgemm(er_kernels *k)
{
    k->qgemm = (er_qgemm){.nr = LANES, .kr = KR, .a_size = 1, .bundle = 1, .least = -128, .pack_a = pack_a, .strip = next_panels, .run = qgemm, .run_row = qgemv, .scales = row_scales};
}
