// AVERAGE_POOL_2D, MAX_POOL_2D: int8, uint8, int16, float32. L2_POOL_2D: float32. The taps inside the image of one output pixel go to the kernel.
#include "ops/op.h"

typedef struct {
    er_qpool *of_bytes;
    er_spool *of_floats;
    bool is_float, is_signed, average;
    int32_t in_h, in_w, channels, out_h, out_w;
    er_pool_options o;
    int32_t pad_top, pad_left;
    size_t element;
    er_output out;
    float min, max;
} pool;

typedef struct { const er_op *op; const pool *s; const er_pool *pool; } task_arg;

static void pool_int16(const pool *s, size_t taps, const int16_t *const *tap, int16_t *y)
{
    for (int32_t c = 0; c < s->channels; c++) {
        int64_t v = s->average ? 0 : INT16_MIN;
        for (size_t t = 0; t < taps; t++) v = s->average ? v + tap[t][c] : v < tap[t][c] ? tap[t][c] : v;
        if (s->average && taps) v = (v > 0 ? v + (int64_t)taps / 2 : v - (int64_t)taps / 2) / (int64_t)taps;
        y[c] = (int16_t)(v < s->out.min ? s->out.min : v > s->out.max ? s->out.max : v);
    }
}

static void run_row(void *arg, size_t i, int thread)
{
    const task_arg *t = arg;
    const pool *s = t->s;
    const uint8_t **tap = (const uint8_t **)(void *)(t->op->scratch + (size_t)thread * t->op->scratch_stride);
    size_t element = s->element, pixel = (size_t)s->channels * element;
    const uint8_t *image = er_u8(t->op->inputs[0]) + i / (size_t)s->out_h * (size_t)s->in_h * (size_t)s->in_w * pixel;
    uint8_t *y = er_u8(t->op->outputs[0]) + i * (size_t)s->out_w * pixel;
    int32_t y0 = (int32_t)(i % (size_t)s->out_h) * s->o.stride_h - s->pad_top;
    int32_t y_from = er_max32(y0, 0), y_to = er_min32(y0 + s->o.filter_h, s->in_h);
    er_watch watch = {t->pool, 0};
    for (int32_t ox = 0, pixels; ox < s->out_w; ox += pixels, y += (size_t)pixels * pixel) {
        int32_t x0 = ox * s->o.stride_w - s->pad_left;
        int32_t x_from = er_max32(x0, 0), x_to = er_min32(x0 + s->o.filter_w, s->in_w);
        size_t taps = 0;
        for (int32_t yy = y_from; yy < y_to; yy++)
            for (int32_t xx = x_from; xx < x_to; xx++) tap[taps++] = image + ((size_t)yy * (size_t)s->in_w + (size_t)xx) * pixel;
        const size_t most = er_longest_task(taps * (size_t)s->channels);    // a row of large windows may take minutes
        // Pixels that follow have the same taps further right, as long as their windows do not reach over an edge.
        const bool inside = x_from == x0 && x_to == x0 + s->o.filter_w;
        pixels = inside && element != 2 ? er_min32((s->in_w - x_to) / s->o.stride_w + 1, s->out_w - ox) : 1;
        if ((size_t)pixels > most) pixels = (int32_t)most;
        if (er_watch_ends(&watch, (size_t)pixels * taps * (size_t)s->channels)) return;
        const size_t n = (size_t)pixels, step = (size_t)s->o.stride_w * (size_t)s->channels, channels = (size_t)s->channels;
        if (s->is_float) s->of_floats(n, step, channels, taps, (const float *const *)(const void *)tap, s->min, s->max, (float *)(void *)y);
        else if (element == 2) pool_int16(s, taps, (const int16_t *const *)(const void *)tap, (int16_t *)(void *)y);
        else s->of_bytes(n, step, channels, taps, tap, s->is_signed, s->out.min, s->out.max, y);
    }
}

static void run_pool(const er_op *op, er_pool *threads)
{
    const pool *s = op->state;
    task_arg t = {op, s, threads};
    size_t rows = s->out_w && s->channels ? op->outputs[0]->count / ((size_t)s->out_w * (size_t)s->channels) : 0;
    er_for(threads, rows, (double)op->outputs[0]->count * s->o.filter_h * s->o.filter_w, run_row, &t);
}

static er_status prepare(er_prepare *p, er_op *op, bool average, bool squares)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    er_pool_options o = er_read_pool(op->def->options);
    er_status status;
    pool *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    er_window wy, wx;
    ER_TRY(er_place_window(p, o.padding, x->dims[1], o.filter_h, o.stride_h, 1, &wy));
    ER_TRY(er_place_window(p, o.padding, x->dims[2], o.filter_w, o.stride_w, 1, &wx));
    ER_TRY(er_set_shape(p, y, (int32_t[]){x->dims[0], wy.out, wx.out, x->dims[3]}, 4));
    const er_kernels *k = p->kernels;
    *s = (pool){.of_bytes = average ? k->qaverage_pool : k->qmax_pool, .of_floats = squares ? k->sl2_pool : average ? k->saverage_pool : k->smax_pool,
                .is_float = x->def->type == EDGERT_FLOAT32, .is_signed = er_stored_signed(x), .average = average, .in_h = x->dims[1],
                .in_w = x->dims[2], .channels = x->dims[3], .out_h = wy.out, .out_w = wx.out, .o = o, .pad_top = wy.before, .pad_left = wx.before, .element = er_type_size(x->def->type)};
    // A window may be larger than the image, but only what is inside counts.
    size_t taps = (size_t)er_min32(o.filter_h, er_max32(s->in_h, 1)) * (size_t)er_min32(o.filter_w, er_max32(s->in_w, 1));
    if (taps > (1 << 23)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its window has more values than a 32-bit sum holds");
    if (s->is_float) {
        ER_TRY(er_activation_floats(p, o.activation, &s->min, &s->max));
    } else {
        ER_TRY(er_activation_output(p, o.activation, y, &s->out));
    }
    op->scratch_bytes = taps * sizeof(uint8_t *);
    op->run = run_pool;
    return ER_OK;
}

er_status er_prepare_average_pool(er_prepare *p, er_op *op) { return prepare(p, op, true, false); }
er_status er_prepare_max_pool(er_prepare *p, er_op *op) { return prepare(p, op, false, false); }
er_status er_prepare_l2_pool_2d(er_prepare *p, er_op *op) { return prepare(p, op, true, true); }
