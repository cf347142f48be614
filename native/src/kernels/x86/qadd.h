// 8-bit addition, for every x86 instruction set: compiled once for each, after its vec*.h and qadd_exact, the kernel with
// integers.
//
// er_qadd_prepare says how one multiplication makes an output, and how near to a tie it cannot be trusted: such outputs are computed again.
#ifndef ER_X86_QADD_H
#define ER_X86_QADD_H

#include "kernels/finish.h"
#include "kernels/x86/bytes.h"

typedef struct { vi pair, flip_a, flip_b; vf m, c; vi below; int32_t margins; } sum_scales;

static sum_scales spread_sums(const er_qadd_params *p)
{
    const er_qadd_floats *f = &p->floats;
    return (sum_scales){v_set32((int32_t)((uint32_t)f->b << 16 | (uint16_t)f->a)), v_set8(p->a_signed ? 128 : 0), v_set8(p->b_signed ? 128 : 0),
                        v_setf(f->m), v_setf(f->c), v_set32(2 * f->margin + 1), 2 * f->margin + 1};
}

// Computes outputs that are too near to ties with integers. `y`: four vectors, each with four of every 16 outputs.
static __attribute__((noinline, cold)) void add_near(const uint8_t *a, const uint8_t *b, const vi *y, const sum_scales *s, const er_qadd_params *p, uint8_t *out)
{
    for (size_t v = 0; v < 4; v++)
        for (uint32_t lanes = v_lanes_below(y[v], s->margins); lanes; lanes &= lanes - 1) {
            const size_t lane = (size_t)__builtin_ctz(lanes), i = lane / 4 * 16 + v * 4 + lane % 4;
            out[i] = er_qadd_one(a[i], b[i], p);
        }
}

// `pairs`: 16-bit elements of a and b in turn.
__attribute__((always_inline)) static inline vi sum_of(vi pairs, const sum_scales *s)
{
    return v_round(v_fma(v_float(v_dot16(pairs, s->pair)), s->m, s->c));
}

__attribute__((always_inline)) static inline void
add_four(const uint8_t *a, const uint8_t *b, bool flip, const sum_scales *s, const range *r, const er_qadd_params *p, uint8_t *out)
{
    const vi x = flip ? v_xor(v_load(a), s->flip_a) : v_load(a), z = flip ? v_xor(v_load(b), s->flip_b) : v_load(b), low = v_unpack_low8(x, z), high = v_unpack_high8(x, z), none = v_zero();
    const vi y0 = sum_of(v_unpack_low8(low, none), s), y1 = sum_of(v_unpack_high8(low, none), s);
    const vi y2 = sum_of(v_unpack_low8(high, none), s), y3 = sum_of(v_unpack_high8(high, none), s);
    const vi bytes = clamped(v_pack16(v_whole(y0, y1), v_whole(y2, y3)), r);
    if (__builtin_expect(v_any_below(v_least(v_least(y0, y1), v_least(y2, y3)), s->below), 0)) {
        const vi y[] = {y0, y1, y2, y3};
        uint8_t terms[2][4 * LANES];        // `out` may be one of them
        memcpy(terms[0], a, sizeof terms[0]);
        memcpy(terms[1], b, sizeof terms[1]);
        v_store_bytes(out, bytes, v_tail_of(4 * LANES));
        add_near(terms[0], terms[1], y, s, p, out);
        return;
    }
    v_store_bytes(out, bytes, v_tail_of(4 * LANES));
}

static void qadd(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out)
{
    enum { BLOCK = 4 * LANES };
    if (!p->floats.margin) {
        qadd_exact(n, a, a_step, b, b_step, p, out);
        return;
    }
    const sum_scales s = spread_sums(p);
    const range r = range_of(&p->o);
    uint8_t repeated[2][BLOCK], rest[3][BLOCK];
    if (!a_step) a = memset(repeated[0], a[0], BLOCK);
    if (!b_step) b = memset(repeated[1], b[0], BLOCK);
    size_t i = 0;
    if (!p->a_signed && !p->b_signed && r.free)
        for (; i + BLOCK <= n; i += BLOCK) add_four(a + i * a_step, b + i * b_step, false, &s, NULL, p, out + i);
    for (; i + BLOCK <= n; i += BLOCK) add_four(a + i * a_step, b + i * b_step, true, &s, &r, p, out + i);
    if (i == n) return;
    memset(rest, 0, sizeof rest);
    memcpy(rest[0], a + i * a_step, n - i);
    memcpy(rest[1], b + i * b_step, n - i);
    add_four(rest[0], rest[1], true, &s, &r, p, rest[2]);
    memcpy(out + i, rest[2], n - i);
}

#endif
