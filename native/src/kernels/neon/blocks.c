// int4 weights in blocks. A product of 4 by 8 bits has 11, so that int16 holds sixteen: of eight groups.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels/neon/neon.h"

typedef struct { int16x8_t part[4][2]; int32x4_t low[4], high[4]; } sums;       // of four rows' bytes: of the first two, and of the others

static inline sums no_sums(void)
{
    sums s;
    for (size_t p = 0; p < 4; p++) {
        s.part[p][0] = s.part[p][1] = vdupq_n_s16(0);
        s.low[p] = s.high[p] = vdupq_n_s32(0);
    }
    return s;
}

static inline void take_parts(sums *s)
{
    for (size_t p = 0; p < 4; p++) {
        s->low[p] = vpadalq_s16(s->low[p], s->part[p][0]);
        s->high[p] = vpadalq_s16(s->high[p], s->part[p][1]);
        s->part[p][0] = s->part[p][1] = vdupq_n_s16(0);
    }
}

static inline void add_group(sums *s, const uint8_t *w, const int8_t *x, size_t i)
{
    if (i && i % 8 == 0) take_parts(s);
    const int32x2_t eight = vreinterpret_s32_s8(vld1_s8(x));
    const int8x16_t first = vreinterpretq_s8_s32(vdupq_lane_s32(eight, 0)), second = vreinterpretq_s8_s32(vdupq_lane_s32(eight, 1));
    for (size_t p = 0; p < 4; p++) {
        const uint8x16_t pairs = vld1q_u8(w + 16 * p);
        const int8x16_t u = vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(15))), v = vreinterpretq_s8_u8(vshrq_n_u8(pairs, 4));
        s->part[p][0] = vmlal_s8(vmlal_s8(s->part[p][0], vget_low_s8(u), vget_low_s8(first)), vget_low_s8(v), vget_low_s8(second));
        s->part[p][1] = vmlal_high_s8(vmlal_high_s8(s->part[p][1], u, first), v, second);
    }
}

static inline int32x4_t total_of(const sums *s, size_t p)
{
    return vpaddq_s32(vpadalq_s16(s->low[p], s->part[p][0]), vpadalq_s16(s->high[p], s->part[p][1]));
}

#include "kernels/arm/blocks.h"

void er_neon_blocks(er_kernels *k) { k->dot_blocks = dot_blocks; }
#else
#include "kernels/neon/neon.h"

void er_neon_blocks(er_kernels *k) { (void)k; }
#endif
