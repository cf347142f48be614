#include "format/sparsity.h"

#include <string.h>

#include "format/model.h"
#include "format/schema.h"

enum { LEVELS = 2 * ER_MAX_RANK };

// An array of whole numbers of 1, 2 or 4 bytes.
typedef struct { er_fb_vector v; size_t each; } index_array;

typedef struct {
    int32_t rank, levels, dims[ER_MAX_RANK];
    int32_t order[LEVELS];              // which dimension a level walks: of the tensor, or from `rank` on of its blocks
    int32_t block_of[ER_MAX_RANK];      // which dimension a block's cuts
    int32_t size[LEVELS];               // of the level
    int32_t block[ER_MAX_RANK];         // size of a block along a dimension, 1 where it is not cut
    bool sparse[LEVELS];
    index_array segments[LEVELS], indices[LEVELS];
    size_t each, left;                  // elements that are left to place
    const uint8_t *from;
    uint8_t *dense;
    int32_t at[LEVELS];
    const char *fault;
} expansion;

static int64_t item(index_array a, size_t i)
{
    if (a.each == 1) return a.v.items[i];
    if (a.each == 2) {
        uint16_t v;
        memcpy(&v, a.v.items + 2 * i, sizeof v);
        return v;
    }
    int32_t v;
    memcpy(&v, a.v.items + 4 * i, sizeof v);
    return v;
}

static index_array array_of(er_fb_table t, int type_field)
{
    static const size_t sizes[] = {0, 4, 2, 1};
    const uint8_t type = er_fb_u8(t, type_field, 0);
    if (type < 1 || type > 3) return (index_array){{NULL, 0}, 0};
    return (index_array){er_fb_vec(er_fb_child(t, type_field + 1), 0), sizes[type]};
}

static void place(expansion *e)
{
    if (!e->left) { e->fault = "has fewer values than its sparsity says"; return; }
    int32_t at[ER_MAX_RANK] = {0};
    for (int32_t l = 0; l < e->levels; l++) {
        const int32_t d = e->order[l];
        if (d < e->rank) at[d] += e->at[l] * e->block[d];
        else at[e->block_of[d - e->rank]] += e->at[l];
    }
    size_t to = 0;
    for (int32_t d = 0; d < e->rank; d++) {
        if (at[d] >= e->dims[d]) { e->fault = "has a value outside of its shape"; return; }
        to = to * (size_t)e->dims[d] + (size_t)at[d];
    }
    memcpy(e->dense + to * e->each, e->from, e->each);
    e->from += e->each;
    e->left--;
}

// `before`: which place of the level before this one belongs to. Every value is placed once at most, so that it ends.
static void walk(expansion *e, int32_t level, int64_t before)
{
    if (level == e->levels) {
        place(e);
        return;
    }
    if (!e->sparse[level]) {
        for (int32_t i = 0; i < e->size[level] && !e->fault; i++) {
            e->at[level] = i;
            walk(e, level + 1, before * e->size[level] + i);
        }
        return;
    }
    const index_array segments = e->segments[level], indices = e->indices[level];
    if (before + 1 >= (int64_t)segments.v.n) { e->fault = "has too few segments in its sparsity"; return; }
    const int64_t begin = item(segments, (size_t)before), end = item(segments, (size_t)before + 1);
    if (begin < 0 || begin > end || end > (int64_t)indices.v.n) { e->fault = "has segments outside of its sparsity's indices"; return; }
    for (int64_t i = begin; i < end && !e->fault; i++) {
        const int64_t at = item(indices, (size_t)i);
        if (at < 0 || at >= e->size[level]) { e->fault = "has an index outside of its shape in its sparsity"; return; }
        e->at[level] = (int32_t)at;
        walk(e, level + 1, i);
    }
}

static const char *read(er_fb_table s, expansion *e)
{
    const er_fb_vector order = er_fb_vec(s, SPARSITY_ORDER), map = er_fb_vec(s, SPARSITY_BLOCK_MAP), levels = er_fb_vec(s, SPARSITY_LEVELS);
    e->levels = (int32_t)order.n;
    if (order.n < (uint32_t)e->rank || order.n > LEVELS || order.n != (uint32_t)e->rank + map.n || levels.n != order.n) return "has a sparsity that does not go with its rank";
    bool seen[LEVELS] = {false};
    if (order.n) memcpy(e->order, order.items, order.n * sizeof *e->order);      // a scalar has none
    if (map.n) memcpy(e->block_of, map.items, map.n * sizeof *e->block_of);
    for (int32_t d = 0; d < e->rank; d++) e->block[d] = 1;
    for (int32_t l = 0; l < e->levels; l++) {
        const int32_t d = e->order[l];
        if (d < 0 || d >= e->levels || seen[d]) return "has a sparsity that walks a dimension twice, or none";
        seen[d] = true;
        const er_fb_table t = er_fb_item(s, SPARSITY_LEVELS, (uint32_t)l);
        e->sparse[l] = er_fb_i8(t, LEVEL_FORMAT, 0) == 1;
        e->size[l] = er_fb_i32(t, LEVEL_SIZE, 0);
        e->segments[l] = array_of(t, LEVEL_SEGMENTS_TYPE);
        e->indices[l] = array_of(t, LEVEL_INDICES_TYPE);
        if (d < e->rank) continue;
        const int32_t cut = e->block_of[d - e->rank];
        if (cut < 0 || cut >= e->rank || e->sparse[l] || e->size[l] < 1 || e->size[l] > e->dims[cut] || e->block[cut] != 1) return "has a sparsity with a block that is none of its shape";
        e->block[cut] = e->size[l];
    }
    for (int32_t l = 0; l < e->levels; l++) {
        const int32_t d = e->order[l];
        if (d >= e->rank) continue;
        const int32_t size = e->dims[d] / e->block[d];
        if (!e->sparse[l] && e->size[l] != size) return "has a sparsity with another size than its shape";
        e->size[l] = size;
    }
    return NULL;
}

const char *er_sparsity_expand(er_fb_table s, const int32_t *dims, int32_t rank, size_t each, const uint8_t *values, size_t bytes, uint8_t *dense)
{
    expansion e = {.rank = rank, .each = each, .left = bytes / each, .from = values, .dense = dense};
    if (rank > ER_MAX_RANK || bytes % each) return "has not whole values";
    if (rank) memcpy(e.dims, dims, (size_t)rank * sizeof *dims);
    for (int32_t d = 0; d < rank; d++)
        if (!dims[d]) return e.left ? "has values, but no room for them in its shape" : NULL;
    const char *fault = read(s, &e);
    if (fault) return fault;
    walk(&e, 0, 0);
    return e.fault ? e.fault : e.left ? "has more values than its sparsity says" : NULL;
}
