// How float32 makes the outputs of an 8-bit addition.
//
// The reference rounds three times, but what the first two do is some 2^-20 of the sum, so the output is
// a * A + b * B + C rounded to the nearest integer, unless that lies near a tie: with 16 bits after the point, where too little is there.
//
// a * A + b * B is (a * p + b * q) * m, where p and q are whole numbers of 15 bits that have very nearly A's ratio to B: one instruction
// makes the sum, exactly, and it fits float32.
#include <math.h>

#include "kernels/kernels.h"

// q * 2^(shift - 31)
static double real_of(er_multiplier m) { return ldexp(m.q, m.shift - 31); }

// The last convergent of the continued fraction of 0 <= x <= 1, or what lies between it and the one that follows, with p <= q < 2^15.
static void find_fraction(double x, int32_t *p, int32_t *q)
{
    enum { MOST = 32767 };
    int32_t p0 = 1, q0 = 0, p1 = 0, q1 = 1;     // the last two
    for (double rest = x; rest > 0x1p-30;) {
        const double inverse = 1 / rest, whole = floor(inverse);
        const int32_t room = (MOST - q0) / q1, digit = whole < room ? (int32_t)whole : room;
        const int32_t p2 = digit * p1 + p0, q2 = digit * q1 + q0;
        if (digit < whole) {
            if (fabs((double)p2 / q2 - x) >= fabs((double)p1 / q1 - x)) break;
            p1 = p2;
            q1 = q2;
            break;
        }
        p0 = p1;
        q0 = q1;
        p1 = p2;
        q1 = q2;
        rest = inverse - whole;
    }
    *p = p1;
    *q = q1;
}

void er_qadd_prepare(er_qadd_params *p)
{
    p->floats = (er_qadd_floats){0};
    if (p->a.shift > 0 || p->b.shift > 0 || p->out.shift > 0) return;
    const double out = real_of(p->out), a = real_of(p->a) * 0x1p20 * out, b = real_of(p->b) * 0x1p20 * out;
    if (255 * (a + b) + fabs(p->a_zero * a) + fabs(p->b_zero * b) > 30000) return;
    const bool a_larger = a > b;
    int32_t small, large;
    find_fraction(a_larger ? b / a : a / b, &small, &large);
    const int32_t sign = p->subtract ? -1 : 1, pa = a_larger ? large : small, pb = (a_larger ? small : large) * sign;
    const float m = (float)(65536 * (a_larger ? a : b) / large);
    // Inputs count from their types' lowest values, as does the output. What m and the fraction lose in the middle of the ranges is taken off.
    const double a_lost = 65536 * a - pa * (double)m, b_lost = 65536 * b * sign - pb * (double)m;
    const double a_zero = p->a_zero + (p->a_signed ? 128 : 0), b_zero = p->b_zero + (p->b_signed ? 128 : 0), zero = p->o.zero + er_output_base(&p->o);
    const double c = 65536 * (zero + 0.5 - a_zero * a - b_zero * b * sign) + 127.5 * (a_lost + b_lost);
    // Float32 may then be off by that at the ends, by half of a last place of c and of the output where it is in its range, and by
    // one half of the conversion; the reference's roundings come on top.
    const double near = 127.5 * (fabs(a_lost) + fabs(b_lost)) + (fabs(c) + 256 * 65536) * 0x1p-24 + 0.5 + 65536 * 3 * out;
    if (!(near <= 2000)) return;
    const int32_t margin = (int32_t)near + 1;
    p->floats = (er_qadd_floats){(int16_t)pa, (int16_t)pb, (float)m, (float)(c + margin), margin};
}
