// Checks and measures a model, for boards without Python.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "edgert.h"
#include "golden.h"

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int usage(void)
{
    fprintf(stderr, "usage: edgert-bench MODEL.tflite [--golden FILE] [--runs N] [--threads N] [--profile]\n"
                    "--golden: compares with the answers in a file that 'edgert golden' wrote; --runs 0: does not measure\n");
    return 2;
}

static void fill_inputs(edgert_interpreter *it)
{
    uint32_t x = 1;
    for (int32_t i = 0; i < edgert_inputs(it); i++) {
        edgert_tensor_info info;
        uint8_t *data = edgert_tensor_data(it, edgert_input(it, i), NULL);
        if (!data || edgert_tensor(it, edgert_input(it, i), &info, NULL) != EDGERT_OK || info.type == EDGERT_FLOAT32) continue;
        for (size_t k = 0; k < info.bytes; k++) data[k] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    }
}

static void print_profile(const edgert_interpreter *it, int runs)
{
    for (int32_t i = 0; i < edgert_ops(it); i++) {
        edgert_op_info op;
        if (edgert_op(it, i, &op, NULL) != EDGERT_OK) continue;
        double us = (double)edgert_profile_get(it, i) * 1e-3 / runs;
        printf("%4d %-24s %10.1f us", i, op.name, us);
        if (op.macs && us > 0) printf(" %8.1f G multiply-adds/s", (double)op.macs / us * 1e-3);
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    const char *path = NULL, *golden = NULL;
    int runs = 100, threads = 1, profile = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--runs") && i + 1 < argc) runs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc) threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--golden") && i + 1 < argc) golden = argv[++i];
        else if (!strcmp(argv[i], "--profile")) profile = 1;
        else if (argv[i][0] == '-' || path) return usage();
        else path = argv[i];
    }
    if (!path || runs < 0 || (runs == 0 && !golden)) return usage();

    edgert_error error;
    int status = 1;
    double begin = now_ms();
    edgert_model *model = edgert_model_open(path, &error);
    edgert_interpreter *it = model ? edgert_interpreter_new(model, &(edgert_options){.num_threads = threads}, &error) : NULL;
    double *times = malloc((size_t)runs * sizeof *times + 1);
    if (!it || !times || edgert_allocate(it, &error) != EDGERT_OK) {
        fprintf(stderr, "edgert-bench: %s\n", times ? error.message : "out of memory");
        goto done;
    }
    double planned = now_ms();
    if (golden && !check_golden(it, path, golden)) goto done;
    if (runs == 0) {
        status = 0;
        goto done;
    }
    fill_inputs(it);
    for (int i = 0; i < 10; i++) edgert_invoke(it, NULL);
    for (int i = 0; i < runs; i++) {
        double t = now_ms();
        edgert_invoke(it, NULL);
        times[i] = now_ms() - t;
    }
    qsort(times, (size_t)runs, sizeof *times, ascending);
    edgert_memory_info m = edgert_memory(it);
    printf("%s: edgert %s, %s, %d thread%s, %d runs\n", path, edgert_version(), edgert_isa(NULL), threads, threads > 1 ? "s" : "", runs);
    printf("median %.5f ms   p95 %.5f ms   min %.5f ms   load %.3f ms   arena %zu bytes   packed %zu bytes\n", times[runs / 2],
           times[(size_t)((double)(runs - 1) * 0.95)], times[0], planned - begin, m.arena, m.packed);
    if (profile) {
        edgert_profile(it, 1);
        for (int i = 0; i < runs; i++) edgert_invoke(it, NULL);
        print_profile(it, runs);
    }
    status = 0;
done:
    free(times);
    edgert_interpreter_close(it);
    edgert_model_close(model);
    return status;
}
