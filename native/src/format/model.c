// From verified FlatBuffer to checked plain structs: every index, shape, buffer size and quantization parameter.
#include "format/model.h"

#include <math.h>
#include <string.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/file.h"
#include "format/schema.h"
#include "format/sparsity.h"

static const struct { const char *name; uint8_t size; } types[] = {
    {"float32", 4}, {"float16", 2}, {"int32", 4}, {"uint8", 1}, {"int64", 8}, {"string", 0}, {"bool", 1}, {"int16", 2},
    {"complex64", 8}, {"int8", 1}, {"float64", 8}, {"complex128", 16}, {"uint64", 8}, {"resource", 4}, {"variant", 0},
    {"uint32", 4}, {"uint16", 2}, {"int4", 0}, {"bfloat16", 2}, {"int2", 0},
};
enum { TYPES = sizeof types / sizeof types[0] };

size_t er_type_size(edgert_type type) { return (unsigned)type < TYPES ? types[type].size : 0; }
const char *er_type_name(edgert_type type) { return (unsigned)type < TYPES ? types[type].name : "unknown type"; }

static const int32_t *int32_items(er_fb_vector v) { return (const int32_t *)(const void *)v.items; }

static void *heap_alloc(edgert_model *m, size_t n, size_t size, er_status *status, edgert_error *error)
{
    size_t bytes;
    void *p = er_mul_size(n, size, &bytes) ? er_heap_alloc(&m->heap, bytes) : NULL;
    if (!p) *status = er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for %zu items of the model", n);
    return p;
}

static er_status bad(edgert_error *error, int32_t index, const er_tensor_def *t, const char *what)
{
    return er_fail(error, EDGERT_ERROR_MODEL, "tensor %d \"%.200s\" %s", index, t->name, what);
}

// Data of buffer `index`, which lies in the FlatBuffer or, in files beyond 2 GiB, behind it.
static er_status read_buffer(const edgert_model *m, uint32_t index, const uint8_t **data, size_t *size, edgert_error *error)
{
    er_fb_vector buffers = er_fb_vec(m->root, MODEL_BUFFERS);
    if (index == 0 && !buffers.n) return ER_OK;     // buffer 0 is the empty one, there or not
    if (index >= buffers.n)
        return er_fail(error, EDGERT_ERROR_MODEL, "buffer %u does not exist: the model has %u", index, buffers.n);
    er_fb_table b = er_fb_item(m->root, MODEL_BUFFERS, index);
    uint64_t offset = er_fb_u64(b, BUFFER_OFFSET, 0), length = er_fb_u64(b, BUFFER_SIZE, 0);
    if (offset > 1) {
        if (offset > m->size || length > m->size - offset)
            return er_fail(error, EDGERT_ERROR_MODEL, "buffer %u lies outside the file", index);
        *data = m->data + offset;
        *size = (size_t)length;
        return ER_OK;
    }
    er_fb_vector v = er_fb_vec(b, BUFFER_DATA);
    *data = v.n ? v.items : NULL;
    *size = v.n;
    return ER_OK;
}

static er_status read_quantization(edgert_model *m, er_tensor_def *t, er_fb_table q, int32_t index, edgert_error *error)
{
    er_fb_vector scale = er_fb_vec(q, QUANT_SCALE), zero = er_fb_vec(q, QUANT_ZERO_POINT);
    t->quant.by_blocks = er_fb_u8(q, QUANT_DETAILS_TYPE, 0) != 0;
    if (t->quant.by_blocks) return ER_OK;       // read_blocks, when all tensors are there
    if (!scale.n) return ER_OK;
    er_quantization *out = &t->quant;
    out->n = (int32_t)scale.n;
    out->scale = (const float *)(const void *)scale.items;
    out->dimension = er_fb_i32(q, QUANT_DIMENSION, 0);
    for (uint32_t i = 0; i < scale.n; i++)
        if (!isfinite(out->scale[i]) || out->scale[i] < 0) return bad(error, index, t, "has a scale that is negative or not finite");
    if (zero.n != scale.n && zero.n > 1) return bad(error, index, t, "has not as many zero points as scales");
    er_status status = ER_OK;
    int64_t *z = heap_alloc(m, zero.n ? zero.n : 1, sizeof *z, &status, error);
    ER_TRY(status);
    if (zero.n) memcpy(z, zero.items, zero.n * sizeof *z);
    out->n_zero = (int32_t)zero.n;
    out->zero = z;
    int64_t lo = INT32_MIN, hi = INT32_MAX;
    if (t->type == EDGERT_INT8) { lo = INT8_MIN; hi = INT8_MAX; }
    if (t->type == EDGERT_UINT8) { lo = 0; hi = UINT8_MAX; }
    if (t->type == EDGERT_INT16) { lo = INT16_MIN; hi = INT16_MAX; }
    for (uint32_t i = 0; i < zero.n; i++)
        if (z[i] < lo || z[i] > hi) return bad(error, index, t, "has a zero point outside the range of its type");
    return ER_OK;
}

// A small file must not take much memory before anybody could set a limit.
enum { MOST_EXPANDED = 1 << 30 };

static er_status read_constant(edgert_model *m, er_tensor_def *t, uint32_t buffer, er_fb_table sparsity, int32_t index, edgert_error *error)
{
    const uint8_t *data = NULL;
    size_t size = 0, count, expected;
    ER_TRY(read_buffer(m, buffer, &data, &size, error));
    if (!size) return ER_OK;
    if (!er_count(t->dims, t->rank, &count)) return bad(error, index, t, "has more elements than fit");
    size_t each = er_type_size(t->type);
    if (t->type == EDGERT_INT4) expected = (count + 1) / 2;
    else if (t->type == EDGERT_INT2) expected = (count + 3) / 4;
    else if (!each) return ER_OK;       // strings and handles are not read
    else if (!er_mul_size(count, each, &expected)) return bad(error, index, t, "has more elements than fit");
    if (t->type == EDGERT_RESOURCE) return ER_OK;       // a handle, made when the model runs
    if (sparsity.at) {
        if (expected > MOST_EXPANDED) return bad(error, index, t, "is sparse, and takes more than 1 GiB when all of it is there, which is not supported");
        if (!each) return bad(error, index, t, "is sparse and has elements of less than a byte, which is not supported");
        er_status status = ER_OK;
        uint8_t *dense = heap_alloc(m, expected, 1, &status, error);
        ER_TRY(status);
        const char *fault = er_sparsity_expand(sparsity, t->dims, t->rank, each, data, size, dense);
        if (fault) return bad(error, index, t, fault);
        t->data = dense;
        return ER_OK;
    }
    if (size != expected)
        return er_fail(error, EDGERT_ERROR_MODEL, "tensor %d \"%.200s\" has %zu bytes of data, expected %zu for its shape and type",
                       index, t->name, size, expected);
    t->data = data;
    if (each > 1 && (uintptr_t)data % each) {
        // Old converters did not align buffers.
        er_status status = ER_OK;
        void *copy = heap_alloc(m, size, 1, &status, error);
        ER_TRY(status);
        memcpy(copy, data, size);
        t->data = copy;
    }
    return ER_OK;
}

static er_status read_tensor(edgert_model *m, er_tensor_def *t, er_fb_table f, int32_t index, edgert_error *error)
{
    t->name = er_fb_string(f, TENSOR_NAME);
    int type = er_fb_i8(f, TENSOR_TYPE, 0);
    if (type < 0 || type >= TYPES) return er_fail(error, EDGERT_ERROR_MODEL, "tensor %d \"%.200s\" has the unknown type %d", index, t->name, type);
    t->type = (edgert_type)type;
    er_fb_vector shape = er_fb_vec(f, TENSOR_SHAPE), signature = er_fb_vec(f, TENSOR_SHAPE_SIGNATURE);
    if (!signature.n) signature = shape;
    if (shape.n > ER_MAX_RANK || signature.n > ER_MAX_RANK)
        return er_fail(error, EDGERT_ERROR_UNSUPPORTED, "tensor %d \"%.200s\" has rank %u, at most %d is supported", index, t->name,
                       shape.n > signature.n ? shape.n : signature.n, ER_MAX_RANK);
    t->rank = (int32_t)shape.n;
    t->signature_rank = (int32_t)signature.n;
    for (int32_t i = 0; i < t->rank; i++) {
        t->dims[i] = int32_items(shape)[i];
        if (t->dims[i] < 0) return bad(error, index, t, "has a negative size in its shape");
    }
    for (int32_t i = 0; i < t->signature_rank; i++) t->signature[i] = int32_items(signature)[i];
    t->is_variable = er_fb_u8(f, TENSOR_IS_VARIABLE, 0) != 0;
    if (er_fb_has(f, TENSOR_QUANTIZATION)) ER_TRY(read_quantization(m, t, er_fb_child(f, TENSOR_QUANTIZATION), index, error));
    return read_constant(m, t, er_fb_u32(f, TENSOR_BUFFER, 0), er_fb_child(f, TENSOR_SPARSITY), index, error);
}

// Symmetric scales for blocks of a channel, in another tensor. Zero points of blocks are not read, nor are they used anywhere.
static er_status read_blocks(const er_subgraph *g, er_tensor_def *t, er_fb_table f, int32_t index, edgert_error *error)
{
    const er_fb_table q = er_fb_child(f, TENSOR_QUANTIZATION);
    if (er_fb_u8(q, QUANT_DETAILS_TYPE, 0) != DETAILS_BLOCKS) return ER_OK;
    const er_fb_table b = er_fb_child(q, QUANT_DETAILS);
    const int32_t scales = er_fb_i32(b, BLOCKS_SCALES, 0), zeros = er_fb_i32(b, BLOCKS_ZERO_POINTS, 0), size = er_fb_i32(b, BLOCKS_SIZE, 0);
    if (zeros > 0 || size < 1) return ER_OK;
    if (scales < 0 || scales >= g->n_tensors) return bad(error, index, t, "has scales for blocks in a tensor that does not exist");
    t->quant.block_size = size;
    t->quant.block_scales = &g->tensors[scales];
    return ER_OK;
}

// Checks that all items are tensor indices, or -1 where `optional`.
static er_status check_indices(const er_subgraph *g, er_fb_vector v, bool optional, const char *what, edgert_error *error)
{
    for (uint32_t i = 0; i < v.n; i++) {
        int32_t t = int32_items(v)[i];
        if (t >= g->n_tensors || t < (optional ? -1 : 0))
            return er_fail(error, EDGERT_ERROR_MODEL, "%s %u is tensor %d, but the subgraph has %d tensors", what, i, t, g->n_tensors);
    }
    return ER_OK;
}

static er_status read_op(const edgert_model *m, const er_subgraph *g, er_op_def *op, er_fb_table f, edgert_error *error)
{
    uint32_t code = er_fb_u32(f, OPERATOR_OPCODE, 0), codes = er_fb_vec(m->root, MODEL_OPERATOR_CODES).n;
    if (code >= codes) return er_fail(error, EDGERT_ERROR_MODEL, "it has operator code %u, but the model has %u", code, codes);
    er_fb_table c = er_fb_item(m->root, MODEL_OPERATOR_CODES, code);
    int32_t old = er_fb_i8(c, OPCODE_OLD_BUILTIN, 0), builtin = er_fb_i32(c, OPCODE_BUILTIN, 0);
    op->builtin = old > builtin ? old : builtin;
    if (op->builtin < 0) return er_fail(error, EDGERT_ERROR_MODEL, "it has the negative operator code %d", op->builtin);
    op->version = er_fb_i32(c, OPCODE_VERSION, 1);
    op->name = op->builtin == ER_BUILTIN_CUSTOM ? er_fb_string(c, OPCODE_CUSTOM)
             : op->builtin < ER_BUILTINS        ? er_builtin_name(op->builtin)
                                                : "an operator newer than edgert";
    er_fb_vector in = er_fb_vec(f, OPERATOR_INPUTS), out = er_fb_vec(f, OPERATOR_OUTPUTS);
    ER_TRY(check_indices(g, in, true, "its input", error));
    ER_TRY(check_indices(g, out, false, "its output", error));
    op->n_inputs = (int32_t)in.n;
    op->inputs = int32_items(in);
    op->n_outputs = (int32_t)out.n;
    op->outputs = int32_items(out);
    // Options of another operator were verified as such: they must not be read as this one's.
    const uint16_t expected = er_options_of(op->builtin);
    op->options = (er_fb_table){m->data, 0};
    if (expected && er_fb_u8(f, OPERATOR_OPTIONS_TYPE, 0) == expected) op->options = er_fb_child(f, OPERATOR_OPTIONS);
    if (expected > 1000 && er_fb_u8(f, OPERATOR_OPTIONS_2_TYPE, 0) == expected - 1000) op->options = er_fb_child(f, OPERATOR_OPTIONS_2);
    er_fb_vector custom = er_fb_vec(f, OPERATOR_CUSTOM), intermediates = er_fb_vec(f, OPERATOR_INTERMEDIATES);
    op->custom = custom.items;
    op->custom_bytes = custom.n;
    ER_TRY(check_indices(g, intermediates, true, "its intermediate tensor", error));
    op->n_intermediates = (int32_t)intermediates.n;
    op->intermediates = int32_items(intermediates);
    return ER_OK;
}

static er_status read_subgraph(edgert_model *m, er_subgraph *g, er_fb_table f, edgert_error *error)
{
    er_status status = ER_OK;
    g->n_tensors = (int32_t)er_fb_vec(f, SUBGRAPH_TENSORS).n;
    g->n_ops = (int32_t)er_fb_vec(f, SUBGRAPH_OPERATORS).n;
    g->tensors = heap_alloc(m, (size_t)g->n_tensors, sizeof *g->tensors, &status, error);
    ER_TRY(status);
    g->ops = heap_alloc(m, (size_t)g->n_ops, sizeof *g->ops, &status, error);
    ER_TRY(status);
    for (int32_t i = 0; i < g->n_tensors; i++) {
        g->tensors[i].number = ++m->n_tensors;
        ER_TRY(read_tensor(m, &g->tensors[i], er_fb_item(f, SUBGRAPH_TENSORS, (uint32_t)i), i, error));
    }
    for (int32_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].quant.by_blocks) ER_TRY(read_blocks(g, &g->tensors[i], er_fb_item(f, SUBGRAPH_TENSORS, (uint32_t)i), i, error));
    for (int32_t i = 0; i < g->n_ops; i++) {
        status = read_op(m, g, &g->ops[i], er_fb_item(f, SUBGRAPH_OPERATORS, (uint32_t)i), error);
        if (status != ER_OK) {
            er_prefix(error, "op %d: ", i);
            return status;
        }
    }
    er_fb_vector in = er_fb_vec(f, SUBGRAPH_INPUTS), out = er_fb_vec(f, SUBGRAPH_OUTPUTS);
    ER_TRY(check_indices(g, in, false, "input", error));
    ER_TRY(check_indices(g, out, false, "output", error));
    g->n_inputs = (int32_t)in.n;
    g->inputs = int32_items(in);
    g->n_outputs = (int32_t)out.n;
    g->outputs = int32_items(out);
    return ER_OK;
}

static er_status check_tensor_maps(const er_subgraph *g, er_fb_table f, int field, int32_t n, edgert_error *error)
{
    for (int32_t i = 0; i < n; i++) {
        uint32_t t = er_fb_u32(er_fb_item(f, field, (uint32_t)i), TENSOR_MAP_TENSOR, 0);
        if (t >= (uint32_t)g->n_tensors)
            return er_fail(error, EDGERT_ERROR_MODEL, "it names tensor %u, but the subgraph has %d", t, g->n_tensors);
    }
    return ER_OK;
}

static er_status read_signature(edgert_model *m, er_signature *s, er_fb_table f, edgert_error *error)
{
    uint32_t subgraph = er_fb_u32(f, SIGNATURE_SUBGRAPH, 0);
    if (subgraph >= (uint32_t)m->n_subgraphs)
        return er_fail(error, EDGERT_ERROR_MODEL, "it names subgraph %u, but the model has %d", subgraph, m->n_subgraphs);
    *s = (er_signature){er_fb_string(f, SIGNATURE_KEY), (int32_t)subgraph, (int32_t)er_fb_vec(f, SIGNATURE_INPUTS).n,
                        (int32_t)er_fb_vec(f, SIGNATURE_OUTPUTS).n, f};
    ER_TRY(check_tensor_maps(&m->subgraphs[subgraph], f, SIGNATURE_INPUTS, s->n_inputs, error));
    return check_tensor_maps(&m->subgraphs[subgraph], f, SIGNATURE_OUTPUTS, s->n_outputs, error);
}

static er_status read_model(edgert_model *m, edgert_error *error)
{
    er_fb b = {m->data, m->size};
    // Only the part that offsets can reach is a FlatBuffer; files beyond 2 GiB keep their buffers behind it.
    if (b.size > INT32_MAX) b.size = INT32_MAX;
    ER_TRY(er_fb_verify(b, "TFL3", &er_schema_model, error));
    m->root = er_fb_root(b);
    uint32_t version = er_fb_u32(m->root, MODEL_VERSION, 0);
    if (version != 3) return er_fail(error, EDGERT_ERROR_MODEL, "schema version %u, expected 3", version);
    m->description = er_fb_string(m->root, MODEL_DESCRIPTION);
    m->n_subgraphs = (int32_t)er_fb_vec(m->root, MODEL_SUBGRAPHS).n;
    m->n_signatures = (int32_t)er_fb_vec(m->root, MODEL_SIGNATURES).n;
    if (!m->n_subgraphs) return er_fail(error, EDGERT_ERROR_MODEL, "the model has no subgraph");
    er_status status = ER_OK;
    m->subgraphs = heap_alloc(m, (size_t)m->n_subgraphs, sizeof *m->subgraphs, &status, error);
    ER_TRY(status);
    m->signatures = heap_alloc(m, (size_t)m->n_signatures, sizeof *m->signatures, &status, error);
    ER_TRY(status);
    for (int32_t i = 0; i < m->n_subgraphs; i++) {
        status = read_subgraph(m, &m->subgraphs[i], er_fb_item(m->root, MODEL_SUBGRAPHS, (uint32_t)i), error);
        if (status != ER_OK) {
            if (m->n_subgraphs > 1) er_prefix(error, "subgraph %d: ", i);
            return status;
        }
    }
    for (int32_t i = 0; i < m->n_signatures; i++) {
        status = read_signature(m, &m->signatures[i], er_fb_item(m->root, MODEL_SIGNATURES, (uint32_t)i), error);
        if (status != ER_OK) {
            er_prefix(error, "signature %d: ", i);
            return status;
        }
    }
    uint32_t n = er_fb_vec(m->root, MODEL_METADATA).n;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *data;
        size_t size;
        ER_TRY(read_buffer(m, er_fb_u32(er_fb_item(m->root, MODEL_METADATA, i), METADATA_BUFFER, 0), &data, &size, error));
    }
    return ER_OK;
}

// Takes `mapped` over, whatever happens.
static edgert_model *open_model(const void *data, size_t size, void *mapped, edgert_error *error)
{
    edgert_model *m = calloc(1, sizeof *m);
    er_store *packed = er_store_new(size + size / 8);     // what is packed is about what is in the file
    if (!m || !packed) {
        free(m);
        er_store_free(packed);
        er_file_unmap(mapped, size);
        er_fail(error, EDGERT_ERROR_MEMORY, "out of memory");
        return NULL;
    }
    m->packed = packed;
    atomic_init(&m->references, 1);
    m->data = data;
    m->size = size;
    m->mapped = mapped;
    if (read_model(m, error) == ER_OK) return m;
    edgert_model_close(m);
    return NULL;
}

edgert_model *er_model_map(const char *path, edgert_error *error)
{
    void *data;
    size_t size;
    if (er_file_map(path, &data, &size, error) != ER_OK) return NULL;
    return open_model(data, size, data, error);
}

edgert_model *er_model_view(const void *data, size_t bytes, edgert_error *error)
{
    if ((uintptr_t)data % 4) {
        er_fail(error, EDGERT_ERROR_ARGUMENT, "the model's memory must be 4-byte aligned");
        return NULL;
    }
    return open_model(data, bytes, NULL, error);
}

void er_model_retain(edgert_model *m) { atomic_fetch_add_explicit(&m->references, 1, memory_order_relaxed); }

void edgert_model_close(edgert_model *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) != 1) return;
    er_file_unmap(m->mapped, m->size);
    er_heap_free(&m->heap);
    er_store_free(m->packed);
    free(m);
}

int32_t edgert_model_subgraphs(const edgert_model *m) { return m->n_subgraphs; }
const char *edgert_model_description(const edgert_model *m) { return m->description; }

const void *edgert_model_metadata(const edgert_model *m, const char *name, size_t *bytes)
{
    uint32_t n = er_fb_vec(m->root, MODEL_METADATA).n;
    for (uint32_t i = 0; i < n; i++) {
        er_fb_table f = er_fb_item(m->root, MODEL_METADATA, i);
        if (strcmp(er_fb_string(f, METADATA_NAME), name)) continue;
        const uint8_t *data = NULL;
        if (read_buffer(m, er_fb_u32(f, METADATA_BUFFER, 0), &data, bytes, NULL) == ER_OK) return data;
    }
    *bytes = 0;
    return NULL;
}

int32_t edgert_model_signatures(const edgert_model *m) { return m->n_signatures; }

edgert_signature_info edgert_model_signature(const edgert_model *m, int32_t i)
{
    if (i < 0 || i >= m->n_signatures) return (edgert_signature_info){"", -1, 0, 0};
    const er_signature *s = &m->signatures[i];
    return (edgert_signature_info){s->key, s->subgraph, s->n_inputs, s->n_outputs};
}

static const char *signature_tensor(const edgert_model *m, int32_t s, int32_t i, bool input, int32_t *tensor)
{
    *tensor = -1;
    if (s < 0 || s >= m->n_signatures) return NULL;
    const er_signature *g = &m->signatures[s];
    if (i < 0 || i >= (input ? g->n_inputs : g->n_outputs)) return NULL;
    er_fb_table f = er_fb_item(g->table, input ? SIGNATURE_INPUTS : SIGNATURE_OUTPUTS, (uint32_t)i);
    *tensor = (int32_t)er_fb_u32(f, TENSOR_MAP_TENSOR, 0);
    return er_fb_string(f, TENSOR_MAP_NAME);
}

const char *edgert_signature_input(const edgert_model *m, int32_t s, int32_t i, int32_t *tensor)
{
    return signature_tensor(m, s, i, true, tensor);
}

const char *edgert_signature_output(const edgert_model *m, int32_t s, int32_t i, int32_t *tensor)
{
    return signature_tensor(m, s, i, false, tensor);
}
