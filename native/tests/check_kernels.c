// Every kernel of every instruction set against generic: random and worst-case values, all remainders, canaries around
// the output.
#include <math.h>

#include "check_kernels.h"

uint64_t rng = 1;

// Channels with multipliers that spread sums of this reach over the output's range; in `extreme` cases some at the ends of
// what there is.
static er_channel *draw_channels(size_t n, double reach, bool extreme)
{
    er_channel *c = malloc(n * sizeof *c);
    for (size_t j = 0; j < n; j++) {
        double u = (double)(random64(&rng) >> 11) * 0x1p-53;
        c[j].m = 200.0 / reach * exp(4 * u - 2);
        size_t kind = below(&rng, 24);
        if (kind == 0) c[j].m = 0.5;
        if (kind == 1) c[j].m = ldexp(1, -(int)below(&rng, 20));
        if (kind == 2) c[j].m = (double)(1 + below(&rng, 1000)) / 1024;     // many ties
        if (kind == 3) c[j].m = ldexp(1 + u, -31);
        if (kind == 4) c[j].m = 3.7 * (u + 0.1);
        if (kind == 5 && extreme) c[j].m = 1e6 * u;
        c[j].bias = (int32_t)((double)(int32_t)random64(&rng) / 2147483648.0 * reach);
        if (extreme && below(&rng, 50) == 0) c[j].bias = (int32_t)random64(&rng) / 2;
    }
    return c;
}

static er_output draw_output(bool is_signed, bool real)
{
    int32_t low = is_signed ? -128 : 0, a = low + (int32_t)below(&rng, 256), b = low + (int32_t)below(&rng, 256);
    er_output o = {.zero = low + (int32_t)below(&rng, 256), .min = low, .max = low + 255, .real = real};
    if (below(&rng, 3) == 0) o.zero = low;      // after an activation
    else if (below(&rng, 2)) { o.min = er_min32(a, b); o.max = er_max32(a, b); }
    return o;
}

// ---- matrix product

typedef struct {
    size_t m, gap;              // gap: elements of x between segments
    bool overlaps;              // rows overlap by two thirds, as those of a convolution three taps wide
    bool is_signed;
    int32_t zero;
    const uint8_t *x;
    er_gemm_weights w;
    const er_channel *channels;
    er_output o;
} product;

// Elements of x from row to row, from segment to segment, and in all.
static size_t row_step(const product *p) { return p->overlaps ? p->w.length / 3 : p->w.segments * (p->w.length + p->gap); }
static size_t segment_step(const product *p) { return p->overlaps ? (p->m + 2) * (p->w.length / 3) + p->gap : p->w.length + p->gap; }
static size_t elements(const product *p) { return p->overlaps ? p->w.segments * segment_step(p) : p->m * row_step(p); }

static int32_t element(const void *v, size_t i, bool is_unsigned) { return is_unsigned ? ((const uint8_t *)v)[i] : ((const int8_t *)v)[i]; }

// The sums alone, against plain arithmetic.
static void check_sums(const er_kernels *k, const er_qgemm *g, const product *p, const er_rows *rows, const uint8_t *packed, size_t panel_bytes)
{
    const size_t nr = (size_t)g->nr, n = p->w.n, stride = (n + nr - 1) / nr * nr, length = p->w.length;
    uint8_t *out = guarded(p->m * stride * sizeof(int32_t));
    er_output o = p->o;
    o.sums = true;
    g->run(rows, n, 0, packed, panel_bytes, &o, out + CANARY, stride * sizeof(int32_t));
    check_guards("qgemm", k->isa, out, p->m * stride * sizeof(int32_t));
    for (size_t i = 0; i < p->m; i++) {
        for (size_t j = 0; j < n; j++) {
            uint32_t want = (uint32_t)p->channels[j].bias;
            for (size_t s = 0; s < p->w.segments; s++)
                for (size_t q = 0; q < length; q++)
                    want += (uint32_t)((element(p->x, i * row_step(p) + s * segment_step(p) + q, !p->is_signed) - p->zero) *
                                       (element(p->w.w, (j * p->w.segments + s) * length + q, p->w.is_unsigned) - p->w.zero));
            int32_t got;
            memcpy(&got, out + CANARY + (i * stride + j) * sizeof got, sizeof got);
            CHECK(got == (int32_t)want, "sums of %s: row %zu channel %zu: %d, expected %d", k->isa, i, j, got, (int32_t)want);
        }
    }
    er_aligned_free(out);
}

// Where A has zeros in whole segments, they need not be read. `a` is what rows->a points at.
static void check_skipped(const er_kernels *k, const er_qgemm *g, const product *p, const er_rows *rows, uint8_t *a, const uint8_t *packed, size_t panel_bytes)
{
    const size_t segments = p->w.segments, before = below(&rng, segments), after = below(&rng, segments - before), n = p->w.n, a_size = (size_t)g->a_size;
    const size_t apart = segment_step(p) * a_size, bytes = p->m * (n + 3) + 2 * CANARY;
    er_rows some = *rows;
    some.a = a + before * apart;
    some.segments = segments - before - after;
    some.before = before;
    some.after = after;
    uint8_t *part = guarded(p->m * (n + 3)), *whole = guarded(p->m * (n + 3));
    g->run(&some, n, 0, packed, panel_bytes, &p->o, part + CANARY, n + 3);
    for (size_t s = 0; s < segments; s++) {
        if (s >= before && s < segments - after) continue;
        for (size_t i = 0; i < (p->overlaps ? 1 : p->m); i++) memset(a + i * row_step(p) * a_size + s * apart, 0, apart);
    }
    g->run(rows, n, 0, packed, panel_bytes, &p->o, whole + CANARY, n + 3);
    CHECK(!memcmp(part, whole, bytes), "qgemm of %s: %zu segments without the first %zu and the last %zu", k->isa, segments, before, after);
    er_aligned_free(part);
    er_aligned_free(whole);
}

// The product by one ISA; the result has n + 3 bytes a row.
static uint8_t *run_product(const er_kernels *k, const er_qgemm *g, const product *p)
{
    size_t length = p->w.length, segments = p->w.segments, n = p->w.n, a_size = (size_t)g->a_size, kr = (size_t)g->kr;
    size_t stride = row_step(p), apart = segment_step(p), all = elements(p), panels = (n + (size_t)g->nr - 1) / (size_t)g->nr, groups = (length + kr - 1) / kr;
    int32_t shift = er_qgemm_offset(g, p->is_signed);
    uint8_t *a = er_aligned_alloc(all * a_size + 64);
    memset(a, 0x5A, all * a_size + 64);
    g->pack_a(a, p->x, all, p->is_signed);
    uint8_t *need = malloc(segments * groups + 1);
    size_t extras = er_qgemm_extras(g, &p->w, need), panel_bytes = er_qgemm_panel_bytes(g, segments, length, extras);
    uint32_t *list = malloc(extras * sizeof *list + 1);
    size_t *extra_at = malloc(extras * sizeof *extra_at + 1);
    er_qgemm_list_extras(g, &p->w, need, list);
    free(need);
    for (size_t e = 0; e < extras; e++) extra_at[e] = (list[e] / groups * apart + list[e] % groups * kr) * a_size;
    uint8_t *packed = er_aligned_alloc(er_qgemm_bytes(g, n, segments, length, extras));
    er_qgemm_pack(g, &p->w, extras, list, p->zero + shift, p->channels, p->o.real, packed);
    // Where m divides, as lines of rows too.
    size_t lines = p->m % 3 == 0 && !p->overlaps ? 3 : 1;
    er_rows rows = {a, lines, p->m / lines * stride * a_size, p->m / lines, stride * a_size, segments, apart * a_size, groups, extras, extra_at, 0, 0};
    uint8_t *out = guarded(p->m * (n + 3));
    // Where there are several strips, in two calls.
    size_t first = g->strip(panels) * (size_t)g->nr;
    if (first >= n) first = n;
    g->run(&rows, first, n - first, packed, panel_bytes, &p->o, out + CANARY, n + 3);
    if (first < n) g->run(&rows, n - first, 0, packed + first / (size_t)g->nr * panel_bytes, panel_bytes, &p->o, out + CANARY + first, n + 3);
    if (g->run_row && segments == 1 && !extras) {       // row by row: the same
        uint8_t *by_row = guarded(p->m * (n + 3));
        float *scale = malloc(2 * panels * (size_t)g->nr * sizeof *scale);
        g->scales(n, packed, panel_bytes, &p->o, scale);
        const er_row_scales begin = {scale, 2 * (size_t)g->nr}, rest = {scale + 2 * first, begin.step};
        for (size_t i = 0; i < p->m; i++) {
            const uint8_t *row = a + i * stride * a_size;
            uint8_t *to = by_row + CANARY + i * (n + 3);
            g->run_row(row, groups, first, n - first, packed, panel_bytes, &begin, &p->o, to);
            if (first < n) g->run_row(row, groups, n - first, 0, packed + first / (size_t)g->nr * panel_bytes, panel_bytes, &rest, &p->o, to + first);
        }
        CHECK(!memcmp(out, by_row, p->m * (n + 3) + 2 * CANARY), "run_row of %s is not run", k->isa);
        er_aligned_free(by_row);
        free(scale);
    }
    check_sums(k, g, p, &rows, packed, panel_bytes);
    check_guards("qgemm", k->isa, out, p->m * (n + 3));
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < 3; j++) CHECK(out[CANARY + i * (n + 3) + n + j] == GUARD, "qgemm of %s writes behind a row", k->isa);
    if (!extras) check_skipped(k, g, p, &rows, a, packed, panel_bytes);
    er_aligned_free(a);
    er_aligned_free(packed);
    free(list);
    free(extra_at);
    return out;
}

static void compare_products(const er_kernels *generic, const er_kernels *k, const product *p, int round)
{
    const er_qgemm *both[] = {&k->qgemm, &k->qgemm_small};
    uint8_t *want = run_product(generic, &generic->qgemm, p);
    for (int small = 0; small < 2; small++) {
        if (!both[small]->run) continue;
        uint8_t *got = run_product(k, both[small], p);
        for (size_t i = 0; i < p->m; i++)
            for (size_t j = 0; j < p->w.n; j++) {
                size_t at = CANARY + i * (p->w.n + 3) + j;
                CHECK(want[at] == got[at], "%s of %s: case %d row %zu channel %zu: %d, expected %d (m = %g)", small ? "qgemm_small" : "qgemm", k->isa, round, i, j, got[at], want[at], p->channels[j].m);
            }
        er_aligned_free(got);
    }
    er_aligned_free(want);
}

// Sums on both sides of where outputs change: from biases, and the first element of a row.
static void check_thresholds(const er_kernels *generic, const er_kernels *k)
{
    enum { CHANNELS = 192, MOST_ROWS = 12, MOST_LENGTH = 20 };
    static uint8_t x[MOST_ROWS * MOST_LENGTH], w[CHANNELS * MOST_LENGTH];
    for (int round = 0; round < 3000; round++) {
        const size_t length = below(&rng, 2) ? 4 : MOST_LENGTH;
        product p = {.m = 1 + below(&rng, MOST_ROWS), .is_signed = below(&rng, 2), .x = x, .w = {1 + below(&rng, CHANNELS), 1, length, w, false, 0}};
        for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)below(&rng, i % length ? 128 : 4);
        for (size_t i = 0; i < sizeof w; i++) w[i] = i % length == 0;
        p.o = draw_output(p.is_signed, below(&rng, 4) == 0);
        er_channel channels[CHANNELS];
        for (size_t j = 0; j < CHANNELS; j++) {
            channels[j].m = ldexp(1 + (double)random64(&rng) / 0x1p64, -(int)(1 + below(&rng, 20)));
            if (below(&rng, 4) == 0) channels[j].m = ldexp((double)(1 + below(&rng, 255)), -(int)(8 + below(&rng, 14)));      // many ties
            double at = p.o.min + (double)below(&rng, 256) + 0.5 - p.o.zero;
            channels[j].bias = (int32_t)(floor(at / channels[j].m) + (double)below(&rng, 4) - 1);
        }
        p.channels = channels;
        er_set_reach(&p.o, CHANNELS, length, 1, length, w, false, 0, 0, channels);
        compare_products(generic, k, &p, round);
    }
}

static void check_qgemm(const er_kernels *generic, const er_kernels *k)
{
    for (int round = 0; round < 1500; round++) {
        product p = {.m = 1 + below(&rng, 40), .gap = below(&rng, 5), .is_signed = below(&rng, 2)};
        p.w = (er_gemm_weights){.n = 1 + below(&rng, 140), .segments = 1 + below(&rng, 3), .length = 1 + below(&rng, 40), .is_unsigned = !p.is_signed};
        if (below(&rng, 4) == 0) p.m = 1 + below(&rng, 2);
        if (round % 100 == 0) p.w.length = 2000;
        const bool few = below(&rng, 10) == 0;      // the sixteen products of first layers, mostly with an activation
        if (few) {
            p.w.segments = 1;
            p.w.length = 13 + below(&rng, 4);
        }
        p.zero = (p.is_signed ? -128 : 0) + (int32_t)below(&rng, 256);
        p.w.zero = p.is_signed ? 0 : (int32_t)below(&rng, 256);
        p.overlaps = below(&rng, 4) == 0;
        if (p.overlaps) {
            p.w.length = 12 * (1 + below(&rng, 6));
            if (below(&rng, 2)) p.w.n = 1 + below(&rng, 16);
        }
        size_t xs = elements(&p), k_all = p.w.segments * p.w.length, ws = p.w.n * k_all;
        uint8_t *x = malloc(xs), *w = malloc(ws);
        fill(x, xs, (int)below(&rng, 8), p.is_signed);
        fill(w, ws, (int)below(&rng, 8), p.is_signed);
        // Mostly few weights are far from the zero point.
        if (!p.is_signed && below(&rng, 2))
            for (size_t i = 0; i < ws; i++)
                if (below(&rng, 200)) w[i] = (uint8_t)(p.w.zero + (w[i] - 128) / 8 < 0 ? 0 : p.w.zero + (w[i] - 128) / 8 > 255 ? 255 : p.w.zero + (w[i] - 128) / 8);
        if (p.is_signed && below(&rng, 2)) {    // so small that two of them, or four, or nearly all, are added in 16 bits
            const int part = 1 << below(&rng, 3);
            for (size_t i = 0; i < ws; i++)
                if (below(&rng, 400)) w[i] = (uint8_t)((int8_t)w[i] / part);
        }
        er_channel *channels = draw_channels(p.w.n, 128.0 * 128 * sqrt((double)k_all), below(&rng, 4) == 0);
        p.x = x;
        p.w.w = w;
        p.channels = channels;
        p.o = draw_output(p.is_signed, below(&rng, 4) == 0);
        if (few && below(&rng, 4)) {
            p.o = (er_output){.zero = -128, .min = -128, .max = 127};
            for (size_t j = 0; j < p.w.n; j++)
                if (channels[j].m >= 0.5) channels[j].m = 0.001;
        }
        er_set_reach(&p.o, p.w.n, k_all, 1, k_all, w, p.w.is_unsigned, p.w.zero, p.zero + (p.is_signed ? 128 : 0), channels);
        compare_products(generic, k, &p, round);
        free(x);
        free(w);
        free(channels);
    }
}

// ---- depthwise

enum { MOST_LINES = 5 };
typedef struct { size_t n, lines, kh, kw, x_step, tap_step, row_bytes; bool is_signed; const uint8_t *x; er_depthwise_weights w; er_output o; } window;

// Lines, of which each begins a row further down; the result has channels + 3 bytes a pixel.
static uint8_t *run_depthwise(const er_kernels *k, const window *p)
{
    const er_qdepthwise *d = &k->qdepthwise;
    int32_t offset = er_bytes_offset(d->bytes, p->is_signed);
    bool flip = offset != 0;
    size_t pixel = p->w.channels + 3, bytes = (p->kh + p->lines - 1) * p->row_bytes;
    uint8_t *x = malloc(bytes + ER_SLACK), *out = guarded(p->lines * p->n * pixel);
    const uint8_t *row[MOST_LINES * 8];
    for (size_t i = 0; i < bytes; i++) x[i] = p->x[i] ^ (flip ? 0x80 : 0);
    for (size_t i = 0; i < p->lines * p->kh; i++) row[i] = x + (i / p->kh + i % p->kh) * p->row_bytes;
    er_depthwise_weights w = p->w;
    w.x_zero += offset;
    uint8_t *packed = er_aligned_alloc(d->pack(&w, NULL));
    d->pack(&w, packed);
    er_taps taps = {row, p->lines, p->n * pixel, p->kh, p->kw, p->x_step, p->tap_step, p->is_signed != flip};
    d->run(p->n, w.channels, &taps, packed, &p->o, out + CANARY, pixel);
    check_guards("qdepthwise", k->isa, out, p->lines * p->n * pixel);
    er_aligned_free(packed);
    free(x);
    return out;
}

static void check_qdepthwise(const er_kernels *generic, const er_kernels *k)
{
    for (int round = 0; round < 1500; round++) {
        window p = {.n = 1 + below(&rng, 11), .lines = 1 + below(&rng, MOST_LINES), .is_signed = below(&rng, 2)};
        if (round % 50 == 0) p.n = 60 + below(&rng, 90);
        size_t channels = 1 + below(&rng, 170), size = below(&rng, 5), dilation = below(&rng, 4) ? 1 : 2, taps;
        p.kh = size < 3 ? 3 : size == 3 ? 5 : 1 + below(&rng, 8);
        p.kw = size < 4 ? p.kh : 1 + below(&rng, 5);
        taps = p.kh * p.kw;
        p.tap_step = dilation * channels;
        p.x_step = (1 + below(&rng, 3)) * channels;
        p.row_bytes = (p.n - 1) * p.x_step + (p.kw - 1) * p.tap_step + channels;
        int32_t low = p.is_signed ? -128 : 0;
        const size_t bytes = (p.kh + p.lines - 1) * p.row_bytes;
        uint8_t *x = malloc(bytes), *w = malloc(taps * channels);
        fill(x, bytes, (int)below(&rng, 8), p.is_signed);
        fill(w, taps * channels, (int)below(&rng, 8), p.is_signed);
        int32_t zero = p.is_signed ? 0 : (int32_t)below(&rng, 256);
        if (!p.is_signed && below(&rng, 2))     // mostly few weights are far from the zero point
            for (size_t i = 0; i < taps * channels; i++)
                if (below(&rng, 100)) w[i] = (uint8_t)(zero + w[i] % 9 > 255 ? 255 : zero + w[i] % 9);
        er_channel *params = draw_channels(channels, 128.0 * 128 * sqrt((double)taps), below(&rng, 4) == 0);
        p.x = x;
        p.w = (er_depthwise_weights){channels, p.kh, p.kw, w, !p.is_signed, zero, low + (int32_t)below(&rng, 256), params, false};
        p.o = draw_output(p.is_signed, false);
        er_set_reach(&p.o, channels, taps, channels, 1, w, !p.is_signed, zero, p.w.x_zero - low, params);
        uint8_t *want = run_depthwise(generic, &p), *got = run_depthwise(k, &p);
        for (size_t i = 0; i < p.lines * p.n; i++)
            for (size_t c = 0; c < channels + 3; c++) {
                size_t at = CANARY + i * (channels + 3) + c;
                CHECK(want[at] == got[at], "qdepthwise of %s: case %d pixel %zu channel %zu of %zu (%zux%zu): %d, expected %d", k->isa, round, i, c, channels, p.kh, p.kw, got[at], want[at]);
            }
        free(x);
        free(w);
        free(params);
        er_aligned_free(want);
        er_aligned_free(got);
    }
}

// ---- addition and pooling

// Of inputs with scales a and b and an output with scale y.
static er_qadd_params draw_sum(double a, double b, double y)
{
    const bool is_signed = below(&rng, 2);
    const int32_t low = is_signed ? -128 : 0;
    const double twice = 2 * fmax(a, b);
    er_qadd_params p = {low + (int32_t)below(&rng, 256), low + (int32_t)below(&rng, 256), er_make_multiplier(a / twice), er_make_multiplier(b / twice),
                            er_make_multiplier(twice / ((1 << 20) * y)), draw_output(is_signed, false), is_signed, below(&rng, 4) ? is_signed : !is_signed, below(&rng, 2), {0}};
    er_qadd_prepare(&p);
    return p;
}

// All pairs of bytes, with scales as models have them.
static void check_all_sums(const er_kernels *generic, const er_kernels *k)
{
    enum { PAIRS = 65536 };
    static uint8_t xa[PAIRS], xb[PAIRS], want[PAIRS], got[PAIRS];
    for (size_t i = 0; i < PAIRS; i++) {
        xa[i] = (uint8_t)(i >> 8);
        xb[i] = (uint8_t)i;
    }
    for (int round = 0; round < 40; round++) {
        double a = 0.03, b = a * exp((double)below(&rng, 4000) / 1000 - 2), y = (a + b) * exp((double)below(&rng, 2000) / 1000 - 1);
        const er_qadd_params p = draw_sum(a, b, y);
        generic->qadd(PAIRS, xa, 1, xb, 1, &p, want);
        k->qadd(PAIRS, xa, 1, xb, 1, &p, got);
        for (size_t i = 0; i < PAIRS; i++)
            CHECK(want[i] == got[i], "qadd of %s: all pairs, case %d, %d and %d: %d, expected %d", k->isa, round, xa[i], xb[i], got[i], want[i]);
    }
}

static void check_qadd(const er_kernels *generic, const er_kernels *k)
{
    for (int round = 0; round < 1500; round++) {
        size_t n = 1 + below(&rng, 70), sa = below(&rng, 8) ? 1 : 0, sb = below(&rng, 8) ? 1 : 0;
        double a = exp((double)below(&rng, 1000) / 100 - 7), b = below(&rng, 5) ? exp((double)below(&rng, 1000) / 100 - 7) : a, y = exp((double)below(&rng, 1400) / 100 - 10);
        const er_qadd_params p = draw_sum(a, b, y);
        const bool is_signed = p.a_signed;
        uint8_t *xa = malloc(n), *xb = malloc(n), *want = guarded(n), *got = guarded(n);
        fill(xa, n, (int)below(&rng, 8), is_signed);
        fill(xb, n, (int)below(&rng, 8), is_signed);
        generic->qadd(n, xa, sa, xb, sb, &p, want + CANARY);
        k->qadd(n, xa, sa, xb, sb, &p, got + CANARY);
        CHECK(!memcmp(want, got, n + 2 * CANARY), "qadd of %s: case %d differs", k->isa, round);
        const bool first = below(&rng, 2);      // in place
        if (first ? sa : sb) {
            memcpy(got + CANARY, first ? xa : xb, n);
            k->qadd(n, first ? got + CANARY : xa, sa, first ? xb : got + CANARY, sb, &p, got + CANARY);
            CHECK(!memcmp(want, got, n + 2 * CANARY), "qadd of %s: case %d differs in place", k->isa, round);
        }
        free(xa);
        free(xb);
        er_aligned_free(want);
        er_aligned_free(got);
    }
}

static void check_qmul(const er_kernels *generic, const er_kernels *k)
{
    for (int round = 0; round < 1500; round++) {
        size_t n = 1 + below(&rng, 70), sa = below(&rng, 8) ? 1 : 0, sb = below(&rng, 8) ? 1 : 0;
        bool is_signed = below(&rng, 2);
        int32_t low = is_signed ? -128 : 0;
        er_channel *c = draw_channels(1, 128.0 * 128, below(&rng, 4) == 0);
        er_qmul_params p = {low + (int32_t)below(&rng, 256), low + (int32_t)below(&rng, 256), c->m, draw_output(is_signed, false), is_signed, is_signed};
        uint8_t most = 255, *xa = malloc(n), *xb = malloc(n), *want = guarded(n), *got = guarded(n);
        er_set_reach(&p.o, 1, 1, 1, 1, &most, true, 0, 0, &(er_channel){0, c->m});
        fill(xa, n, (int)below(&rng, 8), is_signed);
        fill(xb, n, (int)below(&rng, 8), is_signed);
        generic->qmul(n, xa, sa, xb, sb, &p, want + CANARY);
        k->qmul(n, xa, sa, xb, sb, &p, got + CANARY);
        CHECK(!memcmp(want, got, n + 2 * CANARY), "qmul of %s: case %d differs (m = %g)", k->isa, round, c->m);
        free(c);
        free(xa);
        free(xb);
        er_aligned_free(want);
        er_aligned_free(got);
    }
}

static void check_pools(const er_kernels *generic, const er_kernels *k)
{
    enum { MOST_TAPS = 900 };
    for (int round = 0; round < 1000; round++) {
        size_t channels = 1 + below(&rng, 80), taps = 1 + below(&rng, round % 20 ? 60 : MOST_TAPS), pixels = 1 + below(&rng, 3), x_step = below(&rng, 100), n = pixels * channels;
        bool is_signed = below(&rng, 2);
        er_output o = draw_output(is_signed, false);
        const uint8_t *tap[MOST_TAPS];
        uint8_t *x[MOST_TAPS];
        for (size_t t = 0; t < taps; t++) {
            const size_t bytes = (pixels - 1) * x_step + channels;
            tap[t] = x[t] = malloc(bytes);
            fill(x[t], bytes, (int)below(&rng, 8), is_signed);
        }
        for (int average = 0; average < 2; average++) {
            uint8_t *want = guarded(n), *got = guarded(n);
            (average ? generic->qaverage_pool : generic->qmax_pool)(pixels, x_step, channels, taps, tap, is_signed, o.min, o.max, want + CANARY);
            (average ? k->qaverage_pool : k->qmax_pool)(pixels, x_step, channels, taps, tap, is_signed, o.min, o.max, got + CANARY);
            CHECK(!memcmp(want, got, n + 2 * CANARY), "%s pool of %s: case %d differs", average ? "average" : "max", k->isa, round);
            er_aligned_free(want);
            er_aligned_free(got);
        }
        for (size_t t = 0; t < taps; t++) free(x[t]);
    }
}

// usage: check_kernels [ISA ...]       those must be on this machine; all others of the library are checked where they are
int main(int argc, char **argv)
{
    const er_kernels *generic = er_kernels_of("generic");
    CHECK(generic, "generic is missing");
    for (int i = 1; i < argc; i++) CHECK(er_kernels_of(argv[i]), "%s is not on this machine", argv[i]);
    char built[200];
    snprintf(built, sizeof built, "%s", edgert_isas_built());
    for (char *isa = strtok(built, " "); isa; isa = strtok(NULL, " ")) {
        const er_kernels *k = er_kernels_of(isa);
        if (k == generic) continue;
        if (!k) {
            printf("%s: not on this machine\n", isa);
            continue;
        }
        // What AVX2 does with small weights is slower than VNNI, whether or not a CPU has AVX-VNNI between the two.
        CHECK(!strstr(isa, "vnni") || !k->qgemm_small.run, "%s has AVX2's product", isa);
        check_qgemm(generic, k);
        check_thresholds(generic, k);
        check_qdepthwise(generic, k);
        check_qadd(generic, k);
        check_all_sums(generic, k);
        check_qmul(generic, k);
        check_pools(generic, k);
        check_resize(generic, k);
        check_arg_max(generic, k);
        check_reductions(generic, k);
        check_conversions(generic, k);
        check_floats(generic, k);
        check_float_pools(generic, k);
        check_blocks(generic, k);
        check_words(generic, k);
        check_word_arithmetic(generic, k);
        check_requantize(generic, k);
        check_dots(generic, k);
        printf("%s: equal\n", isa);
    }
    return 0;
}
