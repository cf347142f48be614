// edgert: run quantized neural networks (.tflite) with the bytes of TFLite's reference kernels.
//
// The whole public C API. Objects are opaque; every function that can fail takes an `edgert_error *`, which may be
// NULL, and sets it only on failure.
//
// Thread safety: an `edgert_model` is immutable and may be used from any number of threads. An `edgert_interpreter`
// belongs to one thread at a time. There is no other state.
#ifndef EDGERT_H
#define EDGERT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The library hides all but what this header declares. (On Windows, CMake exports it.)
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

// [cffi] What lies between this line and the closing one is read by edgert/binding/build.py as well: plain
// declarations only, no preprocessor.

typedef enum edgert_status {
    EDGERT_OK = 0,
    EDGERT_ERROR_IO = 1,            // a file cannot be opened or read
    EDGERT_ERROR_MODEL = 2,         // the model is malformed
    EDGERT_ERROR_UNSUPPORTED = 3,   // sound, but it needs an operator, type or attribute that edgert lacks
    EDGERT_ERROR_ARGUMENT = 4,      // the caller passed a wrong index, shape, size or state
    EDGERT_ERROR_MEMORY = 5,        // not enough memory, or more than the limit
    EDGERT_ERROR_CANCELLED = 6,     // the invoke was cancelled, or took longer than its time limit
} edgert_status;

typedef struct edgert_error {
    edgert_status code;
    char message[4092];             // one line, NUL-terminated
} edgert_error;

// Element types, numbered as in the .tflite schema.
typedef enum edgert_type {
    EDGERT_FLOAT32 = 0, EDGERT_FLOAT16 = 1, EDGERT_INT32 = 2, EDGERT_UINT8 = 3, EDGERT_INT64 = 4, EDGERT_STRING = 5,
    EDGERT_BOOL = 6, EDGERT_INT16 = 7, EDGERT_COMPLEX64 = 8, EDGERT_INT8 = 9, EDGERT_FLOAT64 = 10,
    EDGERT_COMPLEX128 = 11, EDGERT_UINT64 = 12, EDGERT_RESOURCE = 13, EDGERT_VARIANT = 14, EDGERT_UINT32 = 15,
    EDGERT_UINT16 = 16, EDGERT_INT4 = 17, EDGERT_BFLOAT16 = 18, EDGERT_INT2 = 19,
} edgert_type;

typedef struct edgert_model edgert_model;
typedef struct edgert_interpreter edgert_interpreter;

// What a tensor is. Pointers stay valid as long as the interpreter; `dims` until the next resize or allocate.
typedef struct edgert_tensor_info {
    const char *name;               // never NULL; "" where the model has none
    edgert_type type;
    int32_t rank;                   // 0 is a scalar
    const int32_t *dims;            // [rank], the present shape
    int32_t signature_rank;         // rank of the shape as declared, -1 in it where a size is open
    const int32_t *signature;       // [signature_rank]
    int32_t scales;                 // number of scales: 0 not quantized, 1 per tensor, more: per channel
    const float *scale;             // [scales]
    int32_t zero_points;            // number of zero points
    const int64_t *zero_point;      // [zero_points]
    int32_t quantized_dimension;
    int32_t is_constant;            // 1: the values come from the model file
    int32_t is_variable;            // 1: keeps its value between invokes
    size_t bytes;                   // size of the data in the present shape
} edgert_tensor_info;

// What an operator is. Pointers stay valid as long as the model.
typedef struct edgert_op_info {
    const char *name;               // "CONV_2D", or a custom operator's own name
    int32_t n_inputs;
    const int32_t *inputs;          // [n_inputs] tensor indices, -1 where an optional input is left out
    int32_t n_outputs;
    const int32_t *outputs;         // [n_outputs]
    int64_t macs;                   // multiply-adds of one inference; 0 before allocate and where it has no meaning
    const char *kernel;             // how it runs: "matrix product", "table" ...; "" before allocate
    int32_t fused_into;             // the operator that does this one's work as well; -1: it runs itself
} edgert_op_info;

typedef struct edgert_signature_info {
    const char *key;
    int32_t subgraph;
    int32_t n_inputs;
    int32_t n_outputs;
} edgert_signature_info;

typedef struct edgert_options {
    int32_t num_threads;            // 1 or more; 0: one
    int32_t preserve_all_tensors;   // 1: middle tensors keep their values after invoke
    int32_t max_depth;              // how deep subgraphs may call each other; 0: 32
    int64_t max_iterations;         // of one WHILE; 0: any number
    uint64_t memory_limit;          // bytes for all tensors; 0: what the environment variable EDGERT_MEMORY_LIMIT says, or what the machine has
} edgert_options;

typedef struct edgert_memory_info {
    size_t arena;                   // bytes for tensors that are not constant, and scratch
    size_t packed;                  // bytes for packed weights, shared by all interpreters of the model
    size_t plan;                    // bytes for what planning keeps besides: operators, tensors, tables
    size_t model;                   // bytes of the model file
} edgert_memory_info;

// The version of this library, "MAJOR.MINOR.PATCH".
const char *edgert_version(void);

// The instruction sets compiled into this library, best last, separated by spaces ("generic avx2 avx512vnni").
const char *edgert_isas_built(void);

// The one in use: the best that this CPU has, or what the environment variable EDGERT_ISA names. NULL with an error
// where that variable names one that is unknown or that this CPU lacks.
const char *edgert_isa(edgert_error *error);

// Opens a model file: maps it, verifies it whole, and refuses unknown operators and types, all in one message.
edgert_model *edgert_model_open(const char *path, edgert_error *error);

// The same from memory. `data` must be 4-byte aligned and stay unchanged until the model and all its interpreters are closed.
edgert_model *edgert_model_from_memory(const void *data, size_t bytes, edgert_error *error);

// Gives up the caller's hold; the memory goes when the last interpreter is closed too. NULL is allowed.
void edgert_model_close(edgert_model *model);

// Weights as kernels read them, kept in a file of their own: they need not be packed again, and processes share its pages. `load`, before the first interpreter
// is made, takes what `save` wrote for a model with these bytes by this library; it returns 0 where it takes nothing: there is no such file, it is of another model
// or library, or damaged. `save`, when interpreters are planned, writes what has been packed, by way of a temporary file, unless the file has it all. Its bytes are
// trusted as the library's are: keep it where only those can write who may change the program.
int32_t edgert_model_load_weights(edgert_model *model, const char *path);
edgert_status edgert_model_save_weights(edgert_model *model, const char *path, edgert_error *error);

int32_t edgert_model_subgraphs(const edgert_model *model);
const char *edgert_model_description(const edgert_model *model);

// A named metadata buffer of the model: its bytes (valid as long as the model), or NULL where there is none.
const void *edgert_model_metadata(const edgert_model *model, const char *name, size_t *bytes);

int32_t edgert_model_signatures(const edgert_model *model);
edgert_signature_info edgert_model_signature(const edgert_model *model, int32_t index);
// Name of input or output `i` of a signature, and its tensor's index.
const char *edgert_signature_input(const edgert_model *model, int32_t signature, int32_t i, int32_t *tensor);
const char *edgert_signature_output(const edgert_model *model, int32_t signature, int32_t i, int32_t *tensor);

// An interpreter for the model's first subgraph. `options` may be NULL.
edgert_interpreter *edgert_interpreter_new(edgert_model *model, const edgert_options *options, edgert_error *error);
void edgert_interpreter_close(edgert_interpreter *interpreter);

// The interpreter of another subgraph, which shares variables, tables, threads and limits with this one and is closed with it. One at a
// time may be used.
edgert_interpreter *edgert_interpreter_subgraph(edgert_interpreter *interpreter, int32_t subgraph, edgert_error *error);

// The model that it was made from, which it holds. More interpreters of one model share its file and packed weights.
edgert_model *edgert_interpreter_model(const edgert_interpreter *interpreter);

// Plans: shapes, multipliers, packed weights, one arena. Must come before tensor data is touched, and again after a
// resize, which drops the plan and all values. Does nothing where there is a plan.
edgert_status edgert_allocate(edgert_interpreter *interpreter, edgert_error *error);

// Gives input tensor `tensor` the shape `dims`[rank]. `strict`: only sizes that the model declares open may change.
edgert_status edgert_resize_input(edgert_interpreter *interpreter, int32_t tensor, const int32_t *dims, int32_t rank,
                                  int32_t strict, edgert_error *error);

// One inference. Runs on the caller's thread and num_threads - 1 others; allocates nothing, but for models in which shapes depend on
// data, whose tensors have their shapes, and memory, after it.
edgert_status edgert_invoke(edgert_interpreter *interpreter, edgert_error *error);

// From another thread: the invoke or allocation that runs now ends with EDGERT_ERROR_CANCELLED, before long: it is looked at between operators and in their
// long loops. Without one that runs it does nothing.
void edgert_cancel(edgert_interpreter *interpreter);

// How long an invoke may take, and an allocation, which computes what depends on constants alone; looked at in the same places. 0: any time.
void edgert_set_time_limit(edgert_interpreter *interpreter, uint64_t nanoseconds);

int32_t edgert_inputs(const edgert_interpreter *interpreter);
int32_t edgert_outputs(const edgert_interpreter *interpreter);
// Tensor index of input or output `i`; -1 where `i` is out of range.
int32_t edgert_input(const edgert_interpreter *interpreter, int32_t i);
int32_t edgert_output(const edgert_interpreter *interpreter, int32_t i);

int32_t edgert_tensors(const edgert_interpreter *interpreter);
edgert_status edgert_tensor(const edgert_interpreter *interpreter, int32_t tensor, edgert_tensor_info *info, edgert_error *error);

// The tensor's memory, or NULL with an error where it has none at present: before allocate, or a middle tensor of
// which the memory is reused. Constant tensors must not be written.
void *edgert_tensor_data(const edgert_interpreter *interpreter, int32_t tensor, edgert_error *error);

// Copies `bytes` bytes, which must be the tensor's size, in or out.
edgert_status edgert_tensor_set(edgert_interpreter *interpreter, int32_t tensor, const void *data, size_t bytes, edgert_error *error);
edgert_status edgert_tensor_get(const edgert_interpreter *interpreter, int32_t tensor, void *data, size_t bytes, edgert_error *error);

// Sets variable tensors to their zero point.
edgert_status edgert_reset_variables(edgert_interpreter *interpreter, edgert_error *error);

int32_t edgert_ops(const edgert_interpreter *interpreter);
edgert_status edgert_op(const edgert_interpreter *interpreter, int32_t op, edgert_op_info *info, edgert_error *error);

edgert_memory_info edgert_memory(const edgert_interpreter *interpreter);

// Profiling adds two clock readings an operator. `edgert_profile_get` gives the time spent in operator `op`, in
// nanoseconds, summed over the invokes since profiling was switched on.
void edgert_profile(edgert_interpreter *interpreter, int32_t on);
uint64_t edgert_profile_get(const edgert_interpreter *interpreter, int32_t op);

// ---- operators of your own

// What an operator is called with; valid during the call.
typedef struct edgert_op_call edgert_op_call;

typedef struct edgert_op_tensor {
    edgert_type type;
    int32_t rank;                   // -1: an optional input that the model leaves out
    const int32_t *dims;            // [rank]
    size_t bytes;
    void *data;                     // NULL in prepare, but for constants. Inputs must not be written.
    float scale;                    // 0 where it is not quantized per tensor
    int32_t zero_point;
} edgert_op_tensor;

// A custom operator. `prepare` (may be NULL) is called when a model is planned: it checks its inputs and sets the shapes of outputs, which
// are the model's own otherwise. `invoke` computes the outputs, on the thread that calls edgert_invoke. Both return EDGERT_OK, or what
// edgert_call_fail returns.
typedef struct edgert_op_definition {
    const char *name;               // as in the model's custom code; copied
    edgert_status (*prepare)(edgert_op_call *call, void *user);
    edgert_status (*invoke)(edgert_op_call *call, void *user);
    void *user;
} edgert_op_definition;

// Makes an operator known to the models that are opened from now on, in the whole process; takes the place of one with that name. May be
// called from any thread.
edgert_status edgert_register_op(const edgert_op_definition *definition, edgert_error *error);

int32_t edgert_call_inputs(const edgert_op_call *call);
int32_t edgert_call_outputs(const edgert_op_call *call);
edgert_op_tensor edgert_call_input(const edgert_op_call *call, int32_t i);
edgert_op_tensor edgert_call_output(const edgert_op_call *call, int32_t i);

// The operator's custom options, as they are in the model.
const void *edgert_call_options(const edgert_op_call *call, size_t *bytes);

// In prepare: the shape of output `i`.
edgert_status edgert_call_set_shape(edgert_op_call *call, int32_t i, const int32_t *dims, int32_t rank);

// Says what is wrong, in one sentence; to be returned.
edgert_status edgert_call_fail(edgert_op_call *call, const char *message);

// [/cffi]

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#define EDGERT_VERSION_MAJOR 0
#define EDGERT_VERSION_MINOR 1
#define EDGERT_VERSION_PATCH 0

#ifdef __cplusplus
}
#endif
#endif
