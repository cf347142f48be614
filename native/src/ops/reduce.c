// SUM, REDUCE_PROD, REDUCE_MAX, REDUCE_MIN, REDUCE_ANY, REDUCE_ALL over any axes. (MEAN: mean.c.)
#include "ops/reduce.h"

#include <math.h>
#include <string.h>

#include "kernels/floats.h"
#include "ops/whole.h"

er_status er_reduction_prepare(er_prepare *p, er_op *op, er_reduction *r)
{
    const er_tensor *x = op->inputs[0];
    int32_t axes[ER_MAX_RANK], n_axes, dims[ER_MAX_RANK], rank = 0;
    ER_TRY(er_read_ints(p, op->inputs[1], "axis", axes, &n_axes));
    bool reduced[ER_MAX_RANK] = {false}, keep = er_read_keep_dims(op->def->options);
    for (int32_t i = 0; i < n_axes && x->rank; i++) {
        int32_t axis;
        ER_TRY(er_resolve_axis(p, axes[i], x->rank, &axis));
        reduced[axis] = true;
    }
    for (int32_t d = 0; d < x->rank; d++)
        if (keep || !reduced[d]) dims[rank++] = reduced[d] ? 1 : x->dims[d];
    ER_TRY(er_set_shape(p, op->outputs[0], dims, rank));
    *r = (er_reduction){.rank = x->rank, .n = 1};
    size_t stride = 1;
    for (int32_t d = x->rank - 1; d >= 0; d--) {
        r->dims[d] = x->dims[d];
        r->out_stride[d] = reduced[d] ? 0 : stride;
        if (reduced[d]) r->n *= (size_t)x->dims[d];
        else stride *= (size_t)x->dims[d];
    }
    return ER_OK;
}

void er_reduction_walk(const er_reduction *r, size_t count, void (*fn)(void *, size_t, size_t), void *arg)
{
    int32_t at[ER_MAX_RANK] = {0};
    size_t o = 0;
    for (size_t i = 0; i < count; i++) {
        fn(arg, i, o);
        for (int32_t d = r->rank - 1; d >= 0; d--) {
            o += r->out_stride[d];
            if (++at[d] < r->dims[d]) break;
            o -= r->out_stride[d] * (size_t)r->dims[d];
            at[d] = 0;
        }
    }
}

bool er_reduction_is_plain(const er_reduction *r, size_t *outer, size_t *inner)
{
    bool within = false, behind = false;
    *outer = *inner = 1;
    for (int32_t d = 0; d < r->rank; d++) {
        const size_t n = (size_t)r->dims[d];
        if (n == 1) continue;
        if (!r->out_stride[d]) {
            if (behind) return false;
            within = true;
        } else if (within) {
            behind = true;
            *inner *= n;
        } else {
            *outer *= n;
        }
    }
    return true;
}

void er_sum_rows(size_t rows, size_t n, const float *x, float *sums)
{
    enum { TOGETHER = 8 };
    size_t r = 0;
    for (; r + TOGETHER <= rows; r += TOGETHER, x += TOGETHER * n) {
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define FIRST(j) float sum##j = 0;
#define ADD(j) sum##j += x[j * n + i];
#define PUT(j) sums[r + j] = sum##j;
        EACH(FIRST)
        for (size_t i = 0; i < n; i++) { EACH(ADD) }
        EACH(PUT)
#undef EACH
#undef FIRST
#undef ADD
#undef PUT
    }
    for (; r < rows; r++, x += n) {
        float sum = 0;
        for (size_t i = 0; i < n; i++) sum += x[i];
        sums[r] = sum;
    }
}

typedef enum { REDUCE_SUM, REDUCE_PROD, REDUCE_MAX, REDUCE_MIN, REDUCE_ANY, REDUCE_ALL } function;

typedef struct {
    const er_kernels *kernels;
    er_reduction r;
    function f;
    edgert_type type;
    bool quantized;
    int32_t x_zero, y_zero;
    er_multiplier m;
} reduce;

typedef struct { const reduce *s; const er_tensor *x, *y; int64_t *sums; } walk_arg;

static void take_float(void *arg, size_t i, size_t o)
{
    const walk_arg *w = arg;
    const float x = er_f32(w->x)[i];
    float *y = er_f32(w->y) + o;
    switch (w->s->f) {
    case REDUCE_SUM: *y += x; break;
    case REDUCE_PROD: *y *= x; break;
    case REDUCE_MAX: *y = x > *y ? x : *y; break;
    default: *y = x < *y ? x : *y;
    }
}

// A product is scaled after each factor, as in convolutions of 16 bits.
static int32_t rescaled_product(const reduce *s, int64_t product)
{
    return er_requantize64(product, s->m);
}

static void take_whole(void *arg, size_t i, size_t o)
{
    const walk_arg *w = arg;
    const reduce *s = w->s;
    const int64_t x = er_whole(w->x, i);
    int64_t *y = w->sums + o;
    switch (s->f) {
    case REDUCE_SUM: *y = (int64_t)((uint64_t)*y + (uint64_t)x); break;
    case REDUCE_PROD:
        // The first factor as it is: INT64_MIN stands for none yet.
        if (s->quantized) *y = *y == INT64_MIN ? x - s->x_zero : rescaled_product(s, (int64_t)((uint64_t)*y * (uint64_t)(x - s->x_zero)));
        else *y = (int64_t)((uint64_t)*y * (uint64_t)x);
        break;
    case REDUCE_MAX: *y = x > *y ? x : *y; break;
    case REDUCE_MIN: *y = x < *y ? x : *y; break;
    case REDUCE_ANY: *y = *y || x; break;
    default: *y = *y && x;
    }
}

// The reference begins with the lowest and highest finite numbers.
static float first_float(function f) { return f == REDUCE_SUM ? 0 : f == REDUCE_PROD ? 1 : f == REDUCE_MAX ? -3.402823466e+38f : 3.402823466e+38f; }

// ---- [outer][n][inner] of floats: columns of the output together

enum { LANES = 64 };

#define TAKE(acc, v) (f == REDUCE_SUM ? (acc) + (v) : f == REDUCE_MAX ? ((v) > (acc) ? (v) : (acc)) : ((v) < (acc) ? (v) : (acc)))

__attribute__((always_inline)) static inline void columns_of(const function f, size_t outer, size_t n, size_t inner, const float *x, float first, float *y)
{
    float lane[LANES];
    for (size_t o = 0; o < outer; o++, x += n * inner, y += inner)
        for (size_t c = 0, some; c < inner; c += some) {
            some = inner - c < LANES ? inner - c : LANES;
            for (size_t j = 0; j < some; j++) lane[j] = first;
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < some; j++) { const float v = x[i * inner + c + j]; lane[j] = TAKE(lane[j], v); }
            for (size_t j = 0; j < some; j++) y[c + j] = lane[j];
        }
}

__attribute__((always_inline)) static inline floats extreme(const bool most, floats w, floats v) { return most ? larger(w, v) : smaller(w, v); }

// The largest or the smallest of each row: vectors along it.
__attribute__((always_inline)) static inline void rows_of(const bool most, size_t outer, size_t n, const float *x, float first, float *y)
{
    for (size_t o = 0; o < outer; o++, x += n) {
        floats v0 = same_floats(first), v1 = v0, v2 = v0, v3 = v0;
        size_t i = 0;
        for (; i + 4 * FLOATS <= n; i += 4 * FLOATS) {
            v0 = extreme(most, load_floats(x + i), v0);
            v1 = extreme(most, load_floats(x + i + FLOATS), v1);
            v2 = extreme(most, load_floats(x + i + 2 * FLOATS), v2);
            v3 = extreme(most, load_floats(x + i + 3 * FLOATS), v3);
        }
        for (; i + FLOATS <= n; i += FLOATS) v0 = extreme(most, load_floats(x + i), v0);
        v0 = extreme(most, extreme(most, v3, v2), extreme(most, v1, v0));
        float all = first;
        for (size_t j = 0; j < FLOATS; j++) all = (most ? v0[j] > all : v0[j] < all) ? v0[j] : all;
        for (; i < n; i++) all = (most ? x[i] > all : x[i] < all) ? x[i] : all;
        y[o] = all;
    }
}

static void run_plain_floats(function f, size_t outer, size_t n, size_t inner, const float *x, float *y)
{
    const float first = first_float(f);
    if (f == REDUCE_SUM && inner == 1) er_sum_rows(outer, n, x, y);
    else if (f == REDUCE_SUM) columns_of(REDUCE_SUM, outer, n, inner, x, first, y);
    else if (f == REDUCE_MAX && inner == 1) rows_of(true, outer, n, x, first, y);
    else if (f == REDUCE_MAX) columns_of(REDUCE_MAX, outer, n, inner, x, first, y);
    else if (inner == 1) rows_of(false, outer, n, x, first, y);
    else columns_of(REDUCE_MIN, outer, n, inner, x, first, y);
}

// ---- the same of bytes, by kernels. Any and all of bools are the largest and the least of their bytes.

enum { OUTPUTS = 256 };

// Up to OUTPUTS columns, or else rows.
static void take_bytes(const reduce *s, bool columns, size_t rows, size_t n, const uint8_t *x, size_t stride, int64_t first, int64_t *y)
{
    const bool least = s->f == REDUCE_MIN || s->f == REDUCE_ALL, is_signed = s->type == EDGERT_INT8;
    const uint8_t sign = is_signed ? 0x80 : 0, flip = sign ^ (least ? 0xff : 0);
    const size_t count = columns ? n : rows;
    if (s->f == REDUCE_SUM) {
        int32_t sums[OUTPUTS] = {0};
        (columns ? s->kernels->sum_columns : s->kernels->sum_rows)(rows, n, x, stride, sign, sums);
        for (size_t j = 0; j < count; j++) y[j] = sums[j];
        return;
    }
    uint8_t most[OUTPUTS] = {0};
    (columns ? s->kernels->most_columns : s->kernels->most_rows)(rows, n, x, stride, flip, most);
    for (size_t j = 0; j < count; j++) {
        const uint8_t byte = most[j] ^ flip;
        const int64_t v = is_signed ? (int8_t)byte : byte;
        y[j] = (least ? v < first : v > first) ? v : first;
    }
}

static void run_plain_bytes(const reduce *s, size_t outer, size_t n, size_t inner, const uint8_t *x, int64_t first, int64_t *y)
{
    if (inner == 1) {
        for (size_t o = 0, some; o < outer; o += some) {
            some = outer - o < OUTPUTS ? outer - o : OUTPUTS;
            take_bytes(s, false, some, n, x + o * n, n, first, y + o);
        }
        return;
    }
    for (size_t o = 0; o < outer; o++, x += n * inner, y += inner)
        for (size_t c = 0, some; c < inner; c += some) {
            some = inner - c < OUTPUTS ? inner - c : OUTPUTS;
            take_bytes(s, true, n, some, x + c, inner, first, y + c);
        }
}

// Whether it is one of those. Sums of up to 2^23 bytes fit 32 bits.
static bool run_plain(const reduce *s, const er_tensor *x, const er_tensor *y, int64_t *sums, int64_t first)
{
    size_t outer, inner;
    const size_t n = s->r.n;
    const bool is_float = s->type == EDGERT_FLOAT32, bytes = s->type == EDGERT_INT8 || s->type == EDGERT_UINT8 || s->type == EDGERT_BOOL;
    if (s->f == REDUCE_PROD || n > 1 << 23 || (!is_float && !bytes) || !er_reduction_is_plain(&s->r, &outer, &inner)) return false;
    if (is_float) run_plain_floats(s->f, outer, n, inner, er_f32(x), er_f32(y));
    else run_plain_bytes(s, outer, n, inner, er_u8(x), first, sums);
    return true;
}

static void run_reduce(const er_op *op, er_pool *pool)
{
    (void)pool;
    const reduce *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    walk_arg w = {s, x, y, (int64_t *)(void *)op->scratch};
    if (s->type == EDGERT_FLOAT32) {
        if (run_plain(s, x, y, NULL, 0)) return;
        for (size_t o = 0; o < y->count; o++) er_f32(y)[o] = first_float(s->f);
        er_reduction_walk(&s->r, x->count, take_float, &w);
        return;
    }
    int64_t first = 0, low, high;
    er_whole_limits(s->type, &low, &high);
    if (s->f == REDUCE_PROD || s->f == REDUCE_ALL) first = 1;
    if (s->f == REDUCE_PROD && s->quantized) first = INT64_MIN;
    if (s->f == REDUCE_MAX) first = low;
    if (s->f == REDUCE_MIN) first = high;
    if (!run_plain(s, x, y, w.sums, first)) {
        for (size_t o = 0; o < y->count; o++) w.sums[o] = first;
        er_reduction_walk(&s->r, x->count, take_whole, &w);
    }
    for (size_t o = 0; o < y->count; o++) {
        int64_t v = w.sums[o];
        if (s->quantized && s->f == REDUCE_SUM) {
            // The reference's sums of int16 are wrong: these are rounded once.
            const int32_t sum = (int32_t)((uint32_t)v - (uint32_t)s->x_zero * (uint32_t)s->r.n);
            v = (s->type == EDGERT_INT16 ? er_requantize_once(sum, s->m) : er_requantize(sum, s->m)) + (int64_t)s->y_zero;
            v = v < low ? low : v > high ? high : v;
        }
        if (s->quantized && s->f == REDUCE_PROD) {
            v = (int64_t)rescaled_product(s, v == INT64_MIN ? 1 : v) + s->y_zero;
            v = v < low ? low : v > high ? high : v;
        }
        er_put_whole(y, o, v);
    }
}

static er_status prepare(er_prepare *p, er_op *op, function f)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    er_status status;
    reduce *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_reduction_prepare(p, op, &s->r));
    s->kernels = p->kernels;
    s->f = f;
    s->type = x->def->type;
    const bool narrow = er_is_8bit(x) || er_is_16bit(x);
    s->quantized = narrow && (f == REDUCE_SUM || (f == REDUCE_PROD && x->def->quant.n));
    if (s->quantized) {
        ER_TRY(er_expect_quantized(p, x, "input"));
        ER_TRY(er_expect_quantized(p, y, "output"));
        s->x_zero = er_zero(x);
        s->y_zero = er_zero(y);
        const double sx = (double)er_scale(x), sy = (double)er_scale(y);
        // Each factor of a product takes its share of the output's scale.
        s->m = er_make_multiplier(f == REDUCE_SUM ? sx / sy : sx / pow(sy, 1.0 / (double)(s->r.n ? s->r.n : 1)));
    }
    op->run = run_reduce;
    if (s->type != EDGERT_FLOAT32) op->scratch_bytes = y->count * sizeof(int64_t);
    return ER_OK;
}

er_status er_prepare_sum(er_prepare *p, er_op *op) { return prepare(p, op, REDUCE_SUM); }
er_status er_prepare_reduce_prod(er_prepare *p, er_op *op) { return prepare(p, op, REDUCE_PROD); }
er_status er_prepare_reduce_max(er_prepare *p, er_op *op) { return prepare(p, op, REDUCE_MAX); }
er_status er_prepare_reduce_min(er_prepare *p, er_op *op) { return prepare(p, op, REDUCE_MIN); }
er_status er_prepare_reduce_any(er_prepare *p, er_op *op) { return prepare(p, op, REDUCE_ANY); }
er_status er_prepare_reduce_all(er_prepare *p, er_op *op) { return prepare(p, op, REDUCE_ALL); }
