// What the two ways of TRANSPOSE_CONV share: transpose_conv.c gathers, transpose_product.c multiplies and scatters.
#ifndef ER_TRANSPOSE_CONV_H
#define ER_TRANSPOSE_CONV_H

#include "ops/op.h"

typedef struct er_transpose_shape { int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kh, kw, stride_h, stride_w, pad_top, pad_left; } er_transpose_shape;

// Whether the product is a way for the operator: int8 weights and input, or float32 where sums need not be those of the reference to the last bit.
bool er_transpose_product_suits(const er_prepare *p, const er_op *op);
er_status er_prepare_transpose_product(er_prepare *p, er_op *op, const er_transpose_shape *s, er_activation activation);

#endif
