#include "kernels/avx2/avx2.h"
#include "kernels/x86/vec256.h"

// Two products fit 16 bits by far: 2 * 15 * 128.
static inline vi v_nibbles(vi sum, vi w, vi x) { return v_add32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1))); }

#include "kernels/x86/blocks.h"

void er_avx2_blocks(er_kernels *k) { k->dot_blocks = dot_blocks; }
