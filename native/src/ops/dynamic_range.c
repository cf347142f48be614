#include "ops/dynamic_range.h"

#include <math.h>
#include <string.h>

er_dynamic er_quantize_floats(const er_kernels *k, const float *x, size_t n, bool asymmetric, int8_t *q)
{
    float least, most;
    k->float_range(n, x, &least, &most);
    if (least == most) {
        memset(q, 0, n);
        return (er_dynamic){1, 0};
    }
    if (!asymmetric) {
        const float range = -least > most ? -least : most;
        k->quantize_dynamic(n, x, 127 / range, 0, -127, q);
        return (er_dynamic){range / 127, 0};
    }
    // Whichever end gives the zero point with the smaller error.
    const double low = (double)least, high = (double)most, scale = (double)(most - least) / 255;
    const double zero = 128 + fabs(low / scale) < 127 + fabs(high / scale) ? -128 - low / scale : 127 - high / scale;
    const int32_t nudged = !(zero > -128) ? -128 : zero >= 127 ? 127 : (int32_t)round(zero);
    k->quantize_dynamic(n, x, 1.0f / (float)scale, (float)nudged, -128, q);
    return (er_dynamic){(float)scale, nudged};
}
