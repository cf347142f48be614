// An interpreter and its plan.
#ifndef ER_INTERPRETER_H
#define ER_INTERPRETER_H

#include "ops/op.h"
#include "runtime/sharing.h"

typedef struct er_shape { int32_t rank; int32_t dims[ER_MAX_RANK]; } er_shape;

// Of each tensor: the operator that writes it, the last one that reads it, and how many do; -1 where none does. Outputs of the model
// have one more reader.
typedef struct er_use { int32_t writer, reader, readers; } er_use;

struct edgert_interpreter {
    edgert_model *model;
    const er_subgraph *graph;
    const er_kernels *kernels;
    er_pool *pool;
    bool preserve_all;
    // Plan rewrites that change no output: EDGERT_FUSE=0 makes none, EDGERT_FUSE=all those that are not worth it too, and has all threads
    // take part in everything (for tests).
    bool rewrites, all_rewrites;
    er_shape *input_shapes;     // [graph->n_inputs], the model's or what resize has set
    er_tensor *tensors;         // [graph->n_tensors]

    // The plan. Its memory comes from `heap`, and goes with it.
    bool planned;
    int plan_threads;           // that the work is cut for
    er_sharing sharing;
    er_heap heap;
    er_op *ops;                 // [graph->n_ops]
    er_use *uses;               // [graph->n_tensors]
    uint8_t *arena;
    size_t arena_bytes;
    bool *readable;             // [graph->n_tensors]: holds its value after invoke

    er_fault fault;             // of the last invoke

    bool profiling;
    uint64_t *nanoseconds;      // [graph->n_ops]
};

// Makes the plan; on failure there is none.
er_status er_make_plan(edgert_interpreter *it, edgert_error *error);
void er_drop_plan(edgert_interpreter *it);

// Gives every tensor and every operator's scratch its place in the arena.
er_status er_place_tensors(edgert_interpreter *it, edgert_error *error);

// Decides er_tensor.flipped, before operators are prepared.
er_status er_choose_storage(edgert_interpreter *it, edgert_error *error);

#endif
