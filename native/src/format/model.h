// A model: the mapped file, and what it says, checked and in plain structs. Immutable once open, reference-counted.
#ifndef ER_MODEL_H
#define ER_MODEL_H

#include <stdatomic.h>

#include "base/memory.h"
#include "base/store.h"
#include "format/flatbuffer.h"

enum { ER_MAX_RANK = 8 };

typedef struct er_quantization {
    int32_t n;                  // number of scales; 0: not quantized
    const float *scale;         // [n]
    int32_t n_zero;
    const int64_t *zero;        // [n_zero]: n, or 1, or 0
    int32_t dimension;
    bool by_blocks;             // scales for blocks of a channel, or of a custom kind
    int32_t block_size;         // along the last dimension; 0: of a kind that is not read
    const struct er_tensor_def *block_scales;   // a constant of the same subgraph
} er_quantization;

typedef struct er_tensor_def {
    int32_t number;             // among all tensors of the model, from 1
    const char *name;
    edgert_type type;
    int32_t rank;
    int32_t dims[ER_MAX_RANK];
    int32_t signature_rank;
    int32_t signature[ER_MAX_RANK];
    er_quantization quant;
    const void *data;           // constants: their bytes, aligned for the type; else NULL
    bool is_variable;
} er_tensor_def;

typedef struct er_op_def {
    int32_t builtin;            // ER_BUILTIN_CUSTOM for a custom one
    const char *name;
    int32_t version;
    int32_t n_inputs, n_outputs;
    const int32_t *inputs, *outputs;
    er_fb_table options;
    const uint8_t *custom;      // options of a custom operator
    size_t custom_bytes;
    int32_t n_intermediates;    // tensors that only tell how values inside the operator are quantized
    const int32_t *intermediates;
} er_op_def;

typedef struct er_subgraph {
    int32_t n_tensors, n_ops, n_inputs, n_outputs;
    er_tensor_def *tensors;
    er_op_def *ops;
    const int32_t *inputs, *outputs;
} er_subgraph;

typedef struct er_signature {
    const char *key;
    int32_t subgraph, n_inputs, n_outputs;
    er_fb_table table;
} er_signature;

struct edgert_model {
    atomic_int references;
    const uint8_t *data;
    size_t size;
    void *mapped;               // what to unmap, or NULL: the caller's memory
    er_heap heap;
    er_store *packed;           // weights as kernels read them, made when a plan first needs them
    er_fb_table root;
    const char *description;
    int32_t n_subgraphs, n_signatures, n_tensors;
    er_subgraph *subgraphs;
    er_signature *signatures;
};

// A checked model from a file, or from memory that stays as it is. NULL on failure.
edgert_model *er_model_map(const char *path, edgert_error *error);
edgert_model *er_model_view(const void *data, size_t bytes, edgert_error *error);
void er_model_retain(edgert_model *model);

// Bytes of one element; 0 for types without a fixed size in memory (STRING, RESOURCE, VARIANT, and packed INT4, INT2).
size_t er_type_size(edgert_type type);
const char *er_type_name(edgert_type type);

#endif
