// 8-bit matrix product: sdot multiplies four bytes of a row, in one lane of a vector, by four of each of four channels.
//
// Multiply-adds a cycle by llvm-mca (benchmarks/arm): Cortex-A76 32.0 of 32, A55 8.4 of 16.
#include <arm_neon.h>

#include "kernels/dotprod/dotprod.h"

enum { KR = 4, BUNDLE = 1, FULL_TILES = 1, MOST_1 = 12, MOST_2 = 8, MOST_3 = 6, MOST_4 = 5 };

#define ROW_POINTER(i) const int8_t *a##i = from + (i < mr ? i : 0) * stride;
// As assembly, since compilers would rather add to each pointer by an instruction of its own.
#define LOAD(i) \
    int8x16_t x##i = none8; \
    if (i < mr) __asm__("ldr %q0, [%1], #16" : "=w"(x##i), "+r"(a##i) : : "memory");
#define DOT(i, p) if (i < mr && p < panels) s##i##_##p = vdotq_laneq_s32(s##i##_##p, w##p, x##i, lane);
// Those of three and four panels as assembly, in this order: compilers would mix them with those of the next weights, which are loaded to the same
// registers.
#define DOT_OF(sum, w, x, lane) "sdot %" #sum ".4s, %" #w ".16b, %" #x ".4b[%" #lane "]\n\t"
#define DOTS(i) \
    if (i < mr && panels < 3) { EACH_PANEL(DOT, i) } \
    if (i < mr && panels == 3) \
        __asm__ volatile(DOT_OF(0, 3, 6, 7) DOT_OF(1, 4, 6, 7) DOT_OF(2, 5, 6, 7) \
                         : "+w"(s##i##_0), "+w"(s##i##_1), "+w"(s##i##_2) : "w"(w0), "w"(w1), "w"(w2), "w"(x##i), "i"(lane)); \
    if (i < mr && panels == 4) \
        __asm__ volatile(DOT_OF(0, 4, 8, 9) DOT_OF(1, 5, 8, 9) DOT_OF(2, 6, 8, 9) DOT_OF(3, 7, 8, 9) \
                         : "+w"(s##i##_0), "+w"(s##i##_1), "+w"(s##i##_2), "+w"(s##i##_3) : "w"(w0), "w"(w1), "w"(w2), "w"(w3), "w"(x##i), "i"(lane));
#define DOT_0(i) { enum { lane = 0 }; DOTS(i) }
#define DOT_1(i) { enum { lane = 1 }; DOTS(i) }
#define DOT_2(i) { enum { lane = 2 }; DOTS(i) }
#define DOT_3(i) { enum { lane = 3 }; DOTS(i) }
#define NEXT_ONE(x, from) __asm__("ldr %q0, [%1], #16" : "=w"(x), "+r"(from) : : "memory");
#define GROUP(DOT_ROW) \
    { \
        register int8x16_t w0 __asm__("v0"), w1 __asm__("v1") = none8, w2 __asm__("v2") = none8, w3 __asm__("v3") = none8; \
        if (panels == 1) NEXT_ONE(w0, w) \
        if (panels == 2) NEXT_TWO(w0, w1, w) \
        if (panels == 3) NEXT_THREE(w0, w1, w2, w) \
        if (panels == 4) NEXT_FOUR(w0, w1, w2, w3, w) \
        EACH_ROW(DOT_ROW) \
    }
#define LAST_GROUPS(n) \
    { \
        const size_t groups = n; \
        EACH_ROW(LOAD) /* some bytes behind the run */ \
        GROUP(DOT_0) \
        if (groups > 1) GROUP(DOT_1) \
        if (groups > 2) GROUP(DOT_2) \
    }
#define STEP \
    { \
        EACH_ROW(LOAD) \
        GROUP(DOT_0) \
        GROUP(DOT_1) \
        GROUP(DOT_2) \
        GROUP(DOT_3) \
    }
#define SUMS(mr, panels) \
    const size_t stride = r->row_stride; \
    const int8_t *w = (const int8_t *)t->strip; \
    const int8x16_t none8 = vdupq_n_s8(0); \
    EACH_ROW(BEGIN_ROW) \
    w += panels * HEADER + WEIGHTS_BEFORE(panels); \
    const int8_t *from = (const int8_t *)rows; \
    size_t segments = single ? 1 : r->segments; \
    do { \
        EACH_ROW(ROW_POINTER) \
        const size_t left = r->groups % 4; \
        if (single && r->groups / 4 % 2) STEP \
        for (size_t steps = single ? r->groups / 8 : r->groups / 4; steps; steps--) { \
            STEP \
            if (single) STEP \
        } \
        if (left) LAST_GROUPS(left) \
        from += r->segment_stride; \
    } while (--segments); \
    for (size_t e = 0; e < (single ? 0 : r->extras); e++) { \
        const int8_t *from = (const int8_t *)rows + r->extra_at[e]; \
        EACH_ROW(ROW_POINTER) \
        LAST_GROUPS(1) \
    }

#define FIT_16
#define SIXTEEN rows_of_sixteen
typedef struct job job;
static void rows_of_sixteen(const job *t, uint8_t *out);

#include "kernels/arm/qgemm.h"

// Row by row, with all weights in registers: the many pixels of a network's first layers.
static void rows_of_sixteen(const job *t, uint8_t *out)
{
    const er_rows r = *t->rows;
    const size_t out_stride = t->out_stride;
    const uint8_t *begin = t->begin;
    const int8_t *w = (const int8_t *)t->strip + 4 * HEADER;
    const range bytes = t->range;
#define WEIGHT(g, p) const int8x16_t w##g##p = vld1q_s8(w + (g * 4 + p) * CHUNK);
#define SCALES(p) const vi q##p = header_ints(t->strip, 4, 1, p), shift##p = header_ints(t->strip, 4, 2, p);
    WEIGHT(0, 0) WEIGHT(0, 1) WEIGHT(0, 2) WEIGHT(0, 3) WEIGHT(1, 0) WEIGHT(1, 1) WEIGHT(1, 2) WEIGHT(1, 3)
    WEIGHT(2, 0) WEIGHT(2, 1) WEIGHT(2, 2) WEIGHT(2, 3) WEIGHT(3, 0) WEIGHT(3, 1) WEIGHT(3, 2) WEIGHT(3, 3)
    SCALES(0) SCALES(1) SCALES(2) SCALES(3)
    for (size_t line = 0; line < r.lines; line++) {
        const int8_t *a = (const int8_t *)r.a + line * r.line_stride;
        for (size_t i = r.m; i; i--) {
            int8x16_t x;
            vi s0, s1, s2, s3;
            NEXT_ROW(x, a, r.row_stride)
            LOAD_TWO(s0, s1, begin, 0)
            LOAD_TWO(s2, s3, begin, 32)
#define ALL_LANES(p) \
    s##p = vdotq_laneq_s32(vdotq_laneq_s32(vdotq_laneq_s32(vdotq_laneq_s32(s##p, w0##p, x, 0), w1##p, x, 1), w2##p, x, 2), w3##p, x, 3); \
    s##p = scaled(s##p, q##p, shift##p, PLAIN);
            ALL_LANES(0) ALL_LANES(1) ALL_LANES(2) ALL_LANES(3)
            STORE_ROW(bytes_of_16(lower_halves(s0, s1), lower_halves(s2, s3), &bytes, PLAIN), out, out_stride)
        }
    }
}

void er_dotprod_qgemm(er_kernels *k)
{
    k->qgemm = (er_qgemm){.nr = LANES, .kr = KR, .a_size = 1, .a_signed = true, .bundle = BUNDLE, .least = -128, .one_header = true, .pack_a = pack_a, .strip = next_panels,
                            .note_bytes = fit_bytes, .arrange = note_fit, .run = qgemm, .run_row = qgemv, .scales = no_scales};
}
