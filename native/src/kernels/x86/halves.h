// Half tiles of the 8-bit matrix product, for instruction sets with registers for two: while one's products are made, the other's sums
// become outputs. Products are for other execution units than conversions and shuffles, but the processor does not look far enough ahead
// to find them in the next tile. Rows of one segment, plain outputs, three or four panels; a part of qgemm.h.
#ifndef ER_X86_HALVES_H
#define ER_X86_HALVES_H

#define HALF_DECLARE(set, i) vi set##i##_0 = bias0, set##i##_1 = bias1, set##i##_2 = bias2, set##i##_3 = bias3;
#define HALF_BIAS(set, i) set##i##_0 = bias0; set##i##_1 = bias1; set##i##_2 = bias2; if (panels > 3) set##i##_3 = bias3;
#define HALF_MOVE(i) s##i##_0 = u##i##_0; s##i##_1 = u##i##_1; s##i##_2 = u##i##_2; if (panels > 3) s##i##_3 = u##i##_3;
#define HALF_ROW(set, i) \
    if (i < mr) { \
        const vi x = v_spread(i == 3 ? a + stride3 : a + i * stride); \
        set##i##_0 = v_dot(set##i##_0, x, w0); \
        set##i##_1 = v_dot(set##i##_1, x, w1); \
        set##i##_2 = v_dot(set##i##_2, x, w2); \
        if (panels > 3) set##i##_3 = v_dot(set##i##_3, x, w3); \
    }
#define HALF_STEP(set) \
    { \
        vi w0 = v_weights(w), w1 = v_weights(w + CHUNK), w2 = v_weights(w + 2 * CHUNK), w3 = panels > 3 ? v_weights(w + 3 * CHUNK) : w0; \
        __asm__("" : "+" V_REGISTER(w0), "+" V_REGISTER(w1), "+" V_REGISTER(w2), "+" V_REGISTER(w3)); /* loaded once, not for each row */ \
        HALF_ROW(set, 0) HALF_ROW(set, 1) HALF_ROW(set, 2) HALF_ROW(set, 3) \
        w += panels * CHUNK; \
        a += A_BYTES; \
        __asm__("" : "+r"(a)); \
    }
#define HALF_FIX(x, p) fixed(x, v_loadf(t->s[p].m), v_loadf(t->s[p].add), t->offset, true, false)
#define HALF_FINISH(set, i) \
    if (i < mr) { \
        const vi y0 = HALF_FIX(set##i##_0, 0), y1 = HALF_FIX(set##i##_1, 1), y2 = HALF_FIX(set##i##_2, 2), y3 = panels > 3 ? HALF_FIX(set##i##_3, 3) : y2; \
        v_store_bytes(out + i * out_stride, packed_bytes(v_whole(y0, y1), v_whole(y2, y3), NULL), tail); \
        const vi limit = t->limit; \
        const bool plain = true, slow = false; \
        NOTE(i) \
    }
// Compilers would put all products after what does not wait for them.
#define HALF_PIN_ROW(set, i) \
    __asm__ volatile("" : "+" V_REGISTER(set##i##_0), "+" V_REGISTER(set##i##_1), "+" V_REGISTER(set##i##_2) : : "memory"); \
    if (panels > 3) __asm__ volatile("" : "+" V_REGISTER(set##i##_3));
#define HALF_PIN(set) HALF_PIN_ROW(set, 0) HALF_PIN_ROW(set, 1) HALF_PIN_ROW(set, 2) if (mr > 3) { HALF_PIN_ROW(set, 3) }
#define HALF_MEND \
    if (__builtin_expect(which != 0, 0)) { \
        mend(t, which, mr, panels, near, first + done * stride, out); \
        which = 0; \
    }
#define HALF_REST(set) \
    for (; g < r->groups; g++) HALF_STEP(set) \
    for (size_t e = 0; e < r->extras; e++) { \
        a = first + row * stride + r->extra_at[e]; \
        HALF_STEP(set) \
    }
// The products of the rows that follow, into `set`, and the outputs of `other`. The last rows may have been done already, and come out the same.
#define HALF(set, other) \
    { \
        const uint8_t *w = weights, *a = first + row * stride; \
        uint8_t *const out = first_out + done * out_stride; \
        size_t g = mr; \
        HALF_BIAS(set, 0) HALF_BIAS(set, 1) HALF_BIAS(set, 2) if (mr > 3) { HALF_BIAS(set, 3) } \
        HALF_STEP(set) HALF_PIN(set) \
        HALF_FINISH(other, 0) \
        HALF_STEP(set) HALF_PIN(set) \
        HALF_FINISH(other, 1) \
        HALF_STEP(set) HALF_PIN(set) \
        HALF_FINISH(other, 2) \
        if (mr > 3) { \
            HALF_STEP(set) HALF_PIN(set) \
            HALF_FINISH(other, 3) \
        } \
        HALF_REST(set) \
        HALF_MEND \
        done = row; \
        row = row + 2 * mr > r->m ? r->m - mr : row + mr; \
    }

enum { HALF_3 = 4, HALF_4 = 3 };        // rows of a half tile of so many panels

// All rows of a line, no fewer than a half tile has, by `panels` panels, 3 or 4; no fewer steps than a half tile has rows.
__attribute__((always_inline)) static inline void run_halves(const size_t panels, const job *t, const uint8_t *first, uint8_t *first_out)
{
    const er_rows *r = t->rows;
    const size_t mr = panels == 3 ? HALF_3 : HALF_4, stride = r->row_stride, out_stride = t->out_stride;
    size_t stride3 = 3 * stride;
    __asm__("" : "+r"(stride3));
    const uint8_t *const weights = t->strip + panels * HEADER;
    const v_tail tail = t->tail;
    uint32_t which = 0;
    vi near[4][4];
    size_t row = 0, done = 0, count = (r->m + mr - 1) / mr - 1;
// Biases are read where they are used: there are no registers for them.
#define bias0 v_load(t->strip)
#define bias1 v_load(t->strip + HEADER)
#define bias2 v_load(t->strip + 2 * HEADER)
#define bias3 (panels > 3 ? v_load(t->strip + 3 * HEADER) : v_zero())
    HALF_DECLARE(s, 0) HALF_DECLARE(s, 1) HALF_DECLARE(s, 2) HALF_DECLARE(s, 3)
    HALF_DECLARE(u, 0) HALF_DECLARE(u, 1) HALF_DECLARE(u, 2) HALF_DECLARE(u, 3)
    {
        const uint8_t *w = weights, *a = first;
        size_t g = 0;
        HALF_REST(s)
        row = 2 * mr > r->m ? r->m - mr : mr;
    }
    for (; count >= 2; count -= 2) {
        HALF(u, s)
        HALF(s, u)
    }
    if (count) {
        HALF(u, s)
        HALF_MOVE(0) HALF_MOVE(1) HALF_MOVE(2) HALF_MOVE(3)
    }
    uint8_t *const out = first_out + done * out_stride;
    HALF_FINISH(s, 0) HALF_FINISH(s, 1) HALF_FINISH(s, 2) HALF_FINISH(s, 3)
    HALF_MEND
#undef bias0
#undef bias1
#undef bias2
#undef bias3
}

static void halves_of_three(const job *t, const uint8_t *rows, uint8_t *out) { run_halves(3, t, rows, out); }
static void halves_of_four(const job *t, const uint8_t *rows, uint8_t *out) { run_halves(4, t, rows, out); }

#endif
