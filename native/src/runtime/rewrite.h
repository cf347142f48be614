// What the rewrites of the plan share.
#ifndef ER_REWRITE_H
#define ER_REWRITE_H

#include "runtime/interpreter.h"

// Of each tensor: the operator that writes it, the last one that reads it, and how many do; -1 where none does. Outputs of the model
// have one more reader.
typedef struct er_use { int32_t writer, reader, readers; } er_use;

// tables.c: chains of functions of one byte become one table.
er_status er_fuse_tables(er_prepare *p, edgert_interpreter *it, const er_use *uses);

#endif
