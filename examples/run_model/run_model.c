// Runs a model once: its first input comes from standard input, as raw bytes, and its first output goes to standard output.
//
// usage: run_model MODEL.tflite < INPUT > OUTPUT
// cc run_model.c -I ../../native/include -L BUILD -ledgert -lm -lpthread
#include <stdio.h>

#include "edgert.h"

static int run(const char *path)
{
    edgert_error error = {0};
    const edgert_options options = {.num_threads = 2, .memory_limit = 256 << 20};
    edgert_tensor_info x, y;
    int failed = 1;
    edgert_model *model = edgert_model_open(path, &error);
    edgert_interpreter *it = model ? edgert_interpreter_new(model, &options, &error) : NULL;
    if (!it || edgert_allocate(it, &error) != EDGERT_OK) goto done;

    const int32_t input = edgert_input(it, 0), output = edgert_output(it, 0);
    if (edgert_tensor(it, input, &x, &error) != EDGERT_OK) goto done;
    void *memory = edgert_tensor_data(it, input, &error);
    if (!memory) goto done;
    if (fread(memory, 1, x.bytes, stdin) != x.bytes) {
        snprintf(error.message, sizeof error.message, "the input is shorter than the %zu bytes of tensor \"%s\"", x.bytes, x.name);
        goto done;
    }
    // The output's size may be known only now.
    if (edgert_invoke(it, &error) != EDGERT_OK || edgert_tensor(it, output, &y, &error) != EDGERT_OK) goto done;
    const void *answer = edgert_tensor_data(it, output, &error);
    failed = !answer || fwrite(answer, 1, y.bytes, stdout) != y.bytes;
done:
    if (failed) fprintf(stderr, "%s: %s\n", path, error.message);
    edgert_interpreter_close(it);
    edgert_model_close(model);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: run_model MODEL.tflite < INPUT > OUTPUT\n");
        return 2;
    }
    return run(argv[1]);
}
