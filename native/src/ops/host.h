// What operators ask of the runtime that runs them: other subgraphs, and state that outlives an invoke. The runtime answers in
// runtime/host.c; operators know no more of it than this.
#ifndef ER_HOST_H
#define ER_HOST_H

#include "ops/op.h"

// ---- another subgraph, planned for one operator

typedef struct er_callee er_callee;

// Checks that the subgraph is there and has so many inputs and outputs. It goes with the plan.
er_status er_callee_new(er_prepare *p, int32_t subgraph, int32_t n_inputs, int32_t n_outputs, er_callee **out);

// Plans it for inputs of the shapes of `like`, whose types must be its own; nothing is done where it is planned so.
er_status er_callee_plan(er_callee *c, er_tensor *const *like, edgert_error *error);

// After planning. Its outputs have their shapes only where it is static, or has run.
bool er_callee_is_static(const er_callee *c);
er_tensor *er_callee_input(const er_callee *c, int32_t i);
er_tensor *er_callee_output(const er_callee *c, int32_t i);
int64_t er_callee_macs(const er_callee *c);

// Its inputs are set by the caller.
er_status er_callee_run(er_callee *c, edgert_error *error);

// ---- limits

// ER_OK, or why the invoke has to stop: it was cancelled, or took too long.
er_status er_host_check(er_host *h, edgert_error *error);
int64_t er_host_max_iterations(const er_host *h);

// Where an operator that runs can have a message: see er_op_fault_with.
edgert_error *er_host_error(er_host *h);

// Makes the invoke fail with a status and the message in er_host_error.
static inline void er_op_fault_with(const er_op *op, er_host *h, er_status status)
{
    if (!op->fault->what) *op->fault = (er_fault){op, er_host_error(h)->message, status};
}

// What the file says of a tensor of the operator's subgraph.
const er_tensor_def *er_host_tensor(const er_host *h, int32_t tensor);

// Whether the subgraph has run as one that runs once; marks it so.
bool er_host_once(er_host *h, int32_t subgraph);

// ---- variables: tensors under a name, of one interpreter and all its subgraphs

typedef struct er_variable {
    const char *container, *name;
    bool assigned;
    edgert_type type;
    int32_t rank;
    int32_t dims[ER_MAX_RANK];
    void *data;
    size_t bytes, room;
} er_variable;

// The number of the variable with that name, which is made where there is none.
er_status er_variable_find(er_prepare *p, const char *container, const char *name, int32_t *id);
// NULL where there is none.
er_variable *er_variable_get(er_host *h, int32_t id);
// Room for so many bytes.
er_status er_variable_reserve(er_host *h, er_variable *v, size_t bytes, edgert_error *error);

// ---- hash tables: from int64 to int64. They are sorted lists: keys that collide would make a table slow.

typedef struct er_hash_table {
    int32_t id;
    bool filled;
    size_t n;
    int64_t *keys, *values;     // [n], the largest key first
} er_hash_table;

// Makes the table where there is none.
er_status er_table_find(er_prepare *p, int32_t id);
er_hash_table *er_table_get(er_host *h, int32_t id);
er_status er_table_fill(er_hash_table *t, size_t n, const int64_t *keys, const int64_t *values, edgert_error *error);
bool er_table_look_up(const er_hash_table *t, int64_t key, int64_t *value);

#endif
