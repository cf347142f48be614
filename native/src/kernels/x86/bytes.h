// From outputs in 32-bit lanes to bytes in memory, for every vector width: compiled once for each, after its vec*.h.
#ifndef ER_X86_BYTES_H
#define ER_X86_BYTES_H

#include "kernels/kernels.h"

// The output's range for bytes counted from the type's lowest value, of which `flip` makes the type's own. `free`: all bytes are
// in range, and there is nothing to flip.
typedef struct { vi low, high, flip; bool free; } range;

static inline range range_of(const er_output *o)
{
    int32_t base = er_output_base(o);
    return (range){v_set8((uint8_t)(o->min + base)), v_set8((uint8_t)(o->max + base)), v_set8((uint8_t)base),
                   base == 0 && o->min == 0 && o->max == 255};
}

// What there is to store of `vectors` vectors of which n channels exist.
static inline v_tail tail_of(size_t n, size_t vectors) { return v_tail_of(n < vectors * LANES ? n : vectors * LANES); }

// `r`: NULL where it is free.
static inline vi clamped(vi bytes, const range *r)
{
    if (r && !r->free) bytes = v_xor(v_clamp8(bytes, r->low, r->high), r->flip);
    return bytes;
}

// The bytes of four vectors' outputs, next to each other: a and b are two of v_whole.
__attribute__((always_inline)) static inline vi packed_bytes(vi a, vi b, const range *r) { return clamped(v_in_order(v_pack16(a, b)), r); }

// Some rows of bytes, a half (parts = 2) or a quarter of a vector each, of which n are to be stored; `tail` is for one row.
__attribute__((always_inline)) static inline void
store_rows(uint8_t *out, size_t stride, vi bytes, size_t parts, size_t rows, size_t n, v_tail tail)
{
    const size_t each = 4 * LANES / parts;
    if (n >= each && stride == each) {
        v_store_bytes(out, bytes, v_tail_of(rows * each));
        return;
    }
    if (n >= each) {        // whole rows: no tail to look at
        v_save_part(out, bytes, parts, 0);
        if (rows > 1) v_save_part(out + stride, bytes, parts, 1);
        if (rows > 2) v_save_part(out + 2 * stride, bytes, parts, 2);
        if (rows > 3) v_save_part(out + 3 * stride, bytes, parts, 3);
        return;
    }
    v_store_bytes(out, bytes, tail);
    if (rows > 1) v_store_bytes(out + stride, parts == 2 ? v_half(bytes) : v_quarter(bytes, 1), tail);
    if (rows > 2) v_store_bytes(out + 2 * stride, v_quarter(bytes, 2), tail);
    if (rows > 3) v_store_bytes(out + 3 * stride, v_quarter(bytes, 3), tail);
}

#endif
