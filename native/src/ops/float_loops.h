// Loops over floats for functions that take a few instructions: in blocks of a constant length, which become vectors whatever instructions there
// are, from a copy, since y may be x.
#ifndef ER_FLOAT_LOOPS_H
#define ER_FLOAT_LOOPS_H

#include <stddef.h>
#include <string.h>

enum { ER_FLOAT_BLOCK = 16 };

// Defines `name` (n, x, y and further parameters) to be y[i] = `expression` of v = x[i].
#define ER_FLOAT_LOOP(name, expression, ...) \
    static void name(size_t n, const float *x, float *y __VA_ARGS__) \
    { \
        float block[ER_FLOAT_BLOCK]; \
        for (; n >= ER_FLOAT_BLOCK; n -= ER_FLOAT_BLOCK, x += ER_FLOAT_BLOCK, y += ER_FLOAT_BLOCK) { \
            memcpy(block, x, sizeof block); \
            for (size_t j = 0; j < ER_FLOAT_BLOCK; j++) { const float v = block[j]; block[j] = expression; } \
            memcpy(y, block, sizeof block); \
        } \
        for (size_t j = 0; j < n; j++) { const float v = x[j]; y[j] = expression; } \
    }

#endif
