// PRELU: y = x where x >= 0, alpha * x below; alpha is a tensor that broadcasts. float32, int8, uint8; int16 with int8 alpha.
#include "ops/broadcast.h"
#include "ops/whole.h"

typedef struct { er_broadcast bc; er_prelu_params q; const er_kernels *kernels; } prelu;

static void floats(const void *state, size_t n, const void *x, size_t x_step, const void *alpha, size_t alpha_step, void *out)
{
    (void)state;
    const float *p = x, *q = alpha;
    float *y = out;
    if (x_step && alpha_step) {
        for (size_t i = 0; i < n; i++) {
            const float below = q[i], factor = p[i] >= 0 ? 1.0f : below;    // without a branch
            y[i] = p[i] * factor;
        }
        return;
    }
    for (size_t i = 0; i < n; i++, p += x_step, q += alpha_step) y[i] = *p >= 0 ? *p : *p * *q;
}

static void bytes(const void *state, size_t n, const void *x, size_t x_step, const void *alpha, size_t alpha_step, void *y)
{
    const prelu *s = state;
    s->kernels->prelu(n, x, x_step, alpha, alpha_step, &s->q, y);
}

static void run_prelu(const er_op *op, er_pool *pool)
{
    (void)pool;
    const prelu *s = op->state;
    const er_tensor *x = op->inputs[0], *alpha = op->inputs[1], *y = op->outputs[0];
    if (!er_is_16bit(x)) {
        const bool is_float = x->def->type == EDGERT_FLOAT32;
        er_broadcast_each(&s->bc, is_float ? sizeof(float) : 1, x->data, alpha->data, y->data, is_float ? floats : bytes, s);
        return;
    }
    for (size_t r = 0; r < s->bc.outer; r++) {
        size_t a, b, to = r * s->bc.run;
        er_broadcast_offsets(&s->bc, r, &a, &b);
        for (size_t i = 0; i < s->bc.run; i++, a += s->bc.a_step, b += s->bc.b_step, to++) {
            const int32_t v = (int32_t)er_whole(x, a) - s->q.x_zero, w = (int32_t)er_whole(alpha, b) - s->q.alpha_zero;
            const int64_t q = (int64_t)(v >= 0 ? er_requantize(v, s->q.positive) : er_requantize(v * w, s->q.negative)) + s->q.zero;
            er_put_whole(y, to, er_clamp64(q, er_lowest(y), er_highest(y)));
        }
    }
}

er_status er_prepare_prelu(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0], *alpha = op->inputs[1];
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    ER_TRY(er_expect_type(p, alpha, er_is_16bit(x) ? EDGERT_INT8 : x->def->type, "alpha"));
    er_status status;
    prelu *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_broadcast_shapes(p, x, alpha, y, &s->bc));
    if (y->count != x->count || y->rank != x->rank) return er_op_fail(p, EDGERT_ERROR_MODEL, "its alpha is larger than its input");
    op->run = run_prelu;
    if (x->def->type == EDGERT_FLOAT32) return ER_OK;
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, alpha, "alpha"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    s->kernels = p->kernels;
    s->q.positive = er_make_multiplier((double)(er_scale(x) / er_scale(y)));
    s->q.negative = er_make_multiplier((double)(er_scale(x) * er_scale(alpha) / er_scale(y)));
    s->q.x_zero = er_zero(x);
    s->q.alpha_zero = er_zero(alpha);
    s->q.zero = er_zero(y);
    s->q.min = er_lowest(y);
    s->q.max = er_highest(y);
    s->q.is_signed = er_is_signed(x);
    return ER_OK;
}
