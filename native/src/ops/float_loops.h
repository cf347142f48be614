// Loops over floats for functions that take a few instructions. In place or apart are two loops: compilers make vectors of each, but of one that may be
// either only with a test, which in place fails.
#ifndef ER_FLOAT_LOOPS_H
#define ER_FLOAT_LOOPS_H

#include <stddef.h>

// Defines `name` (n, x, y and further parameters) to be y[i] = `expression` of v = x[i]. x and y are the same, or do not overlap.
#define ER_FLOAT_LOOP(name, expression, ...) \
    static void name(size_t n, const float *x, float *y __VA_ARGS__) \
    { \
        if (x == y) { \
            for (size_t i = 0; i < n; i++) { const float v = y[i]; y[i] = expression; } \
        } else { \
            const float *restrict from = x; \
            float *restrict to = y; \
            for (size_t i = 0; i < n; i++) { const float v = from[i]; to[i] = expression; } \
        } \
    }

#endif
