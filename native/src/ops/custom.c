#include "ops/custom.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ops/host.h"

// Registered operators, newest first. They stay until the process ends: models refer to them.
typedef struct registered {
    struct registered *next;
    edgert_op_definition d;
    char name[];
} registered;

static _Atomic(registered *) first;

struct edgert_op_call {
    const er_op *op;
    er_prepare *p;              // NULL while it runs
    er_host *host;
    bool failed;
};

typedef struct { const registered *r; er_host *host; } custom;

static const registered *find(const char *name)
{
    for (const registered *r = atomic_load_explicit(&first, memory_order_acquire); r; r = r->next)
        if (!strcmp(r->name, name)) return r;
    return NULL;
}

edgert_status edgert_register_op(const edgert_op_definition *definition, edgert_error *error)
{
    if (!definition || !definition->name || !definition->name[0] || !definition->invoke)
        return er_fail(error, EDGERT_ERROR_ARGUMENT, "an operator needs a name and an invoke function");
    const size_t length = strlen(definition->name) + 1;
    registered *r = malloc(sizeof *r + length);
    if (!r) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for an operator");
    r->d = *definition;
    memcpy(r->name, definition->name, length);
    r->d.name = r->name;
    registered *next = atomic_load_explicit(&first, memory_order_relaxed);
    do r->next = next;
    while (!atomic_compare_exchange_weak_explicit(&first, &next, r, memory_order_release, memory_order_relaxed));
    return ER_OK;
}

static void run_custom(const er_op *op, er_pool *pool)
{
    (void)pool;
    const custom *s = op->state;
    edgert_op_call call = {op, NULL, s->host, false};
    const er_status status = s->r->d.invoke(&call, s->r->d.user);
    if (status == ER_OK) return;
    if (!call.failed) er_fail(er_host_error(s->host), EDGERT_ERROR_MODEL, "the operator failed with status %d", (int)status);
    er_op_fault_with(op, s->host, status == ER_LATER ? EDGERT_ERROR_MODEL : status);
}

static er_status prepare(er_prepare *p, er_op *op)
{
    er_status status;
    custom *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (custom){find(op->def->name), p->host};
    for (int32_t i = 0; i < op->n_outputs; i++) ER_TRY(er_set_shape(p, op->outputs[i], op->outputs[i]->def->dims, op->outputs[i]->def->rank));
    edgert_op_call call = {op, p, p->host, false};
    status = s->r->d.prepare ? s->r->d.prepare(&call, s->r->d.user) : ER_OK;
    if (status != ER_OK && !call.failed) return er_op_fail(p, EDGERT_ERROR_MODEL, "the operator's prepare failed with status %d", (int)status);
    op->run = run_custom;
    op->kernel = "custom";
    op->stateful = true;
    return status;
}

const er_op_type *er_registered_op(const char *name)
{
    static const er_op_type type = {prepare, (uint32_t)ER_EVERY, ER_PAIR_FREE, ER_STORAGE_AS_TYPE};
    return find(name) ? &type : NULL;
}

// ---- what it is called with

int32_t edgert_call_inputs(const edgert_op_call *call) { return call->op->n_inputs; }
int32_t edgert_call_outputs(const edgert_op_call *call) { return call->op->n_outputs; }

static edgert_op_tensor view(const edgert_op_call *call, const er_tensor *t)
{
    if (!t) return (edgert_op_tensor){.rank = -1};
    const bool single = t->def->quant.n == 1;
    return (edgert_op_tensor){t->def->type, t->rank, t->dims, t->bytes, call->p && !t->constant ? NULL : t->data, single ? er_scale(t) : 0, single ? er_zero(t) : 0};
}

edgert_op_tensor edgert_call_input(const edgert_op_call *call, int32_t i)
{
    return view(call, i >= 0 && i < call->op->n_inputs ? call->op->inputs[i] : NULL);
}

edgert_op_tensor edgert_call_output(const edgert_op_call *call, int32_t i)
{
    return view(call, i >= 0 && i < call->op->n_outputs ? call->op->outputs[i] : NULL);
}

const void *edgert_call_options(const edgert_op_call *call, size_t *bytes)
{
    *bytes = call->op->def->custom_bytes;
    return call->op->def->custom;
}

edgert_status edgert_call_set_shape(edgert_op_call *call, int32_t i, const int32_t *dims, int32_t rank)
{
    if (!call->p) return edgert_call_fail(call, "shapes are set in prepare");
    if (i < 0 || i >= call->op->n_outputs || rank < 0) return edgert_call_fail(call, "it sets the shape of an output that it does not have");
    const er_status status = er_set_shape(call->p, call->op->outputs[i], dims, rank);
    call->failed = call->failed || status != ER_OK;
    return status;
}

edgert_status edgert_call_fail(edgert_op_call *call, const char *message)
{
    call->failed = true;
    return er_fail(call->p ? call->p->error : er_host_error(call->host), EDGERT_ERROR_MODEL, "%s", message);
}
