// The audio frontend of TensorFlow Lite Micro from window to logarithm: SignalWindow, SignalFftAutoScale, SignalEnergy, SignalFilterBank,
// SignalFilterBankSquareRoot, SignalFilterBankSpectralSubtraction, SignalPCAN and SignalFilterBankLog, to the bit as its library `signal` computes
// them (signal_fft.c has the transforms). Integers all through: features of a model that listens must be those that it was trained with.
#include "ops/signal.h"

#include <math.h>
#include <string.h>

#include "format/flexbuffer.h"

er_status er_signal_option(er_prepare *p, const er_op *op, const char *name, int64_t least, int64_t most, int64_t *value)
{
    double v;
    if (!er_flex_number((er_flex){op->def->custom, op->def->custom_bytes}, name, &v)) return er_op_fail(p, EDGERT_ERROR_MODEL, "it has no option \"%s\"", name);
    if (!(v >= (double)least && v <= (double)most) || v != floor(v))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its option %s is %g, expected a whole number from %lld to %lld", name, v, (long long)least, (long long)most);
    *value = (int64_t)v;
    return ER_OK;
}

er_status er_signal_io(er_prepare *p, er_op *op, const edgert_type *in, int32_t n_in, const edgert_type *out, int32_t n_out)
{
    ER_TRY(er_expect_io(p, op, n_in, n_in, n_out));
    for (int32_t i = 0; i < n_in; i++) ER_TRY(er_expect_type(p, op->inputs[i], in[i], "input"));
    for (int32_t i = 0; i < n_out; i++) {
        ER_TRY(er_expect_type(p, op->outputs[i], out[i], "output"));
        ER_TRY(er_set_shape(p, op->outputs[i], op->outputs[i]->def->dims, op->outputs[i]->def->rank));
    }
    return ER_OK;
}

static er_status expect_count(er_prepare *p, const er_tensor *t, const char *role, size_t expected)
{
    if (t->count == expected) return ER_OK;
    return er_op_fail(p, EDGERT_ERROR_MODEL, "its %s has %zu values, expected %zu", role, t->count, expected);
}

// How many bits x needs; x > 0.
static inline int signal_bits(uint32_t x) { return 32 - __builtin_clz(x); }

// ---- a window over each frame

typedef struct { int64_t shift; size_t length; } window;

static void run_window(const er_op *op, er_pool *pool)
{
    (void)pool;
    const window *s = op->state;
    const int16_t *x = op->inputs[0]->data, *w = op->inputs[1]->data;
    int16_t *y = op->outputs[0]->data;
    for (size_t i = 0, j = 0; i < op->outputs[0]->count; i++, j = j + 1 == s->length ? 0 : j + 1) {
        const int32_t v = (int32_t)x[i] * w[j] >> s->shift;
        y[i] = (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
    }
}

er_status er_prepare_signal_window(er_prepare *p, er_op *op)
{
    ER_TRY(er_signal_io(p, op, (const edgert_type[]){EDGERT_INT16, EDGERT_INT16}, 2, (const edgert_type[]){EDGERT_INT16}, 1));
    er_status status;
    window *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_signal_option(p, op, "shift", 0, 31, &s->shift));
    s->length = op->inputs[1]->count;
    if (!s->length || op->inputs[0]->count % s->length)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has %zu values, expected a multiple of the %zu of its window", op->inputs[0]->count, s->length);
    ER_TRY(expect_count(p, op->outputs[0], "output", op->inputs[0]->count));
    op->run = run_window;
    return ER_OK;
}

// ---- as large as 16 bits allow, and by how many bits that was

static void run_auto_scale(const er_op *op, er_pool *pool)
{
    (void)pool;
    const int16_t *x = op->inputs[0]->data;
    int16_t *y = op->outputs[0]->data, most = 0;
    const size_t n = op->outputs[0]->count;
    // -32768 becomes itself, less than all that come after it: as in the reference.
    for (size_t i = 0; i < n; i++) {
        if (x[i] > most) most = x[i];
        else if (-x[i] > most) most = (int16_t)-x[i];
    }
    const int free_bits = 15 - signal_bits((uint32_t)(int32_t)most | 1), bits = most && free_bits > 0 ? free_bits : 0;
    for (size_t i = 0; i < n; i++) y[i] = (int16_t)(x[i] * (1 << bits));
    *er_i32(op->outputs[1]) = bits;
}

er_status er_prepare_signal_fft_auto_scale(er_prepare *p, er_op *op)
{
    ER_TRY(er_signal_io(p, op, (const edgert_type[]){EDGERT_INT16}, 1, (const edgert_type[]){EDGERT_INT16, EDGERT_INT32}, 2));
    ER_TRY(expect_count(p, op->outputs[0], "output", op->inputs[0]->count));
    ER_TRY(expect_count(p, op->outputs[1], "second output", 1));
    op->run = run_auto_scale;
    return ER_OK;
}

// ---- the energy of complex numbers, of those in a range; the others are 0

typedef struct { int64_t begin, end; } energy;

static void run_energy(const er_op *op, er_pool *pool)
{
    (void)pool;
    const energy *s = op->state;
    const int16_t *x = op->inputs[0]->data;
    uint32_t *y = op->outputs[0]->data;
    memset(y, 0, op->outputs[0]->bytes);
    for (int64_t i = s->begin; i < s->end; i++) y[i] = (uint32_t)((int32_t)x[2 * i] * x[2 * i]) + (uint32_t)((int32_t)x[2 * i + 1] * x[2 * i + 1]);
}

er_status er_prepare_signal_energy(er_prepare *p, er_op *op)
{
    ER_TRY(er_signal_io(p, op, (const edgert_type[]){EDGERT_INT16}, 1, (const edgert_type[]){EDGERT_UINT32}, 1));
    er_status status;
    energy *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    const size_t in = op->inputs[0]->count / 2, out = op->outputs[0]->count;
    ER_TRY(er_signal_option(p, op, "end_index", 0, (int64_t)(in < out ? in : out), &s->end));
    ER_TRY(er_signal_option(p, op, "start_index", 0, s->end, &s->begin));
    op->run = run_energy;
    return ER_OK;
}

// ---- triangles over the spectrum: what a frequency does not give to one channel (its weight), it gives to the next (its unweight)

enum { BANK_INPUT, BANK_WEIGHTS, BANK_UNWEIGHTS, BANK_FREQUENCIES, BANK_STARTS, BANK_WIDTHS, BANK_INPUTS };

static void run_filter_bank(const er_op *op, er_pool *pool)
{
    (void)pool;
    const uint32_t *x = op->inputs[BANK_INPUT]->data;
    const int16_t *weights = op->inputs[BANK_WEIGHTS]->data, *unweights = op->inputs[BANK_UNWEIGHTS]->data;
    const int16_t *frequencies = op->inputs[BANK_FREQUENCIES]->data, *starts = op->inputs[BANK_STARTS]->data, *widths = op->inputs[BANK_WIDTHS]->data;
    uint64_t *y = op->outputs[0]->data, carried = 0;
    const size_t spectrum = op->inputs[BANK_INPUT]->count, n = op->inputs[BANK_WEIGHTS]->count;
    for (size_t c = 0; c <= op->outputs[0]->count; c++) {
        uint64_t sum = carried;
        carried = 0;
        const int32_t from = frequencies[c], w = starts[c], width = widths[c] > 0 ? widths[c] : 0;
        if (from < 0 || w < 0 || (size_t)(from + width) > spectrum || (size_t)(w + width) > n) {
            er_op_fault(op, "a channel of the filter bank lies outside its spectrum or its weights");
            memset(op->outputs[0]->data, 0, op->outputs[0]->bytes);
            return;
        }
        for (int32_t i = 0; i < width; i++) {
            sum += (uint64_t)(int64_t)weights[w + i] * x[from + i];
            carried += (uint64_t)(int64_t)unweights[w + i] * x[from + i];
        }
        if (c) y[c - 1] = sum;      // channel 0 has only what the first one is given
    }
}

er_status er_prepare_signal_filter_bank(er_prepare *p, er_op *op)
{
    static const edgert_type in[BANK_INPUTS] = {EDGERT_UINT32, EDGERT_INT16, EDGERT_INT16, EDGERT_INT16, EDGERT_INT16, EDGERT_INT16};
    ER_TRY(er_signal_io(p, op, in, BANK_INPUTS, (const edgert_type[]){EDGERT_UINT64}, 1));
    int64_t channels;
    ER_TRY(er_signal_option(p, op, "num_channels", 0, INT32_MAX - 1, &channels));
    ER_TRY(expect_count(p, op->outputs[0], "output", (size_t)channels));
    ER_TRY(expect_count(p, op->inputs[BANK_UNWEIGHTS], "third input", op->inputs[BANK_WEIGHTS]->count));
    for (int i = BANK_FREQUENCIES; i <= BANK_WIDTHS; i++) ER_TRY(expect_count(p, op->inputs[i], "list of channels", (size_t)channels + 1));
    op->run = run_filter_bank;
    return ER_OK;
}

// ---- square roots, rounded but for the largest, and shifted back by what was scaled before

static uint32_t rounded_root(uint64_t x)
{
    uint64_t root = 0, rest = x;
    for (uint64_t bit = UINT64_C(1) << 62; bit; bit >>= 2) {
        const bool fits = rest >= root + bit;
        if (fits) rest -= root + bit;
        root = (root >> 1) + (fits ? bit : 0);
    }
    return (uint32_t)(rest > root && root != (x >> 32 ? UINT32_MAX : UINT16_MAX) ? root + 1 : root);
}

static void run_square_root(const er_op *op, er_pool *pool)
{
    (void)pool;
    const uint64_t *x = op->inputs[0]->data;
    uint32_t *y = op->outputs[0]->data;
    const int32_t bits = *er_i32(op->inputs[1]);
    if (bits < 0 || bits > 31) er_op_fault(op, "it is to shift by a number of bits that is not between 0 and 31");
    for (size_t i = 0; i < op->outputs[0]->count; i++) y[i] = bits < 0 || bits > 31 ? 0 : rounded_root(x[i]) >> bits;
}

er_status er_prepare_signal_square_root(er_prepare *p, er_op *op)
{
    ER_TRY(er_signal_io(p, op, (const edgert_type[]){EDGERT_UINT64, EDGERT_INT32}, 2, (const edgert_type[]){EDGERT_UINT32}, 1));
    ER_TRY(expect_count(p, op->inputs[1], "second input", 1));
    ER_TRY(expect_count(p, op->outputs[0], "output", op->inputs[0]->count));
    op->run = run_square_root;
    return ER_OK;
}

// ---- less the noise, which is what is always there: a low-pass filter over time

typedef struct { int64_t smoothing[2], rest[2], least, bits, fraction, clamping, channels; } subtraction;

static void run_subtraction(const er_op *op, er_pool *pool)
{
    (void)pool;
    const subtraction *s = op->state;
    const uint32_t *x = op->inputs[0]->data;
    uint32_t *y = op->outputs[0]->data, *noise = op->memory;
    for (int64_t i = 0; i < s->channels; i++) {
        const uint32_t scaled = x[i] << s->bits;
        noise[i] = (uint32_t)(((uint64_t)scaled * (uint32_t)s->smoothing[i & 1] + (uint64_t)noise[i] * (uint32_t)s->rest[i & 1]) >> s->fraction);
        uint32_t estimate = noise[i];
        if (estimate > scaled) {
            estimate = scaled;
            if (s->clamping) noise[i] = scaled;
        }
        const uint32_t least = (uint32_t)((uint64_t)x[i] * (uint32_t)s->least >> s->fraction), left = (scaled - estimate) >> s->bits;
        y[i] = left > least ? left : least;
    }
    memcpy(op->outputs[1]->data, noise, op->outputs[1]->bytes);
}

er_status er_prepare_signal_subtraction(er_prepare *p, er_op *op)
{
    ER_TRY(er_signal_io(p, op, (const edgert_type[]){EDGERT_UINT32}, 1, (const edgert_type[]){EDGERT_UINT32, EDGERT_UINT32}, 2));
    er_status status;
    subtraction *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    const struct { const char *name; int64_t most, *to; } options[] = {
        {"smoothing", UINT32_MAX, &s->smoothing[0]}, {"alternate_smoothing", UINT32_MAX, &s->smoothing[1]}, {"one_minus_smoothing", UINT32_MAX, &s->rest[0]},
        {"alternate_one_minus_smoothing", UINT32_MAX, &s->rest[1]}, {"min_signal_remaining", UINT32_MAX, &s->least}, {"smoothing_bits", 31, &s->bits},
        {"spectral_subtraction_bits", 63, &s->fraction}, {"clamping", 1, &s->clamping}, {"num_channels", INT32_MAX, &s->channels},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) ER_TRY(er_signal_option(p, op, options[i].name, 0, options[i].most, options[i].to));
    ER_TRY(expect_count(p, op->inputs[0], "input", (size_t)s->channels));
    for (int32_t i = 0; i < 2; i++) ER_TRY(expect_count(p, op->outputs[i], "output", (size_t)s->channels));
    op->memory_bytes = (size_t)s->channels * sizeof(uint32_t);
    op->memory = er_alloc(p, op->memory_bytes + 1, &status);
    ER_TRY(status);
    op->stateful = true;
    op->run = run_subtraction;
    return ER_OK;
}

// ---- per-channel automatic gain: a gain by the noise, read from a table of parabolas over powers of two, and a soft threshold

enum { GAIN_BITS = 12, GAIN_OUTPUT_BITS = 6, GAIN_ENTRIES = 125 };

static uint32_t gain_of(uint32_t noise, const int16_t *table)
{
    if (noise <= 2) return (uint32_t)(int32_t)table[noise];
    const int bits = signal_bits(noise);
    const int16_t *t = table + 4 * bits - 6;
    const int32_t x = (int32_t)((bits < 11 ? noise << (11 - bits) : noise >> (bits - 11)) & 0x3FF);
    const uint32_t slope = (uint32_t)((int32_t)t[2] * x >> 5) + ((uint32_t)t[1] << 5);
    const int32_t rise = (int32_t)(slope * (uint32_t)x + (1 << 14)) >> 15;
    return (uint32_t)(int32_t)(int16_t)(rise + t[0]);
}

static void run_pcan(const er_op *op, er_pool *pool)
{
    (void)pool;
    const int64_t shift = *(const int64_t *)op->state;
    const uint32_t *x = op->inputs[0]->data, *noise = op->inputs[1]->data;
    uint32_t *y = op->outputs[0]->data;
    for (size_t i = 0; i < op->outputs[0]->count; i++) {
        const uint32_t snr = (uint32_t)((uint64_t)x[i] * gain_of(noise[i], op->inputs[2]->data) >> shift);
        // x^2 / 4 below 2, and x - 1 from there on.
        if (snr < 2 << GAIN_BITS) y[i] = (snr * snr) >> (2 + 2 * GAIN_BITS - GAIN_OUTPUT_BITS);
        else y[i] = (snr >> (GAIN_BITS - GAIN_OUTPUT_BITS)) - (1 << GAIN_OUTPUT_BITS);
    }
}

er_status er_prepare_signal_pcan(er_prepare *p, er_op *op)
{
    ER_TRY(er_signal_io(p, op, (const edgert_type[]){EDGERT_UINT32, EDGERT_UINT32, EDGERT_INT16}, 3, (const edgert_type[]){EDGERT_UINT32}, 1));
    er_status status;
    int64_t *shift = op->state = er_alloc(p, sizeof *shift, &status);
    ER_TRY(status);
    ER_TRY(er_signal_option(p, op, "snr_shift", 0, 63, shift));
    ER_TRY(expect_count(p, op->inputs[1], "noise estimate", op->inputs[0]->count));
    ER_TRY(expect_count(p, op->outputs[0], "output", op->inputs[0]->count));
    if (op->inputs[2]->count < GAIN_ENTRIES)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its table of gains has %zu values, expected at least %d", op->inputs[2]->count, GAIN_ENTRIES);
    op->run = run_pcan;
    return ER_OK;
}

// ---- natural logarithms, from a table of log2(1 + x) - x and lines between

enum { LOG_SEGMENTS = 128, LOG_ONE = 65536, LOG_2 = 45426 };

typedef struct { int64_t bits, scale; int32_t table[LOG_SEGMENTS + 1]; } logarithm;

static uint32_t log_of(const logarithm *s, uint32_t x)
{
    const int whole = signal_bits(x) - 1;
    const uint32_t above = x - (UINT32_C(1) << whole), part = whole < 16 ? above << (16 - whole) : above >> (whole - 16);
    const int32_t *t = s->table + part / (LOG_ONE / LOG_SEGMENTS), rise = (t[1] - t[0]) * (int32_t)(part % (LOG_ONE / LOG_SEGMENTS));
    // The reference divides the rise by the whole table's width, not by a segment's.
    const uint32_t binary = ((uint32_t)whole << 16) + part + (uint32_t)t[0] + (uint32_t)(rise >> 16);
    const uint32_t natural = (uint32_t)(((uint64_t)LOG_2 * binary + LOG_ONE / 2) >> 16);
    return ((uint32_t)s->scale * natural + LOG_ONE / 2) >> 16;
}

static void run_logarithm(const er_op *op, er_pool *pool)
{
    (void)pool;
    const logarithm *s = op->state;
    const uint32_t *x = op->inputs[0]->data;
    int16_t *y = op->outputs[0]->data;
    for (size_t i = 0; i < op->outputs[0]->count; i++) {
        const uint32_t scaled = x[i] << s->bits, v = scaled > 1 ? log_of(s, scaled) : 0;
        y[i] = (int16_t)(v < INT16_MAX ? v : INT16_MAX);
    }
}

er_status er_prepare_signal_log(er_prepare *p, er_op *op)
{
    ER_TRY(er_signal_io(p, op, (const edgert_type[]){EDGERT_UINT32}, 1, (const edgert_type[]){EDGERT_INT16}, 1));
    er_status status;
    logarithm *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    ER_TRY(er_signal_option(p, op, "input_correction_bits", 0, 31, &s->bits));
    ER_TRY(er_signal_option(p, op, "output_scale", 0, UINT32_MAX, &s->scale));
    ER_TRY(expect_count(p, op->outputs[0], "output", op->inputs[0]->count));
    for (int i = 0; i <= LOG_SEGMENTS; i++) {
        const double x = (double)i / (double)LOG_SEGMENTS;
        s->table[i] = (int32_t)lround((double)LOG_ONE * (log2(1 + x) - x));
    }
    op->run = run_logarithm;
    return ER_OK;
}
