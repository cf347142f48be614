// Sums and largest of bytes, by column and by row, compiled once for each instruction set. By column: vectors of what the rows have made so far. By row: plain
// loops, which compilers make vectors of.
#ifndef ER_KERNELS_REDUCE_H
#define ER_KERNELS_REDUCE_H

#include <string.h>

#include "kernels/kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { WITHOUT_CARRY = 256 };       // bytes whose sum 16 bits hold

typedef uint8_t some_bytes __attribute__((vector_size(BYTES)));
typedef uint16_t some_words __attribute__((vector_size(BYTES)));

static inline some_bytes load_flipped(const uint8_t *x, uint8_t flip)
{
    some_bytes v;
    memcpy(&v, x, sizeof v);
    return v ^ flip;
}

static inline some_bytes larger_bytes(some_bytes a, some_bytes b)
{
#if defined(__AVX2__)
    return (some_bytes)_mm256_max_epu8((__m256i)a, (__m256i)b);
#else
    const some_bytes m = (some_bytes)(a > b);
    return (a & m) | (b & ~m);
#endif
}

// Of BYTES columns. Bytes at even places and those at odd ones are added apart, as 16 bits. Signed bytes with their top bit inverted are 128 more.
static void sum_of_some(size_t rows, const uint8_t *x, size_t stride, uint8_t flip, int32_t *sums)
{
    memset(sums, 0, BYTES * sizeof *sums);
    for (size_t some; rows; rows -= some) {
        some = rows < WITHOUT_CARRY ? rows : WITHOUT_CARRY;
        some_words even = {0}, odd = {0};
        for (size_t r = 0; r < some; r++, x += stride) {
            const some_words v = (some_words)load_flipped(x, flip);
            even += v & 0xff;
            odd += v >> 8;
        }
        const int32_t less = flip * (int32_t)some;
        for (size_t j = 0; j < BYTES; j += 2) {
            sums[j] += even[j / 2] - less;
            sums[j + 1] += odd[j / 2] - less;
        }
    }
}

static void most_of_some(size_t rows, const uint8_t *x, size_t stride, uint8_t flip, uint8_t *most)
{
    some_bytes best = {0};
    for (size_t r = 0; r < rows; r++, x += stride) best = larger_bytes(best, load_flipped(x, flip));
    memcpy(most, &best, sizeof best);
}

// Columns that do not fill a vector are some that are done already, and more. Rows that do not are several, with as many times the columns.
#define BY_COLUMN(name, type, some_columns, TAKE) \
    static void name(size_t rows, size_t n, const uint8_t *x, size_t stride, uint8_t flip, type *y) \
    { \
        type part[2 * BYTES]; \
        size_t done = 0; \
        const size_t times = n ? (BYTES + n - 1) / n : 0, columns = times * n, sets = times ? rows / times : 0; \
        if (n < BYTES && stride == n && sets) { \
            some_columns(sets, x, columns, flip, part); \
            some_columns(sets, x + columns - BYTES, columns, flip, part + columns - BYTES); \
            for (size_t j = 0; j < columns; j++) { type *const to = y + j % n; const type v = part[j]; TAKE } \
            done = sets * times; \
        } \
        for (size_t j = 0; j < n && n >= BYTES; j += BYTES) { \
            const size_t at = j + BYTES <= n ? j : n - BYTES; \
            some_columns(rows, x + at, stride, flip, part); \
            for (size_t i = j - at; i < BYTES; i++) { type *const to = y + at + i; const type v = part[i]; TAKE } \
        } \
        for (size_t r = done; r < rows && n < BYTES; r++) \
            for (size_t j = 0; j < n; j++) { type *const to = y + j; const type v = (type)((x[r * stride + j] ^ flip) - LESS); TAKE } \
    }
#define LESS flip
BY_COLUMN(sum_columns, int32_t, sum_of_some, *to += v;)
#undef LESS
#define LESS 0
BY_COLUMN(most_columns, uint8_t, most_of_some, *to = v > *to ? v : *to;)
#undef LESS
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
        uint8_t best = most[r];
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
