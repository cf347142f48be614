// LSTM of the basic kind: one step with five inputs and one matrix for all gates, as TensorFlow's BasicLSTMCell was converted. float32, or uint8 with a
// state of int16 in Q4.11. (All other LSTM: lstm.c.)
//
// What goes in and what was active before lie next to each other in an output of their own, what the matrix makes of them in another. Gates are
// in the order input, new value, forget, output.
#include <math.h>
#include <string.h>

#include "base/exponential.h"
#include "base/q15.h"
#include "ops/gates.h"
#include "ops/table16.h"

enum { INPUT, PREVIOUS, WEIGHTS, BIAS, PREVIOUS_STATE, INPUTS };
enum { ACTIVATION, STATE, JOINED, SUMS, OUTPUTS };

typedef struct { const er_kernels *kernels; size_t batches, inputs, cells; er_multiplier m; int32_t w_zero; } cell;

static void join(const er_op *op, const cell *s)
{
    const size_t element = er_type_size(op->inputs[INPUT]->def->type), a = s->inputs * element, b = s->cells * element;
    uint8_t *to = er_u8(op->outputs[JOINED]);
    for (size_t i = 0; i < s->batches; i++, to += a + b) {
        memcpy(to, er_u8(op->inputs[INPUT]) + i * a, a);
        memcpy(to + a, er_u8(op->inputs[PREVIOUS]) + i * b, b);
    }
}

// Variables have the new state from here on. The reference writes it over other inputs, too, which others may read.
static void remember(const er_op *op)
{
    const er_tensor *previous = op->inputs[PREVIOUS], *state = op->inputs[PREVIOUS_STATE];
    if (previous->def->is_variable) memcpy(previous->data, op->outputs[ACTIVATION]->data, previous->bytes);
    if (state->def->is_variable) memcpy(state->data, op->outputs[STATE]->data, state->bytes);
}

static void run_float(const er_op *op, er_pool *pool)
{
    const cell *s = op->state;
    const size_t n = s->inputs + s->cells, rows = 4 * s->cells;
    const float *x = er_f32(op->outputs[JOINED]), *w = er_f32(op->inputs[WEIGHTS]), *bias = er_f32(op->inputs[BIAS]), *before = er_f32(op->inputs[PREVIOUS_STATE]);
    float *sums = er_f32(op->outputs[SUMS]), *state = er_f32(op->outputs[STATE]), *y = er_f32(op->outputs[ACTIVATION]);
    er_watch watch = {pool, 0};
    join(op, s);
    for (size_t b = 0; b < s->batches; b++, x += n, sums += rows, before += s->cells, state += s->cells, y += s->cells) {
        if (er_watch_ends(&watch, rows * n)) return;
        for (size_t r = 0; r < rows; r++) sums[r] = s->kernels->dot_floats(n, w + r * n, x) + bias[r];
        for (size_t c = 0; c < s->cells; c++) {
            state[c] = er_sigmoidf(sums[c]) * er_tanhf(sums[s->cells + c]) + er_sigmoidf(sums[2 * s->cells + c]) * before[c];
            y[c] = er_sigmoidf(sums[3 * s->cells + c]) * er_tanhf(state[c]);
        }
    }
    remember(op);
}

// Rounded twice, as er_requantize, but both times halves up: so does the reference here, and nowhere else.
static int32_t scaled(int32_t x, er_multiplier m)
{
    if (m.shift >= 0) return er_requantize(x, m);
    const int32_t right = er_min32(-m.shift, 31);
    return (int32_t)(((int64_t)er_doubling_high_mul(x, m.q) + (INT64_C(1) << (right - 1))) >> right);
}

static void run_bytes(const er_op *op, er_pool *pool)
{
    const cell *s = op->state;
    const size_t n = s->inputs + s->cells, rows = 4 * s->cells;
    const uint8_t *x = er_u8(op->outputs[JOINED]), *w = er_u8(op->inputs[WEIGHTS]);
    const int16_t *before = op->inputs[PREVIOUS_STATE]->data;
    int16_t *sums = op->outputs[SUMS]->data, *state = op->outputs[STATE]->data;
    uint8_t *y = er_u8(op->outputs[ACTIVATION]);
    er_watch watch = {pool, 0};
    join(op, s);
    for (size_t b = 0; b < s->batches; b++, x += n, sums += rows, before += s->cells, state += s->cells, y += s->cells) {
        if (er_watch_ends(&watch, rows * n)) return;
        for (size_t r = 0; r < rows; r++) {
            uint32_t sum = (uint32_t)er_i32(op->inputs[BIAS])[r];
            for (size_t i = 0; i < n; i++) sum += (uint32_t)((x[i] - 128) * (w[r * n + i] - s->w_zero));
            sums[r] = (int16_t)er_clamp32(scaled((int32_t)sum, s->m), INT16_MIN, INT16_MAX);
        }
        for (size_t c = 0; c < s->cells; c++) {
            const int32_t in = er_sigmoid_q15(sums[c]), value = er_tanh_q15(sums[s->cells + c], 3);
            const int32_t forget = er_sigmoid_q15(sums[2 * s->cells + c]), out = er_sigmoid_q15(sums[3 * s->cells + c]);
            // Q0.15 to Q4.11 is a shift by four.
            state[c] = (int16_t)er_clamp32(er_rounding_shift(er_times16(in, value), 4) + er_times16(forget, before[c]), INT16_MIN, INT16_MAX);
            y[c] = (uint8_t)(128 + er_clamp32(er_rounding_shift(er_times16(out, er_tanh_q15(state[c], 4)), 8), -128, 127));
        }
    }
    remember(op);
}

static er_status expect_shape(er_prepare *p, const er_tensor *t, size_t rows, size_t columns, const char *role)
{
    if (t->rank == 2 && (size_t)t->dims[0] == rows && (size_t)t->dims[1] == columns) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_MODEL, "the shape of its %s is not %zu x %zu", role, rows, columns);
}

er_status er_prepare_lstm_cell(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, INPUTS, INPUTS, OUTPUTS));
    const er_tensor *x = op->inputs[INPUT], *bias = op->inputs[BIAS], *w = op->inputs[WEIGHTS];
    const bool is_float = x->def->type == EDGERT_FLOAT32;
    static const edgert_type byte_in[] = {EDGERT_UINT8, EDGERT_UINT8, EDGERT_UINT8, EDGERT_INT32, EDGERT_INT16}, byte_out[] = {EDGERT_UINT8, EDGERT_INT16, EDGERT_UINT8, EDGERT_INT16};
    static const char *const roles[] = {"input", "activation before", "weights", "bias", "state before"};
    for (int i = 0; i < INPUTS; i++) ER_TRY(er_expect_type(p, op->inputs[i], is_float ? EDGERT_FLOAT32 : byte_in[i], roles[i]));
    for (int i = 0; i < OUTPUTS; i++) ER_TRY(er_expect_type(p, op->outputs[i], is_float ? EDGERT_FLOAT32 : byte_out[i], "output"));
    er_status status;
    cell *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_expect_rank(p, x, 2, "input"));
    ER_TRY(er_expect_rank(p, op->inputs[PREVIOUS], 2, "activation before"));
    *s = (cell){.kernels = p->kernels, .batches = (size_t)x->dims[0], .inputs = (size_t)x->dims[1], .cells = (size_t)op->inputs[PREVIOUS]->dims[1]};
    const size_t n = s->inputs + s->cells;
    if (n > INT32_MAX / 65536 || s->cells > INT32_MAX / 4) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has more products than a 32-bit sum holds");
    ER_TRY(expect_shape(p, op->inputs[PREVIOUS], s->batches, s->cells, "activation before"));
    ER_TRY(expect_shape(p, op->inputs[PREVIOUS_STATE], s->batches, s->cells, "state before"));
    ER_TRY(expect_shape(p, w, 4 * s->cells, n, "weights"));
    if (bias->rank != 1 || bias->count != 4 * s->cells) return er_op_fail(p, EDGERT_ERROR_MODEL, "its bias has %zu values, expected %zu", bias->count, 4 * s->cells);
    if (!is_float) {
        ER_TRY(er_expect_quantized(p, w, "weights"));
        ER_TRY(er_expect_quantized(p, bias, "bias"));
        int32_t exponent;
        if (!er_is_power_of_two(er_scale(op->outputs[STATE]), &exponent) || exponent != -11)
            return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its state has scale %g, expected 1/2048, four bits before the point", (double)er_scale(op->outputs[STATE]));
        s->m = er_make_multiplier((double)(4096 * er_scale(bias)));
        s->w_zero = er_zero(w);
    }
    const int32_t batches = (int32_t)s->batches, cells = (int32_t)s->cells, widths[] = {cells, cells, (int32_t)n, 4 * cells};
    for (int i = 0; i < OUTPUTS; i++) ER_TRY(er_set_shape(p, op->outputs[i], (int32_t[]){batches, widths[i]}, 2));
    op->stateful = true;
    op->macs = (int64_t)(s->batches * 4 * s->cells * n);
    op->kernel = "plain LSTM cell";
    op->run = is_float ? run_float : run_bytes;
    return ER_OK;
}
