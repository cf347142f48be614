// What the two arithmetics of LSTM share: one direction's tensors and sizes.
#ifndef ER_LSTM_H
#define ER_LSTM_H

#include "ops/carve.h"
#include "ops/op.h"

enum { GATE_INPUT, GATE_FORGET, GATE_CELL, GATE_OUTPUT, GATES };

// NULL where left out.
typedef struct er_lstm_weights {
    const er_tensor *from_input[GATES], *from_aux[GATES], *recurrent[GATES], *peephole[GATES], *bias[GATES], *norm[GATES], *projection, *projection_bias;
    er_tensor *state, *cell;    // variables
} er_lstm_weights;

typedef struct er_lstm {
    er_lstm_weights w;
    const er_kernels *kernels;
    size_t batches, steps, inputs, aux, cells, outputs;
    bool time_major, backward, hybrid, asymmetric;
    er_activation activation;
    float cell_clip, projection_clip;
    size_t out_stride, out_offset;      // in elements: from one batch's output to the next; of this direction in it
    int32_t output;                     // number of the operator's output
    struct er_lstm_int8 *int8;
} er_lstm;

// Batch after batch where that is how the input lies, and all batches of a step at once where time goes first: what is quantized together
// depends on it.
static inline size_t er_lstm_together(const er_lstm *d) { return d->time_major ? d->batches : 1; }

// int8 with an int16 cell state (lstm_int8.c): checks quantization, packs weights; memory of a run; all steps.
er_status er_lstm_prepare_int8(er_prepare *p, const er_op *op, er_lstm *d);
size_t er_lstm_int8_bytes(const er_lstm *d);
void er_lstm_run_int8(const er_op *op, const er_pool *pool, const er_lstm *d);

#endif
