// Half tiles of the 8-bit matrix product, for instruction sets with registers for two: while one's products are made, the other's sums
// become outputs. Products are for other execution units than conversions and shuffles, but the processor does not look far enough ahead
// to find them in the next tile. Rows of one segment, plain outputs; a part of qgemm.h.
#ifndef ER_X86_HALVES_H
#define ER_X86_HALVES_H

enum { HALF_2 = 6, HALF_3 = 4, HALF_4 = 3 };        // rows of a half tile of so many panels
enum { MOST_UNITS = 4 };                            // vectors of bytes that it has, one for a step

#define EACH_HALF_ROW(X, set) X(set, 0) X(set, 1) X(set, 2) X(set, 3) X(set, 4) X(set, 5)
#define HALF_DECLARE(set, i) vi set##i##_0 = bias0, set##i##_1 = bias1, set##i##_2 = bias2, set##i##_3 = bias3;
#define HALF_BIAS(set, i) \
    if (i < mr) { \
        set##i##_0 = bias0; \
        set##i##_1 = bias1; \
        if (panels > 2) set##i##_2 = bias2; \
        if (panels > 3) set##i##_3 = bias3; \
    }
#define HALF_MOVE(set, i) \
    s##i##_0 = u##i##_0; \
    s##i##_1 = u##i##_1; \
    s##i##_2 = u##i##_2; \
    s##i##_3 = u##i##_3;
#define HALF_ROW(set, i) \
    if (i < mr) { \
        const vi x = v_spread((i < 4 ? a : a4) + (i % 4 == 3 ? stride3 : i % 4 * stride)); \
        set##i##_0 = v_dot(set##i##_0, x, w0); \
        set##i##_1 = v_dot(set##i##_1, x, w1); \
        if (panels > 2) set##i##_2 = v_dot(set##i##_2, x, w2); \
        if (panels > 3) set##i##_3 = v_dot(set##i##_3, x, w3); \
    }
// Weights are loaded once, not for each row, which the compiler needs to be told.
#define HALF_STEP(set) \
    { \
        vi w0 = v_weights(w), w1 = v_weights(w + CHUNK); \
        vi w2 = panels > 2 ? v_weights(w + 2 * CHUNK) : w0, w3 = panels > 3 ? v_weights(w + 3 * CHUNK) : w0; \
        __asm__("" : "+" V_REGISTER(w0), "+" V_REGISTER(w1), "+" V_REGISTER(w2), "+" V_REGISTER(w3)); \
        EACH_HALF_ROW(HALF_ROW, set) \
        w += panels * CHUNK; \
        a += A_BYTES; \
        __asm__("" : "+r"(a)); \
        if (mr > 4) { a4 += A_BYTES; __asm__("" : "+r"(a4)); } \
    }
// Compilers would put all products after what does not wait for them.
#define HALF_PIN(set, i) \
    if (i < mr) { \
        __asm__ volatile("" : "+" V_REGISTER(set##i##_0) : : "memory"); \
        __asm__ volatile("" : "+" V_REGISTER(set##i##_1)); \
        if (panels > 2) __asm__ volatile("" : "+" V_REGISTER(set##i##_2)); \
        if (panels > 3) __asm__ volatile("" : "+" V_REGISTER(set##i##_3)); \
    }

// A unit: one row of three or four panels, r, or two of two, i and j.
#define HALF_FIX(x, p) fixed(x, v_loadf(t->s[p].m), v_loadf(t->s[p].add), t->offset, true, false)
#define HALF_UNIT(set, u, r, i, j) \
    if (panels > 2) { \
        const vi y0 = HALF_FIX(set##r##_0, 0), y1 = HALF_FIX(set##r##_1, 1), y2 = HALF_FIX(set##r##_2, 2), y3 = panels > 3 ? HALF_FIX(set##r##_3, 3) : y2; \
        v_store_bytes(done_out + r * out_stride, packed_bytes(v_whole(y0, y1), v_whole(y2, y3), NULL), tail); \
        HALF_NOTE(u) \
    } else { \
        const vi y0 = HALF_FIX(set##i##_0, 0), y1 = HALF_FIX(set##i##_1, 1), y2 = HALF_FIX(set##j##_0, 0), y3 = HALF_FIX(set##j##_1, 1); \
        store_rows(done_out + i * out_stride, out_stride, packed_bytes(v_whole(y0, y1), v_whole(y2, y3), NULL), 2, 2, t->n, tail); \
        HALF_NOTE(u) \
    }
#define HALF_NOTE(u) \
    { \
        const vi limit = t->limit; \
        const bool plain = true, slow = false; \
        NOTE(u) \
    }
#define UNIT_0(set) HALF_UNIT(set, 0, 0, 0, 1)
#define UNIT_1(set) HALF_UNIT(set, 1, 1, 2, 3)
#define UNIT_2(set) HALF_UNIT(set, 2, 2, 4, 5)
#define UNIT_3(set) if (units > 3) { HALF_UNIT(set, 3, 3, 4, 5) }
#define HALF_MEND \
    if (__builtin_expect(which != 0, 0)) { \
        mend(t, which, mr, panels, near, done, done_out); \
        which = 0; \
    }

// What is left of a half tile's products, from step g on.
#define HALF_REST(set) \
    for (; g < r->groups; g++) HALF_STEP(set) \
    for (size_t e = 0; e < r->extras; e++) { \
        a = rows + r->extra_at[e]; \
        a4 = a + 4 * stride; \
        HALF_STEP(set) \
    }
// On to the next rows of a line, of which the last may have been done already and come out the same, or to the next line.
#define HALF_NEXT \
    done = rows; \
    done_out = out; \
    column += mr; \
    if (column >= r->m) { \
        column = 0; \
        line += r->line_stride; \
        line_out += r->m * out_stride; \
    } else if (column + mr > r->m) { \
        column = r->m - mr; \
    } \
    rows = line + column * stride; \
    out = line_out + column * out_stride;
#define HALF_POINTERS const uint8_t *w = weights, *a = rows, *a4 = a + 4 * stride;
// The products of the rows that follow, into `set`, and the outputs of `other`.
#define HALF_TURN(set, other) \
    { \
        HALF_POINTERS \
        size_t g = units; \
        EACH_HALF_ROW(HALF_BIAS, set) \
        HALF_STEP(set) EACH_HALF_ROW(HALF_PIN, set) \
        UNIT_0(other) \
        HALF_STEP(set) EACH_HALF_ROW(HALF_PIN, set) \
        UNIT_1(other) \
        HALF_STEP(set) EACH_HALF_ROW(HALF_PIN, set) \
        UNIT_2(other) \
        if (units > 3) { HALF_STEP(set) EACH_HALF_ROW(HALF_PIN, set) } \
        UNIT_3(other) \
        HALF_REST(set) \
        HALF_MEND \
        HALF_NEXT \
    }

// All lines, by `panels` panels, a constant.
__attribute__((always_inline)) static inline void run_halves(const size_t panels, const job *t, uint8_t *line_out)
{
    const er_rows *r = t->rows;
    const size_t mr = panels == 2 ? HALF_2 : panels == 3 ? HALF_3 : HALF_4, units = panels == 2 ? mr / 2 : mr;
    const size_t stride = r->row_stride, out_stride = t->out_stride;
    size_t stride3 = 3 * stride;
    __asm__("" : "+r"(stride3));
    const uint8_t *const weights = t->strip + panels * HEADER + r->before * r->groups * panels * CHUNK;
    const v_tail tail = t->tail;
    uint32_t which = 0;
    vi near[4][4];
    size_t column = 0, count = r->lines * ((r->m + mr - 1) / mr) - 1;
    const uint8_t *line = r->a, *rows = line, *done;
    uint8_t *out = line_out, *done_out;
// Biases are read where they are used: there are no registers for them.
#define bias0 v_load(t->strip)
#define bias1 v_load(t->strip + HEADER)
#define bias2 (panels > 2 ? v_load(t->strip + 2 * HEADER) : v_zero())
#define bias3 (panels > 3 ? v_load(t->strip + 3 * HEADER) : v_zero())
    EACH_HALF_ROW(HALF_DECLARE, s)
    EACH_HALF_ROW(HALF_DECLARE, u)
    {
        HALF_POINTERS
        size_t g = 0;
        HALF_REST(s)
        HALF_NEXT
    }
    for (; count >= 2; count -= 2) {
        HALF_TURN(u, s)
        HALF_TURN(s, u)
    }
    if (count) {
        HALF_TURN(u, s)
        EACH_HALF_ROW(HALF_MOVE, s)
    }
    UNIT_0(s)
    UNIT_1(s)
    UNIT_2(s)
    UNIT_3(s)
    HALF_MEND
#undef bias0
#undef bias1
#undef bias2
#undef bias3
}

static void halves_of_2(const job *t, uint8_t *out) { run_halves(2, t, out); }
static void halves_of_3(const job *t, uint8_t *out) { run_halves(3, t, out); }
static void halves_of_4(const job *t, uint8_t *out) { run_halves(4, t, out); }

// Whether half tiles do it, and do it better: many steps hide a tile's epilogue anyway, and weights go by twice as often.
static inline bool suits_halves(const job *t, size_t panels)
{
    const er_rows *r = t->rows;
    const size_t mr = panels == 2 ? HALF_2 : panels == 3 ? HALF_3 : HALF_4, again = (mr - r->m % mr) % mr;
    return t->plain && panels > 1 && r->segments == 1 && r->groups >= MOST_UNITS && r->m >= mr && again * 8 <= r->m && r->groups * panels * CHUNK <= HALVES;
}

#endif
