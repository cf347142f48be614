#include "ops/gates.h"

#include <math.h>

void er_vector_carve(er_vector *v, er_carver *c)
{
    v->bytes = er_carve(c, v->n * v->batches);
    v->quantized = er_carve(c, v->batches * sizeof *v->quantized);
}

void er_vector_quantize(er_vector *v, bool asymmetric)
{
    v->zero = true;
    for (size_t i = 0; v->zero && i < v->n * v->batches; i++) v->zero = v->values[i] == 0;
    for (size_t b = 0; v->bytes && !v->zero && b < v->batches; b++)
        v->quantized[b] = er_quantize_floats(v->kernels, v->values + b * v->n, v->n, asymmetric, v->bytes + b * v->n);
}

void er_gate_accumulate(const er_tensor *w, const er_vector *x, size_t rows, float *y)
{
    if (x->zero) return;
    er_watch watch = {x->pool, 0};
    for (size_t b = 0; b < x->batches && !er_watch_ends(&watch, w->count); b++, y += rows) {
        const float *v = x->values + b * x->n;
        if (w->rank == 1) {
            for (size_t r = 0; r < rows; r++) y[r] += er_f32(w)[r] * v[r];
        } else if (w->def->type == EDGERT_FLOAT32) {
            for (size_t r = 0; r < rows; r++) y[r] += x->kernels->dot_floats(x->n, er_f32(w) + r * x->n, v);
        } else {
            const er_dynamic q = x->quantized[b];
            const float scale = q.scale * er_scale(w);
            for (size_t r = 0; r < rows; r++) {
                y[r] += (float)x->kernels->dot_bytes(x->n, er_i8(w) + r * x->n, x->bytes + b * x->n, q.zero) * scale;
            }
        }
    }
}

er_status er_expect_gate_activation(er_prepare *p, er_activation a)
{
    if (a == ER_ACT_NONE || a == ER_ACT_RELU || a == ER_ACT_RELU_N1_TO_1 || a == ER_ACT_RELU6 || a == ER_ACT_TANH) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its activation number %d is not supported", (int)a);
}

void er_gate_activate(const er_kernels *kernels, er_activation a, size_t n, const float *x, float *y)
{
    if (a == ER_ACT_TANH) {
        kernels->tanh_floats(n, x, y);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const float v = x[i];
        switch (a) {
        case ER_ACT_RELU: y[i] = v < 0 ? 0 : v; break;
        case ER_ACT_RELU_N1_TO_1: y[i] = v < -1 ? -1 : v > 1 ? 1 : v; break;
        case ER_ACT_RELU6: y[i] = v < 0 ? 0 : v > 6 ? 6 : v; break;
        default: y[i] = v;
        }
    }
}

void er_gate_normalize(size_t n, size_t batches, float *x)
{
    for (size_t b = 0; b < batches; b++, x += n) {
        float sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) sum += x[i];
        const float mean = sum / (float)n;
        for (size_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
        const float inverse = 1.0f / sqrtf(squares / (float)n + 1e-8f);
        for (size_t i = 0; i < n; i++) x[i] = (x[i] - mean) * inverse;
    }
}
