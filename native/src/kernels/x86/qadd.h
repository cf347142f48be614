// 8-bit addition, for every x86 instruction set: compiled once for each, after its vec*.h, v_widen(p, is_signed), which makes
// lanes of LANES bytes, and qadd_exact, the kernel with integers.
//
// The reference rounds three times, but what the first two do is some 2^-20 of the sum, so the output is
// a * A + b * B + C rounded to the nearest integer, unless that lies near a tie: as in epilogue.h, the vectors in which something
// does are computed again.
#ifndef ER_X86_QADD_H
#define ER_X86_QADD_H

#include <math.h>

#include "kernels/x86/bytes.h"

typedef struct { vf a, b, c; vi zero; float limit; } sum_scales;

static double real_of(er_multiplier m) { return ldexp(m.q, m.shift - 31); }

static sum_scales sum_scales_of(const er_qadd_params *p)
{
    double out = real_of(p->out), a = ldexp(real_of(p->a), 20) * out, b = ldexp(real_of(p->b), 20) * out;
    if (p->subtract) b = -b;
    // Where float32 may be off: each of the three terms and two sums by half of a last place, and the reference's roundings.
    double reach = 255 * (fabs(a) + fabs(b)) + 256, off = reach * 0x1p-22 + 3 * out;
    return (sum_scales){v_setf((float)a), v_setf((float)b), v_setf((float)-(p->a_zero * a + p->b_zero * b)), v_set16((int16_t)(p->o.zero + range_base(&p->o))), (float)(0.5 - off)};
}

__attribute__((always_inline)) static inline vi sum_of(vi a, vi b, const sum_scales *s, vf *worst)
{
    vf x = v_fma(v_float(a), s->a, v_fma(v_float(b), s->b, s->c));
    *worst = v_worst(*worst, x);
    return v_round(x);
}

__attribute__((always_inline)) static inline void
add_four(const uint8_t *a, bool a_signed, const uint8_t *b, bool b_signed, const sum_scales *s, const range *r, const er_qadd_params *p, uint8_t *out)
{
    vf worst = v_zerof();
    vi y0 = sum_of(v_widen(a, a_signed), v_widen(b, b_signed), s, &worst);
    vi y1 = sum_of(v_widen(a + LANES, a_signed), v_widen(b + LANES, b_signed), s, &worst);
    vi y2 = sum_of(v_widen(a + 2 * LANES, a_signed), v_widen(b + 2 * LANES, b_signed), s, &worst);
    vi y3 = sum_of(v_widen(a + 3 * LANES, a_signed), v_widen(b + 3 * LANES, b_signed), s, &worst);
    if (__builtin_expect(v_any_above(worst, s->limit), 0)) qadd_exact(4 * LANES, a, 1, b, 1, p, out);
    else v_store_bytes(out, packed_bytes(v_adds16(v_pack32(y0, y1), s->zero), v_adds16(v_pack32(y2, y3), s->zero), r), v_tail_of(4 * LANES));
}

static void qadd(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out)
{
    enum { BLOCK = 4 * LANES };
    const sum_scales s = sum_scales_of(p);
    if (s.limit < 0.4f || a_step == 0 || b_step == 0 || p->a.shift > 0 || p->b.shift > 0 || p->out.shift > 0) {
        qadd_exact(n, a, a_step, b, b_step, p, out);
        return;
    }
    const range r = range_of(&p->o);
    size_t i = 0;
    if (!p->a_signed && !p->b_signed)
        for (; i + BLOCK <= n; i += BLOCK) add_four(a + i, false, b + i, false, &s, &r, p, out + i);
    for (; i + BLOCK <= n; i += BLOCK) add_four(a + i, p->a_signed, b + i, p->b_signed, &s, &r, p, out + i);
    if (i == n) return;
    uint8_t rest[3][BLOCK] = {{0}};
    memcpy(rest[0], a + i, n - i);
    memcpy(rest[1], b + i, n - i);
    add_four(rest[0], p->a_signed, rest[1], p->b_signed, &s, &r, p, rest[2]);
    memcpy(out + i, rest[2], n - i);
}

#endif
