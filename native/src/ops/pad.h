// PAD as a convolution sees it that reads its output.
#ifndef ER_PAD_H
#define ER_PAD_H

#include "ops/op.h"

typedef struct er_pads { int32_t top, left, height, width; } er_pads;      // before the image, and on both sides together

// Takes the work of op->pad over, if there is one and the convolution's own padding can do it: input 0 becomes what PAD reads. Otherwise 0.
er_pads er_take_pad(er_op *op, const er_conv_options *o);

#endif
