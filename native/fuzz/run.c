// What the fuzzers call: a model from memory, opened, planned and run with small limits.
//
// FUZZ_OPEN: only opened, and everything asked that can be asked of a model that is not planned.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const edgert_model *m)
{
    size_t bytes;
    (void)edgert_model_metadata(m, "TFLITE_METADATA", &bytes);
    (void)edgert_model_metadata(m, "min_runtime_version", &bytes);
    volatile size_t length = strlen(edgert_model_description(m));
    for (int32_t s = 0; s < edgert_model_signatures(m); s++) {
        edgert_signature_info info = edgert_model_signature(m, s);
        int32_t tensor;
        for (int32_t i = 0; i < info.n_inputs; i++) length += strlen(edgert_signature_input(m, s, i, &tensor));
        for (int32_t i = 0; i < info.n_outputs; i++) length += strlen(edgert_signature_output(m, s, i, &tensor));
    }
    length += (size_t)edgert_model_subgraphs(m);
    (void)length;
}

#if !defined(FUZZ_OPEN)
// Reads every byte of a tensor, for the address sanitizer.
static void read_all_of(edgert_interpreter *it, int32_t t)
{
    edgert_tensor_info info;
    if (edgert_tensor(it, t, &info, NULL) != EDGERT_OK) return;
    const uint8_t *data = edgert_tensor_data(it, t, NULL);
    volatile uint8_t sum = 0;
    for (size_t i = 0; data && i < info.bytes; i++) sum = (uint8_t)(sum + data[i]);
}

static void run(edgert_interpreter *it, const uint8_t *data, size_t size)
{
    edgert_error error;
    for (int32_t i = 0; i < edgert_inputs(it); i++) {
        edgert_tensor_info info;
        uint8_t *x = edgert_tensor_data(it, edgert_input(it, i), NULL);
        if (!x || edgert_tensor(it, edgert_input(it, i), &info, NULL) != EDGERT_OK || info.is_constant) continue;
        // Small numbers are the likelier indices and sizes.
        for (size_t k = 0; k < info.bytes; k++) x[k] = i % 2 || info.type == EDGERT_INT32 || info.type == EDGERT_INT64 ? (uint8_t)(k % 4 ? 0 : (data[k % size] & 3)) : data[k % size];
    }
    edgert_invoke(it, &error);
    for (int32_t i = 0; i < edgert_outputs(it); i++) read_all_of(it, edgert_output(it, i));
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    edgert_error error;
    // Aligned as a file is, and no longer than it; now and then not aligned, which is refused.
    const size_t shift = size % 64 == 63;
    uint8_t *memory = NULL, *copy;
    if (posix_memalign((void **)&memory, 16, size + shift ? size + shift : 1)) return 0;
    copy = memory + shift;
    memcpy(copy, data, size);
    edgert_model *m = edgert_model_from_memory(copy, size, &error);
    if (m) ask(m);
#if !defined(FUZZ_OPEN)
    const edgert_options options = {.num_threads = 1 + (size % 16 == 0), .max_depth = 4, .max_iterations = 20, .memory_limit = 16 << 20};
    edgert_interpreter *it = m ? edgert_interpreter_new(m, &options, &error) : NULL;
    if (it) {
        edgert_set_time_limit(it, 2000000000);
        if (edgert_allocate(it, &error) == EDGERT_OK) {
            run(it, copy, size);
            run(it, copy + size / 2, size - size / 2);
        }
    }
    edgert_interpreter_close(it);
#endif
    edgert_model_close(m);
    free(memory);
    return 0;
}
