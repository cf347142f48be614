// Numbers in order: the largest first, of equal ones the first. Whatever a hostile file has, it takes no longer.
#ifndef ER_RANK_H
#define ER_RANK_H

#include <stddef.h>
#include <stdint.h>

typedef struct er_ranked { int64_t value; int32_t at; } er_ranked;

// Whether a comes after b.
static inline int er_ranks_after(er_ranked a, er_ranked b) { return a.value < b.value || (a.value == b.value && a.at > b.at); }

// A heap of n has at its top what comes last. er_rank_sift: only element i is in its wrong place, too high. er_rank_take: the top to the
// end, and the others a heap of n - 1.
void er_rank_heap(er_ranked *all, size_t n);
void er_rank_sift(er_ranked *heap, size_t i, size_t n);
void er_rank_take(er_ranked *heap, size_t n);

// All of them in order, byte by byte of their values, with as much memory again. What is equal stays in the order in which it is.
void er_rank(er_ranked *all, er_ranked *spare, size_t n);

#endif
