// ADD, SUB. int8, uint8, float32 here, whole numbers in binary.c, int16 in elementwise.c; broadcasting.
//
// Integers: both inputs are brought to a common scale, twice the larger one, with 20 more bits, then added.
#include "ops/add.h"
#include "ops/binary.h"
#include "ops/broadcast.h"
#include "ops/elementwise.h"

typedef struct {
    er_broadcast bc;
    er_qadd *kernel;
    er_float_pair floats;
    er_qadd_params q;
    int expand;                 // er_broadcast_plan_expansion
} add;

static void run_floats(const er_op *op, er_pool *pool)
{
    const add *s = op->state;
    er_broadcast_floats(op, pool, &s->bc, &s->floats);
}

static void run_pair(const void *state, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *y)
{
    const add *s = state;
    s->kernel(n, a, a_step, b, b_step, &s->q, y);
}

static void run_add(const er_op *op, er_pool *pool)
{
    const add *s = op->state;
    const uint8_t *x, *z;
    const er_broadcast bc = er_broadcast_expanded(op, &s->bc, s->expand, &x, &z);
    er_broadcast_shared(pool, (double)op->outputs[0]->count * 8, &bc, 1, x, z, op->outputs[0]->data, run_pair, s);
}

bool er_add_is_plain(const er_op *op)
{
    const add *s = op->state;
    return op->run == run_add && s->bc.outer == 1 && s->bc.a_step == 1 && s->bc.b_step == 1;
}

void er_add_elements(const er_op *op, const er_tensor *term, size_t from, size_t n)
{
    const add *s = op->state;
    uint8_t *y = er_u8(op->outputs[0]) + from;
    s->kernel(n, op->inputs[0] == term ? y : er_u8(op->inputs[0]) + from, 1, op->inputs[1] == term ? y : er_u8(op->inputs[1]) + from, 1, &s->q, y);
}

static er_status prepare(er_prepare *p, er_op *op, bool subtract)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1];
    if (ER_T(a->def->type) & ER_INTS) return er_prepare_binary(p, op, subtract ? ER_BINARY_SUB : ER_BINARY_ADD, er_read_activation(op->def->options));
    if (er_is_16bit(a)) return er_prepare_add16(p, op, subtract);
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, a->def->type, "output"));
    er_status status;
    add *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_broadcast_shapes(p, a, b, y, &s->bc));
    er_activation activation = er_read_activation(op->def->options);
    op->run = er_is_8bit(a) ? run_add : run_floats;
    s->q.subtract = subtract;
    s->floats.kernel = subtract ? p->kernels->sub_floats : p->kernels->add_floats;
    if (!er_is_8bit(a)) return er_activation_floats(p, activation, &s->floats.min, &s->floats.max);
    ER_TRY(er_expect_quantized(p, a, "first input"));
    ER_TRY(er_expect_quantized(p, b, "second input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    ER_TRY(er_activation_output(p, activation, y, &s->q.o));
    double sa = (double)er_scale(a), sb = (double)er_scale(b), twice = 2 * (sa > sb ? sa : sb);
    s->kernel = p->kernels->qadd;
    op->kernel = "sum";
    s->expand = er_broadcast_plan_expansion(op, &s->bc);
    s->q.a_zero = er_stored_zero(a);
    s->q.b_zero = er_stored_zero(b);
    s->q.a_signed = er_stored_signed(a);
    s->q.b_signed = er_stored_signed(b);
    s->q.a = er_make_multiplier(sa / twice);
    s->q.b = er_make_multiplier(sb / twice);
    s->q.out = er_make_multiplier(twice / ((1 << 20) * (double)er_scale(y)));
    er_qadd_prepare(&s->q);
    return ER_OK;
}

er_status er_prepare_add(er_prepare *p, er_op *op) { return prepare(p, op, false); }
er_status er_prepare_sub(er_prepare *p, er_op *op) { return prepare(p, op, true); }
