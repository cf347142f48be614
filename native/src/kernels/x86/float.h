// float32 products, for every x86 instruction set: compiled once for each after its vec*.h, with MR rows by 2 panels of LANES channels as the largest tile,
// and EACH_HEIGHT(X, panels), which names all heights. Where EXACT is defined each is there twice: fused, and `exact`, with products that are rounded before they
// are added, in tiles of up to EXACT rows, which hide what an addition takes as well.
#ifndef ER_X86_FLOAT_H
#define ER_X86_FLOAT_H

#if defined(EXACT)
enum { MOST_EXACT = EXACT };
#else
enum { MOST_EXACT = MR };
#endif

static inline vf clamped(vf x, float min, float max)
{
    // This order of operands keeps a NaN.
    return v_minf(v_setf(max), v_maxf(v_setf(min), x));
}

static inline vf v_add_product(bool exact, vf x, vf w, vf sum) { return exact ? v_addf(sum, v_mulf(x, w)) : v_fma(x, w, sum); }

static inline void store_floats(float *out, vf x, size_t n)
{
    if (n >= LANES) v_savef(out, x);
    else v_savef_some(out, x, n);
}

// Sums are variables, as in qgemm.h: clang would keep an array in memory. So are the rows' addresses: from every fourth one, with one and three strides.
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define DECLARE(i) vf s##i##_0 = v_zerof(), s##i##_1 = s##i##_0;
#define ADD_ROW(i) \
    if (i < mr) { \
        const vf x = v_setf(float_at((i / 4 == 0 ? a0 : i / 4 == 1 ? a4 : a8) + (i % 4 == 3 ? stride3 : i % 4 * stride))); \
        s##i##_0 = v_add_product(exact, x, w0, s##i##_0); \
        if (panels > 1) s##i##_1 = v_add_product(exact, x, w1, s##i##_1); \
    }
#define STORE_ROW(i) \
    if (i < mr) { \
        store_floats(out + i * out_stride, clamped(v_addf(s##i##_0, bias0), min, max), n); \
        if (panels > 1) store_floats(out + i * out_stride + LANES, clamped(v_addf(s##i##_1, bias1), min, max), n - LANES); \
    }

static inline float float_at(const uint8_t *p)
{
    float x;
    memcpy(&x, p, sizeof x);
    return x;
}

__attribute__((always_inline)) static inline void
tile(const bool exact, const size_t mr, const size_t panels, const er_rows *r, const uint8_t *rows, size_t n, const float *panel, size_t panel_floats, float min, float max,
     float *out, size_t out_stride)
{
    EACH_ROW(DECLARE)
    const float *w = panel + LANES;
    const size_t stride = r->row_stride;
    size_t stride3 = 3 * stride;
    __asm__("" : "+r"(stride3));
    for (size_t s = 0; s < r->segments; s++) {
        const uint8_t *a0 = rows + s * r->segment_stride, *a4 = a0 + 4 * stride, *a8 = a0 + 8 * stride;
        for (size_t g = 0; g < r->groups; g++, w += LANES) {
            vf w0 = v_loadf(w), w1 = panels > 1 ? v_loadf(w + panel_floats) : w0;
            __asm__("" : "+" V_REGISTER(w0), "+" V_REGISTER(w1));       // not from memory for each row
            EACH_ROW(ADD_ROW)
            a0 += sizeof(float);
            if (mr > 4) { a4 += sizeof(float); __asm__("" : "+r"(a4)); }
            if (mr > 8) { a8 += sizeof(float); __asm__("" : "+r"(a8)); }
        }
    }
    const vf bias0 = v_loadf(panel), bias1 = panels > 1 ? v_loadf(panel + panel_floats) : bias0;
    EACH_ROW(STORE_ROW)
}
#undef EACH_ROW
#undef DECLARE
#undef ADD_ROW
#undef STORE_ROW

#define CASE(mr, panels) case mr: if (!exact || mr <= MOST_EXACT) tile(exact, mr, panels, r, rows, n, panel, panel_floats, min, max, out, out_stride); break

// One line of rows by `panels` panels, in tiles of even height: a small rest would not hide the latency of
// its few sums.
__attribute__((always_inline)) static inline void run_line(const bool exact, const er_rows *r, const uint8_t *rows, size_t panels, size_t n, const float *panel, size_t panel_floats, float min,
                 float max, float *out, size_t out_stride)
{
    const size_t most = exact ? MOST_EXACT : MR;
    for (size_t left = r->m, tiles = (left + most - 1) / most; left; tiles--) {
        size_t mr = (left + tiles - 1) / tiles;
        if (panels == 2) {
            switch (mr) { EACH_HEIGHT(CASE, 2) }
        } else {
            switch (mr) { EACH_HEIGHT(CASE, 1) }
        }
        left -= mr;
        rows += mr * r->row_stride;
        out += mr * out_stride;
    }
}

__attribute__((always_inline)) static inline void run_lines(const bool exact, const er_rows *r, size_t n, const float *packed, size_t panel_floats, float min,
                                                            float max, float *out, size_t out_stride)
{
    for (size_t n0 = 0; n0 < n;) {
        size_t panels = n - n0 > LANES ? 2 : 1;
        const float *panel = packed + n0 / LANES * panel_floats;
        for (size_t line = 0; line < r->lines; line++)
            run_line(exact, r, (const uint8_t *)r->a + line * r->line_stride, panels, n - n0, panel, panel_floats, min, max,
                     out + line * r->m * out_stride + n0, out_stride);
        n0 += panels * LANES;
    }
}

static void sgemm(const er_rows *r, size_t n, const float *packed, size_t panel_floats, float min, float max, float *out, size_t out_stride)
{
    run_lines(false, r, n, packed, panel_floats, min, max, out, out_stride);
}

#if defined(EXACT)
static void sgemm_exact(const er_rows *r, size_t n, const float *packed, size_t panel_floats, float min, float max, float *out, size_t out_stride)
{
    run_lines(true, r, n, packed, panel_floats, min, max, out, out_stride);
}
#endif

// `pixels` outputs of up to LANES channels from c on: no sum waits for the one before. `some` of a vector's channels, or (LANES) all: constants.
__attribute__((always_inline)) static inline void taps_of(const bool exact, const size_t pixels, const bool all, size_t some, size_t c, size_t x, size_t channels, size_t taps,
                                                          const float *const *tap, size_t x_step, const float *bias, const float *w, float min, float max,
                                                          float *out, size_t out_stride)
{
    vf sum[4];
    for (size_t i = 0; i < pixels; i++) sum[i] = v_zerof();
    for (size_t t = 0; t < taps; t++) {
        const float *from = tap[t] + x * x_step + c;
        const vf weights = all ? v_loadf(w + t * channels + c) : v_loadf_some(w + t * channels + c, some);
        for (size_t i = 0; i < pixels; i++) sum[i] = v_add_product(exact, all ? v_loadf(from + i * x_step) : v_loadf_some(from + i * x_step, some), weights, sum[i]);
    }
    const vf b = all ? v_loadf(bias + c) : v_loadf_some(bias + c, some);
    for (size_t i = 0; i < pixels; i++) store_floats(out + (x + i) * out_stride + c, clamped(v_addf(sum[i], b), min, max), some);
}

// One output of 4 * LANES channels, for the same reason.
__attribute__((always_inline)) static inline void taps_of_one(const bool exact, size_t c, size_t x, size_t channels, size_t taps, const float *const *tap, size_t x_step,
                                                              const float *bias, const float *w, float min, float max, float *out, size_t out_stride)
{
    vf sum[4];
    for (size_t i = 0; i < 4; i++) sum[i] = v_zerof();
    for (size_t t = 0; t < taps; t++)
        for (size_t i = 0; i < 4; i++) sum[i] = v_add_product(exact, v_loadf(tap[t] + x * x_step + c + i * LANES), v_loadf(w + t * channels + c + i * LANES), sum[i]);
    for (size_t i = 0; i < 4; i++) store_floats(out + x * out_stride + c + i * LANES, clamped(v_addf(sum[i], v_loadf(bias + c + i * LANES)), min, max), LANES);
}

__attribute__((always_inline)) static inline void depthwise(const bool exact, size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step,
                                                            const float *bias, const float *w, float min, float max, float *out, size_t out_stride)
{
    const size_t fours = n / 4 * 4;
    size_t wide = 0;        // channels of the outputs behind `fours` that are done
    for (; wide + 4 * LANES <= channels; wide += 4 * LANES)
        for (size_t x = fours; x < n; x++) taps_of_one(exact, wide, x, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
    for (size_t c = 0; c < channels; c += LANES) {
        const size_t some = channels - c < LANES ? channels - c : LANES, end = c < wide ? fours : n;
        size_t x = 0;
        if (some == LANES) {
            for (; x < fours; x += 4) taps_of(exact, 4, true, LANES, c, x, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
            for (; x < end; x++) taps_of(exact, 1, true, LANES, c, x, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
        } else {
            for (; x < fours; x += 4) taps_of(exact, 4, false, some, c, x, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
            for (; x < end; x++) taps_of(exact, 1, false, some, c, x, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
        }
    }
}

static void sdepthwise(size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step, const float *bias, const float *w, float min, float max,
                       float *out, size_t out_stride)
{
    depthwise(false, n, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
}

static void sdepthwise_exact(size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step, const float *bias, const float *w, float min, float max,
                             float *out, size_t out_stride)
{
    depthwise(true, n, channels, taps, tap, x_step, bias, w, min, max, out, out_stride);
}

#endif
