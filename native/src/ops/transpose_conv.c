// TRANSPOSE_CONV. int8 (per tensor or channel), uint8, int16 with int8 weights, float32, float32 with int8 weights.
//
// int8, hybrid and most float32 ones: transpose_product.c. All else here, as they come: each output pixel gathers the inputs whose windows reach it, in the order in which the reference scatters them.
#include <stdlib.h>
#include <string.h>

#include "ops/hybrid.h"
#include "ops/matmul.h"
#include "ops/products16.h"
#include "ops/transpose_conv.h"
#include "ops/whole.h"

typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c, kh, kw, stride_h, stride_w, pad_top, pad_left;
    int32_t x_zero, w_zero;
    bool wide;
    er_multiplier *multipliers;         // 8 bits
    const int32_t *bias;
    er_channel16 *channels;             // int16
    er_output o;
    float min, max;
} transpose_conv;

typedef struct { const er_op *op; const transpose_conv *s; const er_pool *pool; } task_arg;

static float dot_floats(size_t n, const float *x, const float *w, float sum)
{
    for (size_t i = 0; i < n; i++) sum += x[i] * w[i];
    return sum;
}

static int64_t dot_whole(const transpose_conv *s, const er_tensor *x, size_t from, const er_tensor *w, size_t at)
{
    int64_t sum = 0;
    const size_t n = (size_t)s->in_c;
    if (er_is_16bit(x)) {
        for (size_t i = 0; i < n; i++) sum += (int64_t)(((const int16_t *)x->data)[from + i] - s->x_zero) * er_i8(w)[at + i];
    } else if (er_is_signed(x)) {
        int32_t part = 0;
        for (size_t i = 0; i < n; i++) part += (er_i8(x)[from + i] - s->x_zero) * er_i8(w)[at + i];
        sum = part;
    } else {
        uint32_t part = 0;      // 65536 products of 255 by 255 wrap
        for (size_t i = 0; i < n; i++) part += (uint32_t)((er_u8(x)[from + i] - s->x_zero) * (er_u8(w)[at + i] - s->w_zero));
        sum = (int32_t)part;
    }
    return sum;
}

// The inputs that reach output row or column `o`: the first, and the filter tap that it lies under, -1 where there is none; the next lies under one `stride` taps before.
static int32_t taps_of(int32_t o, int32_t pad, int32_t stride, int32_t filter, int32_t *tap)
{
    const int32_t at = o + pad, first = at % stride;
    *tap = first < filter ? first + (filter - 1 - first) / stride * stride : -1;     // the last tap that an input lies under
    return *tap < 0 ? 0 : (at - *tap) / stride;
}

static void run_row(void *arg, size_t row, int thread)
{
    (void)thread;
    const task_arg *t = arg;
    const transpose_conv *s = t->s;
    const er_tensor *w = t->op->inputs[1], *x = t->op->inputs[2], *y = t->op->outputs[0], *bias = t->op->n_inputs > 3 ? t->op->inputs[3] : NULL;
    const size_t image = row / (size_t)s->out_h * (size_t)s->in_h * (size_t)s->in_w;
    const int32_t oy = (int32_t)(row % (size_t)s->out_h);
    const bool is_float = x->def->type == EDGERT_FLOAT32;
    er_watch watch = {t->pool, 0};
    for (int32_t ox = 0; ox < s->out_w && !er_watch_ends(&watch, w->count); ox++)
        for (int32_t c = 0; c < s->out_c; c++) {
            int64_t sum = 0;
            float real = 0;
            int32_t ky, kx0, iy = taps_of(oy, s->pad_top, s->stride_h, s->kh, &ky);
            const int32_t ix0 = taps_of(ox, s->pad_left, s->stride_w, s->kw, &kx0);
            for (; ky >= 0; ky -= s->stride_h, iy++) {
                if (iy < 0 || iy >= s->in_h) continue;
                for (int32_t kx = kx0, ix = ix0; kx >= 0; kx -= s->stride_w, ix++) {
                    if (ix < 0 || ix >= s->in_w) continue;
                    const size_t from = (image + (size_t)iy * (size_t)s->in_w + (size_t)ix) * (size_t)s->in_c;
                    const size_t at = (((size_t)c * (size_t)s->kh + (size_t)ky) * (size_t)s->kw + (size_t)kx) * (size_t)s->in_c;
                    if (is_float) real = dot_floats((size_t)s->in_c, er_f32(x) + from, er_f32(w) + at, real);
                    else sum += dot_whole(s, x, from, w, at);
                }
            }
            const size_t to = (row * (size_t)s->out_w + (size_t)ox) * (size_t)s->out_c + (size_t)c;
            if (is_float) {
                if (bias) real += er_f32(bias)[c];
                er_f32(y)[to] = real < s->min ? s->min : real > s->max ? s->max : real;
                continue;
            }
            int32_t v;
            if (er_is_16bit(x)) v = er_finish16(&s->channels[c], sum, s->wide);
            else v = er_requantize((int32_t)((uint32_t)sum + (uint32_t)s->bias[c]), s->multipliers[c]);
            er_put_whole(y, to, er_clamp64((int64_t)v + s->o.zero, s->o.min, s->o.max));
        }
}

static void run_transpose_conv(const er_op *op, er_pool *pool)
{
    const transpose_conv *s = op->state;
    task_arg t = {op, s, pool};
    if (op->outputs[0]->count) er_for(pool, (size_t)op->outputs[0]->dims[0] * (size_t)s->out_h, (double)op->macs * 16, run_row, &t);
}

static er_status prepare_8bit(er_prepare *p, er_op *op, transpose_conv *s)
{
    const er_tensor *w = op->inputs[1], *x = op->inputs[2], *y = op->outputs[0], *bias = op->n_inputs > 3 ? op->inputs[3] : NULL;
    const size_t n = (size_t)s->out_c;
    er_channel *channels;
    er_status status;
    ER_TRY(er_expect_type(p, w, x->def->type, "weights"));
    s->multipliers = er_alloc(p, n * sizeof *s->multipliers, &status);
    ER_TRY(status);
    int32_t *all = er_alloc(p, n * sizeof *all, &status);
    ER_TRY(status);
    ER_TRY(er_channel_parameters(p, x, w, bias, y, 0, n, false, &channels));
    for (size_t i = 0; i < n; i++) {
        s->multipliers[i] = er_make_multiplier(channels[i].m);
        all[i] = channels[i].bias;
    }
    free(channels);
    s->bias = all;
    s->x_zero = er_zero(x);
    s->w_zero = er_zero(w);
    return ER_OK;
}

er_status er_prepare_transpose_conv(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 3, 4, 1));
    const er_tensor *w = op->inputs[1], *x = op->inputs[2], *bias = op->n_inputs > 3 ? op->inputs[3] : NULL;
    er_tensor *y = op->outputs[0];
    const er_conv_options o = er_read_transpose_conv(op->def->options);
    int32_t shape[ER_MAX_RANK], rank;
    ER_TRY(er_read_ints(p, op->inputs[0], "output shape", shape, &rank));
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    ER_TRY(er_expect_rank(p, w, 4, "weights"));
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (rank != 4 || shape[0] != x->dims[0] || shape[3] != w->dims[0] || w->dims[3] != x->dims[3])
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its output shape and weights do not fit its input");
    if (!x->dims[3] || !w->dims[0]) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has no channels");
    if (w->count / (size_t)w->dims[0] > (1 << 16)) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has more products than a 32-bit sum holds");
    er_window wy, wx;
    ER_TRY(er_place_window(p, o.padding, shape[1], w->dims[1], o.stride_h, 1, &wy));
    ER_TRY(er_place_window(p, o.padding, shape[2], w->dims[2], o.stride_w, 1, &wx));
    ER_TRY(er_set_shape(p, y, shape, 4));
    if (x->def->type == EDGERT_FLOAT32) {
        if (w->def->type == EDGERT_INT8) ER_TRY(er_expect_hybrid_weights(p, w, w->dims[0], 0));
        else ER_TRY(er_expect_type(p, w, EDGERT_FLOAT32, "weights"));
        if (bias) ER_TRY(er_expect_type(p, bias, EDGERT_FLOAT32, "bias"));
        if (bias && bias->count != (size_t)w->dims[0]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its bias has %zu values, expected %d", bias->count, w->dims[0]);
    }
    op->macs = (int64_t)x->count * (int64_t)(w->count / (size_t)w->dims[3]);
    if (er_transpose_product_suits(p, op)) {
        const er_transpose_shape shape_of = {x->dims[0], x->dims[1], x->dims[2], x->dims[3], shape[1], shape[2], shape[3], w->dims[1], w->dims[2], o.stride_h, o.stride_w, wy.before, wx.before};
        return er_prepare_transpose_product(p, op, &shape_of, o.activation);
    }
    er_status status;
    transpose_conv *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (transpose_conv){.in_h = x->dims[1], .in_w = x->dims[2], .in_c = x->dims[3], .out_h = shape[1], .out_w = shape[2], .out_c = shape[3], .kh = w->dims[1], .kw = w->dims[2],
                          .stride_h = o.stride_h, .stride_w = o.stride_w, .pad_top = wy.before, .pad_left = wx.before};
    op->run = run_transpose_conv;
    if (x->def->type == EDGERT_FLOAT32) return er_activation_floats(p, o.activation, &s->min, &s->max);
    ER_TRY(er_activation_output(p, o.activation, y, &s->o));
    if (er_is_8bit(x)) return prepare_8bit(p, op, s);
    ER_TRY(er_expect_type(p, w, EDGERT_INT8, "weights"));
    s->x_zero = er_zero(x);
    ER_TRY(er_channels16(p, x, w, bias, y, 0, (size_t)s->out_c, false, &s->channels, &s->wide));
    if (!bias) s->wide = !o.narrow;
    return ER_OK;
}
