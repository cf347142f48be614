// TFLite_Detection_PostProcess: from box encodings, class scores and anchors to the best boxes. float32, or uint8 that is dequantized first.
//
// Boxes are decoded as in the TensorFlow Object Detection API (Faster R-CNN box coder), and those dropped that overlap a better one, per class
// ("regular") or with the best classes of each box ("fast").
#include <math.h>
#include <string.h>

#include "format/flexbuffer.h"
#include "ops/boxes.h"
#include "ops/carve.h"
#include "ops/op.h"

typedef struct {
    int32_t most, classes_a_box, per_class, classes, columns;
    bool regular;
    float least_score, most_overlap, y_scale, x_scale, h_scale, w_scale;
    size_t boxes, encoding;
} detection;

// Memory of one run, in op->shared.
typedef struct { er_box *boxes; float *scores, *best; int32_t *sorted, *selected; float *found_score; int32_t *found; } work;

static void lay_out(const detection *s, size_t n_scores, er_carver *c, work *w)
{
    const size_t n = s->boxes + 1, found = 2 * (size_t)s->most + (size_t)s->per_class + 1, sorted = n > (size_t)s->columns ? n : (size_t)s->columns;
    w->boxes = er_carve(c, n * sizeof *w->boxes);
    w->scores = er_carve(c, n_scores * sizeof *w->scores);
    w->best = er_carve(c, n * sizeof *w->best);
    w->sorted = er_carve(c, sorted * sizeof *w->sorted);
    w->selected = er_carve(c, n * sizeof *w->selected);
    w->found_score = er_carve(c, found * sizeof *w->found_score);
    w->found = er_carve(c, found * sizeof *w->found);
}

static float value_at(const er_tensor *t, size_t i) { return t->def->type == EDGERT_FLOAT32 ? er_f32(t)[i] : ((float)er_u8(t)[i] - (float)er_zero(t)) * er_scale(t); }

static bool decode(const detection *s, const er_op *op, er_box *boxes)
{
    const er_tensor *x = op->inputs[0], *anchors = op->inputs[2];
    bool fine = true;
    for (size_t i = 0; i < s->boxes; i++) {
        double e[4], a[4];
        for (size_t k = 0; k < 4; k++) {
            e[k] = (double)value_at(x, i * s->encoding + k);
            a[k] = (double)value_at(anchors, i * 4 + k);        // y, x, h, w
        }
        const float y = (float)(e[0] / (double)s->y_scale * a[2] + a[0]), c = (float)(e[1] / (double)s->x_scale * a[3] + a[1]);
        const float h = (float)(0.5 * exp(e[2] / (double)s->h_scale) * a[2]), w = (float)(0.5 * exp(e[3] / (double)s->w_scale) * a[3]);
        boxes[i] = (er_box){y - h, c - w, y + h, c + w};
        fine = fine && !(boxes[i].y0 > boxes[i].y1) && !(boxes[i].x0 > boxes[i].x1);
    }
    return fine;
}

// The boxes that stay of those with these scores, best first, into w->selected; at most `most`.
static size_t suppress(const detection *s, const work *w, const er_pool *pool, const float *scores, size_t most)
{
    size_t n = 0, selected = 0;
    for (size_t i = 0; i < s->boxes; i++)
        if (scores[i] >= s->least_score) w->sorted[n++] = (int32_t)i;
    er_heap_by_score(scores, w->sorted, n);
    while (n && selected < most && !er_pool_stopped(pool)) {
        const int32_t next = er_take_best(scores, w->sorted, &n);
        bool dropped = false;
        for (size_t j = 0; j < selected && !dropped; j++) dropped = er_box_overlap(w->boxes[w->selected[j]], w->boxes[next]) > s->most_overlap;
        if (!dropped) w->selected[selected++] = next;
    }
    return selected;
}

static void put(const er_op *op, size_t at, er_box box, float class, float score)
{
    memcpy(er_f32(op->outputs[0]) + 4 * at, &box, sizeof box);
    er_f32(op->outputs[1])[at] = class;
    er_f32(op->outputs[2])[at] = score;
}

// Each class for itself, then the best of all.
static size_t run_regular(const detection *s, const er_op *op, const work *w, const er_pool *pool)
{
    const int32_t background = s->columns - s->classes;
    const size_t most = (size_t)s->most;
    size_t n = 0;
    for (int32_t c = 0; c < s->classes; c++) {
        for (size_t i = 0; i < s->boxes; i++) w->best[i] = w->scores[i * (size_t)s->columns + (size_t)(c + background)];
        const size_t more = suppress(s, w, pool, w->best, (size_t)er_min32(s->per_class, s->most));
        // Both lists descend: merged from the end, of equal scores the older first.
        size_t a = n, b = more;
        for (size_t to = n + more; to-- > 0;) {
            if (b > 0 && (a == 0 || !(w->best[w->selected[b - 1]] > w->found_score[a - 1]))) {
                b--;
                w->found_score[to] = w->best[w->selected[b]];
                w->found[to] = w->selected[b] * s->columns + c + background;
            } else {
                a--;
                w->found_score[to] = w->found_score[a];
                w->found[to] = w->found[a];
            }
        }
        n = n + more < most ? n + more : most;
    }
    for (size_t i = 0; i < n; i++) put(op, i, w->boxes[w->found[i] / s->columns], (float)(w->found[i] % s->columns - background), w->found_score[i]);
    return n;
}

// By the best class of each box, of which the best few are given. What is counted are boxes.
static size_t run_fast(const detection *s, const er_op *op, const work *w, const er_pool *pool)
{
    const int32_t background = s->columns - s->classes, given = er_min32(s->classes_a_box, s->classes);
    for (size_t i = 0; i < s->boxes; i++) {
        const float *row = w->scores + i * (size_t)s->columns + background;
        w->best[i] = row[0];
        for (int32_t c = 1; c < s->classes; c++) w->best[i] = row[c] > w->best[i] ? row[c] : w->best[i];
    }
    const size_t n = suppress(s, w, pool, w->best, (size_t)s->most);
    for (size_t i = 0; i < n; i++) {
        const float *row = w->scores + (size_t)w->selected[i] * (size_t)s->columns + background;
        for (int32_t c = 0; c < s->classes; c++) w->sorted[c] = c;
        size_t left = (size_t)s->classes;
        er_heap_by_score(row, w->sorted, left);
        for (int32_t c = 0; c < given; c++) {
            const int32_t best = er_take_best(row, w->sorted, &left);
            put(op, (size_t)s->classes_a_box * i + (size_t)c, w->boxes[w->selected[i]], (float)best, row[best]);
        }
    }
    return n;
}

static void run_detection(const er_op *op, er_pool *pool)
{
    const detection *s = op->state;
    const er_tensor *scores = op->inputs[1];
    work w;
    lay_out(s, scores->count + 1, &(er_carver){op->shared, 0}, &w);
    for (int32_t i = 0; i < 3; i++)
        if (op->outputs[i]->bytes) memset(op->outputs[i]->data, 0, op->outputs[i]->bytes);
    *er_f32(op->outputs[3]) = 0;
    if (!decode(s, op, w.boxes)) {
        er_op_fault(op, "a box has its corners in the wrong order");
        return;
    }
    for (size_t i = 0; i < scores->count; i++) w.scores[i] = value_at(scores, i);
    *er_f32(op->outputs[3]) = (float)(s->regular ? run_regular(s, op, &w, pool) : run_fast(s, op, &w, pool));
}

er_status er_prepare_detection(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 3, 3, 4));
    const er_tensor *x = op->inputs[0], *scores = op->inputs[1], *anchors = op->inputs[2];
    er_status status;
    detection *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    const er_flex f = {op->def->custom, op->def->custom_bytes};
    static const char *const names[] = {"max_detections", "max_classes_per_detection", "num_classes", "detections_per_class", "use_regular_nms", "nms_score_threshold",
                                        "nms_iou_threshold", "y_scale", "x_scale", "h_scale", "w_scale"};
    double v[11] = {0, 0, 0, 100, 0};
    for (int i = 0; i < 11; i++) er_flex_number(f, names[i], &v[i]);
    for (int i = 0; i < 4; i++)
        if (!(v[i] >= 0 && v[i] < 1 << 24)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its option %s is %g", names[i], v[i]);
    *s = (detection){.most = (int32_t)v[0], .classes_a_box = (int32_t)v[1], .classes = (int32_t)v[2], .per_class = (int32_t)v[3], .regular = v[4] != 0, .least_score = (float)v[5],
                     .most_overlap = (float)v[6], .y_scale = (float)v[7], .x_scale = (float)v[8], .h_scale = (float)v[9], .w_scale = (float)v[10]};
    if (x->rank != 3 || scores->rank != 3 || anchors->rank != 2 || x->dims[0] != 1 || scores->dims[0] != 1 || x->dims[2] < 4 || anchors->dims[1] != 4 || scores->dims[1] != x->dims[1] || anchors->dims[0] != x->dims[1])
        return er_op_fail(p, EDGERT_ERROR_MODEL, "the shapes of its boxes, scores and anchors do not fit each other");
    s->columns = scores->dims[2];
    s->boxes = (size_t)x->dims[1];
    s->encoding = (size_t)x->dims[2];
    if (s->classes < 1 || (s->columns != s->classes && s->columns != s->classes + 1))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "it has scores of %d classes and %d classes, expected as many, or one more", s->columns, s->classes);
    if (!(s->most_overlap > 0 && s->most_overlap <= 1)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its nms_iou_threshold is %g", (double)s->most_overlap);
    if (!s->regular && s->classes_a_box < 1) return er_op_fail(p, EDGERT_ERROR_MODEL, "it gives no classes");
    for (int32_t i = 0; i < 3; i++) {
        if (!(ER_T(op->inputs[i]->def->type) & (ER_FLOAT | ER_T(EDGERT_UINT8)))) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its input %d is %s", i, er_type_name(op->inputs[i]->def->type));
        if (op->inputs[i]->def->type == EDGERT_UINT8) ER_TRY(er_expect_quantized(p, op->inputs[i], "input"));
    }
    for (int32_t i = 0; i < 4; i++) ER_TRY(er_expect_type(p, op->outputs[i], EDGERT_FLOAT32, "output"));
    if ((int64_t)s->most * s->classes_a_box > INT32_MAX) return er_op_fail(p, EDGERT_ERROR_MODEL, "it gives too many boxes");
    const int32_t n = s->most * s->classes_a_box;
    if (s->regular && n < s->most) return er_op_fail(p, EDGERT_ERROR_MODEL, "it gives no classes");
    ER_TRY(er_set_shape(p, op->outputs[0], (int32_t[]){1, n, 4}, 3));
    ER_TRY(er_set_shape(p, op->outputs[1], (int32_t[]){1, n}, 2));
    ER_TRY(er_set_shape(p, op->outputs[2], (int32_t[]){1, n}, 2));
    ER_TRY(er_set_shape(p, op->outputs[3], (int32_t[]){1}, 1));
    work w;
    er_carver c = {NULL, 0};
    lay_out(s, scores->count + 1, &c, &w);
    op->shared_bytes = c.used;
    op->run = run_detection;
    return ER_OK;
}
