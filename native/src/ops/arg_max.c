// ARG_MAX, ARG_MIN along one axis; the first of equal values wins. int8, uint8, float32, int32, bool in; int32 or int64 out.
#include <string.h>

#include "ops/whole.h"

typedef struct { size_t outer, n, inner; const er_kernels *kernels; bool least; } arg_max;

// The best of n elements of any type, `step` apart.
static size_t best_of(const arg_max *s, const er_tensor *x, size_t base)
{
    size_t best = 0;
    double most = 0;
    for (size_t k = 0; k < s->n; k++) {
        const size_t i = base + k * s->inner;
        const double v = x->def->type == EDGERT_FLOAT32 ? (double)er_f32(x)[i] : (double)er_whole(x, i);
        if (k && !(s->least ? v < most : v > most)) continue;
        best = k;
        most = v;
    }
    return best;
}

// Bytes with others between them: the largest of each place in some rows, the first rows that have more than all before them, and where in these it is.
static void best_of_rows(const er_op *op, const uint8_t *x, size_t n, size_t inner, uint8_t flip, int32_t *best)
{
    enum { ROWS = 64 };
    const arg_max *s = op->state;
    uint8_t *most = op->scratch, *here = most + inner;
    for (size_t from = 0, rows; from < n; from += rows) {
        rows = n - from < ROWS ? n - from : ROWS;
        memset(here, 0, inner);
        s->kernels->most_columns(rows, inner, x + from * inner, inner, flip, here);
        for (size_t i = 0; i < inner; i++) {
            if (from && here[i] <= most[i]) continue;
            most[i] = here[i];
            best[i] = (int32_t)from;
        }
    }
    for (size_t i = 0; i < inner; i++)
        while ((x[(size_t)best[i] * inner + i] ^ flip) != most[i]) best[i]++;
}

// Maxima [from, to) of those along the innermost axis, or of the outermost elements.
static void arg_max_span(const er_op *op, size_t from, size_t to)
{
    const arg_max *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (s->inner == 1 && er_is_8bit(x) && !s->least) {
        enum { SOME = 256 };
        for (size_t o = from, rows; o < to; o += rows) {
            int32_t some[SOME];
            rows = to - o < SOME ? to - o : SOME;
            const bool is_long = y->def->type == EDGERT_INT64;
            s->kernels->qarg_max(rows, s->n, er_u8(x) + o * s->n, er_is_signed(x), is_long ? some : er_i32(y) + o);
            for (size_t i = 0; is_long && i < rows; i++) ((int64_t *)y->data)[o + i] = some[i];
        }
        return;
    }
    for (size_t o = from; o < to; o++) {
        for (size_t i = 0; i < s->inner; i++) {
            size_t base = o * s->n * s->inner + i, best = 0;
            if (s->least || x->def->type == EDGERT_INT32) {
                best = best_of(s, x, base);
            } else if (x->def->type == EDGERT_FLOAT32) {
                const float *v = er_f32(x) + base;
                for (size_t k = 1; k < s->n; k++) if (v[k * s->inner] > v[best * s->inner]) best = k;
            } else if (x->def->type == EDGERT_INT8) {
                const int8_t *v = er_i8(x) + base;
                for (size_t k = 1; k < s->n; k++) if (v[k * s->inner] > v[best * s->inner]) best = k;
            } else {
                const uint8_t *v = er_u8(x) + base;
                for (size_t k = 1; k < s->n; k++) if (v[k * s->inner] > v[best * s->inner]) best = k;
            }
            if (y->def->type == EDGERT_INT64) ((int64_t *)y->data)[o * s->inner + i] = (int64_t)best;
            else er_i32(y)[o * s->inner + i] = (int32_t)best;
        }
    }
}

static void run_arg_max(const er_op *op, er_pool *pool)
{
    const arg_max *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (s->inner > 1 && er_is_8bit(x) && y->def->type == EDGERT_INT32 && !s->least) {
        for (size_t o = 0; o < s->outer; o++)
            best_of_rows(op, er_u8(x) + o * s->n * s->inner, s->n, s->inner, er_is_signed(x) ? 0x80 : 0, er_i32(y) + o * s->inner);
        return;
    }
    er_for_spans(pool, s->outer, 3 + 0.1 * (double)(s->n * s->inner), arg_max_span, op);
}

static er_status prepare(er_prepare *p, er_op *op, bool least)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    int32_t axis[ER_MAX_RANK], n, at, dims[ER_MAX_RANK], rank = 0;
    ER_TRY(er_read_ints(p, op->inputs[1], "axis", axis, &n));
    if (n != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its axis has %d values, expected 1", n);
    ER_TRY(er_resolve_axis(p, axis[0], x->rank, &at));
    if (y->def->type != EDGERT_INT32 && y->def->type != EDGERT_INT64)
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output is %s, expected int32 or int64", er_type_name(y->def->type));
    if (x->dims[at] < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it looks for the maximum of nothing");
    er_status status;
    arg_max *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (arg_max){1, (size_t)x->dims[at], 1, p->kernels, least};
    for (int32_t d = 0; d < x->rank; d++) {
        if (d == at) continue;
        if (d < at) s->outer *= (size_t)x->dims[d];
        else s->inner *= (size_t)x->dims[d];
        dims[rank++] = x->dims[d];
    }
    op->run = run_arg_max;
    op->scratch_bytes = 2 * s->inner;
    return er_set_shape(p, y, dims, rank);
}

er_status er_prepare_arg_max(er_prepare *p, er_op *op) { return prepare(p, op, false); }
er_status er_prepare_arg_min(er_prepare *p, er_op *op) { return prepare(p, op, true); }
