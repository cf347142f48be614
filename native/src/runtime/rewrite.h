// What the rewrites of the plan share.
#ifndef ER_REWRITE_H
#define ER_REWRITE_H

#include "runtime/interpreter.h"

// Sets it->uses, in plan memory.
er_status er_find_uses(edgert_interpreter *it, edgert_error *error);

// Prepares an operator, which may take over the work of one before it, from operator `from` on.
er_status er_prepare_op(er_prepare *p, edgert_interpreter *it, er_op *op, int32_t from);

// Sets er_op.fused_into, after all are prepared.
er_status er_fuse(er_prepare *p, edgert_interpreter *it);

// tables.c: chains of functions of one byte become one table.
er_status er_fuse_tables(er_prepare *p, edgert_interpreter *it);

#endif
