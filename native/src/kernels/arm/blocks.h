// int4 weights in blocks, for Arm: a group of eight products of 16 rows at a time, after
//     sums                            what is added up in a block, and
//     no_sums()                       nothing of it,
//     add_group(&sums, w, x, i)       group i of a block: w[16][4], x[8],
//     total_of(&sums, p)              the sums of rows 4 p to 4 p + 3
#ifndef ER_ARM_BLOCKS_H
#define ER_ARM_BLOCKS_H

static void dot_blocks(size_t blocks, size_t size, const uint8_t *w, const int8_t *x, const int32_t *eights, const float *scales, float *y)
{
    float32x4_t total[4];
    for (size_t p = 0; p < 4; p++) total[p] = vld1q_f32(y + 4 * p);
    for (size_t b = 0; b < blocks; b++, scales += ER_BLOCK_ROWS) {
        sums s = no_sums();
        for (size_t i = 0; i < size / 8; i++, w += 4 * ER_BLOCK_ROWS, x += 8) add_group(&s, w, x, i);
        const int32x4_t less = vdupq_n_s32(eights[b]);
        for (size_t p = 0; p < 4; p++)
            total[p] = vaddq_f32(total[p], vmulq_f32(vcvtq_f32_s32(vsubq_s32(total_of(&s, p), less)), vld1q_f32(scales + 4 * p)));
    }
    for (size_t p = 0; p < 4; p++) vst1q_f32(y + 4 * p, total[p]);
}

#endif
