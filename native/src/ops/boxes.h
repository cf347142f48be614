// Boxes and how much of each other they cover, for operators that keep the best of those that overlap.
#ifndef ER_BOXES_H
#define ER_BOXES_H

#include <stddef.h>
#include <stdint.h>

typedef struct er_box { float y0, x0, y1, x1; } er_box;

// Intersection over union; 0 where either is empty.
float er_box_overlap(er_box a, er_box b);

// Makes a heap of indices, from which that of the best score is taken, of equal ones the smallest.
void er_heap_by_score(const float *scores, int32_t *indices, size_t n);
int32_t er_take_best(const float *scores, int32_t *heap, size_t *n);

#endif
