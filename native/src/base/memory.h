// Aligned memory, and a pool of it that is freed at once.
#ifndef ER_MEMORY_H
#define ER_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { ER_ALIGN = 64 };     // a cache line, and the widest vector

// 64-byte aligned; NULL where there is none. `bytes` may be 0. Not zeroed.
void *er_aligned_alloc(size_t bytes);
void er_aligned_free(void *p);

// Repeats the first `have` bytes, of `all` in the end: each copy is twice as long as the last.
static inline void er_repeat(void *to, size_t have, size_t all)
{
    uint8_t *bytes = to;
    for (; have && have < all; have *= 2) memcpy(bytes + have, bytes, have < all - have ? have : all - have);
}

// Blocks that live as long as the pool. Zero-initialize it.
typedef struct er_heap { struct er_heap_block *first; size_t total; } er_heap;

// Zeroed, 64-byte aligned; NULL where there is no memory.
void *er_heap_alloc(er_heap *heap, size_t bytes);
void *er_heap_alloc_raw(er_heap *heap, size_t bytes);     // not zeroed
void er_heap_free(er_heap *heap);

#endif
