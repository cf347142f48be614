// float32 values quantized to int8 while the operator runs, for products with int8 weights ("dynamic range", "hybrid").
#ifndef ER_DYNAMIC_RANGE_H
#define ER_DYNAMIC_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

// How values were quantized: v = scale * (q - zero).
typedef struct er_dynamic { float scale; int32_t zero; } er_dynamic;

// Symmetric: to [-127, 127], by the largest magnitude. Asymmetric: to [-128, 127], by the least and the largest value, or zero. A NaN goes
// to the lowest.
er_dynamic er_quantize_floats(const er_kernels *kernels, const float *x, size_t n, bool asymmetric, int8_t *q);

#endif
