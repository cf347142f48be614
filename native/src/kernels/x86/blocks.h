// int4 weights in blocks by int8 values (er_dot_blocks), for every x86 instruction set: compiled once for each, after its vec*.h and
//     v_nibbles(sum, w, x)        sum + products of four weights of 0 to 15 by four int8 values, per lane
#ifndef ER_X86_BLOCKS_H
#define ER_X86_BLOCKS_H

#include "kernels/kernels.h"

static void dot_blocks(size_t blocks, size_t size, const uint8_t *w, const int8_t *x, const int32_t *eights, const float *scales, float *y)
{
    const vi low = v_set8(15);
    for (size_t from = 0; from < ER_BLOCK_ROWS; from += LANES) {
        const uint8_t *weights = w + 4 * from, *values = (const uint8_t *)x;
        vf sum = v_loadf(y + from);
        for (size_t b = 0; b < blocks; b++) {
            vi even = v_zero(), odd = v_zero();
            for (size_t i = 0; i < size; i += 8, weights += 4 * ER_BLOCK_ROWS, values += 8) {
                const vi both = v_load(weights);
                even = v_nibbles(even, v_and(both, low), v_spread(values));
                odd = v_nibbles(odd, v_and(v_shift_right(both, 4), low), v_spread(values + 4));
            }
            const vi total = v_sub32(v_add32(even, odd), v_set32(eights[b]));
            sum = v_addf(sum, v_mulf(v_float(total), v_loadf(scales + b * ER_BLOCK_ROWS + from)));
        }
        v_savef(y + from, sum);
    }
}

#endif
