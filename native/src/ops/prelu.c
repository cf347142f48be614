// PRELU: y = x where x >= 0, alpha * x below; alpha is a tensor that broadcasts. float32, int8, uint8; int16 with int8 alpha.
#include "ops/broadcast.h"
#include "ops/whole.h"

typedef struct { er_broadcast bc; er_multiplier positive, negative; int32_t x_zero, alpha_zero, y_zero; } prelu;

static void run_prelu(const er_op *op, er_pool *pool)
{
    (void)pool;
    const prelu *s = op->state;
    const er_tensor *x = op->inputs[0], *alpha = op->inputs[1], *y = op->outputs[0];
    for (size_t r = 0; r < s->bc.outer; r++) {
        size_t a, b, to = r * s->bc.run;
        er_broadcast_offsets(&s->bc, r, &a, &b);
        for (size_t i = 0; i < s->bc.run; i++, a += s->bc.a_step, b += s->bc.b_step, to++) {
            if (x->def->type == EDGERT_FLOAT32) {
                const float v = er_f32(x)[a];
                er_f32(y)[to] = v >= 0 ? v : v * er_f32(alpha)[b];
                continue;
            }
            const int32_t v = (int32_t)er_whole(x, a) - s->x_zero, w = (int32_t)er_whole(alpha, b) - s->alpha_zero;
            const int64_t q = (int64_t)(v >= 0 ? er_requantize(v, s->positive) : er_requantize(v * w, s->negative)) + s->y_zero;
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
    s->positive = er_make_multiplier((double)(er_scale(x) / er_scale(y)));
    s->negative = er_make_multiplier((double)(er_scale(x) * er_scale(alpha) / er_scale(y)));
    s->x_zero = er_zero(x);
    s->alpha_zero = er_zero(alpha);
    s->y_zero = er_zero(y);
    return ER_OK;
}
