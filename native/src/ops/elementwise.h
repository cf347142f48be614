// Quantized functions of two values: elementwise.c, one value at a time in the reference's integers, or by a kernel of words; squared_difference.c, by tables.
#ifndef ER_ELEMENTWISE_H
#define ER_ELEMENTWISE_H

#include "ops/op.h"

// Two inputs and an output of one type, each with a scale.
er_status er_expect_quantized_pair(er_prepare *p, const er_op *op);

// ADD, SUB and MUL on int16.
er_status er_prepare_add16(er_prepare *p, er_op *op, bool subtract);
er_status er_prepare_mul16(er_prepare *p, er_op *op);

er_status er_prepare_quantized_div(er_prepare *p, er_op *op);                     // uint8, int8, int16
er_status er_prepare_quantized_squared_difference(er_prepare *p, er_op *op);      // int8

#endif
