// 8-bit matrix product: sdot multiplies four bytes of a row, in one lane of a vector, by four of each of four channels.
#include <arm_neon.h>

#include "kernels/dotprod/dotprod.h"

enum { KR = 4, BUNDLE = 1, MOST_1 = 12, MOST_2 = 8, MOST_3 = 6, MOST_4 = 5 };

#define ROW_POINTER(i) const int8_t *a##i = from + (i < mr ? i : 0) * stride;
// As assembly, since compilers would rather add to each pointer by an instruction of its own.
#define LOAD(i) \
    int8x16_t x##i = none8; \
    if (i < mr) __asm__("ldr %q0, [%1], #16" : "=w"(x##i), "+r"(a##i) : : "memory");
#define DOT(i, p) if (i < mr && p < panels) s##i##_##p = vdotq_laneq_s32(s##i##_##p, w##p, x##i, lane);
#define DOT_0(i) { enum { lane = 0 }; EACH_PANEL(DOT, i) }
#define DOT_1(i) { enum { lane = 1 }; EACH_PANEL(DOT, i) }
#define DOT_2(i) { enum { lane = 2 }; EACH_PANEL(DOT, i) }
#define DOT_3(i) { enum { lane = 3 }; EACH_PANEL(DOT, i) }
#define NEXT_ONE(x, from) __asm__("ldr %q0, [%1], #16" : "=w"(x), "+r"(from) : : "memory");
#define GROUP(DOT_ROW) \
    { \
        int8x16_t w0, w1 = none8, w2 = none8, w3 = none8; \
        if (panels == 1) NEXT_ONE(w0, w) \
        if (panels > 1) NEXT_TWO(w0, w1, w) \
        if (panels == 3) NEXT_ONE(w2, w) \
        if (panels == 4) NEXT_TWO(w2, w3, w) \
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
#define SUMS(mr, panels) \
    const size_t stride = r->row_stride; \
    const int8_t *w = (const int8_t *)t->strip; \
    const int8x16_t none8 = vdupq_n_s8(0); \
    EACH_ROW(BEGIN_ROW) \
    w += panels * HEADER; \
    const int8_t *from = (const int8_t *)rows; \
    size_t segments = r->segments; \
    do { \
        EACH_ROW(ROW_POINTER) \
        const size_t left = r->groups % 4; \
        for (size_t steps = r->groups / 4; steps; steps--) { \
            EACH_ROW(LOAD) \
            GROUP(DOT_0) \
            GROUP(DOT_1) \
            GROUP(DOT_2) \
            GROUP(DOT_3) \
        } \
        if (left) LAST_GROUPS(left) \
        from += r->segment_stride; \
    } while (--segments); \
    for (size_t e = 0; e < r->extras; e++) { \
        const int8_t *from = (const int8_t *)rows + r->extra_at[e]; \
        EACH_ROW(ROW_POINTER) \
        LAST_GROUPS(1) \
    }

#include "kernels/arm/qgemm.h"

void er_dotprod_qgemm(er_kernels *k) { k->qgemm = (er_qgemm){LANES, KR, 1, true, BUNDLE, -128, true, pack_a, next_panels, NULL, 0, qgemm, NULL, NULL}; }
