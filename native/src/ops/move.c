#include "ops/move.h"

#include <string.h>

void er_strides(const int32_t *dims, int32_t rank, size_t element, int64_t *strides)
{
    int64_t s = (int64_t)element;
    for (int32_t i = rank - 1; i >= 0; i--) {
        strides[i] = s;
        s *= dims[i];
    }
}

void er_move_simplify(er_move *m)
{
    int32_t n = 0;
    for (int32_t i = 0; i < m->rank; i++) {     // sizes of 1 vanish
        if (m->dims[i] == 1) continue;
        m->dims[n] = m->dims[i];
        m->from_stride[n] = m->from_stride[i];
        m->to_stride[n++] = m->to_stride[i];
    }
    m->rank = n;
    for (int32_t i = m->rank - 1; i > 0; i--) { // an outer dimension that continues the inner one joins it
        if (m->from_stride[i - 1] != m->from_stride[i] * m->dims[i] || m->to_stride[i - 1] != m->to_stride[i] * m->dims[i]) continue;
        m->dims[i - 1] *= m->dims[i];
        m->from_stride[i - 1] = m->from_stride[i];
        m->to_stride[i - 1] = m->to_stride[i];
        for (int32_t j = i; j + 1 < m->rank; j++) {
            m->dims[j] = m->dims[j + 1];
            m->from_stride[j] = m->from_stride[j + 1];
            m->to_stride[j] = m->to_stride[j + 1];
        }
        m->rank--;
    }
    int32_t last = m->rank - 1;
    if (m->rank && m->from_stride[last] == (int64_t)m->element && m->to_stride[last] == (int64_t)m->element) {
        m->element *= (size_t)m->dims[last];
        m->rank--;
    }
}

static void copy_line(size_t element, size_t n, const uint8_t *from, int64_t from_stride, uint8_t *to, int64_t to_stride)
{
    switch (element) {
    case 1: for (size_t i = 0; i < n; i++, from += from_stride, to += to_stride) *to = *from; break;
    case 4: for (size_t i = 0; i < n; i++, from += from_stride, to += to_stride) memcpy(to, from, 4); break;
    default: for (size_t i = 0; i < n; i++, from += from_stride, to += to_stride) memcpy(to, from, element); break;
    }
}

// ---- two dimensions that change places: in tiles, so that each cache line is used up while it is there

enum { TILE = 8, LARGE_TILE = 16 };

// to[c][r] = from[r][c] of 8 x 8 bytes: first bytes of neighbouring rows change places, then pairs of two rows further on, then fours.
static void turn_bytes(const uint8_t *from, int64_t from_stride, uint8_t *to, int64_t to_stride)
{
    static const uint64_t low[3] = {UINT64_C(0x00ff00ff00ff00ff), UINT64_C(0x0000ffff0000ffff), UINT64_C(0x00000000ffffffff)};
    uint64_t x[TILE];
    for (int r = 0; r < TILE; r++) memcpy(&x[r], from + r * from_stride, 8);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < TILE; i++) {
            const int other = i + (1 << k);
            if (i & 1 << k) continue;
            const uint64_t swap = (x[i] >> (8 << k) ^ x[other]) & low[k];
            x[other] ^= swap;
            x[i] ^= swap << (8 << k);
        }
    }
    for (int c = 0; c < TILE; c++) memcpy(to + c * to_stride, &x[c], 8);
}

// The same of 16 x 16. Bytes of rows 0 and 8 in turn, of 1 and 9, and so on make rows in which those that belong together are twice as near: after four times
// they are neighbours. Vectors by name: clang would keep an array in memory.
typedef uint8_t bytes __attribute__((vector_size(LARGE_TILE)));
typedef uint32_t words __attribute__((vector_size(16)));
#if defined(__clang__)
#define IN_TURN(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define IN_TURN(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif
#define FIRST_HALVES(a, b) IN_TURN(bytes, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define SECOND_HALVES(a, b) IN_TURN(bytes, a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define BOTH_HALVES(first, second, a, b) const bytes first = FIRST_HALVES(a, b), second = SECOND_HALVES(a, b);
#define NEARER(x, y) \
    BOTH_HALVES(y##0, y##1, x##0, x##8) BOTH_HALVES(y##2, y##3, x##1, x##9) BOTH_HALVES(y##4, y##5, x##2, x##10) BOTH_HALVES(y##6, y##7, x##3, x##11) \
    BOTH_HALVES(y##8, y##9, x##4, x##12) BOTH_HALVES(y##10, y##11, x##5, x##13) BOTH_HALVES(y##12, y##13, x##6, x##14) BOTH_HALVES(y##14, y##15, x##7, x##15)
#define EACH_OF_16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD_ROW(r) \
    bytes a##r; \
    memcpy(&a##r, from + r * from_stride, sizeof a##r);
#define STORE_COLUMN(c) memcpy(to + c * to_stride, &e##c, sizeof e##c);

static void turn_many_bytes(const uint8_t *from, int64_t from_stride, uint8_t *to, int64_t to_stride)
{
    EACH_OF_16(LOAD_ROW)
    NEARER(a, b)
    NEARER(b, c)
    NEARER(c, d)
    NEARER(d, e)
    EACH_OF_16(STORE_COLUMN)
}

// Of 4 x 4 of four bytes.
static inline void turn_few_words(const uint8_t *from, int64_t from_stride, uint8_t *to, int64_t to_stride)
{
    words a, b, c, d;
    memcpy(&a, from, sizeof a);
    memcpy(&b, from + from_stride, sizeof b);
    memcpy(&c, from + 2 * from_stride, sizeof c);
    memcpy(&d, from + 3 * from_stride, sizeof d);
    const words low = IN_TURN(words, a, c, 0, 4, 1, 5), high = IN_TURN(words, a, c, 2, 6, 3, 7), other_low = IN_TURN(words, b, d, 0, 4, 1, 5), other_high = IN_TURN(words, b, d, 2, 6, 3, 7);
    a = IN_TURN(words, low, other_low, 0, 4, 1, 5);
    b = IN_TURN(words, low, other_low, 2, 6, 3, 7);
    c = IN_TURN(words, high, other_high, 0, 4, 1, 5);
    d = IN_TURN(words, high, other_high, 2, 6, 3, 7);
    memcpy(to, &a, sizeof a);
    memcpy(to + to_stride, &b, sizeof b);
    memcpy(to + 2 * to_stride, &c, sizeof c);
    memcpy(to + 3 * to_stride, &d, sizeof d);
}

static void turn_words(const uint8_t *from, int64_t from_stride, uint8_t *to, int64_t to_stride)
{
    for (int c = 0; c < TILE; c += 4)
        for (int r = 0; r < TILE; r += 4) turn_few_words(from + r * from_stride + 4 * c, from_stride, to + c * to_stride + 4 * r, to_stride);
}

static void turn(size_t element, size_t rows, size_t columns, const uint8_t *from, int64_t from_stride, uint8_t *to, int64_t to_stride)
{
    const int64_t each = (int64_t)element;
    size_t c = 0;
    for (; element == 1 && rows >= LARGE_TILE && c + LARGE_TILE <= columns; c += LARGE_TILE, from += LARGE_TILE, to += LARGE_TILE * to_stride) {
        for (size_t r = 0, next; r < rows; r = next) {      // the last rows may be some that are done already
            if (r + LARGE_TILE > rows) r = rows - LARGE_TILE;
            next = r + LARGE_TILE;
            turn_many_bytes(from + (int64_t)r * from_stride, from_stride, to + r, to_stride);
        }
    }
    for (; c + TILE <= columns; c += TILE, from += TILE * each, to += TILE * to_stride) {
        size_t r = 0;
        for (; r + TILE <= rows; r += TILE) (element == 1 ? turn_bytes : turn_words)(from + (int64_t)r * from_stride, from_stride, to + (int64_t)r * each, to_stride);
        for (int64_t i = 0; i < TILE && r < rows; i++) copy_line(element, rows - r, from + (int64_t)r * from_stride + i * each, from_stride, to + (int64_t)r * each + i * to_stride, each);
    }
    for (; c < columns; c++, from += each, to += to_stride) copy_line(element, rows, from, from_stride, to, each);
}

// The dimension along which elements follow each other in the source while those of the last do in the target; -1: there is none, or it is not worth it.
static int32_t turned_dimension(const er_move *m)
{
    const int32_t last = m->rank - 1;
    if ((m->element != 1 && m->element != 4) || m->to_stride[last] != (int64_t)m->element || m->dims[last] < TILE) return -1;
    for (int32_t d = 0; d < last; d++)
        if (m->from_stride[d] == (int64_t)m->element && m->dims[d] >= TILE) return d;
    return -1;
}

// ---- a few runs whose elements go in turn, as when channels of groups are shuffled

// to[j * runs + i] = from[i][j]
static void weave(size_t element, size_t runs, size_t n, const uint8_t *from, int64_t from_stride, uint8_t *to)
{
#define IN_STEP(bytes, count) \
    if (element == (bytes) && runs == (count)) { \
        for (size_t j = 0; j < n; j++) \
            for (size_t i = 0; i < (count); i++) memcpy(to + (j * (count) + i) * (bytes), from + (int64_t)i * from_stride + j * (bytes), bytes); \
        return; \
    }
    IN_STEP(1, 2) IN_STEP(1, 3) IN_STEP(1, 4) IN_STEP(4, 2) IN_STEP(4, 3) IN_STEP(4, 4)
#undef IN_STEP
    for (size_t i = 0; i < runs; i++) copy_line(element, n, from + (int64_t)i * from_stride, (int64_t)element, to + i * element, (int64_t)(runs * element));
}

// The dimension of the runs, which is the last of the source; -1: there is none.
static int32_t woven_dimension(const er_move *m)
{
    const int32_t last = m->rank - 1, d = last - 1;
    if (d < 0 || m->to_stride[last] != (int64_t)m->element || m->dims[last] >= TILE || m->dims[d] <= m->dims[last]) return -1;
    return m->from_stride[d] == (int64_t)m->element && m->to_stride[d] == m->dims[last] * (int64_t)m->element ? d : -1;
}

void er_move_run(const er_move *m, const void *from, void *to)
{
    const uint8_t *f = (const uint8_t *)from + m->from;
    uint8_t *t = (uint8_t *)to + m->to;
    for (int32_t i = 0; i < m->rank; i++)
        if (m->dims[i] <= 0) return;
    if (!m->element) return;
    if (m->rank == 0) {
        memcpy(t, f, m->element);
        return;
    }
    const int32_t last = m->rank - 1, woven = woven_dimension(m), turned = woven >= 0 ? woven : turned_dimension(m);
    int32_t at[ER_MAX_RANK] = {0};
    for (;;) {
        if (woven >= 0) weave(m->element, (size_t)m->dims[last], (size_t)m->dims[woven], f, m->from_stride[last], t);
        else if (turned >= 0) turn(m->element, (size_t)m->dims[last], (size_t)m->dims[turned], f, m->from_stride[last], t, m->to_stride[turned]);
        else copy_line(m->element, (size_t)m->dims[last], f, m->from_stride[last], t, m->to_stride[last]);
        int32_t d = last - 1;
        for (; d >= 0; d--) {
            if (d == turned) continue;
            f += m->from_stride[d];
            t += m->to_stride[d];
            if (++at[d] < m->dims[d]) break;
            f -= m->from_stride[d] * m->dims[d];
            t -= m->to_stride[d] * m->dims[d];
            at[d] = 0;
        }
        if (d < 0) return;
    }
}
