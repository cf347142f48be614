// 8-bit addition. Where er_qadd_prepare says that one multiplication makes an output, AArch64 makes it so, with 16 bits behind the point, and
// again those that are too near to ties: by the reference's three roundings, as all others.
#include <math.h>

#include "kernels/neon/neon.h"
#include "kernels/neon/sixteen.h"

// One term of a sum: (x - zero) << 20 times its multiplier, which is one half or has a shift to the right.
typedef struct { uint8x16_t zero; vi q, shift; bool is_signed, half; } term;

static term term_of(int32_t zero, er_multiplier m, bool is_signed)
{
    return (term){vdupq_n_u8((uint8_t)zero), vdupq_n_s32(m.q), vdupq_n_s32(m.shift), is_signed, er_is_half(m)};
}

typedef struct { vi v[4]; } four;

__attribute__((always_inline)) static inline four term_values(sixteen x, const term *t, const bool half)
{
    // 9 bits become 14, then 29.
    const int16x8_t low = half ? vshlq_n_s16(x.low, 4) : vshlq_n_s16(x.low, 5), high = half ? vshlq_n_s16(x.high, 4) : vshlq_n_s16(x.high, 5);
#if defined(__aarch64__)
    four f = {{vshll_n_s16(vget_low_s16(low), 15), vshll_high_n_s16(low, 15), vshll_n_s16(vget_low_s16(high), 15), vshll_high_n_s16(high, 15)}};
#else
    four f = {{vshll_n_s16(vget_low_s16(low), 15), vshll_n_s16(vget_high_s16(low), 15), vshll_n_s16(vget_low_s16(high), 15), vshll_n_s16(vget_high_s16(high), 15)}};
#endif
    for (size_t i = 0; i < 4 && !half; i++) f.v[i] = scaled(f.v[i], t->q, t->shift, RIGHT);
    return f;
}

typedef struct { term a, b; vi q, shift; range range; bool subtract; } sum_job;

__attribute__((always_inline)) static inline vi sum_of(vi x, vi y, const sum_job *s) { return scaled(s->subtract ? vsubq_s32(x, y) : vaddq_s32(x, y), s->q, s->shift, RIGHT); }

__attribute__((always_inline)) static inline void add_sixteen(const uint8_t *a, const uint8_t *b, const sum_job *s, const bool half_a, const bool half_b, uint8_t *out)
{
    const four x = term_values(widened(a, s->a.is_signed, s->a.zero), &s->a, half_a), y = term_values(widened(b, s->b.is_signed, s->b.zero), &s->b, half_b);
    vst1q_s8((int8_t *)out, packed_bytes(sum_of(x.v[0], y.v[0], s), sum_of(x.v[1], y.v[1], s), sum_of(x.v[2], y.v[2], s), sum_of(x.v[3], y.v[3], s), &s->range, RIGHT));
}

// Of two int8 tensors, as models have them, or else as s says.
typedef enum { ANY_SUM, INT8_SUM, INT8_DIFFERENCE } sum_kind;

__attribute__((always_inline)) static inline void add_all(size_t n, const uint8_t *a, const uint8_t *b, const sum_job *s, const bool half_a, const bool half_b, const sum_kind kind, uint8_t *out)
{
    sum_job copy = *s;
    if (kind != ANY_SUM) {
        copy.a.is_signed = copy.b.is_signed = true;
        copy.subtract = kind == INT8_DIFFERENCE;
    }
    for (size_t i = 0; i + 16 <= n; i += 16) add_sixteen(a + i, b + i, &copy, half_a, half_b, out + i);
}

__attribute__((always_inline)) static inline void add_of(size_t n, const uint8_t *a, const uint8_t *b, const sum_job *s, const sum_kind kind, uint8_t *out)
{
    if (s->a.half && s->b.half) add_all(n, a, b, s, true, true, kind, out);
    else if (s->a.half) add_all(n, a, b, s, true, false, kind, out);
    else add_all(n, a, b, s, false, s->b.half, kind, out);
}

static void add_some(size_t n, const uint8_t *a, const uint8_t *b, const sum_job *s, uint8_t *out)
{
    if (!s->a.is_signed || !s->b.is_signed) add_of(n, a, b, s, ANY_SUM, out);
    else if (s->subtract) add_of(n, a, b, s, INT8_DIFFERENCE, out);
    else add_of(n, a, b, s, INT8_SUM, out);
}

// The same where one of the two is one number, of which `one` is the term.
__attribute__((always_inline)) static inline void add_one_of(size_t n, const uint8_t *v, const term *t, const bool half, const bool one_first, vi one, const sum_job *s, uint8_t *out)
{
    for (size_t i = 0; i + 16 <= n; i += 16) {
        const four x = term_values(widened(v + i, t->is_signed, t->zero), t, half);
        vi y[4];
        for (size_t k = 0; k < 4; k++) y[k] = one_first ? sum_of(one, x.v[k], s) : sum_of(x.v[k], one, s);
        vst1q_s8((int8_t *)out + i, packed_bytes(y[0], y[1], y[2], y[3], &s->range, RIGHT));
    }
}

static void add_one(size_t n, const uint8_t *v, uint8_t one, bool one_first, const sum_job *s, uint8_t *out)
{
    const sum_job copy = *s;
    const term *t = one_first ? &copy.b : &copy.a, *of_one = one_first ? &copy.a : &copy.b;
    uint8_t repeated[16];
    memset(repeated, one, sizeof repeated);
    const sixteen x = widened(repeated, of_one->is_signed, of_one->zero);
    const vi y = of_one->half ? term_values(x, of_one, true).v[0] : term_values(x, of_one, false).v[0];
    if (one_first && t->half) add_one_of(n, v, t, true, true, y, &copy, out);
    else if (one_first) add_one_of(n, v, t, false, true, y, &copy, out);
    else if (t->half) add_one_of(n, v, t, true, false, y, &copy, out);
    else add_one_of(n, v, t, false, false, y, &copy, out);
}

static void add_terms(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const sum_job *s, uint8_t *out)
{
    if (!a_step) add_one(n, b, *a, true, s, out);
    else if (!b_step) add_one(n, a, *b, false, s, out);
    else add_some(n, a, b, s, out);
}

static sum_job sum_job_of(const er_qadd_params *p)
{
    return (sum_job){term_of(p->a_zero, p->a, p->a_signed), term_of(p->b_zero, p->b, p->b_signed), vdupq_n_s32(p->out.q), vdupq_n_s32(p->out.shift), range_of(&p->o), p->subtract};
}

static bool takes_terms(const er_qadd_params *p)
{
    return is_right_or_half(p->a) && is_right_or_half(p->b) && p->out.shift < 0 && in_range(p->a_zero, p->a_signed) && in_range(p->b_zero, p->b_signed);
}

// The rest that does not fill a vector is copied.
static void add_exactly(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out)
{
    if ((!a_step && !b_step) || !takes_terms(p)) {
        er_qadd_generic(n, a, a_step, b, b_step, p, out);
        return;
    }
    const sum_job s = sum_job_of(p);
    const size_t i = n / 16 * 16;
    add_terms(i, a, a_step, b, b_step, &s, out);
    if (i == n) return;
    uint8_t rest[3][16] = {{0}};
    memcpy(rest[0], a + i * a_step, a_step ? n - i : 1);
    memcpy(rest[1], b + i * b_step, b_step ? n - i : 1);
    add_terms(16, rest[0], a_step, rest[1], b_step, &s, rest[2]);
    memcpy(out + i, rest[2], n - i);
}

#if defined(__aarch64__)
// Bytes as int8, times 2^7, by whole numbers of 15 bits, then by m in sqrdmulh's 31 bits, and c: outputs as int8, with 16 bits behind the point.
enum { INPUT_BITS = 7, BLOCK = 32 };
typedef struct { int16x8_t a, b; vi m, c; uint16_t margins; uint8x16_t flip_a, flip_b; range range; } sum_scales;

// Whether there are any. What m, c and sqrdmulh are rounded by is less than 2 together, and comes on top of the margin.
static bool spread_sums(const er_qadd_params *p, sum_scales *s)
{
    const er_qadd_floats *f = &p->floats;
    if (!f->margin || f->margin > 1000) return false;
    const int32_t larger = er_max32(f->a, er_max32(f->b, -f->b)), more = INT16_MAX / larger;      // a simple ratio: m becomes small by it
    const double m = ldexp(f->m, 31 - INPUT_BITS) / more;
    if (!(m < INT32_MAX)) return false;
    const double c = (double)f->c + 128.0 * (f->a + f->b) * (double)f->m - 128 * 65536.0 + 2;
    const int16_t a = (int16_t)(f->a * more), b = (int16_t)(f->b * more);
    *s = (sum_scales){vdupq_n_s16(a), vdupq_n_s16(b), vdupq_n_s32((int32_t)lrint(m)), vdupq_n_s32((int32_t)lrint(c)), (uint16_t)(2 * (f->margin + 2)),
                      vdupq_n_u8(p->a_signed ? 0 : 0x80), vdupq_n_u8(p->b_signed ? 0 : 0x80), range_of(&p->o)};
    return true;
}

static inline int16x8_t low_input(uint8x16_t x) { return vshll_n_s8(vget_low_s8(vreinterpretq_s8_u8(x)), INPUT_BITS); }
static inline int16x8_t high_input(uint8x16_t x) { return vshll_high_n_s8(vreinterpretq_s8_u8(x), INPUT_BITS); }

typedef struct { int16x8_t whole[2], part[2]; } sixteen_sums;

static inline sixteen_sums sums_of(const uint8_t *pa, const uint8_t *pb, bool flip, const sum_scales *s)
{
    uint8x16_t x = vld1q_u8(pa), y = vld1q_u8(pb);
    if (flip) x = veorq_u8(x, s->flip_a), y = veorq_u8(y, s->flip_b);
    const int16x8_t a[2] = {low_input(x), high_input(x)}, b[2] = {low_input(y), high_input(y)};
    sixteen_sums r;
    for (size_t i = 0; i < 2; i++) {
        const vi low = vmlal_s16(vmull_s16(vget_low_s16(a[i]), vget_low_s16(s->a)), vget_low_s16(b[i]), vget_low_s16(s->b));
        const vi high = vmlal_high_s16(vmull_high_s16(a[i], s->a), b[i], s->b);
        const int16x8_t l = vreinterpretq_s16_s32(vaddq_s32(vqrdmulhq_s32(low, s->m), s->c)), h = vreinterpretq_s16_s32(vaddq_s32(vqrdmulhq_s32(high, s->m), s->c));
        r.whole[i] = vuzp2q_s16(l, h);
        r.part[i] = vuzp1q_s16(l, h);
    }
    return r;
}

static inline uint16x8_t least_part(const sixteen_sums *x)
{
    return vminq_u16(vreinterpretq_u16_s16(x->part[0]), vreinterpretq_u16_s16(x->part[1]));
}

// Whole blocks of them: how many outputs.
__attribute__((always_inline)) static inline size_t add_blocks(size_t n, const uint8_t *a, const uint8_t *b, const bool plain, const sum_scales *scales, const er_qadd_params *p, uint8_t *out)
{
    const sum_scales s = *scales;
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        const sixteen_sums x = sums_of(a + i, b + i, !plain, &s), y = sums_of(a + i + 16, b + i + 16, !plain, &s);
        if (__builtin_expect(vminvq_u16(vminq_u16(least_part(&x), least_part(&y))) <= s.margins, 0)) {
            add_exactly(BLOCK, a + i, 1, b + i, 1, p, out + i);
            continue;
        }
        const int8x16_t first = narrowed8(x.whole[0], x.whole[1]), second = narrowed8(y.whole[0], y.whole[1]);
        vst1q_s8((int8_t *)out + i, plain ? first : clamped(first, &s.range));
        vst1q_s8((int8_t *)out + i + 16, plain ? second : clamped(second, &s.range));
    }
    return i;
}
#endif

static void qadd(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out)
{
    size_t i = 0;
#if defined(__aarch64__)
    sum_scales s;
    if (n >= BLOCK && a_step && b_step && spread_sums(p, &s)) {
        const bool plain = p->a_signed && p->b_signed && s.range.free;
        i = plain ? add_blocks(n, a, b, true, &s, p, out) : add_blocks(n, a, b, false, &s, p, out);
    }
#endif
    if (i < n) add_exactly(n - i, a + i * a_step, a_step, b + i * b_step, b_step, p, out + i);
}

void er_neon_qadd(er_kernels *k) { k->qadd = qadd; }
