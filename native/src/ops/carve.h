// Memory of one run (er_op.shared) cut into pieces: by the same function with memory, when the operator runs, and without, for its size.
#ifndef ER_CARVE_H
#define ER_CARVE_H

#include "base/checked.h"
#include "base/memory.h"

typedef struct er_carver { uint8_t *base; size_t used; } er_carver;

// The next `bytes`, aligned; NULL without memory.
static inline void *er_carve(er_carver *c, size_t bytes)
{
    void *piece = c->base ? c->base + c->used : NULL;
    c->used += er_round_up(bytes, ER_ALIGN);
    return piece;
}

#endif
