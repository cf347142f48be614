// Kernels of other kinds than 8-bit products and sums against generic: interpolation, arg max, conversions, floats, int4 weights in blocks, gates.
#include <math.h>

#include "check_kernels.h"

// ---- interpolation, arg max

void check_resize(const er_kernels *generic, const er_kernels *k)
{
    for (int round = 0; round < 500; round++) {
        size_t channels = 1 + below(&rng, 40), in = 1 + below(&rng, 6), n = 1 + below(&rng, 9), count = in * channels;
        float *lines = malloc(2 * count * sizeof *lines + ER_SLACK);
        int32_t *mixed = malloc(count * sizeof *mixed + ER_SLACK);
        float wy = (float)below(&rng, 1024) / 1024.0f;
        for (size_t i = 0; i < count; i++) {
            lines[i] = (float)below(&rng, 256) * (1 - wy);
            lines[count + i] = (float)below(&rng, 256) * wy;
            mixed[i] = ((int32_t)below(&rng, 256) - 128) * 1024;
        }
        er_resize_column columns[9];
        for (size_t i = 0; i < n; i++) {
            size_t low = below(&rng, in), high = low + 1 < in ? low + 1 : low;
            int32_t fraction = (int32_t)below(&rng, 1024);
            columns[i] = (er_resize_column){low * channels, high * channels, (float)fraction / 1024.0f, fraction};
        }
        for (int kind = 0; kind < 2; kind++) {
            uint8_t *want = guarded(n * channels), *got = guarded(n * channels);
            if (kind) {
                generic->resize_uint8(n, channels, lines, lines + count, columns, want + CANARY);
                k->resize_uint8(n, channels, lines, lines + count, columns, got + CANARY);
            } else {
                generic->resize_int8(n, channels, mixed, columns, (int8_t *)want + CANARY);
                k->resize_int8(n, channels, mixed, columns, (int8_t *)got + CANARY);
            }
            CHECK(!memcmp(want, got, n * channels + 2 * CANARY), "resize (%d) of %s: case %d differs", kind, k->isa, round);
            er_aligned_free(want);
            er_aligned_free(got);
        }
        free(lines);
        free(mixed);
    }
}

void check_arg_max(const er_kernels *generic, const er_kernels *k)
{
    for (int round = 0; round < 2000; round++) {
        size_t n = 1 + below(&rng, 70), rows = 1 + below(&rng, 4);
        uint8_t *v = malloc(rows * n), range = (uint8_t)below(&rng, 256);
        for (size_t i = 0; i < rows * n; i++) v[i] = (uint8_t)(range + below(&rng, 1 + below(&rng, 40)));
        bool is_signed = below(&rng, 2);
        int32_t want[4], got[4];
        generic->qarg_max(rows, n, v, is_signed, want);
        k->qarg_max(rows, n, v, is_signed, got);
        for (size_t i = 0; i < rows; i++) CHECK(want[i] == got[i], "arg max of %s: %d, expected %d of %zu", k->isa, got[i], want[i], n);
        free(v);
    }
}

// ---- sums and largest

void check_reductions(const er_kernels *generic, const er_kernels *k)
{
    for (int round = 0; round < 1000; round++) {
        // Some with more rows than sums of 16 bits hold.
        const size_t rows = 1 + below(&rng, round % 8 ? 20 : 600), n = 1 + below(&rng, round % 2 ? 150 : 40), stride = n + below(&rng, 2) * below(&rng, 9);
        const uint8_t extreme = (uint8_t)(below(&rng, 2) * 255);
        uint8_t *x = malloc(rows * stride), flip = (uint8_t)((below(&rng, 2) ? 0x80 : 0) ^ (below(&rng, 2) ? 0xff : 0)), most[2][600];
        int32_t sums[2][600];
        for (size_t i = 0; i < rows * stride; i++) x[i] = round % 4 ? (uint8_t)below(&rng, 256) : extreme;
        for (int columns = 0; columns < 2; columns++) {
            const size_t count = columns ? n : rows;
            // What they are to be, plainly: generic's are the same text as others'.
            const uint8_t sign = flip & 0x80 ? 0x80 : 0;
            int32_t sum[600];
            uint8_t largest[600];
            for (size_t j = 0; j < count; j++) {
                sum[j] = sums[0][j] = sums[1][j] = (int32_t)j;
                largest[j] = most[0][j] = most[1][j] = (uint8_t)(j % 3);
            }
            for (size_t r = 0; r < rows; r++)
                for (size_t c = 0; c < n; c++) {
                    const size_t j = columns ? c : r;
                    const uint8_t byte = x[r * stride + c], v = byte ^ flip;
                    sum[j] += sign ? (int8_t)byte : byte;
                    if (v > largest[j]) largest[j] = v;
                }
            for (int i = 0; i < 2; i++) {
                const er_kernels *t = i ? k : generic;
                (columns ? t->sum_columns : t->sum_rows)(rows, n, x, stride, sign, sums[i]);
                (columns ? t->most_columns : t->most_rows)(rows, n, x, stride, flip, most[i]);
                CHECK(!memcmp(sum, sums[i], count * sizeof *sum), "sums of %s: case %d of %zu by %zu differs", t->isa, round, rows, n);
                CHECK(!memcmp(largest, most[i], count), "largest of %s: case %d of %zu by %zu differs", t->isa, round, rows, n);
            }
        }
        free(x);
    }
}

// ---- float32: to rounding

static float draw_float(void) { return (float)((double)(int64_t)random64(&rng) * 0x1p-63); }

void check_float_pools(const er_kernels *generic, const er_kernels *k)
{
    enum { MOST_TAPS = 20, MOST_OUTPUTS = 3 * 50 };
    for (int round = 0; round < 500; round++) {
        const size_t channels = 1 + below(&rng, 50), taps = 1 + below(&rng, MOST_TAPS), pixels = 1 + below(&rng, 3), x_step = below(&rng, 60);
        const size_t n = (pixels - 1) * x_step + channels;
        const float *tap[MOST_TAPS];
        float *x[MOST_TAPS];
        for (size_t t = 0; t < taps; t++) {
            tap[t] = x[t] = malloc(n * sizeof *x[t]);
            for (size_t i = 0; i < n; i++) x[t][i] = draw_float();
        }
        er_spool *const pools[3][2] = {{generic->smax_pool, k->smax_pool}, {generic->saverage_pool, k->saverage_pool}, {generic->sl2_pool, k->sl2_pool}};
        for (int kind = 0; kind < 3; kind++) {
            float out[2][MOST_OUTPUTS];
            for (int i = 0; i < 2; i++) pools[kind][i](pixels, x_step, channels, taps, tap, -0.5f, 0.9f, out[i]);
            CHECK(!memcmp(out[0], out[1], pixels * channels * sizeof(float)), "float pool (%d) of %s: case %d differs", kind, k->isa, round);
            for (size_t p = 0; p < pixels; p++)
                for (size_t c = 0; c < channels; c++) {
                    float v = kind ? 0 : -2;
                    for (size_t t = 0; t < taps; t++) {
                        const float at = x[t][p * x_step + c];
                        v = kind == 0 ? fmaxf(v, at) : v + (kind == 2 ? at * at : at);
                    }
                    if (kind) v /= (float)taps;
                    if (kind == 2) v = sqrtf(v);
                    v = fminf(fmaxf(v, -0.5f), 0.9f);
                    const float got = out[1][p * channels + c];
                    CHECK(fabsf(got - v) <= 1e-6f, "float pool (%d) of %s: case %d: %g, expected %g", kind, k->isa, round, (double)got, (double)v);
                }
        }
        for (size_t t = 0; t < taps; t++) free(x[t]);
    }
}

void check_floats(const er_kernels *generic, const er_kernels *k)
{
    const er_kernels *tables[2][2] = {{generic, k}, {er_kernels_exact(generic), er_kernels_exact(k)}};
    for (int round = 0; round < 800; round++) {
        const bool exact = round % 2;
        const er_kernels *const *both = tables[exact];
        const float most = exact ? 0 : 1e-5f;
        size_t m = 1 + below(&rng, 20), n = 1 + below(&rng, 40), length = 1 + below(&rng, 60);
        float *a = malloc(m * length * sizeof *a), *w = malloc(n * length * sizeof *w), *out[2];
        for (size_t i = 0; i < m * length; i++) a[i] = draw_float();
        for (size_t i = 0; i < n * length; i++) w[i] = draw_float();
        for (int i = 0; i < 2; i++) {
            const er_sgemm *g = &both[i]->sgemm;
            size_t panel = er_sgemm_panel_floats(g, length);
            float *packed = er_aligned_alloc((n + (size_t)g->nr - 1) / (size_t)g->nr * panel * sizeof *packed);
            er_sgemm_pack(g, n, length, w, NULL, packed);
            out[i] = malloc(m * n * sizeof *out[i]);
            g->run(&(er_rows){a, 1, 0, m, length * sizeof *a, 1, 0, length, 0, NULL, 0, 0}, n, packed, panel, -3, 3, out[i], n);
            er_aligned_free(packed);
        }
        for (size_t i = 0; i < m * n; i++)
            CHECK(fabsf(out[0][i] - out[1][i]) <= most, "sgemm of %s, exact %d: case %d: %g, expected %g", k->isa, exact, round, (double)out[1][i], (double)out[0][i]);
        const float *tap[9];
        for (size_t t = 0; t < 9; t++) tap[t] = a;
        size_t c = length < n ? length : n;
        if (9 * c <= n * length) {
            for (int i = 0; i < 2; i++) both[i]->sdepthwise(1, c, 9, tap, c, a, w, -3, 3, out[i], c);
            for (size_t i = 0; i < c && i < m * n; i++) CHECK(fabsf(out[0][i] - out[1][i]) <= most, "sdepthwise of %s, exact %d: case %d", k->isa, exact, round);
        }
        free(a);
        free(w);
        free(out[0]);
        free(out[1]);
    }
}

void check_conversions(const er_kernels *generic, const er_kernels *k)
{
    for (int round = 0; round < 300; round++) {
        size_t n = 1 + below(&rng, 3000);
        uint8_t table[256], *x = malloc(n), *want = malloc(n), *got = malloc(n);
        float *f = malloc(n * sizeof *f), *floats[2] = {malloc(n * sizeof *f), malloc(n * sizeof *f)};
        fill(table, 256, 0, false);
        fill(x, n, 0, false);
        generic->qlookup(n, x, table, want);
        k->qlookup(n, x, table, got);
        CHECK(!memcmp(want, got, n), "qlookup of %s: case %d", k->isa, round);
        k->qlookup(n, x, table, x);
        CHECK(!memcmp(want, x, n), "qlookup of %s in place: case %d", k->isa, round);
        bool is_signed = below(&rng, 2);
        int32_t low = is_signed ? -128 : 0, zero = low + (int32_t)below(&rng, 256);
        float scale = below(&rng, 2) ? 0.25f : (float)(1 + below(&rng, 1000)) / 7777;
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = (uint32_t)random64(&rng);
            // Ties, their neighbours, and any float at all.
            if (below(&rng, 8)) f[i] = nextafterf(((float)below(&rng, 600) - 300 + 0.5f) * scale, below(&rng, 2) ? INFINITY : -INFINITY);
            else memcpy(&f[i], &bits, 4);
        }
        generic->quantize(n, f, scale, zero, low, low + 255, want);
        k->quantize(n, f, scale, zero, low, low + 255, got);
        CHECK(!memcmp(want, got, n), "quantize of %s: case %d", k->isa, round);
        generic->dequantize(n, x, is_signed, scale, zero, floats[0]);
        k->dequantize(n, x, is_signed, scale, zero, floats[1]);
        CHECK(!memcmp(floats[0], floats[1], n * sizeof *f), "dequantize of %s: case %d", k->isa, round);
        free(x);
        free(want);
        free(got);
        free(f);
        free(floats[0]);
        free(floats[1]);
    }
}

// ---- int4 weights in blocks: the same sums, and floats added in the same order

void check_blocks(const er_kernels *generic, const er_kernels *k)
{
    enum { MOST_BLOCKS = 5, MOST_SIZE = 64 };
    for (int round = 0; round < 500; round++) {
        const size_t blocks = 1 + below(&rng, MOST_BLOCKS), size = 8 * (1 + below(&rng, MOST_SIZE / 8));
        uint8_t w[MOST_BLOCKS * MOST_SIZE / 2 * ER_BLOCK_ROWS];
        int8_t x[MOST_BLOCKS * MOST_SIZE];
        float scales[MOST_BLOCKS * ER_BLOCK_ROWS], want[ER_BLOCK_ROWS], got[ER_BLOCK_ROWS];
        int32_t eights[MOST_BLOCKS];
        fill(w, sizeof w, (int)below(&rng, 5), false);
        fill(x, sizeof x, (int)below(&rng, 5), true);
        for (size_t b = 0; b < blocks; b++) {
            int32_t sum = 0;
            for (size_t i = 0; i < size; i++) sum += x[b * size + i];
            eights[b] = 8 * sum;
        }
        for (size_t i = 0; i < blocks * ER_BLOCK_ROWS; i++) scales[i] = (float)below(&rng, 1000) * 0.00137f;
        for (size_t j = 0; j < ER_BLOCK_ROWS; j++) want[j] = got[j] = (float)below(&rng, 100);
        generic->dot_blocks(blocks, size, w, x, eights, scales, want);
        k->dot_blocks(blocks, size, w, x, eights, scales, got);
        CHECK(!memcmp(want, got, sizeof want), "blocks of %s: case %d differs", k->isa, round);
    }
}

// ---- gates of int8 LSTMs: every word

void check_words(const er_kernels *generic, const er_kernels *k)
{
    enum { ALL = 65536 };
    int16_t *x = malloc(ALL * sizeof *x), *want = malloc(ALL * sizeof *want), *got = malloc(ALL * sizeof *got);
    int32_t *a = malloc(ALL * sizeof *a), *b = malloc(ALL * sizeof *b);
    for (int i = 0; i < ALL; i++) x[i] = (int16_t)(i + INT16_MIN);
    for (int32_t bits = -1; bits <= 6; bits++) {
        if (bits < 0) {
            generic->sigmoid_words(ALL, x, want);
            k->sigmoid_words(ALL, x, got);
        } else {
            generic->tanh_words(ALL, x, want, bits);
            k->tanh_words(ALL, x, got, bits);
        }
        CHECK(!memcmp(want, got, ALL * sizeof *want), "words of %s: function %d differs", k->isa, (int)bits);
    }
    for (int round = 0; round < 50; round++) {
        const er_multiplier m[2] = {er_make_multiplier(ldexp(0.5 + 0.4 * round / 50, (int)below(&rng, 20) - 16)), er_make_multiplier(ldexp(0.9, (int)below(&rng, 20) - 16))};
        const int shift = (int)below(&rng, 31);
        for (int i = 0; i < ALL; i++) {
            a[i] = (int32_t)(uint32_t)random64(&rng) >> shift;
            b[i] = (int32_t)(uint32_t)random64(&rng) >> shift;
        }
        generic->gate_words(ALL - (size_t)round, a, m[0], b, m[1], want);
        k->gate_words(ALL - (size_t)round, a, m[0], b, m[1], got);
        CHECK(!memcmp(want, got, (ALL - (size_t)round) * sizeof *want), "sums of words of %s: case %d differs", k->isa, round);
    }
    free(x);
    free(want);
    free(got);
    free(a);
    free(b);
}

// ---- sums and products of words

void check_word_arithmetic(const er_kernels *generic, const er_kernels *k)
{
    enum { MOST = 150 };
    for (int round = 0; round < 3000; round++) {
        const size_t n = below(&rng, MOST) + 1;
        // Exactly so long: a sanitizer sees what is read or written behind them. A step of 0 repeats the first.
        const size_t a_step = round % 7 != 0, b_step = round % 5 != 0;
        int16_t *a = malloc((a_step ? n : 1) * sizeof *a), *b = malloc((b_step ? n : 1) * sizeof *b), *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
        fill(a, (a_step ? n : 1) * sizeof *a, (int)below(&rng, 5), true);
        fill(b, (b_step ? n : 1) * sizeof *b, (int)below(&rng, 5), true);
        const double u = (double)(random64(&rng) >> 11) * 0x1p-53, v = (double)(random64(&rng) >> 11) * 0x1p-53;
        const bool odd = round % 8 == 0;        // what models do not have
        er_words_params p = {.shift = 15, .a = er_make_multiplier(0.5), .b = er_make_multiplier(0.5 * u + 1e-6), .out = er_make_multiplier(ldexp(4 * v + 1e-6, -16)),
                             .o = {.min = INT16_MIN, .max = INT16_MAX}, .subtract = below(&rng, 2)};
        if (below(&rng, 2)) {
            const er_multiplier m = p.a;
            p.a = p.b;
            p.b = m;
        }
        if (below(&rng, 3) == 0) p.o.min = 0;
        if (odd) {
            p.a_zero = (int32_t)below(&rng, 65536) - 32768;
            p.o.zero = (int32_t)below(&rng, 65536) - 32768;
            p.out = er_make_multiplier(8 * u);
        }
        generic->add_words(n, a, a_step, b, b_step, &p, want);
        k->add_words(n, a, a_step, b, b_step, &p, got);
        CHECK(!memcmp(want, got, n * sizeof *want), "sum of words of %s: case %d differs", k->isa, round);
        generic->mul_words(n, a, a_step, b, b_step, &p, want);
        k->mul_words(n, a, a_step, b, b_step, &p, got);
        CHECK(!memcmp(want, got, n * sizeof *want), "product of words of %s: case %d differs", k->isa, round);
        free(a);
        free(b);
        free(want);
        free(got);
    }
}

// ---- sums to bytes

void check_requantize(const er_kernels *generic, const er_kernels *k)
{
    enum { MOST = 100, ROWS = 3 };
    for (int round = 0; round < 3000; round++) {
        const size_t n = below(&rng, MOST) + 1;
        int32_t *sums = malloc(ROWS * n * sizeof *sums), *each = malloc(4 * n * sizeof *each);
        uint8_t *want = malloc(ROWS * n), *got = malloc(ROWS * n);
        const int size = (int)below(&rng, 24);
        const bool is_signed = round % 2, lefts = round % 5 == 0;
        const int32_t low = is_signed ? -128 : 0;
        er_output o = {.zero = low + (int32_t)below(&rng, 256), .min = low, .max = low + 255};
        if (below(&rng, 2)) o.min = o.zero;
        for (size_t i = 0; i < ROWS * n; i++) sums[i] = (int32_t)(uint32_t)random64(&rng) >> size;
        for (size_t c = 0; c < n; c++) {
            const er_multiplier m = er_make_multiplier(ldexp((double)(1 + below(&rng, 1000)) / 1024, (int)size - (lefts && c % 7 == 0 ? 20 : 24)));
            each[c] = (int32_t)(uint32_t)random64(&rng) >> size;
            each[n + c] = m.q;
            each[2 * n + c] = m.shift > 0 ? m.shift : 0;
            each[3 * n + c] = m.shift > 0 ? 0 : -m.shift;
        }
        const er_channel_multipliers all = {each, each + n, each + 2 * n, each + 3 * n};
        generic->requantize_channels(ROWS, n, sums, &all, &o, want);
        k->requantize_channels(ROWS, n, sums, &all, &o, got);
        CHECK(!memcmp(want, got, ROWS * n), "bytes of channels' sums of %s: case %d differs", k->isa, round);
        const er_multiplier m = {each[n], each[2 * n] - each[3 * n]};
        generic->requantize_sums(ROWS * n, sums, each[0], m, &o, want);
        k->requantize_sums(ROWS * n, sums, each[0], m, &o, got);
        CHECK(!memcmp(want, got, ROWS * n), "bytes of sums of %s: case %d differs", k->isa, round);
        free(sums);
        free(each);
        free(want);
        free(got);
    }
}

// ---- dot products

void check_dots(const er_kernels *generic, const er_kernels *k)
{
    enum { MOST = 700 };
    for (int round = 0; round < 2000; round++) {
        const size_t n = below(&rng, round % 2 ? MOST : 40) + 1;
        int8_t *w = malloc(n), *x = malloc(n);      // exactly so long: a sanitizer sees what is read behind them
        const int32_t zero = (int32_t)below(&rng, 256) - 128;
        fill(w, n, (int)below(&rng, 5), true);
        fill(x, n, (int)below(&rng, 5), true);
        CHECK(generic->dot_bytes(n, w, x, zero) == k->dot_bytes(n, w, x, zero), "dot product of %s: %zu bytes", k->isa, n);
        CHECK(generic->dot_unsigned(n, w, (uint8_t *)x) == k->dot_unsigned(n, w, (uint8_t *)x), "unsigned dot product of %s: %zu bytes", k->isa, n);
        free(w);
        free(x);
    }
}
