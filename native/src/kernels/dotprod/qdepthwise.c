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
    out = finish_half(&t, job, how, fits, half, p##0, p##1, q0, q1, shift0, shift1, out); \
    if (--n == 0) break;

static __attribute__((noinline, cold)) void finish_half_slowly(const dw_job *t, size_t half, vi s0, vi s1, uint8_t *out)
{
    const vi y0 = scaled_slowly(s0, t->block, WIDE, 8 * half, t->o), y1 = scaled_slowly(s1, t->block, WIDE, 8 * half + 4, t->o);
    store_bytes(out, packed_bytes(y0, y1, y0, y1, &t->range, SLOW), t->n - 8 * half < 8 ? t->n - 8 * half : 8);
}

// PLAIN, of eight channels: 0 to 255.
__attribute__((always_inline)) static inline uint8x8_t plain_bytes(vi y0, vi y1, bool fits)
{
    if (fits) return vqmovun_s16(lower_halves(y0, y1));
    return vqmovn_u16(vqmovun_high_s32(vqmovun_s32(y0), y1));
}

// Returns where the next output goes.
__attribute__((always_inline)) static inline uint8_t *finish_half(const dw_job *t, const dw_job *slow, rounding how, bool fits, size_t half, vi s0, vi s1, vi q0, vi q1,
                                                              vi shift0, vi shift1, uint8_t *out)
{
    if (how == PLAIN) {
        const uint8x8_t y = plain_bytes(scaled(s0, q0, shift0, PLAIN), scaled(s1, q1, shift1, PLAIN), fits);
        __asm__ volatile("st1 {%1.8b}, [%0], %2" : "+r"(out) : "w"(veor_u8(y, vdup_n_u8(0x80))), "r"(t->out_stride) : "memory");
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

// Two lines of outputs next to each other, the second of which begins a row further down: a column has four rows then, of which the first
// line takes the upper three, and the second the others. PLAIN.
//
// As assembly, since all registers are in use, and compilers would take weights from the stack: v0 to v3 are four rows of a column, then the sums, two of
// each line; v4 to v9 three columns, of four channels each; v10 and v11 where tbl finds their bytes; v12 to v17 the first line's weights and
// v18 to v23 the second's; v24 to v27 multipliers and shifts; v28 what makes bytes of 0 to 255.
#define COLUMN_OF_FOUR(c0, c1) \
    "ld1 {v0.8b}, [%[r0]], %[step]\n\tld1 {v1.8b}, [%[r1]], %[step]\n\tld1 {v2.8b}, [%[r2]], %[step]\n\tld1 {v3.8b}, [%[r3]], %[step]\n\t" \
    "tbl v" #c0 ".16b, {v0.16b, v1.16b, v2.16b, v3.16b}, v10.16b\n\ttbl v" #c1 ".16b, {v0.16b, v1.16b, v2.16b, v3.16b}, v11.16b\n\t"
#define ADD_DOTS(sum, c, w) "sdot v" #sum ".4s, v" #c ".16b, v" #w ".16b\n\t"
#define SCALE_SUMS(sum, q, shift) "sqrdmulh v" #sum ".4s, v" #sum ".4s, v" #q ".4s\n\tsrshl v" #sum ".4s, v" #sum ".4s, v" #shift ".4s\n\t"
#define BYTES_THAT_FIT "uzp1 v0.8h, v0.8h, v1.8h\n\tuzp1 v2.8h, v2.8h, v3.8h\n\tsqxtun v0.8b, v0.8h\n\tsqxtun2 v0.16b, v2.8h\n\t"
#define BYTES_OF_ANY \
    "sqxtun v0.4h, v0.4s\n\tsqxtun2 v0.8h, v1.4s\n\tsqxtun v2.4h, v2.4s\n\tsqxtun2 v2.8h, v3.4s\n\tuqxtn v0.8b, v0.8h\n\tuqxtn2 v0.16b, v2.8h\n\t"
#define TWO_OUTPUTS(a0, a1, b0, b1, c0, c1, BYTES) \
    COLUMN_OF_FOUR(c0, c1) \
    "ldp q0, q1, [%[header]]\n\tldp q2, q3, [%[header]]\n\t" \
    ADD_DOTS(0, a0, 12) ADD_DOTS(1, a1, 13) ADD_DOTS(2, a0, 18) ADD_DOTS(3, a1, 19) \
    ADD_DOTS(0, b0, 14) ADD_DOTS(1, b1, 15) ADD_DOTS(2, b0, 20) ADD_DOTS(3, b1, 21) \
    ADD_DOTS(0, c0, 16) ADD_DOTS(1, c1, 17) ADD_DOTS(2, c0, 22) ADD_DOTS(3, c1, 23) \
    SCALE_SUMS(0, 24, 26) SCALE_SUMS(1, 25, 27) SCALE_SUMS(2, 24, 26) SCALE_SUMS(3, 25, 27) \
    BYTES \
    "eor v0.16b, v0.16b, v28.16b\n\tsubs %[n], %[n], #1\n\t" \
    "st1 {v0.8b}, [%[out]], %[out_stride]\n\tst1 {v0.d}[1], [%[below]], %[out_stride]\n\tb.eq 2f\n\t"
#define TWO_LINES(BYTES) \
    __asm__ volatile( \
        "ldp q10, q11, [%[places]]\n\t" \
        "ldp q12, q13, [%[weights]]\n\tldp q14, q15, [%[weights], #64]\n\tldp q16, q17, [%[weights], #128]\n\t" \
        "shl v18.4s, v12.4s, #8\n\tshl v19.4s, v13.4s, #8\n\tshl v20.4s, v14.4s, #8\n\t" \
        "shl v21.4s, v15.4s, #8\n\tshl v22.4s, v16.4s, #8\n\tshl v23.4s, v17.4s, #8\n\t" \
        "ldp q24, q25, [%[header], #64]\n\tldp q26, q27, [%[header], #128]\n\tmovi v28.16b, #0x80\n\t" \
        COLUMN_OF_FOUR(4, 5) COLUMN_OF_FOUR(6, 7) \
        "1:\n\t" TWO_OUTPUTS(4, 5, 6, 7, 8, 9, BYTES) TWO_OUTPUTS(6, 7, 8, 9, 4, 5, BYTES) TWO_OUTPUTS(8, 9, 4, 5, 6, 7, BYTES) "b 1b\n\t2:" \
        : [r0] "+r"(r0), [r1] "+r"(r1), [r2] "+r"(r2), [r3] "+r"(r3), [out] "+r"(out), [below] "+r"(below), [n] "+r"(n) \
        : [step] "r"(step), [out_stride] "r"(out_stride), [header] "r"(header), [weights] "r"(weights), [places] "r"(places) \
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", \
          "v23", "v24", "v25", "v26", "v27", "v28", "cc", "memory");

// Whether a line and the next one are such.
static inline bool go_together(const dw_job *t, size_t line)
{
    const uint8_t *const *row = t->row + 3 * line;
    return line + 1 < t->taps->lines && row[3] == row[1] && row[4] == row[2];
}

// By twos as far as lines go together: how many. n >= 1 outputs each.
static size_t two_by_two(const dw_job *t, size_t half, size_t outputs)
{
    static const uint8_t places[32] = {0, 16, 32, 48, 1, 17, 33, 49, 2, 18, 34, 50, 3, 19, 35, 51, 4, 20, 36, 52, 5, 21, 37, 53, 6, 22, 38, 54, 7, 23, 39, 55};
    const uint8_t *header = t->block + 32 * half, *weights = t->block + WIDE_HEADER + 32 * half;
    const size_t step = t->taps->tap_step, out_stride = t->out_stride, first = t->c + 8 * half;
    size_t line = 0;
    for (; go_together(t, line); line += 2) {
        const uint8_t *const *row = t->row + 3 * line;
        const uint8_t *r0 = row[0] + first, *r1 = row[1] + first, *r2 = row[2] + first, *r3 = row[5] + first;
        uint8_t *out = t->out + line * t->taps->out_line + 8 * half, *below = out + t->taps->out_line;
        size_t n = outputs;
        if (t->fits) TWO_LINES(BYTES_THAT_FIT)
        else TWO_LINES(BYTES_OF_ANY)
    }
    return line;
}

__attribute__((always_inline)) static inline void half_by_column(const dw_job *job, const size_t half, const size_t share, const rounding how, const bool fits, const size_t outputs)
{
    static const uint8_t places[32] = {0, 16, 32, 255, 1, 17, 33, 255, 2, 18, 34, 255, 3, 19, 35, 255, 4, 20, 36, 255, 5, 21, 37, 255, 6, 22, 38, 255, 7, 23, 39, 255};
    size_t line = share == 1 && how == PLAIN ? two_by_two(job, half, outputs) : 0;
    if (line == job->taps->lines) return;
    const dw_job t = *job;
    const uint8_t *header = t.block + 32 * half, *weights = t.block + WIDE_HEADER + 32 * half;
    const size_t step = t.taps->tap_step, away = t.taps->x_step - 3 * step, first = t.c + 8 * half;
    const uint8x16_t at0 = vld1q_u8(places), at1 = vld1q_u8(places + 16);
    const int8x16_t w00 = load_bytes(weights), w01 = load_bytes(weights + 16), w10 = load_bytes(weights + 64), w11 = load_bytes(weights + 80);
    const int8x16_t w20 = load_bytes(weights + 128), w21 = load_bytes(weights + 144);
    const vi q0 = load_ints(header + 64), q1 = load_ints(header + 80);
    const vi shift0 = load_ints(header + 128), shift1 = load_ints(header + 144);
    for (; line < t.taps->lines; line++) {
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

__attribute__((always_inline)) static inline void by_column(const dw_job *job, const size_t share, const rounding how, const bool fits, size_t n)
{
    for (size_t half = 0; half < 2 && 8 * half < job->n; half++) half_by_column(job, half, share, how, fits, n);
}

#define BY_COLUMN(share) \
    static void by_column_##share##_plain(const dw_job *t, size_t n) \
    { \
        if (t->fits) by_column(t, share, PLAIN, true, n); \
        else by_column(t, share, PLAIN, false, n); \
    } \
    static void by_column_##share(const dw_job *t, size_t n) \
    { \
        if (t->how == SLOW) by_column(t, share, SLOW, false, n); \
        else by_column(t, share, RIGHT, false, n); \
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
