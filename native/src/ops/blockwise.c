// FULLY_CONNECTED with int4 weights whose blocks, of 32 neighbours or so, have scales of their own: how language models are made small. float32
// activations, which are quantized to int8 row by row when they come, asymmetrically.
//
// In the reference's order: blocks are added as floats, what the input's zero point adds to them is taken off, and the row's scale and the bias come
// last. The weights of ER_BLOCK_ROWS outputs lie next to each other, as small as in the file.
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "ops/carve.h"
#include "ops/dynamic_range.h"
#include "ops/matmul.h"

enum { LARGEST_BLOCK = 65536 };     // whose sums fit 32 bits

typedef struct {
    const er_kernels *kernels;
    size_t rows, n, k, size, blocks, panels, tasks;
    const uint8_t *packed;          // of each panel: its scales, the sums of its scaled weights, its weights
    size_t panel_bytes;
    float min, max;
} blockwise;

// The input: how each row was quantized, its values, and eight times the sums of its blocks.
typedef struct { const er_op *op; const blockwise *s; const er_pool *pool; er_dynamic *q; int8_t *x; int32_t *eights; } task_arg;

// What a panel consists of.
static const float *scales_of(const blockwise *s, size_t panel) { return (const float *)(const void *)(s->packed + panel * s->panel_bytes); }
static const float *sums_of(const blockwise *s, size_t panel) { return scales_of(s, panel) + s->blocks * ER_BLOCK_ROWS; }
static const uint8_t *weights_of(const blockwise *s, size_t panel) { return (const uint8_t *)(sums_of(s, panel) + ER_BLOCK_ROWS); }

static void lay_out(const blockwise *s, er_carver *c, task_arg *t)
{
    t->q = er_carve(c, s->rows * sizeof *t->q);
    t->x = er_carve(c, s->rows * s->k);
    t->eights = er_carve(c, s->rows * s->blocks * sizeof *t->eights);
}

static void run_part(void *arg, size_t part, int thread)
{
    (void)thread;
    const task_arg *t = arg;
    const blockwise *s = t->s;
    const float *bias = t->op->n_inputs > 2 && t->op->inputs[2] ? er_f32(t->op->inputs[2]) : NULL;
    for (size_t p = er_part(s->panels, part, s->tasks); p < er_part(s->panels, part + 1, s->tasks) && !er_pool_stopped(t->pool); p++) {
        const size_t first = p * ER_BLOCK_ROWS, n = s->n - first < ER_BLOCK_ROWS ? s->n - first : ER_BLOCK_ROWS;
        for (size_t r = 0; r < s->rows; r++) {
            float y[ER_BLOCK_ROWS] = {0}, *out = er_f32(t->op->outputs[0]) + r * s->n + first;
            s->kernels->dot_blocks(s->blocks, s->size, weights_of(s, p), t->x + r * s->k, t->eights + r * s->blocks, scales_of(s, p), y);
            for (size_t j = 0; j < n; j++) {
                float v = (y[j] - (float)t->q[r].zero * sums_of(s, p)[j]) * t->q[r].scale;
                if (bias) v += bias[first + j];
                out[j] = v < s->min ? s->min : v > s->max ? s->max : v;
            }
        }
    }
}

static void run_blockwise(const er_op *op, er_pool *pool)
{
    const blockwise *s = op->state;
    task_arg t;
    lay_out(s, &(er_carver){op->shared, 0}, &t);
    t.op = op;
    t.s = s;
    t.pool = pool;
    for (size_t r = 0; r < s->rows; r++) t.q[r] = er_quantize_floats(s->kernels, er_f32(op->inputs[0]) + r * s->k, s->k, true, t.x + r * s->k);
    for (size_t b = 0; b < s->rows * s->blocks; b++) {
        int32_t sum = 0;
        for (size_t i = 0; i < s->size; i++) sum += t.x[b * s->size + i];
        t.eights[b] = 8 * sum;
    }
    er_for(pool, s->tasks, (double)op->macs * 2, run_part, &t);
}

// ---- prepare

typedef struct { const blockwise *s; const uint8_t *w; const er_tensor_def *scales; } pack_arg;

// Value i of packed int4; the first of a byte lies in its low bits.
static int32_t int4_at(const uint8_t *w, size_t i) { return (int8_t)(uint8_t)(w[i / 2] << (i % 2 ? 0 : 4)) >> 4; }

static void pack(void *arg, void *packed)
{
    const pack_arg *a = arg;
    const blockwise *s = a->s;
    memset(packed, 0, s->panels * s->panel_bytes);
    for (size_t j = 0; j < s->n; j++) {
        const size_t panel = j / ER_BLOCK_ROWS, lane = j % ER_BLOCK_ROWS;
        float *scales = (float *)(void *)((uint8_t *)packed + panel * s->panel_bytes), *total = scales + s->blocks * ER_BLOCK_ROWS;
        uint8_t *w = (uint8_t *)(total + ER_BLOCK_ROWS);
        for (size_t b = 0; b < s->blocks; b++) {
            const size_t at = j * s->blocks + b;
            const float scale = a->scales->type == EDGERT_FLOAT16 ? er_half_to_float(((const uint16_t *)a->scales->data)[at]) : ((const float *)a->scales->data)[at];
            int32_t sum = 0;
            for (size_t i = 0; i < s->size; i++) sum += int4_at(a->w, j * s->k + b * s->size + i);
            scales[b * ER_BLOCK_ROWS + lane] = scale;
            total[lane] += scale * (float)sum;
        }
        for (size_t i = 0; i < s->k; i++) {
            const uint32_t weight = (uint32_t)(int4_at(a->w, j * s->k + i) + 8);
            w[(i / 8 * ER_BLOCK_ROWS + lane) * 4 + i % 4] |= (uint8_t)(weight << (i / 4 % 2 * 4));
        }
    }
}

static er_status expect_blocks(er_prepare *p, const er_tensor *w, size_t n, size_t k, size_t size)
{
    const er_tensor_def *scales = w->def->quant.block_scales;
    ER_TRY(er_expect_values(p, w, "weights"));
    if (!w->data) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have no data");
    if (size > LARGEST_BLOCK || size % 8)
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its weights have blocks of %zu, multiples of 8 up to %d are supported", size, LARGEST_BLOCK);
    if (k % size) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have rows of %zu and blocks of %zu, expected a multiple", k, size);
    if (!scales->data || (scales->type != EDGERT_FLOAT16 && scales->type != EDGERT_FLOAT32))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "the scales of its weights' blocks are %s or no constant, expected float16 or float32", er_type_name(scales->type));
    size_t count = 1;
    for (int32_t d = 0; d < scales->rank; d++) count *= (size_t)scales->dims[d];
    if (count != n * (k / size)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights' blocks have %zu scales, expected %zu", count, n * (k / size));
    return ER_OK;
}

er_status er_prepare_blockwise(er_prepare *p, er_op *op, er_activation activation, size_t n, size_t k)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1];
    const size_t size = (size_t)w->def->quant.block_size;
    er_status status;
    ER_TRY(er_expect_type(p, x, EDGERT_FLOAT32, "input"));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    ER_TRY(er_expect_bias(p, x, op->n_inputs > 2 ? op->inputs[2] : NULL, n));
    ER_TRY(expect_blocks(p, w, n, k, size));
    blockwise *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (blockwise){.kernels = p->kernels, .rows = x->count / k, .n = n, .k = k, .size = size, .blocks = k / size, .panels = (n + ER_BLOCK_ROWS - 1) / ER_BLOCK_ROWS};
    s->panel_bytes = er_round_up(ER_BLOCK_ROWS * ((s->blocks + 1) * sizeof(float) + k / 2), ER_ALIGN);
    size_t bytes;
    if (!er_mul_size(s->panels, s->panel_bytes, &bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights are too large");
    struct { er_pack_key of; size_t size; } key;
    memset(&key, 0, sizeof key);
    key.of = er_pack_key_of(p, 'b', w->def, w->def->quant.block_scales);
    key.size = size;
    pack_arg arg = {s, w->data, w->def->quant.block_scales};
    s->packed = er_pack_once(p, w, NULL, &key, sizeof key, bytes, pack, &arg, &status);
    ER_TRY(status);
    ER_TRY(er_activation_floats(p, activation, &s->min, &s->max));
    if (!er_mul_size(s->rows, 2 * k + sizeof(er_dynamic), &bytes) || bytes > SIZE_MAX / 2) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is too large");
    er_carver c = {NULL, 0};
    lay_out(s, &c, &(task_arg){0});
    op->shared_bytes = c.used;
    op->macs = (int64_t)(s->rows * n * k);
    s->tasks = (size_t)p->threads * 2;
    op->kernel = "int4 in blocks";
    op->run = run_blockwise;
    return ER_OK;
}
