// 8-bit matrix product for weights that are mostly small: vpmaddubsw multiplies unsigned bytes with signed ones and adds pairs of products in
// 16 bits, where it saturates. Whether it can is known when weights are packed: 255 times the sum of a pair's positive weights must fit, and
// of its negative ones. Steps of four products are put into an order of three kinds:
//     quads    two steps of which no lane's four products overflow together
//     pairs    steps of which no lane's two do
//     wides    the rest: even and odd bytes apart
// Models that are quantized per tensor have few large weights; those that are quantized per channel have one of 127 in every channel, and are
// better off with qgemm.c.
#include "kernels/avx2/avx2.h"
#include "kernels/x86/vec256.h"

#define ORDERED 1
enum { SLIDES = 0, KR = 4, A_BYTES = 4, MOST_1 = 8, MOST_2 = 4, MOST_3 = 0, MOST_4 = 0 };

static inline vi v_weights(const uint8_t *p) { return v_load(p); }
static inline vi v_ones(void) { return _mm256_set1_epi16(1); }
static inline vi v_pair(vi sum, vi a, vi w) { return v_add32(sum, v_dot16(_mm256_maddubs_epi16(a, w), v_ones())); }
static inline vi v_quad(vi sum, vi a, vi w, vi b, vi u)
{
    return v_add32(sum, v_dot16(_mm256_add_epi16(_mm256_maddubs_epi16(a, w), _mm256_maddubs_epi16(b, u)), v_ones()));
}
// Right for all weights.
static inline vi v_dot(vi sum, vi a, vi w)
{
    const vi even = _mm256_set1_epi16(0xFF);
    return v_pair(v_pair(sum, a, _mm256_and_si256(w, even)), a, _mm256_andnot_si256(even, w));
}

#include "kernels/x86/pack_bytes.h"
#include "kernels/x86/qgemv.h"

// ---- the order of steps

enum { MOST_SUM = 128, CANDIDATES = 6 };        // 255 * 128 < 2^15

// Of a step: by lane the sums of its positive weights, and of its negative ones' magnitudes; 255 is that, or more.
typedef struct { vi positive, negative; } lane_sums;

static inline vi pair_sums(vi bytes) { return _mm256_maddubs_epi16(bytes, v_set8(1)); }

static lane_sums sums_of_step(const uint8_t *w, size_t panels)
{
    vi positive[2] = {v_zero(), v_zero()}, negative[2] = {v_zero(), v_zero()};
    for (size_t p = 0; p < panels; p++) {
        const vi x = v_load(w + p * CHUNK), below = _mm256_cmpgt_epi8(v_zero(), x);
        positive[p] = pair_sums(_mm256_andnot_si256(below, x));
        negative[p] = pair_sums(_mm256_and_si256(below, _mm256_sub_epi8(v_zero(), x)));
    }
    return (lane_sums){v_pack16(positive[0], positive[1]), v_pack16(negative[0], negative[1])};
}

static uint8_t largest_of(lane_sums s)
{
    const vi both = _mm256_max_epu8(s.positive, s.negative);
    __m128i x = _mm_max_epu8(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    x = _mm_max_epu8(x, _mm_srli_epi16(x, 8));
    return (uint8_t)(255 - _mm_extract_epi16(_mm_minpos_epu16(_mm_sub_epi16(_mm_set1_epi16(255), _mm_and_si128(x, _mm_set1_epi16(255)))), 0));
}

static bool go_together(const lane_sums *a, const lane_sums *b)
{
    const vi positive = _mm256_adds_epu8(a->positive, b->positive), negative = _mm256_adds_epu8(a->negative, b->negative);
    const vi over = _mm256_subs_epu8(_mm256_max_epu8(positive, negative), v_set8(MOST_SUM));
    return _mm256_testz_si256(over, over);
}

// Puts n <= WINDOW steps of a strip into order. Their notes: how many quads, pairs and wides there are, and which step each in the new order was.
static void arrange_window(uint8_t *w, size_t panels, size_t n, uint8_t *note)
{
    lane_sums sums[WINDOW];
    uint8_t largest[WINDOW], by_size[WINDOW], order[WINDOW], *at[257] = {by_size};
    _Alignas(32) uint8_t copy[WINDOW * MOST_PANELS * CHUNK];
    size_t count[256] = {0}, quads = 0, pairs = 0, wides = 0;
    for (size_t i = 0; i < n; i++) {
        sums[i] = sums_of_step(w + i * panels * CHUNK, panels);
        count[largest[i] = largest_of(sums[i])]++;
    }
    for (size_t v = 0; v < 256; v++) at[v + 1] = at[v] + count[v];
    for (size_t i = 0; i < n; i++) *at[largest[i]]++ = (uint8_t)i;
    size_t low = 0, high = n;
    for (; high && largest[by_size[high - 1]] > MOST_SUM; high--) order[n - ++wides] = by_size[high - 1];
    // The largest with the largest that surely goes together with it, or one a little larger that happens to.
    bool used[WINDOW] = {false};
    uint8_t alone[WINDOW];
    for (; high > low; high--) {
        if (used[high - 1]) continue;
        const uint8_t one = by_size[high - 1];
        size_t sure = low, other = high - 1;
        while (sure + 1 < high - 1 && largest[by_size[sure]] + largest[one] <= MOST_SUM) sure++;
        if (sure + CANDIDATES < other) other = sure + CANDIDATES;
        while (other-- > low)
            if (!used[other] && go_together(&sums[one], &sums[by_size[other]])) break;
        if (other + 1 > low && other < high - 1) {
            order[2 * quads] = one;
            order[2 * quads++ + 1] = by_size[other];
            used[other] = true;
            while (low < high && used[low]) low++;
        } else {
            alone[pairs++] = one;
        }
    }
    memcpy(order + 2 * quads, alone, pairs);
    memcpy(copy, w, n * panels * CHUNK);
    note[0] = (uint8_t)quads;
    note[1] = (uint8_t)pairs;
    note[2] = (uint8_t)wides;
    memcpy(note + 3, order, n);
    for (size_t i = 0; i < n; i++) memcpy(w + i * panels * CHUNK, copy + order[i] * panels * CHUNK, panels * CHUNK);
}

static void arrange(void *strip, size_t panels, size_t panel_bytes, size_t segments, size_t groups)
{
    uint8_t *w = (uint8_t *)strip + panels * HEADER;
    uint8_t *note = (uint8_t *)strip + panels * (panel_bytes - note_bytes(segments, groups));
    for (size_t s = 0; s < segments; s++) {
        for (size_t g = 0, n; g < groups; g += n) {
            n = groups - g < WINDOW ? groups - g : WINDOW;
            arrange_window(w, panels, n, note);
            w += n * panels * CHUNK;
            note += 3 + n;
        }
    }
}

void er_avx2_qgemm_small(er_kernels *k)
{
    k->qgemm_small = (er_qgemm){.nr = LANES, .kr = KR, .a_size = 1, .bundle = 1, .least = -128, .pack_a = pack_a, .strip = next_panels, .note_bytes = note_bytes,
                                .arrange = arrange, .run = qgemm, .run_row = qgemv, .scales = row_scales};
}
