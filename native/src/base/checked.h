// Size arithmetic on model data: false on overflow, and the result is then not to be used.
#ifndef ER_CHECKED_H
#define ER_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool er_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool er_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

// Number of elements of a shape; every size must be >= 0 and the count must fit int32, as in TFLite's own kernels.
static inline bool er_count(const int32_t *dims, int32_t rank, size_t *out)
{
    size_t n = 1;
    bool empty = false;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0) return false;
        if (dims[i] == 0) empty = true;
        else if (!er_mul_size(n, (size_t)dims[i], &n) || n > INT32_MAX) return false;
    }
    *out = empty ? 0 : n;
    return true;
}

static inline size_t er_round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
static inline int32_t er_min32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t er_max32(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t er_clamp32(int32_t x, int32_t lo, int32_t hi) { return x < lo ? lo : x > hi ? hi : x; }
static inline int32_t er_clamp64(int64_t x, int32_t lo, int32_t hi) { return x < lo ? lo : x > hi ? hi : (int32_t)x; }

#endif
