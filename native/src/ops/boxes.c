#include "ops/boxes.h"

#include <math.h>
#include <stdbool.h>

static inline float least(float a, float b) { return a < b ? a : b; }
static inline float most(float a, float b) { return a > b ? a : b; }

float er_box_overlap(er_box a, er_box b)
{
    const float area_a = (a.y1 - a.y0) * (a.x1 - a.x0), area_b = (b.y1 - b.y0) * (b.x1 - b.x0);
    if (area_a <= 0 || area_b <= 0) return 0;
    const float both = most(least(a.y1, b.y1) - most(a.y0, b.y0), 0) * most(least(a.x1, b.x1) - most(a.x0, b.x0), 0);
    return both / (area_a + area_b - both);
}

// NaN is worse than all numbers.
static bool is_better(const float *scores, int32_t a, int32_t b)
{
    if (isnan(scores[a]) != isnan(scores[b])) return isnan(scores[b]);
    return scores[a] > scores[b] || (!(scores[a] < scores[b]) && a < b);
}

static void sink(const float *scores, int32_t *heap, size_t n, size_t at)
{
    const int32_t v = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_better(scores, heap[child + 1], heap[child])) child++;
        if (!is_better(scores, heap[child], v)) break;
        heap[at] = heap[child];
    }
    heap[at] = v;
}

void er_heap_by_score(const float *scores, int32_t *indices, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) sink(scores, indices, n, i);
}

int32_t er_take_best(const float *scores, int32_t *heap, size_t *n)
{
    const int32_t best = heap[0];
    heap[0] = heap[--*n];
    if (*n) sink(scores, heap, *n, 0);
    return best;
}
