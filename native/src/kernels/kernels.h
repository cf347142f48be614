// The compute loops: one table of function pointers, filled once by dispatch.c. The comment here is the contract of a
// kernel; every instruction set gives the same bytes for 8-bit types.
//
// Kernels take pointers and sizes. They do not allocate, log, or know a tensor.
#ifndef ER_KERNELS_H
#define ER_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fixed_point.h"
#include "base/status.h"

// Parameters of one output channel.
typedef struct er_channel { int32_t bias; double m; } er_channel;

// How 32-bit sums become 8-bit outputs: y = clamp(zero + requantize(sum), min, max), stored as one byte. `real`
// multiplies in double instead (er_requantize_real). [min, max] and zero lie in the range of the output's type, whose
// zero is at or below `min` where it is uint8.
//
// `slow`: some sum times its multiplier may not stay below 2^30, where only er_finish is right. `large`: one that is positive may not
// stay below 2^15 - 512. `wide`: some sum of 2^24 and more may make an output in range. All by er_set_reach.
//
// `sums`: no outputs are made. What is stored, as int32, are the sums, those of a strip's panels to the last lane; strides of out are in
// bytes all the same. Only matrix products do that.
typedef struct er_output { int32_t zero, min, max; bool real, slow, large, wide, sums; } er_output;

// By how much the type's lowest value lies below 0.
static inline int32_t er_output_base(const er_output *o) { return o->min < 0 || o->zero < 0 ? 128 : 0; }

// What the epilogue needs of `w` output channels, before their weights in a panel or block (ER_HEADER * w bytes):
//     int32 bias[w], q[w], shift[w]   of er_multiplier; with `real`, double m[w] in the place of q and shift
// Vectors need not compute with q: finish.h of an instruction set says how it gets the same bytes.
enum { ER_HEADER = 12 };

// Which 8-bit activations a kernel takes as they are.
typedef enum er_bytes { ER_BYTES_ANY, ER_BYTES_UNSIGNED, ER_BYTES_SIGNED } er_bytes;

// What is to be added to those that are not, by inverting their top bit; else 0.
static inline int32_t er_bytes_offset(er_bytes wanted, bool is_signed)
{
    return wanted == ER_BYTES_UNSIGNED && is_signed ? 128 : wanted == ER_BYTES_SIGNED && !is_signed ? -128 : 0;
}

// ---- matrix product, 8-bit
//
// out[i][j] = output(bias[j] + sum over s < segments, k < groups * kr of a[i][s][k] * w[j][s][k]
//                            + sum over e < extras, k < kr of *(a[i] + extra_at[e])[k] * extra[j][e][k])
//
// A row of A is `segments` runs of memory, in the kernel's own element type (`a_size` bytes: 2 is int16, 1 is uint8, or int8 where
// `a_signed`), made from 8-bit activations by `pack_a`. A fully connected layer has one segment, a convolution one for each filter row.
// Weights are int8 in panels of `nr` channels: the header above, then w[segments][groups][nr][kr], then
// extra[extras][nr][kr], padded to 32 bytes. Panels that the kernel takes together, a strip, lie interleaved, so that they are read
// as one run of memory: their headers, then w[segments][groups][panels of the strip][nr][kr], then their extras likewise. With `bundle`
// groups together it is w[segments][bundles][panels of the strip][groups of the bundle][nr][kr], where the last bundle may have fewer.
// Extras hold what is left of weights that do not fit [least, 127] (uint8 minus their zero point): few, because few do.
// Where a run is no multiple of kr long, the kernel reads on to the next multiple: weights there are zero. Up to ER_SLACK bytes behind that
// may be read, too.
//
// Rows come in lines of m, which need not follow each other in memory (a line of output pixels); their outputs do.
typedef struct er_rows {
    const void *a;
    size_t lines, line_stride;  // bytes from line to line
    size_t m;                   // rows in a line
    size_t row_stride;          // bytes from row to row
    size_t segments, segment_stride;    // bytes
    size_t groups;
    size_t extras;
    const size_t *extra_at;     // [extras], bytes from the start of a row
    size_t before, after;       // segments that panels have before these and behind them: A has zeros there, and they are not read. No extras then.
} er_rows;

// What sums are scaled with, made of the panels' headers for one output, from a first channel on: `step` floats from panel to panel,
// or 0 where all channels' are equal.
typedef struct er_row_scales { const float *scale; size_t step; } er_row_scales;

typedef struct er_qgemm {
    int nr, kr, a_size;
    bool a_signed;
    int bundle;                 // so many groups of a panel lie together
    int least;                  // weights from here to 127 are exact: -128, or -127
    bool one_header;            // in the place of its panels' headers a strip has one of all their channels

    // Converts n activations (int8 where is_signed, else uint8). With a_size 1, int8 becomes uint8 by adding 128, or uint8 int8 by
    // taking it off. Writes exactly n elements.
    void (*pack_a)(void *dst, const void *src, size_t n, bool is_signed);

    // How many panels make the next strip, where `left` are left.
    size_t (*strip)(size_t left);

    // Puts a packed strip's weights into an order of the kernel's own, and what it wants to know of them into the last `note_bytes` bytes of
    // each of its panels' memory, which lie together at the strip's end; as many bytes more are behind the last strip. Both NULL: nothing.
    size_t (*note_bytes)(size_t segments, size_t groups);
    void (*arrange)(void *strip, size_t panels, size_t panel_bytes, size_t segments, size_t groups);

    // n channels from the first of `panels` on, behind which there are `behind` more; both begin with strips. Rows of out are
    // out_stride bytes apart.
    void (*run)(const er_rows *rows, size_t n, size_t behind, const void *panels, size_t panel_bytes, const er_output *o, uint8_t *out, size_t out_stride);

    // The same for one row of one segment, without extras; NULL where it would be no faster. `scales` makes 2 * nr floats of each panel of
    // n channels.
    void (*run_row)(const void *row, size_t groups, size_t n, size_t behind, const void *panels, size_t panel_bytes, const er_row_scales *s,
                    const er_output *o, uint8_t *out);
    void (*scales)(size_t n, const void *panels, size_t panel_bytes, const er_output *o, float *scale);
} er_qgemm;

// What pack_a adds.
static inline int32_t er_qgemm_offset(const er_qgemm *g, bool is_signed)
{
    return er_bytes_offset(g->a_size != 1 ? ER_BYTES_ANY : g->a_signed ? ER_BYTES_SIGNED : ER_BYTES_UNSIGNED, is_signed);
}

// ---- matrix product, float32: the same with panels of float bias[nr], w[segments][groups][nr]; strides in bytes but for
// out_stride, in floats; out is clamped to [min, max]; there are no extras.
typedef struct er_sgemm {
    int nr;
    void (*run)(const er_rows *rows, size_t n, const float *panels, size_t panel_floats, float min, float max, float *out, size_t out_stride);
} er_sgemm;

// ---- depthwise product, 8-bit
//
// out[line * out_line + x * out_stride + c] =
//     output(bias[c] + sum over ky < kh, kx < kw of w[ky][kx][c] * row[line][ky][x * x_step + kx * tap_step + c])       0 <= x < n
//
// The bytes are int8 where is_signed, else uint8; a kernel may take only one of the two. Up to ER_SLACK bytes behind the last may be read. Weights come in the
// kernel's own layout, block after block, made by `pack`.
typedef struct er_taps {
    const uint8_t *const *row;  // [lines][kh]
    size_t lines, out_line;
    size_t kh, kw;
    size_t x_step, tap_step;    // bytes from output to output, and from tap to tap
    bool is_signed;
} er_taps;

// Weights less their zero point, [kh][kw][channels], with each channel's bias, from which x_zero * sum(w) is taken off.
typedef struct er_depthwise_weights {
    size_t channels, kh, kw;
    const void *w;
    bool is_unsigned;
    int32_t w_zero, x_zero;
    const er_channel *params;
    bool real;
} er_depthwise_weights;

typedef struct er_qdepthwise {
    er_bytes bytes;
    int wide;                   // as few channels as this take no longer than less of them
    int lines;                  // of which each reads from a row further down, that are best computed together
    size_t (*pack)(const er_depthwise_weights *w, void *packed);      // returns how many bytes it takes; NULL: only that
    void (*run)(size_t n, size_t channels, const er_taps *taps, const void *packed, const er_output *o, uint8_t *out, size_t out_stride);
} er_qdepthwise;

enum { ER_SLACK = 64 };

// The same for float32: w[taps][channels]; x_step and out_stride in floats.
typedef void er_sdepthwise(size_t n, size_t channels, size_t taps, const float *const *tap, size_t x_step, const float *bias,
                           const float *w, float min, float max, float *out, size_t out_stride);

// ---- sums and largest, 8-bit, of `rows` rows of n values, `stride` bytes apart, each with the bits of `flip` inverted
//
// sums[j] += the sum of column j, or of row j, less flip for each value: of int8 with the flip 0x80, of uint8 with 0. most[j] = the largest of what it was and
// of column j, or row j. With 0xff in flip that is all but the least.
typedef void er_sum_of_bytes(size_t rows, size_t n, const uint8_t *x, size_t stride, uint8_t flip, int32_t *sums);
typedef void er_most_of_bytes(size_t rows, size_t n, const uint8_t *x, size_t stride, uint8_t flip, uint8_t *most);

// ---- addition and subtraction, 8-bit
//
// out[i] = clamp(zero + requantize(requantize((a[i*a_step] - a.zero) << 20, a.m) + requantize((b[i*b_step] - b.zero) << 20, b.m), m))
// with the second term subtracted where `subtract`. Steps are 0 or 1. In place is fine.
//
// With floats: (a*floats.a + b*floats.b) * m + c is an output times 2^16, all counted from the types' lowest values, c has `margin`
// and one half in it, and where an output has less than 2 * margin + 1 behind its point, it may be wrong. margin 0: it would not do.
typedef struct er_qadd_floats { int16_t a, b; float m, c; int32_t margin; } er_qadd_floats;
typedef struct er_qadd_params {
    int32_t a_zero, b_zero;
    er_multiplier a, b, out;
    er_output o;
    bool a_signed, b_signed, subtract;  // int8 or uint8, each input
    er_qadd_floats floats;              // by er_qadd_prepare, once all else is set
} er_qadd_params;
void er_qadd_prepare(er_qadd_params *p);
typedef void er_qadd(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qadd_params *p, uint8_t *out);

// For every multiplier; the vector kernels leave shifts to the left to it.
er_qadd er_qadd_generic;

// The larger scale of the two has the multiplier 1/2, which leaves no rest of a term that was shifted left.
static inline bool er_is_half(er_multiplier m) { return m.q == 1 << 30 && m.shift == 0; }

// ---- multiplication, 8-bit
//
// out[i] = clamp(zero + requantize((a[i*a_step] - a_zero) * (b[i*b_step] - b_zero), m)). Steps are 0 or 1.
typedef struct er_qmul_params {
    int32_t a_zero, b_zero;
    double m;
    er_output o;
    bool a_signed, b_signed;
} er_qmul_params;
typedef void er_qmul(size_t n, const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, const er_qmul_params *p, uint8_t *out);

// ---- addition and multiplication, 16-bit
//
// sum:     out[i] = clamp(zero + requantize(requantize((a[i*a_step] - a_zero) << shift, a) +- requantize((b[i*b_step] - b_zero) << shift, b), out))
// product: out[i] = clamp(zero + requantize((a[i*a_step] - a_zero) * (b[i*b_step] - b_zero), out)). Steps are 0 or 1.
typedef struct er_words_params {
    int32_t a_zero, b_zero, shift;
    er_multiplier a, b, out;
    er_output o;
    bool subtract;
} er_words_params;
typedef void er_words(size_t n, const int16_t *a, size_t a_step, const int16_t *b, size_t b_step, const er_words_params *p, int16_t *out);

// ---- pooling, 8-bit: output pixels of `channels` channels from `taps` input pixels each, the next one's x_step bytes behind
//
// max: clamp(max over taps). average: clamp(sum / taps), for int8 rounded half away from zero, for uint8 half up.
typedef void er_qpool(size_t pixels, size_t x_step, size_t channels, size_t taps, const uint8_t *const *tap, bool is_signed, int32_t min, int32_t max, uint8_t *out);

// float32: largest, mean, and the root of the mean of squares, clamped. x_step in floats.
typedef void er_spool(size_t pixels, size_t x_step, size_t channels, size_t taps, const float *const *tap, float min, float max, float *out);

// ---- bilinear interpolation along a row, 8-bit
//
// An output pixel lies between two columns of `channels` numbers, at the offsets `low` and `high`; a row's top and bottom line are
// weighted already. uint8, in this order of operations, which rounding depends on:
//     out = floor(top[low] * (1 - real) + bottom[low] * (1 - real) + top[high] * real + bottom[high] * real + 1/2)
// int8: out = (mixed[low] * (1024 - fixed) + mixed[high] * fixed) / 2^20, rounded half away from zero
typedef struct er_resize_column { size_t low, high; float real; int32_t fixed; } er_resize_column;
typedef void er_resize_uint8(size_t n, size_t channels, const float *top, const float *bottom, const er_resize_column *columns, uint8_t *out);
typedef void er_resize_int8(size_t n, size_t channels, const int32_t *mixed, const er_resize_column *columns, int8_t *out);

// y[i] = table[x[i]], of 256 bytes. In place is fine.
typedef void er_qlookup(size_t n, const uint8_t *x, const uint8_t *table, uint8_t *y);

// y[i] = clamp(zero + x[i] / scale rounded half away from zero, min, max); NaN makes zero. And y[i] = scale * (x[i] - zero).
typedef void er_quantize(size_t n, const float *x, float scale, int32_t zero, int32_t min, int32_t max, uint8_t *y);
typedef void er_dequantize(size_t n, const uint8_t *x, bool is_signed, float scale, int32_t zero, float *y);

// y[i] = tanh(x[i]), 1 / (1 + exp(-x[i])), and so on, each rounded once (base/exponential.h); x and y may be the same.
typedef void er_float_function(size_t n, const float *x, float *y);

// Gates of int8 LSTMs. y[i] = sigmoid(x[i]) of Q3.12, and tanh(x[i]) of Q(bits).(15 - bits), in Q0.15; x and y may be the same (base/q15.h).
// And y[i] = clamp(clamp(requantize(a[i], a_m)) + requantize(b[i], b_m)), to int16.
typedef void er_sigmoid_words(size_t n, const int16_t *x, int16_t *y);
typedef void er_tanh_words(size_t n, const int16_t *x, int16_t *y, int32_t bits);
typedef void er_gate_words(size_t n, const int32_t *a, er_multiplier a_m, const int32_t *b, er_multiplier b_m, int16_t *y);

// Around products of a float32 input that is quantized when it comes. The least and the largest of n numbers and 0; NaN counts as
// nothing. y[i] = clamp(zero + round(x[i] * inverse), low, 127), halves away from zero; NaN makes low.
// y[j] = clamp((sums[j] - zero * weight_sums[j]) * (scales[j] * scale) + bias[j], min, max), or by scales[j] first where they are `apart`.
typedef void er_float_range(size_t n, const float *x, float *least, float *most);
typedef void er_quantize_dynamic(size_t n, const float *x, float inverse, float zero, float low, int8_t *y);
typedef void er_scale_sums(size_t n, const int32_t *sums, const int32_t *weight_sums, int32_t zero, const float *scales, float scale, bool apart,
                           const float *bias, float min, float max, float *y);

// y[i][c] = clamp(zero + requantize(sums[i][c] + bias[c], m[c])), of `pixels` rows of n. Multipliers by their parts: q, and how far to shift to the left before
// it and to the right behind it.
typedef struct er_channel_multipliers { const int32_t *bias, *q, *left, *right; } er_channel_multipliers;
typedef void er_requantize_channels(size_t pixels, size_t n, const int32_t *sums, const er_channel_multipliers *m, const er_output *o, uint8_t *y);

// y[i] += x[i], of n floats, and of n int32, which wrap.
typedef void er_add_to(size_t n, const void *x, void *y);

// 8-bit PRELU: y[i] = clamp(zero + requantize(v, positive)) for v = x[i * x_step] - x_zero >= 0, else of v * (alpha[i * alpha_step] - alpha_zero) by `negative`.
typedef struct er_prelu_params { er_multiplier positive, negative; int32_t x_zero, alpha_zero, zero, min, max; bool is_signed; } er_prelu_params;
typedef void er_prelu(size_t n, const uint8_t *x, size_t x_step, const uint8_t *alpha, size_t alpha_step, const er_prelu_params *p, uint8_t *y);

// y[i] = clamp(zero + requantize(sums[i] - less, m)).
typedef void er_requantize_sums(size_t n, const int32_t *sums, int32_t less, er_multiplier m, const er_output *o, uint8_t *y);

// The sum of a[i] * b[i], and of w[i] * (x[i] - zero) and w[i] * x[i], which wrap.
typedef float er_dot_floats(size_t n, const float *a, const float *b);
typedef int32_t er_dot_bytes(size_t n, const int8_t *w, const int8_t *x, int32_t zero);
typedef int32_t er_dot_unsigned(size_t n, const int8_t *w, const uint8_t *x);

// ER_BLOCK_ROWS rows of int4 weights by x, in blocks of `size`, a multiple of 8: the sum of each block becomes a float, is scaled, and added to the
// row's y, block after block. Weights are from 0 to 15, 8 too much, which `eights` of the block takes off again, 8 times the sum of its x. A
// byte of w[blocks][size / 8][ER_BLOCK_ROWS][4] has two of them, the high one 4 after the low one. scales[blocks][ER_BLOCK_ROWS].
enum { ER_BLOCK_ROWS = 16 };
typedef void er_dot_blocks(size_t blocks, size_t size, const uint8_t *w, const int8_t *x, const int32_t *eights, const float *scales, float *y);

// The sum of x[i] * w[i]; and sums[i] += (x[i] - zero) * w[i].
typedef int64_t er_dot_words(size_t n, const int16_t *x, const int8_t *w);
typedef void er_add_products(size_t n, const int16_t *x, int32_t zero, const int8_t *w, int32_t *sums);

// y[i] = clamp(a[i * a_step] + b[i * b_step], min, max), or - or *. Steps are 0 or 1.
typedef void er_float_binary(size_t n, const float *a, size_t a_step, const float *b, size_t b_step, float min, float max, float *y);

// best[i]: where the first of the largest of n >= 1 bytes is, for each of some rows of n.
typedef void er_qarg_max(size_t rows, size_t n, const uint8_t *v, bool is_signed, int32_t *best);

typedef struct er_kernels {
    const char *isa;
    int speed;                  // about how many multiply-adds a nanosecond: what the cost model counts with
    bool exact;                 // er_kernels_exact
    er_bytes bytes;             // 8-bit activations need no conversion where they are stored so
    er_qgemm qgemm;
    er_qgemm qgemm_small;       // faster where er_qgemm_suits, and as right where not; `run` is NULL where there is none
    // Of floats, as fast as they can be, and as the reference has them: each product rounded, and added one after the other.
    er_sgemm sgemm, sgemm_exact;
    er_qdepthwise qdepthwise;
    er_sdepthwise *sdepthwise, *sdepthwise_exact;
    er_qadd *qadd;
    er_qmul *qmul;
    er_qpool *qmax_pool, *qaverage_pool;
    er_spool *smax_pool, *saverage_pool, *sl2_pool;
    er_resize_uint8 *resize_uint8;
    er_resize_int8 *resize_int8;
    er_sum_of_bytes *sum_columns, *sum_rows;
    er_most_of_bytes *most_columns, *most_rows;
    er_qarg_max *qarg_max;
    er_qlookup *qlookup;
    er_quantize *quantize;
    er_dequantize *dequantize;
    er_float_function *tanh_floats, *sigmoid_floats, *logistic_floats, *exp_floats, *elu_floats, *gelu_floats, *gelu_tanh_floats;
    er_sigmoid_words *sigmoid_words;
    er_tanh_words *tanh_words;
    er_gate_words *gate_words;
    er_float_range *float_range;
    er_quantize_dynamic *quantize_dynamic;
    er_scale_sums *scale_sums;
    er_dot_floats *dot_floats;
    er_requantize_sums *requantize_sums;
    er_prelu *prelu;
    er_add_to *add_to_floats, *add_to_sums;
    er_requantize_channels *requantize_channels;
    er_dot_bytes *dot_bytes;
    er_dot_unsigned *dot_unsigned;
    er_dot_blocks *dot_blocks;
    er_float_binary *add_floats, *sub_floats, *mul_floats;
    er_dot_words *dot_words;
    er_add_products *add_products;
    er_words *add_words, *mul_words;
} er_kernels;

// The table in use, or NULL with an error where EDGERT_ISA names one that cannot be used.
const er_kernels *er_kernels_get(edgert_error *error);

// The table of one instruction set, NULL where it is not built in or this CPU lacks it. For tests.
const er_kernels *er_kernels_of(const char *isa);

// The same table with what makes the reference's floats to the last bit, products and exp, in the place of what is fast.
const er_kernels *er_kernels_exact(const er_kernels *k);

// Each ISA overwrites what it does better.
void er_kernels_generic(er_kernels *k);
void er_kernels_avx2(er_kernels *k);
void er_kernels_avxvnni(er_kernels *k);
void er_kernels_avx512vnni(er_kernels *k);
void er_kernels_neon(er_kernels *k);
void er_kernels_dotprod(er_kernels *k);
void er_kernels_i8mm(er_kernels *k);

#endif
