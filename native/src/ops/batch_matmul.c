// BATCH_MATMUL: products of matrices, of which the last two dimensions are; the others broadcast. float32; int8 (also to int32); int16, also by int8.
// float32 by int8 is quantized as it runs (hybrid): the input by rows.
//
// Of int8 the second matrix is packed as weights are where there are enough rows to be worth it; all else are dot products.
#include <math.h>
#include <string.h>

#include "kernels/pack.h"
#include "ops/broadcast.h"
#include "ops/carve.h"
#include "ops/dynamic_range.h"
#include "ops/matmul.h"
#include "ops/whole.h"

typedef struct {
    er_broadcast batches;       // of matrices
    size_t m, n, k;
    size_t x_bytes, z_bytes;    // of an element
    bool transposed_x, transposed_z, raw, asymmetric;
    enum { FLOATS, HYBRID, BYTES, WORDS } way;
    int32_t x_zero, z_zero;
    const er_kernels *kernels;
    er_multiplier q;
    er_output o;
    bool packs;                 // BYTES and HYBRID: by `mm`, whose packed weights are in the memory of the run
    er_matmul mm;
    er_channel *channels;       // [n], without biases
} matmul;

enum { BLOCK = 32, LEAST_ROWS = 4 };    // rows that are multiplied at once, and for which packing is worth it

// Rows of the first matrix, or columns of the second, each next to itself: as they are, or turned into `room`, some at a time, so that each
// cache line is read once.
static const uint8_t *turned(const uint8_t *x, size_t rows, size_t k, size_t each, bool apart, uint8_t *room)
{
    enum { TOGETHER = 16 };
    if (!apart) return x;
    for (size_t r0 = 0; r0 < rows; r0 += TOGETHER) {
        const size_t end = rows - r0 < TOGETHER ? rows : r0 + TOGETHER;
        for (size_t i = 0; i < k; i++) {
            const uint8_t *from = x + i * rows * each;
            switch (each) {
            case 1: for (size_t r = r0; r < end; r++) room[r * k + i] = from[r]; break;
            case 2: for (size_t r = r0; r < end; r++) memcpy(room + 2 * (r * k + i), from + 2 * r, 2); break;
            default: for (size_t r = r0; r < end; r++) memcpy(room + 4 * (r * k + i), from + 4 * r, 4);
            }
        }
    }
    return room;
}

// The memory of one product: the two matrices as rows of k, what the kernel reads of them, and a block of the first one's rows, with their sums.
typedef struct { uint8_t *x, *z; uint8_t *packed; int64_t *sums; int8_t *quantized; uint8_t *rows; int32_t *products; } room;

static void lay_out(const matmul *s, er_carver *c, room *m)
{
    const er_sgemm *g = &s->kernels->sgemm;
    m->x = s->transposed_x ? er_carve(c, s->m * s->k * s->x_bytes) : NULL;
    m->z = !s->transposed_z && s->way != FLOATS ? er_carve(c, s->n * s->k * s->z_bytes) : NULL;
    m->packed = NULL;
    if (s->way == FLOATS) m->packed = er_carve(c, (s->n + (size_t)g->nr - 1) / (size_t)g->nr * er_sgemm_panel_floats(g, s->k) * sizeof(float));
    else if (s->packs) m->packed = er_carve(c, s->mm.group_bytes + ER_SLACK);
    m->sums = er_carve(c, s->n * sizeof *m->sums);
    m->quantized = er_carve(c, s->way == HYBRID ? s->k : 0);
    m->rows = er_carve(c, s->packs ? BLOCK * er_matmul_run_bytes(&s->mm) + ER_SLACK : 0);
    m->products = er_carve(c, (s->packs ? BLOCK * er_matmul_lanes(&s->mm) : s->n) * sizeof *m->products);
}

static void product_floats(const matmul *s, const er_pool *pool, const float *x, const float *z, float *packed, float *y)
{
    const er_sgemm *g = &s->kernels->sgemm;
    if (s->transposed_z) er_sgemm_pack(g, s->n, s->k, z, NULL, packed);
    else er_sgemm_pack_rows(g, s->n, s->k, z, packed);
    const size_t most = er_longest_task(s->n * s->k);
    for (size_t r = 0; r < s->m && !er_pool_stopped(pool); r += most) {
        const er_rows rows = {.a = x + r * s->k, .lines = 1, .m = s->m - r < most ? s->m - r : most, .row_stride = s->k * sizeof *x, .segments = 1, .groups = s->k};
        g->run(&rows, s->n, packed, er_sgemm_panel_floats(g, s->k), -INFINITY, INFINITY, y + r * s->n, s->n);
    }
}

// A sum of products of int16, less what zero points add.
static int64_t sum_at(const matmul *s, const uint8_t *x, const uint8_t *z, int64_t x_sum, int64_t z_sum)
{
    int64_t sum = 0;
    if (s->z_bytes == 1) sum = s->kernels->dot_words(s->k, (const int16_t *)(const void *)x, (const int8_t *)z) - s->x_zero * z_sum;
    else {
        const int16_t *a = (const int16_t *)(const void *)x, *b = (const int16_t *)(const void *)z;
        for (size_t i = 0; i < s->k; i++) sum += (int64_t)a[i] * b[i];
        sum -= s->x_zero * z_sum;
    }
    return s->z_zero ? sum - s->z_zero * (x_sum - (int64_t)s->k * s->x_zero) : sum;
}

static int64_t sum_of(const uint8_t *x, size_t n, size_t each)
{
    if (each == 1) return er_sum_int8((const int8_t *)x, n);
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((const int16_t *)(const void *)x)[i];
    return sum;
}

static void product_words(const matmul *s, const er_pool *pool, const uint8_t *x, const uint8_t *z, int64_t *z_sums, const er_tensor *out, size_t y)
{
    er_watch watch = {pool, 0};
    for (size_t c = 0; c < s->n; c++) z_sums[c] = s->x_zero ? sum_of(z + c * s->k * s->z_bytes, s->k, s->z_bytes) : 0;
    for (size_t r = 0; r < s->m; r++) {
        if (er_watch_ends(&watch, s->n * s->k)) return;
        const uint8_t *row = x + r * s->k * s->x_bytes;
        const int64_t x_sum = s->z_zero ? sum_of(row, s->k, s->x_bytes) : 0;
        for (size_t c = 0; c < s->n; c++) {
            const int64_t sum = sum_at(s, row, z + c * s->k * s->z_bytes, x_sum, z_sums[c]);
            er_put_whole(out, y + r * s->n + c, er_clamp64((int64_t)er_requantize64(sum, s->q) + s->o.zero, s->o.min, s->o.max));
        }
    }
}

// A row of outputs of its sums, which the first matrix's zero point is off already; `less` is what the second's adds (row_excess). `y` counts elements.
static void finish_row(const matmul *s, const int32_t *sums, int32_t less, const er_tensor *out, size_t y)
{
    if (!s->raw) {
        s->kernels->requantize_sums(s->n, sums, less, s->q, &s->o, er_u8(out) + y);
        return;
    }
    int32_t *to = er_i32(out) + y;
    for (size_t c = 0; c < s->n; c++) to[c] = (int32_t)((uint32_t)sums[c] - (uint32_t)less);
}

static int32_t row_excess(const matmul *s, const int8_t *row)
{
    const int64_t sum = s->z_zero ? er_sum_int8(row, s->k) - (int64_t)s->k * s->x_zero : 0;
    return (int32_t)((uint32_t)s->z_zero * (uint32_t)sum);
}

static void product_bytes(const matmul *s, const er_pool *pool, const int8_t *x, const int8_t *z, int32_t *sums, const er_tensor *out, size_t y)
{
    er_watch watch = {pool, 0};
    for (size_t r = 0; r < s->m; r++, x += s->k, y += s->n) {
        if (er_watch_ends(&watch, s->n * s->k)) return;
        for (size_t c = 0; c < s->n; c++) sums[c] = s->kernels->dot_bytes(s->k, z + c * s->k, x, s->x_zero);
        finish_row(s, sums, row_excess(s, x), out, y);
    }
}

static void product_hybrid(const matmul *s, const er_pool *pool, const er_quantization *w, const float *x, const int8_t *z, int8_t *bytes, float *y)
{
    er_watch watch = {pool, 0};
    for (size_t r = 0; r < s->m; r++) {
        if (er_watch_ends(&watch, s->n * s->k)) return;
        const er_dynamic q = er_quantize_floats(s->kernels, x + r * s->k, s->k, s->asymmetric, bytes);
        for (size_t c = 0; c < s->n; c++)
            y[r * s->n + c] = q.scale * w->scale[w->n > 1 ? c : 0] * (float)s->kernels->dot_bytes(s->k, z + c * s->k, bytes, q.zero);
    }
}

// Whether the kernel takes all of n weights.
static bool takes(const er_qgemm *g, const int8_t *z, size_t n)
{
    int8_t least = 127;
    for (size_t i = 0; i < n; i++) least = z[i] < least ? z[i] : least;
    return least >= g->least;
}

static void product_packed(const matmul *s, const er_pool *pool, const er_quantization *w, const uint8_t *x, const int8_t *z, const room *m, const er_tensor *out, size_t y)
{
    const er_gemm_weights all = {s->n, 1, s->k, z, false, 0};
    er_matmul mm = s->mm;
    mm.packed = m->packed;
    er_qgemm_pack(mm.gemm, &all, 0, NULL, mm.pad, s->channels, false, m->packed);
    const size_t row_bytes = er_matmul_run_bytes(&mm);
    for (size_t c = 0; c < s->n && s->way == HYBRID; c++) m->sums[c] = er_sum_int8(z + c * s->k, s->k);
    for (size_t r0 = 0, rows; r0 < s->m; r0 += rows) {
        if (er_pool_stopped(pool)) return;
        rows = s->m - r0 < BLOCK ? s->m - r0 : BLOCK;
        er_dynamic q[BLOCK];
        for (size_t r = 0; r < rows; r++) {
            const uint8_t *row = x + (r0 + r) * s->k * s->x_bytes;
            if (s->way == HYBRID) {
                q[r] = er_quantize_floats(s->kernels, (const float *)(const void *)row, s->k, s->asymmetric, m->quantized);
                row = (const uint8_t *)m->quantized;
            }
            uint8_t *to = m->rows + r * row_bytes;
            er_matmul_convert(&mm, to, row, s->k);
            memset(to + s->k * mm.element, 0, row_bytes - s->k * mm.element);
        }
        er_matmul_run_sums(&mm, m->rows, row_bytes, rows, NULL, m->products);
        for (size_t r = 0; r < rows; r++) {
            const int32_t *sums = m->products + r * er_matmul_lanes(&s->mm);
            const size_t to = y + (r0 + r) * s->n;
            if (s->way == HYBRID) {
                for (size_t c = 0; c < s->n; c++) {
                    const int32_t sum = (int32_t)((uint32_t)sums[c] - (uint32_t)q[r].zero * (uint32_t)m->sums[c]);
                    er_f32(out)[to + c] = q[r].scale * w->scale[w->n > 1 ? c : 0] * (float)sum;
                }
                continue;
            }
            finish_row(s, sums, row_excess(s, (const int8_t *)x + (r0 + r) * s->k), out, to);
        }
    }
}

typedef struct { const er_op *op; const er_pool *pool; } task_arg;

static void run_product(void *arg, size_t at, int thread)
{
    const task_arg *t = arg;
    const er_op *op = t->op;
    const matmul *s = op->state;
    const er_tensor *x = op->inputs[0], *z = op->inputs[1], *y = op->outputs[0];
    const size_t outer = at / s->batches.run, i = at % s->batches.run, to = at * s->m * s->n;
    size_t a, b;
    er_broadcast_offsets(&s->batches, outer, &a, &b);
    room m;
    lay_out(s, &(er_carver){op->scratch + (size_t)thread * op->scratch_stride, 0}, &m);
    const uint8_t *p = turned(er_u8(x) + (a + i * s->batches.a_step) * s->m * s->k * s->x_bytes, s->m, s->k, s->x_bytes, s->transposed_x, m.x);
    const uint8_t *q = turned(er_u8(z) + (b + i * s->batches.b_step) * s->k * s->n * s->z_bytes, s->n, s->k, s->z_bytes, m.z != NULL, m.z);
    if (s->packs && takes(s->mm.gemm, (const int8_t *)q, s->n * s->k)) product_packed(s, t->pool, &z->def->quant, p, (const int8_t *)q, &m, y, to);
    else if (s->way == FLOATS) product_floats(s, t->pool, (const float *)(const void *)p, (const float *)(const void *)q, (float *)(void *)m.packed, er_f32(y) + to);
    else if (s->way == HYBRID) product_hybrid(s, t->pool, &z->def->quant, (const float *)(const void *)p, (const int8_t *)q, m.quantized, er_f32(y) + to);
    else if (s->way == BYTES) product_bytes(s, t->pool, (const int8_t *)p, (const int8_t *)q, m.products, y, to);
    else product_words(s, t->pool, p, q, m.sums, y, to);
}

static void run_matmul(const er_op *op, er_pool *pool)
{
    const matmul *s = op->state;
    er_for(pool, s->batches.outer * s->batches.run, (double)op->macs * 4, run_product, &(task_arg){op, pool});
}

// Which way types go, and what each element takes.
static er_status choose_way(er_prepare *p, er_op *op, matmul *s)
{
    const edgert_type a = op->inputs[0]->def->type, b = op->inputs[1]->def->type, c = op->outputs[0]->def->type;
    s->x_bytes = er_type_size(a);
    s->z_bytes = er_type_size(b);
    const bool bytes = a == EDGERT_INT8 && b == EDGERT_INT8 && (c == EDGERT_INT8 || c == EDGERT_INT32);
    const bool words = a == EDGERT_INT16 && (b == EDGERT_INT16 || b == EDGERT_INT8) && c == EDGERT_INT16;
    if (a == EDGERT_FLOAT32 && c == EDGERT_FLOAT32 && (b == EDGERT_FLOAT32 || b == EDGERT_INT8)) s->way = b == EDGERT_INT8 ? HYBRID : FLOATS;
    else if (bytes || words) s->way = bytes ? BYTES : WORDS;
    else return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it multiplies %s by %s to %s", er_type_name(a), er_type_name(b), er_type_name(c));
    return ER_OK;
}

// Once zero points are known.
static er_status plan(er_prepare *p, er_op *op, matmul *s)
{
    s->packs = (s->way == BYTES || s->way == HYBRID) && s->m >= LEAST_ROWS && s->n && s->k && s->k <= INT32_MAX / 65536 * 256;
    if (s->packs) {
        s->mm = er_matmul_of_sums(p->kernels, s->way == BYTES ? s->x_zero : 0, s->n, s->k);
        er_status status;
        s->channels = er_alloc(p, s->n * sizeof *s->channels, &status);
        ER_TRY(status);
        for (size_t j = 0; j < s->n; j++) s->channels[j] = (er_channel){0, 1};
    }
    er_carver room_bytes = {NULL, 0};
    room unused;
    lay_out(s, &room_bytes, &unused);
    op->scratch_bytes = room_bytes.used;
    op->kernel = s->way == FLOATS ? "float product" : s->packs ? "product of packed columns" : "dot products";
    return ER_OK;
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
    ER_TRY(choose_way(p, op, s));
    if (s->way == FLOATS) return plan(p, op, s);
    if (s->way == HYBRID) {
        if (z->def->quant.n != 1 && (size_t)z->def->quant.n != s->n) return er_op_fail(p, EDGERT_ERROR_MODEL, "its second input has %d scales", z->def->quant.n);
        s->asymmetric = o.asymmetric;
        return plan(p, op, s);
    }
    s->raw = y->def->type == EDGERT_INT32;
    if (s->raw) return plan(p, op, s);
    ER_TRY(er_expect_quantized(p, x, "first input"));
    const er_quantization *w = &z->def->quant;
    const bool per_channel = w->n > 1 && (size_t)w->n == s->n;
    if (!per_channel) ER_TRY(er_expect_quantized(p, z, "second input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    ER_TRY(er_activation_output(p, ER_ACT_NONE, y, &s->o));
    s->x_zero = er_zero(x);
    s->z_zero = er_zero(z);
    // The reference knows one scale here, and takes 0 for it where there are more: its answer, on any path, is the zero point.
    s->q = er_make_multiplier(per_channel ? 0 : (double)(er_scale(x) * er_scale(z)) / (double)er_scale(y));
    if (s->way == WORDS && s->q.shift > 14) return er_op_fail(p, EDGERT_ERROR_MODEL, "its scales make too large a multiplier");
    return plan(p, op, s);
}
