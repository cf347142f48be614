// The table of operators, and the check of a whole model against it.
#include <stdio.h>
#include <string.h>

#include "format/schema.h"
#include "ops/custom.h"

#define ER_OP(number, name, function, types, pair, storage) er_status function(er_prepare *p, er_op *op);
#define ER_CUSTOM(name, function, types) er_status function(er_prepare *p, er_op *op);
#include "ops/ops.def"
#undef ER_OP
#undef ER_CUSTOM

static const er_op_type op_types[ER_BUILTINS] = {
#define ER_OP(number, name, function, types, pair, storage) [number] = {function, types, pair, ER_STORAGE_##storage},
#define ER_CUSTOM(name, function, types)
#include "ops/ops.def"
#undef ER_OP
#undef ER_CUSTOM
};

static const struct { const char *name; er_op_type type; } custom_types[] = {
#define ER_OP(number, name, function, types, pair, storage)
#define ER_CUSTOM(name, function, types) {name, {function, types, ER_PAIR_FREE, ER_STORAGE_AS_TYPE}},
#include "ops/ops.def"
#undef ER_OP
#undef ER_CUSTOM
    {NULL, {NULL, 0, ER_PAIR_FREE, ER_STORAGE_AS_TYPE}},
};

const er_op_type *er_op_type_of(const er_op_def *op)
{
    if (op->builtin != ER_BUILTIN_CUSTOM) return op->builtin < ER_BUILTINS && op_types[op->builtin].prepare ? &op_types[op->builtin] : NULL;
    const er_op_type *own = er_registered_op(op->name);
    for (size_t i = 0; !own && custom_types[i].name; i++)
        if (!strcmp(custom_types[i].name, op->name)) own = &custom_types[i].type;
    return own;
}

// float32 by int8 (hybrid) or less; int8 and int16 by int8 or less.
static bool has_weights(edgert_type x, edgert_type w)
{
    const bool fewer = w == EDGERT_INT4 || w == EDGERT_INT2;
    return (w == EDGERT_INT8 || fewer) && (x == EDGERT_FLOAT32 || x == EDGERT_INT16 || x == EDGERT_INT8);
}

// Weights whose blocks have scales of their own: FULLY_CONNECTED has them, float32 by int4.
static bool takes_blocks(const er_subgraph *g, const er_op_def *op, int32_t input)
{
    const er_tensor_def *w = &g->tensors[op->inputs[input]];
    return op->builtin == ER_BUILTIN_FULLY_CONNECTED && input == 1 && w->type == EDGERT_INT4 && w->quant.block_size && op->inputs[0] >= 0 && g->tensors[op->inputs[0]].type == EDGERT_FLOAT32;
}

// What is wrong with an operator, as a short text: its name, and the types where those are at fault. Empty: nothing.
static void describe_fault(const er_subgraph *g, const er_op_def *op, char *text, size_t size)
{
    text[0] = 0;
    const er_op_type *type = er_op_type_of(op);
    if (!type) {
        if (op->builtin == ER_BUILTIN_CUSTOM) snprintf(text, size, "custom operator \"%.80s\"", op->name);
        else if (op->builtin >= ER_BUILTINS) snprintf(text, size, "operator number %d", op->builtin);
        else snprintf(text, size, "%s", op->name);
        return;
    }
    for (int32_t i = 0; i < op->n_inputs; i++) {
        if (op->inputs[i] >= 0 && g->tensors[op->inputs[i]].quant.by_blocks && !takes_blocks(g, op, i)) {
            snprintf(text, size, "%s with values quantized by blocks", op->name);
            return;
        }
    }
    if (op->n_inputs < 1 || op->inputs[0] < 0) return;      // prepare says what is missing
    edgert_type first = g->tensors[op->inputs[0]].type;
    edgert_type second = op->n_inputs > 1 && op->inputs[1] >= 0 ? g->tensors[op->inputs[1]].type : first;
    const bool fits = type->pair == ER_PAIR_FREE || first == second || (type->pair == ER_PAIR_WEIGHTS && has_weights(first, second));
    if (!(ER_T(first) & type->types)) snprintf(text, size, "%s on %s", op->name, er_type_name(first));
    else if (!fits)
        snprintf(text, size, "%s on %s and %s", op->name, er_type_name(first), er_type_name(second));
}

// TFLite gives the output of ADD, SUB and MUL the type of the second input, whatever the file says: some files rely on it.
static void adopt_types(er_subgraph *g)
{
    for (int32_t i = 0; i < g->n_ops; i++) {
        const er_op_def *op = &g->ops[i];
        if ((op->builtin != 0 && op->builtin != 18 && op->builtin != 41) || op->n_inputs != 2 || op->inputs[1] < 0 || op->n_outputs != 1) continue;
        edgert_type type = g->tensors[op->inputs[1]].type;
        er_tensor_def *y = &g->tensors[op->outputs[0]];
        int64_t zero = y->quant.n_zero ? y->quant.zero[0] : 0;
        bool fits = type == EDGERT_INT8 ? zero >= INT8_MIN && zero <= INT8_MAX : type == EDGERT_UINT8 ? zero >= 0 && zero <= UINT8_MAX : true;
        if (fits && !y->data && er_type_size(type)) y->type = type;
    }
}

er_status er_check_supported(edgert_model *m, edgert_error *error)
{
    char list[3600] = "", fault[128];
    size_t used = 0, n = 0;
    for (int32_t s = 0; s < m->n_subgraphs; s++) {
        er_subgraph *g = &m->subgraphs[s];
        adopt_types(g);
        for (int32_t i = 0; i < g->n_ops; i++) {
            describe_fault(g, &g->ops[i], fault, sizeof fault);
            if (!fault[0]) continue;
            // Each fault once, however many operators share it.
            char entry[160];
            snprintf(entry, sizeof entry, "; %s (", fault);
            if (strstr(list, entry) || used + sizeof entry > sizeof list) continue;
            used += (size_t)snprintf(list + used, sizeof list - used, "; %s (op %d)", fault, i);
            n++;
        }
    }
    if (!n) return ER_OK;
    return er_fail(error, EDGERT_ERROR_UNSUPPORTED, "the model needs what this version of edgert does not have: %s", list + 2);
}
