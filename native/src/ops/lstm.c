// LSTM, UNIDIRECTIONAL_SEQUENCE_LSTM, BIDIRECTIONAL_SEQUENCE_LSTM (Hochreiter and Schmidhuber 1997; Sak et al. 2014 for the projection): float32, float32 with
// int8 weights ("hybrid"), and int8 with an int16 cell state, with peepholes, projection, layer normalization, and the input gate coupled to
// the forget gate (CIFG) where the model leaves it out.
#include <math.h>
#include <string.h>

#include "ops/gates.h"
#include "ops/host.h"

enum { GATE_INPUT, GATE_FORGET, GATE_CELL, GATE_OUTPUT, GATES };

// One direction's tensors, NULL where left out.
typedef struct {
    const er_tensor *from_input[GATES], *from_aux[GATES], *recurrent[GATES], *peephole[GATES], *bias[GATES], *norm[GATES], *projection, *projection_bias;
    er_tensor *state, *cell;    // variables
} weights;

typedef struct {
    er_multiplier input, recurrent, peephole, norm;
    int32_t *input_bias, *recurrent_bias;   // [cells], with what zero points add
    int32_t guard;
} gate8;

typedef struct {
    weights w;
    const er_kernels *kernels;
    size_t batches, steps, inputs, aux, cells, outputs;
    bool time_major, backward, hybrid, asymmetric;
    er_activation activation;
    float cell_clip, projection_clip;
    size_t out_stride, out_offset;      // in elements: from one batch's output to the next; of this direction in it
    int32_t output;                     // number of the operator's output
    // int8
    gate8 gates[GATES];
    er_multiplier hidden, project;
    int32_t hidden_zero, state_zero, cell_exponent, *project_bias;
    int16_t cell_limit;
    int8_t projection_limit;
} direction;

typedef struct { direction d[2]; int32_t n, aux_input; } lstm;

// ---- float32

// Memory of a step.
typedef struct {
    float *gate[GATES], *spare;
    int16_t *gate16[GATES];             // int8: in the same memory
    int8_t *hidden8;
    er_vector input, aux, state, hidden;
} room;

static void gate_float(const direction *d, const room *m, int g, bool sees_cell)
{
    const size_t n = d->cells;
    const weights *w = &d->w;
    float *y = m->gate[g];
    for (size_t b = 0; b < d->batches; b++)
        for (size_t i = 0; i < n; i++) y[b * n + i] = w->norm[g] ? 0 : er_f32(w->bias[g])[i];
    er_gate_accumulate(w->from_input[g], &m->input, n, y);
    if (w->from_aux[g]) er_gate_accumulate(w->from_aux[g], &m->aux, n, y);
    er_gate_accumulate(w->recurrent[g], &m->state, n, y);
    if (sees_cell && w->peephole[g]) {
        const er_tensor *p = w->peephole[g];
        const float scale = p->def->type == EDGERT_FLOAT32 ? 1 : er_scale(p);
        for (size_t b = 0; b < d->batches; b++)
            for (size_t i = 0; i < n; i++) y[b * n + i] += (p->def->type == EDGERT_FLOAT32 ? er_f32(p)[i] : (float)er_i8(p)[i] * scale) * er_f32(w->cell)[b * n + i];
    }
    if (w->norm[g]) {
        er_gate_normalize(n, d->batches, y);
        for (size_t b = 0; b < d->batches; b++)
            for (size_t i = 0; i < n; i++) y[b * n + i] = y[b * n + i] * er_f32(w->norm[g])[i] + er_f32(w->bias[g])[i];
    }
    if (g == GATE_CELL) er_gate_activate(m->input.kernels, d->activation, n * d->batches, y, y);
    else m->input.kernels->sigmoid_floats(n * d->batches, y, y);
}

static float clipped(float v, float limit) { return limit > 0 ? v < -limit ? -limit : v > limit ? limit : v : v; }

static void step_float(const direction *d, room *m, const float *x, const float *aux)
{
    const size_t n = d->cells * d->batches;
    const weights *w = &d->w;
    float *cell = er_f32(w->cell), *state = er_f32(w->state);
    const bool coupled = !w->from_input[GATE_INPUT];
    m->input.values = x;
    er_vector_quantize(&m->input, d->asymmetric);
    if (aux) {
        m->aux.values = aux;
        er_vector_quantize(&m->aux, d->asymmetric);
    }
    m->state.values = state;
    er_vector_quantize(&m->state, d->asymmetric);
    if (!coupled) gate_float(d, m, GATE_INPUT, true);
    gate_float(d, m, GATE_FORGET, true);
    gate_float(d, m, GATE_CELL, false);
    for (size_t i = 0; i < n; i++) {
        const float in = coupled ? 1 - m->gate[GATE_FORGET][i] : m->gate[GATE_INPUT][i];
        cell[i] = clipped(m->gate[GATE_FORGET][i] * cell[i] + m->gate[GATE_CELL][i] * in, d->cell_clip);
    }
    gate_float(d, m, GATE_OUTPUT, true);
    er_gate_activate(m->input.kernels, d->activation, n, cell, m->spare);
    for (size_t i = 0; i < n; i++) m->spare[i] *= m->gate[GATE_OUTPUT][i];
    if (!w->projection) {
        memcpy(state, m->spare, n * sizeof *state);
        return;
    }
    for (size_t b = 0; b < d->batches; b++)
        for (size_t i = 0; i < d->outputs; i++) state[b * d->outputs + i] = w->projection_bias ? er_f32(w->projection_bias)[i] : 0;
    m->hidden.values = m->spare;
    er_vector_quantize(&m->hidden, d->asymmetric);
    er_gate_accumulate(w->projection, &m->hidden, d->outputs, state);
    for (size_t i = 0; i < d->outputs * d->batches; i++) state[i] = clipped(state[i], d->projection_clip);
}

// ---- int8: gates are int16 with 12 bits of fraction, the cell state int16 with a power of two as scale

static int16_t clamp16(int64_t v) { return (int16_t)er_clamp64(v, INT16_MIN, INT16_MAX); }
static int8_t clamp8(int64_t v) { return (int8_t)er_clamp64(v, INT8_MIN, INT8_MAX); }

static int32_t dot(const direction *d, const int8_t *w, const int8_t *x, size_t n, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)d->kernels->dot_bytes(n, w, x, 0));
}

static void normalize16(const er_tensor *norm, const er_tensor *bias, er_multiplier m, int32_t guard, size_t n, int16_t *x)
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

static void gate_int8(const direction *d, int g, const int8_t *x, int16_t *y)
{
    const gate8 *q = &d->gates[g];
    const weights *w = &d->w;
    const size_t n = d->cells;
    const int8_t *state = er_i8(w->state);
    for (size_t b = 0; b < d->batches; b++) {
        int16_t *row = y + b * n;
        for (size_t i = 0; i < n; i++) {
            const int32_t a = er_requantize(dot(d, er_i8(w->from_input[g]) + i * d->inputs, x + b * d->inputs, d->inputs, q->input_bias[i]), q->input);
            const int32_t r = er_requantize(dot(d, er_i8(w->recurrent[g]) + i * d->outputs, state + b * d->outputs, d->outputs, q->recurrent_bias[i]), q->recurrent);
            row[i] = clamp16((int64_t)clamp16(a) + r);
            if (g != GATE_CELL && w->peephole[g])
                row[i] = clamp16((int64_t)row[i] + er_requantize(((const int16_t *)w->peephole[g]->data)[i] * ((const int16_t *)w->cell->data)[b * n + i], q->peephole));
        }
        if (w->norm[g]) normalize16(w->norm[g], w->bias[g], q->norm, q->guard, n, row);
        for (size_t i = 0; i < n; i++) row[i] = g == GATE_CELL ? er_tanh_q15(row[i], 3) : er_sigmoid_q15(row[i]);
    }
}

static void step_int8(const direction *d, const room *m, const int8_t *x)
{
    int16_t *const *gate = m->gate16;
    int8_t *hidden = m->hidden8;
    const size_t n = d->cells * d->batches;
    const weights *w = &d->w;
    int16_t *cell = w->cell->data;
    int8_t *state = er_i8(w->state);
    const bool coupled = !w->from_input[GATE_INPUT];
    if (!coupled) gate_int8(d, GATE_INPUT, x, gate[GATE_INPUT]);
    gate_int8(d, GATE_FORGET, x, gate[GATE_FORGET]);
    gate_int8(d, GATE_CELL, x, gate[GATE_CELL]);
    for (size_t i = 0; i < n; i++) {
        const int16_t kept = (int16_t)er_rounding_shift(gate[GATE_FORGET][i] * cell[i], 15);
        const int16_t in = coupled ? (int16_t)(INT16_MAX - gate[GATE_FORGET][i]) : gate[GATE_INPUT][i];
        const int16_t added = (int16_t)er_rounding_shift(in * gate[GATE_CELL][i], 30 + d->cell_exponent);
        cell[i] = clamp16(kept + added);
        if (d->cell_limit > 0) cell[i] = (int16_t)er_clamp32(cell[i], -d->cell_limit, d->cell_limit);
    }
    gate_int8(d, GATE_OUTPUT, x, gate[GATE_OUTPUT]);
    for (size_t i = 0; i < n; i++) {
        const int32_t v = er_requantize(gate[GATE_OUTPUT][i] * er_tanh_q15(cell[i], 15 + d->cell_exponent), d->hidden);
        if (w->projection) hidden[i] = clamp8((int64_t)v - d->hidden_zero);
        else state[i] = clamp8((int64_t)v + d->hidden_zero);
    }
    for (size_t b = 0; w->projection && b < d->batches; b++)
        for (size_t i = 0; i < d->outputs; i++) {
            const int64_t v = (int64_t)er_requantize(dot(d, er_i8(w->projection) + i * d->cells, hidden + b * d->cells, d->cells, d->project_bias[i]), d->project) + d->state_zero;
            int8_t *y = state + b * d->outputs + i;
            *y = clamp8(v);
            if (d->projection_limit > 0) *y = (int8_t)er_clamp32(*y, -d->projection_limit, d->projection_limit);
        }
}

// ---- sequences

// Batch after batch where that is how the input lies, and all batches of a step at once where time goes first: what is quantized together
// depends on it.
static size_t together(const direction *d) { return d->time_major ? d->batches : 1; }

static void lay_out(const direction *d, er_carver *c, room *m)
{
    const size_t batches = together(d), n = d->cells * batches;
    for (int g = 0; g < GATES; g++) {
        void *gate = er_carve(c, n * sizeof(float));
        m->gate[g] = gate;
        m->gate16[g] = gate;
    }
    void *spare = er_carve(c, n * sizeof(float));
    m->spare = spare;
    m->hidden8 = spare;
    er_vector *vectors[4] = {&m->input, &m->aux, &m->state, &m->hidden};
    const size_t sizes[4] = {d->inputs, d->aux, d->outputs, d->cells};
    for (int i = 0; i < 4; i++) {
        *vectors[i] = (er_vector){.kernels = d->kernels, .n = sizes[i], .batches = batches};
        if (d->hybrid) er_vector_carve(vectors[i], c);
    }
}

static void run_direction(const er_op *op, const er_pool *pool, const direction *d, const er_tensor *aux)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[d->output];
    const size_t each = er_type_size(x->def->type);
    room m;
    lay_out(d, &(er_carver){op->shared, 0}, &m);
    direction one = *d;
    er_tensor state = *d->w.state, cell = *d->w.cell;
    one.batches = together(d);
    one.w.state = &state;
    one.w.cell = &cell;
    for (size_t b = 0; b < d->batches; b += one.batches) {
        state.data = er_u8(d->w.state) + b * d->outputs * er_type_size(state.def->type);
        cell.data = er_u8(d->w.cell) + b * d->cells * er_type_size(cell.def->type);
        for (size_t s = 0; s < d->steps; s++) {
            if (s % 256 == 0 && er_pool_stopped(pool)) return;
            const size_t step = d->backward ? d->steps - 1 - s : s, row = d->time_major ? step * d->batches : b * d->steps + step;
            const uint8_t *in = er_u8(x) + row * d->inputs * each;
            if (x->def->type == EDGERT_FLOAT32) step_float(&one, &m, (const float *)(const void *)in, aux ? er_f32(aux) + row * d->aux : NULL);
            else step_int8(&one, &m, (const int8_t *)in);
            for (size_t k = 0; k < one.batches; k++)
                memcpy(er_u8(y) + ((row + k) * d->out_stride + d->out_offset) * each, er_u8(&state) + k * d->outputs * each, d->outputs * each);
        }
    }
}

static void run_lstm(const er_op *op, er_pool *pool)
{
    const lstm *s = op->state;
    for (int32_t i = 0; i < s->n; i++) run_direction(op, pool, &s->d[i], s->aux_input >= 0 ? op->inputs[s->aux_input] : NULL);
}

// ---- prepare

static er_tensor *input_at(const er_op *op, int32_t i) { return i < op->n_inputs ? op->inputs[i] : NULL; }

static er_status expect_matrix(er_prepare *p, const er_tensor *t, size_t rows, size_t columns, const char *role)
{
    if (!t) return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s are left out", role);
    const bool diagonal = t->rank == 1 && rows == columns && t->def->type == EDGERT_FLOAT32 && (size_t)t->dims[0] == rows;
    if (!diagonal && (t->rank != 2 || (size_t)t->dims[0] != rows || (size_t)t->dims[1] != columns))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s have not the shape [%zu, %zu]", role, rows, columns);
    return t->data || !t->constant ? ER_OK : er_op_fail(p, EDGERT_ERROR_MODEL, "its %s have no data", role);
}

static er_status expect_vector(er_prepare *p, const er_tensor *t, size_t n, edgert_type type, const char *role)
{
    if (!t) return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s are left out", role);
    ER_TRY(er_expect_type(p, t, type, role));
    return t->count == n ? ER_OK : er_op_fail(p, EDGERT_ERROR_MODEL, "its %s have %zu values, expected %zu", role, t->count, n);
}

static er_status check_direction(er_prepare *p, const er_op *op, direction *d)
{
    const weights *w = &d->w;
    const bool is_float = op->inputs[0]->def->type == EDGERT_FLOAT32, coupled = !w->from_input[GATE_INPUT];
    const edgert_type type = w->from_input[GATE_OUTPUT]->def->type;
    if (!is_float && type != EDGERT_INT8) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its weights are %s for an int8 input", er_type_name(type));
    if (type != EDGERT_FLOAT32 && type != EDGERT_INT8) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its weights are %s, expected float32 or int8", er_type_name(type));
    d->hybrid = is_float && type == EDGERT_INT8;
    if (coupled != !w->recurrent[GATE_INPUT]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input gate is left out in part");
    const bool norms = w->norm[GATE_FORGET] != NULL;
    for (int g = coupled ? GATE_FORGET : GATE_INPUT; g < GATES; g++) {
        ER_TRY(expect_matrix(p, w->from_input[g], d->cells, d->inputs, "input weights"));
        ER_TRY(er_expect_type(p, w->from_input[g], type, "input weights"));
        ER_TRY(expect_matrix(p, w->recurrent[g], d->cells, d->outputs, "recurrent weights"));
        if (w->recurrent[g]->rank == 2) ER_TRY(er_expect_type(p, w->recurrent[g], type, "recurrent weights"));
        else if (!is_float) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its recurrent weights are a diagonal");
        if (d->hybrid || !is_float) {
            ER_TRY(er_expect_quantized(p, w->from_input[g], "input weights"));
            if (w->recurrent[g]->rank == 2) ER_TRY(er_expect_quantized(p, w->recurrent[g], "recurrent weights"));
        }
        if (w->from_aux[g]) {
            ER_TRY(expect_matrix(p, w->from_aux[g], d->cells, d->aux, "auxiliary weights"));
            ER_TRY(er_expect_type(p, w->from_aux[g], type, "auxiliary weights"));
            if (d->hybrid) ER_TRY(er_expect_quantized(p, w->from_aux[g], "auxiliary weights"));
        }
        ER_TRY(expect_vector(p, w->bias[g], d->cells, is_float ? EDGERT_FLOAT32 : EDGERT_INT32, "biases"));
        if (norms) ER_TRY(expect_vector(p, w->norm[g], d->cells, is_float ? EDGERT_FLOAT32 : EDGERT_INT16, "layer normalization coefficients"));
        else if (w->norm[g]) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has layer normalization for some gates only");
        if (g != GATE_CELL && w->peephole[g]) {
            ER_TRY(expect_vector(p, w->peephole[g], d->cells, is_float ? type : EDGERT_INT16, "peephole weights"));
            if (type == EDGERT_INT8) ER_TRY(er_expect_quantized(p, w->peephole[g], "peephole weights"));
        }
    }
    if (w->projection) {
        ER_TRY(expect_matrix(p, w->projection, d->outputs, d->cells, "projection weights"));
        ER_TRY(er_expect_type(p, w->projection, type, "projection weights"));
        if (type == EDGERT_INT8) ER_TRY(er_expect_quantized(p, w->projection, "projection weights"));
        if (w->projection->rank != 2) return er_op_fail(p, EDGERT_ERROR_MODEL, "its projection weights are no matrix");
        if (w->projection_bias) ER_TRY(expect_vector(p, w->projection_bias, d->outputs, is_float ? EDGERT_FLOAT32 : EDGERT_INT32, "projection biases"));
    } else if (d->outputs != d->cells) {
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %zu cells and %zu outputs, but no projection", d->cells, d->outputs);
    }
    const edgert_type state = is_float ? EDGERT_FLOAT32 : EDGERT_INT8, cell = is_float ? EDGERT_FLOAT32 : EDGERT_INT16;
    ER_TRY(expect_vector(p, w->state, d->batches * d->outputs, state, "output state"));
    ER_TRY(expect_vector(p, w->cell, d->batches * d->cells, cell, "cell state"));
    if (!w->state->def->is_variable || !w->cell->def->is_variable) return er_op_fail(p, EDGERT_ERROR_MODEL, "its states are no variables");
    return er_expect_gate_activation(p, d->activation);
}

static er_status scale_of(er_prepare *p, const er_op *op, int32_t i, float *scale, int32_t *zero)
{
    // Intermediate tensors are no more than their quantization.
    if (i >= op->def->n_intermediates || op->def->intermediates[i] < 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its intermediate tensor %d is left out", i);
    const er_tensor_def *def = er_host_tensor(p->host, op->def->intermediates[i]);
    if (def->quant.n < 1 || !(def->quant.scale[0] > 0)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its intermediate tensor %d has no scale", i);
    *scale = def->quant.scale[0];
    *zero = def->quant.n_zero ? (int32_t)def->quant.zero[0] : 0;
    return ER_OK;
}

// Biases plus what the zero point adds: bias[row] + factor * sum(weights[row]).
static er_status effective_bias(er_prepare *p, const er_tensor *w, const er_tensor *bias, int32_t factor, int32_t **out)
{
    er_status status;
    const size_t rows = (size_t)w->dims[0], n = (size_t)w->dims[1];
    ER_TRY(er_expect_values(p, w, "weights"));
    if (bias) ER_TRY(er_expect_values(p, bias, "bias"));
    int32_t *b = *out = er_alloc(p, rows * sizeof *b, &status);
    ER_TRY(status);
    for (size_t r = 0; r < rows; r++) {
        uint32_t sum = bias ? (uint32_t)er_i32(bias)[r] : 0;
        for (size_t i = 0; i < n; i++) sum += (uint32_t)(er_i8(w)[r * n + i] * factor);
        b[r] = (int32_t)sum;
    }
    return ER_OK;
}

static er_status prepare_int8(er_prepare *p, const er_op *op, direction *d)
{
    const weights *w = &d->w;
    const er_tensor *x = op->inputs[0];
    const float state_scale = er_scale(w->state);
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, w->state, "output state"));
    ER_TRY(er_expect_symmetric(p, w->cell, "cell state"));
    if (d->activation != ER_ACT_TANH) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its activation is not TANH");
    int exponent;
    if (frexpf(er_scale(w->cell), &exponent) != 0.5f || exponent - 1 > -9 || exponent - 1 < -15)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its cell state has scale %g, expected a power of two from 2^-15 to 2^-9", (double)er_scale(w->cell));
    d->cell_exponent = exponent - 1;
    d->state_zero = er_zero(w->state);
    for (int g = w->from_input[GATE_INPUT] ? GATE_INPUT : GATE_FORGET; g < GATES; g++) {
        gate8 *q = &d->gates[g];
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
        q->input = er_make_multiplier((double)(er_scale(w->from_input[g]) * er_scale(x) / inner));
        q->recurrent = er_make_multiplier((double)(er_scale(w->recurrent[g]) * state_scale / inner));
        if (g != GATE_CELL && w->peephole[g]) q->peephole = er_make_multiplier((double)(ldexpf(1, d->cell_exponent) * er_scale(w->peephole[g]) / inner));
        ER_TRY(effective_bias(p, w->from_input[g], w->norm[g] ? NULL : w->bias[g], -er_zero(x), &q->input_bias));
        ER_TRY(effective_bias(p, w->recurrent[g], NULL, -d->state_zero, &q->recurrent_bias));
    }
    float hidden;
    ER_TRY(scale_of(p, op, 4, &hidden, &d->hidden_zero));
    d->hidden = er_make_multiplier((double)(ldexpf(1, -15) / hidden * ldexpf(1, -15)));
    if (w->projection) {
        d->project = er_make_multiplier((double)(er_scale(w->projection) * hidden / state_scale));
        ER_TRY(effective_bias(p, w->projection, w->projection_bias, d->hidden_zero, &d->project_bias));
        if (d->projection_clip > 0) d->projection_limit = (int8_t)fminf(127, fmaxf(-128, d->projection_clip / state_scale));
    }
    if (d->cell_clip > 0) d->cell_limit = (int16_t)fminf(INT16_MAX, d->cell_clip / er_scale(w->cell));
    return ER_OK;
}

// Inputs are numbered as in LSTM; `first` is added to the weights'.
static void find_weights(const er_op *op, int32_t first, weights *w)
{
    static const int32_t peepholes[GATES] = {9, 10, -1, 11};
    for (int32_t g = 0; g < GATES; g++) {
        w->from_input[g] = input_at(op, first + 1 + g);
        w->recurrent[g] = input_at(op, first + 5 + g);
        w->peephole[g] = peepholes[g] < 0 ? NULL : input_at(op, first + peepholes[g]);
        w->bias[g] = input_at(op, first + 12 + g);
    }
    w->projection = input_at(op, first + 16);
    w->projection_bias = input_at(op, first + 17);
}

static er_status use_input(er_prepare *p, er_op *op, direction *d, const er_recurrent_options *o)
{
    d->kernels = p->kernels;
    const er_tensor *x = op->inputs[0];
    const weights *w = &d->w;
    if (!w->from_input[GATE_OUTPUT] || !w->recurrent[GATE_OUTPUT] || w->from_input[GATE_OUTPUT]->rank != 2)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its output gate's weights are left out");
    const er_tensor *r = w->recurrent[GATE_OUTPUT];
    if (r->rank < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its recurrent weights are a scalar");
    d->cells = (size_t)w->from_input[GATE_OUTPUT]->dims[0];
    d->outputs = (size_t)r->dims[r->rank > 1];
    d->time_major = o->time_major;
    d->inputs = (size_t)x->dims[x->rank - 1];
    d->steps = x->rank == 2 ? 1 : (size_t)x->dims[o->time_major ? 0 : 1];
    d->batches = (size_t)x->dims[x->rank == 2 ? 0 : o->time_major ? 1 : 0];
    d->activation = o->activation;
    d->cell_clip = o->cell_clip;
    d->projection_clip = o->projection_clip;
    d->asymmetric = o->asymmetric;
    d->out_stride = d->outputs;
    if (!d->cells || d->cells > 1 << 20) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %zu cells", d->cells);
    return ER_OK;
}

static er_status set_output(er_prepare *p, er_op *op, int32_t output, size_t n)
{
    int32_t dims[ER_MAX_RANK];
    const er_tensor *x = op->inputs[0];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = (int32_t)n;
    ER_TRY(er_expect_type(p, op->outputs[output], x->def->type, "output"));
    return er_set_shape(p, op->outputs[output], dims, x->rank);
}

static void finish(er_op *op, lstm *s)
{
    size_t most = 0;
    op->macs = 0;
    for (int32_t i = 0; i < s->n; i++) {
        const direction *d = &s->d[i];
        room unused;
        er_carver c = {NULL, 0};
        lay_out(d, &c, &unused);
        most = c.used > most ? c.used : most;
        op->macs += (int64_t)(d->steps * d->batches * 4 * d->cells * (d->inputs + d->outputs));
    }
    op->shared_bytes = most;
    op->run = run_lstm;
    op->kernel = "plain LSTM";
    op->stateful = true;
}

static er_status prepare_lstm(er_prepare *p, er_op *op, er_recurrent_options o, int32_t least_rank)
{
    if ((op->n_inputs != 20 && op->n_inputs != 24) || op->n_outputs != 1 || !op->inputs[0])
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d inputs and %d outputs, expected 20 or 24 and 1", op->n_inputs, op->n_outputs);
    const er_tensor *x = op->inputs[0];
    if (x->rank < least_rank || x->rank > 3) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has rank %d, expected %d to 3", x->rank, least_rank);
    er_status status;
    lstm *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->n = 1;
    s->aux_input = -1;
    direction *d = &s->d[0];
    find_weights(op, 0, &d->w);
    d->w.state = input_at(op, 18);
    d->w.cell = input_at(op, 19);
    for (int32_t g = 0; g < GATES; g++) d->w.norm[g] = input_at(op, 20 + g);
    ER_TRY(use_input(p, op, d, &o));
    ER_TRY(check_direction(p, op, d));
    if (x->def->type == EDGERT_INT8) ER_TRY(prepare_int8(p, op, d));
    finish(op, s);
    return set_output(p, op, 0, d->outputs);
}

er_status er_prepare_lstm(er_prepare *p, er_op *op)
{
    const er_recurrent_options o = er_read_lstm(op->def->options);
    if (o.kernel_type != 0) return er_prepare_lstm_cell(p, op);
    if (op->n_inputs > 0 && op->inputs[0] && op->inputs[0]->def->type == EDGERT_UINT8) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it is on uint8, which only the basic kind is, with five inputs");
    return prepare_lstm(p, op, o, 2);
}

er_status er_prepare_unidirectional_sequence_lstm(er_prepare *p, er_op *op) { return prepare_lstm(p, op, er_read_sequence_lstm(op->def->options), 3); }

er_status er_prepare_bidirectional_sequence_lstm(er_prepare *p, er_op *op)
{
    const er_recurrent_options o = er_read_bidirectional_lstm(op->def->options);
    if (op->n_inputs != 48 || op->n_outputs != (o.merge_outputs ? 1 : 2) || !op->inputs[0])
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d inputs and %d outputs, expected 48 and %d", op->n_inputs, op->n_outputs, o.merge_outputs ? 1 : 2);
    ER_TRY(er_expect_rank(p, op->inputs[0], 3, "input"));
    ER_TRY(er_expect_type(p, op->inputs[0], EDGERT_FLOAT32, "input"));
    const er_tensor *aux = op->inputs[39];
    er_status status;
    lstm *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->n = 2;
    s->aux_input = aux && op->inputs[43] ? 39 : -1;
    if (aux && !op->inputs[43]) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it has an auxiliary input without weights");
    for (int32_t i = 0; i < 2; i++) {
        direction *d = &s->d[i];
        find_weights(op, 17 * i, &d->w);
        d->w.state = input_at(op, 35 + 2 * i);
        d->w.cell = input_at(op, 36 + 2 * i);
        ER_TRY(use_input(p, op, d, &o));
        if (s->aux_input >= 0) {
            for (int32_t g = 0; g < GATES; g++) d->w.from_aux[g] = input_at(op, 40 + 4 * i + g);
            if (aux->rank != 3 || aux->dims[0] != op->inputs[0]->dims[0] || aux->dims[1] != op->inputs[0]->dims[1]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its auxiliary input does not go with its input");
            ER_TRY(er_expect_type(p, aux, EDGERT_FLOAT32, "auxiliary input"));
            d->aux = (size_t)aux->dims[2];
        }
        d->backward = i == 1;
        d->output = o.merge_outputs ? 0 : i;
        ER_TRY(check_direction(p, op, d));
    }
    const size_t fw = s->d[0].outputs, bw = s->d[1].outputs;
    if (o.merge_outputs) {
        s->d[0].out_stride = s->d[1].out_stride = fw + bw;
        s->d[1].out_offset = fw;
    }
    finish(op, s);
    ER_TRY(set_output(p, op, 0, o.merge_outputs ? fw + bw : fw));
    return o.merge_outputs ? ER_OK : set_output(p, op, 1, bw);
}
