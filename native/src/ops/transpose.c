// TRANSPOSE. Any type and rank.
#include <string.h>

#include "ops/move.h"

static void run_transpose(const er_op *op, er_pool *pool)
{
    (void)pool;
    er_move_run(op->state, op->inputs[0]->data, op->outputs[0]->data);
}

er_status er_prepare_transpose(er_prepare *p, er_op *op)
{
    ER_TRY(er_expect_io(p, op, 2, 2, 1));
    const er_tensor *x = op->inputs[0];
    er_tensor *y = op->outputs[0];
    int32_t perm[ER_MAX_RANK], n, dims[ER_MAX_RANK];
    int64_t strides[ER_MAX_RANK];
    ER_TRY(er_read_ints(p, op->inputs[1], "permutation", perm, &n));
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    if (n != x->rank) return er_op_fail(p, EDGERT_ERROR_MODEL, "its permutation has %d values, its input rank %d", n, x->rank);
    er_status status;
    er_move *m = op->state = er_alloc(p, sizeof *m, &status);
    ER_TRY(status);
    m->element = er_type_size(x->def->type);
    m->rank = n;
    er_strides(x->dims, n, m->element, strides);
    bool seen[ER_MAX_RANK] = {false};
    for (int32_t i = 0; i < n; i++) {
        int32_t from;
        ER_TRY(er_resolve_axis(p, perm[i], n, &from));
        if (seen[from]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its permutation names dimension %d twice", from);
        seen[from] = true;
        dims[i] = m->dims[i] = x->dims[from];
        m->from_stride[i] = strides[from];
    }
    ER_TRY(er_set_shape(p, y, dims, n));
    er_strides(dims, n, m->element, m->to_stride);
    er_move_simplify(m);
    op->run = run_transpose;
    return ER_OK;
}
