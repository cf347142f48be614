// Reductions over any axes: which elements go into which output.
#ifndef ER_REDUCE_H
#define ER_REDUCE_H

#include "ops/op.h"

typedef struct er_reduction {
    int32_t rank;
    int32_t dims[ER_MAX_RANK];
    size_t out_stride[ER_MAX_RANK];     // in elements of the output, 0 where reduced
    size_t n;                           // elements in an output
} er_reduction;

// Axes are input 1, keep_dims an attribute. Sets the output's shape.
er_status er_reduction_prepare(er_prepare *p, er_op *op, er_reduction *r);

// Whether the input is, as most are, [outer][n][inner] with the output [outer][inner].
bool er_reduction_is_plain(const er_reduction *r, size_t *outer, size_t *inner);

// sums[r] = the sum of row r, from its first value to its last: of several rows at once, as a sum waits for the one before.
void er_sum_rows(size_t rows, size_t n, const float *x, float *sums);

// Calls fn(arg, i, o) for each element i of the input, in order, with the index of its output.
void er_reduction_walk(const er_reduction *r, size_t count, void (*fn)(void *arg, size_t i, size_t o), void *arg);

#endif
