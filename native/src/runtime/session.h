// What the subgraphs of one interpreter share: the model, threads, limits, and state under names.
#ifndef ER_SESSION_H
#define ER_SESSION_H

#include <stdatomic.h>

#include "ops/host.h"

typedef struct er_session {
    edgert_model *model;
    const er_kernels *kernels;
    er_pool *pool;
    bool preserve_all;
    // Plan rewrites that change no output: EDGERT_FUSE=0 makes none, EDGERT_FUSE=all those that are not worth it too, and has all threads
    // take part in everything (for tests).
    bool rewrites, all_rewrites;

    size_t memory_limit, memory_used;       // bytes of all arenas
    int64_t max_iterations;
    int32_t max_depth, instances;
    atomic_int cancelled, busy;
    uint64_t time_limit, deadline;          // nanoseconds; 0: none
    edgert_error error;                     // of what operators say while they run

    edgert_interpreter **roots;             // [model->n_subgraphs], NULL where not asked for
    bool *once;                             // [model->n_subgraphs]
    er_variable *variables;
    int32_t n_variables;
    er_hash_table *tables;
    int32_t n_tables;
} er_session;

// NULL on failure. Holds the model.
er_session *er_session_new(edgert_model *model, const edgert_options *options, edgert_error *error);
void er_session_free(er_session *s);

// ER_OK, or an error where what runs has to stop: it was cancelled, or is late.
er_status er_session_stop(const er_session *s, edgert_error *error);
static inline er_status er_session_check(const er_session *s, edgert_error *error)
{
    return atomic_load_explicit(&s->cancelled, memory_order_relaxed) || s->deadline ? er_session_stop(s, error) : ER_OK;
}

// Variable tensors are as they were at first; variables under names and hash tables keep what they have, as in LiteRT.
void er_session_reset(er_session *s);

#endif
