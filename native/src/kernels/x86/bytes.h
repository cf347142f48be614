// From outputs in 32-bit lanes to bytes in memory, for every vector width: compiled once for each, after its vec*.h.
#ifndef ER_X86_BYTES_H
#define ER_X86_BYTES_H

#include "kernels/kernels.h"

// The output's zero point and range for bytes counted from the type's lowest value; `flip` takes them back.
typedef struct { vi zero, low, high, flip; } range;

static inline range range_of(const er_output *o)
{
    int32_t base = o->min < 0 || o->zero < 0 ? 128 : 0;
    return (range){v_set16((int16_t)(o->zero + base)), v_set8((uint8_t)(o->min + base)), v_set8((uint8_t)(o->max + base)), v_set8((uint8_t)base)};
}

// What there is to store of `vectors` vectors of which n channels exist.
static inline v_tail tail_of(size_t n, size_t vectors) { return v_tail_of(n < vectors * LANES ? n : vectors * LANES); }

static inline vi clamped(vi bytes, range r) { return v_xor(v_clamp8(bytes, r.low, r.high), r.flip); }

// The bytes of up to four vectors of outputs, next to each other.
__attribute__((always_inline)) static inline vi packed_bytes(vi y0, vi y1, vi y2, vi y3, size_t vectors, range r)
{
    vi a = v_adds16(v_pack32(y0, vectors > 1 ? y1 : y0), r.zero);
    vi b = vectors > 2 ? v_adds16(v_pack32(y2, vectors > 3 ? y3 : y2), r.zero) : a;
    return clamped(v_in_order(v_pack16(a, b)), r);
}

// Some rows of bytes, a half (parts = 2) or a quarter of a vector each, of which n are to be stored; `tail` is for one row.
__attribute__((always_inline)) static inline void
store_rows(uint8_t *out, size_t stride, vi bytes, size_t parts, size_t rows, size_t n, v_tail tail)
{
    const size_t each = 4 * LANES / parts;
    if (n >= each && stride == each) {
        v_store_bytes(out, bytes, v_tail_of(rows * each));
        return;
    }
    v_store_bytes(out, bytes, tail);
    if (rows > 1) v_store_bytes(out + stride, parts == 2 ? v_half(bytes) : v_quarter(bytes, 1), tail);
    if (rows > 2) v_store_bytes(out + 2 * stride, v_quarter(bytes, 2), tail);
    if (rows > 3) v_store_bytes(out + 3 * stride, v_quarter(bytes, 3), tail);
}

#endif
