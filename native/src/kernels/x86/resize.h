// Bilinear interpolation along a row, for every x86 instruction set: compiled once for each, after its vec*.h.
#ifndef ER_X86_RESIZE_H
#define ER_X86_RESIZE_H

#include "kernels/x86/bytes.h"

// The low bytes of lanes that hold 0 to 255, of four vectors.
static inline vi lanes_to_bytes(const vi *y) { return v_in_order(v_pack16(v_pack32(y[0], y[1]), v_pack32(y[2], y[3]))); }

// Some vectors of channels (a constant), of which n exist, of all pixels. What lies around a pixel is loaded once for all that lie there.
__attribute__((always_inline)) static inline void
resize_block(const size_t vectors, size_t pixels, size_t channels, size_t n, const float *top, const float *bottom, const er_resize_column *columns, uint8_t *out)
{
    const vf half = v_setf(0.5f);
    vf top_low[4], bottom_low[4], top_high[4], bottom_high[4];
    vi y[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    for (size_t i = 0; i < pixels; i++) {
        if (i == 0 || columns[i].low != columns[i - 1].low || columns[i].high != columns[i - 1].high) {
            for (size_t v = 0; v < vectors; v++) {
                top_low[v] = v_loadf(top + columns[i].low + v * LANES);
                bottom_low[v] = v_loadf(bottom + columns[i].low + v * LANES);
                top_high[v] = v_loadf(top + columns[i].high + v * LANES);
                bottom_high[v] = v_loadf(bottom + columns[i].high + v * LANES);
            }
        }
        const vf right = v_setf(columns[i].real), left = v_setf(1 - columns[i].real);
        for (size_t v = 0; v < vectors; v++) {
            vf x = v_addf(v_mulf(top_low[v], left), v_mulf(bottom_low[v], left));
            x = v_addf(v_addf(x, v_mulf(top_high[v], right)), v_mulf(bottom_high[v], right));
            y[v] = v_cut(v_addf(x, half));
        }
        v_store_bytes(out + i * channels, lanes_to_bytes(y), tail_of(n, vectors));
    }
}

static void resize_uint8(size_t n, size_t channels, const float *top, const float *bottom, const er_resize_column *columns, uint8_t *out)
{
    for (size_t c = 0; c < channels; c += 4 * LANES) {
        const size_t some = channels - c;
        if (some <= LANES) resize_block(1, n, channels, some, top + c, bottom + c, columns, out + c);
        else if (some <= 2 * LANES) resize_block(2, n, channels, some, top + c, bottom + c, columns, out + c);
        else if (some <= 3 * LANES) resize_block(3, n, channels, some, top + c, bottom + c, columns, out + c);
        else resize_block(4, n, channels, some, top + c, bottom + c, columns, out + c);
    }
}

static inline vi mix_fixed(const int32_t *low, const int32_t *high, vi left, vi right)
{
    vi sum = v_add32(v_mul32(v_load(low), left), v_mul32(v_load(high), right)), sign = v_shift_right(sum, 31);
    vi y = v_shift_right(v_add32(v_sub32(v_xor(sum, sign), sign), v_set32(1 << 19)), 20);
    return v_add32(v_sub32(v_xor(y, sign), sign), v_set32(128));
}

static void resize_int8(size_t n, size_t channels, const int32_t *mixed, const er_resize_column *columns, int8_t *out)
{
    const vi flip = v_set8(0x80);
    for (size_t i = 0; i < n; i++) {
        uint8_t *to = (uint8_t *)out + i * channels;
        const int32_t *low = mixed + columns[i].low, *high = mixed + columns[i].high;
        const vi right = v_set32(columns[i].fixed), left = v_set32(1024 - columns[i].fixed);
        for (size_t c = 0; c < channels; c += 4 * LANES) {
            const size_t some = channels - c;
            vi y[4];
            y[0] = mix_fixed(low + c, high + c, left, right);
            y[1] = some > LANES ? mix_fixed(low + c + LANES, high + c + LANES, left, right) : y[0];
            y[2] = some > 2 * LANES ? mix_fixed(low + c + 2 * LANES, high + c + 2 * LANES, left, right) : y[0];
            y[3] = some > 3 * LANES ? mix_fixed(low + c + 3 * LANES, high + c + 3 * LANES, left, right) : y[0];
            v_store_bytes(to + c, v_xor(lanes_to_bytes(y), flip), tail_of(some, 4));
        }
    }
}

#endif
