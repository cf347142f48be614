// SQUARED_DIFFERENCE on 8 bits: both inputs on a common scale with seven more bits, which of a byte is one of 256 values.
#include "ops/broadcast.h"
#include "ops/elementwise.h"
#include "ops/whole.h"

typedef struct {
    er_broadcast bc;
    er_requantize_sums *requantize;
    er_multiplier m;
    er_output o;
    int32_t a[256], b[256];     // by the bits of a byte
} squared;

static void squares(const void *state, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *y)
{
    enum { MOST = 256 };
    const squared *s = state;
    const uint8_t *p = a, *q = b;
    int32_t sums[MOST];
    for (size_t some; n; n -= some, p += some * a_step, q += some * b_step, y = (uint8_t *)y + some) {
        some = n < MOST ? n : MOST;
        for (size_t i = 0; i < some; i++) {
            const uint32_t d = (uint32_t)(s->a[p[i * a_step]] - s->b[q[i * b_step]]);
            sums[i] = (int32_t)(d * d);
        }
        s->requantize(some, sums, 0, s->m, &s->o, y);
    }
}

static void run_squared(const er_op *op, er_pool *pool)
{
    (void)pool;
    const squared *s = op->state;
    er_broadcast_each(&s->bc, 1, op->inputs[0]->data, op->inputs[1]->data, op->outputs[0]->data, squares, s);
}

static void fill(const er_tensor *x, double twice, int32_t *table)
{
    const er_multiplier m = er_make_multiplier((double)er_scale(x) / twice);
    for (int32_t i = 0; i < 256; i++) table[i] = er_requantize((er_byte_value(x, i) - er_zero(x)) * 128, m);
}

er_status er_prepare_quantized_squared_difference(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_quantized_pair(p, op));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1];
    er_tensor *y = op->outputs[0];
    er_status status;
    squared *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_broadcast_shapes(p, a, b, y, &s->bc));
    ER_TRY(er_activation_output(p, ER_ACT_NONE, y, &s->o));
    const double sa = (double)er_scale(a), sb = (double)er_scale(b), twice = 2 * (sa > sb ? sa : sb);
    fill(a, twice, s->a);
    fill(b, twice, s->b);
    s->m = er_make_multiplier(twice * twice / ((double)(1 << 14) * (double)er_scale(y)));
    s->requantize = p->kernels->requantize_sums;
    op->run = run_squared;
    op->kernel = "squares";
    return ER_OK;
}
