// Dot products of bytes, and of int4 weights in blocks.
#include <arm_neon.h>

#include "kernels/dotprod/dotprod.h"

static int32_t dot_bytes(size_t n, const int8_t *w, const int8_t *x, int32_t zero)
{
    const int8x16_t ones = vdupq_n_s8(1);
    int32x4_t products = vdupq_n_s32(0), weights = products;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const int8x16_t v = vld1q_s8(w + i);
        products = vdotq_s32(products, v, vld1q_s8(x + i));
        weights = vdotq_s32(weights, v, ones);
    }
    uint32_t sum = (uint32_t)vaddvq_s32(products), all = (uint32_t)vaddvq_s32(weights);      // sums wrap
    for (; i < n; i++) {
        sum += (uint32_t)(w[i] * x[i]);
        all += (uint32_t)w[i];
    }
    return (int32_t)(sum - (uint32_t)zero * all);
}

typedef struct { int32x4_t v[4]; } sums;

static inline sums no_sums(void)
{
    const int32x4_t none = vdupq_n_s32(0);
    return (sums){{none, none, none, none}};
}

static inline void add_group(sums *s, const uint8_t *w, const int8_t *x, size_t i)
{
    (void)i;
    const int8x8_t eight = vld1_s8(x);
    for (size_t p = 0; p < 4; p++) {
        const uint8x16_t pairs = vld1q_u8(w + 16 * p);
        s->v[p] = vdotq_lane_s32(s->v[p], vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(15))), eight, 0);
        s->v[p] = vdotq_lane_s32(s->v[p], vreinterpretq_s8_u8(vshrq_n_u8(pairs, 4)), eight, 1);
    }
}

static inline int32x4_t total_of(const sums *s, size_t p) { return s->v[p]; }

#include "kernels/arm/blocks.h"

void er_dotprod_dots(er_kernels *k)
{
    k->dot_bytes = dot_bytes;
    k->dot_blocks = dot_blocks;
}
