// How fast the kernels are, by shape: billions of multiply-adds a second, and as a share of what the instruction that they
// are made of reaches on this machine when it does nothing else.   usage: bench_kernels [ISA [PART OF A LAYER'S NAME]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/system.h"
#include "kernels/pack.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Ten sums, so that the latency of one is hidden.
#define PEAK(name, flags, type, zero, op, products) \
    __attribute__((target(flags))) static double name(void) \
    { \
        type a = zero, b = zero, s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7 = zero, s8 = zero, s9 = zero; \
        uint64_t begin = er_nanoseconds(); \
        enum { ROUNDS = 4000000 }; \
        for (int r = 0; r < ROUNDS; r++) { \
            s0 = op(s0, a, b); s1 = op(s1, a, b); s2 = op(s2, a, b); s3 = op(s3, a, b); s4 = op(s4, a, b); \
            s5 = op(s5, a, b); s6 = op(s6, a, b); s7 = op(s7, a, b); s8 = op(s8, a, b); s9 = op(s9, a, b); \
            __asm__ volatile("" : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5), "+v"(s6), "+v"(s7), "+v"(s8), "+v"(s9), "+v"(a), "+v"(b)); \
        } \
        return (double)ROUNDS * 10 * products / (double)(er_nanoseconds() - begin); \
    }
#define MADD(s, a, b) ({ __m256i product; __asm__ volatile("vpmaddwd %2, %1, %0" : "=x"(product) : "x"(a), "x"(b)); _mm256_add_epi32(s, product); })
PEAK(peak_avx2, "avx2", __m256i, _mm256_setzero_si256(), MADD, 16)
PEAK(peak_avxvnni, "avx2,avxvnni", __m256i, _mm256_setzero_si256(), _mm256_dpbusd_avx_epi32, 32)
PEAK(peak_avx512vnni, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), _mm512_dpbusd_epi32, 64)
#endif

static double peak_of(const char *isa)
{
#if defined(__x86_64__)
    if (!strcmp(isa, "avx2")) return peak_avx2();
    if (!strcmp(isa, "avxvnni")) return peak_avxvnni();
    if (!strcmp(isa, "avx512vnni")) return peak_avx512vnni();
#endif
    (void)isa;
    return 0;
}

// ---- shapes

typedef struct { const char *model; size_t pixels, n, k, segments; } layer;     // k: of one segment

static const layer layers[] = {
    {"MobileNet v2 112x112 1x1 32-16", 12544, 16, 32, 1},   {"MobileNet v2 112x112 1x1 16-96", 12544, 96, 16, 1},
    {"MobileNet v2 56x56 1x1 96-24", 3136, 24, 96, 1},      {"MobileNet v2 56x56 1x1 24-144", 3136, 144, 24, 1},
    {"MobileNet v2 28x28 1x1 192-32", 784, 32, 192, 1},     {"MobileNet v2 28x28 1x1 32-192", 784, 192, 32, 1},
    {"MobileNet v2 14x14 1x1 384-64", 196, 64, 384, 1},     {"MobileNet v2 14x14 1x1 64-384", 196, 384, 64, 1},
    {"MobileNet v2 14x14 1x1 576-96", 196, 96, 576, 1},     {"MobileNet v2 7x7 1x1 960-160", 49, 160, 960, 1},
    {"MobileNet v2 7x7 1x1 320-1280", 49, 1280, 320, 1},    {"MobileNet v2 1x1 1280-1001", 1, 1001, 1280, 1},
    {"MobileNet v1 56x56 1x1 128-128", 3136, 128, 128, 1},  {"MobileNet v1 14x14 1x1 512-512", 196, 512, 512, 1},
    {"ResNet-8 32x32 3x3 16-16", 1024, 16, 48, 3},          {"ResNet-8 8x8 3x3 64-64", 64, 64, 192, 3},
    {"ResNet-50 56x56 3x3 64-64", 3136, 64, 192, 3},        {"ResNet-50 14x14 3x3 256-256", 196, 256, 768, 3},
    {"EfficientNet-Lite0 14x14 1x1 672-112", 196, 112, 672, 1},
};

typedef struct { const char *model; size_t size, channels, kernel, stride; } depthwise;

static const depthwise depthwises[] = {
    {"MobileNet v2 112x112x32 3x3", 112, 32, 3, 1},   {"MobileNet v2 112x112x96 3x3 /2", 112, 96, 3, 2},
    {"MobileNet v2 56x56x144 3x3", 56, 144, 3, 1},    {"MobileNet v2 28x28x192 3x3", 28, 192, 3, 1},
    {"MobileNet v2 28x28x192 3x3 /2", 28, 192, 3, 2}, {"MobileNet v2 14x14x384 3x3", 14, 384, 3, 1},
    {"MobileNet v2 7x7x960 3x3", 7, 960, 3, 1},       {"EfficientNet-Lite0 28x28x240 5x5", 28, 240, 5, 1},
    {"EfficientNet-Lite0 14x14x672 5x5", 14, 672, 5, 1}, {"EfficientNet-Lite0 14x14x672 5x5 /2", 14, 672, 5, 2},
};

static uint64_t state = 1;
static uint8_t draw(void) { return (uint8_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 56); }

static uint8_t *drawn(size_t n)
{
    uint8_t *p = er_aligned_alloc(n + 256);
    for (size_t i = 0; i < n; i++) p[i] = draw();
    return p;
}

static er_channel *channels_of(size_t n, size_t k)
{
    er_channel *c = malloc(n * sizeof *c);
    for (size_t j = 0; j < n; j++) c[j] = (er_channel){0, 100.0 / (74.0 * 74.0 * sqrt((double)k)) * (1 + draw() / 256.0)};
    return c;
}

static void report(const char *name, double macs, double best, double peak)
{
    printf("  %-40s %8.1f G/s", name, macs / best);
    if (peak > 0) printf(" %5.0f%%", 100 * macs / best / peak);
    printf("\n");
}

static void bench_layer(const er_kernels *k, const layer *l, double peak)
{
    const er_qgemm *g = &k->qgemm;
    size_t stride = l->k * l->segments, a_size = (size_t)g->a_size;
    uint8_t *x = drawn(l->pixels * stride), *a = er_aligned_alloc(l->pixels * stride * a_size + 64), *w = drawn(l->n * stride), *y = drawn(l->pixels * l->n);
    g->pack_a(a, x, l->pixels * stride, true);
    er_channel *c = channels_of(l->n, stride);
    er_gemm_weights weights = {l->n, l->segments, l->k, w, false, 0};
    size_t panel_bytes = er_qgemm_panel_bytes(g, l->segments, l->k, 0);
    uint8_t *packed = er_aligned_alloc(er_qgemm_bytes(g, l->n, l->segments, l->k, 0));
    er_qgemm_pack(g, &weights, 0, NULL, er_qgemm_offset(g, true), c, false, packed);
    er_output o = {.zero = 128, .min = 0, .max = 255};
    double best = INFINITY;
    size_t block = 224;
    for (uint64_t begin = er_nanoseconds(), now = begin; now - begin < 100000000;) {
        for (size_t first = 0; first < l->pixels; first += block) {
            size_t m = l->pixels - first < block ? l->pixels - first : block;
            er_rows rows = {a + first * stride * a_size, 1, 0, m, stride * a_size, l->segments, l->k * a_size, (l->k + (size_t)g->kr - 1) / (size_t)g->kr, 0, NULL, 0, 0};
            g->run(&rows, l->n, 0, packed, panel_bytes, &o, y, l->n);     // always there: the kernel, not memory
        }
        uint64_t end = er_nanoseconds();
        best = fmin(best, (double)(end - now));
        now = end;
    }
    report(l->model, (double)(l->pixels * l->n * stride), best, peak);
    er_aligned_free(x);
    er_aligned_free(a);
    er_aligned_free(w);
    er_aligned_free(y);
    er_aligned_free(packed);
    free(c);
}

static void bench_depthwise(const er_kernels *k, const depthwise *d, double peak)
{
    size_t out = d->size / d->stride, span = d->size + d->kernel, row_bytes = span * d->channels, taps = d->kernel * d->kernel;
    uint8_t *x = drawn(span * row_bytes), *w = drawn(taps * d->channels), *y = drawn(out * out * d->channels);
    er_channel *c = channels_of(d->channels, taps);
    er_depthwise_weights weights = {d->channels, d->kernel, d->kernel, w, false, 0, 128, c, false};
    for (size_t i = 0; i < taps * d->channels; i++) w[i] = (uint8_t)(w[i] ^ 0x80);
    uint8_t *packed = er_aligned_alloc(k->qdepthwise.pack(&weights, NULL));
    k->qdepthwise.pack(&weights, packed);
    er_output o = {.zero = 128, .min = 0, .max = 255};
    double best = INFINITY;
    for (uint64_t begin = er_nanoseconds(), now = begin; now - begin < 100000000;) {
        for (size_t oy = 0; oy < out; oy++) {
            const uint8_t *row[8];
            for (size_t i = 0; i < d->kernel; i++) row[i] = x + (oy * d->stride + i) * row_bytes;
            er_taps t = {row, 1, 0, d->kernel, d->kernel, d->stride * d->channels, d->channels, false};
            k->qdepthwise.run(out, d->channels, &t, packed, &o, y + oy * out * d->channels, d->channels);
        }
        uint64_t end = er_nanoseconds();
        best = fmin(best, (double)(end - now));
        now = end;
    }
    report(d->model, (double)(out * out * d->channels * taps), best, peak);
    er_aligned_free(x);
    er_aligned_free(w);
    er_aligned_free(y);
    er_aligned_free(packed);
    free(c);
}

int main(int argc, char **argv)
{
    static const char *const isas[] = {"generic", "avx2", "avxvnni", "avx512vnni", "neon", "dotprod", "i8mm"};
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++) {
        const er_kernels *k = er_kernels_of(isas[i]);
        if (!k || (argc > 1 ? strcmp(argv[1], isas[i]) != 0 : i == 0)) continue;
        double peak = peak_of(isas[i]);
        printf("%s: the instruction alone reaches %.1f billion multiply-adds a second\n", isas[i], peak);
        for (size_t j = 0; j < sizeof layers / sizeof layers[0]; j++)
            if (argc < 3 || strstr(layers[j].model, argv[2])) bench_layer(k, &layers[j], peak);
        for (size_t j = 0; j < sizeof depthwises / sizeof depthwises[0]; j++)
            if (argc < 3 || strstr(depthwises[j].model, argv[2])) bench_depthwise(k, &depthwises[j], peak);
    }
    return 0;
}
