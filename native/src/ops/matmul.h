// The matrix product behind CONV_2D and FULLY_CONNECTED: weights, bias, multipliers and activation, packed for the kernel.
#ifndef ER_MATMUL_H
#define ER_MATMUL_H

#include "kernels/pack.h"
#include "ops/op.h"

typedef struct er_matmul {
    const er_kernels *kernels;
    const er_qgemm *gemm;       // that of the kernels which suits the weights
    bool is_float, is_signed;
    size_t groups, n;           // output channels of one group
    size_t segments, length;    // products of each: `segments` runs of `length`
    size_t element;             // bytes of an element of A
    size_t k_groups;            // what the kernel reads of a run, in units of its kr
    size_t nr, panel_bytes, group_bytes;
    const uint8_t *packed;
    int32_t pad;                // what a padded tap is in A
    size_t extras;              // of er_rows
    const uint32_t *extra_list; // er_qgemm_extras
    er_output o;
    er_row_scales row;          // of er_matmul_prepare_row, or nothing
    float min, max;
} er_matmul;

// weights: [groups * n][segments][length]; bias: [groups * n] or NULL. `real`: multiplied in double (er_output). Types and
// quantization are checked here.
er_status er_matmul_prepare(er_prepare *p, er_matmul *mm, const er_tensor *x, const er_tensor *w, const er_tensor *bias,
                            const er_tensor *y, size_t groups, size_t n, size_t segments, size_t length,
                            er_activation activation, bool real);

// The same for `times` neighbouring pixels as one row with n * times channels, where the next pixel's runs begin `step` elements
// after one's: runs are longer, and have weights of zero where a pixel does not see them. One group, 8-bit.
er_status er_matmul_prepare_together(er_prepare *p, er_matmul *mm, const er_tensor *x, const er_tensor *w, const er_tensor *bias,
                                     const er_tensor *y, size_t n, size_t segments, size_t length, size_t times, size_t step,
                                     er_activation activation);

// The same for weights [groups * n][segments][taps][channels], 8-bit, where `merged` groups, a divisor, are taken as one: of its taps each output channel has weights of
// zero for the channels of the others.
er_status er_matmul_prepare_merged(er_prepare *p, er_matmul *mm, const er_tensor *x, const er_tensor *w, const er_tensor *bias,
                                   const er_tensor *y, size_t groups, size_t n, size_t segments, size_t taps, size_t channels, size_t merged,
                                   er_activation activation);

// The same for int8 weights [groups * n][length] per tensor or per channel, and A of int8: what runs store are the sums themselves of
// w * (a - zero), plus an int32 bias or NULL, as int32, n rounded up to whole panels (mm->nr), and strides are in bytes.
er_status er_matmul_prepare_sums(er_prepare *p, er_matmul *mm, const er_tensor *w, const er_tensor *bias, int32_t zero, size_t groups, size_t n, size_t length);

// The same for weights that come while the model runs: all but `packed`, which er_qgemm_pack makes without extras, in memory of
// group_bytes.
er_matmul er_matmul_of_sums(const er_kernels *kernels, int32_t zero, size_t n, size_t length);

// Rows of `length`, int8 or float32, as rows of A, `row_bytes` apart; what is behind them stays. And the sums of such rows: int32, or float32,
// [rows][n rounded up to whole panels].
void er_matmul_put_rows(const er_matmul *mm, uint8_t *a, size_t row_bytes, const void *x, size_t rows);
void er_matmul_run_sums(const er_matmul *mm, const uint8_t *a, size_t row_bytes, size_t rows, size_t *scratch, void *sums);
static inline size_t er_matmul_lanes(const er_matmul *mm) { return er_round_up(mm->n, mm->nr); }

// For products that will be of one row, once prepared: makes them faster where the kernel can.
er_status er_matmul_prepare_row(er_prepare *p, er_matmul *mm);

// True where elements of x are, as they lie in memory, elements of A.
bool er_matmul_takes_raw(const er_matmul *mm);

// Converts n elements of x (both advance by whole elements), or fills n with padding.
void er_matmul_convert(const er_matmul *mm, void *a, const void *x, size_t n);
void er_matmul_fill(const er_matmul *mm, void *a, size_t n);
void er_matmul_fill_with(const er_matmul *mm, void *a, int32_t pad, size_t n);      // where padding is known only now

// Bytes from which a run can be read as far as the kernel does.
static inline size_t er_matmul_run_bytes(const er_matmul *mm)
{
    return mm->is_float ? mm->length * sizeof(float) : mm->k_groups * (size_t)mm->gemm->kr * mm->element;
}

// Bytes of `er_matmul_run`'s scratch.
static inline size_t er_matmul_scratch(const er_matmul *mm) { return mm->extras * sizeof(size_t); }

// `rows` times the channels [n0, n1) of a group; n0 and n1 are of er_matmul_part, or 0 and n. `out` points at the group's channel 0; out_stride
// in elements.
void er_matmul_run(const er_matmul *mm, size_t group, const er_rows *rows, size_t *scratch, size_t n0, size_t n1, void *out, size_t out_stride);

// The same for one row and all channels, where er_matmul_prepare_row found it faster (mm->row.scale is there).
static inline void er_matmul_run_row(const er_matmul *mm, const void *row, void *out)
{
    mm->gemm->run_row(row, mm->k_groups, mm->n, 0, mm->packed, mm->panel_bytes, &mm->row, &mm->o, out);
}

// Cuts the channels of a group into `parts`: those of part i.
void er_matmul_part(const er_matmul *mm, size_t i, size_t parts, size_t *n0, size_t *n1);

// The parameters of each output channel of an 8-bit convolution or product, [channels], for the caller to free. Weights are
// quantized per tensor, or per channel along `dimension`.
er_status er_channel_parameters(er_prepare *p, const er_tensor *x, const er_tensor *w, const er_tensor *bias, const er_tensor *y,
                                int32_t dimension, size_t channels, bool real, er_channel **out);

// One scale, or one for each of the channels along `dimension`; the zero points of int8 weights are 0.
er_status er_expect_weight_scales(er_prepare *p, const er_tensor *w, size_t channels, int32_t dimension);

// Bias has `n` values of the type that goes with x, and is constant. NULL is fine.
er_status er_expect_bias(er_prepare *p, const er_tensor *x, const er_tensor *bias, size_t n);

// FULLY_CONNECTED with int4 weights in blocks (blockwise.c), with shuffled ones (shuffled.c), and with few outputs (few_outputs.c), its shape set.
er_status er_prepare_blockwise(er_prepare *p, er_op *op, er_activation activation, size_t n, size_t k);
er_status er_prepare_shuffled(er_prepare *p, er_op *op, er_activation activation, size_t n, size_t k);
bool er_suits_few_outputs(const er_prepare *p, const er_op *op, size_t rows, size_t n, size_t k);
er_status er_prepare_few_outputs(er_prepare *p, er_op *op, er_activation activation, size_t n, size_t k);

#endif
