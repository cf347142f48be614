#include "runtime/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/rank.h"
#include "base/system.h"
#include "runtime/interpreter.h"

enum { MAX_THREADS = 256, MAX_DEPTH = 32 };

// "512M": bytes, with K, M or G for powers of 1024. 0 where it is no such number.
static uint64_t read_bytes(const char *text)
{
    char *end;
    const unsigned long long n = strtoull(text, &end, 10);
    const int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == text || *text == '-' || end[shift > 0] || n > UINT64_MAX >> shift) return 0;
    return (uint64_t)n << shift;
}

static er_status choose_memory_limit(er_session *s, uint64_t wanted, edgert_error *error)
{
    const char *text = getenv("EDGERT_MEMORY_LIMIT");
    if (!wanted && text && *text) {
        wanted = read_bytes(text);
        if (!wanted) return er_fail(error, EDGERT_ERROR_ARGUMENT, "EDGERT_MEMORY_LIMIT is \"%.80s\", expected a number of bytes such as 500000000 or 512M", text);
    }
    if (!wanted) wanted = er_physical_memory();
    s->memory_limit = wanted && wanted < SIZE_MAX / 2 ? (size_t)wanted : SIZE_MAX / 2;
    return ER_OK;
}

static bool is_small(edgert_type t) { return t == EDGERT_INT4 || t == EDGERT_INT8 || t == EDGERT_UINT8 || t == EDGERT_INT16 || t == EDGERT_FLOAT16; }

// Whether floats meet smaller numbers somewhere: in QUANTIZE, in products with int8 weights, in weights that are made float again. Where floats become integers,
// what they differ by in the last bit would be a step. Of models of floats alone nobody expects the same bits, but speed.
static bool is_quantized(const edgert_model *model)
{
    for (int32_t g = 0; g < model->n_subgraphs; g++) {
        const er_subgraph *s = &model->subgraphs[g];
        for (int32_t i = 0; i < s->n_tensors; i++)
            if (is_small(s->tensors[i].type)) return true;
    }
    return false;
}

er_session *er_session_new(edgert_model *model, const edgert_options *options, edgert_error *error)
{
    edgert_options o = options ? *options : (edgert_options){.num_threads = 1};
    if (o.num_threads == 0) o.num_threads = 1;
    if (o.num_threads < 0 || o.num_threads > MAX_THREADS) {
        er_fail(error, EDGERT_ERROR_ARGUMENT, "num_threads is %d, expected 1 to %d", o.num_threads, MAX_THREADS);
        return NULL;
    }
    if (o.max_depth < 0 || o.max_iterations < 0) {
        er_fail(error, EDGERT_ERROR_ARGUMENT, "max_depth is %d and max_iterations %lld, expected no negative number", o.max_depth, (long long)o.max_iterations);
        return NULL;
    }
    const er_kernels *kernels = er_kernels_get(error);
    if (!kernels) return NULL;
    er_session *s = calloc(1, sizeof *s);
    if (!s) goto out_of_memory;
    er_model_retain(model);
    s->model = model;
    s->kernels = is_quantized(model) ? er_kernels_exact(kernels) : kernels;
    s->preserve_all = o.preserve_all_tensors != 0;
    s->max_iterations = o.max_iterations ? o.max_iterations : INT64_MAX;
    s->max_depth = o.max_depth ? o.max_depth : MAX_DEPTH;
    const char *fuse = getenv("EDGERT_FUSE");
    s->rewrites = !fuse || strcmp(fuse, "0") != 0;
    s->all_rewrites = fuse && strcmp(fuse, "all") == 0;
    if (choose_memory_limit(s, o.memory_limit, error) != ER_OK) {
        er_session_free(s);
        return NULL;
    }
    s->pool = er_pool_new(o.num_threads);
    s->roots = calloc((size_t)model->n_subgraphs, sizeof *s->roots);
    s->once = calloc((size_t)model->n_subgraphs, sizeof *s->once);
    if (s->pool && s->roots && s->once) return s;
out_of_memory:
    er_fail(error, EDGERT_ERROR_MEMORY, "out of memory or threads for an interpreter");
    er_session_free(s);
    return NULL;
}

static void free_table(er_hash_table *t)
{
    free(t->keys);
    free(t->values);
}

void er_session_free(er_session *s)
{
    if (!s) return;
    for (int32_t i = 0; s->roots && i < s->model->n_subgraphs; i++) er_instance_free(s->roots[i]);
    for (int32_t i = 0; i < s->n_variables; i++) free(s->variables[i].data);
    for (int32_t i = 0; i < s->n_tables; i++) free_table(&s->tables[i]);
    free(s->variables);
    free(s->tables);
    free(s->roots);
    free(s->once);
    er_pool_free(s->pool);
    edgert_model_close(s->model);
    free(s);
}

er_status er_session_stop(const er_session *s, edgert_error *error)
{
    if (atomic_load_explicit(&s->cancelled, memory_order_relaxed)) return er_fail(error, EDGERT_ERROR_CANCELLED, "it was cancelled");
    if (s->deadline && er_nanoseconds() > s->deadline)
        return er_fail(error, EDGERT_ERROR_CANCELLED, "it took longer than its time limit of %.6g s", (double)s->time_limit * 1e-9);
    return ER_OK;
}

void er_session_reset(er_session *s)
{
    for (int32_t i = 0; i < s->model->n_subgraphs; i++)
        if (s->roots[i] && s->roots[i]->planned) er_clear_variables(s->roots[i]);
}

// ---- variables

er_status er_variable_find(er_prepare *p, const char *container, const char *name, int32_t *id)
{
    er_session *s = p->host->it->session;
    for (*id = 0; *id < s->n_variables; ++*id)
        if (!strcmp(s->variables[*id].name, name) && !strcmp(s->variables[*id].container, container)) return ER_OK;
    er_variable *more = realloc(s->variables, ((size_t)s->n_variables + 1) * sizeof *more);
    if (!more) return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory for a variable");
    s->variables = more;
    s->variables[s->n_variables++] = (er_variable){.container = container, .name = name};
    return ER_OK;
}

er_variable *er_variable_get(er_host *h, int32_t id)
{
    er_session *s = h->it->session;
    return id >= 0 && id < s->n_variables ? &s->variables[id] : NULL;
}

er_status er_variable_reserve(er_host *h, er_variable *v, size_t bytes, edgert_error *error)
{
    er_session *s = h->it->session;
    if (v->room >= bytes && v->data) return ER_OK;
    if (bytes > s->memory_limit) return er_fail(error, EDGERT_ERROR_MEMORY, "variable \"%.200s\" takes more than the memory limit", v->name);
    void *more = realloc(v->data, bytes ? bytes : 1);
    if (!more) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for variable \"%.200s\"", v->name);
    v->data = more;
    v->room = bytes;
    return ER_OK;
}

// ---- hash tables

er_status er_table_find(er_prepare *p, int32_t id)
{
    er_session *s = p->host->it->session;
    if (er_table_get(p->host, id)) return ER_OK;
    er_hash_table *more = realloc(s->tables, ((size_t)s->n_tables + 1) * sizeof *more);
    if (!more) return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory for a hash table");
    s->tables = more;
    s->tables[s->n_tables++] = (er_hash_table){.id = id};
    return ER_OK;
}

er_hash_table *er_table_get(er_host *h, int32_t id)
{
    er_session *s = h->it->session;
    for (int32_t i = 0; i < s->n_tables; i++)
        if (s->tables[i].id == id) return &s->tables[i];
    return NULL;
}

er_status er_table_fill(er_hash_table *t, size_t n, const int64_t *keys, const int64_t *values, edgert_error *error)
{
    er_ranked *order = n < INT32_MAX ? malloc((2 * n + 1) * sizeof *order) : NULL;
    t->keys = malloc((n + 1) * sizeof *t->keys);
    t->values = malloc((n + 1) * sizeof *t->values);
    if (!order || !t->keys || !t->values) {
        free(order);
        free_table(t);
        t->keys = t->values = NULL;
        return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for a hash table");
    }
    t->filled = true;
    for (size_t i = 0; i < n; i++) order[i] = (er_ranked){keys[i], (int32_t)i};
    er_rank(order, order + n, n);
    for (size_t i = 0; i < n; i++) {        // of equal keys the first counts
        if (t->n && t->keys[t->n - 1] == order[i].value) continue;
        t->keys[t->n] = order[i].value;
        t->values[t->n++] = values[order[i].at];
    }
    free(order);
    return ER_OK;
}

bool er_table_look_up(const er_hash_table *t, int64_t key, int64_t *value)
{
    size_t low = 0, high = t->n;        // the first key that is not larger
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (t->keys[middle] > key) low = middle + 1;
        else high = middle;
    }
    if (low == t->n || t->keys[low] != key) return false;
    *value = t->values[low];
    return true;
}
