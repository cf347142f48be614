// CONV_2D for other operators, and what a fused step needs of an 8-bit one: its output line by line.
#ifndef ER_CONV_2D_H
#define ER_CONV_2D_H

#include "ops/op.h"
#include "ops/pad.h"

// Prepares the operator, float32 or 8-bit, as a convolution with weights w of [out_c][kh][kw][channels of a group].
er_status er_prepare_conv(er_prepare *p, er_op *op, er_conv_options o, er_pads pads, const er_tensor *w);

// True for 8-bit convolutions that can be run line by line; `pointwise`: and from any pixels.
bool er_conv_has_lines(const er_op *op);
bool er_conv_is_pointwise(const er_op *op);
bool er_conv_is_brief(const er_op *op);         // of such a one: lines take no time to speak of

// Whether it can add to its outputs what `sum`, an ADD or SUB that alone reads them, adds; from then on it does, a task at a time, as long as
// they are in the cache, and writes the sums.
bool er_conv_takes_sum(const er_op *op, const er_op *sum);
void er_conv_fuse_sum(er_op *op, const er_op *sum);

// What it writes: its own output, or the sums.
const er_tensor *er_conv_output(const er_op *op);

// What has to be done once before lines are computed.
void er_conv_begin(const er_op *op, er_pool *pool);

// Bytes of scratch for one thread to compute up to `pixels` outputs at once.
size_t er_conv_scratch(const er_op *op, size_t pixels);

// Output line `line` of all images' lines, out_w pixels next to each other.
void er_conv_line(const er_op *op, size_t line, uint8_t *out, uint8_t *scratch);

// Outputs of n pixels that lie at x: pointwise convolutions only. Up to ER_SLACK bytes behind them may be read.
void er_conv_pixels(const er_op *op, const uint8_t *x, size_t n, uint8_t *out, uint8_t *scratch);

#endif
