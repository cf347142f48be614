// QUANTIZE: float32 to 8 bits, or 8 bits to 8 bits of another scale; int16 and int32 plainly. DEQUANTIZE: 8 bits, int4, int16 or float16 to float32.
// FAKE_QUANT: float32 as if it were quantized.
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "ops/weights.h"
#include "ops/whole.h"

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

// ---- one value at a time: whatever has no kernel

typedef struct { er_multiplier m; int32_t low, high; } requantization;

// Element i as a number, however it is stored; and the other way.
static int32_t stored_value(const er_tensor *t, size_t i) { return t->flipped ? er_byte_value(t, er_u8(t)[i] ^ 0x80) : (int32_t)er_whole(t, i); }

static void store_value(const er_tensor *t, size_t i, int64_t v)
{
    er_put_whole(t, i, v);
    if (t->flipped) er_u8(t)[i] ^= 0x80;
}

static void plain_span(const er_op *op, size_t from, size_t to)
{
    const requantization *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    for (size_t i = from; i < to; i++) {
        if (x->def->type == EDGERT_FLOAT32) {
            const float v = roundf(er_f32(x)[i] / er_scale(y)) + (float)er_zero(y);
            store_value(y, i, !(v > (float)s->low) ? s->low : v >= (float)s->high ? s->high : (int64_t)v);     // NaN is lowest
            continue;
        }
        const int32_t v = stored_value(x, i);
        const int64_t q = (int64_t)er_requantize((int32_t)((uint32_t)v - (uint32_t)er_zero(x)), s->m) + er_zero(y);
        store_value(y, i, er_clamp64(q, s->low, s->high));
    }
}

static void run_plain(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 3, plain_span, op); }

static er_status prepare_plain(er_prepare *p, er_op *op)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (!er_is_8bit(y) && !er_is_16bit(y) && y->def->type != EDGERT_INT32)
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output is %s, expected int8, uint8, int16 or int32", er_type_name(y->def->type));
    er_status status;
    requantization *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->low = y->def->type == EDGERT_INT32 ? INT32_MIN : er_lowest(y);
    s->high = y->def->type == EDGERT_INT32 ? INT32_MAX : er_highest(y);
    ER_TRY(er_expect_quantized(p, y, "output"));
    if (x->def->type != EDGERT_FLOAT32) {
        ER_TRY(er_expect_quantized(p, x, "input"));
        s->m = er_make_multiplier((double)er_scale(x) / (double)er_scale(y));
    }
    op->run = run_plain;
    return er_set_same_shape(p, op->outputs[0], x);
}

er_status er_prepare_quantize(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    if (!er_is_8bit(y) || (!er_is_8bit(x) && x->def->type != EDGERT_FLOAT32)) return prepare_plain(p, op);
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

typedef struct { const er_kernels *kernels; const float *scale; const int64_t *zero; size_t n_zero, n, inner; } dequantization;

static void dequantize_span(const er_op *op, size_t from, size_t to)
{
    const dequantization *s = op->state;
    const er_tensor *x = op->inputs[0];
    float *y = er_f32(op->outputs[0]);
    if (x->def->type == EDGERT_FLOAT16) {
        for (size_t i = from; i < to; i++) y[i] = er_half_to_float(((const uint16_t *)x->data)[i]);
        return;
    }
    bool is_signed = er_is_signed(x);
    if (s->n == 1 && er_is_8bit(x)) {
        s->kernels->dequantize(to - from, er_u8(x) + from, is_signed, s->scale[0], s->n_zero ? (int32_t)s->zero[0] : 0, y + from);
        return;
    }
    for (size_t i = from; i < to; i++) {
        size_t c = i / s->inner % s->n;
        int32_t zero = s->n_zero ? (int32_t)s->zero[s->n_zero == 1 ? 0 : c] : 0;
        const int32_t q = (int32_t)er_whole(x, i);
        const int32_t v = (int32_t)((uint32_t)q - (uint32_t)zero);
        y[i] = s->scale[c] * (float)v;
    }
}

static void run_dequantize(const er_op *op, er_pool *pool) { er_for_spans(pool, op->inputs[0]->count, 0.5, dequantize_span, op); }

er_status er_prepare_dequantize(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(er_unpack_input(p, op, 0));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    ER_TRY(er_set_same_shape(p, op->outputs[0], x));
    const er_quantization *q = &x->def->quant;
    er_status status;
    dequantization *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    if (x->def->type != EDGERT_FLOAT16 && !q->n) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is %s without a scale", er_type_name(x->def->type));
    if (q->n > 1 && (q->dimension < 0 || q->dimension >= x->rank || x->dims[q->dimension] != q->n))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %d scales along dimension %d, which has not as many channels", q->n, q->dimension);
    *s = (dequantization){p->kernels, q->scale, q->zero, (size_t)q->n_zero, (size_t)q->n, 1};
    for (int32_t d = q->dimension + 1; d < x->rank; d++) s->inner *= (size_t)x->dims[d];
    op->run = run_dequantize;
    return ER_OK;
}

// ---- FAKE_QUANT: rounded to one of 2^bits steps of a range that is moved so that 0 is a step

typedef struct { float low, high, scale; } fake_quant;

static void fake_span(const er_op *op, size_t from, size_t to)
{
    const fake_quant *s = op->state;
    const float inverse = 1.0f / s->scale;
    for (size_t i = from; i < to; i++) {
        const float v = er_f32(op->inputs[0])[i], clamped = v < s->low ? s->low : v > s->high ? s->high : v;
        er_f32(op->outputs[0])[i] = roundf((clamped - s->low) * inverse) * s->scale + s->low;
    }
}

static void run_fake(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 2, fake_span, op); }

er_status er_prepare_fake_quant(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    const er_fake_quant_options o = er_read_fake_quant(op->def->options);
    if (o.bits < 2 || o.bits > 16 || !(o.min < o.max)) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d bits from %g to %g", o.bits, (double)o.min, (double)o.max);
    er_status status;
    fake_quant *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    const float first = o.narrow ? 1 : 0, last = (float)((1 << o.bits) - 1);
    s->scale = (o.max - o.min) / (last - first);
    const float zero = first - o.min / s->scale, point = zero < first ? first : zero > last ? last : roundf(zero);
    s->low = (first - point) * s->scale;
    s->high = (last - point) * s->scale;
    op->run = run_fake;
    op->share = ER_SHARE_IN_PLACE;
    return er_set_same_shape(p, op->outputs[0], op->inputs[0]);
}
