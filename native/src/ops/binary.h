// Plain functions of two numbers, for operators that need nothing more.
#ifndef ER_BINARY_H
#define ER_BINARY_H

#include "ops/op.h"

typedef enum er_binary_function { ER_BINARY_ADD, ER_BINARY_SUB, ER_BINARY_MUL, ER_BINARY_DIV, ER_BINARY_FLOOR_DIV } er_binary_function;

// int32 or float32 (DIV: float32).
er_status er_prepare_binary(er_prepare *p, er_op *op, er_binary_function f);

#endif
