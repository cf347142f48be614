// L2_NORMALIZATION, LOCAL_RESPONSE_NORMALIZATION, LOG_SOFTMAX over the last dimension.
#include <math.h>

#include "base/exponential.h"
#include "ops/whole.h"

// ---- L2_NORMALIZATION: float32, int8, uint8

typedef struct { size_t depth; } normalization;

static void normalize_bytes(const er_tensor *x, const er_tensor *y, size_t from, size_t depth)
{
    int32_t sum = 0;
    for (size_t i = 0; i < depth; i++) {
        const int32_t v = (int32_t)er_whole(x, from + i) - er_zero(x);
        sum = (int32_t)((uint32_t)sum + (uint32_t)(v * v));
    }
    const er_multiplier m = er_inverse_root(sum);
    for (size_t i = 0; i < depth; i++) {
        const int32_t v = (int32_t)er_whole(x, from + i) - er_zero(x);
        // One more multiplication by 128, the output's scale. The reference rounds once with int8, and twice with uint8.
        const int32_t scaled = (int32_t)((uint32_t)v * 128u);
        const int32_t q = er_is_signed(x) ? er_requantize_once(scaled, m) : er_requantize(scaled, m) + 128;
        er_u8(y)[from + i] = (uint8_t)er_clamp32(q, er_lowest(y), er_highest(y));
    }
}

static void run_normalization(const er_op *op, er_pool *pool)
{
    (void)pool;
    const normalization *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    for (size_t from = 0; s->depth && from < x->count; from += s->depth) {
        if (er_is_8bit(x)) {
            normalize_bytes(x, y, from, s->depth);
            continue;
        }
        float sum = 0;
        for (size_t i = 0; i < s->depth; i++) sum += er_f32(x)[from + i] * er_f32(x)[from + i];
        const float norm = sqrtf(sum), divisor = norm > 1e-6f ? norm : 1e-6f;
        for (size_t i = 0; i < s->depth; i++) er_f32(y)[from + i] = er_f32(x)[from + i] / divisor;
    }
}

er_status er_prepare_l2_normalization(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (x->rank < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is a scalar");
    if (er_read_activation(op->def->options) != ER_ACT_NONE) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it has a fused activation");
    if (er_is_8bit(x)) {
        ER_TRY(er_expect_quantized(p, x, "input"));
        ER_TRY(er_expect_quantized(p, y, "output"));
        const int32_t zero = er_is_signed(y) ? 0 : 128;
        if (er_scale(y) != 1.0f / 128 || er_zero(y) != zero)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its output has scale %g and zero point %d, expected 1/128 and %d", (double)er_scale(y), er_zero(y), zero);
    }
    er_status status;
    normalization *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->depth = (size_t)x->dims[x->rank - 1];
    op->run = run_normalization;
    return er_set_same_shape(p, op->outputs[0], x);
}

// ---- LOCAL_RESPONSE_NORMALIZATION: float32

typedef struct { er_response_options o; int32_t depth; } response;

static void run_response(const er_op *op, er_pool *pool)
{
    const response *s = op->state;
    er_watch watch = {pool, 0};
    const er_tensor *x = op->inputs[0];
    for (size_t from = 0; s->depth && from < x->count; from += (size_t)s->depth) {
        const float *v = er_f32(x) + from;
        for (int32_t c = 0; c < s->depth; c++) {
            // Not the one at +radius: so the reference.
            const int64_t first = (int64_t)c - s->o.radius, end = (int64_t)c + s->o.radius;
            float sum = 0;
            for (int64_t i = first < 0 ? 0 : first; i < end && i < s->depth; i++) sum += v[i] * v[i];
            if (er_watch_ends(&watch, (size_t)s->depth)) return;
            er_f32(op->outputs[0])[from + (size_t)c] = v[c] * (float)pow((double)(s->o.bias + s->o.alpha * sum), (double)-s->o.beta);
        }
    }
}

er_status er_prepare_local_response_normalization(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_FLOAT32, "output"));
    er_status status;
    response *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (response){er_read_response(op->def->options), x->dims[3]};
    if (s->o.radius < 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its radius is %d", s->o.radius);
    op->run = run_response;
    return er_set_same_shape(p, op->outputs[0], x);
}

// ---- LOG_SOFTMAX: float32, int8, uint8. Integers: exp and log in fixed point; the output is in sixteenths.

typedef struct { size_t depth; er_multiplier m, reverse; int32_t least; } log_softmax;

static void log_softmax_bytes(const log_softmax *s, const er_tensor *x, const er_tensor *y, size_t from)
{
    int32_t max = er_lowest(x), sum = 0;
    for (size_t i = 0; i < s->depth; i++) max = er_max32(max, (int32_t)er_whole(x, from + i));
    for (size_t i = 0; i < s->depth; i++) {
        const int32_t d = (int32_t)er_whole(x, from + i) - max;
        if (d >= s->least) sum = (int32_t)((uint32_t)sum + (uint32_t)er_rounding_shift(er_exp_on_negative(er_requantize(d, s->m)), 12));
    }
    const int32_t log_sum = er_log_of_one_and_more(sum);
    const int32_t least = er_max32(s->least - 1, er_requantize((int32_t)((uint32_t)log_sum + (UINT32_C(1) << 31)), s->reverse));
    for (size_t i = 0; i < s->depth; i++) {
        const int32_t d = (int32_t)er_whole(x, from + i) - max;
        int32_t v = er_lowest(y);
        if (d > least) v = er_clamp32(er_rounding_shift((int32_t)((uint32_t)er_requantize(d, s->m) - (uint32_t)log_sum), 22) + er_highest(y), er_lowest(y), er_highest(y));
        er_u8(y)[from + i] = (uint8_t)v;
    }
}

static void run_log_softmax(const er_op *op, er_pool *pool)
{
    (void)pool;
    const log_softmax *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    for (size_t from = 0; s->depth && from < x->count; from += s->depth) {
        if (er_is_8bit(x)) {
            log_softmax_bytes(s, x, y, from);
            continue;
        }
        const float *v = er_f32(x) + from;
        float max = v[0], sum = 0;
        for (size_t i = 1; i < s->depth; i++) max = v[i] > max ? v[i] : max;
        for (size_t i = 0; i < s->depth; i++) sum += er_expf(v[i] - max);
        const float log_sum = logf(sum);
        for (size_t i = 0; i < s->depth; i++) er_f32(y)[from + i] = v[i] - max - log_sum;
    }
}

er_status er_prepare_log_softmax(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (x->rank < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is a scalar");
    er_status status;
    log_softmax *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->depth = (size_t)x->dims[x->rank - 1];
    op->run = run_log_softmax;
    if (er_is_8bit(x)) {
        ER_TRY(er_expect_quantized(p, x, "input"));
        if (er_scale(y) != 16.0f / 256 || er_zero(y) != er_highest(y))
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its output has scale %g and zero point %d, expected 1/16 and %d", (double)er_scale(y), er_zero(y), er_highest(y));
        const double real = fmin((double)er_scale(x) * (1 << 26), 2147483647.0);
        if (!(real > 1)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input's scale, %g, is too small", (double)er_scale(x));
        s->m = er_make_multiplier(real);
        s->reverse = er_make_multiplier(ldexp(1, 31 - s->m.shift) / (double)s->m.q);
        s->least = -(int32_t)floor(31.0 * (1 << 26) / ldexp(1, s->m.shift));
    }
    return er_set_same_shape(p, op->outputs[0], x);
}
