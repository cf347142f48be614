// Numpy-style broadcasting of two inputs, as long runs for the inner loop.
#ifndef ER_BROADCAST_H
#define ER_BROADCAST_H

#include "ops/op.h"

typedef struct er_broadcast {
    int32_t rank;                       // outer loops
    int32_t dims[ER_MAX_RANK];
    size_t a_strides[ER_MAX_RANK], b_strides[ER_MAX_RANK];      // in elements, 0 where repeated
    size_t run;                         // length of the inner loop
    size_t a_step, b_step;              // in it: 0 or 1
    size_t outer;                       // number of runs
} er_broadcast;

// Sets the shape of y. Dimensions that both inputs walk, or repeat, alike are merged, so that equal shapes are one run.
er_status er_broadcast_shapes(er_prepare *p, const er_tensor *a, const er_tensor *b, er_tensor *y, er_broadcast *bc);

// Element offsets of the inputs at the start of run i.
void er_broadcast_offsets(const er_broadcast *bc, size_t i, size_t *a, size_t *b);

// Calls fn for all runs: n outputs at y, elements of `element` bytes. Short runs that one input repeats, as channels do, come several at once: that input
// is then copied as often.
typedef void er_run_pair(const void *state, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *y);
void er_broadcast_each(const er_broadcast *bc, size_t element, const void *a, const void *b, void *y, er_run_pair *fn, const void *state);

// The same where one long run is divided among the pool's threads, if `work`, about so many multiply-adds, is worth it.
void er_broadcast_shared(er_pool *pool, double work, const er_broadcast *bc, size_t element, const void *a, const void *b, void *y, er_run_pair *fn, const void *state);

// A kernel of two float32 inputs, and what ADD, SUB and MUL do with it.
typedef struct er_float_pair { er_float_binary *kernel; float min, max; } er_float_pair;
void er_broadcast_floats(const er_op *op, er_pool *pool, const er_broadcast *bc, const er_float_pair *pair);

// Whether 8-bit kernels do better with inputs that are written out first: many short runs. expand: 1 for the first input, 2 for
// the second. Sets op->shared_bytes; er_broadcast_expanded gives what to run with.
int er_broadcast_plan_expansion(er_op *op, const er_broadcast *bc);
er_broadcast er_broadcast_expanded(const er_op *op, const er_broadcast *bc, int expand, const uint8_t **a, const uint8_t **b);

#endif
