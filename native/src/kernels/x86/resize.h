// Bilinear interpolation along a row, for every x86 instruction set: compiled once for each, after its vec*.h.
#ifndef ER_X86_RESIZE_H
#define ER_X86_RESIZE_H

#include "kernels/x86/bytes.h"

// The low bytes of lanes that hold 0 to 255.
static inline vi lanes_to_bytes(vi y) { return v_in_order(v_pack16(v_pack32(y, y), v_pack32(y, y))); }

static void resize_uint8(size_t n, size_t channels, const float *top, const float *bottom, const er_resize_column *columns, uint8_t *out)
{
    const vf half = v_setf(0.5f);
    for (size_t i = 0; i < n; i++, out += channels) {
        size_t l = columns[i].low, h = columns[i].high;
        const vf right = v_setf(columns[i].real), left = v_setf(1 - columns[i].real);
        for (size_t c = 0; c < channels; c += LANES) {
            vf x = v_addf(v_mulf(v_loadf(top + l + c), left), v_mulf(v_loadf(bottom + l + c), left));
            x = v_addf(v_addf(x, v_mulf(v_loadf(top + h + c), right)), v_mulf(v_loadf(bottom + h + c), right));
            v_store_bytes(out + c, lanes_to_bytes(v_cut(v_addf(x, half))), v_tail_of(channels - c < LANES ? channels - c : LANES));
        }
    }
}

static void resize_int8(size_t n, size_t channels, const int32_t *mixed, const er_resize_column *columns, int8_t *out)
{
    const vi half = v_set32(1 << 19), base = v_set32(128), flip = v_set8(0x80);
    for (size_t i = 0; i < n; i++, out += channels) {
        const int32_t *low = mixed + columns[i].low, *high = mixed + columns[i].high;
        const vi right = v_set32(columns[i].fixed), left = v_set32(1024 - columns[i].fixed);
        for (size_t c = 0; c < channels; c += LANES) {
            vi sum = v_add32(v_mul32(v_load(low + c), left), v_mul32(v_load(high + c), right)), sign = v_shift_right(sum, 31);
            vi y = v_shift_right(v_add32(v_sub32(v_xor(sum, sign), sign), half), 20);
            y = v_add32(v_sub32(v_xor(y, sign), sign), base);
            v_store_bytes((uint8_t *)out + c, v_xor(lanes_to_bytes(y), flip), v_tail_of(channels - c < LANES ? channels - c : LANES));
        }
    }
}

#endif
