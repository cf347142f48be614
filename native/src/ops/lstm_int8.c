// LSTM of int8: gates are int16 with 12 bits of fraction, the cell state is int16 with a power of two as scale.
//
// What the input adds to the gates does not depend on the state: it is computed for several steps at once, as one matrix product for each gate.
#include <math.h>
#include <string.h>

#include "base/q15.h"
#include "ops/host.h"
#include "ops/lstm.h"
#include "ops/matmul.h"

typedef struct {
    er_matmul from_input, recurrent;    // sums with biases, zero points taken off
    er_multiplier input, state, peephole, norm;
    int32_t guard;
} gate;

typedef struct er_lstm_int8 {
    gate gates[GATES];
    er_matmul projection;
    er_multiplier hidden, project;
    int32_t hidden_zero, state_zero, cell_exponent;
    int16_t cell_limit;
    int8_t projection_limit;
    size_t ahead;                       // steps whose input is multiplied at once
    size_t lanes;                       // cells, rounded up to what products store
} lstm8;

// Memory of a run. Rows of gates are `lanes` long.
typedef struct {
    uint8_t *x, *state, *hidden;        // rows of products
    size_t x_row, state_row, hidden_row;
    size_t *scratch;
    int32_t *from_input[GATES], *recurrent, *projected;
    int16_t *gate[GATES], *tanh;
    int8_t *wide;                       // outputs before the projection
} room;

static size_t lay_out(const er_lstm *d, er_carver *c, room *m)
{
    const lstm8 *s = d->int8;
    const size_t batches = er_lstm_together(d), rows = batches * s->ahead;
    const er_matmul *of[3] = {&s->gates[GATE_OUTPUT].from_input, &s->gates[GATE_OUTPUT].recurrent, &s->projection};
    size_t *row[3] = {&m->x_row, &m->state_row, &m->hidden_row}, rows_of[3] = {rows, batches, batches};
    uint8_t **at[3] = {&m->x, &m->state, &m->hidden};
    for (int i = 0; i < (d->w.projection ? 3 : 2); i++) {
        *row[i] = er_matmul_run_bytes(of[i]);
        *at[i] = er_carve(c, *row[i] * rows_of[i] + ER_SLACK);
    }
    const size_t cleared = c->used;
    size_t scratch = er_matmul_scratch(&s->projection);
    for (int g = d->w.from_input[GATE_INPUT] ? GATE_INPUT : GATE_FORGET; g < GATES; g++) {
        const size_t a = er_matmul_scratch(&s->gates[g].from_input), b = er_matmul_scratch(&s->gates[g].recurrent);
        scratch = a > scratch ? a : scratch;
        scratch = b > scratch ? b : scratch;
        m->from_input[g] = er_carve(c, rows * s->lanes * sizeof(int32_t));
        m->gate[g] = er_carve(c, batches * s->lanes * sizeof(int16_t));
    }
    m->scratch = er_carve(c, scratch);
    m->recurrent = er_carve(c, batches * s->lanes * sizeof(int32_t));
    m->tanh = er_carve(c, batches * s->lanes * sizeof(int16_t));
    if (!d->w.projection) return cleared;
    m->projected = er_carve(c, batches * er_matmul_lanes(&s->projection) * sizeof(int32_t));
    m->wide = er_carve(c, batches * d->cells);
    return cleared;
}

static int16_t clamp16(int64_t v) { return (int16_t)er_clamp64(v, INT16_MIN, INT16_MAX); }
static int8_t clamp8(int64_t v) { return (int8_t)er_clamp64(v, INT8_MIN, INT8_MAX); }

static void normalize(const er_tensor *norm, const er_tensor *bias, er_multiplier m, int32_t guard, size_t n, int16_t *x)
{
    int64_t sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (int64_t)x[i] * x[i];
    }
    const int32_t mean = (int32_t)(sum * 1024 / (int64_t)n), share = (1 << 20) / (int32_t)n;
    int32_t variance = (int32_t)((squares * share - (int64_t)mean * mean) / (1 << 20));
    if (variance < 1) variance = guard;
    const er_multiplier inverse = er_inverse_root(variance);
    for (size_t i = 0; i < n; i++) {
        const int32_t r = er_requantize(1024 * x[i] - mean, inverse);
        const int64_t v = (int64_t)(int32_t)((uint32_t)r * (uint32_t)((const int16_t *)norm->data)[i]) + er_i32(bias)[i];
        x[i] = clamp16(er_requantize((int32_t)((v > 0 ? v + 512 : v - 512) / 1024), m));
    }
}

// The gate before its function: of `step`, counted from the first of those whose input was multiplied.
static void sum_gate(const er_lstm *d, const room *m, int g, size_t step)
{
    const lstm8 *s = d->int8;
    const gate *q = &s->gates[g];
    const size_t batches = er_lstm_together(d), all = batches * s->lanes;
    er_matmul_run_sums(&q->recurrent, m->state, m->state_row, batches, m->scratch, m->recurrent);
    d->kernels->gate_words(all, m->from_input[g] + step * all, q->input, m->recurrent, q->state, m->gate[g]);
}

static void finish_gate(const er_lstm *d, const room *m, int g, const int16_t *cell)
{
    const lstm8 *s = d->int8;
    const gate *q = &s->gates[g];
    const size_t batches = er_lstm_together(d), n = d->cells;
    const er_tensor *peephole = g == GATE_CELL ? NULL : d->w.peephole[g];
    for (size_t b = 0; b < batches; b++) {
        int16_t *row = m->gate[g] + b * s->lanes;
        for (size_t i = 0; peephole && i < n; i++) row[i] = clamp16((int64_t)row[i] + er_requantize(((const int16_t *)peephole->data)[i] * cell[b * n + i], q->peephole));
        if (d->w.norm[g]) normalize(d->w.norm[g], d->w.bias[g], q->norm, q->guard, n, row);
    }
    if (g == GATE_CELL) d->kernels->tanh_words(batches * s->lanes, m->gate[g], m->gate[g], 3);
    else d->kernels->sigmoid_words(batches * s->lanes, m->gate[g], m->gate[g]);
}

// `state` and `cell` are those of the batches that go together.
static void run_step(const er_lstm *d, const room *m, size_t step, int8_t *state, int16_t *cell)
{
    const lstm8 *s = d->int8;
    const er_lstm_weights *w = &d->w;
    const size_t batches = er_lstm_together(d), n = d->cells;
    const bool coupled = !w->from_input[GATE_INPUT];
    // Bits of the cell state that its function has no use for. Where there are some, the reference's function is undefined and its sums wrap.
    const int32_t finer = er_max32(0, -15 - s->cell_exponent);
    er_matmul_put_rows(&s->gates[GATE_OUTPUT].recurrent, m->state, m->state_row, state, batches);
    for (int g = coupled ? GATE_FORGET : GATE_INPUT; g < GATES; g++) {
        sum_gate(d, m, g, step);
        if (g != GATE_OUTPUT) finish_gate(d, m, g, cell);
    }
    for (size_t b = 0; b < batches; b++) {
        const int16_t *forget = m->gate[GATE_FORGET] + b * s->lanes, *input = coupled ? NULL : m->gate[GATE_INPUT] + b * s->lanes, *value = m->gate[GATE_CELL] + b * s->lanes;
        int16_t *c = cell + b * n;
        for (size_t i = 0; i < n; i++) {
            const int16_t kept = (int16_t)er_rounding_shift(forget[i] * c[i], 15), in = coupled ? (int16_t)(INT16_MAX - forget[i]) : input[i];
            const int32_t sum = er_rounding_shift(in * value[i], 30 + s->cell_exponent);
            c[i] = clamp16((int64_t)kept + (finer ? sum : (int16_t)sum));
            if (s->cell_limit > 0) c[i] = (int16_t)er_clamp32(c[i], -s->cell_limit, s->cell_limit);
        }
        for (size_t i = 0; i < n; i++) m->tanh[b * s->lanes + i] = (int16_t)er_rounding_shift(c[i], finer);
    }
    finish_gate(d, m, GATE_OUTPUT, cell);
    d->kernels->tanh_words(batches * s->lanes, m->tanh, m->tanh, 15 + s->cell_exponent + finer);
    int8_t *y = w->projection ? m->wide : state;
    const int32_t zero = w->projection ? -s->hidden_zero : s->hidden_zero;
    for (size_t b = 0; b < batches; b++) {
        const int16_t *out = m->gate[GATE_OUTPUT] + b * s->lanes, *value = m->tanh + b * s->lanes;
        for (size_t i = 0; i < n; i++) y[b * n + i] = clamp8((int64_t)er_requantize(out[i] * value[i], s->hidden) + zero);
    }
    if (!w->projection) return;
    er_matmul_put_rows(&s->projection, m->hidden, m->hidden_row, m->wide, batches);
    er_matmul_run_sums(&s->projection, m->hidden, m->hidden_row, batches, m->scratch, m->projected);
    for (size_t b = 0; b < batches; b++) {
        const int32_t *sums = m->projected + b * er_matmul_lanes(&s->projection);
        int8_t *to = state + b * d->outputs;
        for (size_t i = 0; i < d->outputs; i++) {
            to[i] = clamp8((int64_t)er_requantize(sums[i], s->project) + s->state_zero);
            if (s->projection_limit > 0) to[i] = (int8_t)er_clamp32(to[i], -s->projection_limit, s->projection_limit);
        }
    }
}

void er_lstm_run_int8(const er_op *op, const er_pool *pool, const er_lstm *d)
{
    const lstm8 *s = d->int8;
    const size_t together = er_lstm_together(d);
    const int first = d->w.from_input[GATE_INPUT] ? GATE_INPUT : GATE_FORGET;
    int8_t *y = er_i8(op->outputs[d->output]);
    room m;
    // What products read beyond a row's end is zero.
    memset(op->shared, 0, lay_out(d, &(er_carver){op->shared, 0}, &m));
    memset(m.tanh, 0, together * s->lanes * sizeof *m.tanh);
    for (size_t b = 0; b < d->batches; b += together) {
        int8_t *state = er_i8(d->w.state) + b * d->outputs;
        int16_t *cell = (int16_t *)d->w.cell->data + b * d->cells;
        for (size_t step = 0; step < d->steps; step += s->ahead) {
            if (er_pool_stopped(pool)) return;
            const size_t steps = d->steps - step < s->ahead ? d->steps - step : s->ahead, row = d->time_major ? step * d->batches : b * d->steps + step;
            er_matmul_put_rows(&s->gates[GATE_OUTPUT].from_input, m.x, m.x_row, er_i8(op->inputs[0]) + row * d->inputs, steps * together);
            for (int g = first; g < GATES; g++) er_matmul_run_sums(&s->gates[g].from_input, m.x, m.x_row, steps * together, m.scratch, m.from_input[g]);
            for (size_t i = 0; i < steps; i++) {
                run_step(d, &m, i, state, cell);
                memcpy(y + (row + i * together) * d->outputs, state, together * d->outputs);
            }
        }
    }
}

// ---- prepare

static er_status scale_of(er_prepare *p, const er_op *op, int32_t i, float *scale, int32_t *zero)
{
    // Intermediate tensors are no more than their quantization.
    if (i >= op->def->n_intermediates || op->def->intermediates[i] < 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its intermediate tensor %d is left out", i);
    const er_tensor_def *def = er_host_tensor(p->host, op->def->intermediates[i]);
    if (def->quant.n < 1 || !(def->quant.scale[0] > 0)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its intermediate tensor %d has no scale", i);
    const int64_t at = def->quant.n_zero ? def->quant.zero[0] : 0;
    if (at < INT8_MIN || at > INT8_MAX) return er_op_fail(p, EDGERT_ERROR_MODEL, "its intermediate tensor %d has zero point %lld, expected -128 to 127", i, (long long)at);
    *scale = def->quant.scale[0];
    *zero = (int32_t)at;
    return ER_OK;
}

static er_status prepare_product(er_prepare *p, er_matmul *mm, const er_tensor *w, const er_tensor *bias, int32_t zero)
{
    ER_TRY(er_expect_values(p, w, "weights"));
    if (bias) ER_TRY(er_expect_values(p, bias, "bias"));
    if (w->dims[1] > INT32_MAX / 65536 * 256) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has more products than a 32-bit sum holds");
    return er_matmul_prepare_sums(p, mm, w, bias, zero, 1, (size_t)w->dims[0], (size_t)w->dims[1]);
}

static er_status prepare_gate(er_prepare *p, const er_op *op, er_lstm *d, int g)
{
    const er_lstm_weights *w = &d->w;
    gate *q = &d->int8->gates[g];
    float inner = 1.0f / 4096;
    int32_t unused;
    if (w->norm[g]) {
        ER_TRY(scale_of(p, op, g, &inner, &unused));
        ER_TRY(er_expect_quantized(p, w->norm[g], "layer normalization coefficients"));
        const float scale = er_scale(w->norm[g]);
        if (!(scale < 65536)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its layer normalization coefficients have scale %g, expected less than 65536", (double)scale);
        q->norm = er_make_multiplier((double)scale);
        q->norm.shift += 12;        // inputs have so many bits of fraction
        q->guard = er_max32(1, (int32_t)(10000 * scale));
    }
    q->input = er_make_multiplier((double)(er_scale(w->from_input[g]) * er_scale(op->inputs[0]) / inner));
    q->state = er_make_multiplier((double)(er_scale(w->recurrent[g]) * er_scale(w->state) / inner));
    if (g != GATE_CELL && w->peephole[g]) q->peephole = er_make_multiplier((double)(ldexpf(1, d->int8->cell_exponent) * er_scale(w->peephole[g]) / inner));
    ER_TRY(prepare_product(p, &q->from_input, w->from_input[g], w->norm[g] ? NULL : w->bias[g], er_zero(op->inputs[0])));
    return prepare_product(p, &q->recurrent, w->recurrent[g], NULL, d->int8->state_zero);
}

er_status er_lstm_prepare_int8(er_prepare *p, const er_op *op, er_lstm *d)
{
    const er_lstm_weights *w = &d->w;
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, w->state, "output state"));
    ER_TRY(er_expect_symmetric(p, w->cell, "cell state"));
    if (!d->inputs || !d->outputs) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %zu inputs and %zu outputs", d->inputs, d->outputs);
    er_status status;
    lstm8 *s = d->int8 = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (lstm8){.state_zero = er_zero(w->state)};
    int exponent;
    if (frexpf(er_scale(w->cell), &exponent) != 0.5f || exponent - 1 > -9 || exponent - 1 < -30)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its cell state has scale %g, expected a power of two from 2^-30 to 2^-9", (double)er_scale(w->cell));
    s->cell_exponent = exponent - 1;
    for (int g = w->from_input[GATE_INPUT] ? GATE_INPUT : GATE_FORGET; g < GATES; g++) ER_TRY(prepare_gate(p, op, d, g));
    float hidden;
    ER_TRY(scale_of(p, op, 4, &hidden, &s->hidden_zero));
    s->hidden = er_make_multiplier((double)(ldexpf(1, -15) / hidden * ldexpf(1, -15)));
    if (w->projection) {
        const float state_scale = er_scale(w->state);
        s->project = er_make_multiplier((double)(er_scale(w->projection) * hidden / state_scale));
        ER_TRY(prepare_product(p, &s->projection, w->projection, w->projection_bias, -s->hidden_zero));
        if (d->projection_clip > 0) s->projection_limit = (int8_t)fminf(127, fmaxf(-128, d->projection_clip / state_scale));
    }
    if (d->cell_clip > 0) s->cell_limit = (int16_t)fminf(INT16_MAX, d->cell_clip / er_scale(w->cell));
    const size_t together = er_lstm_together(d);
    s->lanes = er_matmul_lanes(&s->gates[GATE_OUTPUT].recurrent);
    s->ahead = together < 16 ? 16 / (together ? together : 1) : 1;
    s->ahead = s->ahead < d->steps ? s->ahead : d->steps ? d->steps : 1;
    size_t most;        // more than the bytes of a run
    if (!er_mul_size(together * s->ahead, 64 * s->lanes + 4 * (d->inputs + d->outputs + d->cells) + 4096, &most) || most > SIZE_MAX / 2)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has more batches than fit into memory");
    return ER_OK;
}

size_t er_lstm_int8_bytes(const er_lstm *d)
{
    room unused;
    er_carver c = {NULL, 0};
    lay_out(d, &c, &unused);
    return c.used;
}
