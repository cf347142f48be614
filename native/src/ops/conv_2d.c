// CONV_2D. int8 (per tensor or channel), uint8 (per tensor), float32; grouped and dilated.
//
// A matrix product: a row of A is what the filter sees at one output pixel, kh runs of kw * channels neighbouring
// elements. Three ways to have such rows:
//   direct   the input as it lies: no padding, and the kernel takes the elements raw
//   image    the input copied once, converted, with its padding around it; rows are read in place from the copy, where each group of channels
//            has an image of its own
//   gather   rows copied one by one for a block of pixels: dilated columns, unless the filter has but one row, whose taps are runs then
// A 1x1 filter with stride 1 sees all pixels of all images as one long row of output. Where each channel is a group of its own, it is a
// matter for DEPTHWISE_CONV_2D.
#include <string.h>

#include "ops/add.h"
#include "ops/conv_2d.h"
#include "ops/depthwise.h"
#include "ops/hybrid.h"
#include "ops/products16.h"
#include "ops/weights.h"
#include "ops/matmul.h"

typedef enum { DIRECT, IMAGE, GATHER } way;

enum {
    COPIED_ROWS = 16,           // of a padded image, by one task
    LEAST_TAP = 8,              // channels for which a tap is worth a run of its own
};

typedef struct {
    er_matmul mm;
    way way;
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kh, kw;
    er_conv_options o;
    int32_t pad_top, pad_left;
    size_t pixel;               // elements of a pixel of A: the channels of a group
    bool by_tap;                // runs are single taps of a filter of one row
    size_t element;             // bytes of an element of x
    bool is_pointwise;          // 1x1, stride 1, one group: taken as one long line
    size_t whole, whole_end;    // lines of output from `whole` on take all filter rows; of others those that see only padding, of 0, are left out
    size_t image_h, image_row;  // IMAGE: rows of a padded image of one group, and elements of each
    // A task is some output rows, so that there are line_tasks an image; or a block of one row, of which there are
    // `blocks`; with GATHER a block of all output pixels. With n_split each is cut by output channels as well.
    size_t line_tasks, block, blocks, n_split, tasks;
    const er_op *sum;           // fused, or NULL
} conv;

typedef struct { const er_op *op; const conv *c; } task_arg;

const er_tensor *er_conv_output(const er_op *op)
{
    const conv *c = op->state;
    return c->sum ? c->sum->outputs[0] : op->outputs[0];
}

// Some outputs are there, from `out` on.
static void finish(const er_op *op, const uint8_t *out, size_t elements)
{
    const conv *c = op->state;
    if (c->sum) er_add_elements(c->sum, op->outputs[0], (size_t)(out - er_u8(c->sum->outputs[0])), elements);
}

// ---- IMAGE: the padded copy

// Some rows of a padded image. The padding right of a row and left of the next is one run of memory.
static void copy_rows(void *arg, size_t i, int thread)
{
    (void)thread;
    const task_arg *t = arg;
    const conv *c = t->c;
    const er_matmul *mm = &c->mm;
    size_t rows = (size_t)c->batch * c->image_h, first = i * COPIED_ROWS, end = first + COPIED_ROWS < rows ? first + COPIED_ROWS : rows;
    size_t left = (size_t)c->pad_left * (size_t)c->in_c, n = (size_t)c->in_w * (size_t)c->in_c, row_bytes = c->image_row * mm->element;
    size_t used = n < c->image_row - left ? n : c->image_row - left;    // VALID may leave columns at the right unread
    size_t b = first / c->image_h;
    int64_t y = (int64_t)(first % c->image_h) - c->pad_top, below = (int64_t)c->image_h - c->pad_top;
    uint8_t *row = t->op->shared + first * row_bytes, *padded = row;     // up to `padded` all is written
    for (size_t r = first; r < end; r++, row += row_bytes, y++) {
        if (y == below) {
            b++;
            y = -c->pad_top;
        }
        if (y < 0 || y >= c->in_h) continue;                                                    // padding up to the next row
        if (c->kh == 1 && (size_t)(y + c->pad_top) % (size_t)c->o.stride_h) continue;           // no tap reads this row
        uint8_t *to = row + left * mm->element;
        er_matmul_fill(mm, padded, (size_t)(to - padded) / mm->element);
        er_matmul_convert(mm, to, er_u8(t->op->inputs[0]) + (b * (size_t)c->in_h + (size_t)y) * n * c->element, used);
        padded = to + used * mm->element;
    }
    er_matmul_fill(mm, padded, (size_t)(row - padded) / mm->element);
}

// `pixels` pieces of `bytes`, which are `apart` from each other, next to each other. Copies of a constant size write beyond a piece, as long as
// more come that are written later, and read no further than those.
static void put_together(uint8_t *to, const uint8_t *from, size_t pixels, size_t bytes, size_t apart)
{
    size_t i = 0;
#define PIECES(n) if (bytes <= (n) && bytes * 2 > (n)) for (; i + (n) / bytes + 1 < pixels; i++) memcpy(to + i * bytes, from + i * apart, n);
    PIECES(4) PIECES(8) PIECES(16) PIECES(32) PIECES(64)
#undef PIECES
    for (; i < pixels; i++) memcpy(to + i * bytes, from + i * apart, bytes);
}

// A row of the input, as far as it is used, as the row of a group's image.
static void put_group(const conv *c, uint8_t *to, const uint8_t *from, size_t pixels)
{
    const er_matmul *mm = &c->mm;
    const size_t apart = (size_t)c->in_c * c->element;
    if (mm->element == c->element) {
        put_together(to, from, pixels, c->pixel * c->element, apart);
        if (!er_matmul_takes_raw(mm)) er_matmul_convert(mm, to, to, pixels * c->pixel);
    } else {
        for (size_t i = 0; i < pixels; i++) er_matmul_convert(mm, to + i * c->pixel * mm->element, from + i * apart, c->pixel);
    }
}

// The same for the images of all groups.
static void copy_rows_of_groups(void *arg, size_t i, int thread)
{
    (void)thread;
    const task_arg *t = arg;
    const conv *c = t->c;
    const er_matmul *mm = &c->mm;
    const size_t rows = (size_t)c->batch * c->image_h, first = i * COPIED_ROWS, end = first + COPIED_ROWS < rows ? first + COPIED_ROWS : rows;
    const size_t left = (size_t)c->pad_left * c->pixel, room = c->image_row - left, n = (size_t)c->in_w * c->pixel, used = n < room ? n : room;
    for (size_t r = first; r < end; r++) {
        const size_t b = r / c->image_h;
        const int64_t y = (int64_t)(r % c->image_h) - c->pad_top;
        const bool inside = y >= 0 && y < c->in_h;
        const uint8_t *x = er_u8(t->op->inputs[0]) + (b * (size_t)c->in_h + (size_t)(inside ? y : 0)) * (size_t)c->in_w * (size_t)c->in_c * c->element;
        for (size_t g = 0; g < mm->groups; g++) {
            uint8_t *row = t->op->shared + ((b * mm->groups + g) * c->image_h + r % c->image_h) * c->image_row * mm->element;
            if (!inside) {
                er_matmul_fill(mm, row, c->image_row);
                continue;
            }
            er_matmul_fill(mm, row, left);
            put_group(c, row + left * mm->element, x + g * c->pixel * c->element, used / c->pixel);
            er_matmul_fill(mm, row + (left + used) * mm->element, room - used);
        }
    }
}

// ---- DIRECT and IMAGE: some output rows of an image, or a part of one

// The filter rows that see more than padding in line oy of the output; all of them if none does.
typedef struct { size_t first, end; } taps;

static taps taps_of(const conv *c, size_t oy)
{
    const int64_t y = (int64_t)oy * c->o.stride_h - c->pad_top, dilation = c->o.dilation_h, below = c->in_h - y;
    const int64_t first = y < 0 ? (dilation - 1 - y) / dilation : 0, end = below > 0 ? (below + dilation - 1) / dilation : 0;
    const taps t = {(size_t)first, end < c->kh ? (size_t)end : (size_t)c->kh};
    return t.first < t.end ? t : (taps){0, (size_t)c->kh};
}

static bool is_whole(const conv *c, size_t oy) { return oy >= c->whole && oy < c->whole_end; }

static bool sees_padding(const conv *c, size_t oy)
{
    const taps t = taps_of(c, oy);
    return t.first > 0 || t.end < (size_t)c->kh;
}

// Of some lines from oy on, how many can be computed by one product.
static size_t lines_alike(const conv *c, size_t oy, size_t lines)
{
    if (!is_whole(c, oy)) return 1;
    return lines < c->whole_end - oy ? lines : c->whole_end - oy;
}

// A's rows of a group for m outputs from `first` on, in each of some lines from oy on, which are alike.
static er_rows rows_at(const er_op *op, size_t image, size_t group, size_t oy, size_t lines, size_t first, size_t m)
{
    const conv *c = op->state;
    const taps t = is_whole(c, oy) ? (taps){0, (size_t)c->kh} : taps_of(c, oy);
    size_t line = c->way == DIRECT ? (size_t)c->in_w * (size_t)c->in_c : c->image_row, height = c->way == DIRECT ? (size_t)c->in_h : c->image_h;
    size_t from = ((image * c->mm.groups + group) * height + oy * (size_t)c->o.stride_h) * line + first * (size_t)c->o.stride_w * c->pixel, element = c->mm.element;
    const size_t segment_stride = (c->by_tap ? (size_t)c->o.dilation_w * c->pixel : (size_t)c->o.dilation_h * line) * element;
    const uint8_t *a = c->way == DIRECT ? er_u8(op->inputs[0]) : op->shared;
    return (er_rows){.a = a + from * element + t.first * segment_stride, .lines = lines, .line_stride = (size_t)c->o.stride_h * line * element, .m = m,
                     .row_stride = (size_t)c->o.stride_w * c->pixel * element, .segments = c->by_tap ? c->mm.segments : t.end - t.first, .segment_stride = segment_stride,
                     .before = t.first, .after = (size_t)c->kh - t.end};
}

static void run_lines(void *arg, size_t i, int thread)
{
    const task_arg *t = arg;
    const conv *c = t->c;
    const er_matmul *mm = &c->mm;
    size_t n0 = 0, n1 = mm->n, block = 0, task = i;
    if (c->n_split > 1) {
        er_matmul_part(mm, task % c->n_split, c->n_split, &n0, &n1);
        task /= c->n_split;
        if (n0 >= n1) return;
    }
    if (c->blocks > 1) {
        block = task % c->blocks;
        task /= c->blocks;
    }
    size_t out_w = (size_t)c->out_w, out_h = (size_t)c->out_h, first = block * c->block, m = out_w - first < c->block ? out_w - first : c->block;
    if (first >= out_w) return;
    size_t image = task / c->line_tasks, part = task % c->line_tasks, oy = er_part(out_h, part, c->line_tasks);
    size_t lines = er_part(out_h, part + 1, c->line_tasks) - oy;
    size_t *scratch = (size_t *)(void *)(t->op->scratch + (size_t)thread * t->op->scratch_stride), out_line = out_w * (size_t)c->out_c * c->element;
    uint8_t *y = er_u8(er_conv_output(t->op)) + (image * out_h + oy) * out_line + first * (size_t)c->out_c * c->element;
    for (size_t g = 0; g < mm->groups; g++) {
        for (size_t done = 0, some; done < lines; done += some) {
            some = lines_alike(c, oy + done, lines - done);
            const er_rows rows = rows_at(t->op, image, g, oy + done, some, first, m);
            er_matmul_run(mm, g, &rows, scratch, n0, n1, y + done * out_line + g * mm->n * c->element, (size_t)c->out_c);
        }
    }
    finish(t->op, y, lines * m * (size_t)c->out_c);
}

// ---- GATHER: a block of output pixels

static void copy_pixel(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes % 16) {
        memcpy(to, from, bytes);
        return;
    }
    for (; bytes; bytes -= 16, to += 16, from += 16) memcpy(to, from, 16);
}

// Runs of bytes are gathered as the input has them, and converted together.
static void gather(const conv *c, const uint8_t *x, uint8_t pad, size_t at, size_t group, uint8_t *a)
{
    const er_matmul *mm = &c->mm;
    const bool raw = mm->element == c->element;
    const size_t in_c = (size_t)c->in_c, group_c = c->pixel, each = group_c * mm->element, run_bytes = er_matmul_run_bytes(mm), taps = mm->length / group_c;
    const int32_t ox = (int32_t)(at % (size_t)c->out_w), oy = (int32_t)(at / (size_t)c->out_w % (size_t)c->out_h), left = ox * c->o.stride_w - c->pad_left;
    const uint8_t *image = x + (at / ((size_t)c->out_w * (size_t)c->out_h) * (size_t)c->in_h * (size_t)c->in_w * in_c + group * group_c) * c->element;
    for (int32_t ky = 0; ky < c->kh; ky++, a += run_bytes) {
        const int32_t y = oy * c->o.stride_h - c->pad_top + ky * c->o.dilation_h;
        const bool in_row = y >= 0 && y < c->in_h;
        const uint8_t *row = image + (size_t)(in_row ? y : 0) * (size_t)c->in_w * in_c * c->element;
        uint8_t *to = a;
        for (size_t kx = 0; kx < taps; kx++, to += each) {
            const int32_t tap = left + (int32_t)kx * c->o.dilation_w;
            const bool inside = in_row && tap >= 0 && tap < c->in_w;
            const uint8_t *from = row + (size_t)(inside ? tap : 0) * in_c * c->element;
            if (raw && inside) copy_pixel(to, from, each);
            else if (raw) memset(to, pad, each);
            else if (inside) er_matmul_convert(mm, to, from, group_c);
            else er_matmul_fill(mm, to, group_c);
        }
        if (raw && !er_matmul_takes_raw(mm)) er_matmul_convert(mm, a, a, mm->length);
        if (run_bytes > taps * each) er_matmul_fill(mm, to, run_bytes / mm->element - mm->length);
    }
}

static void run_block(void *arg, size_t i, int thread)
{
    const task_arg *t = arg;
    const conv *c = t->c;
    const er_matmul *mm = &c->mm;
    size_t pixels = t->op->outputs[0]->count / (size_t)c->out_c, first = i * c->block;
    size_t m = pixels - first < c->block ? pixels - first : c->block, run_bytes = er_matmul_run_bytes(mm);
    uint8_t *scratch = t->op->scratch + (size_t)thread * t->op->scratch_stride;
    uint8_t *a = scratch + er_round_up(er_matmul_scratch(mm), ER_ALIGN);
    uint8_t *y = er_u8(er_conv_output(t->op)) + first * (size_t)c->out_c * c->element;
    const uint8_t pad = mm->is_float ? 0 : (uint8_t)er_stored_zero(t->op->inputs[0]);
    er_rows rows = {.a = a, .lines = 1, .m = m, .row_stride = run_bytes * mm->segments, .segments = mm->segments, .segment_stride = run_bytes};
    for (size_t g = 0; g < mm->groups; g++) {
        for (size_t r = 0; r < m; r++) gather(c, er_u8(t->op->inputs[0]), pad, first + r, g, a + r * rows.row_stride);
        er_matmul_run(mm, g, &rows, (size_t *)(void *)scratch, 0, mm->n, y + g * mm->n * c->element, (size_t)c->out_c);
    }
    finish(t->op, y, m * (size_t)c->out_c);
}

void er_conv_begin(const er_op *op, er_pool *pool)
{
    const conv *c = op->state;
    task_arg t = {op, c};
    if (c->way == IMAGE) er_for(pool, ((size_t)c->batch * c->image_h + COPIED_ROWS - 1) / COPIED_ROWS, (double)op->shared_bytes, c->mm.groups > 1 ? copy_rows_of_groups : copy_rows, &t);
}

static void run_conv(const er_op *op, er_pool *pool)
{
    const conv *c = op->state;
    task_arg t = {op, c};
    er_conv_begin(op, pool);
    const double lanes = (double)er_matmul_lanes(&c->mm) / (double)c->mm.n;     // those without a channel take as long
    er_for(pool, c->tasks, (double)op->macs * lanes, c->way == GATHER ? run_block : run_lines, &t);
}

// ---- line by line, for a fused step

bool er_conv_has_lines(const er_op *op)
{
    const conv *c = op->state;
    return op->run == run_conv && !c->mm.is_float && c->way != GATHER && (c->way == DIRECT || !er_conv_is_pointwise(op));
}

bool er_conv_is_pointwise(const er_op *op)
{
    const conv *c = op->state;
    return op->run == run_conv && !c->mm.is_float && c->is_pointwise;
}

bool er_conv_is_brief(const er_op *op)
{
    const conv *c = op->state;
    return er_longest_task((size_t)c->out_w * (size_t)c->out_c * c->mm.segments * c->mm.length) > 1;
}

size_t er_conv_scratch(const er_op *op, size_t pixels)
{
    const conv *c = op->state;
    size_t own = er_round_up(er_matmul_scratch(&c->mm), ER_ALIGN);
    return c->is_pointwise && !er_matmul_takes_raw(&c->mm) ? own + er_round_up(pixels * (size_t)c->in_c * c->mm.element, ER_ALIGN) + ER_ALIGN : own;
}

void er_conv_line(const er_op *op, size_t line, uint8_t *out, uint8_t *scratch)
{
    const conv *c = op->state;
    size_t in_c = (size_t)c->in_c;
    if (c->is_pointwise) {
        size_t pixels = (size_t)op->outputs[0]->dims[2];
        er_conv_pixels(op, er_u8(op->inputs[0]) + line * pixels * in_c, pixels, out, scratch);
        return;
    }
    for (size_t g = 0; g < c->mm.groups; g++) {
        er_rows rows = rows_at(op, line / (size_t)c->out_h, g, line % (size_t)c->out_h, 1, 0, (size_t)c->out_w);
        er_matmul_run(&c->mm, g, &rows, (size_t *)(void *)scratch, 0, c->mm.n, out + g * c->mm.n, (size_t)c->out_c);
    }
}

void er_conv_pixels(const er_op *op, const uint8_t *x, size_t n, uint8_t *out, uint8_t *scratch)
{
    const conv *c = op->state;
    size_t in_c = (size_t)c->in_c;
    if (!er_matmul_takes_raw(&c->mm)) {
        uint8_t *a = scratch + er_round_up(er_matmul_scratch(&c->mm), ER_ALIGN);
        er_matmul_convert(&c->mm, a, x, n * in_c);
        x = a;
    }
    er_rows rows = {.a = x, .lines = 1, .m = n, .row_stride = in_c * c->mm.element, .segments = 1};
    er_matmul_run(&c->mm, 0, &rows, (size_t *)(void *)scratch, 0, c->mm.n, out, (size_t)c->out_c);
    finish(op, out, n * (size_t)c->out_c);
}

// ---- the sum after it

bool er_conv_takes_sum(const er_op *op, const er_op *sum)
{
    const conv *c = op->state;
    return op->run == run_conv && !c->mm.is_float && !c->sum && c->n_split == 1 && er_add_is_plain(sum);
}

void er_conv_fuse_sum(er_op *op, const er_op *sum)
{
    conv *c = op->state;
    c->sum = sum;
}

// ---- prepare

static way choose_way(const conv *c, const er_tensor *x)
{
    if (c->o.dilation_w > 1 && c->kw > 1 && !c->by_tap) return GATHER;
    bool inside = c->pad_top == 0 && c->pad_left == 0 && ((int64_t)c->out_h - 1) * c->o.stride_h + ((int64_t)c->kh - 1) * c->o.dilation_h < c->in_h &&
                  ((int64_t)c->out_w - 1) * c->o.stride_w + ((int64_t)c->kw - 1) * c->o.dilation_w < c->in_w;
    // The kernel may read a few bytes past the last run: fine in the arena, not at the end of a mapped file.
    return inside && c->mm.groups == 1 && er_matmul_takes_raw(&c->mm) && !x->constant ? DIRECT : IMAGE;
}

static er_status plan_image(er_prepare *p, er_op *op, conv *c)
{
    // Rows and columns that any tap reads: for VALID possibly fewer than there are.
    size_t h = ((size_t)c->out_h - 1) * (size_t)c->o.stride_h + ((size_t)c->kh - 1) * (size_t)c->o.dilation_h + 1;
    size_t w = ((size_t)c->out_w - 1) * (size_t)c->o.stride_w + ((size_t)c->kw - 1) * (size_t)c->o.dilation_w + 1, bytes;
    c->image_h = h;
    c->image_row = w * c->pixel;
    if (!er_mul_size(c->image_row, h, &bytes) || !er_mul_size(bytes, (size_t)c->batch * c->mm.groups * c->mm.element, &bytes) || bytes > INT32_MAX)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its padded input has more than 2 GiB");
    op->shared_bytes = bytes + ER_ALIGN;    // read past by less than a group
    return ER_OK;
}

static size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t clamp(size_t x, size_t low, size_t high) { return x > high ? high : x < low ? low : x; }

static er_status plan_tasks(er_prepare *p, er_op *op, conv *c)
{
    size_t threads = (size_t)p->threads, row_bytes = er_matmul_run_bytes(&c->mm) * c->mm.segments, macs = c->mm.groups * c->mm.segments * c->mm.length * c->mm.n, a_bytes;
    c->n_split = 1;
    if (c->way == GATHER) {
        size_t pixels = op->outputs[0]->count / (size_t)c->out_c;
        c->block = clamp(row_bytes * 112 <= 32768 ? 112 : row_bytes * 56 <= 65536 ? 56 : 28, 1, er_longest_task(macs));
        c->tasks = divide_up(pixels, c->block);
        if (!er_mul_size(c->block, row_bytes, &a_bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter is too large");
        op->scratch_bytes = er_round_up(er_matmul_scratch(&c->mm), ER_ALIGN) + a_bytes;
        return ER_OK;
    }
    // A task's rows of A should stay in the cache while the weights go by. Rows that are too long are cut into even
    // blocks; of short ones a task has several. Where filters overlap, rows have most of their memory in common.
    size_t own = (size_t)er_min32(c->o.stride_h, c->in_h) * (size_t)er_min32(c->o.stride_w, c->in_w) * c->pixel * c->mm.element;
    size_t most = row_bytes * 224 <= 65536 ? 224 : row_bytes * 112 <= 131072 ? 112 : 56;
    if (most < 32768 / own) most = 32768 / own;
    most = clamp(most, 1, er_longest_task(macs));
    size_t out_w = (size_t)c->out_w, out_h = (size_t)c->out_h;
    c->blocks = divide_up(out_w, most);
    size_t lines = c->blocks > 1 ? 1 : clamp(most / out_w, 1, out_h);
    size_t images = (size_t)c->batch, enough = 2 * threads;
    if (threads > 1 && images * out_h < enough) c->blocks = clamp(divide_up(enough, images * out_h), c->blocks, divide_up(out_w, 14));
    if (threads > 1 && c->blocks > threads && c->blocks < enough) c->blocks -= c->blocks % threads;
    if (threads > 1 && images * divide_up(out_h, lines) * c->blocks < enough) lines = clamp(images * out_h / enough, 1, lines);
    if (c->blocks > 1) lines = 1;
    c->line_tasks = divide_up(out_h, lines);
    // As many for one thread as for another.
    if (images * c->blocks == 1) c->line_tasks = clamp(divide_up(c->line_tasks, threads) * threads, 1, out_h);
    c->block = divide_up(out_w, c->blocks);
    if (threads > 1 && images * c->line_tasks * c->blocks < threads) c->n_split = threads;
    c->tasks = images * c->line_tasks * c->blocks * c->n_split;
    op->scratch_bytes = er_matmul_scratch(&c->mm);
    return ER_OK;
}

// How many neighbouring pixels to compute as one with so many times the channels, where those are too few to fill a panel. Runs
// become longer by less than as many times, as filters of neighbours overlap. The epilogue takes about as long as six steps.
static size_t choose_together(const er_prepare *p, const conv *c, const er_tensor *x)
{
    const er_qgemm *g = &p->kernels->qgemm;
    size_t kr = (size_t)g->kr, n = (size_t)c->out_c, step = (size_t)c->o.stride_w * (size_t)c->in_c, length = (size_t)c->kw * (size_t)c->in_c, best = 1;
    if (!er_is_8bit(x) || g->nr == 1 || c->kw == 1 || c->kw > 32 || c->in_c > 32 || c->o.stride_w > c->kw) return 1;
    size_t least = (size_t)c->kh * ((length + kr - 1) / kr) + 6;    // for each pixel
    for (size_t times = 2; times * n <= (size_t)g->nr; times++) {
        if ((size_t)c->out_w % times) continue;
        size_t cost = ((size_t)c->kh * ((length + (times - 1) * step + kr - 1) / kr) + 6 + times - 1) / times;
        if (cost >= least) continue;
        least = cost;
        best = times;
    }
    return best;
}

// How many groups to take as one, with weights of 0 between them, where the output channels of one are too few to fill a panel. Not floats, of
// which 0 times one may be no number.
static size_t choose_merged(const er_prepare *p, const er_tensor *x, size_t groups, size_t n)
{
    size_t merged = er_is_8bit(x) && n ? (size_t)p->kernels->qgemm.nr / n : 1;
    while (merged > 1 && groups % merged) merged--;
    return merged ? merged : 1;
}

er_status er_prepare_conv(er_prepare *p, er_op *op, er_conv_options o, er_pads pads, const er_tensor *w)
{
    const er_tensor *x = op->inputs[0], *bias = op->n_inputs > 2 ? op->inputs[2] : NULL;
    er_tensor *y = op->outputs[0];
    int32_t in_c = x->dims[3], group_c = w->dims[3], out_c = w->dims[0], kh = w->dims[1], kw = w->dims[2];
    if (group_c < 1 || in_c < 1 || in_c % group_c)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %d channels and its weights %d: expected a multiple", in_c, group_c);
    int32_t groups = in_c / group_c;
    if (out_c < 1 || out_c % groups) return er_op_fail(p, EDGERT_ERROR_MODEL, "its %d output channels do not divide into %d groups", out_c, groups);
    er_window wy, wx;
    ER_TRY(er_place_window(p, o.padding, x->dims[1] + pads.height, kh, o.stride_h, o.dilation_h, &wy));
    ER_TRY(er_place_window(p, o.padding, x->dims[2] + pads.width, kw, o.stride_w, o.dilation_w, &wx));
    ER_TRY(er_set_shape(p, y, (int32_t[]){x->dims[0], wy.out, wx.out, out_c}, 4));
    size_t length = (size_t)kw * (size_t)group_c, k;
    if (!er_mul_size((size_t)kh, length, &k) || k > INT32_MAX / 65536 * 256)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its filter has more products than a 32-bit sum holds");
    er_status status;
    conv *c = op->state = er_alloc(p, sizeof *c, &status);
    ER_TRY(status);
    *c = (conv){.batch = x->dims[0], .in_h = x->dims[1], .in_w = x->dims[2], .in_c = in_c, .out_h = wy.out, .out_w = wx.out, .out_c = out_c,
                .kh = kh, .kw = kw, .o = o, .pad_top = wy.before + pads.top, .pad_left = wx.before + pads.left, .element = er_type_size(x->def->type)};
    const size_t n = (size_t)(out_c / groups), merged = choose_merged(p, x, (size_t)groups, n);
    size_t together = groups == 1 && (o.dilation_w == 1 || kw == 1) ? choose_together(p, c, x) : 1;
    c->by_tap = kh == 1 && kw > 1 && o.dilation_w > 1 && (size_t)group_c * merged >= LEAST_TAP;
    const size_t segments = (size_t)(c->by_tap ? kw : kh), taps = (size_t)(c->by_tap ? 1 : kw);
    if (merged > 1) {
        ER_TRY(er_matmul_prepare_merged(p, &c->mm, x, w, bias, y, (size_t)groups, n, segments, taps, (size_t)group_c, merged, o.activation));
    } else if (together == 1) {
        ER_TRY(er_matmul_prepare(p, &c->mm, x, w, bias, y, (size_t)groups, n, segments, taps * (size_t)group_c, o.activation, false));
    } else {
        // From here on another convolution, with the same output.
        ER_TRY(er_matmul_prepare_together(p, &c->mm, x, w, bias, y, (size_t)out_c, (size_t)kh, length, together, (size_t)o.stride_w * (size_t)in_c, o.activation));
        c->out_w /= (int32_t)together;
        c->out_c *= (int32_t)together;
        c->kw += (int32_t)(together - 1) * o.stride_w;
        c->o.stride_w *= (int32_t)together;
    }
    c->pixel = (size_t)in_c / c->mm.groups;
    op->run = run_conv;
    op->macs = (int64_t)y->count * (int64_t)k;
    if (!y->count) return ER_OK;        // no tasks
    if (kh == 1 && kw == 1 && o.stride_h == 1 && o.stride_w == 1 && c->mm.groups == 1 && !pads.height && !pads.width) {
        c->is_pointwise = true;
        c->in_w = c->out_w = (int32_t)(y->count / (size_t)out_c);
        c->batch = c->in_h = c->out_h = 1;
        if (c->out_w == 1) ER_TRY(er_matmul_prepare_row(p, &c->mm));
    }
    c->way = choose_way(c, x);
    op->kernel = c->mm.is_float ? "float product" : c->way == DIRECT ? "product in place" : c->way == IMAGE ? "product on padded copy" : "product on gathered rows";
    if (c->way == IMAGE) ER_TRY(plan_image(p, op, c));
    c->whole_end = (size_t)c->out_h;
    if (c->way == IMAGE && !c->mm.is_float && c->mm.pad == 0 && c->mm.extras == 0) {
        while (c->whole < c->whole_end && sees_padding(c, c->whole)) c->whole++;
        while (c->whole < c->whole_end && sees_padding(c, c->whole_end - 1)) c->whole_end--;
    }
    return plan_tasks(p, op, c);
}

er_status er_prepare_conv_2d(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 3, 1));
    ER_TRY(er_unpack_input(p, op, 1));
    ER_TRY(er_expect_rank(p, op->inputs[0], 4, "input"));
    ER_TRY(er_expect_rank(p, op->inputs[1], 4, "weights"));
    er_conv_options o = er_read_conv_2d(op->def->options);
    if (er_is_16bit(op->inputs[0])) return er_prepare_conv16(p, op, &o, false);
    const bool is_hybrid = er_is_hybrid(op);
    const er_pads pads = is_hybrid ? (er_pads){0} : er_take_pad(op, &o);
    if (er_is_depthwise(op)) return er_prepare_conv_as_depthwise(p, op, o, pads);
    if (is_hybrid) return er_prepare_hybrid_conv(p, op, &o);
    return er_prepare_conv(p, op, o, pads, op->inputs[1]);
}
