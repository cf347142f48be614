// 8-bit multiplication, for every x86 instruction set: compiled once for each, after its vec*.h and v_widen(p, is_signed), which
// makes lanes of LANES bytes. Products are requantized as sums are.
#ifndef ER_X86_QMUL_H
#define ER_X86_QMUL_H

#include "kernels/x86/epilogue.h"

typedef struct { const er_qmul_params *p; const uint8_t *header; vf m, add; vi offset, limit, za, zb; range r; } product_scales;

__attribute__((always_inline)) static inline vi product_of(const uint8_t *a, const uint8_t *b, const product_scales *s)
{
    return v_mul32(v_sub32(v_widen(a, s->p->a_signed), s->za), v_sub32(v_widen(b, s->p->b_signed), s->zb));
}

static void mul_four(const uint8_t *a, const uint8_t *b, const product_scales *s, uint8_t *out)
{
    const er_output *o = &s->p->o;
    vi x[4], y[4];
    for (size_t v = 0; v < 4; v++) {
        x[v] = product_of(a + v * LANES, b + v * LANES, s);
        y[v] = fixed(x[v], s->m, s->add, s->offset, false, o->large);
    }
    v_store_bytes(out, packed_bytes(v_whole(y[0], y[1]), v_whole(y[2], y[3]), &s->r), v_tail_of(4 * LANES));
    if (!__builtin_expect(any_near(y[0], y[1], y[2], y[3], s->limit) || o->slow, 0)) return;
    for (size_t v = 0; v < 4; v++) {
        uint32_t lanes = lanes_to_mend(y[v], LANES, o, false);
        if (lanes) mend_lanes(lanes, &x[v], s->header, LANES, 0, o, out + v * LANES, false);
    }
}

static void qmul(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qmul_params *p, uint8_t *out)
{
    enum { BLOCK = 4 * LANES };
    uint8_t header[ER_HEADER * LANES], repeated[2][BLOCK], rest[3][BLOCK];
    // As er_put_header does, of LANES channels without a bias.
    const er_multiplier m = er_make_multiplier(p->m);
    v_store(header, v_zero());
    v_store(header + 4 * LANES, v_set32(m.q));
    v_store(header + 8 * LANES, v_set32(m.shift));
    const scales c = scales_of(header, LANES, 0, &p->o, false);
    const product_scales s = {p, header, v_loadf(c.m), v_loadf(c.add), v_set32(offset_of(&p->o, false)), v_set32(near_limit(&p->o, false)),
                              v_set32(p->a_zero), v_set32(p->b_zero), range_of(&p->o)};
    if (!a_step) a = memset(repeated[0], a[0], BLOCK);
    if (!b_step) b = memset(repeated[1], b[0], BLOCK);
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) mul_four(a + i * a_step, b + i * b_step, &s, out + i);
    if (i == n) return;
    memset(rest, 0, sizeof rest);
    memcpy(rest[0], a + i * a_step, n - i);
    memcpy(rest[1], b + i * b_step, n - i);
    mul_four(rest[0], rest[1], &s, rest[2]);
    memcpy(out + i, rest[2], n - i);
}

#endif
