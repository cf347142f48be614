#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

void *er_aligned_alloc(size_t bytes)
{
    size_t total;
    if (!er_add_size(bytes, 2 * ER_ALIGN, &total)) return NULL;
#if defined(_WIN32)
    return _aligned_malloc(er_round_up(bytes ? bytes : 1, ER_ALIGN), ER_ALIGN);
#else
    void *p = NULL;
    return posix_memalign(&p, ER_ALIGN, er_round_up(bytes ? bytes : 1, ER_ALIGN)) ? NULL : p;
#endif
}

void er_aligned_free(void *p)
{
#if defined(_WIN32)
    _aligned_free(p);
#else
    free(p);
#endif
}

struct er_heap_block { struct er_heap_block *next; };

void *er_heap_alloc(er_heap *heap, size_t bytes)
{
    void *p = er_heap_alloc_raw(heap, bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void *er_heap_alloc_raw(er_heap *heap, size_t bytes)
{
    size_t total;
    if (!er_add_size(bytes, ER_ALIGN, &total)) return NULL;
    struct er_heap_block *b = er_aligned_alloc(total);
    if (!b) return NULL;
    b->next = heap->first;
    heap->first = b;
    heap->total += bytes;
    return (char *)b + ER_ALIGN;
}

void er_heap_free(er_heap *heap)
{
    for (struct er_heap_block *b = heap->first, *next; b; b = next) {
        next = b->next;
        er_aligned_free(b);
    }
    heap->first = NULL;
    heap->total = 0;
}
