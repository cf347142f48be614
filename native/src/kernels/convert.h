// Between floats and bytes, in plain C: compiled once for each instruction set, by which the compiler makes vectors of it.
#ifndef ER_CONVERT_H
#define ER_CONVERT_H

#include <math.h>

#include "kernels/kernels.h"

// Clamped before the conversion: what float holds, int32 may not. NaN becomes the zero point. Rounding half away from zero is cutting
// after adding the largest number below one half: one half itself would carry what lies just below it.
static void quantize(size_t n, const float *x, float scale, int32_t zero, int32_t min, int32_t max, uint8_t *y)
{
    const float low = (float)(min - zero), high = (float)(max - zero);
    for (size_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        v = v < low ? low : v;
        v = v > high ? high : v;
        v = v == v ? v : 0;
        y[i] = (uint8_t)((int32_t)(v + copysignf(0x1.fffffep-2f, v)) + zero);
    }
}

static void dequantize(size_t n, const uint8_t *x, bool is_signed, float scale, int32_t zero, float *y)
{
    // int8 as uint8 with another zero point: one loop for both.
    const uint8_t flip = is_signed ? 0x80 : 0;
    zero += is_signed ? 128 : 0;
    for (size_t i = 0; i < n; i++) y[i] = scale * (float)((uint8_t)(x[i] ^ flip) - zero);
}

#endif
