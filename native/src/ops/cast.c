// CAST between bool, 8, 16, 32 and 64-bit integers and float32. Floats are cut towards zero; what does not fit the integer becomes its
// nearest value, and NaN 0 (the reference leaves that to the compiler).
#include <math.h>
#include <string.h>

#include "ops/whole.h"

enum { CASTS = ER_T(EDGERT_BOOL) | ER_T(EDGERT_INT8) | ER_T(EDGERT_UINT8) | ER_T(EDGERT_INT16) | ER_INDEX | ER_FLOAT };

// A bool is 0 or 1, whatever byte it is.
static inline int64_t int_at(const er_tensor *t, size_t i)
{
    const int64_t v = er_whole(t, i);
    return t->def->type == EDGERT_BOOL ? v != 0 : v;
}

static int64_t cut(float x, int64_t low, int64_t high)
{
    if (!(x == x)) return 0;
    return x <= (float)low ? low : x >= (float)high ? high : (int64_t)x;
}

static void cast_span(const er_op *op, size_t first, size_t end)
{
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    edgert_type from = x->def->type, to = y->def->type;
    if (from == EDGERT_UINT8 && to == EDGERT_FLOAT32) {     // pictures
        const uint8_t *bytes = er_u8(x);
        float *floats = er_f32(y);
        for (size_t i = first; i < end; i++) floats[i] = bytes[i];
    } else if (to == EDGERT_FLOAT32) {
        for (size_t i = first; i < end; i++) er_f32(y)[i] = from == EDGERT_FLOAT32 ? er_f32(x)[i] : (float)int_at(x, i);
    } else if (from == EDGERT_FLOAT32 && to == EDGERT_BOOL) {
        for (size_t i = first; i < end; i++) er_u8(y)[i] = er_f32(x)[i] != 0;
    } else if (from == EDGERT_FLOAT32) {
        int64_t low, high;
        er_whole_limits(to, &low, &high);
        for (size_t i = first; i < end; i++) er_put_whole(y, i, cut(er_f32(x)[i], low, high));
    } else {
        for (size_t i = first; i < end; i++) er_put_whole(y, i, int_at(x, i));
    }
}

static void run_cast(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 0.8, cast_span, op); }

er_status er_prepare_cast(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    if (!(ER_T(x->def->type) & CASTS) || !(ER_T(y->def->type) & CASTS))
        return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it casts %s to %s", er_type_name(x->def->type), er_type_name(y->def->type));
    op->run = run_cast;
    return er_set_same_shape(p, op->outputs[0], x);
}
