// What a fused step needs of an 8-bit ADD or SUB: sums of some elements.
#ifndef ER_ADD_H
#define ER_ADD_H

#include "ops/op.h"

// Whether it adds two 8-bit tensors of one shape, element by element.
bool er_add_is_plain(const er_op *op);

// Elements [from, from + n) of its output. `term` is an input that has no memory of its own: its values are where the output will be.
void er_add_elements(const er_op *op, const er_tensor *term, size_t from, size_t n);

#endif
