// VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE: tensors under a name. HASHTABLE, HASHTABLE_IMPORT, HASHTABLE_FIND, HASHTABLE_SIZE: int64 to int64.
//
// A handle is the number of what it stands for, known when the plan is made.
#include <string.h>

#include "ops/host.h"

typedef struct { er_host *host; int32_t id; } handle;

static er_status make_handle(er_prepare *p, er_op *op, int32_t id)
{
    er_status status;
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_RESOURCE, "output"));
    ER_TRY(er_set_shape(p, op->outputs[0], NULL, 0));
    int32_t *value = er_constant_output(p, op, &status);
    if (value) *value = id;
    return status;
}

// The handle that input 0 holds.
static er_status read_handle(er_prepare *p, er_op *op, handle **out)
{
    const er_tensor *t = op->inputs[0];
    ER_TRY(er_expect_type(p, t, EDGERT_RESOURCE, "handle"));
    ER_TRY(er_expect_values(p, t, "handle"));
    if (t->count < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its handle is empty");
    er_status status;
    handle *s = op->state = *out = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (handle){p->host, *er_i32(t)};
    op->stateful = true;
    return ER_OK;
}

er_status er_prepare_var_handle(er_prepare *p, er_op *op)
{
    if (op->n_inputs || op->n_outputs != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d inputs and %d outputs, expected 0 and 1", op->n_inputs, op->n_outputs);
    int32_t id;
    ER_TRY(er_variable_find(p, er_read_variable_container(op->def->options), er_read_variable_name(op->def->options), &id));
    return make_handle(p, op, id);
}

static void run_read(const er_op *op, er_pool *pool)
{
    (void)pool;
    const handle *s = op->state;
    const er_variable *v = er_variable_get(s->host, s->id);
    er_tensor *y = op->outputs[0];
    if (!v->assigned) er_op_fault(op, "the variable is read before a value is assigned to it");
    else if (v->bytes != y->bytes || v->rank != y->rank || memcmp(v->dims, y->dims, (size_t)v->rank * sizeof *v->dims))
        er_op_fault(op, "the variable has another shape than its reader expects");
    else if (v->bytes) memcpy(y->data, v->data, v->bytes);
}

er_status er_prepare_read_variable(er_prepare *p, er_op *op)
{
    handle *s = NULL;
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(read_handle(p, op, &s));
    const er_variable *v = er_variable_get(s->host, s->id);
    if (!v) return er_op_fail(p, EDGERT_ERROR_MODEL, "its handle is of no variable");
    er_tensor *y = op->outputs[0];
    op->run = run_read;
    op->kernel = "variable";
    if (v->assigned) {
        ER_TRY(er_expect_type(p, y, v->type, "output"));
        return er_set_shape(p, y, v->dims, v->rank);
    }
    // Nothing is assigned yet: the shape is what the model says.
    return er_set_shape(p, y, y->def->dims, y->def->rank);
}

static void run_assign(const er_op *op, er_pool *pool)
{
    (void)pool;
    const handle *s = op->state;
    er_variable *v = er_variable_get(s->host, s->id);
    const er_tensor *x = op->inputs[1];
    const er_status status = er_variable_reserve(s->host, v, x->bytes, er_host_error(s->host));
    if (status != ER_OK) {
        er_op_fault_with(op, s->host, status);
        return;
    }
    if (x->bytes) memcpy(v->data, x->data, x->bytes);
    v->assigned = true;
    v->type = x->def->type;
    v->rank = x->rank;
    memcpy(v->dims, x->dims, sizeof v->dims);
    v->bytes = x->bytes;
}

er_status er_prepare_assign_variable(er_prepare *p, er_op *op)
{
    handle *s = NULL;
    ER_TRY(er_expect_io(p, op, 2, 2, 0));
    ER_TRY(read_handle(p, op, &s));
    er_variable *v = er_variable_get(s->host, s->id);
    if (!v) return er_op_fail(p, EDGERT_ERROR_MODEL, "its handle is of no variable");
    op->run = run_assign;
    op->kernel = "variable";
    return er_variable_reserve(s->host, v, op->inputs[1]->bytes, p->error);     // now, so that nothing is allocated later
}

// ---- hash tables

er_status er_prepare_hashtable(er_prepare *p, er_op *op)
{
    if (op->n_inputs || op->n_outputs != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d inputs and %d outputs, expected 0 and 1", op->n_inputs, op->n_outputs);
    const er_hash_table_options o = er_read_hash_table(op->def->options);
    if (o.key != EDGERT_INT64 || o.value != EDGERT_INT64)
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it maps %s to %s; only int64 to int64 is supported", er_type_name((edgert_type)o.key), er_type_name((edgert_type)o.value));
    ER_TRY(er_table_find(p, o.id));
    return make_handle(p, op, o.id);
}

static er_status read_table(er_prepare *p, er_op *op, handle **s)
{
    ER_TRY(read_handle(p, op, s));
    return er_table_get((*s)->host, (*s)->id) ? ER_OK : er_op_fail(p, EDGERT_ERROR_MODEL, "its handle is of no hash table");
}

static void run_import(const er_op *op, er_pool *pool)
{
    (void)pool;
    const handle *s = op->state;
    er_hash_table *t = er_table_get(s->host, s->id);
    if (t->filled) return;      // the first import counts
    const er_status status = er_table_fill(t, op->inputs[1]->count, op->inputs[1]->data, op->inputs[2]->data, er_host_error(s->host));
    if (status != ER_OK) er_op_fault_with(op, s->host, status);
}

er_status er_prepare_hashtable_import(er_prepare *p, er_op *op)
{
    handle *s = NULL;
    ER_TRY(er_expect_io(p, op, 3, 3, 0));
    ER_TRY(read_table(p, op, &s));
    ER_TRY(er_expect_type(p, op->inputs[1], EDGERT_INT64, "keys"));
    ER_TRY(er_expect_type(p, op->inputs[2], EDGERT_INT64, "values"));
    if (op->inputs[1]->count != op->inputs[2]->count)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %zu keys and %zu values", op->inputs[1]->count, op->inputs[2]->count);
    op->run = run_import;
    return ER_OK;
}

static void run_find(const er_op *op, er_pool *pool)
{
    (void)pool;
    const handle *s = op->state;
    const er_hash_table *t = er_table_get(s->host, s->id);
    const int64_t *keys = op->inputs[1]->data, other = *(const int64_t *)op->inputs[2]->data;
    int64_t *y = op->outputs[0]->data, value = 0;
    for (size_t i = 0; i < op->inputs[1]->count; i++) y[i] = er_table_look_up(t, keys[i], &value) ? value : other;
}

er_status er_prepare_hashtable_find(er_prepare *p, er_op *op)
{
    handle *s = NULL;
    ER_TRY(er_expect_io(p, op, 3, 3, 1));
    ER_TRY(read_table(p, op, &s));
    ER_TRY(er_expect_type(p, op->inputs[1], EDGERT_INT64, "keys"));
    ER_TRY(er_expect_type(p, op->inputs[2], EDGERT_INT64, "default"));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_INT64, "output"));
    if (op->inputs[2]->count != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its default has %zu values, expected 1", op->inputs[2]->count);
    op->run = run_find;
    return er_set_same_shape(p, op->outputs[0], op->inputs[1]);
}

static void run_size(const er_op *op, er_pool *pool)
{
    (void)pool;
    const handle *s = op->state;
    *(int64_t *)op->outputs[0]->data = (int64_t)er_table_get(s->host, s->id)->n;
}

er_status er_prepare_hashtable_size(er_prepare *p, er_op *op)
{
    handle *s = NULL;
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(read_table(p, op, &s));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_INT64, "output"));
    op->run = run_size;
    return er_set_shape(p, op->outputs[0], (int32_t[]){1}, 1);
}
