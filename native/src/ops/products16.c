#include "ops/products16.h"

#include <string.h>

#include "ops/matmul.h"

typedef struct {
    bool depthwise, wide;
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kh, kw, kc, multiplier;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, x_zero;
    const er_kernels *kernels;
    const er_channel16 *channels;
    const int64_t *weight_sums;         // [out_c]; not of a depthwise one
    er_output o;
} conv16;

er_status er_channels16(er_prepare *p, const er_tensor *x, const er_tensor *w, const er_tensor *bias, const er_tensor *y, int32_t dimension,
                        size_t channels, bool real, er_channel16 **out, bool *wide)
{
    const er_quantization *q = &w->def->quant;
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    ER_TRY(er_expect_weight_scales(p, w, channels, dimension));
    *wide = true;
    if (bias) {
        ER_TRY(er_expect_values(p, bias, "bias"));
        if (!(ER_T(bias->def->type) & ER_INTS)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its bias is %s, expected int64 or int32", er_type_name(bias->def->type));
        if (bias->count != channels) return er_op_fail(p, EDGERT_ERROR_MODEL, "its bias has %zu values, expected %zu", bias->count, channels);
        *wide = bias->def->type == EDGERT_INT64;
    }
    er_status status;
    er_channel16 *c = *out = er_alloc(p, channels * sizeof *c, &status);
    ER_TRY(status);
    for (size_t i = 0; i < channels; i++) {
        const double m = (double)er_scale(x) * (double)q->scale[q->n == 1 ? 0 : i] / (double)er_scale(y);
        if (!(m < 16384)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its scales make a multiplier of %g, which is too large", m);
        c[i] = (er_channel16){bias ? *wide ? ((const int64_t *)bias->data)[i] : er_i32(bias)[i] : 0, er_make_multiplier(m), real ? m : 0};
    }
    return ER_OK;
}

typedef struct { const er_op *op; const conv16 *s; const er_pool *pool; } task_arg;

// The input at tap (ky, kx) of output (y0, x0), NULL in the padding.
static const int16_t *tap_at(const conv16 *s, const int16_t *image, int32_t y0, int32_t x0, int32_t ky, int32_t kx)
{
    const int32_t y = y0 + ky * s->dilation_h, x = x0 + kx * s->dilation_w;
    if (y < 0 || y >= s->in_h || x < 0 || x >= s->in_w) return NULL;
    return image + ((size_t)y * (size_t)s->in_w + (size_t)x) * (size_t)s->in_c;
}

static int16_t finished(const conv16 *s, int32_t c, int64_t sum)
{
    return (int16_t)er_clamp64((int64_t)er_finish16(&s->channels[c], sum, s->wide) + s->o.zero, s->o.min, s->o.max);
}

// All taps of an output, the channels of one group after those of another; padding is the zero point.
static void gather(const conv16 *s, const int16_t *image, int32_t y0, int32_t x0, int16_t *row)
{
    const size_t kc = (size_t)s->kc, taps = (size_t)s->kh * (size_t)s->kw, groups = (size_t)s->in_c / kc;
    for (int32_t ky = 0; ky < s->kh; ky++)
        for (int32_t kx = 0; kx < s->kw; kx++, row += kc) {
            const int16_t *x = tap_at(s, image, y0, x0, ky, kx);
            for (size_t g = 0; g < groups; g++) {
                int16_t *to = row + g * taps * kc;
                if (x) memcpy(to, x + g * kc, kc * sizeof *to);
                for (size_t i = 0; !x && i < kc; i++) to[i] = (int16_t)s->x_zero;
            }
        }
}

static void run_pixel(const conv16 *s, const int16_t *image, int32_t y0, int32_t x0, const int8_t *weights, int16_t *row, int16_t *y)
{
    const size_t k = (size_t)s->kh * (size_t)s->kw * (size_t)s->kc;
    const int32_t per_group = s->out_c / (s->in_c / s->kc);
    const int16_t *all = row;
    if (s->kh == 1 && s->kw == 1 && y0 >= 0 && x0 >= 0 && y0 < s->in_h && x0 < s->in_w) all = tap_at(s, image, y0, x0, 0, 0);
    else gather(s, image, y0, x0, row);
    for (int32_t c = 0; c < s->out_c; c++)
        y[c] = finished(s, c, s->kernels->dot_words(k, all + (size_t)(c / per_group) * k, weights + (size_t)c * k) - s->x_zero * s->weight_sums[c]);
}

static void flush(size_t n, int32_t *part, int64_t *sums)
{
    for (size_t c = 0; c < n; c++) sums[c] += part[c];
    memset(part, 0, n * sizeof *part);
}

static void run_depthwise_pixel(const conv16 *s, const int16_t *image, int32_t y0, int32_t x0, const int8_t *weights, int64_t *sums, int16_t *y)
{
    const size_t n = (size_t)s->out_c;
    int32_t *part = (int32_t *)(void *)(sums + n), taken = 0;
    memset(sums, 0, n * (sizeof *sums + sizeof *part));
    for (int32_t ky = 0; ky < s->kh; ky++)
        for (int32_t kx = 0; kx < s->kw; kx++, weights += n) {
            const int16_t *x = tap_at(s, image, y0, x0, ky, kx);
            if (!x) continue;
            if (s->multiplier == 1) s->kernels->add_products(n, x, s->x_zero, weights, part);
            for (size_t c = 0; s->multiplier != 1 && c < n; c++) part[c] += (x[c / (size_t)s->multiplier] - s->x_zero) * weights[c];
            if (++taken % 64 == 0) flush(n, part, sums);        // 127 products of 24 bits fit 32
        }
    flush(n, part, sums);
    for (int32_t c = 0; c < s->out_c; c++) y[c] = finished(s, c, sums[c]);
}

static void run_pixel_row(void *arg, size_t i, int thread)
{
    const task_arg *t = arg;
    const conv16 *s = t->s;
    const int16_t *image = (const int16_t *)t->op->inputs[0]->data + i / (size_t)s->out_h * (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
    const int8_t *weights = er_i8(t->op->inputs[1]);
    int16_t *y = (int16_t *)t->op->outputs[0]->data + i * (size_t)s->out_w * (size_t)s->out_c;
    void *scratch = t->op->scratch + (size_t)thread * t->op->scratch_stride;
    const int32_t y0 = (int32_t)(i % (size_t)s->out_h) * s->stride_h - s->pad_top;
    er_watch watch = {t->pool, 0};
    for (int32_t ox = 0; ox < s->out_w && !er_watch_ends(&watch, t->op->inputs[1]->count); ox++, y += s->out_c) {
        const int32_t x0 = ox * s->stride_w - s->pad_left;
        if (s->depthwise) run_depthwise_pixel(s, image, y0, x0, weights, scratch, y);
        else run_pixel(s, image, y0, x0, weights, scratch, y);
    }
}

static void run_conv16(const er_op *op, er_pool *pool)
{
    const conv16 *s = op->state;
    task_arg t = {op, s, pool};
    if (op->outputs[0]->count) er_for(pool, (size_t)s->batch * (size_t)s->out_h, (double)op->macs * 16, run_pixel_row, &t);
}

static er_status finish(er_prepare *p, er_op *op, conv16 h, int32_t dimension, er_activation activation, size_t k, bool real)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1], *y = op->outputs[0];
    er_status status;
    conv16 *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = h;
    er_channel16 *channels;
    ER_TRY(er_expect_type(p, y, EDGERT_INT16, "output"));
    ER_TRY(er_channels16(p, x, w, op->n_inputs > 2 ? op->inputs[2] : NULL, y, dimension, (size_t)h.out_c, real, &channels, &s->wide));
    s->channels = channels;
    s->x_zero = er_zero(x);
    ER_TRY(er_expect_type(p, w, EDGERT_INT8, "weights"));
    ER_TRY(er_expect_values(p, w, "weights"));
    if (!w->data && w->count) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have no data");
    ER_TRY(er_activation_output(p, activation, y, &s->o));
    s->kernels = p->kernels;
    op->run = run_conv16;
    op->kernel = h.depthwise ? "16x8 by tap" : "16x8 dot products";
    op->macs = (int64_t)y->count * (int64_t)k;
    if (h.depthwise) {
        op->scratch_bytes = (size_t)h.out_c * (sizeof(int64_t) + sizeof(int32_t));
        return ER_OK;
    }
    int64_t *sums = er_alloc(p, (size_t)h.out_c * sizeof *sums + 1, &status);
    ER_TRY(status);
    for (size_t c = 0; c < (size_t)h.out_c; c++) sums[c] = er_sum_int8(er_i8(w) + c * k, k);
    s->weight_sums = sums;
    if (!er_mul_size(k, (size_t)(h.in_c / h.kc) * sizeof(int16_t), &op->scratch_bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter is too large");
    return ER_OK;
}

er_status er_prepare_conv16(er_prepare *p, er_op *op, const er_conv_options *o, bool depthwise)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1];
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    ER_TRY(er_expect_rank(p, w, 4, "weights"));
    const int32_t in_c = x->dims[3], out_c = depthwise ? w->dims[3] : w->dims[0], kc = depthwise ? 1 : w->dims[3];
    if (in_c < 1 || out_c < 1 || kc < 1 || (depthwise ? w->dims[0] != 1 || out_c % in_c : in_c % kc || out_c % (in_c / kc)))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights do not fit an input with %d channels", in_c);
    er_window wy, wx;
    ER_TRY(er_place_window(p, o->padding, x->dims[1], w->dims[1], o->stride_h, o->dilation_h, &wy));
    ER_TRY(er_place_window(p, o->padding, x->dims[2], w->dims[2], o->stride_w, o->dilation_w, &wx));
    ER_TRY(er_set_shape(p, op->outputs[0], (int32_t[]){x->dims[0], wy.out, wx.out, out_c}, 4));
    const conv16 h = {.depthwise = depthwise, .batch = x->dims[0], .in_h = x->dims[1], .in_w = x->dims[2], .in_c = in_c, .out_h = wy.out, .out_w = wx.out, .out_c = out_c,
                      .kh = w->dims[1], .kw = w->dims[2], .kc = kc, .multiplier = depthwise ? out_c / in_c : 1, .stride_h = o->stride_h, .stride_w = o->stride_w,
                      .dilation_h = o->dilation_h, .dilation_w = o->dilation_w, .pad_top = wy.before, .pad_left = wx.before};
    return finish(p, op, h, depthwise ? 3 : 0, o->activation, w->count / (size_t)out_c, false);
}

er_status er_prepare_fully_connected16(er_prepare *p, er_op *op, er_activation activation)
{
    const er_tensor *w = op->inputs[1];
    const int32_t k = w->dims[1];
    const conv16 h = {.batch = (int32_t)(op->inputs[0]->count / (size_t)k), .in_h = 1, .in_w = 1, .in_c = k, .out_h = 1, .out_w = 1, .out_c = w->dims[0], .kh = 1, .kw = 1, .kc = k,
                      .multiplier = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
    return finish(p, op, h, 0, activation, (size_t)k, true);
}
