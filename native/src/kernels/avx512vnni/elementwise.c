// 8-bit addition and interpolation.
#include "base/cpu.h"
#include "kernels/avx512vnni/avx512vnni.h"

#include "kernels/x86/vec512.h"

// Requantization in 64 bits, as in avx2/elementwise.c.
typedef struct { __m512i q, positive[2], negative[2], shift[2], offset; } requant16;

static inline __m512i requant16_half(__m512i x, __m512i q, __m512i positive, __m512i negative, __m512i shift)
{
    __m512i product = _mm512_mul_epi32(x, q);
    __m512i round = _mm512_mask_blend_epi64(_mm512_movepi64_mask(product), positive, negative);
    return _mm512_srlv_epi64(_mm512_add_epi64(product, round), shift);
}

static inline __m512i requantize16(__m512i x, const requant16 *r)
{
    __m512i even = requant16_half(x, r->q, r->positive[0], r->negative[0], r->shift[0]);
    __m512i odd = requant16_half(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(r->q, 32), r->positive[1], r->negative[1], r->shift[1]);
    return _mm512_add_epi32(_mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA), r->offset);
}

static inline __mmask16 first_lanes(size_t n)
{
    uint32_t mask = n >= 16 ? 0xFFFF : (UINT32_C(1) << n) - 1;
    return (__mmask16)mask;
}

static inline __m128i narrow16(__m512i y, const er_output *o)
{
    return _mm512_cvtepi32_epi8(_mm512_max_epi32(_mm512_min_epi32(y, _mm512_set1_epi32(o->max)), _mm512_set1_epi32(o->min)));
}

static inline requant16 spread(er_multiplier m, int32_t zero)
{
    er_rounding r = er_make_rounding(m);
    requant16 c;
    c.q = _mm512_set1_epi32(m.q);
    c.positive[0] = c.positive[1] = _mm512_set1_epi64((int64_t)r.positive);
    c.negative[0] = c.negative[1] = _mm512_set1_epi64((int64_t)r.negative);
    c.shift[0] = c.shift[1] = _mm512_set1_epi64(r.shift);
    c.offset = _mm512_set1_epi32((int32_t)((uint32_t)zero - r.unbias));
    return c;
}

static inline __m512i halved_or_scaled(__m512i x, const requant16 *r, bool half) { return half ? _mm512_srai_epi32(x, 1) : requantize16(x, r); }

static inline __m512i term(const uint8_t *p, size_t i, size_t step, __mmask16 lanes, bool is_signed, __m512i zero)
{
    __m128i x = step ? _mm_maskz_loadu_epi8(lanes, p + i) : _mm_set1_epi8((char)p[0]);
    __m512i v = is_signed ? _mm512_cvtepi8_epi32(x) : _mm512_cvtepu8_epi32(x);
    return _mm512_slli_epi32(_mm512_sub_epi32(v, zero), 20);
}

static void qadd_exact(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out)
{
    if (p->a.shift > 0 || p->b.shift > 0 || p->out.shift > 0) {     // scales far apart: not worth vectors
        er_qadd_generic(n, a, a_step, b, b_step, p, out);
        return;
    }
    const requant16 ma = spread(p->a, 0), mb = spread(p->b, 0), mo = spread(p->out, p->o.zero);
    const bool a_half = er_is_half(p->a), b_half = er_is_half(p->b);
    const __m512i za = _mm512_set1_epi32(p->a_zero), zb = _mm512_set1_epi32(p->b_zero);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 lanes = first_lanes(n - i);
        __m512i x = halved_or_scaled(term(a, i, a_step, lanes, p->a_signed, za), &ma, a_half);
        __m512i y = halved_or_scaled(term(b, i, b_step, lanes, p->b_signed, zb), &mb, b_half);
        __m512i sum = p->subtract ? _mm512_sub_epi32(x, y) : _mm512_add_epi32(x, y);
        _mm_mask_storeu_epi8(out + i, lanes, narrow16(requantize16(sum, &mo), &p->o));
    }
}

static inline vi v_widen(const uint8_t *p, bool is_signed)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return is_signed ? _mm512_cvtepi8_epi32(x) : _mm512_cvtepu8_epi32(x);
}

#include "kernels/convert.h"
#include "kernels/x86/lookup.h"
#include "kernels/x86/qadd.h"
#include "kernels/x86/qmul.h"
#include "kernels/x86/resize.h"

// Half a table in two registers, as every CPU with VNNI but the first (Cascade Lake) can look it up.
__attribute__((target("avx512vbmi"))) static void qlookup_vbmi(size_t n, const uint8_t *x, const uint8_t *table, uint8_t *y)
{
    const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64), t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
    for (size_t i = 0; i < n; i += 64) {
        const __mmask64 some = n - i < 64 ? (UINT64_C(1) << (n - i)) - 1 : ~UINT64_C(0);
        const __m512i v = _mm512_maskz_loadu_epi8(some, x + i);
        // The index is the low seven bits.
        const __m512i low = _mm512_permutex2var_epi8(t0, v, t1), high = _mm512_permutex2var_epi8(t2, v, t3);
        _mm512_mask_storeu_epi8(y + i, some, _mm512_mask_blend_epi8(_mm512_movepi8_mask(v), low, high));
    }
}

void er_avx512vnni_elementwise(er_kernels *k)
{
    k->qadd = qadd;
    k->qmul = qmul;
    k->resize_uint8 = resize_uint8;
    k->resize_int8 = resize_int8;
    k->qlookup = er_cpu_features().avx512_vbmi ? qlookup_vbmi : qlookup;
    k->quantize = quantize;
    k->dequantize = dequantize;
}
