// The public interface to interpreters, and invoke.
#include "runtime/interpreter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

edgert_interpreter *er_instance_new(er_session *s, int32_t subgraph, int32_t depth, edgert_error *error)
{
    edgert_interpreter *it = calloc(1, sizeof *it);
    if (!it) goto out_of_memory;
    it->session = s;
    it->host.it = it;
    it->depth = depth;
    it->model = s->model;
    it->graph = &s->model->subgraphs[subgraph];
    it->kernels = s->kernels;
    it->pool = s->pool;
    s->instances++;
    it->tensors = calloc((size_t)it->graph->n_tensors + 1, sizeof *it->tensors);
    it->input_shapes = calloc((size_t)it->graph->n_inputs + 1, sizeof *it->input_shapes);
    if (!it->tensors || !it->input_shapes) goto out_of_memory;
    for (int32_t i = 0; i < it->graph->n_tensors; i++) {
        const er_tensor_def *d = &it->graph->tensors[i];
        er_tensor *t = &it->tensors[i];
        *t = (er_tensor){.def = d, .index = i, .rank = d->rank, .data = (void *)(uintptr_t)d->data, .constant = d->data != NULL, .known = d->data != NULL};
        memcpy(t->dims, d->dims, sizeof t->dims);
        if (er_count(t->dims, t->rank, &t->count)) t->bytes = t->count * er_type_size(d->type);
    }
    for (int32_t i = 0; i < it->graph->n_inputs; i++) {
        const er_tensor_def *d = &it->graph->tensors[it->graph->inputs[i]];
        it->input_shapes[i].rank = d->rank;
        memcpy(it->input_shapes[i].dims, d->dims, sizeof d->dims);
    }
    return it;
out_of_memory:
    er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for an interpreter");
    er_instance_free(it);
    return NULL;
}

void er_instance_free(edgert_interpreter *it)
{
    if (!it) return;
    if (it->tensors) er_drop_plan(it);
    it->session->instances--;
    free(it->stages);
    free(it->tensors);
    free(it->input_shapes);
    free(it);
}

edgert_interpreter *edgert_interpreter_new(edgert_model *model, const edgert_options *options, edgert_error *error)
{
    er_session *s = er_session_new(model, options, error);
    edgert_interpreter *it = s ? s->roots[0] = er_instance_new(s, 0, 0, error) : NULL;
    if (s && !it) er_session_free(s);
    return it;
}

edgert_interpreter *edgert_interpreter_subgraph(edgert_interpreter *it, int32_t subgraph, edgert_error *error)
{
    er_session *s = it->session;
    if (subgraph < 0 || subgraph >= s->model->n_subgraphs) {
        er_fail(error, EDGERT_ERROR_ARGUMENT, "there is no subgraph %d: the model has %d", subgraph, s->model->n_subgraphs);
        return NULL;
    }
    if (!s->roots[subgraph]) s->roots[subgraph] = er_instance_new(s, subgraph, 0, error);
    return s->roots[subgraph];
}

void edgert_interpreter_close(edgert_interpreter *it)
{
    if (it) er_session_free(it->session);
}

edgert_model *edgert_interpreter_model(const edgert_interpreter *it) { return it->model; }

// From here on until end_work, what runs can be cancelled, and ends at the time limit.
static er_status begin_work(edgert_interpreter *it, edgert_error *error)
{
    er_session *s = it->session;
    if (atomic_exchange_explicit(&s->busy, 1, memory_order_acquire))
        return er_fail(error, EDGERT_ERROR_ARGUMENT, "another thread is running this interpreter: give each thread its own");
    atomic_store_explicit(&s->cancelled, 0, memory_order_relaxed);
    s->deadline = s->time_limit ? er_nanoseconds() + s->time_limit : 0;
    er_pool_watch(it->pool, &s->cancelled, &s->deadline);
    return ER_OK;
}

static void end_work(edgert_interpreter *it)
{
    er_pool_watch(it->pool, NULL, NULL);
    atomic_store_explicit(&it->session->busy, 0, memory_order_release);
}

edgert_status edgert_allocate(edgert_interpreter *it, edgert_error *error)
{
    if (it->planned) return ER_OK;
    ER_TRY(begin_work(it, error));
    const er_status status = er_make_plan(it, error);
    end_work(it);
    return status;
}

static er_status check_index(const edgert_interpreter *it, int32_t tensor, edgert_error *error)
{
    if (tensor >= 0 && tensor < it->graph->n_tensors) return ER_OK;
    return er_fail(error, EDGERT_ERROR_ARGUMENT, "there is no tensor %d: the model has %d", tensor, it->graph->n_tensors);
}

edgert_status edgert_resize_input(edgert_interpreter *it, int32_t tensor, const int32_t *dims, int32_t rank, int32_t strict, edgert_error *error)
{
    ER_TRY(check_index(it, tensor, error));
    const er_tensor_def *d = &it->graph->tensors[tensor];
    int32_t input = 0;
    while (input < it->graph->n_inputs && it->graph->inputs[input] != tensor) input++;
    if (input == it->graph->n_inputs) return er_fail(error, EDGERT_ERROR_ARGUMENT, "tensor %d \"%.200s\" is no input of the model", tensor, d->name);
    if (rank < 0 || rank > ER_MAX_RANK) return er_fail(error, EDGERT_ERROR_ARGUMENT, "rank %d for input \"%.200s\" is not supported, at most %d is", rank, d->name, ER_MAX_RANK);
    if (strict && rank != d->signature_rank)
        return er_fail(error, EDGERT_ERROR_ARGUMENT, "input \"%.200s\" has rank %d, a shape of rank %d was given", d->name, d->signature_rank, rank);
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0) return er_fail(error, EDGERT_ERROR_ARGUMENT, "size %d in dimension %d of input \"%.200s\" is negative", dims[i], i, d->name);
        if (strict && d->signature[i] != -1 && d->signature[i] != dims[i])
            return er_fail(error, EDGERT_ERROR_ARGUMENT, "dimension %d of input \"%.200s\" is fixed at %d, %d was given", i, d->name, d->signature[i], dims[i]);
    }
    er_shape *s = &it->input_shapes[input];
    if (it->planned && s->rank == rank && (!rank || !memcmp(s->dims, dims, (size_t)rank * sizeof *dims))) return ER_OK;
    s->rank = rank;
    if (rank) memcpy(s->dims, dims, (size_t)rank * sizeof *dims);
    er_drop_plan(it);
    er_tensor *t = &it->tensors[tensor];
    t->rank = rank;
    memcpy(t->dims, s->dims, sizeof t->dims);
    return ER_OK;
}

static er_status not_planned(edgert_error *error)
{
    return er_fail(error, EDGERT_ERROR_ARGUMENT, "tensors are not allocated: call allocate_tensors() first, and again after a resize");
}

static er_status fault(const edgert_interpreter *it, edgert_error *error)
{
    const er_op *op = it->fault.op;
    char what[sizeof error->message];       // it may lie in `error`
    snprintf(what, sizeof what, "%s", it->fault.what);
    return er_fail(error, it->fault.code, "op %d %s \"%.200s\": %.3600s", (int)(op - it->ops), op->def->name,
                   op->n_outputs ? op->outputs[0]->def->name : "", what);
}

static er_status run_stage(edgert_interpreter *it, const er_stage *s, edgert_error *error)
{
    uint64_t before = it->profiling ? er_nanoseconds() : 0;
    for (int32_t i = s->from; i < s->to; i++) {
        if (!it->ops[i].fused_into) it->ops[i].run(&it->ops[i], it->pool);
        ER_TRY(er_session_check(it->session, error));
        if (!it->profiling) continue;
        uint64_t now = er_nanoseconds();
        it->nanoseconds[i] += now - before;
        before = now;
    }
    return it->fault.what ? fault(it, error) : ER_OK;
}

er_status er_run_graph(edgert_interpreter *it, edgert_error *error)
{
    it->fault.what = NULL;
    for (int32_t s = 0;; s++) {
        if (s > 0) ER_TRY(er_plan_next(it, s, error));
        ER_TRY(run_stage(it, &it->stages[s], error));
        if (it->stages[s].to == it->graph->n_ops) return ER_OK;
    }
}

edgert_status edgert_invoke(edgert_interpreter *it, edgert_error *error)
{
    if (!it->planned) return not_planned(error);
    ER_TRY(begin_work(it, error));
    if (it->sharing.brief) er_sharing_begin(&it->sharing, it->pool, er_nanoseconds());
    const er_status status = er_run_graph(it, error);
    if (it->sharing.brief) er_sharing_end(&it->sharing, er_nanoseconds());
    end_work(it);
    return status;
}

void edgert_cancel(edgert_interpreter *it) { atomic_store_explicit(&it->session->cancelled, 1, memory_order_relaxed); }
void edgert_set_time_limit(edgert_interpreter *it, uint64_t nanoseconds) { it->session->time_limit = nanoseconds; }

int32_t edgert_inputs(const edgert_interpreter *it) { return it->graph->n_inputs; }
int32_t edgert_outputs(const edgert_interpreter *it) { return it->graph->n_outputs; }
int32_t edgert_input(const edgert_interpreter *it, int32_t i) { return i >= 0 && i < it->graph->n_inputs ? it->graph->inputs[i] : -1; }
int32_t edgert_output(const edgert_interpreter *it, int32_t i) { return i >= 0 && i < it->graph->n_outputs ? it->graph->outputs[i] : -1; }
int32_t edgert_tensors(const edgert_interpreter *it) { return it->graph->n_tensors; }

edgert_status edgert_tensor(const edgert_interpreter *it, int32_t tensor, edgert_tensor_info *info, edgert_error *error)
{
    ER_TRY(check_index(it, tensor, error));
    const er_tensor *t = &it->tensors[tensor];
    const er_tensor_def *d = t->def;
    *info = (edgert_tensor_info){
        .name = d->name, .type = d->type, .rank = t->rank, .dims = t->dims, .signature_rank = d->signature_rank, .signature = d->signature,
        .scales = d->quant.n, .scale = d->quant.scale, .zero_points = d->quant.n_zero, .zero_point = d->quant.zero,
        .quantized_dimension = d->quant.dimension, .is_constant = t->constant, .is_variable = d->is_variable, .bytes = t->bytes};
    return ER_OK;
}

void *edgert_tensor_data(const edgert_interpreter *it, int32_t tensor, edgert_error *error)
{
    if (check_index(it, tensor, error) != ER_OK) return NULL;
    const er_tensor *t = &it->tensors[tensor];
    if (t->constant) return t->data;
    if (!it->planned) {
        not_planned(error);
        return NULL;
    }
    if (!it->readable[tensor] || !t->data) {
        er_fail(error, EDGERT_ERROR_ARGUMENT, "tensor %d \"%.200s\" does not keep its value: its memory is used again; make the interpreter with experimental_preserve_all_tensors=True to read it",
                tensor, t->def->name);
        return NULL;
    }
    return t->data;
}

static er_status check_size(const edgert_interpreter *it, int32_t tensor, size_t bytes, edgert_error *error)
{
    const er_tensor *t = &it->tensors[tensor];
    if (bytes == t->bytes) return ER_OK;
    return er_fail(error, EDGERT_ERROR_ARGUMENT, "tensor %d \"%.200s\" has %zu bytes, %zu were given", tensor, t->def->name, t->bytes, bytes);
}

edgert_status edgert_tensor_set(edgert_interpreter *it, int32_t tensor, const void *data, size_t bytes, edgert_error *error)
{
    void *to = edgert_tensor_data(it, tensor, error);
    if (!to) return EDGERT_ERROR_ARGUMENT;
    ER_TRY(check_size(it, tensor, bytes, error));
    if (it->tensors[tensor].constant) return er_fail(error, EDGERT_ERROR_ARGUMENT, "tensor %d \"%.200s\" is a constant of the model", tensor, it->tensors[tensor].def->name);
    if (bytes) memcpy(to, data, bytes);
    return ER_OK;
}

edgert_status edgert_tensor_get(const edgert_interpreter *it, int32_t tensor, void *data, size_t bytes, edgert_error *error)
{
    const void *from = edgert_tensor_data(it, tensor, error);
    if (!from) return EDGERT_ERROR_ARGUMENT;
    ER_TRY(check_size(it, tensor, bytes, error));
    if (bytes) memcpy(data, from, bytes);
    return ER_OK;
}

void er_clear_variables(edgert_interpreter *it)
{
    for (int32_t i = 0; i < it->graph->n_tensors; i++) {
        er_tensor *t = &it->tensors[i];
        if (t->def->is_variable && !t->constant && t->data && t->bytes) memset(t->data, t->def->type == EDGERT_INT8 ? er_zero(t) : 0, t->bytes);
    }
    for (int32_t i = 0; i < it->graph->n_ops; i++)
        if (it->ops[i].memory_bytes) memset(it->ops[i].memory, 0, it->ops[i].memory_bytes);
}

void er_begin_variables(edgert_interpreter *it)
{
    er_clear_variables(it);
    for (int32_t i = 0; i < it->graph->n_tensors; i++) {
        const er_tensor *t = &it->tensors[i];
        if (t->initial && t->data && t->bytes) memcpy(t->data, t->initial, t->bytes);
    }
}

edgert_status edgert_reset_variables(edgert_interpreter *it, edgert_error *error)
{
    if (!it->planned) return not_planned(error);
    er_session_reset(it->session);
    return ER_OK;
}

int32_t edgert_ops(const edgert_interpreter *it) { return it->graph->n_ops; }

edgert_status edgert_op(const edgert_interpreter *it, int32_t i, edgert_op_info *info, edgert_error *error)
{
    if (i < 0 || i >= it->graph->n_ops) return er_fail(error, EDGERT_ERROR_ARGUMENT, "there is no operator %d: the model has %d", i, it->graph->n_ops);
    const er_op_def *d = &it->graph->ops[i];
    const er_op *op = it->planned ? &it->ops[i] : NULL;
    *info = (edgert_op_info){d->name, d->n_inputs, d->inputs, d->n_outputs, d->outputs, op ? op->macs : 0, op && op->kernel ? op->kernel : "",
                             op && op->fused_into ? (int32_t)(op->fused_into - it->ops) : -1};
    return ER_OK;
}

edgert_memory_info edgert_memory(const edgert_interpreter *it)
{
    size_t plan = it->heap.total;
    for (int32_t i = 0; i < it->n_stages; i++) plan += it->stages[i].heap.total;
    return (edgert_memory_info){it->session->memory_used, er_store_bytes(it->model->packed), plan, it->model->size};
}

void edgert_profile(edgert_interpreter *it, int32_t on)
{
    it->profiling = on != 0;
    if (on && it->planned) memset(it->nanoseconds, 0, (size_t)it->graph->n_ops * sizeof *it->nanoseconds);
}

uint64_t edgert_profile_get(const edgert_interpreter *it, int32_t op)
{
    return it->planned && op >= 0 && op < it->graph->n_ops ? it->nanoseconds[op] : 0;
}
