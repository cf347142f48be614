// 8-bit matrix product: a lane of smull and smlal makes two products, which fit int16 as no weight is -128 (er_qgemm.least), and sadalp adds
// pairs of lanes to the 32-bit sum of a channel. Lanes hold two products of each of four channels: a row's bytes are repeated by
// pairs when they are loaded, so that nothing has to be added up across a vector at the end.
//
// Multiply-adds a cycle by llvm-mca (benchmarks/arm), of the 8 that the multiplier makes: Cortex-A72 and A76 8.0, A55 4.6, A53 3.4.
#include <arm_neon.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/neon/neon.h"

#if defined(__aarch64__)
enum { MOST_1 = 8, MOST_2 = 8, MOST_3 = 4, MOST_4 = 4 };
#else
enum { MOST_1 = 4, MOST_2 = 3, MOST_3 = 2, MOST_4 = 0 };    // of 16 registers
#endif
enum { KR = 2, BUNDLE = 2, FULL_TILES = 0 };

// Pairs of bytes, each of which fills a vector; of 64 bits where registers are few. Loads of 16-bit elements must be aligned there.
#if defined(__aarch64__)
typedef int16x8_t pair;
typedef int16x8x2_t two_pairs;
static inline two_pairs load_two(const int8_t *p) { return vld2q_dup_s16((const int16_t *)(const void *)p); }
static inline pair load_one(const int8_t *p) { return vld1q_dup_s16((const int16_t *)(const void *)p); }
static inline int8x8_t bytes_of(pair x) { return vget_low_s8(vreinterpretq_s8_s16(x)); }
#else
typedef int16x4_t pair;
typedef int16x4x4_t four_pairs;
typedef int16x4x2_t two_pairs;
static inline four_pairs load_four(const int8_t *p)
{
    const int16x4_t x = vreinterpret_s16_s8(vld1_s8(p));
    return (four_pairs){{vdup_lane_s16(x, 0), vdup_lane_s16(x, 1), vdup_lane_s16(x, 2), vdup_lane_s16(x, 3)}};
}
static inline two_pairs load_two(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    const int16x4_t x = vreinterpret_s16_s32(vdup_n_s32(four));
    return (two_pairs){{vdup_lane_s16(x, 0), vdup_lane_s16(x, 1)}};
}
static inline pair load_one(const int8_t *p)
{
    int16_t two;
    memcpy(&two, p, 2);
    return vdup_n_s16(two);
}
static inline int8x8_t bytes_of(pair x) { return vreinterpret_s8_s16(x); }
#endif

static inline int32x4_t dot4(int32x4_t sum, pair x, pair y, int8x16_t w)
{
#if defined(__aarch64__)
    return vpadalq_s16(sum, vmlal_high_s8(vmull_s8(bytes_of(x), vget_low_s8(w)), vreinterpretq_s8_s16(y), w));
#else
    return vpadalq_s16(sum, vmlal_s8(vmull_s8(bytes_of(x), vget_low_s8(w)), bytes_of(y), vget_high_s8(w)));
#endif
}

static inline int32x4_t dot2(int32x4_t sum, pair x, int8x8_t w) { return vpadalq_s16(sum, vmull_s8(bytes_of(x), w)); }

#define DOT_4(i, p) if (p < panels) s##i##_##p = dot4(s##i##_##p, x.val[0], x.val[1], u##p);
#define DOT_2(i, p) if (p < panels) s##i##_##p = dot2(s##i##_##p, x, u##p);

#if defined(__aarch64__)
// Eight products of a row by all panels. As assembly, since all registers are in use: compilers would move sums to the stack.
#define EIGHT "ld4r {v0.8h, v1.8h, v2.8h, v3.8h}, [%[a]], #8\n\t"
#define FIRST(temp, x, w) "smull v" #temp ".8h, v" #x ".8b, %[" #w "].8b\n\t"
#define SECOND(temp, x, w) "smlal2 v" #temp ".8h, v" #x ".16b, %[" #w "].16b\n\t"
#define THIRD(temp, x, w) "smlal v" #temp ".8h, v" #x ".8b, %[" #w "].8b\n\t"
#define ADD_PAIRS(temp, s) "sadalp %[" #s "].4s, v" #temp ".8h\n\t"
// Two products in a lane of int16, or four. In-order cores wait six cycles for each: panels take turns.
#define OF_4(X, x, w) X(4, x, w##0) X(5, x, w##1) X(6, x, w##2) X(7, x, w##3)
#define OF_3(X, x, w) X(4, x, w##0) X(5, x, w##1) X(6, x, w##2)
#define ADD_4 ADD_PAIRS(4, s0) ADD_PAIRS(5, s1) ADD_PAIRS(6, s2) ADD_PAIRS(7, s3)
#define ADD_3 ADD_PAIRS(4, s0) ADD_PAIRS(5, s1) ADD_PAIRS(6, s2)
#define TWOS_4 OF_4(FIRST, 0, u) OF_4(SECOND, 1, u) ADD_4 OF_4(FIRST, 2, v) OF_4(SECOND, 3, v) ADD_4
#define TWOS_3 OF_3(FIRST, 0, u) OF_3(SECOND, 1, u) ADD_3 OF_3(FIRST, 2, v) OF_3(SECOND, 3, v) ADD_3
#define TWOS_2 \
    FIRST(4, 0, u0) FIRST(5, 0, u1) FIRST(6, 2, v0) FIRST(7, 2, v1) SECOND(4, 1, u0) SECOND(5, 1, u1) SECOND(6, 3, v0) SECOND(7, 3, v1) \
    ADD_PAIRS(4, s0) ADD_PAIRS(5, s1) ADD_PAIRS(6, s0) ADD_PAIRS(7, s1)
#define TWOS_1 FIRST(4, 0, u0) FIRST(5, 2, v0) SECOND(4, 1, u0) SECOND(5, 3, v0) ADD_PAIRS(4, s0) ADD_PAIRS(5, s0)
#define FOURS_4 OF_4(FIRST, 0, u) OF_4(SECOND, 1, u) OF_4(THIRD, 2, v) OF_4(SECOND, 3, v) ADD_4
#define FOURS_3 OF_3(FIRST, 0, u) OF_3(SECOND, 1, u) OF_3(THIRD, 2, v) OF_3(SECOND, 3, v) ADD_3
#define FOURS_2 \
    FIRST(4, 0, u0) FIRST(5, 0, u1) SECOND(4, 1, u0) SECOND(5, 1, u1) THIRD(4, 2, v0) THIRD(5, 2, v1) SECOND(4, 3, v0) SECOND(5, 3, v1) \
    ADD_PAIRS(4, s0) ADD_PAIRS(5, s1)
#define FOURS_1 FIRST(4, 0, u0) SECOND(4, 1, u0) THIRD(4, 2, v0) SECOND(4, 3, v0) ADD_PAIRS(4, s0)
#define TEMPORARIES "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "memory"
#define ROW(i, PRODUCTS) \
    if (i < mr && panels == 4) \
        __asm__(EIGHT PRODUCTS##_4 \
                : [a] "+r"(a##i), [s0] "+w"(s##i##_0), [s1] "+w"(s##i##_1), [s2] "+w"(s##i##_2), [s3] "+w"(s##i##_3) \
                : [u0] "w"(u0), [v0] "w"(v0), [u1] "w"(u1), [v1] "w"(v1), [u2] "w"(u2), [v2] "w"(v2), [u3] "w"(u3), [v3] "w"(v3) : TEMPORARIES); \
    if (i < mr && panels == 3) \
        __asm__(EIGHT PRODUCTS##_3 \
                : [a] "+r"(a##i), [s0] "+w"(s##i##_0), [s1] "+w"(s##i##_1), [s2] "+w"(s##i##_2) \
                : [u0] "w"(u0), [v0] "w"(v0), [u1] "w"(u1), [v1] "w"(v1), [u2] "w"(u2), [v2] "w"(v2) : TEMPORARIES); \
    if (i < mr && panels == 2) \
        __asm__(EIGHT PRODUCTS##_2 : [a] "+r"(a##i), [s0] "+w"(s##i##_0), [s1] "+w"(s##i##_1) \
                : [u0] "w"(u0), [v0] "w"(v0), [u1] "w"(u1), [v1] "w"(v1) : TEMPORARIES); \
    if (i < mr && panels == 1) \
        __asm__(EIGHT PRODUCTS##_1 : [a] "+r"(a##i), [s0] "+w"(s##i##_0) : [u0] "w"(u0), [v0] "w"(v0) : TEMPORARIES);
#define ROW_8(i) ROW(i, TWOS)
#define ROW_8_FOURS(i) ROW(i, FOURS)
#define NOTES const uint8_t *note = t->strip + panels * t->panel_bytes - (single ? 1 : r->segments + r->after) * (r->groups / 4);
#define STEP_8 \
    const bool small = *note++; \
    __asm__("" : "+r"(note)); /* else compilers count steps by it, with one instruction more */ \
    if (small) { \
        EACH_ROW(ROW_8_FOURS) \
    } else { \
        EACH_ROW(ROW_8) \
    }
#else
#define DOT_8(i, p) if (p < panels) s##i##_##p = dot4(dot4(s##i##_##p, x.val[0], x.val[1], u##p), x.val[2], x.val[3], v##p);
#define ROW_8(i) \
    if (i < mr) { \
        const four_pairs x = load_four(a##i); \
        EACH_PANEL(DOT_8, i) \
        a##i += 8; \
    }
#define NOTES
#define STEP_8 EACH_ROW(ROW_8)
#endif
#define ROW_4(i) \
    if (i < mr) { \
        const two_pairs x = load_two(a##i); \
        EACH_PANEL(DOT_4, i) \
        a##i += 4; \
    }
#define ROW_2(i) \
    if (i < mr) { \
        const pair x = load_one(a##i); \
        EACH_PANEL(DOT_2, i) \
    }
#define ROW_POINTER(i) const int8_t *a##i = from + (i < mr ? i : 0) * stride;
#define WEIGHTS(name, at) \
    const int8x16_t name##0 = vld1q_s8(w + at), name##1 = vld1q_s8(w + at + (panels > 1 ? 16 : 0)); \
    const int8x16_t name##2 = vld1q_s8(w + at + (panels > 2 ? 32 : 0)), name##3 = vld1q_s8(w + at + (panels > 3 ? 48 : 0));
// Of eight products: u<panel> and v<panel>, which follow each other.
#if defined(__aarch64__)
#define WEIGHTS_8 \
    int8x16_t u0, u1 = none8, u2 = none8, u3 = none8, v0, v1 = none8, v2 = none8, v3 = none8; \
    if (panels == 1) NEXT_TWO(u0, v0, w) \
    if (panels == 2) { NEXT_TWO(u0, u1, w) NEXT_TWO(v0, v1, w) } \
    if (panels == 3) { NEXT_TWO(u0, u1, w) NEXT_TWO(u2, v0, w) NEXT_TWO(v1, v2, w) } \
    if (panels == 4) { NEXT_TWO(u0, u1, w) NEXT_TWO(u2, u3, w) NEXT_TWO(v0, v1, w) NEXT_TWO(v2, v3, w) }
#else
#define WEIGHTS_8 \
    WEIGHTS(u, 0) \
    WEIGHTS(v, panels * 2 * CHUNK) \
    w += 4 * panels * CHUNK;
#endif
#define STEP_2 \
    { \
        const int8x8_t u0 = vld1_s8(w), u1 = vld1_s8(w + (panels > 1 ? 8 : 0)), u2 = vld1_s8(w + (panels > 2 ? 16 : 0)), u3 = vld1_s8(w + (panels > 3 ? 24 : 0)); \
        EACH_ROW(ROW_2) \
        w += panels * CHUNK; \
    }
#define SUMS(mr, panels) \
    const size_t stride = r->row_stride; \
    const int8_t *w = (const int8_t *)t->strip + panels * HEADER + WEIGHTS_BEFORE(panels); \
    const int8x16_t none8 = vdupq_n_s8(0); \
    (void)none8; \
    NOTES \
    EACH_ROW(BEGIN_ROW) \
    const int8_t *from = (const int8_t *)rows; \
    size_t segments = single ? 1 : r->segments; \
    do { \
        EACH_ROW(ROW_POINTER) \
        const size_t left = r->groups % 4; \
        for (size_t steps = r->groups / 4; steps; steps--) { \
            WEIGHTS_8 \
            STEP_8 \
        } \
        if (left >= 2) { \
            WEIGHTS(u, 0) \
            EACH_ROW(ROW_4) \
            w += 2 * panels * CHUNK; \
        } \
        if (left % 2) STEP_2 \
        from += r->segment_stride; \
    } while (--segments); \
    for (size_t e = 0; e < (single ? 0 : r->extras); e++) { \
        const int8_t *from = (const int8_t *)rows + r->extra_at[e]; \
        EACH_ROW(ROW_POINTER) \
        STEP_2 \
    }

#include "kernels/arm/qgemm.h"

#if defined(__aarch64__)
static size_t note_bytes(size_t segments, size_t groups) { return segments * (groups / 4); }

// For every step of eight products: whether four of a channel's, each second one of them, fit int16 together (255 * 128 < 2^15).
static void take_notes(void *strip, size_t panels, size_t panel_bytes, size_t segments, size_t groups)
{
    const size_t steps = groups / 4;
    const int8_t *w = (const int8_t *)strip + panels * HEADER;
    uint8_t *note = (uint8_t *)strip + panels * panel_bytes - segments * steps;
    for (size_t s = 0; s < segments; s++, w += (groups - 4 * steps) * panels * CHUNK) {
        for (size_t i = 0; i < steps; i++, w += 4 * panels * CHUNK) {
            bool small = true;
            for (size_t p = 0; p < panels; p++) {
                // Two groups of a panel lie together, and the two others behind those of all panels.
                for (size_t lane = 0; lane < CHUNK; lane++) {
                    const int8_t *u = w + p * 2 * CHUNK + lane, *v = u + panels * 2 * CHUNK;
                    small = small && abs(u[0]) + abs(u[CHUNK]) + abs(v[0]) + abs(v[CHUNK]) <= 255;
                }
            }
            *note++ = small;
        }
    }
}
#endif

void er_neon_qgemm(er_kernels *k)
{
    k->qgemm = (er_qgemm){.nr = LANES, .kr = KR, .a_size = 1, .a_signed = true, .bundle = BUNDLE, .least = -127, .one_header = true, .pack_a = pack_a, .strip = next_panels,
                            .run = qgemm, .run_row = qgemv, .scales = no_scales};
#if defined(__aarch64__)
    k->qgemm.note_bytes = note_bytes;
    k->qgemm.arrange = take_notes;
#endif
}
