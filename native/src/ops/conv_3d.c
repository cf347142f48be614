// CONV_3D and CONV_3D_TRANSPOSE. float32.
//
// CONV_3D copies the taps of some output pixels together and multiplies them as CONV_2D does; its weights are [depth][height][width][in][out].
#include <string.h>

#include "ops/matmul.h"

enum { BLOCK = 28 };

typedef struct {
    er_matmul mm;
    int32_t in[3], out[3], filter[3], stride[3], dilation[3], before[3];    // depth, height, width
    size_t in_c, out_c;
    float min, max;             // of CONV_3D_TRANSPOSE; mm has its own
} conv;

typedef struct { const er_op *op; const conv *c; } task_arg;

// ---- CONV_3D

static void gather(const conv *c, const float *x, size_t at, float *a)
{
    int32_t first[3];
    for (int d = 2; d >= 0; d--) {
        first[d] = (int32_t)(at % (size_t)c->out[d]) * c->stride[d] - c->before[d];
        at /= (size_t)c->out[d];
    }
    x += at * (size_t)c->in[0] * (size_t)c->in[1] * (size_t)c->in[2] * c->in_c;
    for (int32_t kz = 0; kz < c->filter[0]; kz++)
        for (int32_t ky = 0; ky < c->filter[1]; ky++)
            for (int32_t kx = 0; kx < c->filter[2]; kx++, a += c->in_c) {
                const int32_t z = first[0] + kz * c->dilation[0], y = first[1] + ky * c->dilation[1], w = first[2] + kx * c->dilation[2];
                if (z < 0 || z >= c->in[0] || y < 0 || y >= c->in[1] || w < 0 || w >= c->in[2]) memset(a, 0, c->in_c * sizeof *a);
                else memcpy(a, x + (((size_t)z * (size_t)c->in[1] + (size_t)y) * (size_t)c->in[2] + (size_t)w) * c->in_c, c->in_c * sizeof *a);
            }
}

static void run_block(void *arg, size_t i, int thread)
{
    const task_arg *t = arg;
    const conv *c = t->c;
    const size_t pixels = t->op->outputs[0]->count / c->out_c, first = i * BLOCK, m = pixels - first < BLOCK ? pixels - first : BLOCK;
    float *a = (float *)(void *)(t->op->scratch + (size_t)thread * t->op->scratch_stride);
    for (size_t r = 0; r < m; r++) gather(c, er_f32(t->op->inputs[0]), first + r, a + r * c->mm.length);
    const er_rows rows = {.a = a, .lines = 1, .m = m, .row_stride = c->mm.length * sizeof *a, .segments = 1};
    er_matmul_run(&c->mm, 0, &rows, NULL, 0, c->mm.n, er_f32(t->op->outputs[0]) + first * c->out_c, c->out_c);
}

static void run_conv(const er_op *op, er_pool *pool)
{
    const conv *c = op->state;
    task_arg t = {op, c};
    er_for(pool, (op->outputs[0]->count / c->out_c + BLOCK - 1) / BLOCK, (double)op->macs * 4, run_block, &t);
}

// The windows over images of `size`, of which there are `count` each way.
static er_status place_windows(er_prepare *p, conv *c, er_padding padding, const int32_t *size, int32_t *count)
{
    for (int d = 0; d < 3; d++) {
        er_window window;
        ER_TRY(er_place_window(p, padding, size[d], c->filter[d], c->stride[d], c->dilation[d], &window));
        count[d] = window.out;
        c->before[d] = window.before;
    }
    return ER_OK;
}

static er_status begin(er_prepare *p, er_op *op, const er_conv_3d_options *o, const er_tensor *x, const er_tensor *w, int in_dimension, conv **out)
{
    ER_TRY(er_expect_rank(p, x, 5, "input"));
    ER_TRY(er_expect_rank(p, w, 5, "weights"));
    ER_TRY(er_expect_values(p, w, "weights"));
    ER_TRY(er_expect_type(p, x, EDGERT_FLOAT32, "input"));
    ER_TRY(er_expect_type(p, w, EDGERT_FLOAT32, "weights"));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    if (!w->data || x->dims[4] != w->dims[in_dimension])
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %d channels and its weights %d, expected as many", x->dims[4], w->dims[in_dimension]);
    er_status status;
    conv *c = op->state = *out = er_alloc(p, sizeof *c, &status);
    ER_TRY(status);
    c->in_c = (size_t)w->dims[in_dimension];
    c->out_c = (size_t)w->dims[7 - in_dimension];
    for (int d = 0; d < 3; d++) {
        c->in[d] = x->dims[d + 1];
        c->filter[d] = w->dims[d];
    }
    if (!c->in_c || !c->out_c) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has no channels");
    memcpy(c->stride, o->stride, sizeof c->stride);
    memcpy(c->dilation, o->dilation, sizeof c->dilation);
    return ER_OK;
}

er_status er_prepare_conv_3d(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 3, 1));
    const er_tensor *x = op->inputs[0], *w = op->inputs[1], *bias = op->n_inputs > 2 ? op->inputs[2] : NULL;
    const er_conv_3d_options o = er_read_conv_3d(op->def->options);
    conv *c = NULL;
    ER_TRY(begin(p, op, &o, x, w, 3, &c));
    ER_TRY(place_windows(p, c, o.padding, c->in, c->out));
    ER_TRY(er_set_shape(p, op->outputs[0], (int32_t[]){x->dims[0], c->out[0], c->out[1], c->out[2], (int32_t)c->out_c}, 5));
    // As CONV_2D has them: [out][taps].
    const size_t k = w->count / c->out_c;
    er_status status;
    float *turned = er_alloc(p, w->bytes, &status);
    ER_TRY(status);
    for (size_t j = 0; j < c->out_c; j++)
        for (size_t i = 0; i < k; i++) turned[j * k + i] = er_f32(w)[i * c->out_c + j];
    er_tensor weights = *w;
    weights.data = turned;
    ER_TRY(er_matmul_prepare(p, &c->mm, x, &weights, bias, op->outputs[0], 1, c->out_c, 1, k, o.activation, false));
    if (!er_mul_size(k, BLOCK * sizeof(float), &op->scratch_bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter is too large");
    op->macs = (int64_t)op->outputs[0]->count * (int64_t)k;
    op->kernel = "float product";
    op->run = run_conv;
    return ER_OK;
}

// ---- CONV_3D_TRANSPOSE: each input is added to the outputs under its filter

static void run_transpose(const er_op *op, er_pool *pool)
{
    const conv *c = op->state;
    const er_tensor *w = op->inputs[1], *x = op->inputs[2], *y = op->outputs[0], *bias = op->n_inputs > 3 ? op->inputs[3] : NULL;
    er_watch watch = {pool, 0};
    if (y->bytes) memset(y->data, 0, y->bytes);
    const float *from = er_f32(x);
    for (int32_t b = 0; b < x->dims[0]; b++)
        for (int32_t iz = 0; iz < c->in[0]; iz++)
            for (int32_t iy = 0; iy < c->in[1]; iy++)
                for (int32_t ix = 0; ix < c->in[2]; ix++, from += c->in_c) {
                    if (er_watch_ends(&watch, w->count)) return;
                    const float *weights = er_f32(w);
                    for (int32_t kz = 0; kz < c->filter[0]; kz++)
                        for (int32_t ky = 0; ky < c->filter[1]; ky++)
                            for (int32_t kx = 0; kx < c->filter[2]; kx++, weights += c->out_c * c->in_c) {
                                const int32_t z = iz * c->stride[0] - c->before[0] + kz * c->dilation[0], v = iy * c->stride[1] - c->before[1] + ky * c->dilation[1];
                                const int32_t u = ix * c->stride[2] - c->before[2] + kx * c->dilation[2];
                                if (z < 0 || z >= c->out[0] || v < 0 || v >= c->out[1] || u < 0 || u >= c->out[2]) continue;
                                float *to = er_f32(y) + ((((size_t)b * (size_t)c->out[0] + (size_t)z) * (size_t)c->out[1] + (size_t)v) * (size_t)c->out[2] + (size_t)u) * c->out_c;
                                for (size_t j = 0; j < c->out_c; j++)
                                    for (size_t i = 0; i < c->in_c; i++) to[j] += from[i] * weights[j * c->in_c + i];
                            }
                }
    float *to = er_f32(y);
    for (size_t i = 0; i < y->count; i++) {
        const float v = to[i] + (bias ? er_f32(bias)[i % c->out_c] : 0);
        to[i] = v < c->min ? c->min : v > c->max ? c->max : v;
    }
}

er_status er_prepare_conv_3d_transpose(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 3, 4, 1));
    const er_tensor *w = op->inputs[1], *x = op->inputs[2], *bias = op->n_inputs > 3 ? op->inputs[3] : NULL;
    const er_conv_3d_options o = er_read_conv_3d(op->def->options);
    conv *c = NULL;
    ER_TRY(begin(p, op, &o, x, w, 4, &c));
    int32_t shape[ER_MAX_RANK], rank;
    ER_TRY(er_read_ints(p, op->inputs[0], "output shape", shape, &rank));
    if (rank != 5 || shape[0] != x->dims[0] || shape[4] != w->dims[3]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output shape does not fit its input and weights");
    ER_TRY(er_expect_bias(p, x, bias, c->out_c));
    int32_t expected[3];
    memcpy(c->out, shape + 1, sizeof c->out);
    ER_TRY(place_windows(p, c, o.padding, c->out, expected));
    for (int d = 0; d < 3; d++)
        if (expected[d] != c->in[d]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output shape goes with an input of %d along dimension %d, which has %d", expected[d], d + 1, c->in[d]);
    ER_TRY(er_activation_floats(p, o.activation, &c->min, &c->max));
    ER_TRY(er_set_shape(p, op->outputs[0], shape, 5));
    op->macs = (int64_t)x->count * (int64_t)(w->count / c->in_c);
    op->kernel = "plain loops";
    op->run = run_transpose;
    return ER_OK;
}
