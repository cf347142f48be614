// 16-bit addition and multiplication, eight at a time, where zero points are 0 and multipliers shift to the right, as models have them.
#include "base/fixed_point.h"
#include "kernels/arm/epilogue.h"
#include "kernels/neon/neon.h"

// One term of a sum: x << 15 times its multiplier.
typedef struct { vi q, shift; bool half; } term;

static term term_of(er_multiplier m) { return (term){vdupq_n_s32(m.q), vdupq_n_s32(m.shift), er_is_half(m)}; }
static inline vi value_of(int16x4_t x, const term *t) { return t->half ? vshll_n_s16(x, 14) : scaled(vshll_n_s16(x, 15), t->q, t->shift, RIGHT); }

// What is written: no zero point is added, so that saturating first makes no difference.
typedef struct { vi q, shift; int16x8_t min, max; bool subtract; } output;

static output output_of(const er_words_params *p)
{
    return (output){vdupq_n_s32(p->out.q), vdupq_n_s32(p->out.shift), vdupq_n_s16((int16_t)p->o.min), vdupq_n_s16((int16_t)p->o.max), p->subtract};
}

static inline void put_eight(vi low, vi high, const output *o, int16_t *out)
{
    const int16x8_t y = narrowed16(scaled(low, o->q, o->shift, RIGHT), scaled(high, o->q, o->shift, RIGHT));
    vst1q_s16(out, vminq_s16(vmaxq_s16(y, o->min), o->max));
}

static inline int16x8_t load_eight(const int16_t *x, size_t step, size_t i) { return step ? vld1q_s16(x + i) : vdupq_n_s16(*x); }

static bool is_plain(const er_words_params *p) { return !p->a_zero && !p->b_zero && !p->o.zero && p->out.shift < 0; }

static int16_t clamped_word(int32_t v, const er_words_params *p) { return (int16_t)er_clamp64((int64_t)v + p->o.zero, p->o.min, p->o.max); }

static inline vi sum_of(vi x, vi y, const output *o) { return o->subtract ? vsubq_s32(x, y) : vaddq_s32(x, y); }

static void add_words(size_t n, const int16_t *a, size_t a_step, const int16_t *b, size_t b_step, const er_words_params *p, int16_t *out)
{
    size_t i = 0;
    if (is_plain(p) && p->shift == 15 && is_right_or_half(p->a) && is_right_or_half(p->b)) {
        const term s = term_of(p->a), t = term_of(p->b);
        const output o = output_of(p);
        for (; i + 8 <= n; i += 8) {
            const int16x8_t x = load_eight(a, a_step, i), y = load_eight(b, b_step, i);
            put_eight(sum_of(value_of(vget_low_s16(x), &s), value_of(vget_low_s16(y), &t), &o),
                      sum_of(value_of(vget_high_s16(x), &s), value_of(vget_high_s16(y), &t), &o), &o, out + i);
        }
    }
    for (; i < n; i++) {
        const int32_t x = er_requantize((int32_t)((uint32_t)(a[i * a_step] - p->a_zero) << p->shift), p->a);
        const int32_t y = er_requantize((int32_t)((uint32_t)(b[i * b_step] - p->b_zero) << p->shift), p->b);
        out[i] = clamped_word(er_requantize((int32_t)(p->subtract ? (uint32_t)x - (uint32_t)y : (uint32_t)x + (uint32_t)y), p->out), p);
    }
}

static void mul_words(size_t n, const int16_t *a, size_t a_step, const int16_t *b, size_t b_step, const er_words_params *p, int16_t *out)
{
    size_t i = 0;
    if (is_plain(p)) {
        const output o = output_of(p);
        for (; i + 8 <= n; i += 8) {
            const int16x8_t x = load_eight(a, a_step, i), y = load_eight(b, b_step, i);
            put_eight(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_s16(vget_high_s16(x), vget_high_s16(y)), &o, out + i);
        }
    }
    for (; i < n; i++) out[i] = clamped_word(er_requantize((int32_t)((uint32_t)(a[i * a_step] - p->a_zero) * (uint32_t)(b[i * b_step] - p->b_zero)), p->out), p);
}

void er_neon_words(er_kernels *k)
{
    k->add_words = add_words;
    k->mul_words = mul_words;
}
