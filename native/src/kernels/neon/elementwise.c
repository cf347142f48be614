// 8-bit multiplication, pooling, tables and the rest that goes element by element. All in integers, exactly.
#include "kernels/neon/neon.h"
#include "kernels/neon/sixteen.h"
#include "kernels/pack.h"

typedef struct { int32_t za, zb; bool a_signed, b_signed; range range; rounding how; const uint8_t *header; const er_output *o; } product_job;

__attribute__((always_inline)) static inline vi product_of(int16x4_t a, int16x4_t b, const product_job *s, rounding how, vi q, vi shift)
{
    const vi p = vmull_s16(a, b);
    return how == SLOW ? scaled_slowly(p, s->header, LANES, 0, s->o) : scaled(p, q, shift, how);
}

// Less a zero point, which may lie outside of the type.
__attribute__((always_inline)) static inline sixteen less(const uint8_t *p, bool is_signed, int32_t zero)
{
    const sixteen x = widened(p, is_signed, vdupq_n_u8(0));
    const int16x8_t z = vdupq_n_s16((int16_t)zero);
    return (sixteen){vsubq_s16(x.low, z), vsubq_s16(x.high, z)};
}

// `usual`: of two int8 tensors, as models have them, with a multiplier to the right.
__attribute__((always_inline)) static inline void mul_sixteen(const uint8_t *a, const uint8_t *b, const product_job *s, const bool usual, uint8_t *out)
{
    const sixteen x = usual ? widened(a, true, vdupq_n_u8((uint8_t)s->za)) : less(a, s->a_signed, s->za);
    const sixteen y = usual ? widened(b, true, vdupq_n_u8((uint8_t)s->zb)) : less(b, s->b_signed, s->zb);
    const rounding how = usual ? RIGHT : s->how;
    const vi q = load_ints(s->header + 4 * LANES), shift = load_ints(s->header + 8 * LANES);
    const vi y0 = product_of(vget_low_s16(x.low), vget_low_s16(y.low), s, how, q, shift), y1 = product_of(vget_high_s16(x.low), vget_high_s16(y.low), s, how, q, shift);
    const vi y2 = product_of(vget_low_s16(x.high), vget_low_s16(y.high), s, how, q, shift), y3 = product_of(vget_high_s16(x.high), vget_high_s16(y.high), s, how, q, shift);
    vst1q_s8((int8_t *)out, packed_bytes(y0, y1, y2, y3, &s->range, how));
}

// In sixteens, as far as they go: the number of outputs. A step of 0: of sixteen that are the same.
static size_t mul_sixteens(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const product_job *job, uint8_t *out)
{
    const product_job s = *job;
    const bool usual = s.how == RIGHT && s.a_signed && s.b_signed && in_range(s.za, true) && in_range(s.zb, true);
    size_t i = 0;
    if (usual) for (; i + 16 <= n; i += 16) mul_sixteen(a + i * a_step, b + i * b_step, &s, true, out + i);
    for (; i + 16 <= n; i += 16) mul_sixteen(a + i * a_step, b + i * b_step, &s, false, out + i);
    return i;
}

static void qmul(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qmul_params *p, uint8_t *out)
{
    uint8_t header[HEADER], repeated[2][16], rest[3][16];
    er_put_header(header, LANES, 0, &(er_channel){0, p->m}, 0, false);
    for (size_t v = 0; v < 3; v++)
        for (size_t j = 1; j < LANES; j++) memcpy(header + 4 * (v * LANES + j), header + 4 * v * LANES, 4);
    const product_job s = {p->a_zero, p->b_zero, p->a_signed, p->b_signed, range_of(&p->o), rounding_of(largest_shift(header, 1), &p->o, false), header, &p->o};
    if (!a_step) a = memset(repeated[0], a[0], 16);
    if (!b_step) b = memset(repeated[1], b[0], 16);
    const size_t i = mul_sixteens(n, a, a_step, b, b_step, &s, out);
    if (i == n) return;
    memcpy(rest[0], a + i * a_step, n - i);
    memcpy(rest[1], b + i * b_step, n - i);
    mul_sixteens(16, rest[0], 1, rest[1], 1, &s, rest[2]);
    memcpy(out + i, rest[2], n - i);
}

#define MAX_POOL(name, type, vector, load, dup, max, min_of, store) \
    static void name(size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, int32_t least, int32_t most, uint8_t *out) \
    { \
        const vector low = dup((type)least), high = dup((type)most); \
        for (size_t at = 0; pixels; pixels--, at += x_step, out += channels) { \
            size_t c = 0; \
            for (; c + 16 <= channels; c += 16) { \
                vector best = load((const type *)tap[0] + at + c); \
                for (size_t t = 1; t < taps; t++) best = max(best, load((const type *)tap[t] + at + c)); \
                store((type *)out + c, max(min_of(best, high), low)); \
            } \
            for (; c < channels; c++) { \
                int32_t best = ((const type *)tap[0])[at + c]; \
                for (size_t t = 1; t < taps; t++) best = er_max32(best, ((const type *)tap[t])[at + c]); \
                ((type *)out)[c] = (type)er_clamp32(best, least, most); \
            } \
        } \
    }
MAX_POOL(max_pool_signed, int8_t, int8x16_t, vld1q_s8, vdupq_n_s8, vmaxq_s8, vminq_s8, vst1q_s8)
MAX_POOL(max_pool_unsigned, uint8_t, uint8x16_t, vld1q_u8, vdupq_n_u8, vmaxq_u8, vminq_u8, vst1q_u8)
#undef MAX_POOL

static void qmax_pool(size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out)
{
    (is_signed ? max_pool_signed : max_pool_unsigned)(pixels, x_step, channels, taps, tap, min, max, out);
}

#if defined(__aarch64__)
// sum / taps, for int8 rounded half away from zero, for uint8 half up. In float32: what is divided is below 2^24 and the quotient at
// most 256, so that it is off by less than 2^-16, and a quotient that is no integer is at least 1 / taps away from one.
static inline vi mean_of(vi sum, int32_t taps, bool is_signed)
{
    vi half = vdupq_n_s32(taps / 2);
    if (is_signed) half = vbslq_s32(vcltzq_s32(sum), vnegq_s32(half), half);
    return vcvtq_s32_f32(vdivq_f32(vcvtq_f32_s32(vaddq_s32(sum, half)), vdupq_n_f32((float)taps)));
}

static void average_pixel(size_t at, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out)
{
    enum { EXACT = 1 << 15, WITHOUT_CARRY = 256 };      // 256 bytes fit 16 bits
    const int32_t n = (int32_t)taps;
    size_t c = 0;
    for (; c + 16 <= channels && taps < EXACT; c += 16) {
        const int16x8_t zero = vdupq_n_s16(0);
        vi sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
        for (size_t t = 0; t < taps;) {
            int16x8_t low = zero, high = zero;
            for (size_t end = t + WITHOUT_CARRY < taps ? t + WITHOUT_CARRY : taps; t < end; t++) {
                const sixteen x = widened(tap[t] + at + c, is_signed, vdupq_n_u8(0));
                low = vaddq_s16(low, x.low);
                high = vaddq_s16(high, x.high);
            }
            if (is_signed) {
                sum[0] = vaddw_s16(sum[0], vget_low_s16(low));
                sum[1] = vaddw_high_s16(sum[1], low);
                sum[2] = vaddw_s16(sum[2], vget_low_s16(high));
                sum[3] = vaddw_high_s16(sum[3], high);
            } else {
                const uint16x8_t l = vreinterpretq_u16_s16(low), h = vreinterpretq_u16_s16(high);
                sum[0] = vreinterpretq_s32_u32(vaddw_u16(vreinterpretq_u32_s32(sum[0]), vget_low_u16(l)));
                sum[1] = vreinterpretq_s32_u32(vaddw_high_u16(vreinterpretq_u32_s32(sum[1]), l));
                sum[2] = vreinterpretq_s32_u32(vaddw_u16(vreinterpretq_u32_s32(sum[2]), vget_low_u16(h)));
                sum[3] = vreinterpretq_s32_u32(vaddw_high_u16(vreinterpretq_u32_s32(sum[3]), h));
            }
        }
        for (size_t v = 0; v < 4; v++) sum[v] = mean_of(sum[v], n, is_signed);
        const int16x8_t least = vdupq_n_s16((int16_t)min), most = vdupq_n_s16((int16_t)max);
        const int16x8_t a = vmaxq_s16(vminq_s16(narrowed16(sum[0], sum[1]), most), least), b = vmaxq_s16(vminq_s16(narrowed16(sum[2], sum[3]), most), least);
        vst1q_u8(out + c, vuzp1q_u8(vreinterpretq_u8_s16(a), vreinterpretq_u8_s16(b)));
    }
    for (; c < channels; c++) {
        int32_t sum = 0;
        for (size_t t = 0; t < taps; t++) sum += is_signed ? (int8_t)tap[t][at + c] : tap[t][at + c];
        const int32_t mean = sum > 0 || !is_signed ? (sum + n / 2) / n : (sum - n / 2) / n;
        out[c] = (uint8_t)er_clamp32(mean, min, max);
    }
}

static void qaverage_pool(size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out)
{
    for (size_t at = 0; pixels; pixels--, at += x_step, out += channels) average_pixel(at, channels, taps, tap, is_signed, min, max, out);
}

static inline uint8x16x4_t quarter_of(const uint8_t *table) { return (uint8x16x4_t){{vld1q_u8(table), vld1q_u8(table + 16), vld1q_u8(table + 32), vld1q_u8(table + 48)}}; }

// A quarter of the table at a time; what is not there stays as it is.
static void qlookup(size_t n, const uint8_t *x, const uint8_t *table, uint8_t *y)
{
    size_t i = 0;
    if (n >= 64) {
        const uint8x16x4_t a = quarter_of(table), b = quarter_of(table + 64), c = quarter_of(table + 128), d = quarter_of(table + 192);
        const uint8x16_t step = vdupq_n_u8(64);
        for (; i + 16 <= n; i += 16) {
            uint8x16_t at = vld1q_u8(x + i), out = vqtbl4q_u8(a, at);
            at = vsubq_u8(at, step);
            out = vqtbx4q_u8(out, b, at);
            at = vsubq_u8(at, step);
            out = vqtbx4q_u8(out, c, at);
            at = vsubq_u8(at, step);
            vst1q_u8(y + i, vqtbx4q_u8(out, d, at));
        }
    }
    for (; i < n; i++) y[i] = table[x[i]];
}

// The largest byte of a row, then where it is first.
static void qarg_max(size_t rows, size_t n, const uint8_t *v, bool is_signed, int32_t *best)
{
    const uint8_t flip = is_signed ? 0x80 : 0;
    const uint8x16_t flips = vdupq_n_u8(flip);
    for (size_t r = 0; r < rows; r++, v += n) {
        uint8_t most = 0;
        size_t i = 0;
        if (n >= 16) {      // the last sixteen overlap with those before
            uint8x16_t all = veorq_u8(vld1q_u8(v + n - 16), flips);
            for (; i + 16 <= n; i += 16) all = vmaxq_u8(all, veorq_u8(vld1q_u8(v + i), flips));
            most = vmaxvq_u8(all);
            const uint8x16_t wanted = vdupq_n_u8(most ^ flip);
            for (i = 0;; i += 16) {
                const size_t at = i + 16 < n ? i : n - 16;
                // Four bits of each byte: 64 in all.
                const uint64_t found = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(vceqq_u8(vld1q_u8(v + at), wanted)), 4)), 0);
                if (found) {
                    best[r] = (int32_t)at + __builtin_ctzll(found) / 4;
                    break;
                }
            }
            continue;
        }
        size_t at = 0;
        for (i = 1; i < n; i++) at = (v[i] ^ flip) > (v[at] ^ flip) ? i : at;
        best[r] = (int32_t)at;
    }
}
#endif

void er_neon_elementwise(er_kernels *k)
{
    k->qmul = qmul;
    k->qmax_pool = qmax_pool;
#if defined(__aarch64__)
    k->qaverage_pool = qaverage_pool;
    k->qlookup = qlookup;
    k->qarg_max = qarg_max;
#endif
}
