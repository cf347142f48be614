#include "format/options.h"

#include <string.h>

er_conv_options er_read_conv_2d(er_fb_table o)
{
    return (er_conv_options){
        .padding = (er_padding)er_fb_i8(o, 0, 0), .stride_w = er_fb_i32(o, 1, 0), .stride_h = er_fb_i32(o, 2, 0),
        .dilation_w = er_fb_i32(o, 4, 1), .dilation_h = er_fb_i32(o, 5, 1),
        .activation = (er_activation)er_fb_i8(o, 3, 0)};
}

er_conv_options er_read_depthwise(er_fb_table o)
{
    return (er_conv_options){
        .padding = (er_padding)er_fb_i8(o, 0, 0), .stride_w = er_fb_i32(o, 1, 0), .stride_h = er_fb_i32(o, 2, 0),
        .dilation_w = er_fb_i32(o, 5, 1), .dilation_h = er_fb_i32(o, 6, 1),
        .activation = (er_activation)er_fb_i8(o, 4, 0)};
}

er_pool_options er_read_pool(er_fb_table o)
{
    return (er_pool_options){
        .padding = (er_padding)er_fb_i8(o, 0, 0), .stride_w = er_fb_i32(o, 1, 0), .stride_h = er_fb_i32(o, 2, 0),
        .filter_w = er_fb_i32(o, 3, 0), .filter_h = er_fb_i32(o, 4, 0), .activation = (er_activation)er_fb_i8(o, 5, 0)};
}

er_fully_connected_options er_read_fully_connected(er_fb_table o)
{
    return (er_fully_connected_options){(er_activation)er_fb_i8(o, 0, 0), er_fb_i8(o, 1, 0), er_fb_u8(o, 2, 0) != 0, er_fb_u8(o, 3, 0) != 0};
}

er_concatenation_options er_read_concatenation(er_fb_table o)
{
    return (er_concatenation_options){er_fb_i32(o, 0, 0), (er_activation)er_fb_i8(o, 1, 0)};
}

er_resize_options er_read_resize_bilinear(er_fb_table o)
{
    return (er_resize_options){er_fb_u8(o, 2, 0) != 0, er_fb_u8(o, 3, 0) != 0};
}

er_resize_options er_read_resize_nearest(er_fb_table o)
{
    return (er_resize_options){er_fb_u8(o, 0, 0) != 0, er_fb_u8(o, 1, 0) != 0};
}

er_strided_slice_options er_read_strided_slice(er_fb_table o)
{
    return (er_strided_slice_options){er_fb_u32(o, 0, 0), er_fb_u32(o, 1, 0), er_fb_u32(o, 2, 0),
                                      er_fb_u32(o, 3, 0), er_fb_u32(o, 4, 0), er_fb_u8(o, 5, 0) != 0};
}

er_activation er_read_activation(er_fb_table o) { return (er_activation)er_fb_i8(o, 0, 0); }
bool er_read_pot_scale_int16(er_fb_table o) { return er_fb_u8(o, 1, 1) != 0; }
bool er_read_gelu_approximate(er_fb_table o) { return er_fb_u8(o, 0, 0) != 0; }
float er_read_softmax_beta(er_fb_table o) { return er_fb_f32(o, 0, 0); }
float er_read_leaky_relu_alpha(er_fb_table o) { return er_fb_f32(o, 0, 0); }
bool er_read_keep_dims(er_fb_table o) { return er_fb_u8(o, 0, 0) != 0; }
int32_t er_read_stack_axis(er_fb_table o) { return er_fb_i32(o, 1, 0); }

int32_t er_read_int(er_fb_table o) { return er_fb_i32(o, 0, 0); }
int er_read_byte(er_fb_table o) { return er_fb_i8(o, 0, 0); }
er_int_pair er_read_int_pair(er_fb_table o) { return (er_int_pair){er_fb_i32(o, 0, 0), er_fb_i32(o, 1, 0)}; }

er_conv_options er_read_transpose_conv(er_fb_table o)
{
    return (er_conv_options){
        .padding = (er_padding)er_fb_i8(o, 0, 0), .stride_w = er_fb_i32(o, 1, 0), .stride_h = er_fb_i32(o, 2, 0),
        .dilation_w = 1, .dilation_h = 1, .activation = (er_activation)er_fb_i8(o, 3, 0), .narrow = er_fb_i8(o, 4, 0) == EDGERT_INT32};
}

er_conv_3d_options er_read_conv_3d(er_fb_table o)
{
    return (er_conv_3d_options){(er_padding)er_fb_i8(o, 0, 0), {er_fb_i32(o, 1, 0), er_fb_i32(o, 3, 0), er_fb_i32(o, 2, 0)},
                                {er_fb_i32(o, 5, 1), er_fb_i32(o, 7, 1), er_fb_i32(o, 6, 1)}, (er_activation)er_fb_i8(o, 4, 0)};
}

er_response_options er_read_response(er_fb_table o) { return (er_response_options){er_fb_i32(o, 0, 0), er_fb_f32(o, 1, 0), er_fb_f32(o, 2, 0), er_fb_f32(o, 3, 0)}; }
er_fake_quant_options er_read_fake_quant(er_fb_table o) { return (er_fake_quant_options){er_fb_f32(o, 0, 0), er_fb_f32(o, 1, 0), er_fb_i32(o, 2, 0), er_fb_u8(o, 3, 0) != 0}; }
er_batch_matmul_options er_read_batch_matmul(er_fb_table o) { return (er_batch_matmul_options){er_fb_u8(o, 0, 0) != 0, er_fb_u8(o, 1, 0) != 0, er_fb_u8(o, 2, 0) != 0}; }
er_cumsum_options er_read_cumsum(er_fb_table o) { return (er_cumsum_options){er_fb_u8(o, 0, 0) != 0, er_fb_u8(o, 1, 0) != 0}; }
er_hash_table_options er_read_hash_table(er_fb_table o) { return (er_hash_table_options){er_fb_i32(o, 0, 0), er_fb_i8(o, 1, 0), er_fb_i8(o, 2, 0)}; }
er_svdf_options er_read_svdf(er_fb_table o) { return (er_svdf_options){er_fb_i32(o, 0, 0), (er_activation)er_fb_i8(o, 1, 0), er_fb_u8(o, 2, 0) != 0}; }

er_recurrent_options er_read_rnn(er_fb_table o)
{
    return (er_recurrent_options){.activation = (er_activation)er_fb_i8(o, 0, 0), .asymmetric = er_fb_u8(o, 1, 0) != 0};
}

er_recurrent_options er_read_sequence_rnn(er_fb_table o)
{
    return (er_recurrent_options){.time_major = er_fb_u8(o, 0, 0) != 0, .activation = (er_activation)er_fb_i8(o, 1, 0), .asymmetric = er_fb_u8(o, 2, 0) != 0};
}

er_recurrent_options er_read_bidirectional_rnn(er_fb_table o)
{
    return (er_recurrent_options){.time_major = er_fb_u8(o, 0, 0) != 0, .activation = (er_activation)er_fb_i8(o, 1, 0),
                                  .merge_outputs = er_fb_u8(o, 2, 0) != 0, .asymmetric = er_fb_u8(o, 3, 0) != 0};
}

er_recurrent_options er_read_lstm(er_fb_table o)
{
    return (er_recurrent_options){.activation = (er_activation)er_fb_i8(o, 0, 0), .cell_clip = er_fb_f32(o, 1, 0), .projection_clip = er_fb_f32(o, 2, 0),
                                  .kernel_type = er_fb_i8(o, 3, 0), .time_major = true, .asymmetric = er_fb_u8(o, 4, 0) != 0};
}

er_recurrent_options er_read_sequence_lstm(er_fb_table o)
{
    return (er_recurrent_options){.activation = (er_activation)er_fb_i8(o, 0, 0), .cell_clip = er_fb_f32(o, 1, 0), .projection_clip = er_fb_f32(o, 2, 0),
                                  .time_major = er_fb_u8(o, 3, 0) != 0, .asymmetric = er_fb_u8(o, 4, 0) != 0, .diagonal = er_fb_u8(o, 5, 0) != 0};
}

er_recurrent_options er_read_bidirectional_lstm(er_fb_table o)
{
    return (er_recurrent_options){.activation = (er_activation)er_fb_i8(o, 0, 0), .cell_clip = er_fb_f32(o, 1, 0), .projection_clip = er_fb_f32(o, 2, 0),
                                  .merge_outputs = er_fb_u8(o, 3, 0) != 0, .time_major = er_fb_u8(o, 4, 1) != 0, .asymmetric = er_fb_u8(o, 5, 0) != 0};
}

const char *er_read_variable_container(er_fb_table o) { return er_fb_string(o, 0); }
const char *er_read_variable_name(er_fb_table o) { return er_fb_string(o, 1); }
int32_t er_read_composite_subgraph(er_fb_table o) { return er_fb_i32(o, 1, 0); }

er_float_list er_read_boundaries(er_fb_table o)
{
    er_fb_vector v = er_fb_vec(o, 0);
    return (er_float_list){v.n, v.items};
}

float er_float_list_at(er_float_list list, uint32_t i)
{
    float x;
    memcpy(&x, list.items + 4 * (size_t)i, 4);
    return x;
}

er_int_list er_read_reshape(er_fb_table o)
{
    er_fb_vector v = er_fb_vec(o, 0);
    return er_fb_has(o, 0) ? (er_int_list){(int32_t)v.n, v.items} : (er_int_list){-1, NULL};
}

er_int_list er_read_squeeze(er_fb_table o)
{
    er_fb_vector v = er_fb_vec(o, 0);
    return (er_int_list){(int32_t)v.n, v.items};
}

int32_t er_int_list_at(er_int_list list, int32_t i)
{
    int32_t x;
    memcpy(&x, list.items + 4 * (size_t)i, 4);
    return x;
}
