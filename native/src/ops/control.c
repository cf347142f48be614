// IF, WHILE, CALL_ONCE, STABLEHLO_COMPOSITE: operators that run subgraphs.
//
// Where the shapes that come out are known when the plan is made, values are copied to the subgraph and back. Where they depend on data, the
// operator waits for its inputs, runs while it is prepared, and keeps what came out in the plan.
#include <string.h>

#include "ops/host.h"

static void copy_in(er_tensor *const *from, er_callee *c, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        er_tensor *to = er_callee_input(c, i);
        if (to->bytes && to->data != from[i]->data) memcpy(to->data, from[i]->data, to->bytes);
    }
}

static bool has_shape(const er_tensor *t, const er_tensor *as)
{
    return t->rank == as->rank && !memcmp(t->dims, as->dims, (size_t)t->rank * sizeof *t->dims) && t->def->type == as->def->type;
}

static er_status expect_all_inputs(er_prepare *p, const er_op *op)
{
    for (int32_t i = 0; i < op->n_inputs; i++)
        if (!op->inputs[i]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input %d is left out", i);
    return ER_OK;
}

static er_status expect_all_values(er_prepare *p, er_op *op)
{
    for (int32_t i = 0; i < op->n_inputs; i++) ER_TRY(er_expect_values(p, op->inputs[i], "input"));
    return ER_OK;
}

// Output i gets its shape from `like`, whose type must be its own.
static er_status take_shape(er_prepare *p, er_op *op, int32_t i, const er_tensor *like)
{
    ER_TRY(er_expect_type(p, op->outputs[i], like->def->type, "output"));
    return er_set_same_shape(p, op->outputs[i], like);
}

// ---- what has run while it was prepared

typedef struct { const void **outputs; } kept;

static void run_kept(const er_op *op, er_pool *pool)
{
    (void)pool;
    const kept *k = op->state;
    for (int32_t i = 0; i < op->n_outputs; i++)
        if (op->outputs[i]->bytes) memcpy(op->outputs[i]->data, k->outputs[i], op->outputs[i]->bytes);
}

// Keeps values[i], of the shape of like[i], for the outputs.
static er_status keep(er_prepare *p, er_op *op, er_tensor *const *values)
{
    er_status status;
    kept *k = op->state = er_alloc(p, sizeof *k, &status);
    ER_TRY(status);
    k->outputs = er_alloc(p, (size_t)(op->n_outputs + 1) * sizeof *k->outputs, &status);
    ER_TRY(status);
    for (int32_t i = 0; i < op->n_outputs; i++) {
        ER_TRY(take_shape(p, op, i, values[i]));
        void *copy = er_alloc(p, values[i]->bytes, &status);
        ER_TRY(status);
        if (values[i]->bytes) memcpy(copy, values[i]->data, values[i]->bytes);
        k->outputs[i] = copy;
    }
    op->run = run_kept;
    op->stateful = true;
    return ER_OK;
}

// A call while the plan is made: its outputs, in plan memory, [n_outputs].
static er_status call_now(er_prepare *p, er_callee *c, er_tensor *const *inputs, int32_t n_inputs, int32_t n_outputs, er_tensor ***out)
{
    er_status status;
    ER_TRY(er_callee_plan(c, inputs, p->error));
    copy_in(inputs, c, n_inputs);
    ER_TRY(er_callee_run(c, p->error));
    er_tensor **values = *out = er_alloc(p, (size_t)(n_outputs + 1) * sizeof *values, &status);
    ER_TRY(status);
    for (int32_t i = 0; i < n_outputs; i++) {
        values[i] = er_alloc(p, sizeof **values, &status);
        ER_TRY(status);
        *values[i] = *er_callee_output(c, i);
        void *copy = er_alloc(p, values[i]->bytes, &status);
        ER_TRY(status);
        if (values[i]->bytes) memcpy(copy, values[i]->data, values[i]->bytes);
        values[i]->data = copy;
    }
    return ER_OK;
}

// ---- calls of known shapes

typedef struct { er_host *host; er_callee *first, *second; int32_t subgraph; } control;

static void call(const er_op *op, er_host *host, er_callee *c, er_tensor *const *inputs, int32_t n)
{
    copy_in(inputs, c, n);
    const er_status status = er_callee_run(c, er_host_error(host));
    if (status != ER_OK) {
        er_op_fault_with(op, host, status);
        return;
    }
    for (int32_t i = 0; i < op->n_outputs; i++)
        if (op->outputs[i]->bytes) memcpy(op->outputs[i]->data, er_callee_output(c, i)->data, op->outputs[i]->bytes);
}

static er_status new_control(er_prepare *p, er_op *op, control **out)
{
    er_status status;
    control *s = op->state = *out = er_alloc(p, sizeof *s, &status);
    if (s) s->host = p->host;
    op->stateful = true;
    return status;
}

// Outputs have the shapes of the callee's.
static er_status use_call(er_prepare *p, er_op *op, const er_callee *c, int64_t macs, er_run run)
{
    for (int32_t i = 0; i < op->n_outputs; i++) ER_TRY(take_shape(p, op, i, er_callee_output(c, i)));
    op->macs = macs;
    op->run = run;
    op->kernel = "subgraph";
    return ER_OK;
}

static void run_composite(const er_op *op, er_pool *pool)
{
    (void)pool;
    const control *s = op->state;
    call(op, s->host, s->first, op->inputs, op->n_inputs);
}

er_status er_prepare_stablehlo_composite(er_prepare *p, er_op *op)
{
    control *s = NULL;
    ER_TRY(new_control(p, op, &s));
    ER_TRY(expect_all_inputs(p, op));
    ER_TRY(er_callee_new(p, er_read_composite_subgraph(op->def->options), op->n_inputs, op->n_outputs, &s->first));
    ER_TRY(er_callee_plan(s->first, op->inputs, p->error));
    if (!er_callee_is_static(s->first)) {
        er_tensor **values;
        ER_TRY(expect_all_values(p, op));
        ER_TRY(call_now(p, s->first, op->inputs, op->n_inputs, op->n_outputs, &values));
        return keep(p, op, values);
    }
    return use_call(p, op, s->first, er_callee_macs(s->first), run_composite);
}

// ---- IF

static void run_if(const er_op *op, er_pool *pool)
{
    (void)pool;
    const control *s = op->state;
    call(op, s->host, *er_u8(op->inputs[0]) ? s->first : s->second, op->inputs + 1, op->n_inputs - 1);
}

er_status er_prepare_if(er_prepare *p, er_op *op)
{
    control *s = NULL;
    ER_TRY(new_control(p, op, &s));
    if (op->n_inputs < 1 || !op->inputs[0] || op->inputs[0]->def->type != EDGERT_BOOL || op->inputs[0]->count != 1)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its condition is not one bool");
    ER_TRY(expect_all_inputs(p, op));
    er_tensor *const *args = op->inputs + 1;
    const er_int_pair branches = er_read_int_pair(op->def->options);
    ER_TRY(er_callee_new(p, branches.first, op->n_inputs - 1, op->n_outputs, &s->first));
    ER_TRY(er_callee_new(p, branches.second, op->n_inputs - 1, op->n_outputs, &s->second));
    // A branch may be impossible for these shapes where it is not taken: then the condition decides.
    bool both = er_callee_plan(s->first, args, p->error) == ER_OK && er_callee_plan(s->second, args, p->error) == ER_OK;
    both = both && er_callee_is_static(s->first) && er_callee_is_static(s->second);
    for (int32_t i = 0; both && i < op->n_outputs; i++) both = has_shape(er_callee_output(s->first, i), er_callee_output(s->second, i));
    if (!both) {
        er_tensor **values;
        ER_TRY(expect_all_values(p, op));
        ER_TRY(call_now(p, *er_u8(op->inputs[0]) ? s->first : s->second, args, op->n_inputs - 1, op->n_outputs, &values));
        return keep(p, op, values);
    }
    const int64_t first = er_callee_macs(s->first), second = er_callee_macs(s->second);
    return use_call(p, op, s->first, first > second ? first : second, run_if);
}

// ---- WHILE

static bool is_true(const er_callee *condition) { return *er_u8(er_callee_output(condition, 0)) != 0; }

static er_status expect_condition(er_prepare *p, const er_callee *c)
{
    const er_tensor *t = er_callee_output(c, 0);
    if (t->def->type == EDGERT_BOOL && t->count == 1) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_MODEL, "its condition is not one bool");
}

static er_status too_long(er_host *h, edgert_error *error)
{
    return er_fail(error, EDGERT_ERROR_CANCELLED, "its loop ran more than %lld times (max_iterations)", (long long)er_host_max_iterations(h));
}

static void run_while(const er_op *op, er_pool *pool)
{
    (void)pool;
    const control *s = op->state;
    for (int32_t i = 0; i < op->n_outputs; i++)
        if (op->outputs[i]->bytes) memmove(op->outputs[i]->data, op->inputs[i]->data, op->outputs[i]->bytes);
    for (int64_t n = 0;; n++) {
        copy_in(op->outputs, s->first, op->n_inputs);
        er_status status = er_callee_run(s->first, er_host_error(s->host));
        if (status == ER_OK && !is_true(s->first)) return;
        if (status == ER_OK) status = er_host_check(s->host, er_host_error(s->host));
        if (status == ER_OK && n >= er_host_max_iterations(s->host)) status = too_long(s->host, er_host_error(s->host));
        if (status != ER_OK) {
            er_op_fault_with(op, s->host, status);
            return;
        }
        call(op, s->host, s->second, op->outputs, op->n_inputs);
        if (op->fault->what) return;
    }
}

// Shapes change from turn to turn, or are not known before.
static er_status loop_now(er_prepare *p, er_op *op, const control *s)
{
    ER_TRY(expect_all_values(p, op));
    er_tensor **values = op->inputs, **condition;
    const er_prepare turn = *p;
    er_heap heaps[2] = {{NULL, 0}, {NULL, 0}};      // of this turn and the last: what one leaves the next reads
    er_status status = ER_OK;
    for (int64_t n = 0; status == ER_OK; n++) {
        er_prepare now = turn;
        now.heap = &heaps[n % 2];
        er_heap_free(now.heap);
        status = call_now(&now, s->first, values, op->n_inputs, 1, &condition);
        if (status == ER_OK) status = expect_condition(p, s->first);
        if (status != ER_OK || !*er_u8(condition[0])) break;
        if (n >= er_host_max_iterations(s->host)) status = too_long(s->host, p->error);
        if (status == ER_OK) status = er_host_check(s->host, p->error);
        if (status == ER_OK) status = call_now(&now, s->second, values, op->n_inputs, op->n_outputs, &values);
    }
    if (status == ER_OK) status = keep(p, op, values);
    er_heap_free(&heaps[0]);
    er_heap_free(&heaps[1]);
    return status;
}

er_status er_prepare_while(er_prepare *p, er_op *op)
{
    control *s = NULL;
    ER_TRY(new_control(p, op, &s));
    ER_TRY(expect_all_inputs(p, op));
    if (op->n_inputs != op->n_outputs) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d inputs and %d outputs, expected as many", op->n_inputs, op->n_outputs);
    const er_int_pair graphs = er_read_int_pair(op->def->options);
    ER_TRY(er_callee_new(p, graphs.first, op->n_inputs, 1, &s->first));
    ER_TRY(er_callee_new(p, graphs.second, op->n_inputs, op->n_inputs, &s->second));
    ER_TRY(er_callee_plan(s->first, op->inputs, p->error));
    bool fixed = er_callee_plan(s->second, op->inputs, p->error) == ER_OK && er_callee_is_static(s->first) && er_callee_is_static(s->second);
    for (int32_t i = 0; fixed && i < op->n_inputs; i++) fixed = has_shape(er_callee_output(s->second, i), op->inputs[i]);
    if (!fixed) return loop_now(p, op, s);
    ER_TRY(expect_condition(p, s->first));
    for (int32_t i = 0; i < op->n_outputs; i++) ER_TRY(take_shape(p, op, i, op->inputs[i]));
    op->macs = er_callee_macs(s->second);
    op->run = run_while;
    op->kernel = "loop";
    return ER_OK;
}

// ---- CALL_ONCE

static void run_call_once(const er_op *op, er_pool *pool)
{
    (void)pool;
    const control *s = op->state;
    if (!er_host_once(s->host, s->subgraph)) call(op, s->host, s->first, NULL, 0);
}

er_status er_prepare_call_once(er_prepare *p, er_op *op)
{
    control *s = NULL;
    ER_TRY(new_control(p, op, &s));
    s->subgraph = er_read_int(op->def->options);
    if (op->n_inputs || op->n_outputs) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has inputs or outputs");
    ER_TRY(er_callee_new(p, s->subgraph, 0, 0, &s->first));
    ER_TRY(er_callee_plan(s->first, NULL, p->error));
    op->run = run_call_once;
    op->kernel = "subgraph";
    return ER_OK;
}
