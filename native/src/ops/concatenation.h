// CONCATENATION as the planner sees it.
#ifndef ER_CONCATENATION_H
#define ER_CONCATENATION_H

#include "ops/op.h"

// Whether an input is, as it is, one run of the output's bytes, and where that begins: it may be written there in the first place.
bool er_concatenation_holds(const er_op *op, int32_t input, size_t *offset);

#endif
