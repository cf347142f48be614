// LSTM, UNIDIRECTIONAL_SEQUENCE_LSTM, BIDIRECTIONAL_SEQUENCE_LSTM (Hochreiter and Schmidhuber 1997; Sak et al. 2014 for the projection): float32, float32 with
// int8 weights ("hybrid"), and int8 with an int16 cell state, with peepholes, projection, layer normalization, and the input gate coupled to
// the forget gate (CIFG) where the model leaves it out.
#include <math.h>
#include <string.h>

#include "ops/gates.h"
#include "ops/lstm.h"

typedef struct { er_lstm d[2]; int32_t n, aux_input; } lstm;

// ---- float32

// Memory of a step.
typedef struct {
    float *gate[GATES], *spare;
    er_vector input, aux, state, hidden;
} room;

static void gate_float(const er_lstm *d, const room *m, int g, bool sees_cell)
{
    const size_t n = d->cells;
    const er_lstm_weights *w = &d->w;
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

static void step_float(const er_lstm *d, room *m, const float *x, const float *aux)
{
    const size_t n = d->cells * d->batches;
    const er_lstm_weights *w = &d->w;
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

// ---- sequences

static void lay_out(const er_lstm *d, const er_pool *pool, er_carver *c, room *m)
{
    const size_t batches = er_lstm_together(d), n = d->cells * batches;
    for (int g = 0; g < GATES; g++) m->gate[g] = er_carve(c, n * sizeof(float));
    m->spare = er_carve(c, n * sizeof(float));
    er_vector *vectors[4] = {&m->input, &m->aux, &m->state, &m->hidden};
    const size_t sizes[4] = {d->inputs, d->aux, d->outputs, d->cells};
    for (int i = 0; i < 4; i++) {
        *vectors[i] = (er_vector){.kernels = d->kernels, .pool = pool, .n = sizes[i], .batches = batches};
        if (d->hybrid) er_vector_carve(vectors[i], c);
    }
}

static void run_direction(const er_op *op, const er_pool *pool, const er_lstm *d, const er_tensor *aux)
{
    const float *x = er_f32(op->inputs[0]);
    float *y = er_f32(op->outputs[d->output]);
    room m;
    lay_out(d, pool, &(er_carver){op->shared, 0}, &m);
    er_lstm one = *d;
    er_tensor state = *d->w.state, cell = *d->w.cell;
    one.batches = er_lstm_together(d);
    const size_t macs = one.batches * GATES * d->cells * (d->inputs + d->aux + d->outputs + 64);
    er_watch watch = {pool, 0};
    one.w.state = &state;
    one.w.cell = &cell;
    for (size_t b = 0; b < d->batches; b += one.batches) {
        state.data = er_f32(d->w.state) + b * d->outputs;
        cell.data = er_f32(d->w.cell) + b * d->cells;
        for (size_t s = 0; s < d->steps; s++) {
            if (er_watch_ends(&watch, macs)) return;
            const size_t step = d->backward ? d->steps - 1 - s : s, row = d->time_major ? step * d->batches : b * d->steps + step;
            step_float(&one, &m, x + row * d->inputs, aux ? er_f32(aux) + row * d->aux : NULL);
            for (size_t k = 0; k < one.batches; k++)
                memcpy(y + (row + k) * d->out_stride + d->out_offset, er_f32(&state) + k * d->outputs, d->outputs * sizeof *y);
        }
    }
}

static void run_lstm(const er_op *op, er_pool *pool)
{
    const lstm *s = op->state;
    for (int32_t i = 0; i < s->n; i++) {
        if (s->d[i].int8) er_lstm_run_int8(op, pool, &s->d[i]);
        else run_direction(op, pool, &s->d[i], s->aux_input >= 0 ? op->inputs[s->aux_input] : NULL);
    }
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

static er_status check_direction(er_prepare *p, const er_op *op, er_lstm *d)
{
    const er_lstm_weights *w = &d->w;
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

// Inputs are numbered as in LSTM; `first` is added to the weights'.
static void find_weights(const er_op *op, int32_t first, er_lstm_weights *w)
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

static er_status use_input(er_prepare *p, er_op *op, er_lstm *d, const er_recurrent_options *o)
{
    d->kernels = p->kernels;
    const er_tensor *x = op->inputs[0];
    const er_lstm_weights *w = &d->w;
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
        const er_lstm *d = &s->d[i];
        room unused;
        er_carver c = {NULL, 0};
        if (!d->int8) lay_out(d, NULL, &c, &unused);
        const size_t bytes = d->int8 ? er_lstm_int8_bytes(d) : c.used;
        most = bytes > most ? bytes : most;
        op->macs += (int64_t)(d->steps * d->batches * 4 * d->cells * (d->inputs + d->outputs));
    }
    op->shared_bytes = most;
    op->run = run_lstm;
    op->kernel = s->d[0].int8 ? "gates as products" : "plain LSTM";
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
    er_lstm *d = &s->d[0];
    find_weights(op, 0, &d->w);
    d->w.state = input_at(op, 18);
    d->w.cell = input_at(op, 19);
    for (int32_t g = 0; g < GATES; g++) d->w.norm[g] = input_at(op, 20 + g);
    ER_TRY(use_input(p, op, d, &o));
    ER_TRY(check_direction(p, op, d));
    if (x->def->type == EDGERT_INT8) ER_TRY(er_lstm_prepare_int8(p, op, d));
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
        er_lstm *d = &s->d[i];
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
