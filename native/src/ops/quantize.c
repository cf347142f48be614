// QUANTIZE: float32 to 8 bits, or 8 bits to 8 bits of another scale. DEQUANTIZE: 8 bits or float16 to float32.
#include <string.h>

#include "ops/op.h"

static void quantize_span(const er_op *op, size_t from, size_t to)
{
    const er_kernels *k = op->state;
    const er_tensor *y = op->outputs[0];
    int32_t offset = er_stored_offset(y);
    k->quantize(to - from, er_f32(op->inputs[0]) + from, er_scale(y), er_stored_zero(y), er_lowest(y) + offset, er_highest(y) + offset, er_u8(y) + from);
}

static void run_quantize_floats(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 0.8, quantize_span, op); }

// uint8 to int8 of the same scale, or back: only the sign bit changes.
static void run_flip(const er_op *op, er_pool *pool)
{
    (void)pool;
    const uint8_t *x = er_u8(op->inputs[0]);
    uint8_t *y = er_u8(op->outputs[0]);
    for (size_t i = 0, n = op->outputs[0]->count; i < n; i++) y[i] = x[i] ^ 0x80;
}

er_status er_prepare_quantize(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    if (!er_is_8bit(y)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output is %s, expected int8 or uint8", er_type_name(y->def->type));
    ER_TRY(er_expect_quantized(p, y, "output"));
    ER_TRY(er_set_same_shape(p, y, x));
    if (!er_is_8bit(x)) {
        op->run = run_quantize_floats;
        op->state = (void *)(uintptr_t)p->kernels;
        return ER_OK;
    }
    ER_TRY(er_expect_quantized(p, x, "input"));
    uint8_t *table;
    bool flips = true, same = true;
    ER_TRY(er_use_table(p, op, &table));
    er_multiplier m = er_make_multiplier((double)er_scale(x) / (double)er_scale(y));
    int32_t min = er_lowest(y), max = er_highest(y);
    for (int32_t i = 0; i < 256; i++) {
        int32_t v = er_byte_value(x, i) - er_zero(x);
        int64_t q = (int64_t)er_requantize(v, m) + er_zero(y);
        int32_t from = i ^ (x->flipped ? 0x80 : 0);
        table[from] = (uint8_t)((q < min ? min : q > max ? max : (int32_t)q) ^ (y->flipped ? 0x80 : 0));
        flips = flips && table[from] == (from ^ 0x80);
        same = same && table[from] == from;
    }
    if (same) er_use_view(op);
    else if (flips) op->run = run_flip;
    if (op->run == run_flip) op->kernel = "sign bit";
    return ER_OK;
}

static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF, bits;
    if (exponent == 0) {
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 0x7F800000u : (exponent + 112) << 23) | fraction << 13;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

typedef struct { const er_kernels *kernels; const float *scale; const int64_t *zero; size_t n_zero, n, inner; } dequantization;

static void dequantize_span(const er_op *op, size_t from, size_t to)
{
    const dequantization *s = op->state;
    const er_tensor *x = op->inputs[0];
    float *y = er_f32(op->outputs[0]);
    if (x->def->type == EDGERT_FLOAT16) {
        for (size_t i = from; i < to; i++) y[i] = half_to_float(((const uint16_t *)x->data)[i]);
        return;
    }
    bool is_signed = er_is_signed(x);
    if (s->n == 1) {
        s->kernels->dequantize(to - from, er_u8(x) + from, is_signed, s->scale[0], s->n_zero ? (int32_t)s->zero[0] : 0, y + from);
        return;
    }
    for (size_t i = from; i < to; i++) {
        size_t c = i / s->inner % s->n;
        int32_t zero = s->n_zero ? (int32_t)s->zero[s->n_zero == 1 ? 0 : c] : 0;
        int32_t v = (is_signed ? er_i8(x)[i] : er_u8(x)[i]) - zero;
        y[i] = s->scale[c] * (float)v;
    }
}

static void run_dequantize(const er_op *op, er_pool *pool) { er_for_spans(pool, op->inputs[0]->count, 0.5, dequantize_span, op); }

er_status er_prepare_dequantize(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    ER_TRY(er_set_same_shape(p, op->outputs[0], x));
    const er_quantization *q = &x->def->quant;
    er_status status;
    dequantization *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    if (er_is_8bit(x) && !q->n) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is %s without a scale", er_type_name(x->def->type));
    if (q->n > 1 && (q->dimension < 0 || q->dimension >= x->rank || x->dims[q->dimension] != q->n))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %d scales along dimension %d, which has not as many channels", q->n, q->dimension);
    *s = (dequantization){p->kernels, q->scale, q->zero, (size_t)q->n_zero, (size_t)q->n, 1};
    for (int32_t d = q->dimension + 1; d < x->rank; d++) s->inner *= (size_t)x->dims[d];
    op->run = run_dequantize;
    return ER_OK;
}
