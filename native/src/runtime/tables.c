// Operators that make one number of one number, from bytes to bytes, are a table of 256 bytes, however many follow each other and
// whatever lies between them: CAST, QUANTIZE, SUB of a constant and MUL by one, as a picture comes in; DEQUANTIZE, SQRT,
// QUANTIZE. The table is what the operators themselves make of the 256 bytes, so that no bit is another.
#include <string.h>

#include "base/memory.h"
#include "runtime/rewrite.h"

enum { ADD = 0, DEQUANTIZE = 6, LOGISTIC = 14, MUL = 18, RELU = 19, RELU_N1_TO_1 = 20, RELU6 = 21, TANH = 28, SUB = 41, DIV = 42, CAST = 53, SQRT = 75,
       LEAKY_RELU = 98, QUANTIZE = 114, HARD_SWISH = 117 };
enum { BYTES = 256, WORTH_A_TABLE = 1024 };

static bool is_byte_or_float(const er_tensor *t) { return er_is_8bit(t) || t->def->type == EDGERT_FLOAT32; }

// A constant of which all elements are the same.
static bool is_one_value(const er_tensor *t)
{
    if (!t || !t->constant || !t->count || !t->data) return false;
    size_t each = t->bytes / t->count;
    for (size_t i = 1; i < t->count; i++)
        if (memcmp(t->data, er_u8(t) + i * each, each)) return false;
    return true;
}

// Whether each element of the output depends on one element of one input, `*variable`, and on constants.
static bool is_function(const er_op *op, int32_t *variable)
{
    *variable = 0;
    if (op->n_outputs != 1 || op->fused_into || !op->n_inputs || !op->inputs[0] || !is_byte_or_float(op->outputs[0])) return false;
    switch (op->def->builtin) {
    case DEQUANTIZE:
        if (op->inputs[0]->def->quant.n != 1) return false;
        break;
    case LOGISTIC: case RELU: case RELU_N1_TO_1: case RELU6: case TANH: case CAST: case SQRT: case LEAKY_RELU: case QUANTIZE: case HARD_SWISH: break;
    case ADD: case SUB: case MUL: case DIV:
        if (op->n_inputs != 2 || !op->inputs[1]) return false;
        *variable = is_one_value(op->inputs[1]) ? 0 : 1;
        if (!is_one_value(op->inputs[!*variable])) return false;
        break;
    default: return false;
    }
    const er_tensor *x = op->inputs[*variable];
    return !x->constant && is_byte_or_float(x) && x->count == op->outputs[0]->count;
}

// Applies the operator to 256 elements: another one like it, prepared for these.
static er_status apply(er_prepare *p, edgert_interpreter *it, const er_op *op, int32_t variable, void *x, void *y)
{
    er_tensor in[2], out = *op->outputs[0], *inputs[2] = {&in[0], &in[1]}, *outputs[1] = {&out};
    for (int32_t i = 0; i < op->n_inputs; i++) {
        in[i] = *op->inputs[i];
        const size_t each = er_is_8bit(&in[i]) ? 1 : sizeof(float), n = i == variable ? BYTES : 1;
        in[i].rank = i == variable;
        in[i].dims[0] = BYTES;
        in[i].count = n;
        in[i].bytes = n * each;
        if (i == variable) in[i].data = x;
    }
    out.data = y;
    out.has_shape = false;
    er_op one = {.def = op->def, .n_inputs = op->n_inputs, .n_outputs = 1, .inputs = inputs, .outputs = outputs, .fault = op->fault};
    ER_TRY(er_op_type_of(op->def)->prepare(p, &one));
    return er_run_now(it, &one, p->error);
}

// The n operators of `chain` become the table of the last one.
static er_status make_table(er_prepare *p, edgert_interpreter *it, er_op *const *chain, size_t n)
{
    float numbers[2][BYTES];        // of bytes or floats
    uint8_t *bytes = (uint8_t *)(void *)numbers[0], *table;
    int32_t variable;
    for (int32_t i = 0; i < BYTES; i++) bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < n; i++) {
        is_function(chain[i], &variable);
        ER_TRY(apply(p, it, chain[i], variable, numbers[i % 2], numbers[(i + 1) % 2]));
    }
    er_op *last = chain[n - 1];
    is_function(chain[0], &variable);
    er_tensor *x = chain[0]->inputs[variable];
    bytes = (uint8_t *)(void *)numbers[n % 2];
    ER_TRY(er_use_table(p, last, &table));
    memcpy(table, bytes, BYTES);
    bool same = true;
    for (int32_t i = 0; i < BYTES; i++) same = same && table[i] == i;
    last->inputs[0] = x;
    last->n_inputs = 1;
    last->scratch_bytes = last->shared_bytes = 0;
    if (same) er_use_view(last);
    for (size_t i = 0; i + 1 < n; i++) {
        chain[i]->fused_into = last;
        chain[i]->outputs[0]->inside = true;
    }
    return ER_OK;
}

er_status er_fuse_tables(er_prepare *p, edgert_interpreter *it)
{
    enum { LONGEST = 32 };
    for (int32_t i = 0; i < it->graph->n_ops; i++) {
        er_op *chain[LONGEST] = {&it->ops[i]};
        size_t length = 0;          // of the chain as far as it ends with bytes
        int32_t variable;
        if (!is_function(chain[0], &variable) || !er_is_8bit(chain[0]->inputs[variable])) continue;
        if (chain[0]->outputs[0]->count < WORTH_A_TABLE && !it->session->all_rewrites) continue;
        for (size_t n = 1;; n++) {
            const er_tensor *y = chain[n - 1]->outputs[0];
            if (er_is_8bit(y)) length = n;
            const er_use *use = &it->uses[y->index];
            if (n == LONGEST || use->readers != 1 || use->reader < 0) break;
            chain[n] = &it->ops[use->reader];
            if (!is_function(chain[n], &variable) || chain[n]->inputs[variable] != y) break;
        }
        // One operator is a table as it is, unless it reads constants too.
        if (length > 1 || (length == 1 && chain[0]->n_inputs > 1)) ER_TRY(make_table(p, it, chain, length));
    }
    return ER_OK;
}
