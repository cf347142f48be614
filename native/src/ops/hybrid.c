// "Hybrid" CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: float32 activations, int8 weights (dynamic-range models).
//
// The input of each sample is quantized to int8 when the operator runs, the sums are integers, and each is scaled back to
// float32. Weights per tensor take a symmetric input, in [-127, 127]; weights per channel an asymmetric one, as the reference
// does (FULLY_CONNECTED: as its attribute says). Padding is real zero.
//
// Plain loops: they are here so that such models run, not to run them fast.
#include "ops/hybrid.h"

#include "ops/dynamic_range.h"
#include "ops/matmul.h"

typedef struct {
    bool depthwise, asymmetric;
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kh, kw, multiplier;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    const int8_t *weights;          // [out][kh][kw][in], depthwise: [kh][kw][out]
    const float *scale, *bias;      // bias may be NULL
    int32_t scales;
    float min, max;
    size_t sample;                  // values of one sample of the input
} hybrid;

typedef struct { const er_op *op; const hybrid *h; const int8_t *x; const er_dynamic *q; } task_arg;

static int32_t dot(const int8_t *a, const int8_t *b, size_t n, int32_t a_zero)
{
    int32_t sum = 0, b_sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
        b_sum += b[i];
    }
    return (int32_t)((uint32_t)sum - (uint32_t)a_zero * (uint32_t)b_sum);
}

// The sum of one output channel at one pixel; taps outside the image add nothing.
static int32_t sum_at(const hybrid *h, const int8_t *image, int32_t zero, int32_t y0, int32_t x0, int32_t channel)
{
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < h->kh; ky++) {
        int32_t y = y0 + ky * h->dilation_h;
        if (y < 0 || y >= h->in_h) continue;
        for (int32_t kx = 0; kx < h->kw; kx++) {
            int32_t x = x0 + kx * h->dilation_w;
            if (x < 0 || x >= h->in_w) continue;
            const int8_t *pixel = image + ((size_t)y * (size_t)h->in_w + (size_t)x) * (size_t)h->in_c;
            size_t tap = (size_t)ky * (size_t)h->kw + (size_t)kx, taps = (size_t)h->kh * (size_t)h->kw;
            if (h->depthwise) sum += (uint32_t)((pixel[channel / h->multiplier] - zero) * h->weights[tap * (size_t)h->out_c + (size_t)channel]);
            else sum += (uint32_t)dot(pixel, h->weights + ((size_t)channel * taps + tap) * (size_t)h->in_c, (size_t)h->in_c, zero);
        }
    }
    return (int32_t)sum;
}

static void run_row(void *arg, size_t i, int thread)
{
    (void)thread;
    const task_arg *t = arg;
    const hybrid *h = t->h;
    size_t b = i / (size_t)h->out_h;
    er_dynamic q = t->q[b];
    int32_t y0 = (int32_t)(i % (size_t)h->out_h) * h->stride_h - h->pad_top;
    float *y = er_f32(t->op->outputs[0]) + i * (size_t)h->out_w * (size_t)h->out_c;
    for (int32_t ox = 0; ox < h->out_w; ox++) {
        for (int32_t c = 0; c < h->out_c; c++) {
            int32_t sum = sum_at(h, t->x + b * h->sample, q.zero, y0, ox * h->stride_w - h->pad_left, c);
            float v = (float)sum * (h->scale[h->scales == 1 ? 0 : c] * q.scale) + (h->bias ? h->bias[c] : 0);
            *y++ = v < h->min ? h->min : v > h->max ? h->max : v;
        }
    }
}

static void run_hybrid(const er_op *op, er_pool *pool)
{
    const hybrid *h = op->state;
    const float *x = er_f32(op->inputs[0]);
    er_dynamic *q = (er_dynamic *)(void *)op->shared;
    int8_t *quantized = (int8_t *)op->shared + er_round_up((size_t)h->batch * sizeof *q, ER_ALIGN);
    for (size_t b = 0; b < (size_t)h->batch; b++)
        q[b] = er_quantize_floats(x + b * h->sample, h->sample, h->asymmetric, quantized + b * h->sample);
    task_arg t = {op, h, quantized, q};
    er_for(pool, (size_t)h->batch * (size_t)h->out_h, op->macs * 8, run_row, &t);
}

// What the three have in common, once the geometry in `h` is set and y has its shape.
static er_status finish(er_prepare *p, er_op *op, hybrid h, int32_t dimension, er_activation activation, size_t products)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1], *bias = op->n_inputs > 2 ? op->inputs[2] : NULL;
    const er_quantization *q = &w->def->quant;
    ER_TRY(er_expect_values(p, w, "weights"));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    ER_TRY(er_expect_bias(p, x, bias, (size_t)h.out_c));
    if (!w->data && w->count > 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have no data");
    if (q->n != 1 && (q->n != h.out_c || q->dimension != dimension))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have %d scales along dimension %d, expected 1, or %d along dimension %d", q->n, q->dimension, h.out_c, dimension);
    for (int32_t i = 0; i < q->n_zero; i++)
        if (q->zero[i]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its int8 weights have zero point %d, expected 0", (int)q->zero[i]);
    if (products > INT32_MAX / 65536 * 256) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has more products than a 32-bit sum holds");
    h.weights = w->data;
    h.scale = q->scale;
    h.scales = q->n;
    h.bias = bias ? bias->data : NULL;
    h.sample = h.batch ? x->count / (size_t)h.batch : 0;
    ER_TRY(er_activation_floats(p, activation, &h.min, &h.max));
    er_status status;
    hybrid *state = op->state = er_alloc(p, sizeof *state, &status);
    ER_TRY(status);
    *state = h;
    op->shared_bytes = er_round_up((size_t)h.batch * sizeof(er_dynamic), ER_ALIGN) + x->count;
    op->macs = (int64_t)op->outputs[0]->count * (int64_t)products;
    op->run = run_hybrid;
    return ER_OK;
}

// One scale for all channels is per tensor for the reference, however often the file says it.
static bool scales_differ(const er_quantization *q)
{
    for (int32_t i = 1; i < q->n; i++)
        if (q->scale[i] != q->scale[0]) return true;
    return false;
}

er_status er_prepare_hybrid_conv(er_prepare *p, er_op *op, const er_conv_options *o, bool depthwise)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1];
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    ER_TRY(er_expect_rank(p, w, 4, "weights"));
    int32_t in_c = x->dims[3], out_c = w->dims[depthwise ? 3 : 0];
    if (in_c < 1 || out_c < 1 || (depthwise ? w->dims[0] != 1 || out_c % in_c : w->dims[3] != in_c))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %d channels, which its weights do not fit", in_c);
    er_window wy, wx;
    ER_TRY(er_place_window(p, o->padding, x->dims[1], w->dims[1], o->stride_h, o->dilation_h, &wy));
    ER_TRY(er_place_window(p, o->padding, x->dims[2], w->dims[2], o->stride_w, o->dilation_w, &wx));
    ER_TRY(er_set_shape(p, op->outputs[0], (int32_t[]){x->dims[0], wy.out, wx.out, out_c}, 4));
    bool per_channel = w->def->quant.n == out_c;
    hybrid h = {.depthwise = depthwise, .asymmetric = depthwise || scales_differ(&w->def->quant), .batch = x->dims[0], .in_h = x->dims[1], .in_w = x->dims[2], .in_c = in_c,
                .out_h = wy.out, .out_w = wx.out, .out_c = out_c, .kh = w->dims[1], .kw = w->dims[2], .multiplier = depthwise ? out_c / in_c : 1,
                .stride_h = o->stride_h, .stride_w = o->stride_w, .dilation_h = o->dilation_h, .dilation_w = o->dilation_w,
                .pad_top = wy.before, .pad_left = wx.before};
    // The reference has no depthwise with one scale for several channels.
    if (depthwise && !per_channel) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have %d scales, expected %d", w->def->quant.n, out_c);
    return finish(p, op, h, depthwise ? 3 : 0, o->activation, (size_t)w->count / (size_t)out_c);
}

er_status er_prepare_hybrid_fully_connected(er_prepare *p, er_op *op, bool asymmetric, er_activation activation)
{
    const er_tensor *w = op->inputs[1];
    size_t k = (size_t)w->dims[1], rows = op->inputs[0]->count / k;
    // A row is a sample with one pixel of k channels.
    hybrid h = {.asymmetric = asymmetric, .batch = (int32_t)rows, .in_h = 1, .in_w = 1, .in_c = (int32_t)k, .out_h = 1, .out_w = 1,
                .out_c = w->dims[0], .kh = 1, .kw = 1, .multiplier = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
    return finish(p, op, h, 0, activation, k);
}
