// What the two halves of DEPTHWISE_CONV_2D share: depthwise_conv_2d.c (checks, float32) and depthwise_8bit.c.
#ifndef ER_DEPTHWISE_H
#define ER_DEPTHWISE_H

#include "kernels/pack.h"
#include "ops/op.h"
#include "ops/pad.h"

typedef struct er_depthwise_shape {
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kh, kw;
    int32_t multiplier;                 // out_c / in_c
    er_conv_options o;
    int32_t pad_top, pad_left;
} er_depthwise_shape;

// Sets run, state and scratch. Shapes are checked and set. w: [1][kh][kw][out_c].
er_status er_prepare_depthwise_8bit(er_prepare *p, er_op *op, const er_depthwise_shape *d, const er_tensor *w, const er_tensor *bias);

// A CONV_2D with as many groups as channels, which is one of those: whether it is, in a type that has a kernel for it, and how to prepare it then.
bool er_is_depthwise(const er_op *op);
er_status er_prepare_conv_as_depthwise(er_prepare *p, er_op *op, er_conv_options o, er_pads pads);

// Whether this operator could compute the rows that it reads with `before`, the convolution that writes them, when it needs
// them; and hand the lines that it makes to `after`, a pointwise convolution. Only 8-bit operators can.
bool er_depthwise_takes_before(const er_op *op, const er_op *before);
bool er_depthwise_takes_after(const er_op *op, const er_op *after);

// From then on running this operator runs them too; either may be NULL. The tensors in between are not written.
er_status er_depthwise_fuse(er_prepare *p, er_op *op, const er_op *before, const er_op *after);

#endif
