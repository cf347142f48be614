#include "ops/broadcast.h"

#include <string.h>

er_status er_broadcast_shapes(er_prepare *p, const er_tensor *a, const er_tensor *b, er_tensor *y, er_broadcast *bc)
{
    int32_t rank = er_max32(a->rank, b->rank), dims[ER_MAX_RANK] = {0};
    bool a_repeats[ER_MAX_RANK], b_repeats[ER_MAX_RANK];
    for (int32_t i = 0; i < rank; i++) {
        int32_t da = i < rank - a->rank ? 1 : a->dims[i - (rank - a->rank)];
        int32_t db = i < rank - b->rank ? 1 : b->dims[i - (rank - b->rank)];
        if (da != db && da != 1 && db != 1)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its inputs do not broadcast: sizes %d and %d in dimension %d", da, db, i);
        dims[i] = da == 1 ? db : da;
        a_repeats[i] = da == 1 && dims[i] != 1;
        b_repeats[i] = db == 1 && dims[i] != 1;
    }
    ER_TRY(er_set_shape(p, y, dims, rank));
    // From the innermost outwards; sizes of 1 vanish, and neighbours that both inputs walk or repeat alike become one.
    int32_t merged[ER_MAX_RANK] = {0}, n = 0;
    bool ma[ER_MAX_RANK], mb[ER_MAX_RANK];
    for (int32_t i = rank - 1; i >= 0; i--) {
        if (dims[i] == 1) continue;
        if (n && ma[n - 1] == a_repeats[i] && mb[n - 1] == b_repeats[i]) {
            merged[n - 1] *= dims[i];
        } else {
            merged[n] = dims[i];
            ma[n] = a_repeats[i];
            mb[n++] = b_repeats[i];
        }
    }
    *bc = (er_broadcast){.run = 1, .a_step = 1, .b_step = 1, .outer = y->count ? 1 : 0};
    if (!n || !y->count) return ER_OK;
    bc->run = (size_t)merged[0];
    bc->a_step = !ma[0];
    bc->b_step = !mb[0];
    size_t a_stride = ma[0] ? 1 : bc->run, b_stride = mb[0] ? 1 : bc->run;
    for (int32_t i = 1; i < n; i++) {
        bc->dims[bc->rank] = merged[i];
        bc->a_strides[bc->rank] = ma[i] ? 0 : a_stride;
        bc->b_strides[bc->rank] = mb[i] ? 0 : b_stride;
        if (!ma[i]) a_stride *= (size_t)merged[i];
        if (!mb[i]) b_stride *= (size_t)merged[i];
        bc->outer *= (size_t)merged[i];
        bc->rank++;
    }
    return ER_OK;
}

void er_broadcast_offsets(const er_broadcast *bc, size_t i, size_t *a, size_t *b)
{
    *a = *b = 0;
    for (int32_t d = 0; d < bc->rank; d++) {
        size_t at = i % (size_t)bc->dims[d];
        i /= (size_t)bc->dims[d];
        *a += at * bc->a_strides[d];
        *b += at * bc->b_strides[d];
    }
}

void er_broadcast_each(const er_broadcast *bc, size_t element, const void *a, const void *b, void *y, er_run_pair *fn, const void *state)
{
    enum { TILE = 4096 };
    _Alignas(64) uint8_t tile[TILE];
    const size_t bytes = bc->run * element, inner = bc->rank ? (size_t)bc->dims[0] : 1;
    const bool repeats_a = bc->rank && !bc->a_strides[0], repeats_b = bc->rank && !bc->b_strides[0];
    const bool tiled = bc->a_step && bc->b_step && repeats_a != repeats_b && bytes * 2 <= TILE;
    const size_t most = !tiled ? 1 : inner < TILE / bytes ? inner : TILE / bytes;
    const uint8_t *in_tile = NULL;
    uint8_t *to = y;
    for (size_t r = 0, together; r < bc->outer; r += together, to += together * bytes) {
        size_t at_a, at_b;
        er_broadcast_offsets(bc, r, &at_a, &at_b);
        const uint8_t *p = (const uint8_t *)a + at_a * element, *q = (const uint8_t *)b + at_b * element;
        together = inner - r % inner < most ? inner - r % inner : most;
        if (tiled) {
            const uint8_t **repeated = repeats_a ? &p : &q;
            if (in_tile != *repeated) {
                memcpy(tile, *repeated, bytes);
                er_repeat(tile, bytes, most * bytes);
            }
            in_tile = *repeated;
            *repeated = tile;
        }
        fn(state, together * bc->run, p, bc->a_step, q, bc->b_step, to);
    }
}

typedef struct { const er_broadcast *bc; size_t element, each; const uint8_t *a, *b; uint8_t *y; er_run_pair *fn; const void *state; } piece_arg;

static void run_piece(void *arg, size_t i, int thread)
{
    (void)thread;
    const piece_arg *t = arg;
    const size_t from = i * t->each, n = t->bc->run - from < t->each ? t->bc->run - from : t->each, at = from * t->element;
    t->fn(t->state, n, t->a + at * t->bc->a_step, t->bc->a_step, t->b + at * t->bc->b_step, t->bc->b_step, t->y + at);
}

void er_broadcast_shared(er_pool *pool, double work, const er_broadcast *bc, size_t element, const void *a, const void *b, void *y, er_run_pair *fn, const void *state)
{
    enum { LEAST = 4096 };
    if (bc->outer != 1) {
        er_broadcast_each(bc, element, a, b, y, fn, state);
        return;
    }
    const size_t even = er_round_up(bc->run / (4 * (size_t)er_pool_threads(pool)) + 1, 64), each = even < LEAST ? LEAST : even;
    er_for(pool, (bc->run + each - 1) / each, work, run_piece, &(piece_arg){bc, element, each, a, b, y, fn, state});
}

static void run_pair(const void *state, size_t n, const void *a, size_t a_step, const void *b, size_t b_step, void *y)
{
    const er_float_pair *pair = state;
    pair->kernel(n, a, a_step, b, b_step, pair->min, pair->max, y);
}

void er_broadcast_floats(const er_op *op, er_pool *pool, const er_broadcast *bc, const er_float_pair *pair)
{
    er_broadcast_shared(pool, (double)op->outputs[0]->count * 24, bc, sizeof(float), op->inputs[0]->data, op->inputs[1]->data, op->outputs[0]->data, run_pair, pair);
}

int er_broadcast_plan_expansion(er_op *op, const er_broadcast *bc)
{
    enum { SHORT = 128 };
    size_t n = op->outputs[0]->count;
    if (bc->run >= SHORT || bc->outer < 2) return 0;
    int expand = (op->inputs[0]->count != n) + 2 * (op->inputs[1]->count != n);
    op->shared_bytes = n * (size_t)((expand & 1) + (expand >> 1));
    return expand;
}

// One input as large as the output.
static void expand_input(const er_broadcast *bc, bool second, const uint8_t *from, uint8_t *to)
{
    enum { BLOCK = 32 };
    size_t step = second ? bc->b_step : bc->a_step, all = bc->outer * bc->run;
    const size_t *strides = second ? bc->b_strides : bc->a_strides;
    bool repeats = step == 1;
    for (int32_t d = 0; d < bc->rank; d++) repeats = repeats && strides[d] == 0;
    if (repeats) {      // one run over and over
        memcpy(to, from, bc->run);
        er_repeat(to, bc->run, all);
        return;
    }
    int32_t index[ER_MAX_RANK] = {0};
    const uint8_t *const end = to + all;
    for (size_t r = 0; r < bc->outer; r++, to += bc->run) {
        if (step) memcpy(to, from, bc->run);
        else if (bc->run <= BLOCK && end - to >= BLOCK) memset(to, *from, BLOCK);       // the next run writes over what is too much
        else memset(to, *from, bc->run);
        for (int32_t d = 0; d < bc->rank; d++) {
            from += strides[d];
            if (++index[d] < bc->dims[d]) break;
            from -= strides[d] * (size_t)bc->dims[d];
            index[d] = 0;
        }
    }
}

er_broadcast er_broadcast_expanded(const er_op *op, const er_broadcast *bc, int expand, const uint8_t **a, const uint8_t **b)
{
    *a = er_u8(op->inputs[0]);
    *b = er_u8(op->inputs[1]);
    if (!expand) return *bc;
    size_t n = op->outputs[0]->count;
    uint8_t *to = op->shared;
    if (expand & 1) {
        expand_input(bc, false, *a, to);
        *a = to;
        to += n;
    }
    if (expand & 2) {
        expand_input(bc, true, *b, to);
        *b = to;
    }
    return (er_broadcast){.run = n, .a_step = 1, .b_step = 1, .outer = 1};
}
