// Weights as they come in files: four or two bits a value. Operators see int8.
#ifndef ER_WEIGHTS_H
#define ER_WEIGHTS_H

#include "ops/op.h"

// Puts an int8 tensor, in plan memory, in the place of an input that is int4 or int2.
er_status er_unpack_input(er_prepare *p, er_op *op, int32_t input);

#endif
