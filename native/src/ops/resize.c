// RESIZE_BILINEAR (int8, int16, uint8, float32), RESIZE_NEAREST_NEIGHBOR (any type).
//
// Bilinear: int8 and int16 interpolate with 10-bit fractions, uint8 in float32, all as the reference.
#include <math.h>
#include <string.h>

#include "ops/op.h"

typedef struct {
    er_resize_options o;
    int32_t in_h, in_w, out_h, out_w;
    size_t channels, pixel;         // pixel: bytes
    int32_t *y_from, *x_from;       // nearest: input row and column of each output row and column
    er_resize_column *columns;      // bilinear: of each output column, in elements
    const er_kernels *kernels;
} resize;

static er_status prepare(er_prepare *p, er_op *op, er_resize_options o, resize **out)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    int32_t size[ER_MAX_RANK], n;
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    ER_TRY(er_read_ints(p, op->inputs[1], "size", size, &n));
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (n != 2 || size[0] < 1 || size[1] < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its size is not two positive numbers");
    if (x->dims[1] > 1 << 20 || x->dims[2] > 1 << 20 || size[0] > 1 << 20 || size[1] > 1 << 20)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it resizes from or to more than 2^20 rows or columns");
    if (x->count == 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is empty");
    ER_TRY(er_set_shape(p, y, (int32_t[]){x->dims[0], size[0], size[1], x->dims[3]}, 4));
    er_status status;
    resize *s = op->state = *out = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (resize){.o = o, .in_h = x->dims[1], .in_w = x->dims[2], .out_h = size[0], .out_w = size[1], .channels = (size_t)x->dims[3], .kernels = p->kernels,
                  .pixel = (size_t)x->dims[3] * er_type_size(x->def->type)};
    return ER_OK;
}

// ---- nearest neighbour

static int32_t nearest(int32_t at, int32_t in, int32_t out, er_resize_options o)
{
    float scale = o.align_corners && out > 1 ? (float)(in - 1) / (float)(out - 1) : (float)in / (float)out;
    float v = ((float)at + (o.half_pixel_centers ? 0.5f : 0.0f)) * scale;
    return er_clamp32((int32_t)(o.align_corners ? roundf(v) : floorf(v)), 0, in - 1);
}

static void run_nearest(const er_op *op, er_pool *pool)
{
    (void)pool;
    const resize *s = op->state;
    uint8_t *y = er_u8(op->outputs[0]);
    size_t image = (size_t)s->in_h * (size_t)s->in_w * s->pixel;
    for (int32_t b = 0; b < op->inputs[0]->dims[0]; b++) {
        for (int32_t oy = 0; oy < s->out_h; oy++) {
            const uint8_t *row = er_u8(op->inputs[0]) + (size_t)b * image + (size_t)s->y_from[oy] * (size_t)s->in_w * s->pixel;
            for (int32_t ox = 0; ox < s->out_w; ox++, y += s->pixel) memcpy(y, row + (size_t)s->x_from[ox] * s->pixel, s->pixel);
        }
    }
}

er_status er_prepare_resize_nearest(er_prepare *p, er_op *op)
{
    resize *s;
    ER_TRY(prepare(p, op, er_read_resize_nearest(op->def->options), &s));
    er_status status;
    s->y_from = er_alloc(p, (size_t)s->out_h * sizeof *s->y_from, &status);
    ER_TRY(status);
    s->x_from = er_alloc(p, (size_t)s->out_w * sizeof *s->x_from, &status);
    ER_TRY(status);
    for (int32_t i = 0; i < s->out_h; i++) s->y_from[i] = nearest(i, s->in_h, s->out_h, s->o);
    for (int32_t i = 0; i < s->out_w; i++) s->x_from[i] = nearest(i, s->in_w, s->out_w, s->o);
    op->run = run_nearest;
    return ER_OK;
}

// ---- bilinear

typedef struct { int32_t at, low, high; } fixed_point;      // position with 10 fractional bits, and its neighbours
typedef struct { float at; int32_t low, high; } real_point;

static fixed_point locate_fixed(int32_t i, int32_t in, int32_t out, er_resize_options o)
{
    int32_t scale = o.align_corners && out > 1 ? ((1 << 10) * (in - 1) + (out - 1) / 2) / (out - 1) : ((1 << 10) * in + out / 2) / out;
    int32_t at = (int32_t)((int64_t)i * scale + (o.half_pixel_centers ? scale / 2 - (1 << 9) : 0));
    // The rounded scale can lead past the end, where the reference reads what is not there: stay on the last pixel.
    at = er_min32(at, (1 << 10) * in - 1);
    return (fixed_point){at, er_max32(at / (1 << 10), 0), er_min32((at + (1 << 10) - 1) / (1 << 10), in - 1)};
}

static real_point locate_real(int32_t i, int32_t in, int32_t out, er_resize_options o)
{
    float scale = o.align_corners && out > 1 ? (float)(in - 1) / (float)(out - 1) : (float)in / (float)out;
    float at = o.half_pixel_centers ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale;
    return (real_point){at, er_clamp32((int32_t)floorf(at), 0, in - 1), er_clamp32((int32_t)ceilf(at), 0, in - 1)};
}

// The reference's order of operations, which rounding depends on.
static void float_row(const resize *s, const float *top, const float *bottom, float wy, float *y)
{
    for (int32_t ox = 0; ox < s->out_w; ox++, y += s->channels) {
        size_t l = s->columns[ox].low, h = s->columns[ox].high;
        float wx = s->columns[ox].real;
        for (size_t c = 0; c < s->channels; c++)
            y[c] = top[l + c] * (1 - wy) * (1 - wx) + bottom[l + c] * wy * (1 - wx) + top[h + c] * (1 - wy) * wx + bottom[h + c] * wy * wx;
    }
}

static void int16_row(const resize *s, const int16_t *top, const int16_t *bottom, int32_t wy, int16_t *y)
{
    for (int32_t ox = 0; ox < s->out_w; ox++, y += s->channels) {
        const size_t l = s->columns[ox].low, h = s->columns[ox].high;
        const int32_t wx = s->columns[ox].fixed;
        for (size_t c = 0; c < s->channels; c++) {
            const int64_t left = top[l + c] * ((1 << 10) - wy) + bottom[l + c] * wy, right = top[h + c] * ((1 << 10) - wy) + bottom[h + c] * wy;
            const int64_t sum = left * ((1 << 10) - wx) + right * wx;
            y[c] = (int16_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
        }
    }
}

static void run_bilinear_row(void *arg, size_t i, int thread)
{
    const er_op *op = arg;
    const resize *s = op->state;
    edgert_type type = op->inputs[0]->def->type;
    int32_t oy = (int32_t)(i % (size_t)s->out_h);
    const uint8_t *image = er_u8(op->inputs[0]) + i / (size_t)s->out_h * (size_t)s->in_h * (size_t)s->in_w * s->pixel;
    uint8_t *y = er_u8(op->outputs[0]) + i * (size_t)s->out_w * s->pixel;
    bool is_fixed = type == EDGERT_INT8 || type == EDGERT_INT16;
    fixed_point fy = locate_fixed(oy, s->in_h, s->out_h, s->o);
    real_point ry = locate_real(oy, s->in_h, s->out_h, s->o);
    size_t line = (size_t)s->in_w * s->pixel, n = (size_t)s->in_w * s->channels, columns = (size_t)s->out_w;
    const uint8_t *top = image + (size_t)(is_fixed ? fy.low : ry.low) * line, *bottom = image + (size_t)(is_fixed ? fy.high : ry.high) * line;
    float wy = ry.at - (float)ry.low;
    uint8_t *scratch = op->scratch + (size_t)thread * op->scratch_stride;
    if (type == EDGERT_INT16) {
        int16_row(s, (const int16_t *)(const void *)top, (const int16_t *)(const void *)bottom, fy.at - (1 << 10) * fy.low, (int16_t *)(void *)y);
    } else if (is_fixed) {
        int32_t *mixed = (int32_t *)(void *)scratch, w = fy.at - (1 << 10) * fy.low;
        for (size_t k = 0; k < n; k++) mixed[k] = (int8_t)top[k] * ((1 << 10) - w) + (int8_t)bottom[k] * w;
        s->kernels->resize_int8(columns, s->channels, mixed, s->columns, (int8_t *)y);
    } else if (type == EDGERT_UINT8) {
        float *above = (float *)(void *)scratch, *below = above + n;
        for (size_t k = 0; k < n; k++) {
            above[k] = (float)top[k] * (1 - wy);
            below[k] = (float)bottom[k] * wy;
        }
        s->kernels->resize_uint8(columns, s->channels, above, below, s->columns, y);
    } else {
        float_row(s, (const float *)(const void *)top, (const float *)(const void *)bottom, wy, (float *)(void *)y);
    }
}

static void run_bilinear(const er_op *op, er_pool *pool)
{
    const resize *s = op->state;
    er_for(pool, (size_t)op->inputs[0]->dims[0] * (size_t)s->out_h, (double)op->outputs[0]->count * 24, run_bilinear_row, (void *)(uintptr_t)op);
}

er_status er_prepare_resize_bilinear(er_prepare *p, er_op *op)
{
    resize *s;
    ER_TRY(prepare(p, op, er_read_resize_bilinear(op->def->options), &s));
    if (s->o.align_corners && s->o.half_pixel_centers) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has both align_corners and half_pixel_centers");
    op->run = run_bilinear;
    // The weighted lines above and below, read past by less than a vector.
    if (!er_mul_size((size_t)s->in_w, s->channels * 2 * sizeof(float), &op->scratch_bytes) || !er_add_size(op->scratch_bytes, ER_SLACK, &op->scratch_bytes))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is too large");
    er_status status;
    s->columns = er_alloc(p, (size_t)s->out_w * sizeof *s->columns, &status);
    for (int32_t i = 0; status == ER_OK && i < s->out_w; i++) {
        fixed_point f = locate_fixed(i, s->in_w, s->out_w, s->o);
        real_point r = locate_real(i, s->in_w, s->out_w, s->o);
        bool is_fixed = op->inputs[0]->def->type == EDGERT_INT8 || op->inputs[0]->def->type == EDGERT_INT16;
        s->columns[i] = (er_resize_column){(size_t)(is_fixed ? f.low : r.low) * s->channels, (size_t)(is_fixed ? f.high : r.high) * s->channels,
                                           r.at - (float)r.low, f.at - (1 << 10) * f.low};
    }
    return status;
}
