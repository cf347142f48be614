// Rewrites of the plan that keep every byte of the outputs.
//
// convolution -> depthwise -> pointwise becomes one step that goes down the image line by line, so that the tensors in between stay in
// the cache and need no memory of their own. The first is left alone where what it writes is small: computing its rows one
// at a time would cost more than it saves. A sum of what a convolution writes and of what was there before is made by the convolution; and a
// PAD before one is its padding. Tables: tables.c.
#include "ops/conv_2d.h"
#include "ops/depthwise.h"
#include "runtime/rewrite.h"

enum { ADD = 0, CONV_2D = 3, DEPTHWISE_CONV_2D = 4, PAD = 34, SUB = 41, WORTH_STREAMING = 160 * 1024 };

er_status er_find_uses(edgert_interpreter *it, edgert_error *error)
{
    const er_subgraph *g = it->graph;
    er_use *u = it->uses = er_heap_alloc(&it->heap, ((size_t)g->n_tensors + 1) * sizeof *u);
    if (!u) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    for (int32_t t = 0; t < g->n_tensors; t++) u[t] = (er_use){-1, -1, 0};
    for (int32_t i = 0; i < g->n_ops; i++) {
        const er_op_def *d = &g->ops[i];
        for (int32_t j = 0; j < d->n_outputs; j++) u[d->outputs[j]].writer = i;
        for (int32_t j = 0; j < d->n_inputs; j++) {
            if (d->inputs[j] < 0) continue;
            u[d->inputs[j]].reader = i;
            u[d->inputs[j]].readers++;
        }
    }
    for (int32_t i = 0; i < g->n_outputs; i++) u[g->outputs[i]].readers++;
    return ER_OK;
}

er_status er_prepare_op(er_prepare *p, edgert_interpreter *it, er_op *op, int32_t from)
{
    const int32_t builtin = op->def->builtin;
    er_tensor *x = op->n_inputs ? op->inputs[0] : NULL;
    if (x && it->session->rewrites && !it->session->preserve_all && (builtin == CONV_2D || builtin == DEPTHWISE_CONV_2D)) {
        const er_use *use = &it->uses[x->index];
        if (use->readers == 1 && use->writer >= from && it->graph->ops[use->writer].builtin == PAD) op->pad = &it->ops[use->writer];
    }
    ER_TRY(er_op_type_of(op->def)->prepare(p, op));
    if (op->pad && op->inputs[0] != x) {
        op->pad->fused_into = op;
        x->inside = true;
    }
    return ER_OK;
}

static er_op *only(edgert_interpreter *it, int32_t op, int32_t builtin)
{
    return op >= 0 && it->graph->ops[op].builtin == builtin && !it->ops[op].fused_into ? &it->ops[op] : NULL;
}

static er_status fuse_depthwise(er_prepare *p, edgert_interpreter *it, er_op *op)
{
    er_tensor *x = op->inputs[0], *y = op->outputs[0];
    er_op *before = it->uses[x->index].readers == 1 ? only(it, it->uses[x->index].writer, CONV_2D) : NULL;
    er_op *after = it->uses[y->index].readers == 1 ? only(it, it->uses[y->index].reader, CONV_2D) : NULL;
    if (before && ((x->bytes < WORTH_STREAMING && !it->session->all_rewrites) || !er_depthwise_takes_before(op, before))) before = NULL;
    if (after && (after->inputs[0] != y || !er_depthwise_takes_after(op, after))) after = NULL;
    if (!before && !after) return ER_OK;
    ER_TRY(er_depthwise_fuse(p, op, before, after));
    if (before) before->fused_into = op;
    if (after) after->fused_into = op;
    x->inside = before != NULL;
    y->inside = after != NULL;
    return ER_OK;
}

// The operator that does its work.
static const er_op *step_of(const er_op *op) { return op->fused_into ? op->fused_into : op; }

// The convolution that computes one of its terms, when the other one is there already.
static void fuse_sum(edgert_interpreter *it, er_op *op)
{
    if (op->fused_into || op->n_inputs != 2 || !op->inputs[0] || !op->inputs[1]) return;
    for (int32_t i = 0; i < 2; i++) {
        er_tensor *term = op->inputs[i], *other = op->inputs[!i];
        int32_t by = it->uses[term->index].writer, other_by = it->uses[other->index].writer;
        if (by < 0 || it->uses[term->index].readers != 1 || it->graph->ops[by].builtin != CONV_2D || term->inside) continue;
        er_op *conv = &it->ops[by];
        const er_op *step = step_of(conv);
        if (!er_conv_takes_sum(conv, op) || (other_by >= 0 && step_of(&it->ops[other_by]) >= step)) continue;
        er_conv_fuse_sum(conv, op);
        op->fused_into = step;
        term->inside = true;
        return;
    }
}

er_status er_fuse(er_prepare *p, edgert_interpreter *it)
{
    if (it->session->preserve_all || !it->session->rewrites) return ER_OK;
    ER_TRY(er_fuse_tables(p, it));
    for (int32_t i = 0; i < it->graph->n_ops; i++)
        if (it->graph->ops[i].builtin == DEPTHWISE_CONV_2D) ER_TRY(fuse_depthwise(p, it, &it->ops[i]));
    for (int32_t i = 0; i < it->graph->n_ops; i++)
        if (it->graph->ops[i].builtin == ADD || it->graph->ops[i].builtin == SUB) fuse_sum(it, &it->ops[i]);
    return ER_OK;
}
