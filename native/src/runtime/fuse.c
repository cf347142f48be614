// Rewrites of the plan that keep every byte of the outputs.
//
// convolution -> depthwise -> pointwise becomes one step that goes down the image line by line, so that the tensors in between stay in
// the cache and need no memory of their own. The first is left alone where what it writes is small: computing its rows one
// at a time would cost more than it saves. Tables: tables.c.
#include <stdlib.h>

#include "ops/conv_2d.h"
#include "ops/depthwise.h"
#include "runtime/rewrite.h"

enum { CONV_2D = 3, DEPTHWISE_CONV_2D = 4, WORTH_STREAMING = 160 * 1024 };

static er_use *find_uses(const er_subgraph *g)
{
    er_use *u = malloc(((size_t)g->n_tensors + 1) * sizeof *u);
    if (!u) return NULL;
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
    return u;
}

static er_op *only(edgert_interpreter *it, int32_t op, int32_t builtin)
{
    return op >= 0 && it->graph->ops[op].builtin == builtin && !it->ops[op].fused_into ? &it->ops[op] : NULL;
}

static er_status fuse_depthwise(er_prepare *p, edgert_interpreter *it, er_op *op, const er_use *uses)
{
    er_tensor *x = op->inputs[0], *y = op->outputs[0];
    er_op *before = uses[x->index].readers == 1 ? only(it, uses[x->index].writer, CONV_2D) : NULL;
    er_op *after = uses[y->index].readers == 1 ? only(it, uses[y->index].reader, CONV_2D) : NULL;
    if (before && ((x->bytes < WORTH_STREAMING && !it->all_rewrites) || !er_depthwise_takes_before(op, before))) before = NULL;
    if (after && (after->inputs[0] != y || !er_depthwise_takes_after(op, after))) after = NULL;
    if (!before && !after) return ER_OK;
    ER_TRY(er_depthwise_fuse(p, op, before, after));
    if (before) before->fused_into = op;
    if (after) after->fused_into = op;
    x->inside = before != NULL;
    y->inside = after != NULL;
    return ER_OK;
}

er_status er_fuse(er_prepare *p, edgert_interpreter *it)
{
    if (it->preserve_all || !it->rewrites) return ER_OK;
    er_use *uses = find_uses(it->graph);
    if (!uses) return er_fail(p->error, EDGERT_ERROR_MEMORY, "out of memory while planning");
    er_status status = er_fuse_tables(p, it, uses);
    for (int32_t i = 0; i < it->graph->n_ops && status == ER_OK; i++)
        if (it->graph->ops[i].builtin == DEPTHWISE_CONV_2D) status = fuse_depthwise(p, it, &it->ops[i], uses);
    free(uses);
    return status;
}
