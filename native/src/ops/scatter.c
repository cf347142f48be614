// SCATTER_ND, SPARSE_TO_DENSE, SEGMENT_SUM, UNSORTED_SEGMENT_SUM, _PROD, _MAX, _MIN, DYNAMIC_UPDATE_SLICE: values put, or added up, at places that indices name.
#include <string.h>

#include "ops/whole.h"

static er_status expect_indices(er_prepare *p, const er_tensor *t)
{
    if (ER_T(t->def->type) & ER_INDEX) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its indices are %s, expected int32 or int64", er_type_name(t->def->type));
}

// ---- SCATTER_ND: what goes to one place is added up

typedef struct { size_t rows, depth, slice; size_t stride[ER_MAX_RANK]; } scatter;     // in elements

static void add_to(edgert_type type, size_t n, const void *x, size_t from, void *y, size_t to)
{
    switch (type) {
    case EDGERT_FLOAT32: for (size_t i = 0; i < n; i++) ((float *)y)[to + i] += ((const float *)x)[from + i]; break;
    case EDGERT_INT32: for (size_t i = 0; i < n; i++) ((uint32_t *)y)[to + i] += ((const uint32_t *)x)[from + i]; break;
    case EDGERT_INT64: for (size_t i = 0; i < n; i++) ((uint64_t *)y)[to + i] += ((const uint64_t *)x)[from + i]; break;
    case EDGERT_BOOL: for (size_t i = 0; i < n; i++) ((uint8_t *)y)[to + i] = ((uint8_t *)y)[to + i] || ((const uint8_t *)x)[from + i]; break;
    default: for (size_t i = 0; i < n; i++) ((uint8_t *)y)[to + i] = (uint8_t)(((uint8_t *)y)[to + i] + ((const uint8_t *)x)[from + i]); break;
    }
}

static void run_scatter(const er_op *op, er_pool *pool)
{
    (void)pool;
    const scatter *s = op->state;
    const er_tensor *indices = op->inputs[0], *x = op->inputs[1], *y = op->outputs[0];
    if (y->bytes) memset(y->data, 0, y->bytes);
    for (size_t r = 0; r < s->rows; r++) {
        size_t to = 0;
        bool inside = true;
        for (size_t d = 0; d < s->depth; d++) {
            const int64_t i = er_whole(indices, r * s->depth + d);
            if (i < 0 || i >= y->dims[d]) inside = false;
            else to += (size_t)i * s->stride[d];
        }
        if (inside) add_to(y->def->type, s->slice, x->data, r * s->slice, y->data, to);
        else er_op_fault(op, "an index lies outside of its output");
    }
}

er_status er_prepare_scatter_nd(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 3, 3, 1));
    const er_tensor *indices = op->inputs[0], *x = op->inputs[1];
    er_tensor *y = op->outputs[0];
    ER_TRY(expect_indices(p, indices));
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (!(ER_T(x->def->type) & (ER_FLOAT | ER_8BIT | ER_INTS | ER_BOOL))) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its updates are %s", er_type_name(x->def->type));
    int32_t dims[ER_MAX_RANK], rank;
    ER_TRY(er_read_ints(p, op->inputs[2], "shape", dims, &rank));
    ER_TRY(er_set_shape(p, y, dims, rank));
    const int32_t depth = indices->rank ? indices->dims[indices->rank - 1] : 0, outer = indices->rank - 1;
    bool fits = indices->rank >= 1 && depth <= rank && x->rank == outer + rank - depth;
    for (int32_t d = 0; fits && d < x->rank; d++) fits = x->dims[d] == (d < outer ? indices->dims[d] : dims[d - outer + depth]);
    if (!fits) return er_op_fail(p, EDGERT_ERROR_MODEL, "the shapes of its indices, updates and output do not fit each other");
    er_status status;
    scatter *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (scatter){.rows = 1, .depth = (size_t)depth, .slice = 1};
    for (int32_t d = 0; d < outer; d++) s->rows *= (size_t)indices->dims[d];
    for (int32_t d = depth; d < rank; d++) s->slice *= (size_t)dims[d];
    size_t stride = s->slice;
    for (int32_t d = depth - 1; d >= 0; d--) {
        s->stride[d] = stride;
        stride *= (size_t)dims[d];
    }
    op->run = run_scatter;
    return ER_OK;
}

// ---- SPARSE_TO_DENSE: inputs indices, shape, values (one, or one for each index), and what is between them

typedef struct { size_t n; int32_t depth; } sparse;

static void run_sparse(const er_op *op, er_pool *pool)
{
    (void)pool;
    const sparse *s = op->state;
    const er_tensor *indices = op->inputs[0], *values = op->inputs[2], *other = op->inputs[3], *y = op->outputs[0];
    const size_t each = er_type_size(y->def->type);
    for (size_t i = 0; i < y->count; i++) memcpy(er_u8(y) + i * each, other->data, each);
    for (size_t i = 0; i < s->n; i++) {
        size_t to = 0;
        bool inside = true;
        for (int32_t d = 0; d < s->depth; d++) {
            const int64_t at = er_whole(indices, i * (size_t)s->depth + (size_t)d);
            if (at < 0 || at >= y->dims[d]) inside = false;
            to = to * (size_t)y->dims[d] + (size_t)(inside ? at : 0);
        }
        if (inside) memcpy(er_u8(y) + to * each, er_u8(values) + (values->count == 1 ? 0 : i) * each, each);
        else er_op_fault(op, "an index lies outside of its output");
    }
}

er_status er_prepare_sparse_to_dense(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 4, 4, 1));
    const er_tensor *indices = op->inputs[0], *values = op->inputs[2], *other = op->inputs[3];
    er_tensor *y = op->outputs[0];
    int32_t dims[ER_MAX_RANK], rank;
    ER_TRY(expect_indices(p, indices));
    ER_TRY(er_read_ints(p, op->inputs[1], "shape", dims, &rank));
    ER_TRY(er_expect_type(p, y, values->def->type, "output"));
    ER_TRY(er_expect_type(p, other, values->def->type, "default value"));
    if (!(ER_T(values->def->type) & ER_ANY)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its values are %s", er_type_name(values->def->type));
    ER_TRY(er_set_shape(p, y, dims, rank));
    er_status status;
    sparse *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (sparse){indices->rank ? (size_t)indices->dims[0] : 1, indices->rank == 2 ? indices->dims[1] : 1};
    if (indices->rank > 2 || s->depth != rank || other->count != 1 || (values->count != 1 && values->count != s->n))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "the shapes of its indices, values and output do not fit each other");
    op->run = run_sparse;
    return ER_OK;
}

// ---- segments: rows of the input that have one number become one row

typedef enum { SEGMENT_SUM, SEGMENT_PROD, SEGMENT_MAX, SEGMENT_MIN } combination;

typedef struct { combination f; bool sorted; size_t row; } segments;

static void combine_floats(combination f, size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = f == SEGMENT_SUM ? y[i] + x[i] : f == SEGMENT_PROD ? y[i] * x[i] : f == SEGMENT_MAX ? (x[i] > y[i] ? x[i] : y[i]) : x[i] < y[i] ? x[i] : y[i];
}

static void combine_ints(combination f, size_t n, const int32_t *x, int32_t *y)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t a = (uint32_t)y[i], b = (uint32_t)x[i];
        y[i] = f == SEGMENT_SUM ? (int32_t)(a + b) : f == SEGMENT_PROD ? (int32_t)(a * b) : f == SEGMENT_MAX ? er_max32(x[i], y[i]) : er_min32(x[i], y[i]);
    }
}

static void run_segments(const er_op *op, er_pool *pool)
{
    (void)pool;
    const segments *s = op->state;
    const er_tensor *x = op->inputs[0], *ids = op->inputs[1], *y = op->outputs[0];
    const bool is_float = x->def->type == EDGERT_FLOAT32;
    for (size_t i = 0; i < y->count; i++) {
        if (is_float) er_f32(y)[i] = s->f == SEGMENT_SUM ? 0 : s->f == SEGMENT_PROD ? 1 : s->f == SEGMENT_MAX ? -3.402823466e+38f : 3.402823466e+38f;
        else er_i32(y)[i] = s->f == SEGMENT_SUM ? 0 : s->f == SEGMENT_PROD ? 1 : s->f == SEGMENT_MAX ? INT32_MIN : INT32_MAX;
    }
    for (size_t i = 0; i < ids->count; i++) {
        const int32_t at = er_i32(ids)[i];
        if (at < 0 && !s->sorted) continue;     // rows without a segment
        if (at < 0 || at >= y->dims[0]) {
            er_op_fault(op, "a segment lies outside of its output");
            continue;
        }
        if (is_float) combine_floats(s->f, s->row, er_f32(x) + i * s->row, er_f32(y) + (size_t)at * s->row);
        else combine_ints(s->f, s->row, er_i32(x) + i * s->row, er_i32(y) + (size_t)at * s->row);
    }
}

static er_status prepare_segments(er_prepare *p, er_op *op, combination f, bool sorted)
{
    ER_TRY(er_expect_io(p, op, sorted ? 2 : 3, sorted ? 2 : 3, 1));
    const er_tensor *x = op->inputs[0], *ids = op->inputs[1];
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    ER_TRY(er_expect_type(p, ids, EDGERT_INT32, "segments"));
    bool fits = ids->rank <= x->rank && (sorted ? ids->rank == 1 : ids->rank >= 1);
    for (int32_t d = 0; fits && d < ids->rank; d++) fits = x->dims[d] == ids->dims[d];
    if (!fits) return er_op_fail(p, EDGERT_ERROR_MODEL, "the shape of its segments does not fit its input's");
    int32_t n = 0, dims[ER_MAX_RANK] = {0};
    if (sorted) {
        // As many as the last, and largest, says.
        ER_TRY(er_expect_values(p, ids, "segments"));
        for (size_t i = 0; i < ids->count; i++) {
            if (er_i32(ids)[i] < 0 || (i && er_i32(ids)[i] < er_i32(ids)[i - 1])) return er_op_fail(p, EDGERT_ERROR_MODEL, "its segments do not ascend from 0");
        }
        if (ids->count && er_i32(ids)[ids->count - 1] == INT32_MAX) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output is too large");
        n = ids->count ? er_i32(ids)[ids->count - 1] + 1 : 0;
    } else {
        int32_t values[ER_MAX_RANK], count;
        ER_TRY(er_read_ints(p, op->inputs[2], "number of segments", values, &count));
        if (count != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its number of segments has %d values, expected 1", count);
        n = values[0];
    }
    er_status status;
    segments *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (segments){f, sorted, 1};
    int32_t rank = 0;
    dims[rank++] = n;
    for (int32_t d = ids->rank; d < x->rank; d++) {
        dims[rank++] = x->dims[d];
        s->row *= (size_t)x->dims[d];
    }
    op->run = run_segments;
    return er_set_shape(p, op->outputs[0], dims, rank);
}

er_status er_prepare_segment_sum(er_prepare *p, er_op *op) { return prepare_segments(p, op, SEGMENT_SUM, true); }
er_status er_prepare_unsorted_segment_sum(er_prepare *p, er_op *op) { return prepare_segments(p, op, SEGMENT_SUM, false); }
er_status er_prepare_unsorted_segment_prod(er_prepare *p, er_op *op) { return prepare_segments(p, op, SEGMENT_PROD, false); }
er_status er_prepare_unsorted_segment_max(er_prepare *p, er_op *op) { return prepare_segments(p, op, SEGMENT_MAX, false); }
er_status er_prepare_unsorted_segment_min(er_prepare *p, er_op *op) { return prepare_segments(p, op, SEGMENT_MIN, false); }

// ---- DYNAMIC_UPDATE_SLICE: the input with a block overwritten, which is moved inside where it would stand out

static void run_update(const er_op *op, er_pool *pool)
{
    (void)pool;
    const er_tensor *x = op->inputs[0], *update = op->inputs[1], *start = op->inputs[2], *y = op->outputs[0];
    const size_t each = er_type_size(x->def->type);
    if (y->bytes && y->data != x->data) memcpy(y->data, x->data, y->bytes);
    if (!update->count) return;
    int64_t from[ER_MAX_RANK];
    for (int32_t d = 0; d < x->rank; d++) {
        const int64_t at = er_whole(start, (size_t)d), most = x->dims[d] - update->dims[d];
        from[d] = at < 0 ? 0 : at > most ? most : at;
    }
    const int32_t last = x->rank - 1;
    const size_t line = x->rank ? (size_t)update->dims[last] : 1;
    int32_t at[ER_MAX_RANK] = {0};
    for (size_t i = 0; i < update->count; i += line) {
        size_t to = 0;
        for (int32_t d = 0; d < x->rank; d++) to = to * (size_t)x->dims[d] + (size_t)(from[d] + (d < last ? at[d] : 0));
        memcpy(er_u8(y) + to * each, er_u8(update) + i * each, line * each);
        for (int32_t d = last - 1; d >= 0 && ++at[d] == update->dims[d]; d--) at[d] = 0;
    }
}

er_status er_prepare_dynamic_update_slice(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 3, 3, 1));
    const er_tensor *x = op->inputs[0], *update = op->inputs[1], *start = op->inputs[2];
    ER_TRY(er_expect_type(p, update, x->def->type, "update"));
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    ER_TRY(expect_indices(p, start));
    bool fits = update->rank == x->rank && start->count == (size_t)x->rank;
    for (int32_t d = 0; fits && d < x->rank; d++) fits = update->dims[d] <= x->dims[d];
    if (!fits) return er_op_fail(p, EDGERT_ERROR_MODEL, "the shapes of its update and start do not fit its input's");
    op->run = run_update;
    op->share = ER_SHARE_IN_PLACE;
    return er_set_same_shape(p, op->outputs[0], x);
}
