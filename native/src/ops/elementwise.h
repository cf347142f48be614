// Quantized functions of two values that have no vector kernel: one value at a time, in the reference's integers.
#ifndef ER_ELEMENTWISE_H
#define ER_ELEMENTWISE_H

#include "ops/op.h"

// ADD, SUB and MUL on int16.
er_status er_prepare_add16(er_prepare *p, er_op *op, bool subtract);
er_status er_prepare_mul16(er_prepare *p, er_op *op);

er_status er_prepare_quantized_div(er_prepare *p, er_op *op);                     // uint8, int8
er_status er_prepare_quantized_squared_difference(er_prepare *p, er_op *op);      // int8

#endif
