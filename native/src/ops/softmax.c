// SOFTMAX over the last dimension. int8, uint8 (also to int16), int16, float32.
//
// Integers: exp of the difference to the maximum, of which there are at most 256, comes from a table in Q0.31; the sum
// is kept in Q12.19, normalized, and inverted by Newton-Raphson, as gemmlowp does.
#include <math.h>
#include <string.h>

#include "base/one_value.h"
#include "ops/table16.h"

typedef struct {
    bool is_float, is_signed, to_int16;
    float beta;
    size_t depth;
    const er_kernels *kernels;
    int32_t exps[256];          // by difference to the maximum; of those that are out of reach, 0
    int32_t parts[256];         // of the sum
    uint8_t pairs[256][2];      // depth 2: what the larger and the other one become, by difference
} softmax;

enum { BY_KERNEL = 32, BY_TABLE = 128 };        // from so many values on they are scaled together, or all 256 answers are

// The largest of n bytes that are unsigned when `flip` has been applied.
static int32_t largest(const uint8_t *x, size_t n, uint8_t flip)
{
    enum { LANES = 16 };
    uint8_t lane[LANES] = {0}, most = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            const uint8_t v = x[i + j] ^ flip;
            lane[j] = v > lane[j] ? v : lane[j];
        }
    }
    for (size_t j = 0; j < LANES; j++) most = lane[j] > most ? lane[j] : most;
    for (; i < n; i++) most = (x[i] ^ flip) > most ? x[i] ^ flip : most;
    return most;
}

// Each value by one shift of all 64 bits: what is not negative is so rounded twice, to the nearest of 2^31 first, then of 2^shift.
static void scale_few(const softmax *s, const uint8_t *x, int32_t max, uint8_t flip, int32_t scale, int32_t shift, void *y)
{
    const uint64_t halves = (UINT64_C(1) << 30) + (UINT64_C(1) << (shift + 30));
    for (size_t i = 0; i < s->depth; i++) {
        const uint64_t v = ((uint64_t)scale * (uint64_t)s->exps[max - (x[i] ^ flip)] + halves) >> (shift + 31);
        if (s->to_int16) ((int16_t *)y)[i] = (int16_t)(v < UINT16_MAX ? (int32_t)v + INT16_MIN : INT16_MAX);
        else ((uint8_t *)y)[i] = (uint8_t)((v < UINT8_MAX ? v : UINT8_MAX) ^ flip);
    }
}

static void scale_by_kernel(const softmax *s, const uint8_t *x, int32_t max, uint8_t flip, er_multiplier m, uint8_t *y)
{
    int32_t exps[BY_TABLE];
    const int32_t zero = flip ? INT8_MIN : 0;
    for (size_t i = 0; i < s->depth; i++) exps[i] = s->exps[max - (x[i] ^ flip)];
    s->kernels->requantize_sums(s->depth, exps, 0, m, &(er_output){.zero = zero, .min = zero, .max = zero + UINT8_MAX}, y);
}

static void scale_by_table(const softmax *s, const uint8_t *x, int32_t max, uint8_t flip, er_multiplier m, uint8_t *y)
{
    uint8_t by_difference[256], table[256];
    s->kernels->requantize_sums((size_t)max + 1, s->exps, 0, m, &(er_output){.max = UINT8_MAX}, by_difference);
    for (int32_t v = 0; v <= max; v++) table[v ^ flip] = by_difference[max - v] ^ flip;
    for (int32_t v = max + 1; v < 256; v++) table[v ^ flip] = 0;        // none is larger
    s->kernels->qlookup(s->depth, x, table, y);
}

static void softmax_bytes(const softmax *s, const uint8_t *x, void *y)
{
    const uint8_t flip = s->is_signed ? 0x80 : 0;   // so that int8 compares as uint8
    const int32_t max = largest(x, s->depth, flip);
    uint32_t unsigned_sum = 0;
    for (size_t i = 0; i < s->depth; i++) unsigned_sum += (uint32_t)s->parts[max - (x[i] ^ flip)];
    const int32_t sum = (int32_t)unsigned_sum;
    const int32_t headroom = sum > 0 ? __builtin_clz((uint32_t)sum) : 0;     // 12 at the most: the largest alone is 2^19
    const int32_t scale = er_one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - (UINT32_C(1) << 31)));
    const int32_t shift = 12 - headroom + 31 - (s->to_int16 ? 16 : 8);
    const er_multiplier m = {scale, -shift};
    if (shift > 31) {       // from 512 equal classes on half of the last bit is not reached. (The reference aborts.)
        if (!s->to_int16) memset(y, flip, s->depth);
        for (size_t i = 0; s->to_int16 && i < s->depth; i++) ((int16_t *)y)[i] = INT16_MIN;
    } else if (s->to_int16 || s->depth < BY_KERNEL) {
        scale_few(s, x, max, flip, scale, shift, y);
    } else if (s->depth < BY_TABLE) {
        scale_by_kernel(s, x, max, flip, m, y);
    } else {
        scale_by_table(s, x, max, flip, m, y);
    }
}

static void run_pairs(const er_op *op, er_pool *pool)
{
    (void)pool;
    const softmax *s = op->state;
    const uint8_t flip = s->is_signed ? 0x80 : 0, *x = er_u8(op->inputs[0]);
    uint8_t *y = er_u8(op->outputs[0]);
    for (size_t i = 0; i + 2 <= op->inputs[0]->count; i += 2) {
        const int32_t difference = (x[i] ^ flip) - (x[i + 1] ^ flip);
        const int second = difference < 0;
        const uint8_t *pair = s->pairs[second ? -difference : difference];
        y[i] = pair[second];
        y[i + 1] = pair[!second];
    }
}

// ---- int16: exp and the reciprocal by tables of lines

typedef struct { size_t depth; er_multiplier m; int16_t exps[ER_TABLE16], reciprocals[ER_TABLE16]; } softmax16;

static double one_over_one_plus(double x) { return 1 / (1 + x); }

static void softmax_int16(const softmax16 *s, const int16_t *x, int16_t *y)
{
    int32_t max = INT16_MIN, sum = 0;
    for (size_t i = 0; i < s->depth; i++) max = er_max32(max, x[i]);
    for (size_t i = 0; i < s->depth; i++) {
        // Differences down to -10 are [-65535, 0] on the table's scale.
        const int64_t d = (int64_t)er_requantize(x[i] - max, s->m) + 32767;
        y[i] = er_table16_at(s->exps, (int16_t)er_clamp64(d, INT16_MIN, INT16_MAX));
        sum = (int32_t)((uint32_t)sum + (uint32_t)y[i]);
    }
    // Sums of more than 65536 elements wrap.
    const int32_t lead = sum > 1 ? __builtin_clz((uint32_t)sum) : 1;
    const int32_t shifted = (int32_t)((sum * (INT64_C(1) << (lead - 1)) + (1 << 13)) >> 14) - ((1 << 15) + (1 << 16));
    const int16_t reciprocal = er_table16_at(s->reciprocals, (int16_t)er_clamp32(shifted, INT16_MIN, INT16_MAX));
    const int32_t right = 31 - lead;
    for (size_t i = 0; i < s->depth; i++)
        y[i] = (int16_t)er_clamp32((int32_t)(((int64_t)y[i] * reciprocal + (INT64_C(1) << (right - 1))) >> right), 0, INT16_MAX);
}

static void run_softmax16(const er_op *op, er_pool *pool)
{
    (void)pool;
    const softmax16 *s = op->state;
    for (size_t i = 0; s->depth && i + s->depth <= op->inputs[0]->count; i += s->depth)
        softmax_int16(s, (const int16_t *)op->inputs[0]->data + i, (int16_t *)op->outputs[0]->data + i);
}

static er_status prepare_int16(er_prepare *p, er_op *op)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    ER_TRY(er_expect_symmetric(p, x, "input"));
    ER_TRY(er_expect_symmetric(p, y, "output"));
    if (fabsf(er_scale(y) - 1.0f / 32768) > 1e-3f / 32768) return er_op_fail(p, EDGERT_ERROR_MODEL, "its output has scale %g, expected 1/32768", (double)er_scale(y));
    er_status status;
    softmax16 *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->depth = (size_t)x->dims[x->rank - 1];
    s->m = er_make_multiplier((double)(er_scale(x) * er_read_softmax_beta(op->def->options)) / (10.0 / 65535.0));
    er_table16_fill_double(10.0 / 65535, INT16_MAX, 2.0 / 65535, 0, exp, s->exps);
    er_table16_fill_double(1.0 / 65535, INT16_MIN, 2.0 / 65535, 0, one_over_one_plus, s->reciprocals);
    op->run = run_softmax16;
    op->kernel = "table";
    return ER_OK;
}

ER_FLOAT_LOOP(take_off, (v - max) * beta, , float max, float beta)
ER_FLOAT_LOOP(divide, v / sum, , float sum)

static void softmax_floats(const softmax *s, const float *x, float *y)
{
    enum { LANES = 16 };
    float lane[LANES], max = -INFINITY, sum = 0;
    for (size_t j = 0; j < LANES; j++) lane[j] = max;
    size_t i = 0;
    for (; i + LANES <= s->depth; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] = lane[j] < x[i + j] ? x[i + j] : lane[j];
    for (size_t j = 0; j < LANES; j++) max = max < lane[j] ? lane[j] : max;
    for (; i < s->depth; i++) max = max < x[i] ? x[i] : max;
    take_off(s->depth, x, y, max, s->beta);
    s->kernels->exp_floats(s->depth, y, y);
    for (i = 0; i < s->depth; i++) sum += y[i];     // in the reference's order
    divide(s->depth, y, y, sum);
}

static void run_softmax(const er_op *op, er_pool *pool)
{
    (void)pool;
    const softmax *s = op->state;
    for (size_t i = 0; i + s->depth <= op->inputs[0]->count && s->depth; i += s->depth) {
        if (s->is_float) softmax_floats(s, er_f32(op->inputs[0]) + i, er_f32(op->outputs[0]) + i);
        else softmax_bytes(s, er_u8(op->inputs[0]) + i, er_u8(op->outputs[0]) + (s->to_int16 ? 2 * i : i));
    }
}

er_status er_prepare_softmax(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    const bool to_int16 = er_is_8bit(x) && er_is_16bit(y);
    if (!to_int16) ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (x->rank < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is a scalar");
    ER_TRY(er_set_same_shape(p, y, x));
    if (er_is_16bit(x)) return prepare_int16(p, op);
    er_status status;
    softmax *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (softmax){.kernels = p->kernels, .is_float = !er_is_8bit(x), .is_signed = er_is_signed(x), .to_int16 = to_int16, .beta = er_read_softmax_beta(op->def->options),
                   .depth = (size_t)x->dims[x->rank - 1]};
    op->run = run_softmax;
    if (s->is_float) return ER_OK;
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    int32_t zero = s->is_signed ? -128 : 0;
    if (!to_int16 && (er_zero(y) != zero || fabsf(er_scale(y) - 1.0f / 256) > 1e-3f / 256))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its output has scale %g and zero point %d, expected 1/256 and %d", (double)er_scale(y), er_zero(y), zero);
    // Differences times beta and scale, in Q5.26.
    double real = fmin((double)s->beta * (double)er_scale(x) * (1 << 26), 2147483647.0);
    if (!(real > 1)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its beta times the input's scale, %g, is too small", (double)s->beta * (double)er_scale(x));
    er_multiplier m = er_make_multiplier(real);
    double reach = floor(31.0 * (double)(1 << 26) / (double)(INT64_C(1) << m.shift));
    for (int32_t d = 0; d <= (reach > 255 ? 255 : (int32_t)reach); d++) {
        s->exps[d] = er_exp_on_negative(er_doubling_high_mul((int32_t)((uint32_t)-d << m.shift), m.q));
        s->parts[d] = er_rounding_shift(s->exps[d], 12);
    }
    if (s->depth != 2 || to_int16) return ER_OK;
    for (int32_t d = 0; d < 256; d++) {
        const uint8_t flip = s->is_signed ? 0x80 : 0, x2[2] = {255 ^ flip, (uint8_t)((255 - d) ^ flip)};
        softmax_bytes(s, x2, s->pairs[d]);
    }
    op->run = run_pairs;
    op->kernel = "table of pairs";
    return ER_OK;
}
