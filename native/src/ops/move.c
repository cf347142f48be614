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
// they are neighbours.
typedef uint8_t bytes __attribute__((vector_size(LARGE_TILE)));
#if defined(__clang__)
#define IN_TURN(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define IN_TURN(a, b, ...) __builtin_shuffle(a, b, (bytes){__VA_ARGS__})
#endif
#define FIRST_HALVES(a, b) IN_TURN(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define SECOND_HALVES(a, b) IN_TURN(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

static void turn_many_bytes(const uint8_t *from, int64_t from_stride, uint8_t *to, int64_t to_stride)
{
    bytes x[LARGE_TILE], y[LARGE_TILE];
    for (int r = 0; r < LARGE_TILE; r++) memcpy(&x[r], from + r * from_stride, LARGE_TILE);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < LARGE_TILE / 2; i++) {
            y[2 * i] = FIRST_HALVES(x[i], x[i + LARGE_TILE / 2]);
            y[2 * i + 1] = SECOND_HALVES(x[i], x[i + LARGE_TILE / 2]);
        }
        for (int i = 0; i < LARGE_TILE / 2; i++) {
            x[2 * i] = FIRST_HALVES(y[i], y[i + LARGE_TILE / 2]);
            x[2 * i + 1] = SECOND_HALVES(y[i], y[i + LARGE_TILE / 2]);
        }
    }
    for (int c = 0; c < LARGE_TILE; c++) memcpy(to + c * to_stride, &x[c], LARGE_TILE);
}

static void turn_words(const uint8_t *from, int64_t from_stride, uint8_t *to, int64_t to_stride)
{
    uint32_t x[TILE][TILE];
    for (int r = 0; r < TILE; r++)
        for (int c = 0; c < TILE; c++) memcpy(&x[c][r], from + r * from_stride + 4 * c, 4);
    for (int c = 0; c < TILE; c++) memcpy(to + c * to_stride, x[c], sizeof x[c]);
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
    const int32_t last = m->rank - 1, turned = turned_dimension(m);
    int32_t at[ER_MAX_RANK] = {0};
    for (;;) {
        if (turned >= 0) turn(m->element, (size_t)m->dims[last], (size_t)m->dims[turned], f, m->from_stride[last], t, m->to_stride[turned]);
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
