// Sparse constants: only some of their elements are in the file.
#ifndef ER_SPARSITY_H
#define ER_SPARSITY_H

#include <stddef.h>
#include <stdint.h>

#include "format/flatbuffer.h"

// Writes the elements of `each` bytes that `values` (of `bytes` bytes) has to their places in `dense`, which has the shape `dims` and is zero
// already. NULL, or what is wrong with them. `s`: SparsityParameters.
//
// The format is that of TACO (Kjolstad et al. 2017): dimensions, and those of blocks into which they are cut, are walked in the order that the
// file gives; each is dense, or lists for each place of the one before which of its coordinates there are.
const char *er_sparsity_expand(er_fb_table s, const int32_t *dims, int32_t rank, size_t each, const uint8_t *values, size_t bytes, uint8_t *dense);

#endif
