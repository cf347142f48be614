// The attributes of each operator, read from the model into plain structs.
#ifndef ER_OPTIONS_H
#define ER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "format/flatbuffer.h"

typedef enum er_activation {
    ER_ACT_NONE = 0, ER_ACT_RELU = 1, ER_ACT_RELU_N1_TO_1 = 2, ER_ACT_RELU6 = 3, ER_ACT_TANH = 4, ER_ACT_SIGN_BIT = 5,
} er_activation;

typedef enum er_padding { ER_SAME = 0, ER_VALID = 1 } er_padding;

typedef struct er_conv_options {
    er_padding padding;                 // as in the file, so possibly neither
    int32_t stride_w, stride_h, dilation_w, dilation_h;
    int32_t depth_multiplier;           // DEPTHWISE_CONV_2D only
    er_activation activation;
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

er_conv_options er_read_conv_2d(er_fb_table options);
er_conv_options er_read_depthwise(er_fb_table options);
er_pool_options er_read_pool(er_fb_table options);
er_fully_connected_options er_read_fully_connected(er_fb_table options);
er_concatenation_options er_read_concatenation(er_fb_table options);
er_resize_options er_read_resize_bilinear(er_fb_table options);
er_resize_options er_read_resize_nearest(er_fb_table options);
er_strided_slice_options er_read_strided_slice(er_fb_table options);
er_activation er_read_activation(er_fb_table options);      // ADD, SUB, MUL, DIV
float er_read_softmax_beta(er_fb_table options);
float er_read_leaky_relu_alpha(er_fb_table options);
bool er_read_keep_dims(er_fb_table options);
int32_t er_read_stack_axis(er_fb_table options);             // PACK, UNPACK
int er_read_arg_max_type(er_fb_table options);
er_int_list er_read_reshape(er_fb_table options);           // n = -1 where the options have no shape
er_int_list er_read_squeeze(er_fb_table options);
int32_t er_int_list_at(er_int_list list, int32_t i);

#endif
