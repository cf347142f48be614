// Every tensor in one arena: which share memory, when each lives, and where it lies.
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "ops/concatenation.h"
#include "runtime/interpreter.h"
#include "runtime/planner.h"

enum { CONCATENATION = 2 };

// Tensors that share memory are one block. `block_of`: [n_tensors], -1 for those that need none; `offset_of`: where in it.
typedef struct { er_block *blocks; int32_t n; int32_t *block_of; size_t *offset_of; } layout;

static void extend(er_block *b, size_t bytes, int32_t first, int32_t last)
{
    if (bytes > b->bytes) b->bytes = bytes;
    if (first < b->first) b->first = first;
    if (last > b->last) b->last = last;
}

static bool contains(const int32_t *list, int32_t n, int32_t x)
{
    for (int32_t i = 0; i < n; i++)
        if (list[i] == x) return true;
    return false;
}

// The step in which an operator's work is done.
static int32_t step_of(const edgert_interpreter *it, int32_t op)
{
    const er_op *fused = it->ops[op].fused_into;
    return fused ? (int32_t)(fused - it->ops) : op;
}

// When each tensor is first written and last needed. Inputs and outputs keep their values between invokes, and so does what later
// stages read.
static void find_lives(const edgert_interpreter *it, const er_stage *s, int32_t *first, int32_t *last)
{
    const er_subgraph *g = it->graph;
    for (int32_t t = 0; t < g->n_tensors; t++) {
        first[t] = g->n_ops;
        last[t] = -1;
    }
    for (int32_t i = s->to; i < g->n_ops; i++)
        for (int32_t j = 0; j < g->ops[i].n_inputs; j++)
            if (g->ops[i].inputs[j] >= 0) last[g->ops[i].inputs[j]] = g->n_ops;
    for (int32_t i = s->from; i < s->to; i++) {
        const er_op *op = &it->ops[i];
        int32_t when = step_of(it, i);
        for (int32_t j = 0; j < op->n_inputs; j++)
            if (op->inputs[j]) last[op->inputs[j]->index] = er_max32(last[op->inputs[j]->index], when);
        for (int32_t j = 0; j < op->n_outputs; j++) {
            int32_t t = op->outputs[j]->index;
            first[t] = when;
            last[t] = it->session->preserve_all ? g->n_ops : er_max32(last[t], when);
        }
    }
    for (int32_t i = 0; i < g->n_outputs; i++) last[g->outputs[i]] = g->n_ops;
    for (int32_t i = 0; i < g->n_inputs; i++) {
        first[g->inputs[i]] = 0;
        last[g->inputs[i]] = g->n_ops;
    }
    for (int32_t t = 0; t < g->n_tensors; t++) {
        if (!g->tensors[t].is_variable) continue;
        first[t] = 0;
        last[t] = g->n_ops;
    }
}

// Lets the operator's output have its input's block, where that is right.
static bool share(const edgert_interpreter *it, const er_op *op, int32_t i, layout *l, const int32_t *last)
{
    if (op->share == ER_SHARE_NO || !op->inputs[0]) return false;
    const er_subgraph *g = it->graph;
    int32_t x = op->inputs[0]->index, y = op->outputs[0]->index, b = l->block_of[x];
    if (b < 0 || l->block_of[y] >= 0 || op->inputs[0]->bytes != op->outputs[0]->bytes) return false;
    if (op->share == ER_SHARE_IN_PLACE && l->blocks[b].last > i) return false;
    // Writing an input must not change an output before the next invoke.
    if (contains(g->inputs, g->n_inputs, x) && contains(g->outputs, g->n_outputs, y)) return false;
    extend(&l->blocks[b], op->outputs[0]->bytes, i, last[y]);
    l->block_of[y] = b;
    l->offset_of[y] = l->offset_of[x];
    return true;
}

static void add_block(layout *l, const er_tensor *t, int32_t first, int32_t last)
{
    if (t->constant || !t->has_shape || l->block_of[t->index] >= 0) return;
    l->block_of[t->index] = l->n;
    l->blocks[l->n++] = (er_block){t->bytes, first, last, 0};
}

// Lets `x` be written into `y`'s block, and the tensors too that it is a view of, as far as they have no memory yet.
static void place_in(const edgert_interpreter *it, const er_tensor *x, const er_tensor *y, size_t offset, layout *l, const int32_t *first, const int32_t *last)
{
    for (;;) {
        const int32_t by = it->uses[x->index].writer;
        if (by < 0 || !x->bytes || x->constant || x->inside || x->def->is_variable || l->block_of[x->index] >= 0) return;
        add_block(l, y, first[y->index], last[y->index]);
        l->block_of[x->index] = l->block_of[y->index];
        l->offset_of[x->index] = l->offset_of[y->index] + offset;
        extend(&l->blocks[l->block_of[y->index]], 0, first[x->index], last[x->index]);
        const er_op *op = &it->ops[by];
        if (op->share != ER_SHARE_VIEW || op->inputs[0]->bytes != x->bytes) return;
        x = op->inputs[0];
    }
}

// What is joined is written where it is joined, and so is what becomes that without a byte changed. The last first: a part may have parts.
static void join_in_place(const edgert_interpreter *it, const er_stage *s, layout *l, const int32_t *first, const int32_t *last)
{
    if (it->session->preserve_all || !it->session->rewrites || !s->first || s->to < it->graph->n_ops) return;
    for (int32_t i = it->graph->n_ops - 1; i >= 0; i--) {
        const er_op *op = &it->ops[i];
        if (op->def->builtin != CONCATENATION) continue;
        size_t offset;
        for (int32_t j = 0; j < op->n_inputs; j++)
            if (er_concatenation_holds(op, j, &offset)) place_in(it, op->inputs[j], op->outputs[0], offset, l, first, last);
    }
}

// The largest tensor of the stage, for a message.
static const er_tensor *largest(const edgert_interpreter *it, const layout *l)
{
    const er_tensor *most = &it->tensors[0];
    for (int32_t t = 0; t < it->graph->n_tensors; t++)
        if (l->block_of[t] >= 0 && (l->block_of[most->index] < 0 || it->tensors[t].bytes > most->bytes)) most = &it->tensors[t];
    return most;
}

static er_status lay_out(edgert_interpreter *it, er_stage *s, layout *l, int32_t *first, int32_t *last, edgert_error *error)
{
    const er_subgraph *g = it->graph;
    find_lives(it, s, first, last);
    for (int32_t t = 0; t < g->n_tensors; t++) l->block_of[t] = -1;
    for (int32_t i = 0; i < g->n_inputs && s->first; i++) add_block(l, &it->tensors[g->inputs[i]], first[g->inputs[i]], last[g->inputs[i]]);
    for (int32_t t = 0; t < g->n_tensors && s->first; t++)
        if (g->tensors[t].is_variable) add_block(l, &it->tensors[t], first[t], last[t]);
    join_in_place(it, s, l, first, last);
    size_t threads = (size_t)er_pool_threads(it->pool);
    int32_t *scratch = er_heap_alloc(&s->heap, ((size_t)g->n_ops + 1) * sizeof *scratch);
    if (!scratch) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    for (int32_t i = s->from; i < s->to; i++) {
        er_op *op = &it->ops[i];
        if (!share(it, op, i, l, last))
            for (int32_t j = 0; j < op->n_outputs; j++)
                if (!op->outputs[j]->inside) add_block(l, op->outputs[j], step_of(it, i), last[op->outputs[j]->index]);
        size_t bytes, own;
        if (!er_scratch_bytes(op, threads, &own, &bytes))
            return er_fail(error, EDGERT_ERROR_MEMORY, "op %d %s: it needs more memory than can be addressed", i, op->def->name);
        op->scratch_stride = own / threads;
        scratch[i] = l->n;
        if (own == 0 && op->shared_bytes == 0) bytes = 0;
        l->blocks[l->n++] = (er_block){bytes, step_of(it, i), step_of(it, i), 0};
    }
    size_t bytes;
    er_session *session = it->session;
    ER_TRY(er_plan_memory(l->blocks, l->n, &bytes, error));
    if (bytes > session->memory_limit || session->memory_used > session->memory_limit - bytes) {
        const er_tensor *most = largest(it, l);
        return er_fail(error, EDGERT_ERROR_MEMORY, "the tensors need %zu MiB of memory, over the memory limit of %zu MiB; the largest is tensor %d \"%.200s\" with %zu MiB",
                       (bytes + session->memory_used) >> 20, session->memory_limit >> 20, most->index, most->def->name, most->bytes >> 20);
    }
    s->arena = er_zeroed_alloc(bytes + ER_ALIGN);
    if (!s->arena) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for %zu bytes of tensors", bytes);
    s->arena_bytes = bytes;
    session->memory_used += bytes;
    for (int32_t t = 0; t < g->n_tensors; t++)
        if (l->block_of[t] >= 0) it->tensors[t].data = s->arena + l->blocks[l->block_of[t]].offset + l->offset_of[t];
    for (int32_t i = s->from; i < s->to; i++) {
        it->ops[i].scratch = s->arena + l->blocks[scratch[i]].offset;
        it->ops[i].shared = it->ops[i].scratch + it->ops[i].scratch_stride * threads;
    }
    for (int32_t t = 0; t < g->n_tensors; t++) {
        if (!s->first && (it->uses[t].writer < s->from || it->uses[t].writer >= s->to)) continue;
        it->readable[t] = !it->tensors[t].flipped && (l->block_of[t] < 0 ? it->tensors[t].data != NULL : l->blocks[l->block_of[t]].last == g->n_ops);
    }
    return ER_OK;
}

er_status er_place_tensors(edgert_interpreter *it, er_stage *s, edgert_error *error)
{
    size_t n = (size_t)it->graph->n_tensors + 1;
    layout l = {malloc((n + (size_t)it->graph->n_ops + 1) * sizeof(er_block)), 0, malloc(n * sizeof(int32_t)), calloc(n, sizeof(size_t))};
    int32_t *first = malloc(n * sizeof *first), *last = malloc(n * sizeof *last);
    er_status status = l.blocks && l.block_of && l.offset_of && first && last ? lay_out(it, s, &l, first, last, error)
                                                               : er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    free(l.blocks);
    free(l.block_of);
    free(l.offset_of);
    free(first);
    free(last);
    return status;
}
