// DEPTHWISE_CONV_2D on 8 bits: int8 (per tensor or channel), uint8 (per tensor); any depth multiplier, dilated.
//
// The kernel computes a line of output from kh rows of input that have their padding at both sides, and of short lines a band of
// some. Such rows are read where they lie if there is no padding at the sides; else they are copied into a ring of rows, as
// the lines of output go down the image. On the way a depth multiplier repeats their channels, and bytes become what the kernel reads. Rows above and
// below the image are one row of zero points.
//
// Fused, the rows are computed into the ring by the convolution before, and a band of output goes to a small buffer, from which the
// pointwise convolution after it reads: what lies in between never leaves the cache.
#include <stdlib.h>
#include <string.h>

#include "kernels/pack.h"
#include "ops/conv_2d.h"
#include "ops/depthwise.h"
#include "ops/matmul.h"

// The task that a thread can go on with: its ring of rows is as the task before has left it.
struct progress { uint64_t run; size_t next; uint8_t own_line[48]; };

typedef struct {
    er_depthwise_shape s;
    const er_qdepthwise *kernel;
    const void *packed;
    er_output out;
    bool in_place, flip;                // rows are read where they lie; their top bit is to be inverted
    bool is_signed;                     // what the kernel reads
    uint8_t *zero_row;
    size_t band;                        // lines that are computed together
    size_t row_bytes, ring_rows;        // of a padded row; rows that the filter spans in a band
    // Few channels: `together` neighbouring pixels are taken for one with so many times the channels.
    size_t together;
    size_t line_tasks;                  // tasks of an image
    size_t longest;                     // pixels of a band that are computed at once, which are all but for huge filters
    uint64_t runs;
    struct progress *progress;          // [threads]
    const er_op *before, *after;        // fused, or NULL
} depthwise;

typedef struct { const er_op *op; const depthwise *d; const er_pool *pool; } task_arg;

// A row of the image to a slot of the ring, between its padding.
static void copy_row(const depthwise *d, const uint8_t *x, uint8_t *to)
{
    size_t in_c = (size_t)d->s.in_c, out_c = (size_t)d->s.out_c, m = (size_t)d->s.multiplier, pixels = (size_t)d->s.in_w;
    size_t left = (size_t)d->s.pad_left, span = d->row_bytes / out_c;
    if (left + pixels > span) pixels = span - left;      // VALID may leave columns at the right unread
    to += left * out_c;
    const uint8_t mask = d->flip ? 0x80 : 0;
    if (m == 1 && mask == 0) {
        memcpy(to, x, pixels * out_c);
    } else if (m == 1) {
        for (size_t i = 0; i < pixels * out_c; i++) to[i] = x[i] ^ mask;
    } else {
        for (size_t i = 0; i < pixels * in_c; i++) memset(to + i * m, x[i] ^ mask, m);
    }
}

static void run_band(const task_arg *t, const uint8_t **row, size_t lines, uint8_t *out)
{
    const depthwise *d = t->d;
    const size_t c = (size_t)d->s.out_c, n = (size_t)d->s.out_w, kh = (size_t)d->s.kh, step = (size_t)d->s.o.stride_w * c, wide = d->together * c;
    const er_taps taps = {row, lines, n * c, kh, (size_t)d->s.kw, d->together == 1 ? step : wide, (size_t)d->s.o.dilation_w * c, d->is_signed};
    for (size_t x = 0, at = 0, some; x < n; x += some) {
        some = n - x < d->longest ? n - x : d->longest;
        if (some < d->together) x = n - (some = d->together);       // the last pixels once more, with some before them
        some -= some % d->together;
        for (size_t i = 0; i < lines * kh && x > at; i++) row[i] += (x - at) * step;
        at = x;
        if (x && er_pool_stopped(t->pool)) return;
        d->kernel->run(some / d->together, wide, &taps, d->packed, &d->out, out + x * c, wide);
    }
}

// A thread's scratch: pointers to the rows of each line of a band, and before them to all of its rows; the ring and which row each of its slots has, the buffer of `after`, and what the
// convolutions need.
typedef struct { const uint8_t **rows, **row; uint8_t *ring; int32_t *held; uint8_t *buffer, *rest; } workspace;

static size_t band_rows(const depthwise *d) { return d->band > 1 ? (d->band - 1) * (size_t)d->s.o.stride_h + ((size_t)d->s.kh - 1) * (size_t)d->s.o.dilation_h + 1 : 0; }
static size_t pointer_bytes(const depthwise *d) { return er_round_up((band_rows(d) + d->band * (size_t)d->s.kh) * sizeof(uint8_t *), ER_ALIGN); }
static size_t ring_bytes(const depthwise *d) { return d->in_place ? 0 : er_round_up(d->ring_rows * d->row_bytes + ER_SLACK, ER_ALIGN); }
static size_t held_bytes(const depthwise *d) { return d->in_place ? 0 : er_round_up(d->ring_rows * sizeof(int32_t), ER_ALIGN); }
static size_t line_bytes(const depthwise *d) { return (size_t)d->s.out_w * (size_t)d->s.out_c; }
static size_t buffer_bytes(const depthwise *d) { return d->after ? er_round_up(d->band * line_bytes(d) + ER_SLACK, ER_ALIGN) : 0; }
static size_t workspace_bytes(const depthwise *d) { return pointer_bytes(d) + ring_bytes(d) + held_bytes(d) + buffer_bytes(d); }

static workspace workspace_at(const depthwise *d, uint8_t *scratch)
{
    uint8_t *ring = scratch + pointer_bytes(d), *held = ring + ring_bytes(d), *buffer = held + held_bytes(d);
    const uint8_t **rows = (const uint8_t **)(void *)scratch;
    return (workspace){rows, rows + band_rows(d), ring, (int32_t *)(void *)held, buffer, buffer + buffer_bytes(d)};
}

// Row y of image b as the kernel reads it.
static const uint8_t *row_at(const er_op *op, const workspace *w, size_t b, int32_t y)
{
    const depthwise *d = op->state;
    if (y < 0 || y >= d->s.in_h) return d->zero_row;
    size_t line = b * (size_t)d->s.in_h + (size_t)y, in_row = (size_t)d->s.in_w * (size_t)d->s.in_c;
    if (d->in_place) return er_u8(op->inputs[0]) + line * in_row;
    size_t slot = (size_t)y < d->ring_rows ? (size_t)y : (uint32_t)y % (uint32_t)d->ring_rows;
    uint8_t *row = w->ring + slot * d->row_bytes;
    if (w->held[slot] == y) return row;
    w->held[slot] = y;
    if (d->before) er_conv_line(d->before, line, row + (size_t)d->s.pad_left * (size_t)d->s.in_c, w->rest);
    else copy_row(d, er_u8(op->inputs[0]) + line * in_row, row);
    return row;
}

// The rows that `lines` lines from oy on read. Those of a band are mostly read by several lines, and are found once.
static void find_rows(const er_op *op, const workspace *w, size_t b, size_t oy, size_t lines)
{
    const er_depthwise_shape *s = &((const depthwise *)op->state)->s;
    size_t kh = (size_t)s->kh, stride = (size_t)s->o.stride_h, dilation = (size_t)s->o.dilation_h;
    int32_t y = (int32_t)oy * s->o.stride_h - s->pad_top;
    if (lines == 1) {
        for (size_t ky = 0; ky < kh; ky++) w->row[ky] = row_at(op, w, b, y + (int32_t)ky * s->o.dilation_h);
        return;
    }
    size_t n = (lines - 1) * stride + (kh - 1) * dilation + 1;
    for (size_t i = 0; i < n; i++) w->rows[i] = row_at(op, w, b, y + (int32_t)i);
    for (size_t line = 0; line < lines; line++)
        for (size_t ky = 0; ky < kh; ky++) w->row[line * kh + ky] = w->rows[line * stride + ky * dilation];
}

// How many of the lines that are left come next: bands are about even, and whole numbers of what the kernel takes together where they can be.
static size_t band_at(const depthwise *d, size_t left)
{
    size_t lines = er_round_up(er_part(left, 1, (left + d->band - 1) / d->band), (size_t)d->kernel->lines);
    return lines <= left && lines <= d->band ? lines : left < d->band ? left : d->band;
}

static void run_lines(void *arg, size_t i, int thread)
{
    const task_arg *t = arg;
    const depthwise *d = t->d;
    const er_depthwise_shape *s = &d->s;
    const workspace w = workspace_at(d, t->op->scratch + (size_t)thread * t->op->scratch_stride);
    const size_t b = i / d->line_tasks, part = i % d->line_tasks;
    const size_t first = er_part((size_t)s->out_h, part, d->line_tasks), end = er_part((size_t)s->out_h, part + 1, d->line_tasks);
    const er_tensor *y = d->after ? er_conv_output(d->after) : t->op->outputs[0];
    size_t out_line = y->count / ((size_t)s->batch * (size_t)s->out_h);
    uint8_t *out = er_u8(y) + (b * (size_t)s->out_h + first) * out_line;
    struct progress *progress = &d->progress[thread];
    const bool goes_on = part && progress->next == i && progress->run == d->runs;
    *progress = (struct progress){.run = d->runs, .next = i + 1};
    if (!d->in_place && !goes_on) {         // the padding of all slots, which what comes does not touch
        memset(w.ring, d->zero_row[0], d->ring_rows * d->row_bytes);
        for (size_t slot = 0; slot < d->ring_rows; slot++) w.held[slot] = -1;
    }
    for (size_t oy = first, lines; oy < end; oy += lines, out += lines * out_line) {
        lines = band_at(d, end - oy);
        find_rows(t->op, &w, b, oy, lines);
        run_band(t, w.row, lines, d->after ? w.buffer : out);
        if (d->after) er_conv_pixels(d->after, w.buffer, lines * (size_t)s->out_w, out, w.rest);
    }
}

static void run_depthwise(const er_op *op, er_pool *pool)
{
    depthwise *d = op->state;
    task_arg t = {op, d, pool};
    d->runs++;
    if (d->before) er_conv_begin(d->before, pool);
    er_for(pool, (size_t)d->s.batch * d->line_tasks, (double)op->macs * 4 + (d->before ? (double)d->before->macs : 0) + (d->after ? (double)d->after->macs : 0), run_lines, &t);
}

// Short lines are computed in bands of 64 pixels and more: a kernel has its costs, and a pointwise product of few rows would spend its
// time on loading weights.
static er_status plan_band(er_prepare *p, depthwise *d)
{
    const er_depthwise_shape *s = &d->s;
    size_t pixels = (size_t)er_max32(s->out_w, 1), span = ((size_t)s->kh - 1) * (size_t)s->o.dilation_h + 1, ring;
    size_t each = d->in_place ? sizeof(uint8_t *) : d->row_bytes;       // of a row that is at hand
    d->band = (64 + pixels - 1) / pixels;
    if (s->o.stride_h == 1) d->band = er_round_up(d->band, (size_t)d->kernel->lines);
    if (d->band > (size_t)s->out_h) d->band = (size_t)er_max32(s->out_h, 1);
    while (d->band > 1 && (d->band * line_bytes(d) > 64 * 1024 || ((d->band - 1) * (size_t)s->o.stride_h + span) * each > 48 * 1024)) d->band--;
    d->ring_rows = (d->band - 1) * (size_t)s->o.stride_h + span;
    if (d->ring_rows > (size_t)er_max32(s->in_h, 1)) d->ring_rows = (size_t)er_max32(s->in_h, 1);      // a slot for every row
    if (!er_mul_size(d->ring_rows, d->row_bytes, &ring) || ring > SIZE_MAX / 2) return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter is too large");
    return ER_OK;
}

// Some tasks for each thread, as many for one as for another, but of about a band at least.
static void plan_tasks(const er_prepare *p, depthwise *d)
{
    size_t h = (size_t)er_max32(d->s.out_h, 1), threads = (size_t)p->threads, each = (h / d->band + threads - 1) / threads;
    d->line_tasks = threads * (each > 4 ? 4 : each < 1 ? 1 : each);
    if (threads == 1) d->line_tasks = 1;
    const size_t taps = (size_t)d->s.kh * (size_t)d->s.kw, fused = (size_t)(d->before ? d->before->macs : 0) + (size_t)(d->after ? d->after->macs : 0);
    const size_t lines = er_longest_task(line_bytes(d) * taps + fused / (h * (size_t)er_max32(d->s.batch, 1))), least = (h + lines - 1) / lines;
    if (d->line_tasks < least) d->line_tasks = least;
    d->longest = er_longest_task(d->band * (size_t)d->s.out_c * taps);
    if (d->longest < d->together) d->longest = d->together;
    if (d->line_tasks > (size_t)d->s.out_h) d->line_tasks = (size_t)d->s.out_h;     // of nothing, none
}

// ---- fusion

bool er_depthwise_takes_before(const er_op *op, const er_op *before)
{
    const depthwise *d = op->state;
    // A ring of rows that is as large as a cache would do no good, nor computing rows again for a filter full of holes.
    return op->run == run_depthwise && !d->flip && d->s.multiplier == 1 && d->s.o.dilation_h == 1 && d->s.o.stride_h <= d->s.kh &&
           er_conv_has_lines(before) && er_conv_is_brief(before) && d->ring_rows * d->row_bytes <= 96 * 1024;
}

bool er_depthwise_takes_after(const er_op *op, const er_op *after)
{
    const depthwise *d = op->state;
    return op->run == run_depthwise && er_conv_is_pointwise(after) && er_conv_is_brief(after) && line_bytes(d) <= 64 * 1024;
}

er_status er_depthwise_fuse(er_prepare *p, er_op *op, const er_op *before, const er_op *after)
{
    depthwise *d = op->state;
    size_t pixels = (size_t)d->s.out_w, rest = 0;
    d->before = before;
    d->after = after;
    if (before) {       // which writes whole rows, also where VALID leaves columns at the right unread
        size_t whole = (size_t)(d->s.pad_left + d->s.in_w) * (size_t)d->s.in_c;
        d->in_place = false;
        if (d->row_bytes < whole) d->row_bytes = whole;
        ER_TRY(plan_band(p, d));
    }
    if (after) rest = er_conv_scratch(after, d->band * pixels);
    op->kernel = before && after ? "line by line: 3 operators" : "line by line: 2 operators";
    if (before && er_conv_scratch(before, (size_t)d->s.in_w) > rest) rest = er_conv_scratch(before, (size_t)d->s.in_w);
    op->scratch_bytes = workspace_bytes(d) + rest;
    plan_tasks(p, d);
    return ER_OK;
}

// ---- prepare

typedef struct { const depthwise *d; const er_depthwise_weights *w; } pack_arg;

static void pack_all(void *arg, void *packed)
{
    const pack_arg *a = arg;
    a->d->kernel->pack(a->w, packed);
}

static er_status pack_weights(er_prepare *p, const er_op *op, depthwise *d, const er_tensor *w_of, const er_tensor *bias, const er_depthwise_weights *w)
{
    // All that the packed bytes depend on.
    struct { er_pack_key of; float sx, sy; int32_t zero; bool is_signed; size_t together; } key;
    memset(&key, 0, sizeof key);
    key.of = er_pack_key_of(p, 'd', w_of->def, bias ? bias->def : NULL);
    key.sx = er_scale(op->inputs[0]);
    key.sy = er_scale(op->outputs[0]);
    key.zero = w->x_zero;
    key.is_signed = er_is_signed(op->inputs[0]);
    key.together = d->together;
    pack_arg arg = {d, w};
    er_status status;
    d->packed = er_pack_once(p, w_of, bias, &key, sizeof key, d->kernel->pack(w, NULL), pack_all, &arg, &status);
    return status;
}

// Weights, repeated for pixels that are taken together.
static er_status pack(er_prepare *p, const er_op *op, depthwise *d, const er_tensor *w, const er_tensor *bias)
{
    const er_tensor *x = op->inputs[0];
    size_t channels = (size_t)d->s.out_c, taps = (size_t)(d->s.kh * d->s.kw), n = d->together;
    er_channel *params;
    ER_TRY(er_channel_parameters(p, x, w, bias, op->outputs[0], 3, channels, false, &params));
    int32_t w_zero = er_is_signed(w) ? 0 : er_zero(w);
    er_set_reach(&d->out, channels, taps, channels, 1, w->data, !er_is_signed(w), w_zero, er_zero(x) - er_lowest(x), params);
    er_depthwise_weights weights = {channels * n, (size_t)d->s.kh, (size_t)d->s.kw, w->data, !er_is_signed(w), w_zero,
                                    er_stored_zero(x) + er_bytes_offset(d->kernel->bytes, er_stored_signed(x)), params, false};
    if (n == 1) {
        er_status status = pack_weights(p, op, d, w, bias, &weights);
        free(params);
        return status;
    }
    uint8_t *repeated = malloc(taps * channels * n);
    er_channel *all = malloc(channels * n * sizeof *all);
    er_status status = ER_OK;
    if (repeated && all) {
        for (size_t t = 0; t < taps * n; t++) memcpy(repeated + t * channels, er_u8(w) + t / n * channels, channels);
        for (size_t i = 0; i < n; i++) memcpy(all + i * channels, params, channels * sizeof *all);
        weights.w = repeated;
        weights.params = all;
        status = pack_weights(p, op, d, w, bias, &weights);
    } else {
        status = er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory");
    }
    free(repeated);
    free(all);
    free(params);
    return status;
}

er_status er_prepare_depthwise_8bit(er_prepare *p, er_op *op, const er_depthwise_shape *s, const er_tensor *w, const er_tensor *bias)
{
    const er_tensor *x = op->inputs[0];
    er_status status;
    depthwise *d = op->state = er_alloc(p, sizeof *d, &status);
    ER_TRY(status);
    *d = (depthwise){.s = *s, .kernel = &p->kernels->qdepthwise, .together = 1};
    ER_TRY(er_activation_output(p, s->o.activation, op->outputs[0], &d->out));
    d->flip = er_bytes_offset(d->kernel->bytes, er_stored_signed(x)) != 0;
    d->is_signed = er_stored_signed(x) != d->flip;
    size_t channels = (size_t)s->out_c, threads = (size_t)p->threads, row_bytes;
    size_t span = ((size_t)er_max32(s->out_w, 1) - 1) * (size_t)s->o.stride_w + ((size_t)s->kw - 1) * (size_t)s->o.dilation_w + 1;
    if (!er_mul_size(span, channels, &row_bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter is too large");
    d->row_bytes = row_bytes;
    d->in_place = s->pad_left == 0 && span <= (size_t)s->in_w && !d->flip && s->multiplier == 1 && !x->constant;
    if (s->o.stride_w == 1 && channels <= (size_t)d->kernel->wide / 2 && (size_t)s->out_w >= (size_t)d->kernel->wide / channels)
        d->together = (size_t)d->kernel->wide / channels;
    d->progress = er_alloc(p, threads * sizeof *d->progress, &status);
    ER_TRY(status);
    ER_TRY(pack(p, op, d, w, bias));
    d->zero_row = er_alloc(p, row_bytes + ER_SLACK, &status);
    ER_TRY(status);
    memset(d->zero_row, er_stored_zero(x) ^ (d->flip ? 0x80 : 0), row_bytes);
    ER_TRY(plan_band(p, d));
    op->scratch_bytes = workspace_bytes(d);
    plan_tasks(p, d);
    op->kernel = d->in_place ? "columns in place" : "columns on ring of rows";
    op->run = run_depthwise;
    return ER_OK;
}
