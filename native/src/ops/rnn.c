// SVDF (Nakkiran et al. 2015), RNN, UNIDIRECTIONAL_SEQUENCE_RNN, BIDIRECTIONAL_SEQUENCE_RNN. float32, float32 with int8 weights ("hybrid"); SVDF also int8.
#include <string.h>

#include "ops/gates.h"
#include "ops/whole.h"

static er_status expect_shape(er_prepare *p, const er_tensor *t, size_t rows, size_t columns, const char *role)
{
    if (!t || t->rank != 2 || (size_t)t->dims[0] != rows || (size_t)t->dims[1] != columns)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s have not the shape [%zu, %zu]", role, rows, columns);
    return ER_OK;
}

static er_status expect_weights(er_prepare *p, const er_tensor *t, bool *hybrid)
{
    if (t->def->type == EDGERT_FLOAT32) return ER_OK;
    *hybrid = true;
    ER_TRY(er_expect_type(p, t, EDGERT_INT8, "weights"));
    return er_expect_quantized(p, t, "weights");
}

// ---- SVDF: a filter over the input's features, then one over the last steps in time

typedef struct {
    const er_kernels *kernels;
    size_t batches, inputs, filters, rank, memory, units;
    bool hybrid, asymmetric;
    er_activation activation;
    er_multiplier feature, time;
    int32_t x_zero, y_zero;
} svdf;

// Sums wrap.
#define DOT(name, type) \
    static uint32_t name(size_t n, const type *a, const type *b) \
    { \
        uint32_t sum = 0; \
        for (size_t i = 0; i < n; i++) sum += (uint32_t)(a[i] * b[i]); \
        return sum; \
    }
DOT(dot_int8, int8_t)
DOT(dot_int16, int16_t)
#undef DOT

static void run_svdf8(const er_op *op, er_pool *pool)
{
    const svdf *s = op->state;
    const er_tensor *x = op->inputs[0], *feature = op->inputs[1], *time = op->inputs[2], *bias = op->inputs[3], *state = op->inputs[4], *y = op->outputs[0];
    er_watch watch = {pool, 0};
    const size_t each = er_type_size(state->def->type);
    memmove(state->data, er_u8(state) + each, state->bytes - each);
    for (size_t b = 0; b < s->batches; b++) {
        if (er_watch_ends(&watch, feature->count + time->count)) return;
        for (size_t f = 0; f < s->filters; f++) {
            const int32_t sum = s->kernels->dot_bytes(s->inputs, er_i8(feature) + f * s->inputs, er_i8(x) + b * s->inputs, s->x_zero);
            const size_t at = (b * s->filters + f) * s->memory + s->memory - 1;
            const int32_t v = er_requantize(sum, s->feature);
            er_put_whole(state, at, er_clamp32(v, er_lowest(state), er_highest(state)));
        }
    }
    for (size_t b = 0; b < s->batches; b++)
        for (size_t u = 0; u < s->units; u++) {
            // A unit's filters lie next to each other.
            const size_t n = s->rank * s->memory, weights = u * n, states = b * s->filters * s->memory + u * n;
            const uint32_t products = each == 2 ? dot_int16(n, (const int16_t *)time->data + weights, (const int16_t *)state->data + states)
                                                : dot_int8(n, er_i8(time) + weights, er_i8(state) + states);
            const uint32_t sum = products + (bias ? (uint32_t)er_i32(bias)[u] : 0);
            const int64_t v = (int64_t)er_requantize((int32_t)sum, s->time) + s->y_zero;
            er_i8(y)[b * s->units + u] = (int8_t)er_clamp64(v, INT8_MIN, INT8_MAX);
        }
}

// Memory of a run: the sums of the features, and the input's vector.
static float *lay_out_svdf(const svdf *s, const er_pool *pool, er_carver *c, er_vector *x)
{
    float *sums = er_carve(c, s->batches * s->filters * sizeof *sums);
    *x = (er_vector){.kernels = s->kernels, .pool = pool, .n = s->inputs, .batches = s->batches};
    if (s->hybrid) er_vector_carve(x, c);
    return sums;
}

static void run_svdf(const er_op *op, er_pool *pool)
{
    const svdf *s = op->state;
    const er_tensor *time = op->inputs[2], *bias = op->inputs[3], *state = op->inputs[4];
    const size_t n = s->batches * s->filters;
    er_vector x;
    float *y = er_f32(op->outputs[0]), *sums = lay_out_svdf(s, pool, &(er_carver){op->shared, 0}, &x);
    x.values = er_f32(op->inputs[0]);
    memset(sums, 0, n * sizeof *sums);
    er_vector_quantize(&x, s->asymmetric);
    er_gate_accumulate(op->inputs[1], &x, s->filters, sums);
    memmove(state->data, er_f32(state) + 1, state->bytes - sizeof(float));
    for (size_t i = 0; i < n; i++) er_f32(state)[i * s->memory + s->memory - 1] = sums[i];
    for (size_t b = 0; b < s->batches; b++)
        for (size_t u = 0; u < s->units; u++) {
            float total = 0;
            for (size_t f = u * s->rank; f < (u + 1) * s->rank; f++) {
                float sum = 0;
                for (size_t m = 0; m < s->memory; m++) {
                    const size_t at = f * s->memory + m;
                    const float w = time->def->type == EDGERT_FLOAT32 ? er_f32(time)[at] : (float)er_i8(time)[at] * er_scale(time);
                    sum += w * er_f32(state)[b * s->filters * s->memory + at];
                }
                total += sum;
            }
            y[b * s->units + u] = total + (bias ? er_f32(bias)[u] : 0);
        }
    er_gate_activate(s->kernels, s->activation, s->batches * s->units, y, y);
}

er_status er_prepare_svdf(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 3, 5, 1));
    if (op->n_inputs != 5 || !op->inputs[4]) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d inputs, expected 5", op->n_inputs);
    const er_tensor *x = op->inputs[0], *feature = op->inputs[1], *time = op->inputs[2], *bias = op->inputs[3], *state = op->inputs[4];
    er_tensor *y = op->outputs[0];
    const er_svdf_options o = er_read_svdf(op->def->options);
    ER_TRY(er_expect_rank(p, x, 2, "input"));
    ER_TRY(er_expect_rank(p, feature, 2, "feature weights"));
    ER_TRY(er_expect_rank(p, time, 2, "time weights"));
    er_status status;
    svdf *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (svdf){.kernels = p->kernels, .batches = (size_t)x->dims[0], .inputs = (size_t)x->dims[1], .filters = (size_t)feature->dims[0], .rank = (size_t)er_max32(o.rank, 0), .memory = (size_t)time->dims[1],
                .activation = o.activation, .asymmetric = o.asymmetric};
    if (o.rank < 1 || s->filters % s->rank || !s->memory) return er_op_fail(p, EDGERT_ERROR_MODEL, "its %zu filters do not go with rank %d", s->filters, o.rank);
    s->units = s->filters / s->rank;
    ER_TRY(expect_shape(p, feature, s->filters, s->inputs, "feature weights"));
    ER_TRY(expect_shape(p, time, s->filters, s->memory, "time weights"));
    const bool is_float = x->def->type == EDGERT_FLOAT32;
    if (bias && (bias->count != s->units || bias->def->type != (is_float ? EDGERT_FLOAT32 : EDGERT_INT32))) return er_op_fail(p, EDGERT_ERROR_MODEL, "its bias does not go with %zu units", s->units);
    if (!state->def->is_variable || state->count != s->batches * s->filters * s->memory || !state->count)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its state is no variable, or has %zu values, expected %zu", state->count, s->batches * s->filters * s->memory);
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    ER_TRY(er_set_shape(p, y, (int32_t[]){x->dims[0], (int32_t)s->units}, 2));
    op->stateful = true;
    op->macs = (int64_t)(s->batches * s->filters * (s->inputs + s->memory));
    op->kernel = "plain SVDF";
    if (is_float) {
        bool unused;
        ER_TRY(er_expect_gate_activation(p, o.activation));
        ER_TRY(expect_weights(p, feature, &s->hybrid));
        ER_TRY(expect_weights(p, time, &unused));
        ER_TRY(er_expect_type(p, state, EDGERT_FLOAT32, "state"));
        er_vector v;
        er_carver c = {NULL, 0};
        lay_out_svdf(s, NULL, &c, &v);
        op->shared_bytes = c.used;
        op->run = run_svdf;
        return ER_OK;
    }
    ER_TRY(er_expect_type(p, x, EDGERT_INT8, "input"));
    ER_TRY(er_expect_type(p, feature, EDGERT_INT8, "feature weights"));
    if (state->def->type != EDGERT_INT16 && state->def->type != EDGERT_INT8) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its state is %s", er_type_name(state->def->type));
    ER_TRY(er_expect_type(p, time, state->def->type, "time weights"));
    const er_tensor *all[5] = {x, feature, time, state, y};
    for (int i = 0; i < 5; i++) ER_TRY(er_expect_quantized(p, all[i], "tensor"));
    s->feature = er_make_multiplier((double)(er_scale(feature) * er_scale(x) / er_scale(state)));
    s->time = er_make_multiplier((double)(er_scale(state) * er_scale(time) / er_scale(y)));
    s->x_zero = er_zero(x);
    s->y_zero = er_zero(y);
    op->run = run_svdf8;
    return ER_OK;
}

// ---- RNN: state = activation(weights * input + recurrent * state + bias)

typedef struct { const er_tensor *weights, *recurrent, *bias, *aux_weights; er_tensor *state; int32_t output; size_t units, stride, offset; bool backward; } layer;

typedef struct {
    const er_kernels *kernels;
    layer layers[2];
    const er_tensor *aux;
    int32_t n;
    size_t batches, steps, inputs, aux_inputs;
    bool time_major, hybrid, asymmetric;
    er_activation activation;
} rnn;

// Memory of a step.
typedef struct { float *sums; er_vector in, more, old; } room;

// Batches that are computed in one step: all, where time goes first.
static size_t at_once(const rnn *s) { return s->time_major ? s->batches : 1; }

static er_vector vector_of(const rnn *s, const er_pool *pool, size_t n) { return (er_vector){.kernels = s->kernels, .pool = pool, .n = n, .batches = at_once(s)}; }

static void lay_out(const rnn *s, const er_pool *pool, size_t units, er_carver *c, room *m)
{
    const size_t batches = at_once(s);
    *m = (room){er_carve(c, batches * units * sizeof *m->sums), vector_of(s, pool, s->inputs), vector_of(s, pool, s->aux_inputs), vector_of(s, pool, units)};
    if (!s->hybrid) return;
    er_vector_carve(&m->in, c);
    er_vector_carve(&m->more, c);
    er_vector_carve(&m->old, c);
}

static void step(const rnn *s, const layer *l, room *m, const float *x, const float *aux, float *state)
{
    const size_t batches = at_once(s);
    m->in.values = x;
    m->more.values = aux;
    m->old.values = state;
    for (size_t b = 0; b < batches; b++)
        for (size_t u = 0; u < l->units; u++) m->sums[b * l->units + u] = er_f32(l->bias)[u];
    er_vector_quantize(&m->in, s->asymmetric);
    er_vector_quantize(&m->old, s->asymmetric);
    er_gate_accumulate(l->weights, &m->in, l->units, m->sums);
    if (l->aux_weights) {
        er_vector_quantize(&m->more, s->asymmetric);
        er_gate_accumulate(l->aux_weights, &m->more, l->units, m->sums);
    }
    er_gate_accumulate(l->recurrent, &m->old, l->units, m->sums);
    er_gate_activate(s->kernels, s->activation, batches * l->units, m->sums, state);
}

static void run_layer(const er_op *op, const er_pool *pool, const rnn *s, const layer *l)
{
    float *y = er_f32(op->outputs[l->output]);
    const size_t turns = s->time_major ? 1 : s->batches, together = at_once(s), macs = together * l->units * (s->inputs + s->aux_inputs + l->units + 64);
    er_watch watch = {pool, 0};
    room m;
    lay_out(s, pool, l->units, &(er_carver){op->shared, 0}, &m);
    for (size_t turn = 0; turn < turns; turn++)
        for (size_t t = 0; t < s->steps; t++) {
            if (er_watch_ends(&watch, macs)) return;
            const size_t at = l->backward ? s->steps - 1 - t : t, row = s->time_major ? at * s->batches : turn * s->steps + at;
            float *state = er_f32(l->state) + turn * l->units;
            step(s, l, &m, er_f32(op->inputs[0]) + row * s->inputs, s->aux ? er_f32(s->aux) + row * s->aux_inputs : NULL, state);
            for (size_t b = 0; b < together; b++) memcpy(y + (row + b) * l->stride + l->offset, state + b * l->units, l->units * sizeof *y);
        }
}

static void run_rnn(const er_op *op, er_pool *pool)
{
    const rnn *s = op->state;
    for (int32_t i = 0; i < s->n; i++) run_layer(op, pool, s, &s->layers[i]);
}

static er_status check_layer(er_prepare *p, rnn *s, layer *l)
{
    if (!l->weights || !l->recurrent || !l->bias || !l->state || l->weights->rank != 2) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights, biases or state are left out");
    l->units = l->stride = (size_t)l->weights->dims[0];
    ER_TRY(expect_shape(p, l->weights, l->units, s->inputs, "weights"));
    ER_TRY(expect_shape(p, l->recurrent, l->units, l->units, "recurrent weights"));
    ER_TRY(expect_weights(p, l->weights, &s->hybrid));
    ER_TRY(er_expect_type(p, l->recurrent, l->weights->def->type, "recurrent weights"));
    ER_TRY(expect_weights(p, l->recurrent, &s->hybrid));
    if (l->aux_weights) {
        ER_TRY(expect_shape(p, l->aux_weights, l->units, s->aux_inputs, "auxiliary weights"));
        ER_TRY(er_expect_type(p, l->aux_weights, l->weights->def->type, "auxiliary weights"));
        ER_TRY(expect_weights(p, l->aux_weights, &s->hybrid));
    }
    ER_TRY(er_expect_type(p, l->bias, EDGERT_FLOAT32, "bias"));
    ER_TRY(er_expect_type(p, l->state, EDGERT_FLOAT32, "state"));
    if (l->bias->count != l->units || l->state->count != s->batches * l->units || !l->state->def->is_variable)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its bias or state does not go with %zu units, or the state is no variable", l->units);
    return ER_OK;
}

static er_status start(er_prepare *p, er_op *op, const er_recurrent_options *o, int32_t rank, rnn **out)
{
    const er_tensor *x = op->inputs[0];
    er_status status;
    rnn *s = op->state = *out = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_expect_rank(p, x, rank, "input"));
    ER_TRY(er_expect_gate_activation(p, o->activation));
    *s = (rnn){.kernels = p->kernels, .time_major = o->time_major || rank == 2, .asymmetric = o->asymmetric, .activation = o->activation, .inputs = (size_t)x->dims[rank - 1],
               .steps = rank == 2 ? 1 : (size_t)x->dims[o->time_major ? 0 : 1], .batches = (size_t)x->dims[rank == 2 ? 0 : o->time_major]};
    op->run = run_rnn;
    op->stateful = true;
    op->kernel = "plain RNN";
    return ER_OK;
}

static er_status finish(er_prepare *p, er_op *op, const rnn *s, int32_t output, size_t n)
{
    int32_t dims[ER_MAX_RANK];
    const er_tensor *x = op->inputs[0];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = (int32_t)n;
    room unused;
    er_carver c = {NULL, 0};
    lay_out(s, NULL, s->layers[0].units > s->layers[1].units ? s->layers[0].units : s->layers[1].units, &c, &unused);
    op->shared_bytes = c.used;
    ER_TRY(er_expect_type(p, op->outputs[output], EDGERT_FLOAT32, "output"));
    return er_set_shape(p, op->outputs[output], dims, x->rank);
}

static er_status prepare_rnn(er_prepare *p, er_op *op, er_recurrent_options o, int32_t rank)
{
    rnn *s = NULL;
    ER_TRY(er_expect_io(p, op, 5, 5, 1));
    ER_TRY(start(p, op, &o, rank, &s));
    s->n = 1;
    s->layers[0] = (layer){.weights = op->inputs[1], .recurrent = op->inputs[2], .bias = op->inputs[3], .state = op->inputs[4]};
    ER_TRY(check_layer(p, s, &s->layers[0]));
    return finish(p, op, s, 0, s->layers[0].units);
}

er_status er_prepare_rnn(er_prepare *p, er_op *op) { return prepare_rnn(p, op, er_read_rnn(op->def->options), 2); }
er_status er_prepare_unidirectional_sequence_rnn(er_prepare *p, er_op *op) { return prepare_rnn(p, op, er_read_sequence_rnn(op->def->options), 3); }

er_status er_prepare_bidirectional_sequence_rnn(er_prepare *p, er_op *op)
{
    const er_recurrent_options o = er_read_bidirectional_rnn(op->def->options);
    rnn *s = NULL;
    if (op->n_inputs != 12 || op->n_outputs != (o.merge_outputs ? 1 : 2) || !op->inputs[0])
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d inputs and %d outputs, expected 12 and %d", op->n_inputs, op->n_outputs, o.merge_outputs ? 1 : 2);
    ER_TRY(start(p, op, &o, 3, &s));
    s->n = 2;
    const er_tensor *aux = op->inputs[9];
    if (aux) {
        if (!op->inputs[10] || !op->inputs[11] || aux->rank != 3 || aux->dims[0] != op->inputs[0]->dims[0] || aux->dims[1] != op->inputs[0]->dims[1])
            return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its auxiliary input has no weights, or another shape than its input");
        ER_TRY(er_expect_type(p, aux, EDGERT_FLOAT32, "auxiliary input"));
        s->aux = aux;
        s->aux_inputs = (size_t)aux->dims[2];
    }
    for (int32_t i = 0; i < 2; i++) {
        s->layers[i] = (layer){.weights = op->inputs[1 + 4 * i], .recurrent = op->inputs[2 + 4 * i], .bias = op->inputs[3 + 4 * i], .state = op->inputs[4 + 4 * i],
                               .aux_weights = aux ? op->inputs[10 + i] : NULL, .output = o.merge_outputs ? 0 : i, .backward = i == 1};
        ER_TRY(check_layer(p, s, &s->layers[i]));
    }
    const size_t fw = s->layers[0].units, bw = s->layers[1].units;
    if (o.merge_outputs) {
        s->layers[0].stride = s->layers[1].stride = fw + bw;
        s->layers[1].offset = fw;
    }
    ER_TRY(finish(p, op, s, 0, o.merge_outputs ? fw + bw : fw));
    return o.merge_outputs ? ER_OK : finish(p, op, s, 1, bw);
}
