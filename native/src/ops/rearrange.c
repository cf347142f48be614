// Elements in other places: TILE, BROADCAST_TO, REVERSE_V2, REVERSE_SEQUENCE, DEPTH_TO_SPACE, SPACE_TO_DEPTH, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND,
// SPLIT, SPLIT_V, MIRROR_PAD, MATRIX_DIAG, MATRIX_SET_DIAG, BITCAST. Any type.
#include <string.h>

#include "ops/move.h"
#include "ops/whole.h"

static void run_move(const er_op *op, er_pool *pool)
{
    (void)pool;
    er_move_run(op->state, op->inputs[0]->data, op->outputs[0]->data);
}

static er_status new_move(er_prepare *p, er_op *op, er_move **out)
{
    er_status status;
    er_move *m = op->state = *out = er_alloc(p, sizeof *m, &status);
    ER_TRY(status);
    ER_TRY(er_expect_type(p, op->outputs[0], op->inputs[0]->def->type, "output"));
    m->element = er_type_size(op->inputs[0]->def->type);
    op->run = run_move;
    return ER_OK;
}

// ---- TILE, BROADCAST_TO: the input, over and over. Each dimension is walked twice: copies of it, and in it.

static er_status use_repeats(er_prepare *p, er_op *op, const int32_t *in, const int32_t *times, int32_t rank)
{
    er_move *m;
    ER_TRY(new_move(p, op, &m));
    int32_t dims[ER_MAX_RANK];
    for (int32_t d = 0; d < rank; d++) {
        if (times[d] < 0 || (int64_t)in[d] * times[d] > INT32_MAX) return er_op_fail(p, EDGERT_ERROR_MODEL, "it repeats dimension %d, of size %d, %d times", d, in[d], times[d]);
        dims[d] = in[d] * times[d];
    }
    ER_TRY(er_set_shape(p, op->outputs[0], dims, rank));
    int64_t from[ER_MAX_RANK], to[ER_MAX_RANK];
    er_strides(in, rank, m->element, from);
    er_strides(dims, rank, m->element, to);
    for (int32_t d = 0; d < rank; d++) {
        if (times[d] != 1) {
            if (m->rank == ER_MAX_RANK) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it repeats too many dimensions");
            m->dims[m->rank] = times[d];
            m->from_stride[m->rank] = 0;
            m->to_stride[m->rank++] = to[d] * in[d];
        }
        if (in[d] == 1) continue;
        if (m->rank == ER_MAX_RANK) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "it repeats too many dimensions");
        m->dims[m->rank] = in[d];
        m->from_stride[m->rank] = from[d];
        m->to_stride[m->rank++] = to[d];
    }
    er_move_simplify(m);
    return ER_OK;
}

er_status er_prepare_tile(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    int32_t times[ER_MAX_RANK], n;
    ER_TRY(er_read_ints(p, op->inputs[1], "multiples", times, &n));
    if (n != op->inputs[0]->rank) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has %d multiples, expected %d", n, op->inputs[0]->rank);
    return use_repeats(p, op, op->inputs[0]->dims, times, n);
}

er_status er_prepare_broadcast_to(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    int32_t dims[ER_MAX_RANK], in[ER_MAX_RANK], times[ER_MAX_RANK], n;
    ER_TRY(er_read_ints(p, op->inputs[1], "shape", dims, &n));
    if (n < x->rank) return er_op_fail(p, EDGERT_ERROR_MODEL, "its shape has rank %d, its input %d", n, x->rank);
    for (int32_t d = 0; d < n; d++) {
        in[d] = d < n - x->rank ? 1 : x->dims[d - (n - x->rank)];
        if (dims[d] < 0 || (in[d] != 1 && in[d] != dims[d])) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input's size %d does not broadcast to %d in dimension %d", in[d], dims[d], d);
        times[d] = in[d] == dims[d] ? 1 : dims[d];
    }
    return use_repeats(p, op, in, times, n);
}

// ---- REVERSE_V2

er_status er_prepare_reverse_v2(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    int32_t axes[ER_MAX_RANK], n;
    er_move *m;
    ER_TRY(er_read_ints(p, op->inputs[1], "axis", axes, &n));
    ER_TRY(new_move(p, op, &m));
    ER_TRY(er_set_same_shape(p, op->outputs[0], x));
    m->rank = x->rank;
    memcpy(m->dims, x->dims, sizeof m->dims);
    er_strides(x->dims, x->rank, m->element, m->from_stride);
    er_strides(x->dims, x->rank, m->element, m->to_stride);
    bool turned[ER_MAX_RANK] = {false};
    for (int32_t i = 0; i < n; i++) {
        int32_t axis;
        ER_TRY(er_resolve_axis(p, axes[i], x->rank, &axis));
        if (turned[axis]) return er_op_fail(p, EDGERT_ERROR_MODEL, "it reverses axis %d twice", axis);
        turned[axis] = true;
        if (!x->count) continue;
        m->from += (x->dims[axis] - 1) * m->from_stride[axis];
        m->from_stride[axis] = -m->from_stride[axis];
    }
    er_move_simplify(m);
    return ER_OK;
}

// ---- REVERSE_SEQUENCE: the first lengths[b] elements along one axis, in each batch

typedef struct { int32_t along, batch; int64_t stride[ER_MAX_RANK]; } sequence;

static void run_sequence(const er_op *op, er_pool *pool)
{
    (void)pool;
    const sequence *s = op->state;
    const er_tensor *x = op->inputs[0], *lengths = op->inputs[1];
    const size_t each = er_type_size(x->def->type);
    int32_t at[ER_MAX_RANK] = {0};
    for (size_t i = 0; i < x->count; i++) {
        const int32_t b = at[s->batch], t = at[s->along];
        int64_t n = er_whole(lengths, (size_t)b);
        if (n < 0 || n > x->dims[s->along]) {
            er_op_fault(op, "a length is negative or longer than the sequence");
            n = 0;
        }
        const int64_t to = (int64_t)i + (t < n ? (n - 1 - 2 * (int64_t)t) * s->stride[s->along] : 0);
        memcpy(er_u8(op->outputs[0]) + (size_t)to * each, er_u8(x) + i * each, each);
        for (int32_t d = x->rank - 1; d >= 0 && ++at[d] == x->dims[d]; d--) at[d] = 0;
    }
}

er_status er_prepare_reverse_sequence(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0], *lengths = op->inputs[1];
    const er_int_pair o = er_read_int_pair(op->def->options);
    er_status status;
    sequence *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    ER_TRY(er_resolve_axis(p, o.first, x->rank, &s->along));
    ER_TRY(er_resolve_axis(p, o.second, x->rank, &s->batch));
    if (s->along == s->batch || lengths->rank != 1 || lengths->dims[0] != x->dims[s->batch] || !(ER_T(lengths->def->type) & ER_INDEX))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its lengths are not one whole number for each of %d batches, or its axes are the same", x->dims[s->batch]);
    er_strides(x->dims, x->rank, 1, s->stride);
    op->run = run_sequence;
    return er_set_same_shape(p, op->outputs[0], x);
}

// ---- DEPTH_TO_SPACE, SPACE_TO_DEPTH: [n][h][w][b][b][c] and [n][h][b][w][b][c]

static er_status prepare_blocks(er_prepare *p, er_op *op, bool to_space)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    ER_TRY(er_expect_rank(p, x, 4, "input"));
    const int32_t b = er_read_int(op->def->options);
    if (b < 1 || b > 32768) return er_op_fail(p, EDGERT_ERROR_MODEL, "its block size is %d", b);
    er_move *m;
    ER_TRY(new_move(p, op, &m));
    int32_t dims[4] = {x->dims[0]}, h, w, c;
    if (to_space) {
        h = x->dims[1];
        w = x->dims[2];
        c = (int32_t)(x->dims[3] / ((int64_t)b * b));
        if ((int64_t)c * b * b != x->dims[3] || (int64_t)h * b > INT32_MAX || (int64_t)w * b > INT32_MAX)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %d channels, expected a multiple of %lld", x->dims[3], (long long)b * b);
        dims[1] = h * b;
        dims[2] = w * b;
        dims[3] = c;
    } else {
        h = x->dims[1] / b;
        w = x->dims[2] / b;
        c = x->dims[3];
        if (h * b != x->dims[1] || w * b != x->dims[2] || (int64_t)c * b * b > INT32_MAX)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is %d by %d, expected multiples of %d", x->dims[1], x->dims[2], b);
        dims[1] = h;
        dims[2] = w;
        dims[3] = c * b * b;
    }
    ER_TRY(er_set_shape(p, op->outputs[0], dims, 4));
    const int32_t by_depth[6] = {dims[0], h, w, b, b, c}, by_space[6] = {dims[0], h, b, w, b, c};
    int64_t depth[6], space[6];
    er_strides(by_depth, 6, m->element, depth);
    er_strides(by_space, 6, m->element, space);
    // In the order of by_space.
    const int64_t depth_by_space[6] = {depth[0], depth[1], depth[3], depth[2], depth[4], depth[5]};
    m->rank = 6;
    memcpy(m->dims, by_space, sizeof by_space);
    memcpy(to_space ? m->from_stride : m->to_stride, depth_by_space, sizeof depth_by_space);
    memcpy(to_space ? m->to_stride : m->from_stride, space, sizeof space);
    er_move_simplify(m);
    return ER_OK;
}

er_status er_prepare_depth_to_space(er_prepare *p, er_op *op) { return prepare_blocks(p, op, true); }
er_status er_prepare_space_to_depth(er_prepare *p, er_op *op) { return prepare_blocks(p, op, false); }

// ---- SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND on rank 3 and 4: blocks of h by w (rank 3: h alone)

typedef struct { bool to_batch; int32_t block[2], before[2], small[2], large[2], batches; size_t line; uint8_t fill; } batching;

static void run_batching(const er_op *op, er_pool *pool)
{
    (void)pool;
    const batching *s = op->state;
    const uint8_t *x = er_u8(op->inputs[0]);
    uint8_t *y = er_u8(op->outputs[0]);
    // For each place of the side with many batches, the one of the other side.
    for (int32_t by = 0, k = 0; by < s->block[0]; by++)
        for (int32_t bx = 0; bx < s->block[1]; bx++)
            for (int32_t n = 0; n < s->batches; n++, k++)
                for (int32_t i = 0; i < s->small[0]; i++)
                    for (int32_t j = 0; j < s->small[1]; j++) {
                        const int64_t h = (int64_t)i * s->block[0] + by - s->before[0], w = (int64_t)j * s->block[1] + bx - s->before[1];
                        const bool inside = h >= 0 && h < s->large[0] && w >= 0 && w < s->large[1];
                        const size_t many = (((size_t)k * (size_t)s->small[0] + (size_t)i) * (size_t)s->small[1] + (size_t)j) * s->line;
                        const size_t few = inside ? (((size_t)n * (size_t)s->large[0] + (size_t)h) * (size_t)s->large[1] + (size_t)w) * s->line : 0;
                        if (s->to_batch && inside) memcpy(y + many, x + few, s->line);
                        else if (s->to_batch) memset(y + many, s->fill, s->line);
                        else if (inside) memcpy(y + few, x + many, s->line);
                    }
}

static er_status prepare_batching(er_prepare *p, er_op *op, bool to_batch)
{
    ER_TRY(er_expect_io(p, op, 3, 3, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    int32_t block[ER_MAX_RANK], edges[ER_MAX_RANK], n_block, n_edges;
    if (x->rank != 3 && x->rank != 4) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its input has rank %d, expected 3 or 4", x->rank);
    const int32_t spatial = x->rank - 2;
    ER_TRY(er_read_ints(p, op->inputs[1], "block shape", block, &n_block));
    ER_TRY(er_read_ints(p, op->inputs[2], "paddings", edges, &n_edges));
    if (n_block != spatial || n_edges != 2 * spatial) return er_op_fail(p, EDGERT_ERROR_MODEL, "its block shape and paddings have %d and %d values, expected %d and %d", n_block, n_edges, spatial, 2 * spatial);
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    er_status status;
    batching *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    *s = (batching){.to_batch = to_batch, .block = {1, 1}, .small = {1, 1}, .large = {1, 1}, .line = er_type_size(x->def->type) * (size_t)x->dims[x->rank - 1], .fill = er_is_8bit(y) ? (uint8_t)er_zero(y) : 0};
    int32_t dims[4];
    int64_t blocks = 1;
    for (int32_t d = 0; d < spatial; d++) {
        const int64_t in = x->dims[d + 1], before = edges[2 * d], after = edges[2 * d + 1];
        if (block[d] < 1 || before < 0 || after < 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its block shape or paddings of dimension %d are not positive", d + 1);
        const int64_t out = to_batch ? (in + before + after) / block[d] : in * block[d] - before - after;
        if (out < 0 || out > INT32_MAX || (to_batch && (in + before + after) % block[d]))
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its dimension %d, %lld and %lld + %lld at its edges, does not fit blocks of %d", d + 1, (long long)in, (long long)before, (long long)after, block[d]);
        blocks *= block[d];
        if (blocks > INT32_MAX) return er_op_fail(p, EDGERT_ERROR_MODEL, "its blocks are too large");
        s->block[d] = block[d];
        s->before[d] = (int32_t)before;
        s->small[d] = to_batch ? (int32_t)out : x->dims[d + 1];
        s->large[d] = to_batch ? x->dims[d + 1] : (int32_t)out;
        dims[d + 1] = (int32_t)out;
    }
    const int64_t batches = to_batch ? x->dims[0] * blocks : x->dims[0] / blocks;
    if (batches > INT32_MAX || (!to_batch && batches * blocks != x->dims[0])) return er_op_fail(p, EDGERT_ERROR_MODEL, "its batch of %d does not fit %lld blocks", x->dims[0], (long long)blocks);
    s->batches = to_batch ? x->dims[0] : (int32_t)batches;
    dims[0] = (int32_t)batches;
    dims[x->rank - 1] = x->dims[x->rank - 1];
    op->run = run_batching;
    return er_set_shape(p, y, dims, x->rank);
}

er_status er_prepare_space_to_batch_nd(er_prepare *p, er_op *op) { return prepare_batching(p, op, true); }
er_status er_prepare_batch_to_space_nd(er_prepare *p, er_op *op) { return prepare_batching(p, op, false); }

// ---- SPLIT, SPLIT_V

typedef struct { int32_t input; size_t outer; size_t *bytes; } split;      // bytes: of one run of each output

static void run_split(const er_op *op, er_pool *pool)
{
    (void)pool;
    const split *s = op->state;
    const uint8_t *x = er_u8(op->inputs[s->input]);
    for (size_t o = 0; o < s->outer; o++)
        for (int32_t i = 0; i < op->n_outputs; i++) {
            if (s->bytes[i]) memcpy(er_u8(op->outputs[i]) + o * s->bytes[i], x, s->bytes[i]);
            x += s->bytes[i];
        }
}

static er_status prepare_split(er_prepare *p, er_op *op, int32_t input, const er_tensor *at, const int32_t *sizes)
{
    const er_tensor *x = op->inputs[input];
    int32_t values[ER_MAX_RANK], n, axis, dims[ER_MAX_RANK];
    ER_TRY(er_read_ints(p, at, "axis", values, &n));
    if (n != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its axis has %d values, expected 1", n);
    ER_TRY(er_resolve_axis(p, values[0], x->rank, &axis));
    er_status status;
    split *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->bytes = er_alloc(p, (size_t)op->n_outputs * sizeof *s->bytes, &status);
    ER_TRY(status);
    s->input = input;
    s->outer = 1;
    size_t inner = er_type_size(x->def->type);
    for (int32_t d = 0; d < axis; d++) s->outer *= (size_t)x->dims[d];
    for (int32_t d = axis + 1; d < x->rank; d++) inner *= (size_t)x->dims[d];
    memcpy(dims, x->dims, sizeof dims);
    if (!sizes && x->dims[axis] % op->n_outputs) return er_op_fail(p, EDGERT_ERROR_MODEL, "its dimension %d, of size %d, does not split in %d", axis, x->dims[axis], op->n_outputs);
    int64_t open = -1, sum = 0;
    for (int32_t i = 0; sizes && i < op->n_outputs; i++) {
        if (sizes[i] < -1 || (sizes[i] == -1 && open >= 0)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its size %d is %d", i, sizes[i]);
        if (sizes[i] == -1) open = i;
        else sum += sizes[i];
    }
    if (sizes && (open >= 0 ? sum > x->dims[axis] : sum != x->dims[axis])) return er_op_fail(p, EDGERT_ERROR_MODEL, "its sizes add up to %lld, expected %d", (long long)sum, x->dims[axis]);
    for (int32_t i = 0; i < op->n_outputs; i++) {
        dims[axis] = !sizes ? x->dims[axis] / op->n_outputs : i == open ? (int32_t)(x->dims[axis] - sum) : sizes[i];
        s->bytes[i] = (size_t)dims[axis] * inner;
        ER_TRY(er_expect_type(p, op->outputs[i], x->def->type, "output"));
        ER_TRY(er_set_shape(p, op->outputs[i], dims, x->rank));
    }
    op->run = run_split;
    return ER_OK;
}

er_status er_prepare_split(er_prepare *p, er_op *op)
{
    if (op->n_outputs < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has no outputs");
    ER_TRY(er_expect_io(p, op, 2, 2, op->n_outputs));
    if (!(ER_T(op->inputs[1]->def->type) & ER_ANY)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its input is %s", er_type_name(op->inputs[1]->def->type));
    return prepare_split(p, op, 1, op->inputs[0], NULL);
}

er_status er_prepare_split_v(er_prepare *p, er_op *op)
{
    if (op->n_outputs < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has no outputs");
    ER_TRY(er_expect_io(p, op, 3, 3, op->n_outputs));
    const er_tensor *t = op->inputs[1];
    ER_TRY(er_expect_values(p, t, "sizes"));
    if (t->count != (size_t)op->n_outputs || !(ER_T(t->def->type) & ER_INDEX)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its sizes are %zu %s, expected %d int32", t->count, er_type_name(t->def->type), op->n_outputs);
    er_status status;
    int32_t *sizes = er_alloc(p, t->count * sizeof *sizes, &status);
    ER_TRY(status);
    for (size_t i = 0; i < t->count; i++) {
        const int64_t v = er_whole(t, i);
        sizes[i] = v > INT32_MAX || v < -1 ? -2 : (int32_t)v;
    }
    return prepare_split(p, op, 0, op->inputs[2], sizes);
}

// ---- MIRROR_PAD: the image continues as in a mirror, with the edge itself (SYMMETRIC) or without (REFLECT)

typedef struct { int32_t edge; int32_t before[ER_MAX_RANK]; int64_t stride[ER_MAX_RANK]; } mirror;

static void run_mirror(const er_op *op, er_pool *pool)
{
    (void)pool;
    const mirror *s = op->state;
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    const size_t each = er_type_size(x->def->type);
    int32_t at[ER_MAX_RANK] = {0};
    for (size_t i = 0; i < y->count; i++) {
        int64_t from = 0;
        for (int32_t d = 0; d < x->rank; d++) {
            int64_t k = (int64_t)at[d] - s->before[d];
            if (k < 0) k = -k - 1 + s->edge;
            else if (k >= x->dims[d]) k = 2 * (int64_t)x->dims[d] - 1 - s->edge - k;
            from += k * s->stride[d];
        }
        memcpy(er_u8(y) + i * each, er_u8(x) + (size_t)from * each, each);
        for (int32_t d = y->rank - 1; d >= 0 && ++at[d] == y->dims[d]; d--) at[d] = 0;
    }
}

er_status er_prepare_mirror_pad(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0], *pads = op->inputs[1];
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    ER_TRY(er_expect_values(p, pads, "paddings"));
    const int mode = er_read_byte(op->def->options);
    if (mode != 0 && mode != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its mode is number %d, expected 0 (REFLECT) or 1 (SYMMETRIC)", mode);
    if (pads->count != 2 * (size_t)x->rank || !(ER_T(pads->def->type) & ER_INDEX)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its paddings have not the shape [%d, 2] that its input needs", x->rank);
    er_status status;
    mirror *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    s->edge = mode == 0;
    er_strides(x->dims, x->rank, 1, s->stride);
    int32_t dims[ER_MAX_RANK];
    for (int32_t d = 0; d < x->rank; d++) {
        const int64_t edges[2] = {er_whole(pads, 2 * (size_t)d), er_whole(pads, 2 * (size_t)d + 1)};
        const int64_t most = x->dims[d] - s->edge;
        if (edges[0] < 0 || edges[1] < 0 || edges[0] > most || edges[1] > most || edges[0] + edges[1] + x->dims[d] > INT32_MAX)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its paddings of dimension %d are %lld and %lld, expected 0 to %lld", d, (long long)edges[0], (long long)edges[1], (long long)most);
        s->before[d] = (int32_t)edges[0];
        dims[d] = (int32_t)(edges[0] + edges[1] + x->dims[d]);
    }
    op->run = run_mirror;
    return er_set_shape(p, op->outputs[0], dims, x->rank);
}

// ---- MATRIX_DIAG: vectors become diagonals. MATRIX_SET_DIAG: diagonals of matrices are overwritten.

static void run_diagonal(const er_op *op, er_pool *pool)
{
    (void)pool;
    const er_tensor *y = op->outputs[0], *diagonal = op->inputs[op->n_inputs - 1];
    const size_t each = er_type_size(y->def->type), rows = (size_t)y->dims[y->rank - 2], columns = (size_t)y->dims[y->rank - 1], n = rows < columns ? rows : columns;
    if (op->n_inputs > 1) memcpy(y->data, op->inputs[0]->data, y->bytes);
    else if (y->bytes) memset(y->data, 0, y->bytes);
    for (size_t m = 0; n && m < y->count / (rows * columns); m++)
        for (size_t i = 0; i < n; i++) memcpy(er_u8(y) + (m * rows * columns + i * columns + i) * each, er_u8(diagonal) + (m * n + i) * each, each);
}

er_status er_prepare_matrix_diag(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    int32_t dims[ER_MAX_RANK + 1];
    if (x->rank < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input is a scalar");
    memcpy(dims, x->dims, sizeof x->dims);
    dims[x->rank] = x->dims[x->rank - 1];
    op->run = run_diagonal;
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    return er_set_shape(p, op->outputs[0], dims, x->rank + 1);
}

er_status er_prepare_matrix_set_diag(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0], *diagonal = op->inputs[1];
    ER_TRY(er_expect_type(p, diagonal, x->def->type, "diagonal"));
    ER_TRY(er_expect_type(p, op->outputs[0], x->def->type, "output"));
    bool fits = x->rank >= 2 && diagonal->rank == x->rank - 1 && diagonal->dims[x->rank - 2] == er_min32(x->dims[x->rank - 2], x->dims[x->rank - 1]);
    for (int32_t d = 0; fits && d < x->rank - 2; d++) fits = diagonal->dims[d] == x->dims[d];
    if (!fits) return er_op_fail(p, EDGERT_ERROR_MODEL, "the shape of its diagonal does not fit its input's");
    op->run = run_diagonal;
    return er_set_same_shape(p, op->outputs[0], x);
}

// ---- BITCAST: the same bytes as another type; the last dimension makes up for its size

er_status er_prepare_bitcast(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    const size_t from = er_type_size(x->def->type), to = er_type_size(y->def->type);
    int32_t dims[ER_MAX_RANK + 1], rank = x->rank;
    if (!(ER_T(y->def->type) & ER_ANY)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its output is %s", er_type_name(y->def->type));
    memcpy(dims, x->dims, sizeof x->dims);
    if (from > to) {
        dims[rank++] = (int32_t)(from / to);
    } else if (from < to) {
        if (!rank || (size_t)dims[rank - 1] != to / from) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input's last size is not %zu, as %s of %s needs", to / from, er_type_name(y->def->type), er_type_name(x->def->type));
        rank--;
    }
    er_use_view(op);
    return er_set_shape(p, y, dims, rank);
}
