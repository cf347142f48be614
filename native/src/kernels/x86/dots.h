// Dot products of bytes (er_dot_bytes, er_dot_unsigned) where there is vpdpbusd. After a vec*.h and vnni.h.
#ifndef ER_X86_DOTS_H
#define ER_X86_DOTS_H

#include <string.h>

#include "kernels/kernels.h"

enum { BYTES = 4 * LANES };

static inline int32_t sum_of_lanes(vi x)
{
    int32_t lane[LANES];
    uint32_t sum = 0;
    v_save(lane, x);
    for (int i = 0; i < LANES; i++) sum += (uint32_t)lane[i];
    return (int32_t)sum;
}

// The sum of w[i] * (x[i] ^ flip), of unsigned bytes, and where `weights` also that of w[i].
__attribute__((always_inline)) static inline int32_t dot(size_t n, const int8_t *w, const uint8_t *x, uint8_t flip, const bool weights, int32_t *weight_sum)
{
    const vi mask = v_set8(flip), one = v_set8(1);
    vi sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()}, of_weights = v_zero();
    size_t i = 0;
    for (; i + 4 * BYTES <= n; i += 4 * BYTES) {        // none waits for the one before
        for (size_t j = 0; j < 4; j++) {
            const vi v = v_load(w + i + j * BYTES);
            sum[j] = v_dot(sum[j], v_xor(v_load(x + i + j * BYTES), mask), v);
            if (weights) of_weights = v_dot(of_weights, one, v);
        }
    }
    while (i < n) {
        const size_t some = n - i < BYTES ? n - i : BYTES;
        int8_t last[BYTES] = {0};
        uint8_t values[BYTES] = {0};
        vi v, a;
        if (some == BYTES) {
            v = v_load(w + i);
            a = v_load(x + i);
        } else {
            memcpy(last, w + i, some);
            memcpy(values, x + i, some);
            v = v_load(last);
            a = v_load(values);
        }
        sum[0] = v_dot(sum[0], v_xor(a, mask), v);
        if (weights) of_weights = v_dot(of_weights, one, v);
        i += some;
    }
    if (weights) *weight_sum = sum_of_lanes(of_weights);
    return sum_of_lanes(v_add32(v_add32(sum[0], sum[1]), v_add32(sum[2], sum[3])));
}

static int32_t dot_unsigned(size_t n, const int8_t *w, const uint8_t *x) { return dot(n, w, x, 0, false, NULL); }

static int32_t dot_bytes(size_t n, const int8_t *w, const int8_t *x, int32_t zero)
{
    int32_t weight_sum;
    const int32_t sum = dot(n, w, (const uint8_t *)x, 0x80, true, &weight_sum);
    return (int32_t)((uint32_t)sum - (uint32_t)(128 + zero) * (uint32_t)weight_sum);
}

#endif
