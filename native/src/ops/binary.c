// DIV (float32), FLOOR_DIV (float32, int32), and ADD, SUB, MUL on int32: plain functions of two numbers, with broadcasting.
#include "ops/binary.h"

#include <math.h>

#include "ops/broadcast.h"

typedef struct {
    er_broadcast bc;
    er_binary_function f;
    int32_t low, high;          // int32: range after the fused activation
    float min, max;
} binary;

// As the reference computes on x86: sums and products that do not fit wrap.
static inline int32_t int_value(er_binary_function f, int32_t a, int32_t b)
{
    switch (f) {
    case ER_BINARY_ADD: return (int32_t)((uint32_t)a + (uint32_t)b);
    case ER_BINARY_SUB: return (int32_t)((uint32_t)a - (uint32_t)b);
    case ER_BINARY_MUL: return (int32_t)((uint32_t)a * (uint32_t)b);
    default: break;
    }
    if (b == -1) return (int32_t)(0 - (uint32_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static void run_ints(const er_op *op, er_pool *pool)
{
    (void)pool;
    const binary *s = op->state;
    for (size_t r = 0; r < s->bc.outer; r++) {
        size_t a, b;
        er_broadcast_offsets(&s->bc, r, &a, &b);
        const int32_t *x = er_i32(op->inputs[0]) + a, *z = er_i32(op->inputs[1]) + b;
        int32_t *y = er_i32(op->outputs[0]) + r * s->bc.run;
        for (size_t i = 0; i < s->bc.run; i++) {
            int32_t divisor = z[i * s->bc.b_step];
            if (divisor == 0 && s->f == ER_BINARY_FLOOR_DIV) {
                er_op_fault(op, "it divides by 0");
                y[i] = 0;
            } else {
                y[i] = er_clamp32(int_value(s->f, x[i * s->bc.a_step], divisor), s->low, s->high);
            }
        }
    }
}

static void run_floats(const er_op *op, er_pool *pool)
{
    (void)pool;
    const binary *s = op->state;
    for (size_t r = 0; r < s->bc.outer; r++) {
        size_t a, b;
        er_broadcast_offsets(&s->bc, r, &a, &b);
        const float *x = er_f32(op->inputs[0]) + a, *z = er_f32(op->inputs[1]) + b;
        float *y = er_f32(op->outputs[0]) + r * s->bc.run;
        if (s->f == ER_BINARY_DIV && s->bc.a_step && s->bc.b_step) {      // as vectors
            const float min = s->min, max = s->max;
            for (size_t i = 0; i < s->bc.run; i++) {
                float v = x[i] / z[i];
                v = v < min ? min : v;
                y[i] = v > max ? max : v;
            }
            continue;
        }
        for (size_t i = 0; i < s->bc.run; i++) {
            float v = x[i * s->bc.a_step] / z[i * s->bc.b_step];
            if (s->f == ER_BINARY_FLOOR_DIV) v = floorf(v);
            y[i] = v < s->min ? s->min : v > s->max ? s->max : v;
        }
    }
}

er_status er_prepare_binary(er_prepare *p, er_op *op, er_binary_function f)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *a = op->inputs[0], *b = op->inputs[1];
    ER_TRY(er_expect_type(p, op->outputs[0], a->def->type, "output"));
    er_status status;
    binary *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->f = f;
    ER_TRY(er_broadcast_shapes(p, a, b, op->outputs[0], &s->bc));
    er_activation activation = f == ER_BINARY_FLOOR_DIV ? ER_ACT_NONE : er_read_activation(op->def->options);
    ER_TRY(er_activation_floats(p, activation, &s->min, &s->max));
    s->low = isfinite(s->min) ? (int32_t)s->min : INT32_MIN;
    s->high = isfinite(s->max) ? (int32_t)s->max : INT32_MAX;
    op->run = a->def->type == EDGERT_INT32 ? run_ints : run_floats;
    return ER_OK;
}

er_status er_prepare_div(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_DIV); }
er_status er_prepare_floor_div(er_prepare *p, er_op *op) { return er_prepare_binary(p, op, ER_BINARY_FLOOR_DIV); }
