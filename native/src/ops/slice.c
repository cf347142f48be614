// SLICE, STRIDED_SLICE. Any type.
#include <string.h>

#include "ops/move.h"

static void run_slice(const er_op *op, er_pool *pool)
{
    (void)pool;
    er_move_run(op->state, op->inputs[0]->data, op->outputs[0]->data);
}

// Takes size[d] elements of each dimension of x from begin[d] on, stride[d] apart. The output's shape is set by the caller.
static er_status use_slice(er_prepare *p, er_op *op, const int32_t *begin, const int32_t *stride, const int32_t *size)
{
    const er_tensor *x = op->inputs[0];
    er_status status;
    er_move *m = op->state = er_alloc(p, sizeof *m, &status);
    ER_TRY(status);
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    m->element = er_type_size(x->def->type);
    m->rank = x->rank;
    er_strides(x->dims, x->rank, m->element, m->from_stride);
    er_strides(size, x->rank, m->element, m->to_stride);
    for (int32_t d = 0; d < x->rank; d++) {
        m->dims[d] = size[d];
        m->from += begin[d] * m->from_stride[d];
        m->from_stride[d] *= stride[d];
    }
    er_move_simplify(m);
    op->run = run_slice;
    return ER_OK;
}

er_status er_prepare_slice(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 3, 3, 1));
    ER_TRY(er_expect_same_quantization(p, op->inputs[0], op->outputs[0]));
    const er_tensor *x = op->inputs[0];
    int32_t begin[ER_MAX_RANK], size[ER_MAX_RANK], n_begin, n_size;
    ER_TRY(er_read_ints(p, op->inputs[1], "begin", begin, &n_begin));
    ER_TRY(er_read_ints(p, op->inputs[2], "size", size, &n_size));
    if (n_begin != x->rank || n_size != x->rank)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its begin and size have %d and %d values, expected %d", n_begin, n_size, x->rank);
    int32_t ones[ER_MAX_RANK];
    for (int32_t d = 0; d < x->rank; d++) {
        ones[d] = 1;
        if (size[d] == -1 && begin[d] >= 0 && begin[d] <= x->dims[d]) size[d] = x->dims[d] - begin[d];
        if (begin[d] < 0 || size[d] < 0 || (int64_t)begin[d] + size[d] > x->dims[d])
            return er_op_fail(p, EDGERT_ERROR_MODEL, "it takes %d elements from %d on of dimension %d, which has %d", size[d], begin[d], d, x->dims[d]);
    }
    ER_TRY(er_set_shape(p, op->outputs[0], size, x->rank));
    return use_slice(p, op, begin, ones, size);
}

// numpy's rule: an index counts from the end if negative; a range is cut to what exists.
static int32_t cut(int64_t i, int32_t n, bool forward)
{
    if (i < 0) i += n;
    int64_t lo = forward ? 0 : -1, hi = forward ? n : n - 1;
    return (int32_t)(i < lo ? lo : i > hi ? hi : i);
}

er_status er_prepare_strided_slice(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 4, 4, 1));
    const er_tensor *x = op->inputs[0];
    er_strided_slice_options o = er_read_strided_slice(op->def->options);
    int32_t b[ER_MAX_RANK], e[ER_MAX_RANK], s[ER_MAX_RANK], n, n_end, n_stride;
    ER_TRY(er_read_ints(p, op->inputs[1], "begin", b, &n));
    ER_TRY(er_read_ints(p, op->inputs[2], "end", e, &n_end));
    ER_TRY(er_read_ints(p, op->inputs[3], "strides", s, &n_stride));
    if (n != n_end || n != n_stride) return er_op_fail(p, EDGERT_ERROR_MODEL, "its begin, end and strides differ in length");
    int32_t begin[ER_MAX_RANK], stride[ER_MAX_RANK], size[ER_MAX_RANK], dims[ER_MAX_RANK + 1], rank = 0, d = 0;
    int32_t named = 0, ellipses = 0;     // dimensions of x that the specification names
    for (int32_t i = 0; i < n; i++) {
        if (o.ellipsis >> i & 1) ellipses++;
        else if (!(o.new_axis >> i & 1)) named++;
    }
    if (ellipses > 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has more than one ellipsis");
    if (named > x->rank) return er_op_fail(p, EDGERT_ERROR_MODEL, "it names %d dimensions, but its input has %d", named, x->rank);
    for (int32_t i = 0; i <= n; i++) {
        // What is not named is taken whole: at the ellipsis, or at the end.
        if (i == n ? !ellipses : o.ellipsis >> i & 1) {
            for (int32_t rest = x->rank - named; rest > 0; rest--, d++) {
                begin[d] = 0;
                stride[d] = 1;
                size[d] = x->dims[d];
                if (rank > ER_MAX_RANK) break;
                dims[rank++] = size[d];
            }
            continue;
        }
        if (i == n) break;
        if (rank > ER_MAX_RANK) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output has a rank over %d", ER_MAX_RANK);
        if (o.new_axis >> i & 1) {
            dims[rank++] = 1;
            continue;
        }
        int32_t len = x->dims[d], st = s[i];
        if (st == 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its stride of dimension %d is 0", d);
        if (st == INT32_MIN) return er_op_fail(p, EDGERT_ERROR_MODEL, "its stride of dimension %d is out of range", d);
        bool shrink = o.shrink_axis >> i & 1;
        int32_t from = o.begin >> i & 1 ? (st > 0 ? 0 : len - 1) : cut(b[i], len, st > 0);
        if (shrink) {
            int64_t at = b[i] < 0 ? (int64_t)b[i] + len : b[i];
            if (at < 0 || at >= len) return er_op_fail(p, EDGERT_ERROR_MODEL, "its index %d is outside dimension %d, which has %d", b[i], d, len);
            begin[d] = (int32_t)at;
            stride[d] = 1;
            size[d++] = 1;
            continue;
        }
        int64_t stop = o.offset ? (int64_t)from + e[i] : e[i];
        int32_t to = o.end >> i & 1 ? (st > 0 ? len : -1) : o.offset ? er_clamp32((int32_t)(stop < -1 ? -1 : stop > len ? len : stop), -1, len) : cut(stop, len, st > 0);
        int64_t span = (int64_t)to - from, count = st > 0 ? (span + st - 1) / st : (-span - st - 1) / -(int64_t)st;
        if (span == 0 || (span < 0) != (st < 0)) count = 0;
        begin[d] = count ? from : 0;
        stride[d] = st;
        size[d++] = (int32_t)count;
        dims[rank++] = (int32_t)count;
    }
    if (rank > ER_MAX_RANK) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output has a rank over %d", ER_MAX_RANK);
    ER_TRY(er_set_shape(p, op->outputs[0], dims, rank));
    return use_slice(p, op, begin, stride, size);
}
