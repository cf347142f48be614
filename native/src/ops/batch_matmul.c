// BATCH_MATMUL: products of matrices, of which the last two dimensions are; the others broadcast. float32; int8 (also to int32); int16, also by int8.
// float32 by int8 is quantized as it runs (hybrid): the input by rows.
#include <string.h>

#include "ops/broadcast.h"
#include "ops/dynamic_range.h"
#include "ops/whole.h"

typedef struct {
    er_broadcast batches;       // of matrices
    size_t m, n, k;
    bool transposed_x, transposed_z, wide, raw, hybrid, asymmetric;
    int32_t x_zero, z_zero;
    const er_kernels *kernels;
    er_multiplier q;
    er_output o;
} matmul;

// Where element (row, i) of the first matrix and (i, column) of the second lie.
static inline size_t x_at(const matmul *s, size_t row, size_t i) { return s->transposed_x ? i * s->m + row : row * s->k + i; }
static inline size_t z_at(const matmul *s, size_t column, size_t i) { return s->transposed_z ? column * s->k + i : i * s->n + column; }

static void product_floats(const matmul *s, const float *x, const float *z, float *y)
{
    for (size_t r = 0; r < s->m; r++)
        for (size_t c = 0; c < s->n; c++) {
            float sum = 0;
            for (size_t i = 0; i < s->k; i++) sum += x[x_at(s, r, i)] * z[z_at(s, c, i)];
            y[r * s->n + c] = sum;
        }
}

static void product_whole(const matmul *s, const er_op *op, size_t x, size_t z, size_t y)
{
    const er_tensor *a = op->inputs[0], *b = op->inputs[1], *out = op->outputs[0];
    for (size_t r = 0; r < s->m; r++)
        for (size_t c = 0; c < s->n; c++) {
            int64_t sum = 0;
            for (size_t i = 0; i < s->k; i++) sum += (er_whole(a, x + x_at(s, r, i)) - s->x_zero) * (er_whole(b, z + z_at(s, c, i)) - s->z_zero);
            const size_t to = y + r * s->n + c;
            if (s->raw) {
                er_put_whole(out, to, sum);
                continue;
            }
            const int64_t v = (int64_t)(s->wide ? er_requantize64(sum, s->q) : er_requantize((int32_t)sum, s->q)) + s->o.zero;
            er_put_whole(out, to, er_clamp64(v, s->o.min, s->o.max));
        }
}

static void product_hybrid(const matmul *s, const er_op *op, const float *x, const int8_t *z, float *y)
{
    float *row = (float *)(void *)op->scratch;
    int8_t *bytes = (int8_t *)(op->scratch + s->k * sizeof *row);
    const er_quantization *w = &op->inputs[1]->def->quant;
    for (size_t r = 0; r < s->m; r++) {
        for (size_t i = 0; i < s->k; i++) row[i] = x[x_at(s, r, i)];
        const er_dynamic q = er_quantize_floats(s->kernels, row, s->k, s->asymmetric, bytes);
        for (size_t c = 0; c < s->n; c++) {
            int32_t sum = 0;
            for (size_t i = 0; i < s->k; i++) sum += (bytes[i] - q.zero) * z[z_at(s, c, i)];
            y[r * s->n + c] = q.scale * w->scale[w->n > 1 ? c : 0] * (float)sum;
        }
    }
}

static void run_matmul(const er_op *op, er_pool *pool)
{
    (void)pool;
    const matmul *s = op->state;
    const er_tensor *x = op->inputs[0], *z = op->inputs[1], *y = op->outputs[0];
    for (size_t r = 0; r < s->batches.outer; r++) {
        size_t a, b;
        er_broadcast_offsets(&s->batches, r, &a, &b);
        for (size_t i = 0; i < s->batches.run; i++) {
            const size_t at_x = (a + i * s->batches.a_step) * s->m * s->k, at_z = (b + i * s->batches.b_step) * s->k * s->n, at_y = (r * s->batches.run + i) * s->m * s->n;
            if (s->hybrid) product_hybrid(s, op, er_f32(x) + at_x, er_i8(z) + at_z, er_f32(y) + at_y);
            else if (x->def->type == EDGERT_FLOAT32) product_floats(s, er_f32(x) + at_x, er_f32(z) + at_z, er_f32(y) + at_y);
            else product_whole(s, op, at_x, at_z, at_y);
        }
    }
}

er_status er_prepare_batch_matmul(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0], *z = op->inputs[1];
    er_tensor *y = op->outputs[0];
    const er_batch_matmul_options o = er_read_batch_matmul(op->def->options);
    if (x->rank < 2 || z->rank < 2) return er_op_fail(p, EDGERT_ERROR_MODEL, "its inputs have rank %d and %d, expected 2 or more", x->rank, z->rank);
    er_status status;
    matmul *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    const int32_t *dx = x->dims + x->rank - 2, *dz = z->dims + z->rank - 2;
    *s = (matmul){.kernels = p->kernels, .m = (size_t)dx[o.adjoint_x], .k = (size_t)dx[!o.adjoint_x], .n = (size_t)dz[!o.adjoint_y], .transposed_x = o.adjoint_x, .transposed_z = o.adjoint_y};
    if (s->k != (size_t)dz[o.adjoint_y]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its matrices have %zu columns and %d rows, expected as many", s->k, dz[o.adjoint_y]);
    // The shape of the batch, as if each matrix were an element.
    er_tensor bx = *x, bz = *z, by = *y;
    bx.rank -= 2;
    bz.rank -= 2;
    by.constant = false;
    ER_TRY(er_broadcast_shapes(p, &bx, &bz, &by, &s->batches));
    int32_t dims[ER_MAX_RANK + 2];
    memcpy(dims, by.dims, sizeof by.dims);
    dims[by.rank] = (int32_t)s->m;
    dims[by.rank + 1] = (int32_t)s->n;
    ER_TRY(er_set_shape(p, y, dims, by.rank + 2));
    op->run = run_matmul;
    op->macs = (int64_t)y->count * (int64_t)s->k;
    op->kernel = "plain product";
    const edgert_type a = x->def->type, b = z->def->type, c = y->def->type;
    if (a == EDGERT_FLOAT32 && b == EDGERT_FLOAT32 && c == EDGERT_FLOAT32) return ER_OK;
    if (a == EDGERT_FLOAT32 && b == EDGERT_INT8 && c == EDGERT_FLOAT32) {
        if (z->def->quant.n != 1 && (size_t)z->def->quant.n != s->n) return er_op_fail(p, EDGERT_ERROR_MODEL, "its second input has %d scales", z->def->quant.n);
        s->hybrid = true;
        s->asymmetric = o.asymmetric;
        op->scratch_bytes = s->k * (sizeof(float) + 1);
        return ER_OK;
    }
    const bool bytes = a == EDGERT_INT8 && b == EDGERT_INT8 && (c == EDGERT_INT8 || c == EDGERT_INT32);
    const bool wide = a == EDGERT_INT16 && (b == EDGERT_INT16 || b == EDGERT_INT8) && c == EDGERT_INT16;
    if (!bytes && !wide) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it multiplies %s by %s to %s", er_type_name(a), er_type_name(b), er_type_name(c));
    s->raw = c == EDGERT_INT32;
    if (s->raw) return ER_OK;
    ER_TRY(er_expect_quantized(p, x, "first input"));
    const er_quantization *w = &z->def->quant;
    const bool per_channel = w->n > 1 && (size_t)w->n == s->n;
    if (!per_channel) ER_TRY(er_expect_quantized(p, z, "second input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    ER_TRY(er_activation_output(p, ER_ACT_NONE, y, &s->o));
    s->wide = wide;
    s->x_zero = er_zero(x);
    s->z_zero = er_zero(z);
    // The reference knows one scale here, and takes 0 for it where there are more: its answer, on any path, is the zero point.
    s->q = er_make_multiplier(per_channel ? 0 : (double)(er_scale(x) * er_scale(z)) / (double)er_scale(y));
    if (wide && s->q.shift > 14) return er_op_fail(p, EDGERT_ERROR_MODEL, "its scales make too large a multiplier");
    return ER_OK;
}
