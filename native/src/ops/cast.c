// CAST between bool, integers of 8 to 64 bits, float16, bfloat16, float32, float64 and complex64. Floats are cut towards zero; what does not fit the integer becomes its
// nearest value, and NaN 0 (the reference leaves that to the compiler). Of complex numbers the real part is taken.
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "ops/whole.h"

enum { WHOLE = ER_BOOL | ER_8BIT | ER_16BIT | ER_T(EDGERT_UINT16) | ER_T(EDGERT_UINT32) | ER_INDEX };

// A bool is 0 or 1, whatever byte it is.
static inline int64_t int_at(const er_tensor *t, size_t i)
{
    const int64_t v = er_whole(t, i);
    return t->def->type == EDGERT_BOOL ? v != 0 : v;
}

static inline double real_at(const er_tensor *t, size_t i)
{
    switch (t->def->type) {
    case EDGERT_FLOAT16: return (double)er_half_to_float(((const uint16_t *)t->data)[i]);
    case EDGERT_BFLOAT16: return (double)er_bfloat_to_float(((const uint16_t *)t->data)[i]);
    case EDGERT_FLOAT32: return (double)er_f32(t)[i];
    case EDGERT_FLOAT64: return ((const double *)t->data)[i];
    default: return (double)er_f32(t)[2 * i];
    }
}

static inline void put_float(const er_tensor *t, size_t i, float v)
{
    switch (t->def->type) {
    case EDGERT_FLOAT16: ((uint16_t *)t->data)[i] = er_float_to_half(v); break;
    case EDGERT_BFLOAT16: ((uint16_t *)t->data)[i] = er_float_to_bfloat(v); break;
    case EDGERT_FLOAT32: er_f32(t)[i] = v; break;
    default: er_f32(t)[2 * i] = v; er_f32(t)[2 * i + 1] = 0;
    }
}

static int64_t cut(double x, int64_t low, int64_t high)
{
    if (isnan(x)) return 0;
    return x <= (double)low ? low : x >= (double)high ? high : (int64_t)x;
}

static void cast_span(const er_op *op, size_t first, size_t end)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    const edgert_type from = x->def->type, to = y->def->type;
    const bool from_whole = ER_T(from) & WHOLE, to_whole = ER_T(to) & WHOLE;
    if (from == EDGERT_UINT8 && to == EDGERT_FLOAT32) {     // pictures
        const uint8_t *bytes = er_u8(x);
        float *floats = er_f32(y);
        for (size_t i = first; i < end; i++) floats[i] = bytes[i];
    } else if (from == to) {
        const size_t each = er_type_size(to);
        memcpy(er_u8(y) + first * each, er_u8(x) + first * each, (end - first) * each);
    } else if (from_whole && to_whole) {
        for (size_t i = first; i < end; i++) er_put_whole(y, i, int_at(x, i));
    } else if (to == EDGERT_FLOAT64) {
        for (size_t i = first; i < end; i++) ((double *)y->data)[i] = from_whole ? (double)int_at(x, i) : real_at(x, i);
    } else if (from_whole) {        // not through double: that would be rounded twice
        for (size_t i = first; i < end; i++) put_float(y, i, (float)int_at(x, i));
    } else if (!to_whole) {
        for (size_t i = first; i < end; i++) put_float(y, i, (float)real_at(x, i));
    } else if (to == EDGERT_BOOL) {
        for (size_t i = first; i < end; i++) er_u8(y)[i] = real_at(x, i) != 0;
    } else {
        int64_t low, high;
        er_whole_limits(to, &low, &high);
        for (size_t i = first; i < end; i++) er_put_whole(y, i, cut(real_at(x, i), low, high));
    }
}

static void run_cast(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 0.8, cast_span, op); }

er_status er_prepare_cast(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const edgert_type from = op->inputs[0]->def->type, to = op->outputs[0]->def->type;
    if (!(ER_T(from) & ER_CASTS) || !(ER_T(to) & ER_CASTS))
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it casts %s to %s", er_type_name(from), er_type_name(to));
    op->run = run_cast;
    return er_set_same_shape(p, op->outputs[0], op->inputs[0]);
}
