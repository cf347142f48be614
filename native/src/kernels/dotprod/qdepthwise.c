// 8-bit depthwise product: of 3x3 taps a column is one dot product of each channel. Other filters go as with NEON alone.
#define DOT_COLUMNS
#include "kernels/arm/qdepthwise.h"
#include "kernels/dotprod/dotprod.h"

// Goes along the line column by column. Each is made once: tbl takes a channel's bytes of three rows, and 0 where there is no fourth.
#define DOT_LOAD(name) \
    { \
        name.val[0] = load_bytes(r0); \
        name.val[1] = load_bytes(r1); \
        name.val[2] = load_bytes(r2); \
        r0 += step; \
        r1 += step; \
        r2 += step; \
    }
#define DOT_WEIGHT(kx, v) const int8x16_t w##kx##v = load_bytes(block + WIDE_HEADER + (kx * 4 + v) * 16);
#define DOT_WEIGHTS(kx) DOT_WEIGHT(kx, 0) DOT_WEIGHT(kx, 1) DOT_WEIGHT(kx, 2) DOT_WEIGHT(kx, 3)
#define COLUMN(v) const int8x16_t c##v = vqtbl3q_s8(column, at##v);
#define COLUMNS COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3)
#define TAP(p, kx) \
    p##0 = vdotq_s32(p##0, c0, w##kx##0); \
    p##1 = vdotq_s32(p##1, c1, w##kx##1); \
    p##2 = vdotq_s32(p##2, c2, w##kx##2); \
    p##3 = vdotq_s32(p##3, c3, w##kx##3);
#define BEGIN(p) \
    p##0 = load_ints(block); \
    p##1 = load_ints(block + 16); \
    p##2 = load_ints(block + 32); \
    p##3 = load_ints(block + 48); \
    TAP(p, 0)
#define OUTPUT(p) \
    dw_finish(&t, job, how, p##0, p##1, p##2, p##3, out); \
    out += t.out_stride; \
    if (--n == 0) break;
// The column at hand is the last of output p, and begins or goes on with those after it.
#define ONE(p, q, r) { DOT_LOAD(column) COLUMNS TAP(p, 2) TAP(q, 1) BEGIN(r) OUTPUT(p) }
#define TWO(p, q) \
    { \
        DOT_LOAD(column) \
        { COLUMNS TAP(p, 1) } \
        DOT_LOAD(column) \
        { COLUMNS TAP(p, 2) BEGIN(q) } \
        OUTPUT(p) \
    }

__attribute__((always_inline)) static inline void by_column(const dw_job *job, const size_t share, const rounding how, size_t n)
{
    static const uint8_t places[64] = {
        0, 16, 32, 255, 1, 17, 33, 255, 2,  18, 34, 255, 3,  19, 35, 255, 4,  20, 36, 255, 5,  21, 37, 255, 6,  22, 38, 255, 7,  23, 39, 255,
        8, 24, 40, 255, 9, 25, 41, 255, 10, 26, 42, 255, 11, 27, 43, 255, 12, 28, 44, 255, 13, 29, 45, 255, 14, 30, 46, 255, 15, 31, 47, 255};
    const dw_job t = *job;
    const uint8_t *block = t.block, *r0 = t.row[0] + t.c, *r1 = t.row[1] + t.c, *r2 = t.row[2] + t.c;
    const size_t step = t.taps->tap_step;
    uint8_t *out = t.out;
    const uint8x16_t at0 = vld1q_u8(places), at1 = vld1q_u8(places + 16), at2 = vld1q_u8(places + 32), at3 = vld1q_u8(places + 48);
    DOT_WEIGHTS(0) DOT_WEIGHTS(1) DOT_WEIGHTS(2)
    int8x16x3_t column;
    vi p0, p1, p2, p3, q0, q1, q2, q3, r_0, r_1, r_2, r_3;
    if (share == 0) {       // columns that no other output sees
        for (size_t x = 0;; x++) {
            r0 = t.row[0] + t.c + x * t.taps->x_step;
            r1 = t.row[1] + t.c + x * t.taps->x_step;
            r2 = t.row[2] + t.c + x * t.taps->x_step;
            DOT_LOAD(column)
            { COLUMNS BEGIN(p) }
            DOT_LOAD(column)
            { COLUMNS TAP(p, 1) }
            DOT_LOAD(column)
            { COLUMNS TAP(p, 2) }
            OUTPUT(p)
        }
        return;
    }
    DOT_LOAD(column)
    { COLUMNS BEGIN(p) }
    if (share == 1) {
        DOT_LOAD(column)
        { COLUMNS TAP(p, 1) BEGIN(q) }
        for (;;) {
            ONE(p, q, r_)
            ONE(q, r_, p)
            ONE(r_, p, q)
        }
    } else {
        for (;;) {
            TWO(p, q)
            TWO(q, p)
        }
    }
}

#define BY_COLUMN(share) \
    static void by_column_##share##_plain(const dw_job *t, size_t n) { by_column(t, share, PLAIN, n); } \
    static void by_column_##share(const dw_job *t, size_t n) { by_column(t, share, t->how, n); }
BY_COLUMN(0)
BY_COLUMN(1)
BY_COLUMN(2)

static dw_run *run_by_column(size_t share, bool plain)
{
    if (share == 0) return plain ? by_column_0_plain : by_column_0;
    if (share == 1) return plain ? by_column_1_plain : by_column_1;
    return plain ? by_column_2_plain : by_column_2;
}

void er_dotprod_qdepthwise(er_kernels *k) { k->qdepthwise = (er_qdepthwise){ER_BYTES_SIGNED, WIDE, depthwise_pack, qdepthwise}; }
