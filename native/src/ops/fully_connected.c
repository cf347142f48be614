// FULLY_CONNECTED. int8 (per tensor or channel), uint8 (per tensor), float32.
#include <string.h>

#include "ops/hybrid.h"
#include "ops/matmul.h"
#include "ops/products16.h"
#include "ops/weights.h"

typedef struct { er_matmul mm; size_t rows, n_split; bool direct; } fully_connected;
typedef struct { const er_op *op; const fully_connected *f; const er_pool *pool; er_rows rows; } task_arg;

static void run_channels(const task_arg *t, size_t n0, size_t n1, int thread)
{
    const er_matmul *mm = &t->f->mm;
    size_t *scratch = (size_t *)(void *)(t->op->scratch + (size_t)thread * t->op->scratch_stride);
    uint8_t *y = er_u8(t->op->outputs[0]);
    const size_t out_row = mm->n * (mm->is_float ? sizeof(float) : 1), most = er_longest_task(mm->n * mm->length);
    er_rows rows = t->rows;
    for (size_t left = rows.m; left && n0 < n1 && !er_pool_stopped(t->pool); left -= rows.m, rows.a += rows.m * rows.row_stride, y += rows.m * out_row) {
        rows.m = left < most ? left : most;
        er_matmul_run(mm, 0, &rows, scratch, n0, n1, y, mm->n);
    }
}

static void run_part(void *arg, size_t part, int thread)
{
    const task_arg *t = arg;
    size_t n0, n1;
    er_matmul_part(&t->f->mm, part, t->f->n_split, &n0, &n1);
    run_channels(t, n0, n1, thread);
}

static bool is_alone(const er_op *op, const fully_connected *f, const er_pool *pool) { return f->n_split == 1 || !er_is_shared(pool, (double)op->macs); }

static void run_rows(const er_op *op, er_pool *pool)
{
    const fully_connected *f = op->state;
    const er_matmul *mm = &f->mm;
    const uint8_t *x = er_u8(op->inputs[0]);
    const size_t stride = f->direct ? mm->length * mm->element : er_matmul_run_bytes(mm);
    for (size_t r = 0; r < f->rows && !f->direct; r++) {
        uint8_t *a = op->shared + r * stride;
        er_matmul_convert(mm, a, x + r * mm->length, mm->length);
        er_matmul_fill(mm, a + mm->length * mm->element, (stride - mm->length * mm->element) / mm->element);
    }
    task_arg t = {op, f, pool, {.a = f->direct ? x : op->shared, .lines = 1, .m = f->rows, .row_stride = stride, .segments = 1}};
    if (is_alone(op, f, pool)) run_channels(&t, 0, mm->n, 0);
    else er_pool_run(pool, f->n_split, run_part, &t);
}

// A row as it lies, with little around it: of layers of some kilobytes each, what is done between two is all that keeps weights from streaming.
static void run_row(const er_op *op, er_pool *pool)
{
    const fully_connected *f = op->state;
    if (is_alone(op, f, pool)) er_matmul_run_row(&f->mm, op->inputs[0]->data, op->outputs[0]->data);
    else run_rows(op, pool);
}

er_status er_prepare_fully_connected(er_prepare *p, er_op *op)
{
    const er_fully_connected_options o = er_read_fully_connected(op->def->options);
    ER_TRY(er_expect_io(p, op, 2, 3, o.weights_format && op->n_outputs == 2 ? 2 : 1));
    const bool blocks = op->inputs[1] && op->inputs[1]->def->quant.block_size;
    if (!blocks) ER_TRY(er_unpack_input(p, op, 1));
    const er_tensor *x = op->inputs[0], *w = op->inputs[1], *bias = op->n_inputs > 2 ? op->inputs[2] : NULL;
    er_tensor *y = op->outputs[0];
    ER_TRY(er_expect_rank(p, w, 2, "weights"));
    if (o.weights_format > 1) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its weights have format %d, which is not known", o.weights_format);
    size_t n = (size_t)w->dims[0], k = (size_t)w->dims[1];
    if (!k || x->count % k) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %zu values, expected a multiple of %zu", x->count, k);
    if (k > INT32_MAX / 65536 * 256) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has more products than a 32-bit sum holds");
    er_status status;
    fully_connected *f = op->state = er_alloc(p, sizeof *f, &status);
    ER_TRY(status);
    f->rows = x->count / k;
    if (o.keep_num_dims) {
        if (!x->rank || (size_t)x->dims[x->rank - 1] != k)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its input's last size is not %zu, the number of its products", k);
        int32_t dims[ER_MAX_RANK];
        memcpy(dims, x->dims, sizeof dims);
        dims[x->rank - 1] = w->dims[0];
        ER_TRY(er_set_shape(p, y, dims, x->rank));
    } else {
        ER_TRY(er_set_shape(p, y, (int32_t[]){(int32_t)f->rows, w->dims[0]}, 2));
    }
    if (blocks) return er_prepare_blockwise(p, op, o.activation, n, k);
    if (o.weights_format) return er_prepare_shuffled(p, op, o.activation, n, k);
    if (er_is_16bit(x)) return er_prepare_fully_connected16(p, op, o.activation);
    if (er_is_hybrid(op)) return er_prepare_hybrid_fully_connected(p, op, o.asymmetric, o.activation);
    if (er_suits_few_outputs(p, op, f->rows, n, k)) return er_prepare_few_outputs(p, op, o.activation, n, k);
    // The reference multiplies by a real number here, unlike anywhere else (docs/numerics.md).
    ER_TRY(er_matmul_prepare(p, &f->mm, x, w, bias, y, 1, n, 1, k, o.activation, true));
    // The kernel reads whole groups: what it takes as it lies must end with one, and not with a mapped file.
    f->direct = er_matmul_takes_raw(&f->mm) && !x->constant && er_matmul_run_bytes(&f->mm) == k * f->mm.element;
    if (f->rows == 1) ER_TRY(er_matmul_prepare_row(p, &f->mm));
    f->n_split = (size_t)p->threads;
    if (!f->direct && !er_mul_size(f->rows, er_matmul_run_bytes(&f->mm), &op->shared_bytes))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is too large");
    op->scratch_bytes = er_matmul_scratch(&f->mm);
    op->macs = (int64_t)y->count * (int64_t)k;
    op->kernel = f->mm.is_float ? "float product" : f->rows == 1 ? "vector by matrix" : "matrix product";
    op->run = f->mm.row.scale && f->direct ? run_row : run_rows;
    return ER_OK;
}
