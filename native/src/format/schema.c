#include "format/schema.h"

#define COUNT(array) ((uint8_t)(sizeof(array) / sizeof(array)[0]))
#define SCALAR(name, size) {name, ER_FB_SCALAR, size, false, NULL, NULL, 0}
#define STRING(name) {name, ER_FB_STRING, 0, false, NULL, NULL, 0}
#define VECTOR(name, size) {name, ER_FB_VECTOR, size, false, NULL, NULL, 0}
#define TABLE(name, schema) {name, ER_FB_TABLE, 0, false, &schema, NULL, 0}
#define TABLES(name, schema) {name, ER_FB_TABLES, 0, false, &schema, NULL, 0}
#define UNION_TYPE(name) {name, ER_FB_UNION_TYPE, 1, false, NULL, NULL, 0}
#define UNION(name, list) {name, ER_FB_UNION, 0, false, NULL, list, COUNT(list)}
#define UNKNOWN {"", ER_FB_UNKNOWN, 0, false, NULL, NULL, 0}
#define SCHEMA(id, title, ...)                                                                                         \
    static const er_fb_field id##_fields[] = {__VA_ARGS__};                                                            \
    static const er_fb_schema id = {title, COUNT(id##_fields), id##_fields}

// ---- options of operators; see format/options.c for the meaning

SCHEMA(conv_2d, "Conv2DOptions", SCALAR("padding", 1), SCALAR("stride_w", 4), SCALAR("stride_h", 4),
       SCALAR("fused_activation_function", 1), SCALAR("dilation_w_factor", 4), SCALAR("dilation_h_factor", 4));
SCHEMA(depthwise, "DepthwiseConv2DOptions", SCALAR("padding", 1), SCALAR("stride_w", 4), SCALAR("stride_h", 4),
       SCALAR("depth_multiplier", 4), SCALAR("fused_activation_function", 1), SCALAR("dilation_w_factor", 4),
       SCALAR("dilation_h_factor", 4));
SCHEMA(pool_2d, "Pool2DOptions", SCALAR("padding", 1), SCALAR("stride_w", 4), SCALAR("stride_h", 4),
       SCALAR("filter_width", 4), SCALAR("filter_height", 4), SCALAR("fused_activation_function", 1));
SCHEMA(fully_connected, "FullyConnectedOptions", SCALAR("fused_activation_function", 1), SCALAR("weights_format", 1),
       SCALAR("keep_num_dims", 1), SCALAR("asymmetric_quantize_inputs", 1));
SCHEMA(softmax, "SoftmaxOptions", SCALAR("beta", 4));
SCHEMA(concatenation, "ConcatenationOptions", SCALAR("axis", 4), SCALAR("fused_activation_function", 1));
SCHEMA(activation, "Add/Sub/Mul/DivOptions", SCALAR("fused_activation_function", 1));
SCHEMA(resize_bilinear, "ResizeBilinearOptions", UNKNOWN, UNKNOWN, SCALAR("align_corners", 1), SCALAR("half_pixel_centers", 1));
SCHEMA(resize_nearest, "ResizeNearestNeighborOptions", SCALAR("align_corners", 1), SCALAR("half_pixel_centers", 1));
SCHEMA(reshape, "ReshapeOptions", VECTOR("new_shape", 4));
SCHEMA(reducer, "ReducerOptions", SCALAR("keep_dims", 1));
SCHEMA(squeeze, "SqueezeOptions", VECTOR("squeeze_dims", 4));
SCHEMA(strided_slice, "StridedSliceOptions", SCALAR("begin_mask", 4), SCALAR("end_mask", 4), SCALAR("ellipsis_mask", 4),
       SCALAR("new_axis_mask", 4), SCALAR("shrink_axis_mask", 4), SCALAR("offset", 1));
SCHEMA(arg_max, "ArgMaxOptions", SCALAR("output_type", 1));
SCHEMA(leaky_relu, "LeakyReluOptions", SCALAR("alpha", 4));
SCHEMA(stack, "Pack/UnpackOptions", UNKNOWN, SCALAR("axis", 4));

SCHEMA(one_int, "SpaceToDepth/Split/OneHot/CallOnceOptions", SCALAR("value", 4));
SCHEMA(two_ints, "Gather/ReverseSequence/If/WhileOptions", SCALAR("first", 4), SCALAR("second", 4));
SCHEMA(one_byte, "Shape/Unique/MirrorPadOptions", SCALAR("value", 1));
SCHEMA(three_bools, "BatchMatMul/Cumsum/GeluOptions", SCALAR("first", 1), SCALAR("second", 1), SCALAR("third", 1));
SCHEMA(sum_options, "Add/SubOptions", SCALAR("fused_activation_function", 1), SCALAR("pot_scale_int16", 1));
SCHEMA(svdf, "SVDFOptions", SCALAR("rank", 4), SCALAR("fused_activation_function", 1), SCALAR("asymmetric_quantize_inputs", 1));
SCHEMA(rnn, "RNNOptions", SCALAR("fused_activation_function", 1), SCALAR("asymmetric_quantize_inputs", 1));
SCHEMA(sequence_rnn, "SequenceRNNOptions", SCALAR("time_major", 1), SCALAR("fused_activation_function", 1), SCALAR("asymmetric_quantize_inputs", 1));
SCHEMA(bidirectional_rnn, "BidirectionalSequenceRNNOptions", SCALAR("time_major", 1), SCALAR("fused_activation_function", 1),
       SCALAR("merge_outputs", 1), SCALAR("asymmetric_quantize_inputs", 1));
SCHEMA(response, "LocalResponseNormalizationOptions", SCALAR("radius", 4), SCALAR("bias", 4), SCALAR("alpha", 4), SCALAR("beta", 4));
SCHEMA(lstm, "LSTMOptions", SCALAR("fused_activation_function", 1), SCALAR("cell_clip", 4), SCALAR("proj_clip", 4), SCALAR("kernel_type", 1),
       SCALAR("asymmetric_quantize_inputs", 1));
SCHEMA(sequence_lstm, "UnidirectionalSequenceLSTMOptions", SCALAR("fused_activation_function", 1), SCALAR("cell_clip", 4), SCALAR("proj_clip", 4),
       SCALAR("time_major", 1), SCALAR("asymmetric_quantize_inputs", 1), SCALAR("diagonal_recurrent_tensors", 1));
SCHEMA(bidirectional_lstm, "BidirectionalSequenceLSTMOptions", SCALAR("fused_activation_function", 1), SCALAR("cell_clip", 4), SCALAR("proj_clip", 4),
       SCALAR("merge_outputs", 1), SCALAR("time_major", 1), SCALAR("asymmetric_quantize_inputs", 1));
SCHEMA(transpose_conv, "TransposeConvOptions", SCALAR("padding", 1), SCALAR("stride_w", 4), SCALAR("stride_h", 4), SCALAR("fused_activation_function", 1),
       SCALAR("quantized_bias_type", 1));
SCHEMA(fake_quant, "FakeQuantOptions", SCALAR("min", 4), SCALAR("max", 4), SCALAR("num_bits", 4), SCALAR("narrow_range", 1));
SCHEMA(conv_3d, "Conv3DOptions", SCALAR("padding", 1), SCALAR("stride_d", 4), SCALAR("stride_w", 4), SCALAR("stride_h", 4),
       SCALAR("fused_activation_function", 1), SCALAR("dilation_d_factor", 4), SCALAR("dilation_w_factor", 4), SCALAR("dilation_h_factor", 4));
SCHEMA(hashtable, "HashtableOptions", SCALAR("table_id", 4), SCALAR("key_dtype", 1), SCALAR("value_dtype", 1));
SCHEMA(var_handle, "VarHandleOptions", STRING("container"), STRING("shared_name"));
SCHEMA(random_options, "RandomOptions", SCALAR("seed", 8), SCALAR("seed2", 8));
SCHEMA(bucketize, "BucketizeOptions", VECTOR("boundaries", 4));
SCHEMA(composite, "StableHLOCompositeOptions", STRING("name"), SCALAR("decomposition_subgraph_index", 4), VECTOR("composite_attributes", 1));

// BuiltinOptions, by number.
static const er_fb_schema *const options[] = {
    [1] = &conv_2d,  [2] = &depthwise, [5] = &pool_2d,  [6] = &svdf, [7] = &rnn, [8] = &fully_connected, [9] = &softmax,
    [10] = &concatenation, [11] = &sum_options, [12] = &activation, [13] = &response, [14] = &lstm, [15] = &resize_bilinear, [17] = &reshape,
    [19] = &one_int, [21] = &activation, [23] = &two_ints, [27] = &reducer, [28] = &sum_options, [29] = &activation, [30] = &squeeze,
    [31] = &sequence_rnn, [32] = &strided_slice, [35] = &one_int, [40] = &arg_max, [49] = &transpose_conv, [55] = &one_byte, [57] = &arg_max,
    [58] = &fake_quant, [59] = &stack, [61] = &one_int, [64] = &stack, [69] = &bidirectional_lstm, [70] = &bidirectional_rnn, [71] = &sequence_lstm,
    [74] = &resize_nearest, [75] = &leaky_relu, [77] = &one_byte, [79] = &one_int, [80] = &one_byte, [87] = &two_ints, [92] = &two_ints,
    [93] = &two_ints, [94] = &one_int, [101] = &three_bools, [102] = &three_bools, [103] = &one_int, [106] = &conv_3d, [107] = &hashtable,
    [111] = &var_handle, [114] = &random_options, [115] = &bucketize, [116] = &three_bools,
};
static const er_fb_schema *const options_2[] = {[21] = &composite};

// The BuiltinOptions (of the second union: plus 1000) that each operator's attributes are in; 0 where it has none that are read.
static const uint16_t options_of[ER_BUILTINS] = {
    [0] = 11, [1] = 5, [2] = 10, [3] = 1, [4] = 2, [5] = 94, [9] = 8, [11] = 12, [12] = 5, [13] = 13, [16] = 14, [17] = 5, [18] = 21, [22] = 17,
    [23] = 15, [24] = 7, [25] = 9, [26] = 19, [27] = 6, [35] = 31, [36] = 23, [40] = 27, [41] = 28, [42] = 29, [43] = 30, [44] = 71, [45] = 32,
    [46] = 70, [49] = 35, [52] = 69, [56] = 40, [67] = 49, [74] = 27, [77] = 55, [79] = 57, [80] = 58, [81] = 27, [82] = 27, [83] = 59, [85] = 61,
    [88] = 64, [89] = 27, [91] = 27, [97] = 74, [98] = 75, [100] = 77, [102] = 79, [103] = 80, [112] = 87, [118] = 92, [119] = 93, [126] = 101,
    [128] = 102, [129] = 103, [132] = 106, [136] = 107, [140] = 27, [141] = 106, [142] = 111, [146] = 114, [147] = 115, [148] = 114, [149] = 114,
    [150] = 116, [206] = 1021,
};

uint16_t er_options_of(int32_t builtin) { return builtin >= 0 && builtin < ER_BUILTINS ? options_of[builtin] : 0; }

// ---- sparse tensors and quantization

SCHEMA(blocks, "BlockwiseQuantization", SCALAR("scales", 4), SCALAR("zero_points", 4), SCALAR("block_size", 4));
static const er_fb_schema *const details[] = {[2] = &blocks};
SCHEMA(quantization, "QuantizationParameters", VECTOR("min", 4), VECTOR("max", 4), VECTOR("scale", 4),
       VECTOR("zero_point", 8), UNION_TYPE("details_type"), UNION("details", details), SCALAR("quantized_dimension", 4));
SCHEMA(int32_values, "Int32Vector", VECTOR("values", 4));
SCHEMA(uint16_values, "Uint16Vector", VECTOR("values", 2));
SCHEMA(uint8_values, "Uint8Vector", VECTOR("values", 1));
static const er_fb_schema *const index_vectors[] = {[1] = &int32_values, [2] = &uint16_values, [3] = &uint8_values};
SCHEMA(dimension, "DimensionMetadata", SCALAR("format", 1), SCALAR("dense_size", 4), UNION_TYPE("array_segments_type"), UNION("array_segments", index_vectors),
       UNION_TYPE("array_indices_type"), UNION("array_indices", index_vectors));
SCHEMA(sparsity, "SparsityParameters", VECTOR("traversal_order", 4), VECTOR("block_map", 4), TABLES("dim_metadata", dimension));

// ---- the model

SCHEMA(tensor, "Tensor", VECTOR("shape", 4), SCALAR("type", 1), SCALAR("buffer", 4), STRING("name"),
       TABLE("quantization", quantization), SCALAR("is_variable", 1), TABLE("sparsity", sparsity),
       VECTOR("shape_signature", 4), SCALAR("has_rank", 1));
SCHEMA(operator_, "Operator", SCALAR("opcode_index", 4), VECTOR("inputs", 4), VECTOR("outputs", 4),
       UNION_TYPE("builtin_options_type"), UNION("builtin_options", options), VECTOR("custom_options", 1),
       SCALAR("custom_options_format", 1), VECTOR("mutating_variable_inputs", 1), VECTOR("intermediates", 4),
       SCALAR("large_custom_options_offset", 8), SCALAR("large_custom_options_size", 8),
       UNION_TYPE("builtin_options_2_type"), UNION("builtin_options_2", options_2));
SCHEMA(subgraph, "SubGraph", TABLES("tensors", tensor), VECTOR("inputs", 4), VECTOR("outputs", 4),
       TABLES("operators", operator_), STRING("name"));
SCHEMA(opcode, "OperatorCode", SCALAR("deprecated_builtin_code", 1), STRING("custom_code"), SCALAR("version", 4),
       SCALAR("builtin_code", 4));
SCHEMA(buffer, "Buffer", VECTOR("data", 1), SCALAR("offset", 8), SCALAR("size", 8));
SCHEMA(metadata, "Metadata", STRING("name"), SCALAR("buffer", 4));
SCHEMA(tensor_map, "TensorMap", STRING("name"), SCALAR("tensor_index", 4));
SCHEMA(signature, "SignatureDef", TABLES("inputs", tensor_map), TABLES("outputs", tensor_map), STRING("signature_key"),
       UNKNOWN, SCALAR("subgraph_index", 4));

static const er_fb_field model_fields[] = {
    SCALAR("version", 4), TABLES("operator_codes", opcode), TABLES("subgraphs", subgraph), STRING("description"),
    TABLES("buffers", buffer), VECTOR("metadata_buffer", 4), TABLES("metadata", metadata), TABLES("signature_defs", signature),
};
const er_fb_schema er_schema_model = {"Model", COUNT(model_fields), model_fields};

// ---- names, by number

static const char *const builtin_names[ER_BUILTINS] = {
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
    "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D", "MUL", "RELU",
    "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH",
    "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB",
    "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP",
    "TOPK_V2", "SPLIT", "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM",
    "ARG_MAX", "MINIMUM", "LESS", "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE",
    "SIN", "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT",
    "RSQRT", "SHAPE", "POW", "ARG_MIN", "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT",
    "LOGICAL_AND", "LOGICAL_NOT", "UNPACK", "REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL",
    "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS",
    "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
    "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE",
    "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM",
    "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM", "CALL_ONCE", "BROADCAST_TO", "RFFT2D", "CONV_3D",
    "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE",
    "REDUCE_ALL", "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "BROADCAST_ARGS",
    "RANDOM_STANDARD_NORMAL", "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU", "DYNAMIC_UPDATE_SLICE",
    "RELU_0_TO_1", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM", "ATAN2",
    "UNSORTED_SEGMENT_MIN", "SIGN", "BITCAST", "BITWISE_XOR", "RIGHT_SHIFT", "STABLEHLO_LOGISTIC", "STABLEHLO_ADD",
    "STABLEHLO_DIVIDE", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_RESHAPE", "STABLEHLO_CLAMP",
    "STABLEHLO_CONCATENATE", "STABLEHLO_BROADCAST_IN_DIM", "STABLEHLO_CONVOLUTION", "STABLEHLO_SLICE",
    "STABLEHLO_CUSTOM_CALL", "STABLEHLO_REDUCE", "STABLEHLO_ABS", "STABLEHLO_AND", "STABLEHLO_COSINE",
    "STABLEHLO_EXPONENTIAL", "STABLEHLO_FLOOR", "STABLEHLO_LOG", "STABLEHLO_MINIMUM", "STABLEHLO_NEGATE",
    "STABLEHLO_OR", "STABLEHLO_POWER", "STABLEHLO_REMAINDER", "STABLEHLO_RSQRT", "STABLEHLO_SELECT",
    "STABLEHLO_SUBTRACT", "STABLEHLO_TANH", "STABLEHLO_SCATTER", "STABLEHLO_COMPARE", "STABLEHLO_CONVERT",
    "STABLEHLO_DYNAMIC_SLICE", "STABLEHLO_DYNAMIC_UPDATE_SLICE", "STABLEHLO_PAD", "STABLEHLO_IOTA",
    "STABLEHLO_DOT_GENERAL", "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SORT", "STABLEHLO_WHILE", "STABLEHLO_GATHER",
    "STABLEHLO_TRANSPOSE", "DILATE", "STABLEHLO_RNG_BIT_GENERATOR", "REDUCE_WINDOW", "STABLEHLO_COMPOSITE",
    "STABLEHLO_SHIFT_LEFT", "STABLEHLO_CBRT",
};

const char *er_builtin_name(int32_t code) { return builtin_names[code]; }
