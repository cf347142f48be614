// FULLY_CONNECTED with shuffled weights: uint8 by int8, int16 comes out. The weights lie as the kernels of early TensorFlow Lite read them: blocks of four
// rows by 16 columns, from left to right and from above. A second output was those kernels' workspace: here it has the input as int8.
#include <string.h>

#include "ops/matmul.h"

enum { ROWS = 4, COLUMNS = 16 };

typedef struct { const er_kernels *kernels; size_t batches, n, k; er_multiplier m; er_output o; int8_t *weights; } shuffled;

static void run_shuffled(const er_op *op, er_pool *pool)
{
    const shuffled *s = op->state;
    const int32_t *bias = op->n_inputs > 2 && op->inputs[2] ? er_i32(op->inputs[2]) : NULL;
    const uint8_t *from = er_u8(op->inputs[0]);
    int8_t *x = (int8_t *)op->shared;
    int16_t *y = op->outputs[0]->data;
    er_watch watch = {pool, 0};
    for (size_t i = 0; i < s->batches * s->k; i++) x[i] = (int8_t)(from[i] ^ 0x80);
    for (size_t b = 0; b < s->batches && !er_watch_ends(&watch, s->n * s->k); b++, x += s->k) {
        for (size_t r = 0; r < s->n; r++) {
            const uint32_t sum = (uint32_t)s->kernels->dot_bytes(s->k, s->weights + r * s->k, x, 0) + (bias ? (uint32_t)bias[r] : 0);
            *y++ = (int16_t)er_clamp32(er_requantize((int32_t)sum, s->m), s->o.min, s->o.max);
        }
    }
    if (op->n_outputs > 1 && op->outputs[1]) memcpy(op->outputs[1]->data, op->shared, op->outputs[1]->bytes);
}

er_status er_prepare_shuffled(er_prepare *p, er_op *op, er_activation activation, size_t n, size_t k)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1], *bias = op->n_inputs > 2 ? op->inputs[2] : NULL;
    er_tensor *y = op->outputs[0];
    er_status status;
    ER_TRY(er_expect_type(p, x, EDGERT_UINT8, "input"));
    ER_TRY(er_expect_type(p, w, EDGERT_UINT8, "weights"));
    ER_TRY(er_expect_type(p, y, EDGERT_INT16, "output"));
    ER_TRY(er_expect_values(p, w, "weights"));
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, w, "weights"));
    ER_TRY(er_expect_symmetric(p, y, "output"));
    ER_TRY(er_expect_bias(p, x, bias, n));
    if (er_zero(x) != 128 || er_zero(w) != 128)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input and its shuffled weights have zero points %d and %d, expected 128", er_zero(x), er_zero(w));
    if (n % ROWS || k % COLUMNS || !k)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its shuffled weights are %zu x %zu, expected multiples of %d x %d", n, k, ROWS, COLUMNS);
    shuffled *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (shuffled){.kernels = p->kernels, .batches = x->count / k, .n = n, .k = k, .m = er_make_multiplier((double)(er_scale(x) * er_scale(w)) / (double)er_scale(y))};
    s->weights = er_alloc(p, n * k, &status);
    ER_TRY(status);
    const int8_t *from = w->data;
    for (size_t row = 0; row < n; row += ROWS)
        for (size_t column = 0; column < k; column += COLUMNS)
            for (size_t r = row; r < row + ROWS; r++, from += COLUMNS) memcpy(s->weights + r * k + column, from, COLUMNS);
    ER_TRY(er_activation_output(p, activation, y, &s->o));
    if (op->n_outputs > 1 && op->outputs[1]) {
        ER_TRY(er_expect_type(p, op->outputs[1], EDGERT_UINT8, "workspace"));
        ER_TRY(er_set_shape(p, op->outputs[1], (int32_t[]){(int32_t)s->batches, (int32_t)k}, 2));
    }
    if (!er_mul_size(s->batches, k, &op->shared_bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is too large");
    op->macs = (int64_t)(s->batches * n * k);
    op->kernel = "shuffled weights";
    op->run = run_shuffled;
    return ER_OK;
}
