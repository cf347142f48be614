// A custom operator in C, and a model that has it.     usage: custom_op MODEL.tflite     (a model with one operator "Sinh" on float32)
//
// cc custom_op.c -I ../../native/include -L BUILD -ledgert -lm -lpthread
#include <math.h>
#include <stdio.h>

#include "edgert.h"

// One input, one output like it.
static edgert_status prepare(edgert_op_call *call, void *user)
{
    (void)user;
    edgert_op_tensor x = edgert_call_input(call, 0);
    if (edgert_call_inputs(call) != 1 || x.type != EDGERT_FLOAT32) return edgert_call_fail(call, "it needs one float32 input");
    return edgert_call_set_shape(call, 0, x.dims, x.rank);
}

static edgert_status invoke(edgert_op_call *call, void *user)
{
    (void)user;
    edgert_op_tensor x = edgert_call_input(call, 0), y = edgert_call_output(call, 0);
    for (size_t i = 0; i < x.bytes / sizeof(float); i++) ((float *)y.data)[i] = sinhf(((const float *)x.data)[i]);
    return EDGERT_OK;
}

int main(int argc, char **argv)
{
    edgert_error error;
    edgert_op_definition sinh_op = {"Sinh", prepare, invoke, NULL};
    edgert_model *model = NULL;
    edgert_interpreter *it = NULL;
    edgert_tensor_info info;
    int failed = 1;
    if (argc != 2) {
        fprintf(stderr, "usage: custom_op MODEL.tflite\n");
        return 2;
    }
    if (edgert_register_op(&sinh_op, &error) != EDGERT_OK || !(model = edgert_model_open(argv[1], &error)) || !(it = edgert_interpreter_new(model, NULL, &error)) ||
        edgert_allocate(it, &error) != EDGERT_OK || edgert_tensor(it, edgert_input(it, 0), &info, &error) != EDGERT_OK)
        goto done;
    float *x = edgert_tensor_data(it, edgert_input(it, 0), &error);
    for (size_t i = 0; i < info.bytes / sizeof(float); i++) x[i] = (float)i * 0.5f;
    if (edgert_invoke(it, &error) != EDGERT_OK) goto done;
    const float *y = edgert_tensor_data(it, edgert_output(it, 0), &error);
    for (size_t i = 0; i < info.bytes / sizeof(float); i++) printf("%g\n", (double)y[i]);
    failed = 0;
done:
    if (failed) fprintf(stderr, "%s\n", error.message);
    edgert_interpreter_close(it);
    edgert_model_close(model);
    return failed;
}
