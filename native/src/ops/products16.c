#include "ops/products16.h"

typedef struct {
    bool depthwise, wide;
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kh, kw, kc, multiplier;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, x_zero;
    const er_channel16 *channels;
    er_output o;
} conv16;

er_status er_channels16(er_prepare *p, const er_tensor *x, const er_tensor *w, const er_tensor *bias, const er_tensor *y, int32_t dimension,
                        size_t channels, bool real, er_channel16 **out, bool *wide)
{
    const er_quantization *q = &w->def->quant;
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    if (q->n != 1 && ((size_t)q->n != channels || q->dimension != dimension))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have %d scales along dimension %d, expected 1, or %zu along dimension %d", q->n, q->dimension, channels, dimension);
    for (int32_t i = 0; i < q->n_zero; i++)
        if (q->zero[i]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have zero point %d, expected 0", (int)q->zero[i]);
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

typedef struct { const er_op *op; const conv16 *s; } task_arg;

static void run_pixel_row(void *arg, size_t row, int thread)
{
    (void)thread;
    const task_arg *t = arg;
    const conv16 *s = t->s;
    const int16_t *image = (const int16_t *)t->op->inputs[0]->data + row / (size_t)s->out_h * (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
    const int8_t *weights = er_i8(t->op->inputs[1]);
    int16_t *y = (int16_t *)t->op->outputs[0]->data + row * (size_t)s->out_w * (size_t)s->out_c;
    const int32_t y0 = (int32_t)(row % (size_t)s->out_h) * s->stride_h - s->pad_top;
    for (int32_t ox = 0; ox < s->out_w; ox++)
        for (int32_t c = 0; c < s->out_c; c++, y++) {
            const int32_t group = s->depthwise ? 0 : c / (s->out_c / (s->in_c / s->kc));
            int64_t sum = s->channels[c].bias;
            for (int32_t ky = 0; ky < s->kh; ky++) {
                const int32_t iy = y0 + ky * s->dilation_h;
                if (iy < 0 || iy >= s->in_h) continue;
                for (int32_t kx = 0; kx < s->kw; kx++) {
                    const int32_t ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
                    if (ix < 0 || ix >= s->in_w) continue;
                    const int16_t *x = image + ((size_t)iy * (size_t)s->in_w + (size_t)ix) * (size_t)s->in_c;
                    if (s->depthwise) {
                        sum += (int64_t)(x[c / s->multiplier] - s->x_zero) * weights[((size_t)ky * (size_t)s->kw + (size_t)kx) * (size_t)s->out_c + (size_t)c];
                        continue;
                    }
                    const int8_t *w = weights + (((size_t)c * (size_t)s->kh + (size_t)ky) * (size_t)s->kw + (size_t)kx) * (size_t)s->kc;
                    x += group * s->kc;
                    int32_t i = 0;
                    while (i < s->kc) {     // 256 products of 24 bits fit 32
                        int32_t part = 0;
                        for (const int32_t end = er_min32(i + 256, s->kc); i < end; i++) part += (x[i] - s->x_zero) * w[i];
                        sum += part;
                    }
                }
            }
            if (!s->wide) sum = (int32_t)(uint32_t)sum;
            *y = (int16_t)er_clamp64((int64_t)er_finish16(&s->channels[c], sum, s->wide) + s->o.zero, s->o.min, s->o.max);
        }
}

static void run_conv16(const er_op *op, er_pool *pool)
{
    const conv16 *s = op->state;
    task_arg t = {op, s};
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
    ER_TRY(er_activation_output(p, activation, y, &s->o));
    op->run = run_conv16;
    op->kernel = "plain 16x8";
    op->macs = (int64_t)y->count * (int64_t)k;
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
