// PosenetDecoderOp: from heatmaps of keypoints and offsets between them to poses, and on request to masks of persons. float32, or uint8 that is dequantized first.
//
// Method: Papandreou et al., "PersonLab" (https://arxiv.org/abs/1803.08225), as Coral's library decodes it. Keypoints that are the best around
// are taken one by one, the best first, as the root of a pose; from there the pose is followed along a skeleton. A root near the same keypoint of a
// pose that is there already is none of its own. Of equal scores the first in the image counts; Coral leaves that to a heap.
#include <math.h>
#include <string.h>

#include "base/exponential.h"
#include "format/flexbuffer.h"
#include "ops/boxes.h"
#include "ops/carve.h"
#include "ops/op.h"

enum { KEYPOINTS = 17, EDGES = 16, STEPS = 5, MASK_STEPS = 2, MOST_POSES = 4096 };

typedef struct { float y, x; } point;

// Parents come before children.
static const struct { uint8_t from, to; } skeleton[EDGES] = {{0, 1}, {1, 3}, {0, 2}, {2, 4}, {0, 5}, {5, 7}, {7, 9}, {5, 11},
                                                             {11, 13}, {13, 15}, {0, 6}, {6, 8}, {8, 10}, {6, 12}, {12, 14}, {14, 16}};

typedef struct {
    int32_t most, height, width;
    float least_score, least_logit, radius, stride;
    bool masks;
} posenet;

typedef struct { float logit[KEYPOINTS]; point at[KEYPOINTS]; float score; } pose;

// Memory of one run, in op->shared: inputs as floats, offsets in cells of the heatmap; candidates for roots; poses.
typedef struct {
    float *heat, *shorts, *mids, *longs;
    float *scores;
    int32_t *heap;
    point *refined;
    uint8_t *id;
    pose *poses;
    int32_t *order;
} work;

static size_t cells_of(const posenet *s) { return (size_t)s->height * (size_t)s->width; }

static void lay_out(const posenet *s, er_carver *c, work *w)
{
    const size_t cells = cells_of(s), n = cells * KEYPOINTS;
    w->heat = er_carve(c, n * sizeof(float));
    w->shorts = er_carve(c, 2 * n * sizeof(float));
    w->mids = er_carve(c, cells * 4 * EDGES * sizeof(float));
    w->longs = er_carve(c, s->masks ? 2 * n * sizeof(float) : 0);
    w->scores = er_carve(c, n * sizeof(float));
    w->heap = er_carve(c, n * sizeof *w->heap);
    w->refined = er_carve(c, n * sizeof *w->refined);
    w->id = er_carve(c, n);
    w->poses = er_carve(c, ((size_t)s->most + 1) * sizeof *w->poses);
    w->order = er_carve(c, ((size_t)s->most + 1) * sizeof *w->order);
}

static void to_floats(const er_tensor *t, float factor, float *to)
{
    const float scale = er_scale(t) * factor, zero = (float)er_zero(t);
    for (size_t i = 0; i < t->count; i++) to[i] = t->def->type == EDGERT_FLOAT32 ? er_f32(t)[i] * factor : ((float)er_u8(t)[i] - zero) * scale;
}

static float clamp(float v, float high) { return v < 0 ? 0 : high < v ? high : v; }
static float squared(float v) { return v * v; }
static float squared_distance(point a, point b) { return squared(b.y - a.y) + squared(b.x - a.x); }

// The two neighbours of a place along n cells, and how far it lies from the first. NaN is the first.
static float neighbours(float at, int32_t n, size_t *low, size_t *high)
{
    const float inside = isnan(at) ? 0 : clamp(at, (float)n - 1);
    *low = (size_t)floorf(inside);
    *high = (size_t)ceilf(inside);
    return (isnan(at) ? 0 : at) - (float)*low;
}

// Channel c of `channels`, between its four neighbours.
static float sample(const posenet *s, const float *map, size_t channels, point at, size_t c)
{
    size_t top, bottom, left, right;
    const float dy = neighbours(at.y, s->height, &top, &bottom), dx = neighbours(at.x, s->width, &left, &right);
    const size_t width = (size_t)s->width;
    const float above = (1 - dx) * map[(top * width + left) * channels + c] + dx * map[(top * width + right) * channels + c];
    const float below = (1 - dx) * map[(bottom * width + left) * channels + c] + dx * map[(bottom * width + right) * channels + c];
    return (1 - dy) * above + dy * below;
}

static point moved(const posenet *s, const float *map, size_t channels, point at, size_t y, size_t x)
{
    const float dy = sample(s, map, channels, at, y), dx = sample(s, map, channels, at, x);
    return (point){clamp(at.y + dy, (float)s->height - 1), clamp(at.x + dx, (float)s->width - 1)};
}

// ---- poses

// Whether no cell around has a better score for this keypoint.
static bool is_best_around(const posenet *s, const float *heat, int32_t y, int32_t x, size_t k)
{
    const float score = heat[(size_t)(y * s->width + x) * KEYPOINTS + k];
    for (int32_t v = er_max32(y - 1, 0); v < er_min32(y + 2, s->height); v++)
        for (int32_t u = er_max32(x - 1, 0); u < er_min32(x + 2, s->width); u++)
            if (heat[(size_t)(v * s->width + u) * KEYPOINTS + k] > score) return false;
    return true;
}

static size_t find_roots(const posenet *s, const work *w)
{
    size_t n = 0;
    for (int32_t y = 0; y < s->height; y++)
        for (int32_t x = 0; x < s->width; x++)
            for (size_t k = 0; k < KEYPOINTS; k++) {
                const size_t cell = (size_t)(y * s->width + x);
                const float score = w->heat[cell * KEYPOINTS + k], *offsets = w->shorts + cell * 2 * KEYPOINTS;
                if (!(score >= s->least_logit) || !is_best_around(s, w->heat, y, x, k)) continue;
                w->scores[n] = score;
                w->id[n] = (uint8_t)k;
                w->refined[n] = (point){clamp((float)y + offsets[k], (float)s->height - 1), clamp((float)x + offsets[KEYPOINTS + k], (float)s->width - 1)};
                w->heap[n] = (int32_t)n;
                n++;
            }
    er_heap_by_score(w->scores, w->heap, n);
    return n;
}

// The keypoints of a pose from its root on, always the best of those that are next to one which is there.
static void follow(const posenet *s, const work *w, point root, uint8_t id, pose *p)
{
    struct { point at; float logit; uint8_t id; bool done; } queue[2 * EDGES + 1];
    bool there[KEYPOINTS] = {false};
    size_t n = 1;
    queue[0].at = root;
    queue[0].logit = sample(s, w->heat, KEYPOINTS, root, id);
    queue[0].id = id;
    queue[0].done = false;
    for (;;) {
        size_t best = n;
        for (size_t i = 0; i < n; i++)
            if (!queue[i].done && (best == n || queue[i].logit > queue[best].logit)) best = i;
        if (best == n) return;
        queue[best].done = true;
        const uint8_t from = queue[best].id;
        if (there[from]) continue;
        there[from] = true;
        p->at[from] = queue[best].at;
        p->logit[from] = queue[best].logit;
        for (size_t e = 0; e < 2 * EDGES; e++) {
            const bool back = e >= EDGES;
            const size_t edge = back ? e - EDGES : e;
            if ((back ? skeleton[edge].to : skeleton[edge].from) != from) continue;
            const uint8_t to = back ? skeleton[edge].from : skeleton[edge].to;
            if (there[to]) continue;
            // Offsets of an edge: y and x forwards, then y and x backwards.
            const size_t first = (back ? 2 * EDGES : 0) + edge;
            point at = moved(s, w->mids, 4 * EDGES, queue[best].at, first, first + EDGES);
            for (int i = 0; i < STEPS; i++) at = moved(s, w->shorts, 2 * KEYPOINTS, at, to, KEYPOINTS + to);
            queue[n].at = at;
            queue[n].logit = sample(s, w->heat, KEYPOINTS, at, to);
            queue[n].id = to;
            queue[n++].done = false;
        }
    }
}

// The mean of a pose's scores, best first, of those that are not `hidden`.
static float mean_score(const pose *p, const bool *hidden)
{
    size_t order[KEYPOINTS];
    for (size_t k = 0; k < KEYPOINTS; k++) {
        size_t at = k;
        for (; at > 0 && p->logit[k] > p->logit[order[at - 1]]; at--) order[at] = order[at - 1];
        order[at] = k;
    }
    float sum = 0;
    for (size_t k = 0; k < KEYPOINTS; k++)
        if (!hidden[order[k]]) sum += p->logit[order[k]];
    return sum / (float)KEYPOINTS;
}

static void sort_by_score(const pose *poses, int32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at > 0 && poses[i].score > poses[order[at - 1]].score; at--) order[at] = order[at - 1];
        order[at] = (int32_t)i;
    }
}

static size_t find_poses(const posenet *s, const work *w, const er_pool *pool)
{
    static const bool none[KEYPOINTS] = {false};
    const float radius = squared(s->radius);
    size_t candidates = find_roots(s, w), n = 0;
    while (candidates && n < (size_t)s->most && !er_pool_stopped(pool)) {
        const int32_t root = er_take_best(w->scores, w->heap, &candidates);
        bool known = false;
        for (size_t i = 0; i < n && !known; i++) known = squared_distance(w->refined[root], w->poses[i].at[w->id[root]]) <= radius;
        if (known) continue;
        pose *p = &w->poses[n];
        follow(s, w, w->refined[root], w->id[root], p);
        for (size_t k = 0; k < KEYPOINTS; k++) p->logit[k] = 1.0f / (1.0f + er_expf(-p->logit[k]));     // scores from here on
        p->score = mean_score(p, none);
        if (p->score >= s->least_score) n++;
    }
    sort_by_score(w->poses, w->order, n);
    // What lies over the same keypoint of a better pose does not count.
    for (size_t i = 0; i < n && !er_pool_stopped(pool); i++) {
        bool hidden[KEYPOINTS] = {false};
        pose *p = &w->poses[w->order[i]];
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < KEYPOINTS; k++) hidden[k] = hidden[k] || squared_distance(p->at[k], w->poses[w->order[j]].at[k]) <= radius;
        p->score = mean_score(p, hidden);
    }
    sort_by_score(w->poses, w->order, n);
    size_t kept = 0;
    while (kept < n && w->poses[w->order[kept]].score >= s->least_score) kept++;
    return kept;
}

// Each cell goes to the person whose keypoints its long offsets point to, all in all.
static void find_masks(const posenet *s, const work *w, const er_pool *pool, size_t n, const point *keypoints, float *masks)
{
    for (int32_t y = 0; n && y < s->height && !er_pool_stopped(pool); y++) {
        for (int32_t x = 0; x < s->width; x++) {
            point to[KEYPOINTS];
            for (size_t k = 0; k < KEYPOINTS; k++) {
                point at = {(float)y, (float)x};
                for (int i = 0; i <= MASK_STEPS; i++) at = moved(s, w->longs, 2 * KEYPOINTS, at, k, KEYPOINTS + k);
                to[k] = (point){at.y * s->stride, at.x * s->stride};
            }
            size_t nearest = 0;
            float least = INFINITY;
            for (size_t i = 0; i < n; i++) {
                float distance = 0;
                for (size_t k = 0; k < KEYPOINTS; k++) distance += squared_distance(to[k], keypoints[i * KEYPOINTS + k]);
                if (distance < least) {
                    least = distance;
                    nearest = i;
                }
            }
            masks[(nearest * (size_t)s->height + (size_t)y) * (size_t)s->width + (size_t)x] = 1;
        }
    }
}

static void run_posenet(const er_op *op, er_pool *pool)
{
    const posenet *s = op->state;
    const float cell = 1.0f / s->stride;
    work w;
    lay_out(s, &(er_carver){op->shared, 0}, &w);
    to_floats(op->inputs[0], 1, w.heat);
    to_floats(op->inputs[1], cell, w.shorts);
    to_floats(op->inputs[2], cell, w.mids);
    for (int32_t i = 0; i < op->n_outputs; i++)
        if (op->outputs[i]->bytes) memset(op->outputs[i]->data, 0, op->outputs[i]->bytes);
    const size_t n = find_poses(s, &w, pool);
    point *keypoints = op->outputs[0]->data;
    for (size_t i = 0; i < n; i++) {
        const pose *p = &w.poses[w.order[i]];
        for (size_t k = 0; k < KEYPOINTS; k++) keypoints[i * KEYPOINTS + k] = (point){p->at[k].y * s->stride, p->at[k].x * s->stride};
        memcpy(er_f32(op->outputs[1]) + i * KEYPOINTS, p->logit, sizeof p->logit);
        er_f32(op->outputs[2])[i] = p->score;
    }
    *er_f32(op->outputs[3]) = (float)n;
    if (!s->masks) return;
    to_floats(op->inputs[3], cell, w.longs);
    find_masks(s, &w, pool, n, keypoints, er_f32(op->outputs[4]));
}

er_status er_prepare_posenet(er_prepare *p, er_op *op)
{
    const bool masks = op->n_inputs == 4;
    ER_TRY(er_expect_io(p, op, masks ? 4 : 3, masks ? 4 : 3, masks ? 5 : 4));
    er_status status;
    posenet *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    static const char *const names[] = {"max_detections", "score_threshold", "stride", "nms_radius"};
    double v[4];
    for (int i = 0; i < 4; i++)
        if (!er_flex_number((er_flex){op->def->custom, op->def->custom_bytes}, names[i], &v[i])) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has no option \"%s\"", names[i]);
    if (!(v[0] >= 1 && v[0] <= (double)MOST_POSES)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its max_detections is %g, expected 1 to %d", v[0], MOST_POSES);
    if (!(v[2] >= 1 && v[2] <= 65536)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its stride is %g, expected at least 1", v[2]);
    if (!(v[1] > 0 && v[1] < 1) || !(v[3] >= 0 && v[3] < 1e9)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its score_threshold is %g and its nms_radius %g", v[1], v[3]);
    static const int32_t channels[] = {KEYPOINTS, 2 * KEYPOINTS, 4 * EDGES, 2 * KEYPOINTS};
    const er_tensor *heat = op->inputs[0];
    for (int32_t i = 0; i < op->n_inputs; i++) {
        const er_tensor *t = op->inputs[i];
        if (!(ER_T(t->def->type) & (ER_FLOAT | ER_T(EDGERT_UINT8)))) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its input %d is %s", i, er_type_name(t->def->type));
        if (t->def->type == EDGERT_UINT8) ER_TRY(er_expect_quantized(p, t, "input"));
        ER_TRY(er_expect_rank(p, t, 4, "input"));
        if (t->dims[0] != 1 || t->dims[3] != channels[i] || t->dims[1] != heat->dims[1] || t->dims[2] != heat->dims[2] || !t->count)
            return er_op_fail(p, EDGERT_ERROR_MODEL, "its input %d is %d x %d x %d x %d, expected 1 x %d x %d x %d", i, t->dims[0], t->dims[1], t->dims[2], t->dims[3], heat->dims[1], heat->dims[2], channels[i]);
    }
    if ((int64_t)heat->dims[1] * heat->dims[2] > 1 << 24) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its heatmap has more than 2^24 cells");
    const float threshold = (float)v[1], stride = (float)v[2];
    *s = (posenet){.most = (int32_t)v[0], .height = heat->dims[1], .width = heat->dims[2], .least_score = threshold, .radius = (float)v[3] / stride, .stride = stride, .masks = masks,
                   .least_logit = (float)-log(1 / ((double)threshold + 1e-6) - 1)};
    for (int32_t i = 0; i < op->n_outputs; i++) ER_TRY(er_expect_type(p, op->outputs[i], EDGERT_FLOAT32, "output"));
    ER_TRY(er_set_shape(p, op->outputs[0], (int32_t[]){1, s->most, KEYPOINTS, 2}, 4));
    ER_TRY(er_set_shape(p, op->outputs[1], (int32_t[]){1, s->most, KEYPOINTS}, 3));
    ER_TRY(er_set_shape(p, op->outputs[2], (int32_t[]){1, s->most}, 2));
    ER_TRY(er_set_shape(p, op->outputs[3], (int32_t[]){1}, 1));
    if (masks) ER_TRY(er_set_shape(p, op->outputs[4], (int32_t[]){1, s->most, s->height, s->width}, 4));
    work w;
    er_carver c = {NULL, 0};
    lay_out(s, &c, &w);
    op->shared_bytes = c.used;
    op->run = run_posenet;
    return ER_OK;
}
