#include "ops/dynamic_range.h"

#include <math.h>
#include <string.h>

static int8_t rounded(float v, float low)
{
    v = roundf(v);
    return (int8_t)(!(v > low) ? low : v > 127 ? 127 : v);
}

er_dynamic er_quantize_floats(const float *x, size_t n, bool asymmetric, int8_t *q)
{
    float least = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    if (least == most) {
        memset(q, 0, n);
        return (er_dynamic){1, 0};
    }
    if (!asymmetric) {
        const float range = -least > most ? -least : most, inverse = 127 / range;
        for (size_t i = 0; i < n; i++) q[i] = rounded(x[i] * inverse, -127);
        return (er_dynamic){range / 127, 0};
    }
    // Whichever end gives the zero point with the smaller error.
    const double low = (double)least, high = (double)most, scale = (high - low) / 255;
    const double zero = 128 + fabs(low / scale) < 127 + fabs(high / scale) ? -128 - low / scale : 127 - high / scale;
    const int32_t nudged = !(zero > -128) ? -128 : zero >= 127 ? 127 : (int32_t)round(zero);
    const float inverse = 1.0f / (float)scale;
    for (size_t i = 0; i < n; i++) q[i] = rounded((float)nudged + x[i] * inverse, -128);
    return (er_dynamic){(float)scale, nudged};
}
