// What prepare functions share.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ops/op.h"

er_status er_op_fail(er_prepare *p, er_status code, const char *what, ...)
{
    char text[512];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    return er_fail(p->error, code, "%s", text);
}

static er_status no_memory(er_prepare *p, size_t bytes)
{
    if (bytes > p->memory_limit)
        return er_op_fail(p, EDGERT_ERROR_MEMORY, "its plan takes %zu MiB, over the memory limit of %zu MiB", bytes >> 20, p->memory_limit >> 20);
    return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory for %zu bytes of its plan", bytes);
}

void *er_alloc(er_prepare *p, size_t bytes, er_status *status)
{
    void *m = bytes <= p->memory_limit ? er_heap_alloc(p->heap, bytes) : NULL;
    *status = m ? ER_OK : no_memory(p, bytes);
    return m;
}

er_pack_key er_pack_key_of(const er_prepare *p, char kind, const er_tensor_def *weights, const er_tensor_def *other)
{
    er_pack_key key;
    memset(&key, 0, sizeof key);
    memcpy(key.isa, p->kernels->isa, strlen(p->kernels->isa));
    key.kind = kind;
    key.weights = weights->number;
    key.other = other ? other->number : 0;
    return key;
}

const void *er_pack_once(er_prepare *p, const er_tensor *weights, const er_tensor *bias, const void *key, size_t key_bytes, size_t bytes,
                   void (*pack)(void *arg, void *packed), void *arg, er_status *status)
{
    *status = ER_OK;
    bool own = weights->def->data == weights->data && (!bias || bias->def->data == bias->data);
    const void *packed = own ? er_store_find(p->packed, key, key_bytes, bytes) : NULL;
    if (packed) return packed;
    void *room = NULL;
    if (bytes <= p->memory_limit) room = own ? er_store_alloc(p->packed, bytes) : er_heap_alloc_raw(p->heap, bytes);
    packed = room;
    if (room) {
        pack(arg, room);
        if (own) packed = er_store_add(p->packed, key, key_bytes, room, bytes);
    }
    if (!packed) *status = no_memory(p, bytes);
    return packed;
}

bool er_scratch_bytes(const er_op *op, size_t threads, size_t *own, size_t *bytes)
{
    return er_add_size(op->scratch_bytes, ER_ALIGN - 1, bytes) && er_mul_size(*bytes / ER_ALIGN * ER_ALIGN, threads, own) && er_add_size(*own, op->shared_bytes, bytes) &&
           er_add_size(*bytes, ER_ALIGN, bytes);
}

er_status er_expect_io(er_prepare *p, const er_op *op, int32_t least_in, int32_t most_in, int32_t out)
{
    if (op->n_inputs < least_in || op->n_inputs > most_in)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d inputs, expected %d to %d", op->n_inputs, least_in, most_in);
    if (op->n_outputs != out) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d outputs, expected %d", op->n_outputs, out);
    for (int32_t i = 0; i < least_in; i++)
        if (!op->inputs[i]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input %d is left out", i);
    return ER_OK;
}

er_status er_expect_type(er_prepare *p, const er_tensor *t, edgert_type type, const char *role)
{
    if (t->def->type == type) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its %s is %s, expected %s", role, er_type_name(t->def->type), er_type_name(type));
}

er_status er_expect_rank(er_prepare *p, const er_tensor *t, int32_t rank, const char *role)
{
    if (t->rank == rank) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s has rank %d, expected %d", role, t->rank, rank);
}

er_status er_expect_values(er_prepare *p, const er_tensor *t, const char *role)
{
    if (t->constant || !t->count) return ER_OK;
    if (t->known && t->data) {
        p->asked[t->index] = true;
        return ER_OK;
    }
    er_op_fail(p, EDGERT_ERROR_MODEL, "its %s has no value yet", role);     // seen only where nothing more can come
    return ER_LATER;
}

er_status er_expect_quantized(er_prepare *p, const er_tensor *t, const char *role)
{
    if (t->def->quant.n == 1 && t->def->quant.scale[0] > 0) return ER_OK;
    if (t->def->quant.n > 1) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its %s is quantized per channel, expected per tensor", role);
    return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s is %s without a scale", role, er_type_name(t->def->type));
}

er_status er_expect_symmetric(er_prepare *p, const er_tensor *t, const char *role)
{
    ER_TRY(er_expect_quantized(p, t, role));
    return er_zero(t) == 0 ? ER_OK : er_op_fail(p, EDGERT_ERROR_MODEL, "its %s is %s with zero point %d, expected 0", role, er_type_name(t->def->type), er_zero(t));
}

bool er_same_quantization(const er_tensor *a, const er_tensor *b) { return er_scale(a) == er_scale(b) && er_zero(a) == er_zero(b); }

er_status er_expect_same_quantization(er_prepare *p, const er_tensor *a, const er_tensor *b)
{
    if (!er_is_8bit(a) || er_same_quantization(a, b)) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has scale %g and zero point %d, its output %g and %d: expected equal ones",
                      (double)er_scale(a), er_zero(a), (double)er_scale(b), er_zero(b));
}

er_status er_set_shape(er_prepare *p, er_tensor *t, const int32_t *dims, int32_t rank)
{
    size_t count, bytes, each = er_type_size(t->def->type);
    if (rank > ER_MAX_RANK) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output has rank %d, at most %d is supported", rank, ER_MAX_RANK);
    if (!each) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output is %s", er_type_name(t->def->type));
    if (!er_count(dims, rank, &count) || !er_mul_size(count, each, &bytes) || bytes > INT32_MAX)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its output has a negative size or more than 2 GiB");
    if (bytes > p->memory_limit)
        return er_op_fail(p, EDGERT_ERROR_MEMORY, "its output, tensor %d \"%.200s\", takes %zu MiB, over the memory limit of %zu MiB", t->index, t->def->name,
                          bytes >> 20, p->memory_limit >> 20);
    if (t->constant) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output \"%.200s\" is a constant", t->def->name);
    t->rank = rank;
    if (rank) memmove(t->dims, dims, (size_t)rank * sizeof *dims);
    t->count = count;
    t->bytes = bytes;
    t->has_shape = true;
    return ER_OK;
}

void *er_constant_output(er_prepare *p, er_op *op, er_status *status)
{
    er_tensor *y = op->outputs[0];
    y->data = er_alloc(p, y->bytes, status);
    if (!y->data) return NULL;
    y->constant = y->known = true;
    op->run = NULL;
    return y->data;
}

er_status er_set_same_shape(er_prepare *p, er_tensor *t, const er_tensor *as) { return er_set_shape(p, t, as->dims, as->rank); }

er_status er_read_ints(er_prepare *p, const er_tensor *t, const char *role, int32_t *values, int32_t *n)
{
    ER_TRY(er_expect_values(p, t, role));
    if (t->count > ER_MAX_RANK) return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s has %zu values, at most %d make sense", role, t->count, ER_MAX_RANK);
    *n = (int32_t)t->count;
    for (int32_t i = 0; i < *n; i++) {
        if (t->def->type == EDGERT_INT32) {
            memcpy(&values[i], (const int32_t *)t->data + i, 4);
        } else if (t->def->type == EDGERT_INT64) {
            int64_t v = ((const int64_t *)t->data)[i];
            values[i] = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
        } else {
            return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its %s is %s, expected int32", role, er_type_name(t->def->type));
        }
    }
    return ER_OK;
}

er_status er_resolve_axis(er_prepare *p, int32_t axis, int32_t rank, int32_t *out)
{
    if (axis < -rank || axis >= rank) return er_op_fail(p, EDGERT_ERROR_MODEL, "its axis %d does not exist in rank %d", axis, rank);
    *out = axis < 0 ? axis + rank : axis;
    return ER_OK;
}

er_status er_activation_floats(er_prepare *p, er_activation a, float *min, float *max)
{
    *min = -INFINITY;
    *max = INFINITY;
    switch (a) {
    case ER_ACT_NONE: return ER_OK;
    case ER_ACT_RELU: *min = 0; return ER_OK;
    case ER_ACT_RELU_N1_TO_1: *min = -1; *max = 1; return ER_OK;
    case ER_ACT_RELU6: *min = 0; *max = 6; return ER_OK;
    case ER_ACT_RELU_0_TO_1: *min = 0; *max = 1; return ER_OK;
    case ER_ACT_TANH:
    case ER_ACT_SIGN_BIT: break;
    }
    return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its fused activation number %d is not supported", (int)a);
}

er_status er_activation_output(er_prepare *p, er_activation a, const er_tensor *y, er_output *o)
{
    float lo, hi;
    ER_TRY(er_activation_floats(p, a, &lo, &hi));
    int32_t qmin = er_lowest(y), qmax = er_highest(y), offset = er_stored_offset(y);
    *o = (er_output){.zero = er_zero(y), .min = qmin, .max = qmax};
    if (a != ER_ACT_NONE) {
        ER_TRY(er_expect_quantized(p, y, "output"));
        // As the reference: the quotient in float32, rounded half away from zero.
        float scale = er_scale(y), q = roundf(lo / scale) + (float)o->zero;
        o->min = q < (float)qmin ? qmin : q > (float)qmax ? qmax : (int32_t)q;
        if (isfinite(hi)) {
            q = roundf(hi / scale) + (float)o->zero;
            o->max = q < (float)qmin ? qmin : q > (float)qmax ? qmax : (int32_t)q;
        }
    }
    o->zero += offset;
    o->min += offset;
    o->max += offset;
    return ER_OK;
}

er_status er_place_window(er_prepare *p, er_padding padding, int32_t in, int32_t filter, int32_t stride, int32_t dilation, er_window *w)
{
    if (padding != ER_SAME && padding != ER_VALID) return er_op_fail(p, EDGERT_ERROR_MODEL, "its padding is number %d, expected 0 (SAME) or 1 (VALID)", (int)padding);
    bool same = padding == ER_SAME;
    if (stride < 1 || dilation < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has stride %d and dilation %d, expected at least 1", stride, dilation);
    if (filter < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has a filter of size %d, expected at least 1", filter);
    int64_t extent = ((int64_t)filter - 1) * dilation + 1;
    int64_t out = same ? ((int64_t)in + stride - 1) / stride : ((int64_t)in + stride - extent) / stride;
    if (out < 0) out = 0;
    int64_t pad = (out - 1) * stride + extent - in;
    // So that no coordinate inside a window overflows.
    if (extent + in + stride > INT32_MAX) return er_op_fail(p, EDGERT_ERROR_MODEL, "its stride or dilated filter is too large");
    *w = (er_window){(int32_t)out, same && pad > 0 ? (int32_t)(pad / 2) : 0};
    if (!same && out == 0 && in > 0)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter, %lld wide with dilation, does not fit the input, %d wide", (long long)extent, in);
    return ER_OK;
}

void er_op_fault(const er_op *op, const char *what)
{
    if (!op->fault->what) *op->fault = (er_fault){op, what, EDGERT_ERROR_ARGUMENT};
}

typedef struct { er_qlookup *kernel; uint8_t table[256]; } lookup;

static void table_span(const er_op *op, size_t from, size_t to)
{
    const lookup *s = op->state;
    s->kernel(to - from, er_u8(op->inputs[0]) + from, s->table, er_u8(op->outputs[0]) + from);
}

void er_run_table(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 0.1, table_span, op); }

er_status er_use_table(er_prepare *p, er_op *op, uint8_t **table)
{
    er_status status;
    lookup *s = op->state = er_alloc(p, sizeof *s, &status);
    *table = s ? s->table : NULL;
    if (s) s->kernel = p->kernels->qlookup;
    op->run = er_run_table;
    op->kernel = "table";
    op->share = ER_SHARE_IN_PLACE;
    return status;
}

static void run_view(const er_op *op, er_pool *pool)
{
    (void)pool;
    void *to = op->outputs[0]->data;
    const void *from = op->inputs[0]->data;
    if (to != from && op->outputs[0]->bytes) memcpy(to, from, op->outputs[0]->bytes);
}

void er_use_view(er_op *op)
{
    op->run = run_view;
    op->kernel = "view";
    op->share = ER_SHARE_VIEW;
}

void er_for(er_pool *pool, size_t n, double work, void (*fn)(void *, size_t, int), void *arg)
{
    if (er_is_shared(pool, work)) {
        er_pool_run(pool, n, fn, arg);
        return;
    }
    for (size_t i = 0; i < n && !er_pool_stopped(pool); i++) fn(arg, i, 0);
}

enum { MOST_MACS = 1 << 28 };       // some hundredths of a second

size_t er_longest_task(size_t macs) { return macs == 0 ? MOST_MACS : macs < MOST_MACS ? MOST_MACS / macs : 1; }

bool er_watch_ends(er_watch *w, size_t macs)
{
    enum { AROUND = 512 };          // what a turn of a loop costs besides
    w->macs += macs < MOST_MACS ? macs + AROUND : MOST_MACS;
    if (w->macs < MOST_MACS) return false;
    w->macs = 0;
    return er_pool_stopped(w->pool);
}

typedef struct { void (*fn)(const er_op *op, size_t from, size_t to); const er_op *op; size_t n, each; } span_arg;

static void run_span(void *arg, size_t i, int thread)
{
    (void)thread;
    const span_arg *s = arg;
    size_t from = i * s->each, to = from + s->each < s->n ? from + s->each : s->n;
    s->fn(s->op, from, to);
}

void er_for_spans(er_pool *pool, size_t n, double cost, void (*fn)(const er_op *, size_t, size_t), const er_op *op)
{
    const double WORTH_A_TURN = 3000, LONG = 5e7;   // nanoseconds
    int threads = er_pool_threads(pool);
    if (threads == 1 || er_pool_grain(pool) == INT64_MAX || (er_pool_grain(pool) > 0 && (double)n * cost < 2 * WORTH_A_TURN)) {
        const size_t some = (size_t)(LONG / cost) + 1;
        for (size_t from = 0; from < n && !er_pool_stopped(pool); from += some) fn(op, from, n - from < some ? n : from + some);
        return;
    }
    size_t each = er_pool_grain(pool) > 0 ? (size_t)(WORTH_A_TURN / cost) + 1 : 1, most = n / ((size_t)threads * 4) + 1;
    span_arg s = {fn, op, n, each > most ? each : most};
    er_pool_run(pool, (n + s.each - 1) / s.each, run_span, &s);
}
