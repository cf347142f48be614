// Operators with float32 activations and int8 weights. See hybrid.c.
#ifndef ER_HYBRID_H
#define ER_HYBRID_H

#include "ops/op.h"

static inline bool er_is_hybrid(const er_op *op)
{
    return op->inputs[0]->def->type == EDGERT_FLOAT32 && op->inputs[1]->def->type == EDGERT_INT8;
}

// How inputs are quantized, and whether sums are multiplied by the channel's scale and the input's one after the other. DEPTHWISE_CONV_2D: asymmetric, and by their
// product. CONV_2D: where channels have different scales, and then apart.
typedef struct er_hybrid_scaling { bool asymmetric, apart; } er_hybrid_scaling;
er_hybrid_scaling er_conv_scaling(const er_tensor *w);

// int8 with one scale, or one for each of the channels along `dimension`, and zero points of 0.
er_status er_expect_hybrid_weights(er_prepare *p, const er_tensor *w, int32_t channels, int32_t dimension);

// The scale of each channel's weights, which may all be one.
er_status er_hybrid_scales(er_prepare *p, const er_tensor *w, size_t channels, const float **scales);

er_status er_prepare_hybrid_conv(er_prepare *p, er_op *op, const er_conv_options *o);

// The caller has checked the shapes and set the output's.
er_status er_prepare_hybrid_fully_connected(er_prepare *p, er_op *op, bool asymmetric, er_activation activation);

#endif
