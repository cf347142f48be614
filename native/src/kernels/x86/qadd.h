// 8-bit addition, for every x86 instruction set: compiled once for each, after its vec*.h, v_widen(p, is_signed), which makes
// lanes of LANES bytes, and qadd_exact, the kernel with integers.
//
// The reference rounds three times, but what the first two do is some 2^-20 of the sum, so the output is
// a * A + b * B + C rounded to the nearest integer, unless that lies near a tie: as in epilogue.h, numbers have 16 bits after the point,
// and blocks in which one has too little there are computed again.
#ifndef ER_X86_QADD_H
#define ER_X86_QADD_H

#include <math.h>

#include "kernels/x86/bytes.h"

typedef struct { vf a, b, c; vi below; } sum_scales;

static double real_of(er_multiplier m) { return ldexp(m.q, m.shift - 31); }

// False where float32 would not do.
static bool find_sum_scales(const er_qadd_params *p, sum_scales *s)
{
    if (p->a.shift > 0 || p->b.shift > 0 || p->out.shift > 0) return false;
    double out = real_of(p->out), a = ldexp(real_of(p->a), 20) * out, b = ldexp(real_of(p->b), 20) * out, c = fabs(p->a_zero * a) + fabs(p->b_zero * b);
    // Float32 may be off by half of a last place of each term, of the first sum and of the second, all with the output's zero point and one
    // half in them; then there are the reference's roundings.
    double near = 65536 * ((255 * (a + b) + c + 255 * b + c + 3 * 257) * 0x1p-24 + 3 * out) + 1;
    if (255 * (a + b) + c > 30000 || near > 2000) return false;
    int32_t margin = (int32_t)near + 1;
    if (p->subtract) b = -b;
    s->a = v_setf((float)(65536 * a));
    s->b = v_setf((float)(65536 * b));
    s->c = v_setf((float)(65536 * (p->o.zero + range_base(&p->o) - p->a_zero * a - p->b_zero * b) + 32768 + margin));
    s->below = v_set32(2 * margin + 1);
    return true;
}

__attribute__((always_inline)) static inline vi sum_of(vi a, vi b, const sum_scales *s)
{
    return v_round(v_fma(v_float(a), s->a, v_fma(v_float(b), s->b, s->c)));
}

__attribute__((always_inline)) static inline void
add_four(const uint8_t *a, bool a_signed, const uint8_t *b, bool b_signed, const sum_scales *s, const range *r, const er_qadd_params *p, uint8_t *out)
{
    vi y0 = sum_of(v_widen(a, a_signed), v_widen(b, b_signed), s);
    vi y1 = sum_of(v_widen(a + LANES, a_signed), v_widen(b + LANES, b_signed), s);
    vi y2 = sum_of(v_widen(a + 2 * LANES, a_signed), v_widen(b + 2 * LANES, b_signed), s);
    vi y3 = sum_of(v_widen(a + 3 * LANES, a_signed), v_widen(b + 3 * LANES, b_signed), s);
    if (__builtin_expect(v_any_below(v_least(v_least(y0, y1), v_least(y2, y3)), s->below), 0)) qadd_exact(4 * LANES, a, 1, b, 1, p, out);
    else v_store_bytes(out, packed_bytes(v_whole(y0, y1), v_whole(y2, y3), r), v_tail_of(4 * LANES));
}

static void qadd(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out)
{
    enum { BLOCK = 4 * LANES };
    sum_scales s;
    if (!find_sum_scales(p, &s)) {
        qadd_exact(n, a, a_step, b, b_step, p, out);
        return;
    }
    const range r = range_of(&p->o);
    uint8_t repeated[2][BLOCK], rest[3][BLOCK];
    if (!a_step) a = memset(repeated[0], a[0], BLOCK);
    if (!b_step) b = memset(repeated[1], b[0], BLOCK);
    size_t i = 0;
    if (!p->a_signed && !p->b_signed)
        for (; i + BLOCK <= n; i += BLOCK) add_four(a + i * a_step, false, b + i * b_step, false, &s, &r, p, out + i);
    for (; i + BLOCK <= n; i += BLOCK) add_four(a + i * a_step, p->a_signed, b + i * b_step, p->b_signed, &s, &r, p, out + i);
    if (i == n) return;
    memset(rest, 0, sizeof rest);
    memcpy(rest[0], a + i * a_step, n - i);
    memcpy(rest[1], b + i * b_step, n - i);
    add_four(rest[0], p->a_signed, rest[1], p->b_signed, &s, &r, p, rest[2]);
    memcpy(out + i, rest[2], n - i);
}

#endif
