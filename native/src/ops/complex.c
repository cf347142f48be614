// RFFT2D, REAL, IMAG, COMPLEX_ABS: spectra of real signals. complex64 is two float32.
//
// The transform is Cooley and Tukey's of 1965, in place and in double, along rows and then along columns; sizes are powers of two.
#include <math.h>
#include <string.h>

#include "ops/op.h"

typedef struct { double re, im; } number;
typedef struct { size_t images, in_h, in_w, h, w; number *roots; } transform;    // roots[k] = exp(-2 pi i k / n), n = max(h, w)

// n numbers, `step` apart. `roots` has n * every of them.
static void fft(number *x, size_t n, size_t step, const number *roots, size_t every)
{
    for (size_t i = 1, j = 0; i < n; i++) {     // into bit-reversed order
        size_t bit = n / 2;
        for (; j & bit; bit /= 2) j ^= bit;
        j ^= bit;
        if (i >= j) continue;
        const number t = x[i * step];
        x[i * step] = x[j * step];
        x[j * step] = t;
    }
    for (size_t half = 1; half < n; half *= 2)
        for (size_t start = 0; start < n; start += 2 * half)
            for (size_t k = 0; k < half; k++) {
                const number r = roots[k * (n / (2 * half)) * every];
                number *a = x + (start + k) * step, *b = a + half * step;
                const number t = {b->re * r.re - b->im * r.im, b->re * r.im + b->im * r.re};
                *b = (number){a->re - t.re, a->im - t.im};
                *a = (number){a->re + t.re, a->im + t.im};
            }
}

static void run_rfft2d(const er_op *op, er_pool *pool)
{
    (void)pool;
    const transform *s = op->state;
    const float *x = er_f32(op->inputs[0]);
    float *y = er_f32(op->outputs[0]);
    number *all = (number *)(void *)op->shared;
    const size_t n = s->h > s->w ? s->h : s->w, most_h = s->in_h < s->h ? s->in_h : s->h, most_w = s->in_w < s->w ? s->in_w : s->w;
    for (size_t image = 0; image < s->images; image++, x += s->in_h * s->in_w) {
        memset(all, 0, s->h * s->w * sizeof *all);
        for (size_t i = 0; i < most_h; i++)
            for (size_t j = 0; j < most_w; j++) all[i * s->w + j].re = (double)x[i * s->in_w + j];
        for (size_t i = 0; i < s->h; i++) fft(all + i * s->w, s->w, 1, s->roots, n / s->w);
        for (size_t j = 0; j <= s->w / 2; j++) fft(all + j, s->h, s->w, s->roots, n / s->h);
        for (size_t i = 0; i < s->h; i++)
            for (size_t j = 0; j <= s->w / 2; j++) {
                *y++ = (float)all[i * s->w + j].re;
                *y++ = (float)all[i * s->w + j].im;
            }
    }
}

er_status er_prepare_rfft2d(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_type(p, op->inputs[1], EDGERT_INT32, "lengths"));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_COMPLEX64, "output"));
    int32_t size[ER_MAX_RANK], n, dims[ER_MAX_RANK];
    ER_TRY(er_read_ints(p, op->inputs[1], "lengths", size, &n));
    if (x->rank < 2 || n != 2) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has rank %d and it has %d lengths, expected 2 or more, and 2", x->rank, n);
    for (int i = 0; i < 2; i++)
        if (size[i] < 1 || size[i] & (size[i] - 1)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its length %d is no power of two", size[i]);
    er_status status;
    transform *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (transform){.in_h = (size_t)x->dims[x->rank - 2], .in_w = (size_t)x->dims[x->rank - 1], .h = (size_t)size[0], .w = (size_t)size[1]};
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 2] = size[0];
    dims[x->rank - 1] = size[1] / 2 + 1;
    ER_TRY(er_set_shape(p, op->outputs[0], dims, x->rank));
    s->images = op->outputs[0]->count / (s->h * (s->w / 2 + 1));
    if (!er_mul_size(s->h * s->w, sizeof(number), &op->shared_bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its lengths are too large");
    const size_t most = s->h > s->w ? s->h : s->w;
    s->roots = er_alloc(p, most * sizeof *s->roots, &status);
    ER_TRY(status);
    for (size_t k = 0; k < most; k++) {
        const double angle = -2 * 3.14159265358979323846 * (double)k / (double)most;
        s->roots[k] = (number){cos(angle), sin(angle)};
    }
    op->run = run_rfft2d;
    return ER_OK;
}

typedef enum { REAL, IMAG, ABS } part;

static void run_part(const er_op *op, er_pool *pool)
{
    (void)pool;
    const part which = *(const part *)op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    for (size_t i = 0; i < y->count; i++) {
        if (x->def->type == EDGERT_COMPLEX64) {
            const float *v = er_f32(x) + 2 * i;
            er_f32(y)[i] = which == REAL ? v[0] : which == IMAG ? v[1] : hypotf(v[0], v[1]);
        } else {
            const double *v = (const double *)x->data + 2 * i;
            ((double *)y->data)[i] = which == REAL ? v[0] : which == IMAG ? v[1] : hypot(v[0], v[1]);
        }
    }
}

static er_status prepare_part(er_prepare *p, er_op *op, part which)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(er_expect_type(p, op->outputs[0], op->inputs[0]->def->type == EDGERT_COMPLEX64 ? EDGERT_FLOAT32 : EDGERT_FLOAT64, "output"));
    ER_TRY(er_set_same_shape(p, op->outputs[0], op->inputs[0]));
    er_status status;
    part *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = which;
    op->run = run_part;
    return ER_OK;
}

er_status er_prepare_real(er_prepare *p, er_op *op) { return prepare_part(p, op, REAL); }
er_status er_prepare_imag(er_prepare *p, er_op *op) { return prepare_part(p, op, IMAG); }
er_status er_prepare_complex_abs(er_prepare *p, er_op *op) { return prepare_part(p, op, ABS); }
