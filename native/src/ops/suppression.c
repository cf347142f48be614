// NON_MAX_SUPPRESSION_V4 and V5: the best boxes of those that overlap. float32.
//
// V5 can lower the scores of boxes that overlap a better one instead of dropping them: Bodla et al., "Soft-NMS", 2017.
#include <math.h>
#include <string.h>

#include "ops/boxes.h"
#include "ops/op.h"

// A box that may still be chosen. `seen`: so many of the chosen ones have been compared with it.
typedef struct { int32_t box, seen; float score; } candidate;

// A heap, the best at its top. Of equal scores, which comes first is up to how the heap is mended; the reference's is mended as here: what
// fills the gap at the top sinks to the bottom, then rises.
static void rise(candidate *heap, size_t at, size_t top, candidate c)
{
    for (; at > top && heap[(at - 1) / 2].score < c.score; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = c;
}

static candidate take_best(candidate *heap, size_t *n)
{
    const candidate best = heap[0], last = heap[--*n];
    size_t gap = 0;
    for (size_t child = 2; child < *n; child = 2 * gap + 2) {
        if (heap[child].score < heap[child - 1].score) child--;
        heap[gap] = heap[child];
        gap = child;
    }
    if (*n % 2 == 0 && *n >= 2 && gap == (*n - 2) / 2) {        // a last node with one child
        heap[gap] = heap[2 * gap + 1];
        gap = 2 * gap + 1;
    }
    if (*n) rise(heap, gap, 0, last);
    return best;
}

static er_box box_at(const er_tensor *t, int32_t i)
{
    const float *v = er_f32(t) + 4 * (size_t)i;
    return (er_box){fminf(v[0], v[2]), fminf(v[1], v[3]), fmaxf(v[0], v[2]), fmaxf(v[1], v[3])};
}

static void run_suppression(const er_op *op, er_pool *pool)
{
    const er_tensor *boxes = op->inputs[0];
    const bool soft = op->n_inputs == 6;
    const float *scores = er_f32(op->inputs[1]), most_overlap = *er_f32(op->inputs[3]), least_score = *er_f32(op->inputs[4]), sigma = soft ? *er_f32(op->inputs[5]) : 0;
    int32_t *selected = er_i32(op->outputs[0]), *count = er_i32(op->outputs[op->n_outputs - 1]);
    float *kept_scores = soft ? er_f32(op->outputs[1]) : NULL;
    candidate *heap = (candidate *)(void *)op->shared;
    size_t n = 0, most = op->outputs[0]->count, found = 0;
    for (size_t i = 0; i < op->inputs[1]->count; i++)
        if (scores[i] > least_score) rise(heap, n++, 0, (candidate){(int32_t)i, 0, scores[i]});
    if (most > n) most = n;
    while (found < most && n && !er_pool_stopped(pool)) {
        candidate next = take_best(heap, &n);
        const float before = next.score;
        bool dropped = false;
        for (size_t j = found; j-- > (size_t)next.seen;) {
            const float overlap = er_box_overlap(box_at(boxes, next.box), box_at(boxes, selected[j]));
            dropped = overlap >= most_overlap;
            if (dropped) break;
            if (sigma > 0) next.score *= expf(-0.5f / sigma * overlap * overlap);
            if (next.score <= least_score) break;
        }
        next.seen = (int32_t)found;
        if (dropped) continue;
        if (next.score == before) {
            selected[found] = next.box;
            if (kept_scores) kept_scores[found] = next.score;
            found++;
        }
        if (next.score > least_score) rise(heap, n++, 0, next);
    }
    *count = (int32_t)found;
    const size_t rest = op->outputs[0]->count - found;
    if (rest) memset(selected + found, 0, rest * sizeof *selected);
    if (rest && kept_scores) memset(kept_scores + found, 0, rest * sizeof *kept_scores);
}

static er_status prepare(er_prepare *p, er_op *op, bool soft)
{
    ER_TRY(er_expect_io(p, op, soft ? 6 : 5, soft ? 6 : 5, soft ? 3 : 2));
    const er_tensor *boxes = op->inputs[0], *scores = op->inputs[1];
    ER_TRY(er_expect_rank(p, boxes, 2, "boxes"));
    ER_TRY(er_expect_rank(p, scores, 1, "scores"));
    if (boxes->dims[1] != 4 || boxes->dims[0] != scores->dims[0])
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its boxes are [%d, %d] and it has %d scores, expected four numbers a box and one score", boxes->dims[0], boxes->dims[1], scores->dims[0]);
    ER_TRY(er_expect_type(p, scores, EDGERT_FLOAT32, "scores"));
    for (int32_t i = 3; i < op->n_inputs; i++) {
        ER_TRY(er_expect_type(p, op->inputs[i], EDGERT_FLOAT32, "thresholds"));
        if (op->inputs[i]->count != 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "a threshold has %zu values, expected 1", op->inputs[i]->count);
    }
    ER_TRY(er_expect_type(p, op->inputs[2], EDGERT_INT32, "output size"));
    int32_t most, n;
    ER_TRY(er_read_ints(p, op->inputs[2], "output size", &most, &n));
    if (n != 1 || most < 0) return er_op_fail(p, EDGERT_ERROR_ARGUMENT, "its output size is %d", n == 1 ? most : 0);
    ER_TRY(er_expect_type(p, op->outputs[0], EDGERT_INT32, "indices"));
    ER_TRY(er_set_shape(p, op->outputs[0], &most, 1));
    if (soft) {
        ER_TRY(er_expect_type(p, op->outputs[1], EDGERT_FLOAT32, "selected scores"));
        ER_TRY(er_set_shape(p, op->outputs[1], &most, 1));
    }
    ER_TRY(er_expect_type(p, op->outputs[op->n_outputs - 1], EDGERT_INT32, "count"));
    ER_TRY(er_set_shape(p, op->outputs[op->n_outputs - 1], NULL, 0));
    if (!er_mul_size(scores->count + 1, sizeof(candidate), &op->shared_bytes)) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has too many boxes");
    op->run = run_suppression;
    return ER_OK;
}

er_status er_prepare_non_max_suppression_v4(er_prepare *p, er_op *op) { return prepare(p, op, false); }
er_status er_prepare_non_max_suppression_v5(er_prepare *p, er_op *op) { return prepare(p, op, true); }
