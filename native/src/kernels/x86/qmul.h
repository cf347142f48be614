// 8-bit multiplication, for every x86 instruction set: compiled once for each, after its vec*.h and v_widen(p, is_signed), which
// makes lanes of LANES bytes. Products are requantized as sums are.
#ifndef ER_X86_QMUL_H
#define ER_X86_QMUL_H

#include "kernels/pack.h"
#include "kernels/x86/epilogue.h"

static void qmul(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qmul_params *p, uint8_t *out)
{
    uint8_t header[ER_HEADER * LANES];
    for (size_t j = 0; j < LANES; j++) er_put_header(header, LANES, j, &(er_channel){0, p->m}, 0, false);
    const scales s = scales_of(header, LANES, 0, false);
    const vf m = v_loadf(s.m), nudge = v_loadf(s.nudge);
    const vi offset = offset_of(&p->o), za = v_set32(p->a_zero), zb = v_set32(p->b_zero);
    const range r = range_of(&p->o);
    uint8_t repeated[2][LANES], rest[3][LANES] = {{0}};
    memset(repeated[0], a[0], LANES);
    memset(repeated[1], b[0], LANES);
    for (size_t i = 0; i < n; i += LANES) {
        const uint8_t *x = a_step ? a + i : repeated[0], *z = b_step ? b + i : repeated[1];
        size_t there = n - i < LANES ? n - i : LANES;
        if (there < LANES) {
            memcpy(rest[0], x, there);
            memcpy(rest[1], z, there);
            x = rest[0];
            z = rest[1];
        }
        vi product = v_mul32(v_sub32(v_widen(x, p->a_signed), za), v_sub32(v_widen(z, p->b_signed), zb)), y[4], least = v_ones();
        vf f = scaled(product, m, nudge);
        fix(f, f, f, f, offset, p->o.large, y, &least, 1);
        v_store_bytes(rest[2], packed_bytes(v_whole(y[0], y[0]), v_whole(y[0], y[0]), &r), v_tail_of(LANES));
        uint32_t lanes = p->o.slow ? UINT32_MAX : v_lanes_below(y[0], NEAR_BELOW);
        lanes &= UINT32_MAX >> (32 - there);
        if (__builtin_expect(lanes != 0, 0)) mend_lanes(lanes, &product, header, LANES, 0, &p->o, rest[2], false);
        memcpy(out + i, rest[2], there);
    }
}

#endif
