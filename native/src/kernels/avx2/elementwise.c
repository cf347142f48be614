// 8-bit addition, pooling, interpolation and the place of a maximum.
#include <string.h>

#include "base/checked.h"
#include "kernels/avx2/avx2.h"

#include "kernels/x86/vec256.h"

// Requantization of eight numbers, bit for bit er_requantize: one multiply, one addition and one shift in 64 bits
// (er_make_rounding). 64-bit constants for the even and for the odd lanes.
typedef struct { __m256i q, positive[2], negative[2], shift[2], offset; } requant8;

static inline __m256i requant8_half(__m256i x, __m256i q, __m256i positive, __m256i negative, __m256i shift)
{
    __m256i product = _mm256_mul_epi32(x, q);
    __m256i round = _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(positive), _mm256_castsi256_pd(negative), _mm256_castsi256_pd(product)));
    return _mm256_srlv_epi64(_mm256_add_epi64(product, round), shift);
}

// y + zero of eight sums.
static inline __m256i requantize8(__m256i x, const requant8 *r)
{
    __m256i even = requant8_half(x, r->q, r->positive[0], r->negative[0], r->shift[0]);
    __m256i odd = requant8_half(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(r->q, 32), r->positive[1], r->negative[1], r->shift[1]);
    return _mm256_add_epi32(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA), r->offset);
}

// Clamps, and takes the low bytes of the eight lanes, in order.
static inline __m128i narrow8(__m256i y, const er_output *o)
{
    y = _mm256_max_epi32(_mm256_min_epi32(y, _mm256_set1_epi32(o->max)), _mm256_set1_epi32(o->min));
    const __m256i low = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    __m256i b = _mm256_shuffle_epi8(y, low);
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
}

// Stores the first n <= 8 bytes.
static inline void store_bytes(uint8_t *out, __m128i bytes, size_t n)
{
    if (n >= 8) {
        _mm_storel_epi64((__m128i *)(void *)out, bytes);
        return;
    }
    uint64_t v = (uint64_t)_mm_cvtsi128_si64(bytes);
    for (size_t i = 0; i < n; i++, v >>= 8) out[i] = (uint8_t)v;
}

// Loads the first n <= 8 bytes; the rest is zero.
static inline __m128i load_bytes(const uint8_t *p, size_t n)
{
    if (n >= 8) return _mm_loadl_epi64((const __m128i *)(const void *)p);
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;) v = v << 8 | p[i];
    return _mm_cvtsi64_si128((int64_t)v);
}

static inline __m256i widen8(__m128i x, bool is_signed) { return is_signed ? _mm256_cvtepi8_epi32(x) : _mm256_cvtepu8_epi32(x); }

// A step of 0 repeats the one element.
static inline __m128i load_step(const uint8_t *p, size_t i, size_t step, size_t n)
{
    return step ? load_bytes(p + i, n) : _mm_set1_epi8((char)p[0]);
}

// One multiplier in all lanes; its shift is not to be positive.
static inline requant8 spread(er_multiplier m, int32_t zero)
{
    er_rounding r = er_make_rounding(m);
    requant8 c;
    c.q = _mm256_set1_epi32(m.q);
    c.positive[0] = c.positive[1] = _mm256_set1_epi64x((int64_t)r.positive);
    c.negative[0] = c.negative[1] = _mm256_set1_epi64x((int64_t)r.negative);
    c.shift[0] = c.shift[1] = _mm256_set1_epi64x(r.shift);
    c.offset = _mm256_set1_epi32((int32_t)((uint32_t)zero - r.unbias));
    return c;
}

static inline __m256i halved_or_scaled(__m256i x, const requant8 *r, bool half) { return half ? _mm256_srai_epi32(x, 1) : requantize8(x, r); }

static void qadd_exact(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out)
{
    if (p->a.shift > 0 || p->b.shift > 0 || p->out.shift > 0) {     // scales far apart: not worth vectors
        er_qadd_generic(n, a, a_step, b, b_step, p, out);
        return;
    }
    const requant8 ma = spread(p->a, 0), mb = spread(p->b, 0), mo = spread(p->out, p->o.zero);
    const bool a_half = er_is_half(p->a), b_half = er_is_half(p->b);
    const __m256i za = _mm256_set1_epi32(p->a_zero), zb = _mm256_set1_epi32(p->b_zero);
    for (size_t i = 0; i < n; i += 8) {
        size_t rest = n - i;
        __m256i x = _mm256_slli_epi32(_mm256_sub_epi32(widen8(load_step(a, i, a_step, rest), p->a_signed), za), 20);
        __m256i y = _mm256_slli_epi32(_mm256_sub_epi32(widen8(load_step(b, i, b_step, rest), p->b_signed), zb), 20);
        x = halved_or_scaled(x, &ma, a_half);
        y = halved_or_scaled(y, &mb, b_half);
        __m256i sum = p->subtract ? _mm256_sub_epi32(x, y) : _mm256_add_epi32(x, y);
        store_bytes(out + i, narrow8(requantize8(sum, &mo), &p->o), rest);
    }
}

static inline vi v_widen(const uint8_t *p, bool is_signed) { return widen8(_mm_loadl_epi64((const __m128i *)(const void *)p), is_signed); }

#include "kernels/x86/qadd.h"
#include "kernels/convert.h"
#include "kernels/x86/lookup.h"
#include "kernels/x86/qmul.h"
#include "kernels/x86/resize.h"

static inline __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

static inline __m256i larger32(__m256i a, __m256i b, bool is_signed) { return is_signed ? _mm256_max_epi8(a, b) : _mm256_max_epu8(a, b); }
static inline __m128i larger16(__m128i a, __m128i b, bool is_signed) { return is_signed ? _mm_max_epi8(a, b) : _mm_max_epu8(a, b); }
static inline __m256i clamped32(__m256i x, __m256i low, __m256i high, bool is_signed)
{
    return is_signed ? _mm256_max_epi8(_mm256_min_epi8(x, high), low) : _mm256_max_epu8(_mm256_min_epu8(x, high), low);
}

__attribute__((always_inline)) static inline void
max_pool(const bool is_signed, size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, int32_t min, int32_t max, uint8_t *out)
{
    const __m256i low = _mm256_set1_epi8((char)min), high = _mm256_set1_epi8((char)max);
    for (size_t at = 0; pixels; pixels--, at += x_step, out += channels) {
        size_t c = 0;
        for (; c + 32 <= channels; c += 32) {
            __m256i best = _mm256_loadu_si256((const __m256i *)(const void *)(tap[0] + at + c));
            for (size_t t = 1; t < taps; t++) best = larger32(best, _mm256_loadu_si256((const __m256i *)(const void *)(tap[t] + at + c)), is_signed);
            _mm256_storeu_si256((__m256i *)(void *)(out + c), clamped32(best, low, high, is_signed));
        }
        for (size_t some; c < channels; c += some) {
            some = channels - c < 16 ? 8 : 16;
            __m128i best = some == 16 ? load16(tap[0] + at + c) : load_bytes(tap[0] + at + c, channels - c);
            for (size_t t = 1; t < taps; t++) best = larger16(best, some == 16 ? load16(tap[t] + at + c) : load_bytes(tap[t] + at + c, channels - c), is_signed);
            best = _mm256_castsi256_si128(clamped32(_mm256_castsi128_si256(best), low, high, is_signed));
            if (some == 16) _mm_storeu_si128((__m128i *)(void *)(out + c), best);
            else store_bytes(out + c, best, channels - c);
        }
    }
}

static void qmax_pool(size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out)
{
    if (is_signed) max_pool(true, pixels, x_step, channels, taps, tap, min, max, out);
    else max_pool(false, pixels, x_step, channels, taps, tap, min, max, out);
}

// sum / taps of eight sums, for int8 rounded half away from zero, for uint8 half up. In float32: what is divided is below 2^24 and the quotient at
// most 256, so that it is off by less than 2^-16, and a quotient that is no integer is at least 1 / taps away from one.
static inline __m128i means8(__m256i sum, int32_t taps, bool is_signed)
{
    __m256i half = _mm256_set1_epi32(taps / 2);
    // For sums below zero the half is taken off; the reference's test is sum > 0, but of 0 both ways make 0.
    if (is_signed) half = _mm256_sign_epi32(half, _mm256_or_si256(sum, _mm256_set1_epi32(1)));
    __m256 quotient = _mm256_div_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(sum, half)), _mm256_set1_ps((float)taps));
    __m256i y = _mm256_cvttps_epi32(quotient);
    return _mm_packs_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}

static void average_pixel(size_t at, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out)
{
    enum { EXACT = 1 << 15, WITHOUT_CARRY = 256 };      // 256 bytes fit 16 bits
    int32_t n = (int32_t)taps;
    size_t c = 0;
    for (; c + 16 <= channels && taps < EXACT; c += 16) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (size_t t = 0; t < taps;) {
            __m256i part = _mm256_setzero_si256();
            for (size_t end = t + WITHOUT_CARRY < taps ? t + WITHOUT_CARRY : taps; t < end; t++) {
                __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(tap[t] + at + c));
                part = _mm256_add_epi16(part, is_signed ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x));
            }
            __m128i first = _mm256_castsi256_si128(part), second = _mm256_extracti128_si256(part, 1);
            low = _mm256_add_epi32(low, is_signed ? _mm256_cvtepi16_epi32(first) : _mm256_cvtepu16_epi32(first));
            high = _mm256_add_epi32(high, is_signed ? _mm256_cvtepi16_epi32(second) : _mm256_cvtepu16_epi32(second));
        }
        __m128i a = means8(low, n, is_signed), b = means8(high, n, is_signed);
        const __m128i least = _mm_set1_epi16((int16_t)min), most = _mm_set1_epi16((int16_t)max), byte = _mm_set1_epi16(0xFF);
        a = _mm_and_si128(_mm_max_epi16(_mm_min_epi16(a, most), least), byte);
        b = _mm_and_si128(_mm_max_epi16(_mm_min_epi16(b, most), least), byte);
        _mm_storeu_si128((__m128i *)(void *)(out + c), _mm_packus_epi16(a, b));
    }
    for (; c < channels; c += 8) {
        size_t rest = channels - c < 8 ? channels - c : 8;
        __m256i sum = _mm256_setzero_si256();
        for (size_t t = 0; t < taps; t++) sum = _mm256_add_epi32(sum, widen8(load_bytes(tap[t] + at + c, rest), is_signed));
        int32_t s[8];
        _mm256_storeu_si256((__m256i *)(void *)s, sum);
        for (size_t j = 0; j < rest; j++) {
            int32_t mean = s[j] > 0 || !is_signed ? (s[j] + n / 2) / n : (s[j] - n / 2) / n;
            out[c + j] = (uint8_t)er_clamp32(mean, min, max);
        }
    }
}

static void qaverage_pool(size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out)
{
    for (size_t at = 0; pixels; pixels--, at += x_step, out += channels) average_pixel(at, channels, taps, tap, is_signed, min, max, out);
}

// The largest of sixteen bytes, as uint8, in all of them.
static inline __m128i largest(__m128i x)
{
    x = _mm_xor_si128(x, _mm_set1_epi8(-1));
    x = _mm_min_epu8(x, _mm_srli_epi16(x, 8));      // the smallest of each two, in 16 bits
    x = _mm_minpos_epu16(_mm_and_si128(x, _mm_set1_epi16(0xFF)));
    return _mm_xor_si128(_mm_shuffle_epi8(x, _mm_setzero_si128()), _mm_set1_epi8(-1));
}

static inline uint32_t bytes_equal(const uint8_t *v, __m128i wanted) { return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(load16(v), wanted)); }

static int32_t arg_max_of_many(size_t n, const uint8_t *v, __m128i flip)
{
    // The last sixteen overlap with those before.
    __m128i max = _mm_xor_si128(load16(v + n - 16), flip);
    for (size_t i = 0; i + 16 < n; i += 16) max = _mm_max_epu8(max, _mm_xor_si128(load16(v + i), flip));
    const __m128i wanted = _mm_xor_si128(largest(max), flip);
    for (size_t i = 0;; i += 16) {
        size_t at = i + 16 < n ? i : n - 16;
        uint32_t found = bytes_equal(v + at, wanted);
        if (found) return (int32_t)at + __builtin_ctz(found);
    }
}

static void qarg_max(size_t rows, size_t n, const uint8_t *v, bool is_signed, int32_t *best)
{
    const uint8_t mask = is_signed ? 0x80 : 0;
    const __m128i flip = _mm_set1_epi8((char)mask);
    if (n < 16) {
        for (size_t r = 0; r < rows; r++, v += n) {
            size_t at = 0;
            for (size_t i = 1; i < n; i++) at = (v[i] ^ mask) > (v[at] ^ mask) ? i : at;
            best[r] = (int32_t)at;
        }
    } else if (n <= 32) {
        for (size_t r = 0; r < rows; r++, v += n) {
            const __m128i max = _mm_max_epu8(_mm_xor_si128(load16(v), flip), _mm_xor_si128(load16(v + n - 16), flip)), wanted = _mm_xor_si128(largest(max), flip);
            best[r] = __builtin_ctz(bytes_equal(v, wanted) | bytes_equal(v + n - 16, wanted) << (n - 16));
        }
    } else {
        for (size_t r = 0; r < rows; r++, v += n) best[r] = arg_max_of_many(n, v, flip);
    }
}

void er_avx2_elementwise(er_kernels *k)
{
    k->qadd = qadd;
    k->qmul = qmul;
    k->qmax_pool = qmax_pool;
    k->qaverage_pool = qaverage_pool;
    k->resize_uint8 = resize_uint8;
    k->resize_int8 = resize_int8;
    k->qarg_max = qarg_max;
    k->qlookup = qlookup;
    k->quantize = quantize;
    k->dequantize = dequantize;
}
