// The public interface to interpreters, and invoke.
#include "runtime/interpreter.h"

#include <stdlib.h>
#include <string.h>

#include "base/system.h"

enum { MAX_THREADS = 256 };

edgert_interpreter *edgert_interpreter_new(edgert_model *model, const edgert_options *options, edgert_error *error)
{
    edgert_options o = options ? *options : (edgert_options){1, 0};
    if (o.num_threads == 0) o.num_threads = 1;
    if (o.num_threads < 0 || o.num_threads > MAX_THREADS) {
        er_fail(error, EDGERT_ERROR_ARGUMENT, "num_threads is %d, expected 1 to %d", o.num_threads, MAX_THREADS);
        return NULL;
    }
    const er_kernels *kernels = er_kernels_get(error);
    if (!kernels) return NULL;
    edgert_interpreter *it = calloc(1, sizeof *it);
    if (!it) goto out_of_memory;
    er_model_retain(model);
    it->model = model;
    it->graph = &model->subgraphs[0];
    it->kernels = kernels;
    it->preserve_all = o.preserve_all_tensors != 0;
    const char *fuse = getenv("EDGERT_FUSE");
    it->rewrites = !fuse || strcmp(fuse, "0") != 0;
    it->all_rewrites = fuse && strcmp(fuse, "all") == 0;
    it->pool = er_pool_new(o.num_threads);
    it->tensors = calloc((size_t)it->graph->n_tensors + 1, sizeof *it->tensors);
    it->input_shapes = calloc((size_t)it->graph->n_inputs + 1, sizeof *it->input_shapes);
    if (!it->pool || !it->tensors || !it->input_shapes) goto out_of_memory;
    for (int32_t i = 0; i < it->graph->n_tensors; i++) {
        const er_tensor_def *d = &it->graph->tensors[i];
        er_tensor *t = &it->tensors[i];
        *t = (er_tensor){.def = d, .index = i, .rank = d->rank, .data = (void *)(uintptr_t)d->data, .constant = d->data != NULL};
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
    er_fail(error, EDGERT_ERROR_MEMORY, "out of memory or threads for an interpreter");
    edgert_interpreter_close(it);
    return NULL;
}

void edgert_interpreter_close(edgert_interpreter *it)
{
    if (!it) return;
    if (it->tensors) er_drop_plan(it);
    er_pool_free(it->pool);
    free(it->tensors);
    free(it->input_shapes);
    edgert_model_close(it->model);
    free(it);
}

edgert_model *edgert_interpreter_model(const edgert_interpreter *it) { return it->model; }

edgert_status edgert_allocate(edgert_interpreter *it, edgert_error *error)
{
    if (it->planned) return ER_OK;
    ER_TRY(er_make_plan(it, error));
    return edgert_reset_variables(it, error);
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
    if (it->planned && s->rank == rank && !memcmp(s->dims, dims, (size_t)rank * sizeof *dims)) return ER_OK;
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
    return er_fail(error, EDGERT_ERROR_ARGUMENT, "op %d %s \"%.200s\": %s", (int)(op - it->ops), op->def->name,
                   op->n_outputs ? op->outputs[0]->def->name : "", it->fault.what);
}

edgert_status edgert_invoke(edgert_interpreter *it, edgert_error *error)
{
    if (!it->planned) return not_planned(error);
    int32_t n = it->graph->n_ops;
    it->fault.what = NULL;
    if (it->sharing.brief) er_sharing_begin(&it->sharing, it->pool, er_nanoseconds());
    uint64_t before = it->profiling ? er_nanoseconds() : 0;
    for (int32_t i = 0; i < n; i++) {
        if (!it->ops[i].fused_into) it->ops[i].run(&it->ops[i], it->pool);
        if (!it->profiling) continue;
        uint64_t now = er_nanoseconds();
        it->nanoseconds[i] += now - before;
        before = now;
    }
    if (it->sharing.brief) er_sharing_end(&it->sharing, er_nanoseconds());
    return it->fault.what ? fault(it, error) : ER_OK;
}

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

edgert_status edgert_reset_variables(edgert_interpreter *it, edgert_error *error)
{
    if (!it->planned) return not_planned(error);
    for (int32_t i = 0; i < it->graph->n_tensors; i++) {
        er_tensor *t = &it->tensors[i];
        if (t->def->is_variable && !t->constant && t->data && t->bytes) memset(t->data, er_is_8bit(t) ? er_zero(t) : 0, t->bytes);
    }
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

edgert_memory_info edgert_memory(const edgert_interpreter *it) { return (edgert_memory_info){it->arena_bytes, it->heap.total + er_store_bytes(it->model->packed), it->model->size}; }

void edgert_profile(edgert_interpreter *it, int32_t on)
{
    it->profiling = on != 0;
    if (on && it->planned) memset(it->nanoseconds, 0, (size_t)it->graph->n_ops * sizeof *it->nanoseconds);
}

uint64_t edgert_profile_get(const edgert_interpreter *it, int32_t op)
{
    return it->planned && op >= 0 && op < it->graph->n_ops ? it->nanoseconds[op] : 0;
}
