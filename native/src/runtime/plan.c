// From model to plan: shapes, and every operator prepared. Memory: layout.c.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/system.h"
#include "runtime/interpreter.h"
#include "runtime/rewrite.h"

enum { DEQUANTIZE = 6 };

// Takes back the stages from `first` on.
static void drop_stages(edgert_interpreter *it, int32_t first)
{
    for (int32_t i = first; i < it->n_stages; i++) {
        er_stage *s = &it->stages[i];
        er_callees_free(s->callees);
        er_heap_free(&s->heap);
        er_zeroed_free(s->arena);
        it->session->memory_used -= s->arena_bytes;
    }
    if (first < it->n_stages) it->n_stages = first;
}

void er_drop_plan(edgert_interpreter *it)
{
    it->planned = false;
    drop_stages(it, 0);
    er_heap_free(&it->heap);
    it->ops = NULL;
    it->readable = NULL;
    it->uses = NULL;
    for (int32_t i = 0; i < it->graph->n_tensors; i++) {
        it->tensors[i].data = (void *)(uintptr_t)it->graph->tensors[i].data;
        it->tensors[i].constant = it->tensors[i].known = it->graph->tensors[i].data != NULL;
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
    t->constant = t->known = d->data != NULL;
    t->inside = false;
    t->initial = NULL;
    t->has_shape = t->constant || d->is_variable;
    if (!er_count(t->dims, t->rank, &t->count) || !er_mul_size(t->count, each ? each : 1, &t->bytes))
        return er_fail(error, EDGERT_ERROR_MODEL, "tensor %d \"%.200s\" has more elements than fit", i, d->name);
    return ER_OK;
}

// What operators from `from` on write is as if they had not been prepared.
static void reset_tensors_of(edgert_interpreter *it, int32_t from)
{
    for (int32_t i = from; i < it->graph->n_ops; i++)
        for (int32_t j = 0; j < it->graph->ops[i].n_outputs; j++) {
            const int32_t t = it->graph->ops[i].outputs[j];
            if (it->uses[t].writer < from) continue;
            reset_tensor(it, t, NULL);
            it->readable[t] = false;
        }
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

// TensorFlow's converter writes the zeros that a float16 LSTM's states begin with as a constant and its DEQUANTIZE, which runs once.
static bool begins_variable(const er_op *op, const er_tensor *t)
{
    return op->def->builtin == DEQUANTIZE && op->n_inputs == 1 && op->inputs[0] && op->inputs[0]->constant && t->def->is_variable && !t->constant;
}

static er_status link_tensors(edgert_interpreter *it, er_op *op, bool first, bool *written, er_heap *heap, edgert_error *error)
{
    size_t n = (size_t)(op->n_inputs + op->n_outputs);
    er_tensor **links = er_heap_alloc(heap, (n ? n : 1) * sizeof *links);
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
            it->tensors[t].constant = it->tensors[t].known = it->tensors[t].has_shape = true;
        }
    }
    for (int32_t i = 0; i < op->n_outputs; i++) {
        int32_t t = op->def->outputs[i];
        op->outputs[i] = &it->tensors[t];
        if (written[t] || (it->tensors[t].has_shape && !(first && begins_variable(op, &it->tensors[t]))) || it->uses[t].writer != (int32_t)(op - it->ops))
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
er_status er_run_now(edgert_interpreter *it, er_op *op, edgert_error *error)
{
    size_t bytes, own;
    const size_t threads = (size_t)er_pool_threads(it->pool);
    if (!er_scratch_bytes(op, threads, &own, &bytes) || bytes > it->session->memory_limit)
        return er_fail(error, EDGERT_ERROR_MEMORY, "%s runs while the model is planned, and needs more memory than the limit of %zu MiB", op->def->name, it->session->memory_limit >> 20);
    op->scratch_stride = own / threads;
    op->scratch = er_aligned_alloc(bytes);
    if (!op->scratch) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for constants");
    op->shared = op->scratch + own;
    op->run(op, it->pool);
    er_aligned_free(op->scratch);
    op->scratch = op->shared = NULL;
    return er_session_check(it->session, error);    // what was cut short is no constant
}

static er_status fold(edgert_interpreter *it, er_op *op, er_heap *heap, edgert_error *error)
{
    if (!op->run) {     // made its outputs constants itself
        op->run = run_nothing;
        op->kernel = "constant";
        return ER_OK;
    }
    if (op->stateful || !op->n_inputs) return ER_OK;
    for (int32_t i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] && !op->inputs[i]->constant) return ER_OK;
    for (int32_t i = 0; i < op->n_outputs; i++) {
        er_tensor *t = op->outputs[i];
        t->data = er_heap_alloc(heap, t->bytes);
        if (!t->data) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for constants");
        t->constant = t->known = !t->def->is_variable;
    }
    it->fault = (er_fault){NULL, NULL, ER_OK};
    ER_TRY(er_run_now(it, op, error));
    if (it->fault.what) return er_fail(error, EDGERT_ERROR_MODEL, "%s", it->fault.what);
    for (int32_t i = 0; i < op->n_outputs; i++) {
        er_tensor *t = op->outputs[i];
        if (t->constant) continue;
        t->initial = t->data;
        t->data = NULL;     // until variables have their place
    }
    op->run = run_nothing;
    op->kernel = "constant";
    op->scratch_bytes = op->shared_bytes = 0;
    op->share = ER_SHARE_NO;
    op->macs = 0;
    return ER_OK;
}

// Prepares operators from s->from on, as far as their values are there.
static er_status prepare_ops(edgert_interpreter *it, er_stage *s, edgert_error *error)
{
    const er_subgraph *g = it->graph;
    bool *written = calloc((size_t)g->n_tensors + 1, sizeof *written);
    if (!written) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    memset(it->asked, 0, (size_t)g->n_tensors);
    er_prepare p = {&s->heap, it->model->packed, it->kernels, it->plan_threads, error, &it->host, it->asked, it->session->memory_limit};
    er_status status = ER_OK;
    for (s->to = s->from; s->to < g->n_ops; s->to++) {
        er_op *op = &it->ops[s->to];
        const er_op_def *def = &g->ops[s->to];
        *op = (er_op){.def = def, .n_inputs = def->n_inputs, .n_outputs = def->n_outputs, .fault = &it->fault};
        status = link_tensors(it, op, s->first, written, &s->heap, error);
        if (status == ER_OK) status = er_prepare_op(&p, it, op, s->from);
        if (status == ER_LATER && (s->to > s->from || s->first)) {
            reset_tensors_of(it, s->to);
            status = ER_OK;
            break;
        }
        if (status == ER_LATER) status = EDGERT_ERROR_MODEL;    // whatever can be computed has been
        if (status == ER_OK) status = fold(it, op, &s->heap, error);
        if (status != ER_OK) {
            er_prefix(error, "op %d %s \"%.200s\": ", s->to, def->name, def->n_outputs > 0 ? g->tensors[def->outputs[0]].name : "");
            break;
        }
    }
    free(written);
    const bool whole = s->first && s->to == g->n_ops;
    return status == ER_OK && whole ? er_fuse(&p, it) : status;
}

static er_status copy_basis(edgert_interpreter *it, er_stage *s, edgert_error *error)
{
    int32_t n = 0;
    for (int32_t t = 0; t < it->graph->n_tensors; t++) n += it->asked[t];
    s->basis = er_heap_alloc(&s->heap, (size_t)(n + 1) * sizeof *s->basis);
    if (!s->basis) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    for (int32_t t = 0; t < it->graph->n_tensors; t++) {
        if (!it->asked[t]) continue;
        void *copy = er_heap_alloc_raw(&s->heap, it->tensors[t].bytes);
        if (!copy) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
        if (it->tensors[t].bytes) memcpy(copy, it->tensors[t].data, it->tensors[t].bytes);
        s->basis[s->n_basis++] = (er_basis){t, it->tensors[t].bytes, copy};
    }
    return ER_OK;
}

static er_status plan_stage(edgert_interpreter *it, int32_t from, edgert_error *error)
{
    if (it->n_stages == it->room) {
        const int32_t room = it->room ? 2 * it->room : 2;
        er_stage *more = realloc(it->stages, (size_t)room * sizeof *more);
        if (!more) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
        it->stages = more;
        it->room = room;
    }
    er_stage *s = &it->stages[it->n_stages++];
    *s = (er_stage){.from = from, .first = it->n_stages == 1};
    er_status status = prepare_ops(it, s, error);
    if (status == ER_OK) status = copy_basis(it, s, error);
    if (status == ER_OK) status = er_place_tensors(it, s, error);
    return status;
}

static er_status make_plan(edgert_interpreter *it, edgert_error *error)
{
    const er_subgraph *g = it->graph;
    for (int32_t i = 0; i < g->n_tensors; i++) ER_TRY(reset_tensor(it, i, error));
    for (int32_t i = 0; i < g->n_inputs; i++) ER_TRY(use_input_shape(it, i, error));
    it->ops = er_heap_alloc(&it->heap, ((size_t)g->n_ops + 1) * sizeof *it->ops);
    it->nanoseconds = er_heap_alloc(&it->heap, ((size_t)g->n_ops + 1) * sizeof *it->nanoseconds);
    it->readable = er_heap_alloc(&it->heap, (size_t)g->n_tensors + 1);
    it->asked = er_heap_alloc(&it->heap, (size_t)g->n_tensors + 1);
    if (!it->ops || !it->nanoseconds || !it->readable || !it->asked) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    ER_TRY(er_find_uses(it, error));
    ER_TRY(er_choose_storage(it, error));
    ER_TRY(plan_stage(it, 0, error));
    for (int32_t i = 0; i < g->n_outputs; i++)
        if (!it->tensors[g->outputs[i]].has_shape && it->uses[g->outputs[i]].writer < 0)
            return er_fail(error, EDGERT_ERROR_MODEL, "output %d, tensor %d \"%.200s\", is written by no operator", i, g->outputs[i], g->tensors[g->outputs[i]].name);
    return ER_OK;
}

// Stages from number i on, whose operators begin with `from`: tensors do not point at their memory any more.
static void take_back(edgert_interpreter *it, int32_t i, int32_t from)
{
    drop_stages(it, i);
    reset_tensors_of(it, from);
}

er_status er_plan_next(edgert_interpreter *it, int32_t i, edgert_error *error)
{
    const int32_t from = it->stages[i - 1].to;
    if (i < it->n_stages) {
        const er_stage *s = &it->stages[i];
        bool same = true;
        for (int32_t b = 0; same && b < s->n_basis; b++) {
            const er_tensor *t = &it->tensors[s->basis[b].tensor];
            same = t->bytes == s->basis[b].bytes && (!t->bytes || !memcmp(t->data, s->basis[b].data, t->bytes));
        }
        if (same) return ER_OK;
    }
    take_back(it, i, from);
    // All that has been computed so far, and all that was there before, has its value.
    for (int32_t t = 0; t < it->graph->n_tensors; t++)
        it->tensors[t].known = it->tensors[t].constant || (it->tensors[t].has_shape && it->tensors[t].data && it->uses[t].writer < from);
    er_status status = plan_stage(it, from, error);
    if (status != ER_OK) take_back(it, i, from);
    return status;
}

static bool share_work(edgert_interpreter *it)
{
    if (it->depth) return true;     // as the interpreter itself decides
    int64_t work = 0;
    for (int32_t i = 0; i < it->stages[0].to; i++) work += it->ops[i].macs;
    return er_sharing_plan(&it->sharing, it->pool, it->plan_threads, er_is_static(it) ? work : INT64_MAX / 2, it->kernels->speed, it->session->all_rewrites);
}

er_status er_make_plan(edgert_interpreter *it, edgert_error *error)
{
    er_drop_plan(it);
    it->plan_threads = er_pool_threads(it->pool);
    er_status status = make_plan(it, error);
    it->planned = status == ER_OK;
    if (status == ER_OK && !share_work(it)) {
        er_drop_plan(it);
        it->plan_threads = 1;
        status = make_plan(it, error);
        it->planned = status == ER_OK;
    }
    // Weights are packed: the file's own are not read any more, but for those of plain operators.
    if (!it->depth) er_file_rest(it->model->mapped, it->model->mapped ? it->model->size : 0);
    if (status == ER_OK) er_begin_variables(it);
    else er_drop_plan(it);
    return status;
}
