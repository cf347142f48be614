// The attributes of each operator, read from the model into plain structs.
#ifndef ER_OPTIONS_H
#define ER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "format/flatbuffer.h"

typedef enum er_activation {
    ER_ACT_NONE = 0, ER_ACT_RELU = 1, ER_ACT_RELU_N1_TO_1 = 2, ER_ACT_RELU6 = 3, ER_ACT_TANH = 4, ER_ACT_SIGN_BIT = 5,
    ER_ACT_RELU_0_TO_1 = 1000,          // an operator, not in files
} er_activation;

typedef enum er_padding { ER_SAME = 0, ER_VALID = 1 } er_padding;

typedef struct er_conv_options {
    er_padding padding;                 // as in the file, so possibly neither
    int32_t stride_w, stride_h, dilation_w, dilation_h;
    er_activation activation;
    bool narrow;                        // TRANSPOSE_CONV on int16: sums of 32 bits, where there is no bias to say so
} er_conv_options;

typedef struct er_pool_options {
    er_padding padding;
    int32_t stride_w, stride_h, filter_w, filter_h;
    er_activation activation;
} er_pool_options;

typedef struct er_fully_connected_options { er_activation activation; int weights_format; bool keep_num_dims, asymmetric; } er_fully_connected_options;
typedef struct er_concatenation_options { int32_t axis; er_activation activation; } er_concatenation_options;
typedef struct er_resize_options { bool align_corners, half_pixel_centers; } er_resize_options;
typedef struct er_strided_slice_options { uint32_t begin, end, ellipsis, new_axis, shrink_axis; bool offset; } er_strided_slice_options;
typedef struct er_int_list { int32_t n; const uint8_t *items; } er_int_list;

typedef struct er_int_pair { int32_t first, second; } er_int_pair;
typedef struct er_float_list { uint32_t n; const uint8_t *items; } er_float_list;
typedef struct er_response_options { int32_t radius; float bias, alpha, beta; } er_response_options;
typedef struct er_fake_quant_options { float min, max; int32_t bits; bool narrow; } er_fake_quant_options;
typedef struct er_batch_matmul_options { bool adjoint_x, adjoint_y, asymmetric; } er_batch_matmul_options;
// Along depth, height, width.
typedef struct er_conv_3d_options { er_padding padding; int32_t stride[3], dilation[3]; er_activation activation; } er_conv_3d_options;
typedef struct er_cumsum_options { bool exclusive, reverse; } er_cumsum_options;
typedef struct er_hash_table_options { int32_t id; int key, value; } er_hash_table_options;
typedef struct er_svdf_options { int32_t rank; er_activation activation; bool asymmetric; } er_svdf_options;

// Recurrent operators, as far as each has them.
typedef struct er_recurrent_options {
    er_activation activation;
    float cell_clip, projection_clip;   // 0: none
    int kernel_type;                    // LSTM: 0 with 20 and more inputs, 1 with five
    bool time_major, merge_outputs, asymmetric, diagonal;
} er_recurrent_options;

er_conv_options er_read_conv_2d(er_fb_table options);
er_conv_options er_read_depthwise(er_fb_table options);
er_pool_options er_read_pool(er_fb_table options);
er_fully_connected_options er_read_fully_connected(er_fb_table options);
er_concatenation_options er_read_concatenation(er_fb_table options);
er_resize_options er_read_resize_bilinear(er_fb_table options);
er_resize_options er_read_resize_nearest(er_fb_table options);
er_strided_slice_options er_read_strided_slice(er_fb_table options);
er_activation er_read_activation(er_fb_table options);      // ADD, SUB, MUL, DIV
bool er_read_pot_scale_int16(er_fb_table options);          // ADD, SUB: int16 scales are powers of two, and used as such
bool er_read_gelu_approximate(er_fb_table options);
float er_read_softmax_beta(er_fb_table options);
float er_read_leaky_relu_alpha(er_fb_table options);
bool er_read_keep_dims(er_fb_table options);
int32_t er_read_stack_axis(er_fb_table options);             // PACK, UNPACK
er_int_list er_read_reshape(er_fb_table options);           // n = -1 where the options have no shape
er_int_list er_read_squeeze(er_fb_table options);
int32_t er_read_int(er_fb_table options);                    // the one number of DEPTH_TO_SPACE, SPACE_TO_DEPTH, SPLIT, ONE_HOT, CALL_ONCE
int er_read_byte(er_fb_table options);                      // the one byte of SHAPE, UNIQUE, MIRROR_PAD
er_int_pair er_read_int_pair(er_fb_table options);          // GATHER: axis, batch_dims; REVERSE_SEQUENCE: seq_dim, batch_dim; IF; WHILE
er_conv_3d_options er_read_conv_3d(er_fb_table options);
er_conv_options er_read_transpose_conv(er_fb_table options);
er_response_options er_read_response(er_fb_table options);
er_fake_quant_options er_read_fake_quant(er_fb_table options);
er_batch_matmul_options er_read_batch_matmul(er_fb_table options);
er_cumsum_options er_read_cumsum(er_fb_table options);
er_hash_table_options er_read_hash_table(er_fb_table options);
er_svdf_options er_read_svdf(er_fb_table options);
er_recurrent_options er_read_rnn(er_fb_table options);
er_recurrent_options er_read_sequence_rnn(er_fb_table options);
er_recurrent_options er_read_bidirectional_rnn(er_fb_table options);
er_recurrent_options er_read_lstm(er_fb_table options);
er_recurrent_options er_read_sequence_lstm(er_fb_table options);
er_recurrent_options er_read_bidirectional_lstm(er_fb_table options);
const char *er_read_variable_container(er_fb_table options);
const char *er_read_variable_name(er_fb_table options);
er_float_list er_read_boundaries(er_fb_table options);
int32_t er_read_composite_subgraph(er_fb_table options);
int32_t er_int_list_at(er_int_list list, int32_t i);
float er_float_list_at(er_float_list list, uint32_t i);

#endif
