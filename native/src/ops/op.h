// An operator at work: its tensors, what prepare has made of its attributes, and the function that runs it.
//
// One file an operator (or a family with one body). Prepare checks attributes and types, infers shapes, derives
// multipliers and packs weights into memory of the plan; run only computes. Fields of tensors that change between plans
// (data) are read in run, never kept.
#ifndef ER_OP_H
#define ER_OP_H

#include "base/checked.h"
#include "base/memory.h"
#include "base/pool.h"
#include "format/model.h"
#include "format/options.h"
#include "kernels/kernels.h"

typedef struct er_tensor {
    const er_tensor_def *def;
    int32_t index;
    int32_t rank;
    int32_t dims[ER_MAX_RANK];
    size_t count, bytes;
    void *data;                 // of constants set before prepare; others are in the arena and get theirs after it
    bool constant;              // comes from the model, or was computed from constants when the plan was made
    bool known;                 // has its value while operators are prepared: a constant, or computed by an earlier stage of the plan
    bool flipped;               // the top bit of its 8-bit values is inverted in memory, as kernels like it (er_kernels)
    bool inside;                // lies between two operators that run as one: has no memory
    const void *initial;        // of a variable: what it begins with, where that is not zeros
    bool has_shape;             // an operator before gave it its shape, or it is an input or constant
} er_tensor;

typedef struct er_op er_op;
typedef struct er_host er_host;

// What went wrong while the graph ran: values that an operator cannot do with. Its outputs are then something, and the rest runs on.
typedef struct er_fault { const er_op *op; const char *what; er_status code; } er_fault;

// Not a failure: prepare needs a value that is computed by an operator before it. It is prepared again when that one has run.
#define ER_LATER ((er_status)1000)

typedef void (*er_run)(const er_op *op, er_pool *pool);

// In either case run must also be right where the planner gave the two memory of their own.
typedef enum er_share {
    ER_SHARE_NO = 0,
    ER_SHARE_VIEW,              // the bytes are the same: run copies them where the pointers differ
    ER_SHARE_IN_PLACE,          // run reads each element before it writes it; allowed where the input is not needed later
} er_share;

struct er_op {
    const er_op_def *def;
    int32_t n_inputs, n_outputs;
    er_tensor **inputs, **outputs;      // an input left out is NULL
    er_run run;
    void *state;                // belongs to run
    size_t scratch_bytes, shared_bytes;     // asked for by prepare: for each thread, and for all together
    uint8_t *scratch, *shared;  // during invoke only: threads * scratch_stride bytes, and shared_bytes
    size_t scratch_stride;
    er_share share;             // whether output 0 may have the memory of input 0
    int64_t macs;
    const char *kernel;         // for the profile: what runs, in two or three words
    er_fault *fault;            // the interpreter's; see er_op_fault
    const er_op *fused_into;    // another operator does this one's work
    void *memory;               // what it remembers from one invoke to the next: plan memory, 0 at first and when variables are reset
    size_t memory_bytes;
    bool stateful;              // does more than compute its outputs: not run when the plan is made
    er_op *pad;                 // the PAD that writes input 0 for this operator alone, or NULL: prepare may take its work over (pad.h)
};

// What prepare works with.
typedef struct er_prepare {
    er_heap *heap;              // lives as long as the plan
    er_store *packed;           // lives as long as the model
    const er_kernels *kernels;
    int threads;
    edgert_error *error;
    er_host *host;              // ops/host.h
    bool *asked;                // [tensors]: the ones of which er_expect_values was asked
    size_t memory_limit;        // bytes of one tensor
} er_prepare;

// What the types of the first two inputs may be.
typedef enum er_pair { ER_PAIR_FREE, ER_PAIR_SAME, ER_PAIR_WEIGHTS /* or weights of fewer bits */ } er_pair;

// Which 8-bit tensors an operator can do with that are stored flipped (er_tensor.flipped).
typedef enum er_storage {
    ER_STORAGE_AS_TYPE,         // none
    ER_STORAGE_FIRST,           // its first input, and its outputs; each or not
    ER_STORAGE_ANY,             // its inputs and outputs; each or not
    ER_STORAGE_SAME,            // its first input and its outputs: all or none
    ER_STORAGE_ALL,             // its inputs and outputs: all or none
} er_storage;

typedef struct er_op_type {
    er_status (*prepare)(er_prepare *p, er_op *op);
    uint32_t types;             // of the first input
    er_pair pair;               // types of the first two inputs together
    er_storage storage;
} er_op_type;

// NULL where edgert does not have it.
const er_op_type *er_op_type_of(const er_op_def *op);

// Last step of opening: settles types that follow from operators, and fails with one message that names every operator and
// type of the model that edgert lacks.
er_status er_check_supported(edgert_model *m, edgert_error *error);

// ---- masks of types

#define ER_T(type) (UINT32_C(1) << (type))
enum {
    ER_8BIT = ER_T(EDGERT_INT8) | ER_T(EDGERT_UINT8),
    ER_FLOAT = ER_T(EDGERT_FLOAT32),
    ER_QUANTIZED_OR_FLOAT = ER_8BIT | ER_FLOAT,
    ER_16BIT = ER_T(EDGERT_INT16),
    ER_BOOL = ER_T(EDGERT_BOOL),
    ER_INTS = ER_T(EDGERT_INT32) | ER_T(EDGERT_INT64),
    ER_INDEX = ER_T(EDGERT_INT32) | ER_T(EDGERT_INT64),
    ER_EVERY = -1,
    ER_CASTS = ER_QUANTIZED_OR_FLOAT | ER_INDEX | ER_16BIT | ER_BOOL | ER_T(EDGERT_FLOAT16) | ER_T(EDGERT_UINT32) | ER_T(EDGERT_UINT16) |
               ER_T(EDGERT_FLOAT64) | ER_T(EDGERT_BFLOAT16) | ER_T(EDGERT_COMPLEX64),
    // What operators that only move data take.
    ER_ANY = ER_CASTS | ER_T(EDGERT_UINT64) | ER_T(EDGERT_COMPLEX128),
};

// ---- for prepare

// A failure of this operator; `what` says what was found, what was expected, and what to do.
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
er_status er_op_fail(er_prepare *p, er_status code, const char *what, ...);

void *er_alloc(er_prepare *p, size_t bytes, er_status *status);     // zeroed; plan memory

// Packed weights: made by `pack` in memory of the model, once for all interpreters with the same key; or, where the weights are not
// the model's own, in plan memory. They may come from a file that another process wrote: keys begin with er_pack_key, are cleared before they are set,
// and hold no addresses.
typedef struct er_pack_key { char isa[12], kind; int32_t weights, other; } er_pack_key;
er_pack_key er_pack_key_of(const er_prepare *p, char kind, const er_tensor_def *weights, const er_tensor_def *other);
const void *er_pack_once(er_prepare *p, const er_tensor *weights, const er_tensor *bias, const void *key, size_t key_bytes, size_t bytes,
                   void (*pack)(void *arg, void *packed), void *arg, er_status *status);

// Between least and most tensors, all there but for inputs from `required` on.
er_status er_expect_io(er_prepare *p, const er_op *op, int32_t least_in, int32_t most_in, int32_t out);
er_status er_expect_type(er_prepare *p, const er_tensor *t, edgert_type type, const char *role);
er_status er_expect_rank(er_prepare *p, const er_tensor *t, int32_t rank, const char *role);
// Its value can be read now: it is a constant, or has been computed. ER_LATER where it will be.
er_status er_expect_values(er_prepare *p, const er_tensor *t, const char *role);
er_status er_expect_quantized(er_prepare *p, const er_tensor *t, const char *role);     // per tensor, scale > 0
er_status er_expect_symmetric(er_prepare *p, const er_tensor *t, const char *role);     // the same, and zero point 0
// Equal scale and zero point; expected where they are quantized at all.
bool er_same_quantization(const er_tensor *a, const er_tensor *b);
er_status er_expect_same_quantization(er_prepare *p, const er_tensor *a, const er_tensor *b);
er_status er_set_shape(er_prepare *p, er_tensor *t, const int32_t *dims, int32_t rank);
er_status er_set_same_shape(er_prepare *p, er_tensor *t, const er_tensor *as);

// Values of an int32 (or int64) tensor; at most ER_MAX_RANK of them, `*n` is set.
er_status er_read_ints(er_prepare *p, const er_tensor *t, const char *role, int32_t *values, int32_t *n);
// -rank <= axis < rank becomes 0 <= axis.
er_status er_resolve_axis(er_prepare *p, int32_t axis, int32_t rank, int32_t *out);

static inline bool er_is_8bit(const er_tensor *t) { return t->def->type == EDGERT_INT8 || t->def->type == EDGERT_UINT8; }
static inline bool er_is_signed(const er_tensor *t) { return t->def->type != EDGERT_UINT8; }
// The range of a quantized type, and the value that one of its bytes stands for.
static inline bool er_is_16bit(const er_tensor *t) { return t->def->type == EDGERT_INT16; }
static inline int32_t er_lowest(const er_tensor *t) { return er_is_16bit(t) ? INT16_MIN : er_is_signed(t) ? INT8_MIN : 0; }
static inline int32_t er_highest(const er_tensor *t) { return er_is_16bit(t) ? INT16_MAX : er_is_signed(t) ? INT8_MAX : UINT8_MAX; }
static inline int32_t er_byte_value(const er_tensor *t, int32_t byte) { return er_is_signed(t) ? (int8_t)byte : byte; }
// What the bytes of an 8-bit tensor are in memory.
static inline bool er_stored_signed(const er_tensor *t) { return er_is_signed(t) != t->flipped; }
static inline int32_t er_stored_offset(const er_tensor *t) { return !t->flipped ? 0 : er_is_signed(t) ? 128 : -128; }
static inline float er_scale(const er_tensor *t) { return t->def->quant.n ? t->def->quant.scale[0] : 0; }
static inline int32_t er_zero(const er_tensor *t) { return t->def->quant.n_zero ? (int32_t)t->def->quant.zero[0] : 0; }
static inline int32_t er_stored_zero(const er_tensor *t) { return er_zero(t) + er_stored_offset(t); }

// Zero point and range of outputs after the fused activation, as they are stored.
er_status er_activation_output(er_prepare *p, er_activation a, const er_tensor *y, er_output *o);
er_status er_activation_floats(er_prepare *p, er_activation a, float *min, float *max);

// SAME or VALID: output size (0 where the filter does not fit) and padding before.
typedef struct er_window { int32_t out, before; } er_window;
er_status er_place_window(er_prepare *p, er_padding padding, int32_t in, int32_t filter, int32_t stride, int32_t dilation, er_window *w);

// Output 0, whose shape is set, is a constant from here on: its memory, to be filled now.
void *er_constant_output(er_prepare *p, er_op *op, er_status *status);

// What an operator's scratch takes: that of all threads, and with what they share. False where that is more than can be addressed.
bool er_scratch_bytes(const er_op *op, size_t threads, size_t *own, size_t *bytes);

// ---- for run

static inline int8_t *er_i8(const er_tensor *t) { return t->data; }
static inline uint8_t *er_u8(const er_tensor *t) { return t->data; }
static inline int32_t *er_i32(const er_tensor *t) { return t->data; }
static inline float *er_f32(const er_tensor *t) { return t->data; }

// Makes the invoke fail with this message, a constant string.
void er_op_fault(const er_op *op, const char *what);

// An 8-bit function of one value: 256 outputs, by input byte. Sets run.
er_status er_use_table(er_prepare *p, er_op *op, uint8_t **table);
void er_run_table(const er_op *op, er_pool *pool);      // what it sets run to

// Sets run to copying input 0 to output 0, or nothing where they share memory.
void er_use_view(er_op *op);

// Whether `work`, about so many multiply-adds, is worth waking the pool's threads.
static inline bool er_is_shared(const er_pool *pool, double work) { return work >= (double)er_pool_grain(pool); }

// Calls fn for every 0 <= i < n; on the pool's threads where `work` is worth it.
void er_for(er_pool *pool, size_t n, double work, void (*fn)(void *arg, size_t i, int thread), void *arg);

// A cancelled invoke, or one beyond its time limit, ends with the tasks that have begun, none of which may take long. How many outputs one may have, at
// least 1, that take so many multiply-adds each:
size_t er_longest_task(size_t macs);

// And for loops within a task: whether it has to end, looked at as often as that. `macs` have been added since the last call.
typedef struct { const er_pool *pool; size_t macs; } er_watch;
bool er_watch_ends(er_watch *w, size_t macs);

// Like er_for, for spans [from, to) of n elements, each of which takes about `cost` nanoseconds.
void er_for_spans(er_pool *pool, size_t n, double cost, void (*fn)(const er_op *op, size_t from, size_t to), const er_op *op);

#endif
