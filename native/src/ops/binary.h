// Plain functions of two values, with broadcasting: what ADD, SUB and MUL are on whole numbers.
#ifndef ER_BINARY_H
#define ER_BINARY_H

#include "ops/op.h"

typedef enum er_binary_function {
    ER_BINARY_ADD, ER_BINARY_SUB, ER_BINARY_MUL, ER_BINARY_DIV, ER_BINARY_FLOOR_DIV, ER_BINARY_FLOOR_MOD, ER_BINARY_POW, ER_BINARY_MAXIMUM,
    ER_BINARY_MINIMUM, ER_BINARY_SQUARED_DIFFERENCE, ER_BINARY_ATAN2, ER_BINARY_XOR, ER_BINARY_SHIFT,
    ER_BINARY_FUNCTIONS,
} er_binary_function;

// On the types of the inputs that have it, without quantization.
er_status er_prepare_binary(er_prepare *p, er_op *op, er_binary_function f, er_activation activation);

#endif
