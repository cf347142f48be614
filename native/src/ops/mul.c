// MUL. int8, uint8, float32 here, whole numbers in binary.c, int16 in elementwise.c; broadcasting.
#include "kernels/pack.h"
#include "ops/binary.h"
#include "ops/broadcast.h"
#include "ops/elementwise.h"

typedef struct {
    er_broadcast bc;
    er_qmul *kernel;
    er_float_pair floats;
    er_qmul_params q;
    int expand;                 // er_broadcast_plan_expansion
} mul;

static void run_floats(const er_op *op, er_pool *pool)
{
    const mul *s = op->state;
    er_broadcast_floats(op, pool, &s->bc, &s->floats);
}

static void run_pair(const void *state, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *y)
{
    const mul *s = state;
    s->kernel(n, a, a_step, b, b_step, &s->q, y);
}

static void run_mul(const er_op *op, er_pool *pool)
{
    const mul *s = op->state;
    const uint8_t *x, *z;
    const er_broadcast bc = er_broadcast_expanded(op, &s->bc, s->expand, &x, &z);
    er_broadcast_shared(pool, (double)op->outputs[0]->count * 12, &bc, 1, x, z, op->outputs[0]->data, run_pair, s);
}

er_status er_prepare_mul(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1];
    if (!er_is_8bit(a) && !er_is_16bit(a) && a->def->type != EDGERT_FLOAT32) return er_prepare_binary(p, op, ER_BINARY_MUL, er_read_activation(op->def->options));
    if (er_is_16bit(a)) return er_prepare_mul16(p, op);
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, a->def->type, "output"));
    er_status status;
    mul *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_broadcast_shapes(p, a, b, y, &s->bc));
    er_activation activation = er_read_activation(op->def->options);
    op->run = er_is_8bit(a) ? run_mul : run_floats;
    s->floats.kernel = p->kernels->mul_floats;
    if (!er_is_8bit(a)) return er_activation_floats(p, activation, &s->floats.min, &s->floats.max);
    ER_TRY(er_expect_quantized(p, a, "first input"));
    ER_TRY(er_expect_quantized(p, b, "second input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    ER_TRY(er_activation_output(p, activation, y, &s->q.o));
    s->kernel = p->kernels->qmul;
    op->kernel = "product by element";
    s->expand = er_broadcast_plan_expansion(op, &s->bc);
    s->q.a_zero = er_stored_zero(a);
    s->q.b_zero = er_stored_zero(b);
    s->q.a_signed = er_stored_signed(a);
    s->q.b_signed = er_stored_signed(b);
    // In float32, as the reference.
    s->q.m = (double)(er_scale(a) * er_scale(b) / er_scale(y));
    // A product of two numbers of up to 255 is at most what one weight of 255 makes.
    uint8_t most = 255;
    er_set_reach(&s->q.o, 1, 1, 1, 1, &most, true, 0, 0, &(er_channel){0, s->q.m});
    return ER_OK;
}
