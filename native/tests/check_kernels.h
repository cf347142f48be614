// What the files of check_kernels share.
#ifndef CHECK_KERNELS_H
#define CHECK_KERNELS_H

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "check.h"
#include "edgert.h"
#include "kernels/pack.h"

enum { CANARY = 64, GUARD = 0xA5 };

extern uint64_t rng;

// What a byte is: random, or at an end of its range; `mode` is drawn once a case.
static inline uint8_t draw_byte(int mode, bool is_signed)
{
    uint8_t low = is_signed ? 0x80 : 0, high = is_signed ? 0x7F : 0xFF;
    switch (mode) {
    case 0: return low;
    case 1: return high;
    case 2: return random64(&rng) >> 63 ? low : high;
    default: return (uint8_t)(random64(&rng) >> 40);
    }
}

static inline void fill(void *p, size_t n, int mode, bool is_signed)
{
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = draw_byte(mode, is_signed);
}

static inline uint8_t *guarded(size_t n)
{
    uint8_t *p = er_aligned_alloc(n + 2 * CANARY);
    memset(p, GUARD, n + 2 * CANARY);
    return p;
}

static inline void check_guards(const char *what, const char *isa, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < CANARY; i++)
        CHECK(p[i] == GUARD && p[CANARY + n + i] == GUARD, "%s of %s writes outside its output", what, isa);
}

// check_vectors.c: what is not 8-bit products and sums.
void check_resize(const er_kernels *generic, const er_kernels *k);
void check_arg_max(const er_kernels *generic, const er_kernels *k);
void check_reductions(const er_kernels *generic, const er_kernels *k);
void check_conversions(const er_kernels *generic, const er_kernels *k);
void check_floats(const er_kernels *generic, const er_kernels *k);
void check_float_pools(const er_kernels *generic, const er_kernels *k);
void check_blocks(const er_kernels *generic, const er_kernels *k);
void check_words(const er_kernels *generic, const er_kernels *k);
void check_word_arithmetic(const er_kernels *generic, const er_kernels *k);
void check_requantize(const er_kernels *generic, const er_kernels *k);
void check_dots(const er_kernels *generic, const er_kernels *k);

#endif
