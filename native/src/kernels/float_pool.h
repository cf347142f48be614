// Pools of float32, compiled once for each instruction set: vectors along the channels. Each sum goes from its first tap to its last.
#ifndef ER_KERNELS_FLOAT_POOL_H
#define ER_KERNELS_FLOAT_POOL_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/floats.h"
#include "kernels/kernels.h"

enum { FLOATS_TOGETHER = 16 };
typedef enum { POOL_MOST, POOL_AVERAGE, POOL_L2 } pool_kind;

// The kind is a constant.
__attribute__((always_inline)) static inline floats take_floats(const pool_kind k, floats sum, floats v)
{
    if (k == POOL_MOST) return larger(v, sum);
    if (k == POOL_L2) v *= v;
    return sum + v;
}

__attribute__((always_inline)) static inline floats finished_floats(const pool_kind k, floats y, float n, float min, float max)
{
    if (k != POOL_MOST) y /= same_floats(n);
    if (k == POOL_L2)
        for (int j = 0; j < FLOATS; j++) y[j] = sqrtf(y[j]);
    return smaller(same_floats(max), larger(same_floats(min), y));
}

#define EACH_FLOATS(X) X(0) X(1) X(2) X(3)
#define FIRST_FLOATS(i) floats v##i = same_floats(first);
#define TAKE_FLOATS(i) if (i * FLOATS < FLOATS_TOGETHER) v##i = take_floats(k, v##i, load_floats(x + i * FLOATS));
#define PUT_FLOATS(i) \
    if (i * FLOATS < FLOATS_TOGETHER) { \
        v##i = finished_floats(k, v##i, n, min, max); \
        memcpy(out + c + i * FLOATS, &v##i, sizeof v##i); \
    }

__attribute__((always_inline)) static inline void
pool_floats(const pool_kind k, size_t pixels, size_t x_step, size_t channels, size_t taps, const float *const *tap, float min, float max, float *out)
{
    const float first = k == POOL_MOST ? -FLT_MAX : 0, n = (float)taps;
    for (size_t at = 0; pixels; pixels--, at += x_step, out += channels) {
        size_t c = 0;
        for (; c + FLOATS_TOGETHER <= channels; c += FLOATS_TOGETHER) {
            EACH_FLOATS(FIRST_FLOATS)
            for (size_t t = 0; t < taps; t++) {
                const float *x = tap[t] + at + c;
                EACH_FLOATS(TAKE_FLOATS)
            }
            EACH_FLOATS(PUT_FLOATS)
        }
        for (; c < channels; c++) {
            floats v = same_floats(first);
            for (size_t t = 0; t < taps; t++) v = take_floats(k, v, same_floats(tap[t][at + c]));
            out[c] = finished_floats(k, v, n, min, max)[0];
        }
    }
}
#undef EACH_FLOATS
#undef FIRST_FLOATS
#undef TAKE_FLOATS
#undef PUT_FLOATS

#define FLOAT_POOL(name, kind) \
    static void name(size_t pixels, size_t x_step, size_t channels, size_t taps, const float *const *tap, float min, float max, float *out) \
    { \
        pool_floats(kind, pixels, x_step, channels, taps, tap, min, max, out); \
    }
FLOAT_POOL(smax_pool, POOL_MOST)
FLOAT_POOL(saverage_pool, POOL_AVERAGE)
FLOAT_POOL(sl2_pool, POOL_L2)
#undef FLOAT_POOL

#define SET_FLOAT_POOLS(k) \
    (k)->smax_pool = smax_pool; \
    (k)->saverage_pool = saverage_pool; \
    (k)->sl2_pool = sl2_pool;

#endif
