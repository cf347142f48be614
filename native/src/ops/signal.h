// What the files of the Signal operators share (TensorFlow Lite Micro's audio frontend: custom operators of its library `signal`).
#ifndef ER_SIGNAL_H
#define ER_SIGNAL_H

#include "ops/op.h"

// An option between `least` and `most`, a whole number; fails where there is none.
er_status er_signal_option(er_prepare *p, const er_op *op, const char *name, int64_t least, int64_t most, int64_t *value);

// As many inputs and outputs as `in` and `out` name types, which they have.
er_status er_signal_io(er_prepare *p, er_op *op, const edgert_type *in, int32_t n_in, const edgert_type *out, int32_t n_out);

#endif
