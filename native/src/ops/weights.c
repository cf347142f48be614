#include "ops/weights.h"

er_status er_unpack_input(er_prepare *p, er_op *op, int32_t input)
{
    const er_tensor *w = input < op->n_inputs ? op->inputs[input] : NULL;
    if (!w || (w->def->type != EDGERT_INT4 && w->def->type != EDGERT_INT2)) return ER_OK;
    ER_TRY(er_expect_values(p, w, "weights"));
    if (!w->data && w->count) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have no data");
    er_status status;
    er_tensor *t = er_alloc(p, sizeof *t, &status);
    ER_TRY(status);
    er_tensor_def *def = er_alloc(p, sizeof *def, &status);
    ER_TRY(status);
    int8_t *all = er_alloc(p, w->count, &status);
    ER_TRY(status);
    const uint8_t *bytes = w->data;
    for (size_t i = 0; i < w->count; i++) {
        // The first of a byte lies in its low bits.
        if (w->def->type == EDGERT_INT4) all[i] = (int8_t)((int8_t)(uint8_t)(bytes[i / 2] << (i % 2 ? 0 : 4)) >> 4);
        else all[i] = (int8_t)((int8_t)(uint8_t)(bytes[i / 4] << (6 - 2 * (i % 4))) >> 6);
    }
    *def = *w->def;
    def->type = EDGERT_INT8;
    def->data = NULL;       // not the file's own: packed weights are not shared
    *t = *w;
    t->def = def;
    t->data = all;
    t->bytes = w->count;
    op->inputs[input] = t;
    return ER_OK;
}
