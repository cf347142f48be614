// Bytes through a table of 256, for every x86 instruction set: compiled once for each, after its vec*.h. The table is sixteen vectors
// of sixteen bytes; each byte finds itself in the one that its upper half names, and 0 in the others.
#ifndef ER_X86_LOOKUP_H
#define ER_X86_LOOKUP_H

#include "kernels/kernels.h"

static void qlookup(size_t n, const uint8_t *x, const uint8_t *table, uint8_t *y)
{
    enum { BLOCK = 4 * LANES };
    size_t i = 0;
    vi part[16];
    if (n >= 16 * BLOCK)
        for (size_t k = 0; k < 16; k++) part[k] = v_repeat16(table + 16 * k);
    for (; n >= 16 * BLOCK && i + BLOCK <= n; i += BLOCK) {
        const vi v = v_load(x + i);
        vi out = v_zero();
        for (size_t k = 0; k < 16; k++) {
            // An upper half that is not 0 makes the top bit, which asks for 0.
            const vi at = v_add_saturated8(v_xor(v, v_set8((uint8_t)(k << 4))), v_set8(0x70));
            out = v_or(out, v_shuffle8(part[k], at));
        }
        v_save(y + i, out);
    }
    for (; i < n; i++) y[i] = table[x[i]];
}

#endif
