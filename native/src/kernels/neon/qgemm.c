// 8-bit matrix product: smull and smlal make two products of a lane, which fit int16 as no weight is -128 (er_qgemm.least), and
// sadalp adds pairs of those to 32-bit sums. A sum of one row and channel has four lanes, which are added up at the end.
#include <arm_neon.h>

#include "kernels/neon/neon.h"

#if defined(__aarch64__)
enum { MOST_1 = 4 };
#else
enum { MOST_1 = 2 };        // of 16 registers
#endif
enum { KR = 8, BUNDLE = 2, MOST_2 = 0, MOST_3 = 0, MOST_4 = 0 };

static inline int32x4_t dot16(int32x4_t sum, int8x16_t x, int8x16_t w)
{
    const int16x8_t p = vmull_s8(vget_low_s8(x), vget_low_s8(w));
#if defined(__aarch64__)
    return vpadalq_s16(sum, vmlal_high_s8(p, x, w));
#else
    return vpadalq_s16(sum, vmlal_s8(p, vget_high_s8(x), vget_high_s8(w)));
#endif
}

static inline int32x4_t dot8(int32x4_t sum, int8x8_t x, int8x8_t w) { return vpadalq_s16(sum, vmull_s8(x, w)); }

// The lanes of each of four vectors, added up.
static inline int32x4_t add_lanes(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d)
{
#if defined(__aarch64__)
    return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
#else
    const int32x2_t ab = vpadd_s32(vadd_s32(vget_low_s32(a), vget_high_s32(a)), vadd_s32(vget_low_s32(b), vget_high_s32(b)));
    return vcombine_s32(ab, vpadd_s32(vadd_s32(vget_low_s32(c), vget_high_s32(c)), vadd_s32(vget_low_s32(d), vget_high_s32(d))));
#endif
}

#define PARTS(i) int32x4_t p##i##_0 = none, p##i##_1 = none, p##i##_2 = none, p##i##_3 = none;
#define ADD_16(i, at, from) \
    if (i < mr) { \
        const int8x16_t x = vld1q_s8(a##i + at); \
        p##i##_0 = dot16(p##i##_0, x, from##0); \
        p##i##_1 = dot16(p##i##_1, x, from##1); \
        p##i##_2 = dot16(p##i##_2, x, from##2); \
        p##i##_3 = dot16(p##i##_3, x, from##3); \
    }
#define ADD_8(i) \
    if (i < mr) { \
        const int8x8_t x = vld1_s8(a##i); \
        p##i##_0 = dot8(p##i##_0, x, vget_low_s8(w0)); \
        p##i##_1 = dot8(p##i##_1, x, vget_high_s8(w0)); \
        p##i##_2 = dot8(p##i##_2, x, vget_low_s8(w1)); \
        p##i##_3 = dot8(p##i##_3, x, vget_high_s8(w1)); \
    }
#define ROW_POINTERS(from) \
    const int8_t *a0 = (const int8_t *)(from), *a1 = a0 + (mr > 1 ? stride : 0), *a2 = a0 + (mr > 2 ? 2 * stride : 0), *a3 = a0 + (mr > 3 ? 3 * stride : 0);
#define ADVANCE(bytes) \
    a0 += bytes; \
    a1 += bytes; \
    a2 += bytes; \
    a3 += bytes;
#define WEIGHTS_16(from, at) \
    const int8x16_t from##0 = vld1q_s8(w + at), from##1 = vld1q_s8(w + at + 16), from##2 = vld1q_s8(w + at + 32), from##3 = vld1q_s8(w + at + 48);
#define STEP_8 \
    { \
        const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16); \
        ADD_8(0) ADD_8(1) ADD_8(2) ADD_8(3) \
        w += 32; \
    }
#define SUMS(mr, panels) \
    const er_rows *r = t->rows; \
    const size_t stride = r->row_stride; \
    const int8_t *w = (const int8_t *)t->strip + HEADER; \
    const int32x4_t bias = load_ints(t->strip); \
    PARTS(0) PARTS(1) PARTS(2) PARTS(3) \
    for (size_t s = 0; s < r->segments; s++) { \
        ROW_POINTERS(rows + s * r->segment_stride) \
        size_t groups = r->groups; \
        for (; groups >= 4; groups -= 4) { \
            WEIGHTS_16(u, 0) \
            WEIGHTS_16(v, 64) \
            ADD_16(0, 0, u) ADD_16(0, 16, v) ADD_16(1, 0, u) ADD_16(1, 16, v) \
            ADD_16(2, 0, u) ADD_16(2, 16, v) ADD_16(3, 0, u) ADD_16(3, 16, v) \
            w += 128; \
            ADVANCE(32) \
        } \
        if (groups >= 2) { \
            WEIGHTS_16(u, 0) \
            ADD_16(0, 0, u) ADD_16(1, 0, u) ADD_16(2, 0, u) ADD_16(3, 0, u) \
            w += 64; \
            ADVANCE(16) \
            groups -= 2; \
        } \
        if (groups) STEP_8 \
    } \
    for (size_t e = 0; e < r->extras; e++) { \
        ROW_POINTERS(rows + r->extra_at[e]) \
        STEP_8 \
    } \
    ROW_SUMS(0) ROW_SUMS(1) ROW_SUMS(2) ROW_SUMS(3)
#define ROW_SUMS(i) if (i < mr) s##i##_0 = vaddq_s32(add_lanes(p##i##_0, p##i##_1, p##i##_2, p##i##_3), bias);

#include "kernels/arm/qgemm.h"

void er_neon_qgemm(er_kernels *k) { k->qgemm = (er_qgemm){LANES, KR, 1, true, BUNDLE, -127, pack_a, next_panels, qgemm, NULL, NULL}; }
