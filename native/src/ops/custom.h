// Operators that the program registers (edgert_register_op).
#ifndef ER_CUSTOM_H
#define ER_CUSTOM_H

#include "ops/op.h"

// NULL where none has that name.
const er_op_type *er_registered_op(const char *name);

#endif
