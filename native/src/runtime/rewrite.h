// What the rewrites of the plan share.
#ifndef ER_REWRITE_H
#define ER_REWRITE_H

#include "runtime/interpreter.h"

// Of each tensor: the operator that writes it, the last one that reads it, and how many do; -1 where none does. Outputs of the model
// have one more reader.
typedef struct er_use { int32_t writer, reader, readers; } er_use;

// [n_tensors], in plan memory.
er_status er_find_uses(er_prepare *p, const er_subgraph *g, er_use **uses);

// Prepares an operator, which may take over the work of one before it.
er_status er_prepare_op(er_prepare *p, edgert_interpreter *it, er_op *op, const er_use *uses);

// Sets er_op.fused_into, after all are prepared.
er_status er_fuse(er_prepare *p, edgert_interpreter *it, const er_use *uses);

// tables.c: chains of functions of one byte become one table.
er_status er_fuse_tables(er_prepare *p, edgert_interpreter *it, const er_use *uses);

#endif
