// 8-bit matrix product: smmla multiplies eight bytes of two rows by eight of two channels, which makes four sums.
//
// Multiply-adds a cycle by llvm-mca (benchmarks/arm): Neoverse V1 105 of 128.
#include <arm_neon.h>
#include <string.h>

#include "kernels/i8mm/i8mm.h"

typedef int32x4_t vi;

enum { KR = 8, BUNDLE = 1, FULL_TILES = 1, MOST_1 = 12, MOST_2 = 12, MOST_3 = 8, MOST_4 = 6 };

// Sums of rows i and i + 1: m<i>_<p> of a panel's first two channels, n<i>_<p> of the others.
#define EACH_PAIR(X) X(0, 1) X(2, 3) X(4, 5) X(6, 7) X(8, 9) X(10, 11)
#define EACH_PANEL_OF_PAIR(X, i, j) X(i, j, 0) X(i, j, 1) X(i, j, 2) X(i, j, 3)
#define PAIR_SUMS(i, j, p) vi m##i##_##p = none, n##i##_##p = none;
#define DECLARE_PAIR(i, j) EACH_PANEL_OF_PAIR(PAIR_SUMS, i, j)
#define BEGIN_PANEL(i, j, p) if (i < mr && p < panels) LOAD_TWO(m##i##_##p, n##i##_##p, t->begin, 32 * p)
#define BEGIN_PAIR(i, j) EACH_PANEL_OF_PAIR(BEGIN_PANEL, i, j)
#define BEGINNING repeat_header

// Of two channels twice: biases, then multipliers, then shifts.
static const uint8_t *repeat_header(const uint8_t *strip, size_t panels, uint8_t *to)
{
    for (size_t i = 0; i < 12 * panels; i++) memcpy(to + 8 * i, strip + i / 2 * 8, 8);
    return to;
}

// The first halves of two vectors, and the second ones. As assembly: clang would make a copy and an insertion of either.
static inline vi first_halves(vi a, vi b)
{
    vi x;
    __asm__("zip1 %0.2d, %1.2d, %2.2d" : "=w"(x) : "w"(a), "w"(b));
    return x;
}
static inline vi second_halves(vi a, vi b)
{
    vi x;
    __asm__("zip2 %0.2d, %1.2d, %2.2d" : "=w"(x) : "w"(a), "w"(b));
    return x;
}

// Two rows' eight bytes. The last of an odd number of rows makes a pair with itself.
#define OTHER(i, j) (j < mr ? j : i < mr ? i : 0)
#define ROW_POINTER(i, j) const int8_t *a##i = a + (i < mr ? i : 0) * stride, *a##j = a + OTHER(i, j) * stride;
#define LOAD(i, j) \
    int8x16_t x##i = none8; \
    if (i < mr) __asm__("ldr %d0, [%1], #8\n\tld1 {%0.d}[1], [%2], #8" : "=&w"(x##i), "+&r"(a##i), "+&r"(a##j) : : "memory");
// By two panels, whose weights are in v0 to v3: as assembly, in this order, for compilers would mix them with those of the next weights.
#define MUL_OF(sum, x, w) "smmla %" #sum ".4s, %" #x ".16b, %" #w ".16b\n\t"
#define MUL_TWO(i, p, next) \
    if (i < mr) \
        __asm__ volatile(MUL_OF(0, 8, 4) MUL_OF(1, 8, 5) MUL_OF(2, 8, 6) MUL_OF(3, 8, 7) \
                         : "+w"(m##i##_##p), "+w"(n##i##_##p), "+w"(m##i##_##next), "+w"(n##i##_##next) : "w"(w0), "w"(w1), "w"(w2), "w"(w3), "w"(x##i));
#define TWO_PANELS(p, next) \
    if (next < panels) { \
        register int8x16_t w0 __asm__("v0"), w1 __asm__("v1"), w2 __asm__("v2"), w3 __asm__("v3"); \
        NEXT_FOUR(w0, w1, w2, w3, w) \
        MUL_TWO(0, p, next) MUL_TWO(2, p, next) MUL_TWO(4, p, next) MUL_TWO(6, p, next) MUL_TWO(8, p, next) MUL_TWO(10, p, next) \
    }
#define MUL(i, p) \
    if (i < mr) { \
        m##i##_##p = vmmlaq_s32(m##i##_##p, x##i, w0); \
        n##i##_##p = vmmlaq_s32(n##i##_##p, x##i, w1); \
    }
#define LAST_PANEL(p) \
    if (p + 1 == panels) { \
        int8x16_t w0, w1; \
        NEXT_TWO(w0, w1, w) \
        MUL(0, p) MUL(2, p) MUL(4, p) MUL(6, p) MUL(8, p) MUL(10, p) \
    }
#define GROUP \
    { \
        EACH_PAIR(LOAD) \
        TWO_PANELS(0, 1) TWO_PANELS(2, 3) LAST_PANEL(0) LAST_PANEL(2) \
    }
#define SPLIT_PANEL(i, j, p) \
    if (i < mr && p < panels) { \
        s##i##_##p = first_halves(m##i##_##p, n##i##_##p); \
        if (j < mr) s##j##_##p = second_halves(m##i##_##p, n##i##_##p); \
    }
#define SPLIT_PAIR(i, j) EACH_PANEL_OF_PAIR(SPLIT_PANEL, i, j)
#define SUMS(mr, panels) \
    const size_t stride = r->row_stride; \
    const int8_t *w = (const int8_t *)t->strip + panels * HEADER + WEIGHTS_BEFORE(panels); \
    const int8x16_t none8 = vdupq_n_s8(0); \
    EACH_PAIR(DECLARE_PAIR) \
    EACH_PAIR(BEGIN_PAIR) \
    const int8_t *a = (const int8_t *)rows; \
    size_t segments = single ? 1 : r->segments; \
    do { \
        EACH_PAIR(ROW_POINTER) \
        if (r->groups % 2) GROUP \
        for (size_t left = r->groups / 2; left; left--) { \
            GROUP \
            GROUP \
        } \
        a += r->segment_stride; \
    } while (--segments); \
    for (size_t e = 0; e < (single ? 0 : r->extras); e++) { \
        const int8_t *a = (const int8_t *)rows + r->extra_at[e]; \
        EACH_PAIR(ROW_POINTER) \
        GROUP \
    }

#define PAIRED
#define SPLIT EACH_PAIR(SPLIT_PAIR)
// Outputs are scaled as they lie, panel by panel (compilers would load all multipliers first, and have no registers for them), and two rows
// parted when they are bytes: two channels of the one, two of the other, and so on.
#define SCALE_TWO(i, p) \
    if (i < mr) { \
        m##i##_##p = scaled(m##i##_##p, qm, shift_m, how); \
        n##i##_##p = scaled(n##i##_##p, qn, shift_n, how); \
        __asm__ volatile("" : "+w"(m##i##_##p), "+w"(n##i##_##p)); \
    }
#define SCALE_PAIRS(p) \
    if (p < panels) { \
        vi qm, qn, shift_m, shift_n; \
        LOAD_TWO(qm, qn, t->begin, 32 * (panels + p)) \
        LOAD_TWO(shift_m, shift_n, t->begin, 32 * (2 * panels + p)) \
        SCALE_TWO(0, p) SCALE_TWO(2, p) SCALE_TWO(4, p) SCALE_TWO(6, p) \
    }
#define HALVES(i, p) lower_halves(m##i##_##p, n##i##_##p)
#define STORE_PAIR(i, j) \
    if (i < mr) { \
        const int16x8_t y2 = HALVES(i, 2), y3 = panels > 3 ? HALVES(i, 3) : y2; \
        const int16x8_t low = vreinterpretq_s16_s8(bytes_of_16(HALVES(i, 0), HALVES(i, 1), &bytes, how)), high = vreinterpretq_s16_s8(bytes_of_16(y2, y3, &bytes, how)); \
        STORE_WHOLE(vreinterpretq_s8_s16(vuzp1q_s16(low, high)), i) \
        if (j < mr) { STORE_WHOLE(vreinterpretq_s8_s16(vuzp2q_s16(low, high)), j) } \
    }
#define FINISH_PAIRS \
    if (panels > 2) { \
        SCALE_PAIRS(0) SCALE_PAIRS(1) SCALE_PAIRS(2) SCALE_PAIRS(3) \
        STORE_PAIR(0, 1) STORE_PAIR(2, 3) STORE_PAIR(4, 5) STORE_PAIR(6, 7) \
    }

#define FIT_16
#define SIXTEEN rows_of_sixteen
typedef struct job job;
static void rows_of_sixteen(const job *t, uint8_t *out);

#include "kernels/arm/qgemm.h"

// Two rows at a time, with all weights in registers: the many pixels of a network's first layers.
static void rows_of_sixteen(const job *t, uint8_t *out)
{
    const er_rows r = *t->rows;
    const size_t out_stride = t->out_stride, stride = r.row_stride;
    const uint8_t *begin = t->begin;
    const int8_t *w = (const int8_t *)t->strip + 4 * HEADER;
    const range bytes = t->range;
#define WEIGHT(g, p) const int8x16_t w##g##p = vld1q_s8(w + (g * 4 + p) * CHUNK), v##g##p = vld1q_s8(w + (g * 4 + p) * CHUNK + 16);
    WEIGHT(0, 0) WEIGHT(0, 1) WEIGHT(0, 2) WEIGHT(0, 3) WEIGHT(1, 0) WEIGHT(1, 1) WEIGHT(1, 2) WEIGHT(1, 3)
    for (size_t line = 0; line < r.lines; line++) {
        const int8_t *a = (const int8_t *)r.a + line * r.line_stride;
        for (size_t left = r.m; left;) {
            if (left == 1) {        // the last of an odd number, with the one before it once more
                a -= stride;
                out -= out_stride;
                left = 2;
            }
            left -= 2;
            int8x16_t x, y;
            NEXT_ROW(x, a, stride)
            NEXT_ROW(y, a, stride)
            const vi first = first_halves(vreinterpretq_s32_s8(x), vreinterpretq_s32_s8(y)), second = second_halves(vreinterpretq_s32_s8(x), vreinterpretq_s32_s8(y));
            const int8x16_t low = vreinterpretq_s8_s32(first), high = vreinterpretq_s8_s32(second);
#define BOTH_ROWS(p) \
    vi m##p, n##p; \
    LOAD_TWO(m##p, n##p, begin, 32 * p) \
    m##p = vmmlaq_s32(vmmlaq_s32(m##p, low, w0##p), high, w1##p); \
    n##p = vmmlaq_s32(vmmlaq_s32(n##p, low, v0##p), high, v1##p);
            BOTH_ROWS(0) BOTH_ROWS(1) BOTH_ROWS(2) BOTH_ROWS(3)
#define SCALED(p) \
    vi qm##p, qn##p, shift_m##p, shift_n##p; \
    LOAD_TWO(qm##p, qn##p, begin, 128 + 32 * p) \
    LOAD_TWO(shift_m##p, shift_n##p, begin, 256 + 32 * p) \
    const int16x8_t y##p = lower_halves(scaled(m##p, qm##p, shift_m##p, PLAIN), scaled(n##p, qn##p, shift_n##p, PLAIN));
            SCALED(0) SCALED(1) SCALED(2) SCALED(3)
            const int16x8_t one = vreinterpretq_s16_s8(bytes_of_16(y0, y1, &bytes, PLAIN)), other = vreinterpretq_s16_s8(bytes_of_16(y2, y3, &bytes, PLAIN));
            STORE_ROW(vreinterpretq_s8_s16(vuzp1q_s16(one, other)), out, out_stride)
            STORE_ROW(vreinterpretq_s8_s16(vuzp2q_s16(one, other)), out, out_stride)
        }
    }
}

void er_i8mm_qgemm(er_kernels *k)
{
    k->qgemm = (er_qgemm){.nr = LANES, .kr = KR, .a_size = 1, .a_signed = true, .bundle = BUNDLE, .least = -128, .one_header = true, .pack_a = pack_a, .strip = next_panels,
                            .note_bytes = fit_bytes, .arrange = note_fit, .run = qgemm, .run_row = qgemv, .scales = no_scales};
}
