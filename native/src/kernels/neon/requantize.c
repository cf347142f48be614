// 32-bit sums to bytes: with one multiplier, and with one for each channel.
#include "kernels/arm/epilogue.h"
#include "kernels/neon/neon.h"

static uint8_t one_byte(int32_t v, const er_output *o) { return (uint8_t)er_clamp64((int64_t)v + o->zero, o->min, o->max); }

static void requantize_sums(size_t n, const int32_t *sums, int32_t less, er_multiplier m, const er_output *o, uint8_t *y)
{
    size_t i = 0;
    if (m.shift < 0) {
        const vi q = vdupq_n_s32(m.q), shift = vdupq_n_s32(m.shift), off = vdupq_n_s32(less);
        const range r = range_of(o);
        for (; i + 16 <= n; i += 16) {
            vi v[4];
            for (size_t p = 0; p < 4; p++) v[p] = scaled(vsubq_s32(vld1q_s32(sums + i + 4 * p), off), q, shift, RIGHT);
            vst1q_s8((int8_t *)y + i, packed_bytes(v[0], v[1], v[2], v[3], &r, RIGHT));
        }
    }
    for (; i < n; i++) y[i] = one_byte(er_requantize((int32_t)((uint32_t)sums[i] - (uint32_t)less), m), o);
}

// Whether no multiplier shifts to the left, and each to the right.
static bool all_right(size_t n, const er_channel_multipliers *m)
{
    bool right = true;
    for (size_t c = 0; c < n; c++) right = right && m->right[c] > 0;
    return right;       // what shifts to the right does not to the left
}

static void requantize_channels(size_t pixels, size_t n, const int32_t *sums, const er_channel_multipliers *m, const er_output *o, uint8_t *y)
{
    const size_t whole = all_right(n, m) ? n / 16 * 16 : 0;
    const range r = range_of(o);
    for (size_t i = 0; i < pixels; i++, sums += n, y += n) {
        for (size_t c = 0; c < whole; c += 16) {
            vi v[4];
            for (size_t p = 0; p < 4; p++) {
                const size_t at = c + 4 * p;
                v[p] = scaled(vaddq_s32(vld1q_s32(sums + at), vld1q_s32(m->bias + at)), vld1q_s32(m->q + at), vnegq_s32(vld1q_s32(m->right + at)), RIGHT);
            }
            vst1q_s8((int8_t *)y + c, packed_bytes(v[0], v[1], v[2], v[3], &r, RIGHT));
        }
        for (size_t c = whole; c < n; c++) {
            const er_multiplier by = {m->q[c], m->left[c] - m->right[c]};
            y[c] = one_byte(er_requantize((int32_t)((uint32_t)sums[c] + (uint32_t)m->bias[c]), by), o);
        }
    }
}

void er_neon_requantize(er_kernels *k)
{
    k->requantize_sums = requantize_sums;
    k->requantize_channels = requantize_channels;
}
