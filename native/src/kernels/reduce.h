// Sums and largest of bytes, by column and by row: plain loops, compiled once for each instruction set, which compilers make vectors of.
#ifndef ER_KERNELS_REDUCE_H
#define ER_KERNELS_REDUCE_H

#include "kernels/kernels.h"

enum { WITHOUT_CARRY = 256 };       // bytes whose sum 16 bits hold

// `width` columns, a constant: what they have so far stays in registers. Signed bytes with their top bit inverted are 128 more.
__attribute__((always_inline)) static inline void sum_some(const size_t width, size_t rows, const uint8_t *x, size_t stride, uint8_t flip, int32_t *sums)
{
    for (size_t some; rows; rows -= some) {
        some = rows < WITHOUT_CARRY ? rows : WITHOUT_CARRY;
        const int32_t less = flip * (int32_t)some;
        uint16_t part[64] = {0};
        for (size_t r = 0; r < some; r++, x += stride)
            for (size_t j = 0; j < width; j++) part[j] = (uint16_t)(part[j] + (x[j] ^ flip));
        for (size_t j = 0; j < width; j++) sums[j] += part[j] - less;
    }
}

__attribute__((always_inline)) static inline void most_of_some(const size_t width, size_t rows, const uint8_t *x, size_t stride, uint8_t flip, uint8_t *most)
{
    uint8_t best[64] = {0};
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t j = 0; j < width; j++) {
            const uint8_t v = x[j] ^ flip;
            best[j] = v > best[j] ? v : best[j];
        }
    for (size_t j = 0; j < width; j++) most[j] = best[j];
}

#define BY_COLUMN(run, x, stride, flip, to) \
    { \
        size_t j = 0; \
        for (; j + 64 <= n; j += 64) run(64, rows, x + j, stride, flip, to + j); \
        if (j + 32 <= n) { run(32, rows, x + j, stride, flip, to + j); j += 32; } \
        if (j + 16 <= n) { run(16, rows, x + j, stride, flip, to + j); j += 16; } \
        if (j + 8 <= n) { run(8, rows, x + j, stride, flip, to + j); j += 8; } \
        for (; j < n; j++) run(1, rows, x + j, stride, flip, to + j); \
    }
static void sum_columns(size_t rows, size_t n, const uint8_t *x, size_t stride, uint8_t flip, int32_t *sums) BY_COLUMN(sum_some, x, stride, flip, sums)
static void most_columns(size_t rows, size_t n, const uint8_t *x, size_t stride, uint8_t flip, uint8_t *most) BY_COLUMN(most_of_some, x, stride, flip, most)
#undef BY_COLUMN

static void sum_rows(size_t rows, size_t n, const uint8_t *x, size_t stride, uint8_t flip, int32_t *sums)
{
    const int32_t less = flip * (int32_t)n;
    for (size_t r = 0; r < rows; r++, x += stride) {
        int32_t sum = -less;
        for (size_t j = 0, some; j < n; j += some) {
            some = n - j < WITHOUT_CARRY ? n - j : WITHOUT_CARRY;
            uint16_t part = 0;
            for (size_t i = 0; i < some; i++) part = (uint16_t)(part + (x[j + i] ^ flip));
            sum += part;
        }
        sums[r] += sum;
    }
}

static void most_rows(size_t rows, size_t n, const uint8_t *x, size_t stride, uint8_t flip, uint8_t *most)
{
    for (size_t r = 0; r < rows; r++, x += stride) {
        uint8_t best = 0;
        for (size_t j = 0; j < n; j++) {
            const uint8_t v = x[j] ^ flip;
            best = v > best ? v : best;
        }
        most[r] = best;
    }
}

#define SET_REDUCTIONS(k) \
    (k)->sum_columns = sum_columns; \
    (k)->sum_rows = sum_rows; \
    (k)->most_columns = most_columns; \
    (k)->most_rows = most_rows;

#endif
