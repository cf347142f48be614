// FULLY_CONNECTED with int4 weights whose blocks, of 32 neighbours or so, have scales of their own: how language models are made small. float32
// activations, which are quantized to int8 row by row when they come, asymmetrically.
//
// In the reference's order: blocks are added as floats, what the input's zero point adds to them is taken off, and the row's scale and the bias come
// last. Weights stay as they are in the file, and are unpacked row by row.
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "ops/dynamic_range.h"
#include "ops/matmul.h"

enum { LARGEST_BLOCK = 65536 };     // whose sums fit 32 bits

typedef struct {
    const er_kernels *kernels;
    size_t rows, n, k, size, blocks, tasks;
    float *scales, *sums;           // [n][blocks]; [n]: each row's weights, scaled
    float min, max;
} blockwise;

typedef struct { const er_op *op; const blockwise *s; const er_dynamic *q; const int8_t *x; } task_arg;

// The first of a byte lies in its low bits.
static void unpack(const uint8_t *packed, size_t n, int8_t *w)
{
    for (size_t i = 0; i < n / 2; i++) {
        w[2 * i] = (int8_t)((int8_t)(uint8_t)(packed[i] << 4) >> 4);
        w[2 * i + 1] = (int8_t)((int8_t)packed[i] >> 4);
    }
}

static void run_part(void *arg, size_t part, int thread)
{
    const task_arg *t = arg;
    const blockwise *s = t->s;
    const er_tensor *bias = t->op->n_inputs > 2 ? t->op->inputs[2] : NULL;
    int8_t *w = (int8_t *)(t->op->scratch + (size_t)thread * t->op->scratch_stride);
    for (size_t j = er_part(s->n, part, s->tasks); j < er_part(s->n, part + 1, s->tasks); j++) {
        unpack(er_u8(t->op->inputs[1]) + j * s->k / 2, s->k, w);
        for (size_t r = 0; r < s->rows; r++) {
            float y = s->kernels->dot_blocks(s->blocks, s->size, w, t->x + r * s->k, s->scales + j * s->blocks);
            y -= (float)t->q[r].zero * s->sums[j];
            y *= t->q[r].scale;
            if (bias) y += er_f32(bias)[j];
            er_f32(t->op->outputs[0])[r * s->n + j] = y < s->min ? s->min : y > s->max ? s->max : y;
        }
    }
}

static void run_blockwise(const er_op *op, er_pool *pool)
{
    const blockwise *s = op->state;
    er_dynamic *q = (er_dynamic *)(void *)op->shared;
    int8_t *x = (int8_t *)op->shared + er_round_up(s->rows * sizeof *q, ER_ALIGN);
    for (size_t r = 0; r < s->rows; r++) q[r] = er_quantize_floats(s->kernels, er_f32(op->inputs[0]) + r * s->k, s->k, true, x + r * s->k);
    task_arg t = {op, s, q, x};
    er_for(pool, s->tasks, (double)op->macs * 4, run_part, &t);
}

er_status er_prepare_blockwise(er_prepare *p, er_op *op, er_activation activation, size_t n, size_t k)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1];
    const er_tensor_def *scales = w->def->quant.block_scales;
    const size_t size = (size_t)w->def->quant.block_size, blocks = k / size;
    er_status status;
    ER_TRY(er_expect_type(p, x, EDGERT_FLOAT32, "input"));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    ER_TRY(er_expect_values(p, w, "weights"));
    ER_TRY(er_expect_bias(p, x, op->n_inputs > 2 ? op->inputs[2] : NULL, n));
    if (size > LARGEST_BLOCK) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its weights have blocks of %zu, at most %d is supported", size, LARGEST_BLOCK);
    if (!w->data) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have no data");
    if (k % 2 || k % size) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have rows of %zu and blocks of %zu, expected a multiple, and an even number", k, size);
    if (!scales->data || (scales->type != EDGERT_FLOAT16 && scales->type != EDGERT_FLOAT32))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "the scales of its weights' blocks are %s or no constant, expected float16 or float32", er_type_name(scales->type));
    size_t count = 1;
    for (int32_t d = 0; d < scales->rank; d++) count *= (size_t)scales->dims[d];
    if (count != n * blocks) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights' blocks have %zu scales, expected %zu", count, n * blocks);
    blockwise *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (blockwise){.kernels = p->kernels, .rows = x->count / k, .n = n, .k = k, .size = size, .blocks = blocks};
    s->scales = er_alloc(p, count * sizeof *s->scales, &status);
    ER_TRY(status);
    s->sums = er_alloc(p, n * sizeof *s->sums, &status);
    ER_TRY(status);
    int8_t *row = er_alloc(p, k, &status);
    ER_TRY(status);
    for (size_t i = 0; i < count; i++)
        s->scales[i] = scales->type == EDGERT_FLOAT16 ? er_half_to_float(((const uint16_t *)scales->data)[i]) : ((const float *)scales->data)[i];
    for (size_t j = 0; j < n; j++) {
        unpack(er_u8(w) + j * k / 2, k, row);
        for (size_t b = 0; b < blocks; b++) {
            int32_t sum = 0;
            for (size_t i = 0; i < size; i++) sum += row[b * size + i];
            s->sums[j] += s->scales[j * blocks + b] * (float)sum;
        }
    }
    ER_TRY(er_activation_floats(p, activation, &s->min, &s->max));
    size_t bytes;
    if (!er_mul_size(s->rows, k + sizeof(er_dynamic), &bytes) || bytes > SIZE_MAX / 2) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is too large");
    op->shared_bytes = bytes + 2 * ER_ALIGN;
    op->scratch_bytes = k;
    op->macs = (int64_t)(s->rows * n * k);
    s->tasks = (size_t)p->threads * 2;
    op->kernel = "int4 in blocks";
    op->run = run_blockwise;
    return ER_OK;
}
