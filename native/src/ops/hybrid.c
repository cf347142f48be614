// "Hybrid" CONV_2D and FULLY_CONNECTED: float32 activations, int8 weights (dynamic-range models). DEPTHWISE_CONV_2D: depthwise_conv_2d.c.
//
// The input of each sample is quantized to int8 when the operator runs, the sums are integers, and each is scaled back to
// float32. Weights per tensor take a symmetric input, in [-127, 127]; weights per channel an asymmetric one, as the reference
// does (FULLY_CONNECTED: as its attribute says). Padding is real zero.
//
// A row of the product has all taps of an output pixel. Where pixels are apart from each other anyway, in 1x1 convolutions and fully
// connected layers, rows are made in place of the quantized input; else a block of them is copied together from it.
#include "ops/hybrid.h"

#include <string.h>

#include "ops/dynamic_range.h"
#include "ops/matmul.h"

typedef struct {
    er_matmul mm;
    er_hybrid_scaling scaling;
    bool direct;                    // a pixel of the input is a row
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kh, kw, group_c;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    const float *scale, *bias;      // [out_c]
    const int32_t *weight_sums;     // [out_c]
    float min, max;
    size_t sample;                  // values of one sample of the input
    size_t row_bytes, sum_stride;   // a row of A; int32s of a row of sums
    size_t block, blocks, n_split;  // rows that are computed together
} hybrid;

typedef struct { const er_op *op; const hybrid *h; const uint8_t *a; const er_dynamic *q; } task_arg;

// All taps of output pixel `at` in the channels of a group; `zero` is what the input's zero point is in A.
static void gather(const hybrid *h, const uint8_t *x, size_t at, size_t group, int32_t zero, uint8_t *a)
{
    const size_t in_c = (size_t)h->in_c, group_c = (size_t)h->group_c, element = h->mm.element, pixels = (size_t)h->out_w * (size_t)h->out_h;
    const int32_t x0 = (int32_t)(at % (size_t)h->out_w) * h->stride_w - h->pad_left, y0 = (int32_t)(at % pixels / (size_t)h->out_w) * h->stride_h - h->pad_top;
    const uint8_t *image = x + (at / pixels * h->sample + group * group_c) * element;
    const bool inside = group_c == in_c && h->dilation_w == 1 && x0 >= 0 && x0 + h->kw <= h->in_w;
    for (int32_t ky = 0; ky < h->kh; ky++) {
        const int32_t y = y0 + ky * h->dilation_h;
        const uint8_t *line = image + (size_t)(y < 0 ? 0 : y) * (size_t)h->in_w * in_c * element;
        const size_t run = (size_t)h->kw * group_c;
        if (y < 0 || y >= h->in_h) {
            er_matmul_fill_with(&h->mm, a, zero, run);
        } else if (inside) {
            memcpy(a, line + (size_t)x0 * in_c * element, run * element);
        } else {
            for (int32_t kx = 0; kx < h->kw; kx++) {
                const int32_t at_x = x0 + kx * h->dilation_w;
                uint8_t *to = a + (size_t)kx * group_c * element;
                if (at_x < 0 || at_x >= h->in_w) er_matmul_fill_with(&h->mm, to, zero, group_c);
                else memcpy(to, line + (size_t)at_x * in_c * element, group_c * element);
            }
        }
        a += run * element;
    }
    memset(a, 0, h->row_bytes - h->mm.length * element);
}

static void run_block(void *arg, size_t i, int thread)
{
    const task_arg *t = arg;
    const hybrid *h = t->h;
    const er_matmul *mm = &h->mm;
    const size_t rows = (size_t)h->batch * (size_t)h->out_h * (size_t)h->out_w, out_c = (size_t)h->out_c, per_sample = (size_t)h->out_h * (size_t)h->out_w;
    const size_t first = i / h->n_split * h->block, m = rows - first < h->block ? rows - first : h->block;
    size_t n0, n1;
    er_matmul_part(mm, i % h->n_split, h->n_split, &n0, &n1);
    if (n0 >= n1) return;
    uint8_t *scratch = t->op->scratch + (size_t)thread * t->op->scratch_stride, *sums = scratch + er_round_up(er_matmul_scratch(mm), ER_ALIGN);
    uint8_t *a = sums + er_round_up(h->block * h->sum_stride * sizeof(int32_t), ER_ALIGN);
    const int32_t offset = er_qgemm_offset(mm->gemm, true);
    const er_rows product = {.a = h->direct ? t->a + first * h->row_bytes : a, .lines = 1, .m = m, .row_stride = h->row_bytes, .segments = 1};
    for (size_t g = 0; g < mm->groups; g++) {
        for (size_t r = 0; r < m && !h->direct; r++) gather(h, t->a, first + r, g, t->q[(first + r) / per_sample].zero + offset, a + r * h->row_bytes);
        er_matmul_run(mm, g, &product, (size_t *)(void *)scratch, n0, n1, sums, h->sum_stride * sizeof(int32_t));
        const size_t c = g * mm->n + n0;
        for (size_t r = 0; r < m; r++) {
            const er_dynamic *q = &t->q[(first + r) / per_sample];
            mm->kernels->scale_sums(n1 - n0, (const int32_t *)(void *)sums + r * h->sum_stride + n0, h->weight_sums + c, q->zero, h->scale + c, q->scale, h->scaling.apart, h->bias + c, h->min, h->max,
                                    er_f32(t->op->outputs[0]) + (first + r) * out_c + c);
        }
    }
}

static void run_hybrid(const er_op *op, er_pool *pool)
{
    const hybrid *h = op->state;
    const float *x = er_f32(op->inputs[0]);
    er_dynamic *q = (er_dynamic *)(void *)op->shared;
    int8_t *quantized = (int8_t *)op->shared + er_round_up((size_t)h->batch * sizeof *q, ER_ALIGN);
    uint8_t *a = (uint8_t *)quantized + er_round_up(h->sample, ER_ALIGN);
    const size_t run = h->direct ? h->mm.length : h->sample, run_bytes = h->direct ? h->row_bytes : run * h->mm.element;
    for (size_t b = 0; b < (size_t)h->batch; b++) {
        q[b] = er_quantize_floats(h->mm.kernels, x + b * h->sample, h->sample, h->scaling.asymmetric, quantized);
        for (size_t at = 0; at < h->sample; at += run) {
            uint8_t *to = a + (b * h->sample + at) / run * run_bytes;
            er_matmul_convert(&h->mm, to, quantized + at, run);
            memset(to + run * h->mm.element, 0, run_bytes - run * h->mm.element);
        }
    }
    task_arg t = {op, h, a, q};
    er_for(pool, h->blocks * h->n_split, (double)op->macs, run_block, &t);
}

static er_status plan(er_prepare *p, er_op *op, hybrid *h)
{
    const size_t rows = (size_t)h->batch * (size_t)h->out_h * (size_t)h->out_w, threads = (size_t)p->threads;
    h->row_bytes = er_matmul_run_bytes(&h->mm);
    h->sum_stride = er_round_up(h->mm.n, h->mm.nr);
    const size_t most = er_longest_task(h->mm.segments * h->mm.length * h->mm.n);
    h->block = most < 56 ? most : 56;
    while (h->block > 8 && h->block * (h->row_bytes + h->sum_stride * sizeof(int32_t)) > 128 * 1024) h->block -= 8;
    h->blocks = (rows + h->block - 1) / h->block;
    h->n_split = h->blocks < threads ? threads : 1;
    size_t row_bytes, block_bytes;
    if (!er_mul_size(h->direct ? rows * h->row_bytes : op->inputs[0]->count, h->direct ? 1 : h->mm.element, &row_bytes) ||
        !er_mul_size(h->block, h->row_bytes + h->sum_stride * sizeof(int32_t), &block_bytes))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter is too large");
    op->shared_bytes = er_round_up((size_t)h->batch * sizeof(er_dynamic), ER_ALIGN) + er_round_up(h->sample, ER_ALIGN) + row_bytes + ER_SLACK;
    op->scratch_bytes = er_round_up(er_matmul_scratch(&h->mm), ER_ALIGN) + block_bytes + ER_ALIGN + ER_SLACK;
    return ER_OK;
}

// Sums, scales and biases of all channels.
static er_status take_channels(er_prepare *p, hybrid *h, const er_tensor *w, const er_tensor *bias)
{
    const size_t n = (size_t)h->out_c;
    er_status status;
    int32_t *sums = er_alloc(p, n * sizeof *sums + 1, &status);
    ER_TRY(status);
    ER_TRY(er_hybrid_scales(p, w, n, &h->scale));
    float *zeros = NULL;
    if (!bias) zeros = er_alloc(p, n * sizeof *zeros + 1, &status);
    ER_TRY(status);
    for (size_t j = 0; j < n; j++) sums[j] = (int32_t)er_sum_int8(er_i8(w) + j * h->mm.length, h->mm.length);
    h->weight_sums = sums;
    h->bias = bias ? bias->data : zeros;
    return ER_OK;
}

// What the two have in common, once the geometry in `h` is set and y has its shape.
static er_status finish(er_prepare *p, er_op *op, hybrid h, er_activation activation, size_t products)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1], *bias = op->n_inputs > 2 ? op->inputs[2] : NULL;
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    ER_TRY(er_expect_bias(p, x, bias, (size_t)h.out_c));
    ER_TRY(er_expect_hybrid_weights(p, w, h.out_c, 0));
    if (products > INT32_MAX / 65536 * 256) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has more products than a 32-bit sum holds");
    h.sample = h.batch ? x->count / (size_t)h.batch : 0;
    ER_TRY(er_activation_floats(p, activation, &h.min, &h.max));
    const size_t groups = (size_t)(h.in_c / h.group_c);
    ER_TRY(er_matmul_prepare_sums(p, &h.mm, w, NULL, 0, groups, (size_t)h.out_c / groups, products));
    ER_TRY(take_channels(p, &h, w, bias));
    ER_TRY(plan(p, op, &h));
    er_status status;
    hybrid *state = op->state = er_alloc(p, sizeof *state, &status);
    ER_TRY(status);
    *state = h;
    op->macs = (int64_t)op->outputs[0]->count * (int64_t)products;
    op->kernel = "product of a quantized input";
    op->run = run_hybrid;
    return ER_OK;
}

er_status er_expect_hybrid_weights(er_prepare *p, const er_tensor *w, int32_t channels, int32_t dimension)
{
    ER_TRY(er_expect_values(p, w, "weights"));
    if (!w->data && w->count > 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have no data");
    return er_expect_weight_scales(p, w, (size_t)channels, dimension);
}

er_status er_hybrid_scales(er_prepare *p, const er_tensor *w, size_t channels, const float **scales)
{
    const er_quantization *q = &w->def->quant;
    er_status status;
    float *all = er_alloc(p, channels * sizeof *all + 1, &status);
    ER_TRY(status);
    for (size_t j = 0; j < channels; j++) all[j] = q->scale[q->n == 1 ? 0 : j];
    *scales = all;
    return ER_OK;
}

// One scale for all channels is per tensor for the reference, however often the file says it.
er_hybrid_scaling er_conv_scaling(const er_tensor *w)
{
    const er_quantization *q = &w->def->quant;
    for (int32_t i = 1; i < q->n; i++)
        if (q->scale[i] != q->scale[0]) return (er_hybrid_scaling){true, true};
    return (er_hybrid_scaling){false, false};
}

er_status er_prepare_hybrid_conv(er_prepare *p, er_op *op, const er_conv_options *o)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1];
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    ER_TRY(er_expect_rank(p, w, 4, "weights"));
    int32_t in_c = x->dims[3], out_c = w->dims[0], kh = w->dims[1], kw = w->dims[2], group_c = w->dims[3];
    if (in_c < 1 || out_c < 1 || group_c < 1 || in_c % group_c || out_c % (in_c / group_c)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %d channels, which its weights do not fit", in_c);
    er_window wy, wx;
    ER_TRY(er_place_window(p, o->padding, x->dims[1], kh, o->stride_h, o->dilation_h, &wy));
    ER_TRY(er_place_window(p, o->padding, x->dims[2], kw, o->stride_w, o->dilation_w, &wx));
    ER_TRY(er_set_shape(p, op->outputs[0], (int32_t[]){x->dims[0], wy.out, wx.out, out_c}, 4));
    const er_hybrid_scaling scaling = er_conv_scaling(w);
    hybrid h = {.scaling = scaling, .direct = kh == 1 && kw == 1 && o->stride_h == 1 && o->stride_w == 1 && group_c == in_c, .batch = x->dims[0],
                .in_h = x->dims[1], .in_w = x->dims[2], .in_c = in_c, .out_h = wy.out, .out_w = wx.out, .out_c = out_c, .kh = kh, .kw = kw, .group_c = group_c, .stride_h = o->stride_h,
                .stride_w = o->stride_w, .dilation_h = o->dilation_h, .dilation_w = o->dilation_w, .pad_top = wy.before, .pad_left = wx.before};
    return finish(p, op, h, o->activation, w->count / (size_t)out_c);
}

er_status er_prepare_hybrid_fully_connected(er_prepare *p, er_op *op, bool asymmetric, er_activation activation)
{
    const er_tensor *w = op->inputs[1];
    size_t k = (size_t)w->dims[1], rows = op->inputs[0]->count / k;
    // A row is a sample with one pixel of k channels.
    hybrid h = {.scaling = {asymmetric, false}, .direct = true, .batch = (int32_t)rows, .in_h = 1, .in_w = 1, .in_c = (int32_t)k, .out_h = 1, .out_w = 1,
                .out_c = w->dims[0], .kh = 1, .kw = 1, .group_c = (int32_t)k, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
    return finish(p, op, h, activation, k);
}
