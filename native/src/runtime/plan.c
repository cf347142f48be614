// From model to plan: shapes, and every operator prepared. Memory: layout.c.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/system.h"
#include "runtime/interpreter.h"
#include "runtime/rewrite.h"

void er_drop_plan(edgert_interpreter *it)
{
    it->planned = false;
    er_heap_free(&it->heap);
    er_zeroed_free(it->arena);
    it->arena = NULL;
    it->arena_bytes = 0;
    it->ops = NULL;
    it->readable = NULL;
    it->uses = NULL;
    for (int32_t i = 0; i < it->graph->n_tensors; i++) {
        it->tensors[i].data = (void *)(uintptr_t)it->graph->tensors[i].data;
        it->tensors[i].constant = it->graph->tensors[i].data != NULL;
    }
}

// A constant without elements has no data in the file; something must be there to point at.
static const uint64_t nothing[1];

static er_status reset_tensor(edgert_interpreter *it, int32_t i, edgert_error *error)
{
    er_tensor *t = &it->tensors[i];
    const er_tensor_def *d = &it->graph->tensors[i];
    size_t each = er_type_size(d->type);
    t->rank = d->rank;
    memcpy(t->dims, d->dims, sizeof t->dims);
    t->data = (void *)(uintptr_t)d->data;
    t->constant = d->data != NULL;
    t->inside = false;
    t->has_shape = t->constant || d->is_variable;
    if (!er_count(t->dims, t->rank, &t->count) || !er_mul_size(t->count, each ? each : 1, &t->bytes))
        return er_fail(error, EDGERT_ERROR_MODEL, "tensor %d \"%.200s\" has more elements than fit", i, d->name);
    return ER_OK;
}

static er_status use_input_shape(edgert_interpreter *it, int32_t input, edgert_error *error)
{
    int32_t index = it->graph->inputs[input];
    er_tensor *t = &it->tensors[index];
    const er_shape *s = &it->input_shapes[input];
    size_t each = er_type_size(t->def->type);
    if (!each)
        return er_fail(error, EDGERT_ERROR_UNSUPPORTED, "input \"%.200s\" is of type %s, which is not supported", t->def->name, er_type_name(t->def->type));
    t->rank = s->rank;
    memcpy(t->dims, s->dims, sizeof t->dims);
    t->has_shape = true;
    if (!er_count(t->dims, t->rank, &t->count) || !er_mul_size(t->count, each, &t->bytes))
        return er_fail(error, EDGERT_ERROR_ARGUMENT, "input \"%.200s\" has more elements than fit", t->def->name);
    return ER_OK;
}

static er_status link_tensors(edgert_interpreter *it, er_op *op, bool *written, edgert_error *error)
{
    size_t n = (size_t)(op->n_inputs + op->n_outputs);
    er_tensor **links = er_heap_alloc(&it->heap, (n ? n : 1) * sizeof *links);
    if (!links) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    op->inputs = links;
    op->outputs = links + op->n_inputs;
    for (int32_t i = 0; i < op->n_inputs; i++) {
        int32_t t = op->def->inputs[i];
        if (t < 0) continue;
        op->inputs[i] = &it->tensors[t];
        if (!it->tensors[t].has_shape && it->tensors[t].count > 0)
            return er_fail(error, EDGERT_ERROR_MODEL, "it reads tensor %d \"%.200s\", which no operator before it writes", t, it->tensors[t].def->name);
        if (!it->tensors[t].has_shape) {
            it->tensors[t].data = (void *)(uintptr_t)nothing;
            it->tensors[t].constant = it->tensors[t].has_shape = true;
        }
    }
    for (int32_t i = 0; i < op->n_outputs; i++) {
        int32_t t = op->def->outputs[i];
        op->outputs[i] = &it->tensors[t];
        if (written[t] || it->tensors[t].has_shape)
            return er_fail(error, EDGERT_ERROR_MODEL, "it writes tensor %d \"%.200s\", which is an input, a constant, or written before", t, it->tensors[t].def->name);
        written[t] = true;
    }
    return ER_OK;
}

static void run_nothing(const er_op *op, er_pool *pool)
{
    (void)op;
    (void)pool;
}

// An operator of which all inputs are constants runs now, and its outputs are constants from here on: weights behind
// DEQUANTIZE, shapes computed from shapes.
static er_status fold(edgert_interpreter *it, er_op *op, edgert_error *error)
{
    for (int32_t i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] && !op->inputs[i]->constant) return ER_OK;
    for (int32_t i = 0; i < op->n_outputs; i++) {
        er_tensor *t = op->outputs[i];
        t->data = er_heap_alloc(&it->heap, t->bytes);
        if (!t->data) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for constants");
        t->constant = true;
    }
    op->scratch_stride = er_round_up(op->scratch_bytes, ER_ALIGN);
    size_t own = op->scratch_stride * (size_t)er_pool_threads(it->pool);
    op->scratch = er_aligned_alloc(own + op->shared_bytes + ER_ALIGN);
    if (!op->scratch) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for constants");
    op->shared = op->scratch + own;
    it->fault = (er_fault){NULL, NULL};
    op->run(op, it->pool);
    er_aligned_free(op->scratch);
    if (it->fault.what) return er_fail(error, EDGERT_ERROR_MODEL, "%s", it->fault.what);
    op->run = run_nothing;
    op->kernel = "constant";
    op->scratch_bytes = op->shared_bytes = 0;
    op->share = ER_SHARE_NO;
    op->macs = 0;
    return ER_OK;
}

static er_status prepare_ops(edgert_interpreter *it, edgert_error *error)
{
    const er_subgraph *g = it->graph;
    bool *written = calloc((size_t)g->n_tensors + 1, sizeof *written);
    if (!written) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    er_prepare p = {&it->heap, it->model->packed, it->kernels, it->plan_threads, error};
    er_status status = ER_OK;
    for (int32_t i = 0; i < g->n_ops && status == ER_OK; i++) {
        er_op *op = &it->ops[i];
        const er_op_def *def = &g->ops[i];
        *op = (er_op){.def = def, .n_inputs = def->n_inputs, .n_outputs = def->n_outputs, .fault = &it->fault};
        status = link_tensors(it, op, written, error);
        if (status == ER_OK) status = er_prepare_op(&p, it, op);
        if (status == ER_OK) status = fold(it, op, error);
        if (status != ER_OK)
            er_prefix(error, "op %d %s \"%.200s\": ", i, def->name, def->n_outputs > 0 ? g->tensors[def->outputs[0]].name : "");
    }
    free(written);
    return status == ER_OK ? er_fuse(&p, it) : status;
}

static er_status make_plan(edgert_interpreter *it, edgert_error *error)
{
    const er_subgraph *g = it->graph;
    for (int32_t i = 0; i < g->n_tensors; i++) ER_TRY(reset_tensor(it, i, error));
    for (int32_t i = 0; i < g->n_inputs; i++) ER_TRY(use_input_shape(it, i, error));
    it->ops = er_heap_alloc(&it->heap, ((size_t)g->n_ops + 1) * sizeof *it->ops);
    it->nanoseconds = er_heap_alloc(&it->heap, ((size_t)g->n_ops + 1) * sizeof *it->nanoseconds);
    it->readable = er_heap_alloc(&it->heap, (size_t)g->n_tensors + 1);
    if (!it->ops || !it->nanoseconds || !it->readable) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    ER_TRY(er_find_uses(it, error));
    ER_TRY(er_choose_storage(it, error));
    ER_TRY(prepare_ops(it, error));
    for (int32_t i = 0; i < g->n_outputs; i++)
        if (!it->tensors[g->outputs[i]].has_shape)
            return er_fail(error, EDGERT_ERROR_MODEL, "output %d, tensor %d \"%.200s\", is written by no operator", i, g->outputs[i], g->tensors[g->outputs[i]].name);
    return er_place_tensors(it, error);
}

static bool share_work(edgert_interpreter *it)
{
    int64_t work = 0;
    for (int32_t i = 0; i < it->graph->n_ops; i++) work += it->ops[i].macs;
    return er_sharing_plan(&it->sharing, it->pool, it->plan_threads, work, it->kernels->speed, it->all_rewrites);
}

er_status er_make_plan(edgert_interpreter *it, edgert_error *error)
{
    er_drop_plan(it);
    it->plan_threads = er_pool_threads(it->pool);
    er_status status = make_plan(it, error);
    if (status == ER_OK && !share_work(it)) {
        er_drop_plan(it);
        it->plan_threads = 1;
        status = make_plan(it, error);
    }
    // Weights are packed: the file's own are not read any more, but for those of plain operators.
    er_file_rest(it->model->mapped, it->model->mapped ? it->model->size : 0);
    if (status == ER_OK) it->planned = true;
    else er_drop_plan(it);
    return status;
}
