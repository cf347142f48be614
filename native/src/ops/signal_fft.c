// SignalRfft and SignalIrfft: the Fourier transforms of TensorFlow Lite Micro's audio frontend, on int16, int32 and float32.
#include <math.h>
#include <string.h>

#include "ops/signal.h"

#define FFT(name) int16_##name
#define SCALAR int16_t
#define PRODUCT int32_t
#define FRACTION 15
#define LARGEST INT16_MAX
#include "ops/signal_fft.h"

#define FFT(name) int32_##name
#define SCALAR int32_t
#define PRODUCT int64_t
#define FRACTION 31
#define LARGEST INT32_MAX
#include "ops/signal_fft.h"

#define FFT(name) float_##name
#define SCALAR float
#define PRODUCT float
#define FRACTION 0
#define LARGEST 1
#include "ops/signal_fft.h"

enum { LEAST = 4, MOST = 65536 };       // points

typedef struct {
    size_t n, element;          // complex points, half the real ones; bytes of a number
    size_t frames, in, out;     // numbers of a frame
    void *turns;
    void (*run)(const void *from, size_t n, const void *turns, void *work, void *to);
} transform;

// A frame at the beginning of memory that holds all that the transform reads, and behind it its work.
static size_t padded_bytes(const transform *s) { return er_round_up((2 * s->n + 2) * s->element, ER_ALIGN); }

static void run_transform(const er_op *op, er_pool *pool)
{
    (void)pool;
    const transform *s = op->state;
    const size_t in = s->in * s->element, padded = padded_bytes(s);
    for (size_t f = 0; f < s->frames; f++) {
        memcpy(op->shared, er_u8(op->inputs[0]) + f * in, in);
        memset(op->shared + in, 0, padded - in);
        s->run(op->shared, s->n, s->turns, op->shared + padded, er_u8(op->outputs[0]) + f * s->out * s->element);
    }
}

static er_status prepare(er_prepare *p, er_op *op, bool inverse)
{
    ER_TRY(er_expect_io(p, op, 1, 1, 1));
    const edgert_type type = op->inputs[0]->def->type;
    ER_TRY(er_signal_io(p, op, &type, 1, &type, 1));
    const er_tensor *x = op->inputs[0], *y = op->outputs[0];
    er_status status;
    transform *s = op->state = er_alloc(p, sizeof *s, &status);
    ER_TRY(status);
    int64_t points;
    ER_TRY(er_signal_option(p, op, "fft_length", LEAST, MOST, &points));
    if (points & (points - 1)) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its transform has %d points, expected a power of two", (int)points);
    if (!x->rank || x->rank != y->rank) return er_op_fail(p, EDGERT_ERROR_MODEL, "its input has rank %d and its output rank %d, expected the same, at least 1", x->rank, y->rank);
    s->n = (size_t)points / 2;
    s->element = er_type_size(type);
    s->in = (size_t)x->dims[x->rank - 1];
    s->out = (size_t)y->dims[y->rank - 1];
    const size_t complex = (size_t)points + 2, in = inverse ? complex : (size_t)points, out = inverse ? (size_t)points : complex;
    if (!s->in || s->in > in || (inverse && s->in != in)) return er_op_fail(p, EDGERT_ERROR_MODEL, "its frames have %zu numbers, expected %s%zu", s->in, inverse ? "" : "up to ", in);
    if (s->out != out || x->count / s->in != y->count / s->out)
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its output has %zu numbers in a frame and %zu frames, expected %zu and %zu", s->out, y->count / (s->out ? s->out : 1), out, x->count / s->in);
    s->frames = x->count / s->in;
    s->turns = er_alloc(p, (s->n + s->n / 2) * 2 * s->element, &status);
    ER_TRY(status);
    (type == EDGERT_INT16 ? int16_prepare : type == EDGERT_INT32 ? int32_prepare : float_prepare)(s->turns, s->n, inverse);
    if (inverse) s->run = type == EDGERT_INT16 ? int16_backward : type == EDGERT_INT32 ? int32_backward : float_backward;
    else s->run = type == EDGERT_INT16 ? int16_forward : type == EDGERT_INT32 ? int32_forward : float_forward;
    op->shared_bytes = 2 * padded_bytes(s);
    op->run = run_transform;
    return ER_OK;
}

er_status er_prepare_signal_rfft(er_prepare *p, er_op *op) { return prepare(p, op, false); }
er_status er_prepare_signal_irfft(er_prepare *p, er_op *op) { return prepare(p, op, true); }
