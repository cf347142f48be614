// TRANSPOSE_CONV as a matrix product: each input pixel by the weights of all taps, [pixels][in_c] x [in_c][kh * kw * out_c], whose rows are then added to
// the pixels of the output that the taps lie over.
//
// Input rows go down the image. Of the output, kh rows are open at a time, as sums; those above what the next input row reaches are finished.
//
// float32 by int8 ("hybrid"): each image is quantized when the operator runs, and the sums are scaled back (hybrid.c). Its zero point, times the sums of
// the taps' weights, is taken off each row of products.
#include "ops/transpose_conv.h"

#include <stdlib.h>
#include <string.h>

#include "ops/carve.h"
#include "ops/dynamic_range.h"
#include "ops/hybrid.h"
#include "ops/matmul.h"

typedef struct {
    er_transpose_shape s;
    er_matmul mm;               // n: kh * kw * out_c
    const er_kernels *kernels;
    bool is_float, hybrid;      // products of floats; of floats that are quantized
    size_t lanes;               // of a row of products
    size_t block;               // pixels that are multiplied at once
    size_t bands;               // of an image
    er_channel_multipliers channels;    // int8: of `together` pixels
    size_t together;
    er_output o;
    const int32_t *weight_sums; // hybrid: [lanes]
    const float *scale, *zeros; // hybrid: [out_c]; what the bias is where there is none
    float min, max;
} product;

typedef struct { uint8_t *rows, *products, *open; size_t *scratch; int32_t *offsets; } room;
// `x` is what is multiplied, with `q` of each image where it was quantized; `bias` is of floats.
typedef struct { const er_op *op; const product *d; const er_pool *pool; const uint8_t *x; const er_dynamic *q; const float *bias; } task_arg;

static size_t row_bytes(const product *d) { return er_matmul_run_bytes(&d->mm); }

static size_t lay_out(const product *d, uint8_t *base, room *m)
{
    er_carver c = {base, 0};
    m->rows = er_carve(&c, d->block * row_bytes(d) + ER_SLACK);
    m->products = er_carve(&c, d->block * d->lanes * sizeof(int32_t));
    m->open = er_carve(&c, (size_t)d->s.kh * (size_t)d->s.out_w * (size_t)d->s.out_c * sizeof(int32_t));
    m->scratch = er_carve(&c, er_matmul_scratch(&d->mm));
    m->offsets = er_carve(&c, d->hybrid ? d->lanes * sizeof(int32_t) : 0);
    return c.used;
}

static size_t open_row(const product *d, int64_t oy) { return (size_t)(oy % d->s.kh) * (size_t)d->s.out_w * (size_t)d->s.out_c * sizeof(int32_t); }

// The sums of an output row become outputs, and zeros.
static void finish_row(const task_arg *t, size_t image, uint8_t *sums, uint8_t *y)
{
    const product *d = t->d;
    const float *bias = t->bias;
    const size_t pixels = (size_t)d->s.out_w, n = (size_t)d->s.out_c;
    float *to = (float *)(void *)y;
    if (d->hybrid) {
        const int32_t *x = (const int32_t *)(const void *)sums;
        for (size_t i = 0; i < pixels; i++, x += n, to += n)
            d->kernels->scale_sums(n, x, x, 0, d->scale, t->q[image].scale, false, bias ? bias : d->zeros, d->min, d->max, to);
    } else if (d->is_float) {
        const float *x = (const float *)(const void *)sums;
        for (size_t i = 0; i < pixels; i++, x += n, to += n)
            for (size_t c = 0; c < n; c++) {
                const float v = x[c] + (bias ? bias[c] : 0);
                to[c] = v < d->min ? d->min : v > d->max ? d->max : v;
            }
    } else {
        // Several pixels at once, if their channels are few.
        const int32_t *x = (const int32_t *)(const void *)sums;
        const size_t whole = pixels / d->together * d->together;
        d->kernels->requantize_channels(pixels / d->together, n * d->together, x, &d->channels, &d->o, y);
        d->kernels->requantize_channels(pixels - whole, n, x + whole * n, &d->channels, &d->o, y + whole * n);
    }
    memset(sums, 0, pixels * n * sizeof(int32_t));
}

// Products of input pixel ix to the rows [first, end) of the output that are open, where row 0 of the filter lies over `top`.
static void scatter(const product *d, const uint8_t *products, int64_t ix, int64_t top, int32_t first, int32_t end, uint8_t *open)
{
    const er_transpose_shape *s = &d->s;
    const size_t n = (size_t)s->out_c, each = sizeof(int32_t);
    const int64_t left = ix * s->stride_w - s->pad_left;        // any stride is allowed, so that int32_t would not hold it
    const int64_t from = left < 0 ? -left : 0, to = s->kw < s->out_w - left ? s->kw : s->out_w - left;
    if (from >= to) return;
    for (int64_t ky = first > top ? first - top : 0; ky < s->kh && top + ky < end; ky++)
        (d->is_float ? d->kernels->add_to_floats : d->kernels->add_to_sums)((size_t)(to - from) * n, products + (size_t)(ky * s->kw + from) * n * each,
                                                                            open + open_row(d, top + ky) + (size_t)(left + from) * n * each);
}

static void run_band(void *arg, size_t task, int thread)
{
    const task_arg *t = arg;
    const product *d = t->d;
    const er_transpose_shape *s = &d->s;
    const size_t image = task / d->bands, each = d->is_float ? sizeof(float) : 1, out_each = d->is_float || d->hybrid ? sizeof(float) : 1;
    const int32_t first = (int32_t)er_part((size_t)s->out_h, task % d->bands, d->bands), end = (int32_t)er_part((size_t)s->out_h, task % d->bands + 1, d->bands);
    const size_t in_row = (size_t)s->in_w * (size_t)s->in_c * each, out_row = (size_t)s->out_w * (size_t)s->out_c * out_each;
    const uint8_t *x = t->x + image * (size_t)s->in_h * in_row;
    uint8_t *y = er_u8(t->op->outputs[0]) + image * (size_t)s->out_h * out_row;
    room m;
    lay_out(d, t->op->scratch + (size_t)thread * t->op->scratch_stride, &m);
    memset(m.rows, 0, d->block * row_bytes(d) + ER_SLACK);      // what products read beyond a row's end is zero
    memset(m.open, 0, (size_t)s->kh * (size_t)s->out_w * (size_t)s->out_c * sizeof(int32_t));
    for (size_t j = 0; d->hybrid && j < d->lanes; j++) m.offsets[j] = (int32_t)(0 - (uint32_t)t->q[image].zero * (uint32_t)d->weight_sums[j]);
    int32_t next = first;
    for (int64_t iy = er_max32(0, (first + s->pad_top - s->kh) / s->stride_h); iy < s->in_h; iy++) {
        const int64_t top = iy * s->stride_h - s->pad_top;
        if (top >= end) break;
        for (; next < top; next++) finish_row(t, image, m.open + open_row(d, next), y + (size_t)next * out_row);
        if (top + s->kh <= first) continue;
        for (size_t ix = 0, in_w = (size_t)s->in_w; ix < in_w; ix += d->block) {
            if (er_pool_stopped(t->pool)) return;
            const size_t pixels = in_w - ix < d->block ? in_w - ix : d->block;
            er_matmul_put_rows(&d->mm, m.rows, row_bytes(d), x + (size_t)iy * in_row + ix * (size_t)s->in_c * each, pixels);
            er_matmul_run_sums(&d->mm, m.rows, row_bytes(d), pixels, m.scratch, m.products);
            for (size_t i = 0; i < pixels; i++) {
                uint8_t *products = m.products + i * d->lanes * sizeof(int32_t);
                if (d->hybrid) d->kernels->add_to_sums(d->lanes, m.offsets, products);
                scatter(d, products, (int64_t)(ix + i), top, next, end, m.open);
            }
        }
    }
    for (; next < end; next++) finish_row(t, image, m.open + open_row(d, next), y + (size_t)next * out_row);
}

static size_t dynamics_bytes(const product *d) { return er_round_up((size_t)d->s.batch * sizeof(er_dynamic), ER_ALIGN); }

static void run_product(const er_op *op, er_pool *pool)
{
    const product *d = op->state;
    const er_tensor *x = op->inputs[2], *bias = op->n_inputs > 3 ? op->inputs[3] : NULL;
    task_arg t = {op, d, pool, er_u8(x), NULL, (d->is_float || d->hybrid) && bias ? er_f32(bias) : NULL};
    if (d->hybrid) {
        er_dynamic *q = (er_dynamic *)(void *)op->shared;
        uint8_t *quantized = op->shared + dynamics_bytes(d);
        const size_t images = (size_t)d->s.batch, image = x->count / images;
        for (size_t i = 0; i < images; i++) q[i] = er_quantize_floats(d->kernels, er_f32(x) + i * image, image, true, (int8_t *)quantized + i * image);
        t.q = q;
        t.x = quantized;
    }
    er_for(pool, (size_t)d->s.batch * d->bands, (double)op->macs, run_band, &t);
}

bool er_transpose_product_suits(const er_prepare *p, const er_op *op)
{
    const er_tensor *w = op->inputs[1], *x = op->inputs[2];
    if (!w->known || !w->data || !op->outputs[0]->count || !x->count) return false;
    if (x->def->type == EDGERT_FLOAT32) return w->def->type == EDGERT_INT8 || !p->kernels->exact;
    return x->def->type == EDGERT_INT8 && w->def->type == EDGERT_INT8;
}

// Weights [out_c][kh * kw][in_c] as [kh * kw][out_c][in_c].
static er_status turn_weights(er_prepare *p, const er_tensor *w, er_tensor *turned)
{
    const size_t out_c = (size_t)w->dims[0], in_c = (size_t)w->dims[3], taps = (size_t)w->dims[1] * (size_t)w->dims[2], bytes = in_c * er_type_size(w->def->type);
    er_status status;
    uint8_t *data = er_alloc(p, w->bytes + 1, &status);
    ER_TRY(status);
    for (size_t c = 0; c < out_c; c++)
        for (size_t t = 0; t < taps; t++) memcpy(data + (t * out_c + c) * bytes, er_u8(w) + (c * taps + t) * bytes, bytes);
    *turned = *w;
    turned->data = data;
    return ER_OK;
}

static er_status take_channels(er_prepare *p, const er_op *op, product *d)
{
    enum { ENOUGH = 128 };
    const size_t n = (size_t)d->s.out_c;
    d->together = n < ENOUGH ? ENOUGH / n : 1;
    const size_t all = n * d->together;
    er_channel *channels;
    er_status status;
    int32_t *m = er_alloc(p, 4 * all * sizeof *m, &status);
    ER_TRY(status);
    ER_TRY(er_channel_parameters(p, op->inputs[2], op->inputs[1], op->n_inputs > 3 ? op->inputs[3] : NULL, op->outputs[0], 0, n, false, &channels));
    for (size_t i = 0; i < all; i++) {
        const er_multiplier by = er_make_multiplier(channels[i % n].m);
        m[i] = channels[i % n].bias;
        m[all + i] = by.q;
        m[2 * all + i] = by.shift > 0 ? by.shift : 0;
        m[3 * all + i] = by.shift > 0 ? 0 : -by.shift;
    }
    free(channels);
    d->channels = (er_channel_multipliers){m, m + all, m + 2 * all, m + 3 * all};
    return ER_OK;
}

// What the sums of a quantized input are scaled by, and the sums of each tap's weights. The bias may come while the model runs.
static er_status take_scales(er_prepare *p, const er_op *op, product *d, const er_tensor *turned)
{
    const size_t n = (size_t)d->s.out_c, in_c = (size_t)d->s.in_c;
    er_status status;
    int32_t *sums = er_alloc(p, d->lanes * sizeof *sums, &status);
    ER_TRY(status);
    d->zeros = er_alloc(p, n * sizeof *d->zeros, &status);
    ER_TRY(status);
    for (size_t j = 0; j < d->mm.n; j++) sums[j] = (int32_t)er_sum_int8(er_i8(turned) + j * in_c, in_c);
    d->weight_sums = sums;
    return er_hybrid_scales(p, op->inputs[1], n, &d->scale);
}

er_status er_prepare_transpose_product(er_prepare *p, er_op *op, const er_transpose_shape *s, er_activation activation)
{
    const er_tensor *x = op->inputs[2];
    const size_t n = (size_t)s->kh * (size_t)s->kw * (size_t)s->out_c;
    er_status status;
    product *d = op->state = er_alloc(p, sizeof *d, &status);
    ER_TRY(status);
    *d = (product){.s = *s, .kernels = p->kernels, .is_float = op->inputs[1]->def->type == EDGERT_FLOAT32};
    d->hybrid = !d->is_float && x->def->type == EDGERT_FLOAT32;
    er_tensor turned;
    ER_TRY(turn_weights(p, op->inputs[1], &turned));
    if (d->is_float) {
        ER_TRY(er_activation_floats(p, activation, &d->min, &d->max));
        ER_TRY(er_matmul_prepare(p, &d->mm, x, &turned, NULL, op->outputs[0], 1, n, 1, (size_t)s->in_c, ER_ACT_NONE, false));
    } else if (d->hybrid) {
        ER_TRY(er_activation_floats(p, activation, &d->min, &d->max));
        ER_TRY(er_matmul_prepare_sums(p, &d->mm, &turned, NULL, 0, 1, n, (size_t)s->in_c));
    } else {
        ER_TRY(er_activation_output(p, activation, op->outputs[0], &d->o));
        ER_TRY(take_channels(p, op, d));
        ER_TRY(er_matmul_prepare_sums(p, &d->mm, &turned, NULL, er_zero(x), 1, n, (size_t)s->in_c));
    }
    d->lanes = er_matmul_lanes(&d->mm);
    if (d->hybrid) {
        ER_TRY(take_scales(p, op, d, &turned));
        op->shared_bytes = dynamics_bytes(d) + x->count;
    }
    d->block = 32;
    while (d->block > 8 && d->block * d->lanes * sizeof(int32_t) > 128 * 1024) d->block /= 2;
    d->bands = p->threads > 1 ? (size_t)er_min32(s->out_h, p->threads) : 1;
    size_t open;        // more than the bytes of a thread
    if (!er_mul_size((size_t)s->kh * (size_t)s->out_w, (size_t)s->out_c * sizeof(int32_t), &open) || open > SIZE_MAX / 4 || d->lanes > SIZE_MAX / 1024 || row_bytes(d) > SIZE_MAX / 1024)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter is too large");
    room unused;
    op->scratch_bytes = lay_out(d, NULL, &unused);
    op->kernel = "product, scattered";
    op->run = run_product;
    return ER_OK;
}
