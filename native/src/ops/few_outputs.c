// FULLY_CONNECTED of one row with a few outputs, such as detectors end with: a dot product for each. A packed panel would be mostly padding, which is read
// all the same.
#include <stdlib.h>
#include <string.h>

#include "kernels/finish.h"
#include "kernels/pack.h"
#include "ops/matmul.h"

typedef struct { const er_kernels *kernels; size_t n, k; bool is_signed; er_output o; uint8_t *headers; } few;

static void run_few(const er_op *op, er_pool *pool)
{
    (void)pool;
    const few *s = op->state;
    const uint8_t *x = er_u8(op->inputs[0]);
    const int8_t *w = er_i8(op->inputs[1]);
    uint8_t *y = er_u8(op->outputs[0]);
    for (size_t j = 0; j < s->n; j++, w += s->k) {
        const uint8_t *header = s->headers + j * ER_HEADER;
        int32_t bias;
        memcpy(&bias, header, sizeof bias);
        const int32_t sum = s->is_signed ? s->kernels->dot_bytes(s->k, w, (const int8_t *)x, 0) : s->kernels->dot_unsigned(s->k, w, x);
        y[j] = er_finish((int32_t)((uint32_t)sum + (uint32_t)bias), header, 1, 0, &s->o);
    }
}

bool er_suits_few_outputs(const er_prepare *p, const er_op *op, size_t rows, size_t n, size_t k)
{
    return rows == 1 && er_is_8bit(op->inputs[0]) && er_is_signed(op->inputs[1]) && k >= 64 && n * 4 <= (size_t)p->kernels->qgemm.nr;
}

er_status er_prepare_few_outputs(er_prepare *p, er_op *op, er_activation activation, size_t n, size_t k)
{
    const er_tensor *x = op->inputs[0], *w = op->inputs[1], *bias = op->n_inputs > 2 ? op->inputs[2] : NULL;
    er_tensor *y = op->outputs[0];
    er_status status;
    ER_TRY(er_expect_values(p, w, "weights"));
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    few *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (few){.kernels = p->kernels, .n = n, .k = k, .is_signed = er_stored_signed(x)};
    ER_TRY(er_activation_output(p, activation, y, &s->o));
    s->o.real = true;       // as all of FULLY_CONNECTED is (docs/numerics.md)
    s->headers = er_alloc(p, n * ER_HEADER + 1, &status);
    ER_TRY(status);
    er_channel *channels;
    ER_TRY(er_channel_parameters(p, x, w, bias, y, 0, n, true, &channels));
    for (size_t j = 0; j < n; j++) {
        const uint32_t sum = (uint32_t)er_sum_int8(er_i8(w) + j * k, k);
        er_put_header(s->headers + j * ER_HEADER, 1, 0, &channels[j], (int32_t)((uint32_t)er_stored_zero(x) * sum), true);
    }
    free(channels);
    op->macs = (int64_t)(n * k);
    op->kernel = "dot products";
    op->run = run_few;
    return ER_OK;
}
