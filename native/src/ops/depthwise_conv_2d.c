// DEPTHWISE_CONV_2D. Checks and float32 here; 8 bits in depthwise_8bit.c.
//
// float32 has a kernel, which reads its taps through pointers, so padding costs nothing: taps outside the image point at a row of zeros. A row of
// output is cut into the pixels at the left edge, the run in the middle where all taps of a column are inside, and those at the right edge. With a depth
// multiplier the kernel reads a copy of the input in which each channel is repeated. An image of one channel is a matter for CONV_2D, which has a panel of
// channels at hand for each byte.
//
// "Hybrid", with int8 weights, goes the same way on whole numbers, which float sums of few taps hold exactly: each sample's input is
// quantized to int8 when the operator runs, and its sums are scaled back (hybrid.c).
#include "ops/depthwise.h"

#include <math.h>
#include <string.h>

#include "ops/conv_2d.h"
#include "ops/dynamic_range.h"
#include "ops/hybrid.h"
#include "ops/products16.h"
#include "ops/weights.h"
#include "ops/matmul.h"

typedef struct {
    er_depthwise_shape s;               // with as many channels in as out
    size_t repeat;                      // the depth multiplier
    const er_kernels *kernels;
    int32_t inner_first, inner_end;     // output columns of which all taps are inside
    const float *bias;
    float min, max;
    float *pad_row;                     // zeros, as many as all taps of a row of output span
    const float *weights;
    const float *scale;                 // hybrid: [out_c], else NULL
    er_hybrid_scaling scaling;
    float low, high;                    // what sums are clamped to: min and max, or, of whole numbers, nothing
    const float *zeros;
} depthwise;

typedef struct { const er_op *op; const depthwise *d; const er_pool *pool; const float *x; const er_dynamic *q; } task_arg;

// Pointers to what each tap reads at output column ox of the row that starts at input row y0.
static void set_taps(const depthwise *d, const float *image, int32_t y0, int32_t ox, const float **tap)
{
    const er_depthwise_shape *s = &d->s;
    int32_t x0 = ox * s->o.stride_w - s->pad_left;
    size_t pixel = (size_t)s->in_c;
    for (int32_t ky = 0; ky < s->kh; ky++) {
        int32_t y = y0 + ky * s->o.dilation_h;
        for (int32_t kx = 0; kx < s->kw; kx++) {
            int32_t x = x0 + kx * s->o.dilation_w;
            if (y < 0 || y >= s->in_h) *tap++ = d->pad_row + (size_t)(kx * s->o.dilation_w) * pixel;     // steps like a row of the image
            else if (x < 0 || x >= s->in_w) *tap++ = d->pad_row;
            else *tap++ = image + ((size_t)y * (size_t)s->in_w + (size_t)x) * pixel;
        }
    }
}

// A row of whole numbers, scaled back.
static void scale_row(const depthwise *d, float scale, float *out)
{
    const size_t out_c = (size_t)d->s.out_c;
    for (int32_t ox = 0; ox < d->s.out_w; ox++, out += out_c) {
        for (size_t c = 0; c < out_c; c++) {
            const float v = (d->scaling.apart ? out[c] * d->scale[c] * scale : out[c] * (d->scale[c] * scale)) + d->bias[c];
            out[c] = v < d->min ? d->min : v > d->max ? d->max : v;
        }
    }
}

static void run_row(void *arg, size_t i, int thread)
{
    const task_arg *t = arg;
    const depthwise *d = t->d;
    const er_depthwise_shape *s = &d->s;
    const float **tap = (const float **)(void *)(t->op->scratch + (size_t)thread * t->op->scratch_stride), *weights = d->weights;
    size_t b = i / (size_t)s->out_h, in_c = (size_t)s->in_c, out_c = (size_t)s->out_c, taps = (size_t)(s->kh * s->kw);
    const float *image = t->x + b * (size_t)s->in_h * (size_t)s->in_w * in_c;
    float *out = er_f32(t->op->outputs[0]) + i * (size_t)s->out_w * out_c;
    int32_t y0 = (int32_t)(i % (size_t)s->out_h) * s->o.stride_h - s->pad_top;
    const size_t most = er_longest_task(taps * out_c);
    er_watch watch = {t->pool, 0};
    for (int32_t ox = 0, n = 0; ox < s->out_w; ox += n) {
        if (er_watch_ends(&watch, (size_t)n * taps * out_c)) return;
        n = ox >= d->inner_first && ox < d->inner_end ? d->inner_end - ox : 1;
        if ((size_t)n > most) n = (int32_t)most;
        set_taps(d, image, y0, ox, tap);
        d->kernels->sdepthwise((size_t)n, in_c, taps, tap, (size_t)s->o.stride_w * in_c, d->scale ? d->zeros : d->bias, weights, d->low, d->high, out + (size_t)ox * out_c, out_c);
    }
    if (d->scale) scale_row(d, t->q[b].scale, out);
}

// The input as whole numbers, less their zero point.
static void quantize(const er_op *op, task_arg *t)
{
    const size_t batch = (size_t)t->d->s.batch, sample = batch ? op->inputs[0]->count / batch : 0;
    er_dynamic *q = (er_dynamic *)(void *)op->shared;
    float *whole = (float *)(void *)(op->shared + er_round_up(batch * sizeof *q, ER_ALIGN));
    int8_t *bytes = (int8_t *)(whole + op->inputs[0]->count);
    for (size_t b = 0; b < batch; b++) {
        q[b] = er_quantize_floats(t->d->kernels, t->x + b * sample, sample, t->d->scaling.asymmetric, bytes);
        for (size_t i = 0; i < sample; i++) whole[b * sample + i] = (float)(bytes[i] - q[b].zero);
    }
    t->x = whole;
    t->q = q;
}

// Where the copy with repeated channels begins: behind what `quantize` writes.
static size_t repeated_at(const er_op *op, const depthwise *d)
{
    return d->scale ? er_round_up(er_round_up((size_t)d->s.batch * sizeof(er_dynamic), ER_ALIGN) + op->inputs[0]->count * (sizeof(float) + 1), ER_ALIGN) : 0;
}

static void repeat_channels(const er_op *op, task_arg *t)
{
    const depthwise *d = t->d;
    float *to = (float *)(void *)(op->shared + repeated_at(op, d));
    const float *x = t->x;
    t->x = to;
    for (size_t i = 0; i < op->inputs[0]->count; i++)
        for (size_t m = 0; m < d->repeat; m++) *to++ = x[i];
}

static void run_depthwise(const er_op *op, er_pool *pool)
{
    const depthwise *d = op->state;
    task_arg t = {op, d, pool, er_f32(op->inputs[0]), NULL};
    if (d->scale) quantize(op, &t);
    if (d->repeat > 1) repeat_channels(op, &t);
    er_for(pool, (size_t)d->s.batch * (size_t)d->s.out_h, (double)op->macs * 4, run_row, &t);
}

static er_status plan_copies(er_prepare *p, er_op *op, const depthwise *d)
{
    size_t bytes;
    if (!er_mul_size(op->inputs[0]->count, d->repeat * sizeof(float), &bytes) || bytes > SIZE_MAX / 4) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is too large");
    op->shared_bytes = repeated_at(op, d) + (d->repeat > 1 ? bytes : 0);
    return ER_OK;
}

static er_status prepare_float(er_prepare *p, er_op *op, const er_depthwise_shape *s, const er_tensor *w, const er_tensor *bias)
{
    size_t span = ((size_t)er_max32(s->out_w, 1) - 1) * (size_t)s->o.stride_w + ((size_t)s->kw - 1) * (size_t)s->o.dilation_w + 1, pad_bytes;
    if (!er_mul_size(span, (size_t)s->out_c * sizeof(float), &pad_bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter is too large");
    er_status status;
    depthwise *d = op->state = er_alloc(p, sizeof *d, &status);
    ER_TRY(status);
    *d = (depthwise){.s = *s, .repeat = (size_t)s->multiplier, .kernels = p->kernels};
    d->s.in_c = s->out_c;
    d->s.multiplier = 1;
    d->pad_row = er_alloc(p, pad_bytes, &status);
    ER_TRY(status);
    float *zeros = er_alloc(p, (size_t)s->out_c * sizeof *zeros, &status);
    ER_TRY(status);
    ER_TRY(er_expect_bias(p, op->inputs[0], bias, (size_t)s->out_c));
    d->bias = bias ? bias->data : zeros;
    d->zeros = zeros;
    d->weights = w->data;
    // First column with no tap left of the image, and first after those with none right of it.
    int32_t extent = (s->kw - 1) * s->o.dilation_w + 1, last = s->in_w - extent + s->pad_left;
    d->inner_first = (s->pad_left + s->o.stride_w - 1) / s->o.stride_w;
    d->inner_end = last < 0 ? 0 : er_min32(last / s->o.stride_w + 1, s->out_w);
    op->scratch_bytes = (size_t)(s->kh * s->kw) * sizeof(float *);
    op->kernel = "float taps";
    op->run = run_depthwise;
    ER_TRY(plan_copies(p, op, d));
    ER_TRY(er_activation_floats(p, s->o.activation, &d->min, &d->max));
    d->low = d->min;
    d->high = d->max;
    return ER_OK;
}

static er_status prepare_hybrid(er_prepare *p, er_op *op, const er_depthwise_shape *s, const er_tensor *w, const er_tensor *bias, er_hybrid_scaling scaling)
{
    ER_TRY(prepare_float(p, op, s, w, bias));
    depthwise *d = op->state;
    er_status status;
    float *weights = er_alloc(p, w->count * sizeof *weights, &status);
    ER_TRY(status);
    for (size_t i = 0; i < w->count; i++) weights[i] = (float)((const int8_t *)w->data)[i];
    d->weights = weights;
    ER_TRY(er_hybrid_scales(p, w, (size_t)s->out_c, &d->scale));
    d->scaling = scaling;
    d->low = -INFINITY;
    d->high = INFINITY;
    op->kernel = "taps of a quantized input";
    return plan_copies(p, op, d);
}

// The output's shape, and all that the kernels need to know of shapes.
static er_status set_shape(er_prepare *p, er_op *op, er_conv_options o, er_pads pads, int32_t kh, int32_t kw, int32_t out_c, er_depthwise_shape *s)
{
    const er_tensor *x = op->inputs[0];
    er_window wy, wx;
    ER_TRY(er_place_window(p, o.padding, x->dims[1] + pads.height, kh, o.stride_h, o.dilation_h, &wy));
    ER_TRY(er_place_window(p, o.padding, x->dims[2] + pads.width, kw, o.stride_w, o.dilation_w, &wx));
    *s = (er_depthwise_shape){.batch = x->dims[0], .in_h = x->dims[1], .in_w = x->dims[2], .in_c = x->dims[3], .out_h = wy.out, .out_w = wx.out, .out_c = out_c,
                              .kh = kh, .kw = kw, .multiplier = out_c / x->dims[3], .o = o, .pad_top = wy.before + pads.top, .pad_left = wx.before + pads.left};
    return er_set_shape(p, op->outputs[0], (int32_t[]){x->dims[0], wy.out, wx.out, out_c}, 4);
}

// Weights of `rows` by `columns` as `columns` by `rows`: those of this operator, [1][kh][kw][out_c], as CONV_2D has them, [out_c][kh][kw][1], or those as these.
static er_status turn_weights(er_prepare *p, const er_tensor *w, size_t rows, size_t columns, er_tensor **turned)
{
    const size_t each = er_type_size(w->def->type);
    er_status status;
    er_tensor *t = *turned = er_alloc(p, sizeof *t, &status);
    ER_TRY(status);
    er_tensor_def *def = er_alloc(p, sizeof *def, &status);
    ER_TRY(status);
    uint8_t *data = er_alloc(p, w->bytes + 1, &status);
    ER_TRY(status);
    for (size_t c = 0; c < columns; c++)
        for (size_t r = 0; r < rows; r++) memcpy(data + (c * rows + r) * each, er_u8(w) + (r * columns + c) * each, each);
    *def = *w->def;
    *t = *w;
    t->def = def;
    t->data = data;
    t->dims[0] = w->dims[3];
    t->dims[3] = w->dims[0];
    if (def->quant.n > 1) def->quant.dimension = 3 - def->quant.dimension;
    return ER_OK;
}

// Shapes are set. w: [1][kh][kw][out_c].
static er_status prepare_kernel(er_prepare *p, er_op *op, const er_depthwise_shape *s, const er_tensor *w, er_hybrid_scaling scaling)
{
    const er_tensor *x = op->inputs[0], *bias = op->n_inputs > 2 ? op->inputs[2] : NULL;
    op->macs = (int64_t)op->outputs[0]->count * s->kh * s->kw;
    if (er_is_hybrid(op)) return prepare_hybrid(p, op, s, w, bias, scaling);
    return er_is_8bit(x) ? er_prepare_depthwise_8bit(p, op, s, w, bias) : prepare_float(p, op, s, w, bias);
}

bool er_is_depthwise(const er_op *op)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1];
    const int32_t in_c = x->dims[3], out_c = w->dims[0];
    if (w->dims[3] != 1 || in_c < 2 || out_c < 1 || out_c % in_c || !w->known || !w->data || (w->def->type != x->def->type && !er_is_hybrid(op))) return false;
    return (int64_t)w->dims[1] * w->dims[2] <= 512;     // of whole numbers, floats hold the sums of so many products
}

er_status er_prepare_conv_as_depthwise(er_prepare *p, er_op *op, er_conv_options o, er_pads pads)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1];
    const int32_t out_c = w->dims[0], kh = w->dims[1], kw = w->dims[2];
    er_tensor *turned;
    er_depthwise_shape s;
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    if (er_is_8bit(x)) ER_TRY(er_expect_weight_scales(p, w, (size_t)out_c, 0));
    if (er_is_hybrid(op)) ER_TRY(er_expect_hybrid_weights(p, w, out_c, 0));
    ER_TRY(set_shape(p, op, o, pads, kh, kw, out_c, &s));
    ER_TRY(turn_weights(p, w, (size_t)out_c, (size_t)kh * (size_t)kw, &turned));
    return prepare_kernel(p, op, &s, turned, er_conv_scaling(w));
}

er_status er_prepare_depthwise(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 3, 1));
    ER_TRY(er_unpack_input(p, op, 1));
    const er_tensor *x = op->inputs[0], *w = op->inputs[1];
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    ER_TRY(er_expect_rank(p, w, 4, "weights"));
    ER_TRY(er_expect_values(p, w, "weights"));
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    er_conv_options o = er_read_depthwise(op->def->options);
    if (er_is_16bit(x)) return er_prepare_conv16(p, op, &o, true);
    const er_pads pads = er_take_pad(op, &o);
    x = op->inputs[0];
    int32_t in_c = x->dims[3], out_c = w->dims[3], kh = w->dims[1], kw = w->dims[2];
    if (w->dims[0] != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have %d as first size, expected 1", w->dims[0]);
    // The depth multiplier follows from the shapes, whatever the attribute says.
    if (in_c < 1 || out_c < 1 || out_c % in_c)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %d channels and its weights %d: expected a multiple", in_c, out_c);
    size_t taps;
    if (!er_mul_size((size_t)kh, (size_t)kw, &taps) || taps > INT32_MAX / 65536)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter has more products than a 32-bit sum holds");
    if (!w->data && w->count) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have no data");
    er_depthwise_shape s;
    ER_TRY(set_shape(p, op, o, pads, kh, kw, out_c, &s));
    if (!er_is_hybrid(op) && in_c == 1 && out_c > 1 && (o.dilation_w == 1 || kw == 1)) {
        if (er_is_8bit(x)) ER_TRY(er_expect_weight_scales(p, w, (size_t)out_c, 3));
        er_tensor *turned;
        ER_TRY(turn_weights(p, w, taps, (size_t)out_c, &turned));
        return er_prepare_conv(p, op, o, pads, turned);
    }
    if (er_is_hybrid(op)) {
        ER_TRY(er_expect_hybrid_weights(p, w, out_c, 3));
        // The reference has none with one scale for several channels.
        if (w->def->quant.n != out_c) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have %d scales, expected %d", w->def->quant.n, out_c);
    }
    return prepare_kernel(p, op, &s, w, (er_hybrid_scaling){true, false});
}
