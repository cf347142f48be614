#include "ops/elementwise.h"

#include <math.h>

#include "ops/broadcast.h"
#include "ops/table16.h"
#include "ops/whole.h"

typedef struct elementwise elementwise;

struct elementwise {
    er_broadcast bc;
    er_words *kernel;           // int16, or
    int32_t (*value)(const elementwise *s, int32_t x, int32_t z);       // of values less their zero points
    er_words_params p;
    bool zero_divides;
};

static void run_elementwise(const er_op *op, er_pool *pool)
{
    (void)pool;
    const elementwise *s = op->state;
    const er_tensor *x = op->inputs[0], *z = op->inputs[1], *y = op->outputs[0];
    for (size_t r = 0; r < s->bc.outer; r++) {
        size_t a, b;
        er_broadcast_offsets(&s->bc, r, &a, &b);
        if (s->kernel) {
            s->kernel(s->bc.run, (const int16_t *)x->data + a, s->bc.a_step, (const int16_t *)z->data + b, s->bc.b_step, &s->p, (int16_t *)y->data + r * s->bc.run);
            continue;
        }
        for (size_t i = 0; i < s->bc.run; i++) {
            const int32_t divisor = (int32_t)er_whole(z, b + i * s->bc.b_step) - s->p.b_zero;
            if (s->zero_divides && divisor == 0) er_op_fault(op, "it divides by 0");
            const int64_t v = (int64_t)s->value(s, (int32_t)er_whole(x, a + i * s->bc.a_step) - s->p.a_zero, divisor) + s->p.o.zero;
            er_put_whole(y, r * s->bc.run + i, er_clamp64(v, s->p.o.min, s->p.o.max));
        }
    }
}

er_status er_expect_quantized_pair(er_prepare *p, const er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1], *y = op->outputs[0];
    ER_TRY(er_expect_type(p, b, a->def->type, "second input"));
    ER_TRY(er_expect_type(p, y, a->def->type, "output"));
    ER_TRY(er_expect_quantized(p, a, "first input"));
    ER_TRY(er_expect_quantized(p, b, "second input"));
    return er_expect_quantized(p, y, "output");
}

static er_status prepare(er_prepare *p, er_op *op, er_activation activation, elementwise **out)
{
    ER_TRY(er_expect_quantized_pair(p, op));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1];
    er_tensor *y = op->outputs[0];
    er_status status;
    elementwise *s = op->state = *out = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_broadcast_shapes(p, a, b, y, &s->bc));
    ER_TRY(er_activation_output(p, activation, y, &s->p.o));
    s->p.a_zero = er_zero(a);
    s->p.b_zero = er_zero(b);
    op->run = run_elementwise;
    return ER_OK;
}

// ---- ADD, SUB: both inputs on a common scale, with more bits

// Scales that are powers of two: shifts alone. The one of the inputs that is finer is brought to the other's.
static int16_t saturated_shift(int32_t x, int32_t right)
{
    const int32_t v = right >= 0 ? er_rounding_shift(x, er_min32(right, 31)) : er_saturating_left_shift(x, er_min32(-right, 31));
    return (int16_t)er_clamp32(v, INT16_MIN, INT16_MAX);
}

static int32_t sum_of_powers(const elementwise *s, int32_t x, int32_t z)
{
    const int32_t a = saturated_shift(x, -s->p.a.shift), b = saturated_shift(z, -s->p.b.shift);
    return er_clamp32(s->p.subtract ? a - b : a + b, INT16_MIN, INT16_MAX);
}

er_status er_prepare_add16(er_prepare *p, er_op *op, bool subtract)
{
    elementwise *s;
    ER_TRY(prepare(p, op, er_read_activation(op->def->options), &s));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1], *y = op->outputs[0];
    s->p.subtract = subtract;
    int32_t ea, eb, ey;
    const bool powers = er_read_pot_scale_int16(op->def->options) && !s->p.a_zero && !s->p.b_zero && !er_zero(y) && er_is_power_of_two(er_scale(a), &ea) &&
                        er_is_power_of_two(er_scale(b), &eb) && er_is_power_of_two(er_scale(y), &ey);
    if (powers) {
        if ((ea != ey && eb != ey) || ea > ey || eb > ey)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its scales are powers of two, and neither input has the output's, or one is larger");
        s->p.a.shift = ea - ey;
        s->p.b.shift = eb - ey;
        s->value = sum_of_powers;
        return ER_OK;
    }
    const double sa = (double)er_scale(a), sb = (double)er_scale(b), twice = 2 * (sa > sb ? sa : sb);
    s->p.shift = 15;
    s->p.a = er_make_multiplier(sa / twice);
    s->p.b = er_make_multiplier(sb / twice);
    s->p.out = er_make_multiplier(twice / ((double)(1 << s->p.shift) * (double)er_scale(y)));
    s->kernel = p->kernels->add_words;
    return ER_OK;
}

// ---- MUL

er_status er_prepare_mul16(er_prepare *p, er_op *op)
{
    elementwise *s;
    ER_TRY(prepare(p, op, er_read_activation(op->def->options), &s));
    s->p.out = er_make_multiplier((double)(er_scale(op->inputs[0]) * er_scale(op->inputs[1]) / er_scale(op->outputs[0])));
    s->kernel = p->kernels->mul_words;
    return ER_OK;
}

// ---- DIV: by a reciprocal in fixed point

static int32_t quotient(const elementwise *s, int32_t x, int32_t z)
{
    if (z == 0) return 0;
    const uint32_t divisor = z > 0 ? (uint32_t)z : 0 - (uint32_t)z;
    const int32_t room = __builtin_clz(divisor);
    int32_t inverse = er_one_over_one_plus((int32_t)((divisor << room) - (UINT32_C(1) << 31)));
    if (z < 0) inverse = -inverse;
    const int32_t magnitude = x ^ (x >> 31), left = magnitude ? __builtin_clz((uint32_t)magnitude) - 1 : 31;
    const int32_t scaled = er_doubling_high_mul((int32_t)((uint32_t)x << left), inverse);
    const int32_t right = -(s->p.out.shift - (31 - room) - left);
    const int32_t v = er_doubling_high_mul(scaled, s->p.out.q);
    return right >= 0 ? right > 31 ? 0 : er_rounding_shift(v, right) : (int32_t)((uint32_t)v << er_min32(-right, 31));
}

er_status er_prepare_quantized_div(er_prepare *p, er_op *op)
{
    elementwise *s;
    ER_TRY(prepare(p, op, er_read_activation(op->def->options), &s));
    s->p.out = er_make_multiplier((double)(er_scale(op->inputs[0]) / (er_scale(op->inputs[1]) * er_scale(op->outputs[0]))));
    s->value = quotient;
    s->zero_divides = true;
    return ER_OK;
}
