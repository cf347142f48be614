#include "base/rank.h"

#include <string.h>

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

// A byte of a value's place from the largest.
static size_t digit(er_ranked v, int shift) { return (size_t)(~((uint64_t)v.value ^ UINT64_C(1) << 63) >> shift & 255); }

void er_rank(er_ranked *all, er_ranked *spare, size_t n)
{
    for (int shift = 0; n && shift < 64; shift += 8) {
        size_t counts[256] = {0}, begin = 0;
        for (size_t i = 0; i < n; i++) counts[digit(all[i], shift)]++;
        if (counts[digit(all[0], shift)] == n) continue;
        for (size_t d = 0; d < 256; d++) {
            const size_t count = counts[d];
            counts[d] = begin;
            begin += count;
        }
        for (size_t i = 0; i < n; i++) spare[counts[digit(all[i], shift)]++] = all[i];
        memcpy(all, spare, n * sizeof *all);
    }
}
