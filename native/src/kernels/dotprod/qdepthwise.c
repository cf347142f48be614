// 8-bit depthwise product: of 3x3 taps a column is one dot product of each channel. Other filters go as with NEON alone.
#define DOT_COLUMNS
#include "kernels/arm/qdepthwise.h"
#include "kernels/dotprod/dotprod.h"

// Goes along the line column by column, with half of a block's channels at a time: all that they need is in registers then. tbl takes a
// channel's bytes of three rows, and 0 where there is no fourth.
// As assembly: compilers make nine pointers of the three, each with an addition of its own.
#define LOAD(number) __asm__("ld1 {%0.8b}, [%1], %2" : "=w"(column.val[number]), "+r"(r##number) : "r"(step) : "memory");
#define COLUMN \
    LOAD(0) LOAD(1) LOAD(2) \
    const int8x16_t c0 = vqtbl3q_s8(column, at0), c1 = vqtbl3q_s8(column, at1);
#define TAP(p, kx) \
    p##0 = vdotq_s32(p##0, c0, w##kx##0); \
    p##1 = vdotq_s32(p##1, c1, w##kx##1);
#define BEGIN(p) \
    LOAD_TWO(p##0, p##1, header, 0) \
    p##0 = vdotq_s32(p##0, c0, w00); \
    p##1 = vdotq_s32(p##1, c1, w01);
#define OUTPUT(p) \
    out = finish_half(&t, job, how, half, p##0, p##1, q0, q1, shift0, shift1, out); \
    if (--n == 0) break;

static __attribute__((noinline, cold)) void finish_half_slowly(const dw_job *t, size_t half, vi s0, vi s1, uint8_t *out)
{
    const vi y0 = scaled_slowly(s0, t->block, WIDE, 8 * half, t->o), y1 = scaled_slowly(s1, t->block, WIDE, 8 * half + 4, t->o);
    store_bytes(out, packed_bytes(y0, y1, y0, y1, &t->range, SLOW), t->n - 8 * half < 8 ? t->n - 8 * half : 8);
}

// Returns where the next output goes.
__attribute__((always_inline)) static inline uint8_t *finish_half(const dw_job *t, const dw_job *slow, rounding how, size_t half, vi s0, vi s1, vi q0, vi q1,
                                                              vi shift0, vi shift1, uint8_t *out)
{
    if (how == PLAIN) {
        const uint16x8_t y = vqmovun_high_s32(vqmovun_s32(scaled(s0, q0, shift0, PLAIN)), scaled(s1, q1, shift1, PLAIN));
        __asm__ volatile("st1 {%1.8b}, [%0], %2" : "+r"(out) : "w"(veor_u8(vqmovn_u16(y), vdup_n_u8(0x80))), "r"(t->out_stride) : "memory");
        return out;
    }
    if (how == RIGHT) {
        const vi y0 = scaled(s0, q0, shift0, RIGHT), y1 = scaled(s1, q1, shift1, RIGHT);
        store_bytes(out, packed_bytes(y0, y1, y0, y1, &t->range, RIGHT), t->n - 8 * half < 8 ? t->n - 8 * half : 8);
    } else {
        finish_half_slowly(slow, half, s0, s1, out);
    }
    return out + t->out_stride;
}

__attribute__((always_inline)) static inline void half_by_column(const dw_job *job, const size_t half, const size_t share, const rounding how, const size_t outputs)
{
    static const uint8_t places[32] = {0, 16, 32, 255, 1, 17, 33, 255, 2, 18, 34, 255, 3, 19, 35, 255, 4, 20, 36, 255, 5, 21, 37, 255, 6, 22, 38, 255, 7, 23, 39, 255};
    const dw_job t = *job;
    const uint8_t *header = t.block + 32 * half, *weights = t.block + WIDE_HEADER + 32 * half;
    const size_t step = t.taps->tap_step, away = t.taps->x_step - 3 * step, first = t.c + 8 * half;
    const uint8x16_t at0 = vld1q_u8(places), at1 = vld1q_u8(places + 16);
    const int8x16_t w00 = load_bytes(weights), w01 = load_bytes(weights + 16), w10 = load_bytes(weights + 64), w11 = load_bytes(weights + 80);
    const int8x16_t w20 = load_bytes(weights + 128), w21 = load_bytes(weights + 144);
    const vi q0 = load_ints(header + 64), q1 = load_ints(header + 80);
    const vi shift0 = load_ints(header + 128), shift1 = load_ints(header + 144);
    for (size_t line = 0; line < t.taps->lines; line++) {
        const uint8_t *r0 = t.row[3 * line] + first, *r1 = t.row[3 * line + 1] + first, *r2 = t.row[3 * line + 2] + first;
        uint8_t *out = t.out + line * t.taps->out_line + 8 * half;
        size_t n = outputs;
        int8x16x3_t column;
        vi x0, x1, y0, y1, z0, z1;
        { COLUMN BEGIN(x) }
        if (share == 1) {       // a column is the last of one output, the middle of the next, and begins the one after that
            { COLUMN TAP(x, 1) BEGIN(y) }
            for (;;) {
                { COLUMN TAP(x, 2) TAP(y, 1) BEGIN(z) }
                OUTPUT(x)
                { COLUMN TAP(y, 2) TAP(z, 1) BEGIN(x) }
                OUTPUT(y)
                { COLUMN TAP(z, 2) TAP(x, 1) BEGIN(y) }
                OUTPUT(z)
            }
        } else if (share == 2) {
            for (;;) {
                { COLUMN TAP(x, 1) }
                { COLUMN TAP(x, 2) BEGIN(y) }
                OUTPUT(x)
                { COLUMN TAP(y, 1) }
                { COLUMN TAP(y, 2) BEGIN(x) }
                OUTPUT(y)
            }
        } else {                // columns that no other output sees
            for (;;) {
                { COLUMN TAP(x, 1) }
                { COLUMN TAP(x, 2) }
                OUTPUT(x)
                r0 += away;
                r1 += away;
                r2 += away;
                { COLUMN BEGIN(x) }
            }
        }
    }
}

__attribute__((always_inline)) static inline void by_column(const dw_job *job, const size_t share, const rounding how, size_t n)
{
    for (size_t half = 0; half < 2 && 8 * half < job->n; half++) half_by_column(job, half, share, how, n);
}

#define BY_COLUMN(share) \
    static void by_column_##share##_plain(const dw_job *t, size_t n) { by_column(t, share, PLAIN, n); } \
    static void by_column_##share(const dw_job *t, size_t n) \
    { \
        if (t->how == SLOW) by_column(t, share, SLOW, n); \
        else by_column(t, share, RIGHT, n); \
    }
BY_COLUMN(0)
BY_COLUMN(1)
BY_COLUMN(2)

static dw_run *run_by_column(size_t share, bool plain)
{
    if (share == 0) return plain ? by_column_0_plain : by_column_0;
    if (share == 1) return plain ? by_column_1_plain : by_column_1;
    return plain ? by_column_2_plain : by_column_2;
}

void er_dotprod_qdepthwise(er_kernels *k) { k->qdepthwise = (er_qdepthwise){ER_BYTES_SIGNED, WIDE, 2, depthwise_pack, qdepthwise}; }
