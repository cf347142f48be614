// 8-bit addition, for every x86 instruction set: compiled once for each, after its vec*.h, v_widen(p, is_signed), which makes
// lanes of LANES bytes, and qadd_exact, the kernel with integers.
//
// The reference rounds three times, but what the first two do is some 2^-20 of the sum, so the output is
// a * A + b * B + C rounded to the nearest integer, unless that lies near a tie: as in epilogue.h, numbers have 16 bits after the point,
// and outputs that have too little there are computed again.
#ifndef ER_X86_QADD_H
#define ER_X86_QADD_H

#include <math.h>

#include "kernels/finish.h"
#include "kernels/x86/bytes.h"

typedef struct { vf a, b, c; vi below; int32_t margins; } sum_scales;

// q * 2^(shift - 31)
static double real_of(er_multiplier m)
{
    const uint64_t power = (uint64_t)(1023 + m.shift - 31) << 52;
    double p;
    memcpy(&p, &power, sizeof p);
    return m.q * p;
}

// False where float32 would not do.
static bool find_sum_scales(const er_qadd_params *p, sum_scales *s)
{
    if (p->a.shift > 0 || p->b.shift > 0 || p->out.shift > 0) return false;
    double out = real_of(p->out), a = real_of(p->a) * 0x1p20 * out, b = real_of(p->b) * 0x1p20 * out;
    if (255 * (a + b) + fabs(p->a_zero * a) + fabs(p->b_zero * b) > 30000) return false;
    if (p->subtract) b = -b;
    const float fa = (float)(65536 * a), fb = (float)(65536 * b);
    // What the rounding of a and b makes in the middle of their ranges is taken off.
    const double a_low = p->a_signed ? -128 : 0, b_low = p->b_signed ? -128 : 0, a_lost = 65536 * a - fa, b_lost = 65536 * b - fb;
    double c = 65536 * (p->o.zero + range_base(&p->o) + 0.5 - p->a_zero * a - p->b_zero * b) + (a_low + 127.5) * a_lost + (b_low + 127.5) * b_lost;
    // Float32 may then be off by that at the ends, by half of a last place of c, of the first sum and of the second where it is in the
    // output's range, and by one half of the conversion; the reference's roundings come on top.
    double first = fmax(fabs(b_low * fb + c), fabs((b_low + 255) * fb + c));
    double near = 127.5 * (fabs(a_lost) + fabs(b_lost)) + (fabs(c) + first + 256 * 65536) * 0x1p-24 + 0.5 + 65536 * 3 * out;
    if (near > 2000) return false;
    int32_t margin = (int32_t)near + 1;
    s->a = v_setf(fa);
    s->b = v_setf(fb);
    s->c = v_setf((float)(c + margin));
    s->margins = 2 * margin + 1;
    s->below = v_set32(s->margins);
    return true;
}

__attribute__((always_inline)) static inline vi sum_of(vi a, vi b, const sum_scales *s)
{
    return v_round(v_fma(v_float(a), s->a, v_fma(v_float(b), s->b, s->c)));
}

// Computes outputs that are too near to ties with integers. `y`: four vectors.
static __attribute__((noinline, cold)) void add_near(const uint8_t *a, const uint8_t *b, const vi *y, const sum_scales *s, const er_qadd_params *p, uint8_t *out)
{
    for (size_t v = 0; v < 4; v++)
        for (uint32_t lanes = v_lanes_below(y[v], s->margins); lanes; lanes &= lanes - 1) {
            const size_t i = v * LANES + (size_t)__builtin_ctz(lanes);
            out[i] = er_qadd_one(a[i], b[i], p);
        }
}

__attribute__((always_inline)) static inline void
add_four(const uint8_t *a, bool a_signed, const uint8_t *b, bool b_signed, const sum_scales *s, const range *r, const er_qadd_params *p, uint8_t *out)
{
    vi y0 = sum_of(v_widen(a, a_signed), v_widen(b, b_signed), s);
    vi y1 = sum_of(v_widen(a + LANES, a_signed), v_widen(b + LANES, b_signed), s);
    vi y2 = sum_of(v_widen(a + 2 * LANES, a_signed), v_widen(b + 2 * LANES, b_signed), s);
    vi y3 = sum_of(v_widen(a + 3 * LANES, a_signed), v_widen(b + 3 * LANES, b_signed), s);
    v_store_bytes(out, packed_bytes(v_whole(y0, y1), v_whole(y2, y3), r), v_tail_of(4 * LANES));
    if (__builtin_expect(v_any_below(v_least(v_least(y0, y1), v_least(y2, y3)), s->below), 0)) {
        const vi y[] = {y0, y1, y2, y3};
        add_near(a, b, y, s, p, out);
    }
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
