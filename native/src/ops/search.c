// TOPK_V2, UNIQUE, CUMSUM, ADD_N, BUCKETIZE.
#include <stdlib.h>
#include <string.h>

#include "base/rank.h"
#include "ops/whole.h"

// What orders elements. Of floats: their bits, so that 0 and -0 are equal; NaN has a place, too.
static int64_t rank_of(const er_tensor *x, size_t i)
{
    if (x->def->type != EDGERT_FLOAT32) return er_whole(x, i);
    int32_t bits;
    memcpy(&bits, er_f32(x) + i, sizeof bits);
    return bits < 0 ? (int64_t)INT32_MIN - bits : bits;
}

// ---- TOPK_V2: the k largest of each row, of equal ones the first; in descending order

typedef struct { size_t rows, n, k; } top;

enum { OFTEN = 4096 };      // elements after which time limits are looked at

// The k first of n elements of a row; false where there is no more time.
static bool find_top(const er_tensor *x, size_t row, size_t n, er_ranked *heap, size_t k, const er_pool *pool)
{
    for (size_t i = 0; i < k; i++) heap[i] = (er_ranked){rank_of(x, row + i), (int32_t)i};
    er_rank_heap(heap, k);
    for (size_t i = k; i < n; i++) {
        if (i % OFTEN == 0 && er_pool_stopped(pool)) return false;
        const er_ranked one = {rank_of(x, row + i), (int32_t)i};
        if (!er_ranks_after(heap[0], one)) continue;
        heap[0] = one;
        er_rank_sift(heap, 0, k);
    }
    for (size_t i = k; i > 1; i--) {
        if (i % OFTEN == 0 && er_pool_stopped(pool)) return false;
        er_rank_take(heap, i);
    }
    return true;
}

static void run_top(const er_op *op, er_pool *pool)
{
    const top *s = op->state;
    const er_tensor *x = op->inputs[0], *values = op->outputs[0], *indices = op->outputs[1];
    const size_t each = er_type_size(x->def->type);
    er_ranked *heap = (er_ranked *)(void *)op->scratch;
    for (size_t r = 0, out = 0; r < s->rows && s->k; r++) {
        if (!find_top(x, r * s->n, s->n, heap, s->k, pool)) return;
        for (size_t i = 0; i < s->k; i++, out++) {
            memcpy(er_u8(values) + out * each, er_u8(x) + (r * s->n + (size_t)heap[i].at) * each, each);
            er_put_whole(indices, out, heap[i].at);
        }
    }
}

er_status er_prepare_topk_v2(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 2));
    const er_tensor *x = op->inputs[0], *count = op->inputs[1];
    ER_TRY(er_expect_values(p, count, "k"));
    if (x->rank < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is a scalar");
    if (count->count != 1 || !(ER_T(count->def->type) & (ER_INDEX | ER_16BIT))) return er_op_fail(p, EDGERT_ERROR_MODEL, "its k is not one whole number");
    const int64_t k = er_whole(count, 0), n = x->dims[x->rank - 1];
    if (k < 0 || k > n) return er_op_fail(p, EDGERT_ERROR_MODEL, "it takes the first %lld of %lld", (long long)k, (long long)n);
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    if (!(ER_T(op->outputs[1]->def->type) & (ER_INDEX | ER_16BIT))) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its indices are %s", er_type_name(op->outputs[1]->def->type));
    er_status status;
    top *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    int32_t dims[ER_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = (int32_t)k;
    *s = (top){n ? x->count / (size_t)n : 0, (size_t)n, (size_t)k};
    op->scratch_bytes = (size_t)k * sizeof(er_ranked);
    op->run = run_top;
    ER_TRY(er_set_shape(p, op->outputs[0], dims, x->rank));
    return er_set_shape(p, op->outputs[1], dims, x->rank);
}

// ---- UNIQUE: each value once, in the order of their first places, and for each element the number of its value

typedef struct { int32_t *number, *first; int32_t n; } unique;     // made when it is prepared

static bool same(const er_tensor *x, size_t a, size_t b)
{
    if (x->def->type == EDGERT_FLOAT32) return er_f32(x)[a] == er_f32(x)[b];
    return er_whole(x, a) == er_whole(x, b);
}

static void run_unique(const er_op *op, er_pool *pool)
{
    (void)pool;
    const unique *s = op->state;
    const er_tensor *x = op->inputs[0];
    const size_t each = er_type_size(x->def->type);
    for (int32_t i = 0; i < s->n; i++) memcpy(er_u8(op->outputs[0]) + (size_t)i * each, er_u8(x) + (size_t)s->first[i] * each, each);
    for (size_t i = 0; i < x->count; i++) er_put_whole(op->outputs[1], i, s->number[i]);
}

er_status er_prepare_unique(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 2));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_rank(p, x, 1, "input"));
    ER_TRY(er_expect_values(p, x, "input"));
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    if (!(ER_T(op->outputs[1]->def->type) & ER_INDEX)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its indices are %s", er_type_name(op->outputs[1]->def->type));
    er_status status;
    unique *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->number = er_alloc(p, (x->count + 1) * sizeof *s->number, &status);
    ER_TRY(status);
    s->first = er_alloc(p, (x->count + 1) * sizeof *s->first, &status);
    ER_TRY(status);
    er_ranked *order = malloc((2 * x->count + 1) * sizeof *order);
    if (!order) return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory for its values");
    for (size_t i = 0; i < x->count; i++) order[i] = (er_ranked){rank_of(x, i), (int32_t)i};
    er_rank(order, order + x->count, x->count);
    for (size_t i = 0; i < x->count; i++) {         // the first place of each element's value
        const int32_t at = order[i].at;
        s->number[at] = i && same(x, (size_t)at, (size_t)order[i - 1].at) ? s->number[order[i - 1].at] : at;
    }
    free(order);
    for (size_t i = 0; i < x->count; i++) {
        const int32_t first = s->number[i];
        if (first == (int32_t)i) s->first[s->n] = first;
        s->number[i] = first == (int32_t)i ? s->n++ : s->number[first];
    }
    op->run = run_unique;
    ER_TRY(er_set_shape(p, op->outputs[0], &s->n, 1));
    return er_set_same_shape(p, op->outputs[1], x);
}

// ---- CUMSUM

typedef struct { size_t outer, n, inner; bool exclusive, reverse; } cumsum;

static void run_cumsum(const er_op *op, er_pool *pool)
{
    (void)pool;
    const cumsum *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    for (size_t o = 0; o < s->outer; o++)
        for (size_t i = 0; i < s->inner; i++) {
            float real = 0;
            uint64_t sum = 0;
            for (size_t k = 0; k < s->n; k++) {
                const size_t at = (o * s->n + (s->reverse ? s->n - 1 - k : k)) * s->inner + i;
                if (x->def->type == EDGERT_FLOAT32) {
                    const float v = er_f32(x)[at];
                    er_f32(y)[at] = s->exclusive ? real : real + v;
                    real += v;
                } else {
                    const uint64_t v = (uint64_t)er_whole(x, at), out = s->exclusive ? sum : sum + v;
                    if (x->def->type == EDGERT_INT64) ((uint64_t *)y->data)[at] = out;
                    else er_i32(y)[at] = (int32_t)out;
                    sum += v;
                }
            }
        }
}

er_status er_prepare_cumsum(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    int32_t values[ER_MAX_RANK], n, axis;
    ER_TRY(er_read_ints(p, op->inputs[1], "axis", values, &n));
    if (n != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its axis has %d values, expected 1", n);
    ER_TRY(er_resolve_axis(p, values[0], x->rank, &axis));
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    er_status status;
    cumsum *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    const er_cumsum_options o = er_read_cumsum(op->def->options);
    *s = (cumsum){1, (size_t)x->dims[axis], 1, o.exclusive, o.reverse};
    for (int32_t d = 0; d < axis; d++) s->outer *= (size_t)x->dims[d];
    for (int32_t d = axis + 1; d < x->rank; d++) s->inner *= (size_t)x->dims[d];
    op->run = run_cumsum;
    return er_set_same_shape(p, op->outputs[0], x);
}

// ---- ADD_N

static void run_add_n(const er_op *op, er_pool *pool)
{
    const er_tensor *y = op->outputs[0];
    er_watch watch = {pool, 0};
    for (size_t i = 0; i < y->count && !er_watch_ends(&watch, (size_t)op->n_inputs); i++) {
        if (y->def->type == EDGERT_FLOAT32) {
            float v = er_f32(op->inputs[0])[i];
            for (int32_t k = 1; k < op->n_inputs; k++) v += er_f32(op->inputs[k])[i];
            er_f32(y)[i] = v;
        } else {
            uint32_t v = 0;
            for (int32_t k = 0; k < op->n_inputs; k++) v += (uint32_t)er_i32(op->inputs[k])[i];
            er_i32(y)[i] = (int32_t)v;
        }
    }
}

er_status er_prepare_add_n(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, INT32_MAX, 1));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    for (int32_t i = 0; i < op->n_inputs; i++) {
        if (!op->inputs[i]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input %d is left out", i);
        ER_TRY(er_expect_type(p, op->inputs[i], x->def->type, "input"));
        if (op->inputs[i]->rank != x->rank || memcmp(op->inputs[i]->dims, x->dims, (size_t)x->rank * sizeof *x->dims))
            return er_op_fail(p, EDGERT_ERROR_MODEL, "the shape of its input %d is not that of input 0", i);
    }
    op->run = run_add_n;
    return er_set_same_shape(p, op->outputs[0], x);
}

// ---- BUCKETIZE: the number of boundaries that a value is not below

static void run_bucketize(const er_op *op, er_pool *pool)
{
    (void)pool;
    const er_float_list *s = op->state;
    const er_tensor *x = op->inputs[0];
    for (size_t i = 0; i < x->count; i++) {
        const double v = x->def->type == EDGERT_FLOAT32 ? (double)er_f32(x)[i] : x->def->type == EDGERT_FLOAT64 ? ((const double *)x->data)[i] : (double)er_whole(x, i);
        uint32_t low = 0, high = s->n;
        while (low < high) {
            const uint32_t middle = low + (high - low) / 2;
            if (v < (double)er_float_list_at(*s, middle)) high = middle;
            else low = middle + 1;
        }
        er_i32(op->outputs[0])[i] = (int32_t)low;
    }
}

er_status er_prepare_bucketize(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_INT32, "output"));
    er_status status;
    er_float_list *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = er_read_boundaries(op->def->options);
    for (uint32_t i = 1; i < s->n; i++)
        if (!(er_float_list_at(*s, i) >= er_float_list_at(*s, i - 1))) return er_op_fail(p, EDGERT_ERROR_MODEL, "its boundaries do not ascend");
    op->run = run_bucketize;
    return er_set_same_shape(p, op->outputs[0], op->inputs[0]);
}
