// CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED on int16 with int8 weights ("16x8").
#ifndef ER_PRODUCTS16_H
#define ER_PRODUCTS16_H

#include "ops/op.h"

er_status er_prepare_conv16(er_prepare *p, er_op *op, const er_conv_options *o, bool depthwise);
er_status er_prepare_fully_connected16(er_prepare *p, er_op *op, er_activation activation);

// How a sum of one channel becomes an int16 output. Sums have 64 bits, or 32 where the bias has.
// `real`: FULLY_CONNECTED multiplies by a real number, as it does on 8 bits; 0: by `m`.
typedef struct er_channel16 { int64_t bias; er_multiplier m; double real; } er_channel16;

// Of `channels` channels, weights quantized per tensor or along `dimension`; bias: int32, int64 or NULL. `*wide`: sums of 64 bits. The list is in
// plan memory.
er_status er_channels16(er_prepare *p, const er_tensor *x, const er_tensor *w, const er_tensor *bias, const er_tensor *y, int32_t dimension,
                        size_t channels, bool real, er_channel16 **out, bool *wide);

// `sum`: of products alone. Sums wrap.
static inline int32_t er_finish16(const er_channel16 *c, int64_t sum, bool wide)
{
    sum = (int64_t)((uint64_t)sum + (uint64_t)c->bias);
    if (!wide) sum = (int32_t)(uint32_t)sum;
    if (c->real > 0) return er_round_real((double)sum * c->real);
    return wide ? er_requantize64(sum, c->m) : er_requantize((int32_t)sum, c->m);
}

#endif
