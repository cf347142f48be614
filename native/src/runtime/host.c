// What operators ask of the runtime (ops/host.h): subgraphs and limits. Variables and tables: session.c.
#include <stdlib.h>
#include <string.h>

#include "runtime/interpreter.h"

enum { MAX_INSTANCES = 1000 };

struct er_callee {
    er_callee *next;
    edgert_interpreter *it;
};

void er_callees_free(er_callee *first)
{
    for (er_callee *next; first; first = next) {
        next = first->next;
        er_instance_free(first->it);
        free(first);
    }
}

er_status er_callee_new(er_prepare *p, int32_t subgraph, int32_t n_inputs, int32_t n_outputs, er_callee **out)
{
    edgert_interpreter *caller = p->host->it;
    er_session *s = caller->session;
    if (subgraph < 0 || subgraph >= s->model->n_subgraphs)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it calls subgraph %d, but the model has %d", subgraph, s->model->n_subgraphs);
    const er_subgraph *g = &s->model->subgraphs[subgraph];
    if (g->n_inputs != n_inputs || g->n_outputs != n_outputs)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it calls subgraph %d with %d inputs and %d outputs, which has %d and %d", subgraph, n_inputs, n_outputs,
                          g->n_inputs, g->n_outputs);
    if (caller->depth + 1 > s->max_depth)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "subgraphs call each other over %d deep (max_depth)", s->max_depth);
    if (s->instances >= MAX_INSTANCES) return er_op_fail(p, EDGERT_ERROR_MODEL, "subgraphs are called from more than %d places", MAX_INSTANCES);
    er_callee *c = calloc(1, sizeof *c);
    if (!c) return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory");
    c->it = er_instance_new(s, subgraph, caller->depth + 1, p->error);
    if (!c->it) {
        free(c);
        return EDGERT_ERROR_MEMORY;
    }
    er_stage *stage = &caller->stages[caller->n_stages - 1];
    c->next = stage->callees;
    stage->callees = c;
    *out = c;
    return ER_OK;
}

er_status er_callee_plan(er_callee *c, er_tensor *const *like, edgert_error *error)
{
    const er_subgraph *g = c->it->graph;
    for (int32_t i = 0; i < g->n_inputs; i++) {
        if (!like[i]) return er_fail(error, EDGERT_ERROR_MODEL, "its input %d is left out", i);
        const er_tensor_def *d = &g->tensors[g->inputs[i]];
        if (d->type != like[i]->def->type)
            return er_fail(error, EDGERT_ERROR_MODEL, "input %d of its subgraph is %s, it gives %s", i, er_type_name(d->type), er_type_name(like[i]->def->type));
        ER_TRY(edgert_resize_input(c->it, g->inputs[i], like[i]->dims, like[i]->rank, 0, error));
    }
    return c->it->planned ? ER_OK : er_make_plan(c->it, error);
}

bool er_callee_is_static(const er_callee *c) { return er_is_static(c->it); }
er_tensor *er_callee_input(const er_callee *c, int32_t i) { return &c->it->tensors[c->it->graph->inputs[i]]; }
er_tensor *er_callee_output(const er_callee *c, int32_t i) { return &c->it->tensors[c->it->graph->outputs[i]]; }
er_status er_callee_run(er_callee *c, edgert_error *error) { return er_run_graph(c->it, error); }

int64_t er_callee_macs(const er_callee *c)
{
    int64_t n = 0;
    for (int32_t i = 0; i < c->it->stages[0].to; i++) n += c->it->ops[i].macs;
    return n;
}

er_status er_host_check(er_host *h, edgert_error *error) { return er_session_check(h->it->session, error); }
int64_t er_host_max_iterations(const er_host *h) { return h->it->session->max_iterations; }
edgert_error *er_host_error(er_host *h) { return &h->it->session->error; }

const er_tensor_def *er_host_tensor(const er_host *h, int32_t tensor) { return &h->it->graph->tensors[tensor]; }

bool er_host_once(er_host *h, int32_t subgraph)
{
    bool *done = &h->it->session->once[subgraph], was = *done;
    *done = true;
    return was;
}
