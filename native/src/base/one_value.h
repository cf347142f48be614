// Loops of a function of one number: in place, after a copy. Of what may be in place or not, vectors need a test, which in place fails.
#ifndef ER_ONE_VALUE_H
#define ER_ONE_VALUE_H

#include <stddef.h>
#include <string.h>

// Defines `name` (n, x, y and further parameters) to be y[i] = `expression` of v = x[i]. x and y are the same, or do not overlap.
#define ER_LOOP(type, name, expression, ...) \
    static void name(size_t n, const type *x, type *y __VA_ARGS__) \
    { \
        if (x != y) memcpy(y, x, n * sizeof *y); \
        for (size_t i = 0; i < n; i++) { const type v = y[i]; y[i] = expression; } \
    }
#define ER_FLOAT_LOOP(name, expression, ...) ER_LOOP(float, name, expression, __VA_ARGS__)

#endif
