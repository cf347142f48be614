// Three rows under a 3x3 filter, column by column: r0, r1 and r2 point at what is read next, `step` bytes are between columns.
#ifndef ER_ARM_COLUMNS_H
#define ER_ARM_COLUMNS_H

#if defined(__aarch64__)
// As assembly: compilers make nine pointers of the three, each with an addition of its own.
#define NEXT_COLUMN_OF(x, r) __asm__("ld1 {%0.16b}, [%1], %2" : "=w"(x), "+r"(r) : "r"(step) : "memory");
#else
#define NEXT_COLUMN_OF(x, r) \
    x = load_bytes(r); \
    r += step;
#endif
#define NEXT_COLUMN(x) { NEXT_COLUMN_OF(x##0, r0) NEXT_COLUMN_OF(x##1, r1) NEXT_COLUMN_OF(x##2, r2) }

// Outputs next to each other: each column is the last of one, the middle of the next, and the first of the one after that. x and y have been
// read; OUTPUT, of three columns, ends the loop.
#define EACH_NEIGHBOUR(OUTPUT) \
    for (;;) { \
        NEXT_COLUMN(z) \
        OUTPUT(x, y, z) \
        NEXT_COLUMN(x) \
        OUTPUT(y, z, x) \
        NEXT_COLUMN(y) \
        OUTPUT(z, x, y) \
    }

#endif
