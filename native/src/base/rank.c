#include "base/rank.h"

void er_rank_sift(er_ranked *heap, size_t i, size_t n)
{
    const er_ranked moved = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && er_ranks_after(heap[child + 1], heap[child])) child++;
        if (!er_ranks_after(heap[child], moved)) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

void er_rank_heap(er_ranked *all, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) er_rank_sift(all, i, n);
}

void er_rank_take(er_ranked *heap, size_t n)
{
    const er_ranked last = heap[0];
    heap[0] = heap[n - 1];
    heap[n - 1] = last;
    er_rank_sift(heap, 0, n - 1);
}

void er_rank(er_ranked *all, size_t n)
{
    er_rank_heap(all, n);
    for (; n > 1; n--) er_rank_take(all, n);
}
