// What recurrent operators share: products with weights that are float32 or int8, and activations.
#ifndef ER_GATES_H
#define ER_GATES_H

#include "ops/carve.h"
#include "ops/dynamic_range.h"
#include "ops/op.h"

// A vector as float32, and as int8 for products with int8 weights ("hybrid"), a row for each batch. `zero`: nothing in it but zeros. Products end early
// where `pool` is stopped.
typedef struct er_vector {
    const er_kernels *kernels;
    const er_pool *pool;
    const float *values;
    int8_t *bytes;
    er_dynamic *quantized;      // [batches]
    size_t n, batches;
    bool zero;
} er_vector;

// Room for the bytes, of n * batches values.
void er_vector_carve(er_vector *v, er_carver *c);

// Quantizes the rows where int8 weights need it (v->bytes is set): symmetric, or asymmetric.
void er_vector_quantize(er_vector *v, bool asymmetric);

// y[batch][row] += weights[row][n] * x[batch][n]. Weights: [rows][n], or [rows], a diagonal; float32 or int8.
void er_gate_accumulate(const er_tensor *weights, const er_vector *x, size_t rows, float *y);

// TANH and the like of attributes, as far as recurrent operators have them.
er_status er_expect_gate_activation(er_prepare *p, er_activation a);
void er_gate_activate(const er_kernels *kernels, er_activation a, size_t n, const float *x, float *y);

// (x - mean) / deviation of each row.
void er_gate_normalize(size_t n, size_t batches, float *x);

// LSTM of the basic kind (lstm_cell.c).
er_status er_prepare_lstm_cell(er_prepare *p, er_op *op);

#endif
