// How 8-bit tensors between operators are stored: kernels read int8 as uint8, or uint8 as int8 (er_kernels.bytes), and an operator can
// write one as well as the other, so that nothing has to be converted in between.
//
// A tensor is stored flipped if its producer and all of its consumers can do with that, by the operators' er_storage.
#include <stdlib.h>

#include "runtime/interpreter.h"

static bool may_flip(const edgert_interpreter *it, int32_t t)
{
    const er_tensor_def *d = &it->graph->tensors[t];
    return er_bytes_offset(it->kernels->bytes, d->type == EDGERT_INT8) && (d->type == EDGERT_INT8 || d->type == EDGERT_UINT8) && !d->data && !d->is_variable;
}

static bool refuse(bool *flip, int32_t t)
{
    if (t < 0 || !flip[t]) return false;
    flip[t] = false;
    return true;
}

// Takes back what this operator cannot do with; true where something changed.
static bool restrict_to(const er_op_def *op, er_storage storage, bool *flip)
{
    bool changed = false, all = true;
    for (int32_t i = 0; i < op->n_inputs; i++) all = all && (op->inputs[i] < 0 || flip[op->inputs[i]] || (storage == ER_STORAGE_SAME && i > 0));
    for (int32_t i = 0; i < op->n_outputs; i++) all = all && flip[op->outputs[i]];
    for (int32_t i = 0; i < op->n_inputs; i++) {
        bool free = storage == ER_STORAGE_ANY || (storage == ER_STORAGE_FIRST && i == 0) || (storage >= ER_STORAGE_SAME && all);
        if (!free) changed |= refuse(flip, op->inputs[i]);
    }
    for (int32_t i = 0; i < op->n_outputs; i++)
        if (storage == ER_STORAGE_AS_TYPE || (storage >= ER_STORAGE_SAME && !all)) changed |= refuse(flip, op->outputs[i]);
    return changed;
}

er_status er_choose_storage(edgert_interpreter *it, edgert_error *error)
{
    const er_subgraph *g = it->graph;
    for (int32_t t = 0; t < g->n_tensors; t++) it->tensors[t].flipped = false;
    if (it->kernels->bytes == ER_BYTES_ANY || it->session->preserve_all || !it->session->rewrites) return ER_OK;
    bool *flip = calloc((size_t)g->n_tensors + 1, sizeof *flip);
    if (!flip) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    // Only what an operator writes.
    for (int32_t i = 0; i < g->n_ops; i++)
        for (int32_t j = 0; j < g->ops[i].n_outputs; j++) flip[g->ops[i].outputs[j]] = may_flip(it, g->ops[i].outputs[j]);
    for (int32_t i = 0; i < g->n_inputs; i++) flip[g->inputs[i]] = false;
    for (int32_t i = 0; i < g->n_outputs; i++) flip[g->outputs[i]] = false;
    for (bool changed = true; changed;) {
        changed = false;
        for (int32_t i = 0; i < g->n_ops; i++) changed |= restrict_to(&g->ops[i], er_op_type_of(&g->ops[i])->storage, flip);
    }
    for (int32_t t = 0; t < g->n_tensors; t++) it->tensors[t].flipped = flip[t];
    free(flip);
    return ER_OK;
}
