// Runs a model some times, with a mark for plugin.c after each.     usage: invoke MODEL.tflite
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "edgert.h"

int main(int argc, char **argv)
{
    edgert_error error;
    edgert_model *model = argc == 2 ? edgert_model_open(argv[1], &error) : NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: invoke MODEL.tflite\n");
        return 2;
    }
    edgert_interpreter *it = model ? edgert_interpreter_new(model, &(edgert_options){1, 0}, &error) : NULL;
    if (!it || edgert_allocate(it, &error) != EDGERT_OK) {
        fprintf(stderr, "invoke: %s\n", error.message);
        return 1;
    }
    for (int32_t i = 0; i < edgert_inputs(it); i++) {
        edgert_tensor_info info;
        uint8_t *data = edgert_tensor_data(it, edgert_input(it, i), NULL);
        if (data && edgert_tensor(it, edgert_input(it, i), &info, NULL) == EDGERT_OK) memset(data, 1, info.bytes);
    }
    for (int i = 0; i < 3; i++) {
        if (edgert_invoke(it, &error) != EDGERT_OK) {
            fprintf(stderr, "invoke: %s\n", error.message);
            return 1;
        }
        getpriority(PRIO_PROCESS, 0x5EED);
    }
    edgert_interpreter_close(it);
    edgert_model_close(model);
    return 0;
}
