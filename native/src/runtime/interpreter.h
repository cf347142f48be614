// An interpreter of one subgraph and its plan.
//
// The plan is made in stages. Where an operator needs a value to be prepared (a shape that is computed, the condition of WHERE), the
// stage ends before it, and the next one is planned when the graph has run that far; it is kept as long as the values that it was
// planned with stay the same. Most models have one stage, and then nothing is planned, or allocated, while they run.
#ifndef ER_INTERPRETER_H
#define ER_INTERPRETER_H

#include "ops/op.h"
#include "runtime/session.h"
#include "runtime/sharing.h"

typedef struct er_shape { int32_t rank; int32_t dims[ER_MAX_RANK]; } er_shape;

// Of each tensor: the operator that writes it, the last one that reads it, and how many do; -1 where none does. Outputs of the model
// have one more reader.
typedef struct er_use { int32_t writer, reader, readers; } er_use;

// A value that a stage was planned with.
typedef struct er_basis { int32_t tensor; size_t bytes; const void *data; } er_basis;

typedef struct er_stage {
    int32_t from, to;           // its operators
    bool first;
    er_heap heap;
    uint8_t *arena;
    size_t arena_bytes;
    er_basis *basis;
    int32_t n_basis;
    er_callee *callees;         // subgraphs that its operators call
} er_stage;

struct er_host { edgert_interpreter *it; };

struct edgert_interpreter {
    er_session *session;
    int32_t depth;              // of calls, 0: the interpreter itself
    edgert_model *model;
    const er_subgraph *graph;
    const er_kernels *kernels;
    er_pool *pool;
    er_shape *input_shapes;     // [graph->n_inputs], the model's or what resize has set
    er_tensor *tensors;         // [graph->n_tensors]
    er_host host;

    // The plan. What lives as long as it does is in `heap`.
    bool planned;
    int plan_threads;           // that the work is cut for
    er_sharing sharing;
    er_heap heap;
    er_op *ops;                 // [graph->n_ops]
    er_use *uses;               // [graph->n_tensors]
    bool *readable;             // [graph->n_tensors]: holds its value after invoke
    bool *asked;                // [graph->n_tensors]: er_prepare
    er_stage *stages;
    int32_t n_stages, room;

    er_fault fault;             // of the last invoke

    bool profiling;
    uint64_t *nanoseconds;      // [graph->n_ops]
};

// One more interpreter, of a subgraph.
edgert_interpreter *er_instance_new(er_session *s, int32_t subgraph, int32_t depth, edgert_error *error);
void er_instance_free(edgert_interpreter *it);

// Makes the plan's first stage; on failure there is no plan.
er_status er_make_plan(edgert_interpreter *it, edgert_error *error);
void er_drop_plan(edgert_interpreter *it);

// Runs a prepared operator now, with scratch of its own: constants, and tables of functions.
er_status er_run_now(edgert_interpreter *it, er_op *op, edgert_error *error);

// Makes sure that stage `s` is planned for the values that there are now.
er_status er_plan_next(edgert_interpreter *it, int32_t s, edgert_error *error);

// Whether all operators are planned without running any.
static inline bool er_is_static(const edgert_interpreter *it) { return it->planned && it->stages[0].to == it->graph->n_ops; }

// Runs all operators.
er_status er_run_graph(edgert_interpreter *it, edgert_error *error);

// Sets variable tensors to their zero point.
void er_clear_variables(edgert_interpreter *it);
void er_begin_variables(edgert_interpreter *it);        // when the plan is made

// Gives every tensor that the stage writes, and every operator's scratch, its place in the stage's arena.
er_status er_place_tensors(edgert_interpreter *it, er_stage *s, edgert_error *error);

// Decides er_tensor.flipped, before operators are prepared.
er_status er_choose_storage(edgert_interpreter *it, edgert_error *error);

// host.c
void er_callees_free(er_callee *first);

#endif
