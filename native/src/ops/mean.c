// MEAN over any axes. int8, uint8, float32; int16, int32 and int64 plainly.
//
// Integers: the sum, less the zero points, times input scale / output scale / count; the count is divided into the
// fixed-point multiplier with the shift that keeps the most bits.
#include <math.h>
#include <string.h>

#include "ops/reduce.h"
#include "ops/whole.h"

typedef struct {
    const er_kernels *kernels;
    bool is_float;
    uint8_t flip;               // of er_sum_of_bytes
    er_reduction r;
    int32_t x_zero;
    er_multiplier m;
    er_output o;
} mean;

// Adds `rows` rows of n values to one sum (step 0) or to n of them (step 1).
static void add_floats(size_t rows, size_t n, const float *x, float *sum, size_t step)
{
    for (size_t r = 0; r < rows; r++, x += n) {
        if (step) for (size_t j = 0; j < n; j++) sum[j] += x[j];
        else for (size_t j = 0; j < n; j++) sum[0] += x[j];
    }
}

static void add_up(const mean *s, const er_tensor *x, int32_t *sums, float *fsums, size_t count)
{
    memset(sums, 0, count * sizeof *sums);
    int32_t at[ER_MAX_RANK] = {0}, last = s->r.rank - 1, outer = last - 1;
    size_t inner = s->r.rank ? (size_t)s->r.dims[last] : 1, step = s->r.rank ? s->r.out_stride[last] : 0, rows = 1;
    for (; outer >= 0 && s->r.out_stride[outer] == 0; outer--) rows *= (size_t)s->r.dims[outer];     // which add to the same sums
    for (size_t i = 0; i < x->count; i += rows * inner) {
        size_t to = 0;
        for (int32_t d = 0; d <= outer; d++) to += (size_t)at[d] * s->r.out_stride[d];
        if (s->is_float) add_floats(rows, inner, er_f32(x) + i, fsums + to, step);
        else if (step) s->kernels->sum_columns(rows, inner, er_u8(x) + i, inner, s->flip, sums + to);
        else s->kernels->sum_rows(1, rows * inner, er_u8(x) + i, 0, s->flip, sums + to);
        for (int32_t d = outer; d >= 0 && ++at[d] == s->r.dims[d]; d--) at[d] = 0;
    }
}

static void run_mean(const er_op *op, er_pool *pool)
{
    (void)pool;
    const mean *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    int32_t *sums = (int32_t *)(void *)op->scratch;
    float *fsums = (float *)(void *)op->scratch;
    size_t rows_kept, columns;
    const bool by_rows = er_reduction_is_plain(&s->r, &rows_kept, &columns) && columns == 1;
    if (by_rows && s->is_float) er_sum_rows(rows_kept, s->r.n, er_f32(x), fsums);
    else if (by_rows) s->kernels->sum_rows(rows_kept, s->r.n, er_u8(x), s->r.n, s->flip, memset(sums, 0, y->count * sizeof *sums));
    else add_up(s, x, sums, fsums, y->count);
    for (size_t i = 0; i < y->count; i++) {
        if (s->is_float) {
            er_f32(y)[i] = fsums[i] / (float)s->r.n;
        } else {
            int32_t sum = (int32_t)((uint32_t)sums[i] - (uint32_t)s->x_zero * (uint32_t)s->r.n);
            int64_t v = (int64_t)er_requantize(sum, s->m) + s->o.zero;
            er_u8(y)[i] = (uint8_t)er_clamp64(v, s->o.min, s->o.max);
        }
    }
}

// ---- int16, int32, int64: sums of 64 bits

typedef struct { er_reduction r; er_multiplier m; } plain_mean;
typedef struct { const er_tensor *x; int64_t *sums; } walk_arg;

static void add_whole(void *arg, size_t i, size_t o)
{
    const walk_arg *w = arg;
    w->sums[o] += er_whole(w->x, i);
}

static void run_plain_mean(const er_op *op, er_pool *pool)
{
    (void)pool;
    const plain_mean *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    walk_arg w = {x, (int64_t *)(void *)op->scratch};
    memset(w.sums, 0, y->count * sizeof *w.sums);
    er_reduction_walk(&s->r, x->count, add_whole, &w);
    for (size_t o = 0; o < y->count; o++) {
        const int64_t mean = s->r.n ? w.sums[o] / (int64_t)s->r.n : 0;
        er_put_whole(y, o, er_is_16bit(x) ? er_clamp32(er_requantize((int32_t)w.sums[o], s->m), INT16_MIN, INT16_MAX) : mean);
    }
}

// The count is divided into the multiplier.
static er_multiplier divided(er_multiplier m, size_t n)
{
    if (!n) return m;
    int32_t shift = 63 - __builtin_clzll((unsigned long long)n);
    shift = er_min32(er_min32(shift, 32), 31 + m.shift);
    return (er_multiplier){(int32_t)(((int64_t)m.q << shift) / (int64_t)n), m.shift - shift};
}

static er_status prepare_plain(er_prepare *p, er_op *op)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    er_status status;
    plain_mean *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    ER_TRY(er_reduction_prepare(p, op, &s->r));
    op->run = run_plain_mean;
    op->scratch_bytes = y->count * sizeof(int64_t);
    if (!er_is_16bit(x)) return ER_OK;
    ER_TRY(er_expect_symmetric(p, x, "input"));
    ER_TRY(er_expect_symmetric(p, y, "output"));
    s->m = divided(er_make_multiplier((double)er_scale(x) / (double)er_scale(y)), s->r.n);
    return ER_OK;
}

er_status er_prepare_mean(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    if (er_is_16bit(x) || (ER_T(x->def->type) & ER_INTS)) return prepare_plain(p, op);
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (!x->rank && op->inputs[1]->count) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is a scalar, which has no axis");
    er_status status;
    mean *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (mean){.kernels = p->kernels, .is_float = !er_is_8bit(x), .flip = er_stored_signed(x) ? 0x80 : 0};
    ER_TRY(er_reduction_prepare(p, op, &s->r));
    // Of nothing, the reference makes NaN, and zero for integers.
    if (s->r.n > (1 << 23)) return er_op_fail(p, EDGERT_ERROR_MODEL, "it takes the mean of more values than a 32-bit sum holds");
    op->run = run_mean;
    op->scratch_bytes = y->count * 4;
    if (s->is_float) return ER_OK;
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    ER_TRY(er_activation_output(p, ER_ACT_NONE, y, &s->o));
    s->x_zero = er_stored_zero(x);
    s->m = divided(er_make_multiplier((double)er_scale(x) / (double)er_scale(y)), s->r.n);
    return ER_OK;
}
