// A model through the public API: the same bytes with any number of threads, no allocation in invoke, errors for
// misuse, and no crash on thousands of damaged copies.   usage: test_model MODEL.tflite ... (rounds of damage: EDGERT_MUTATIONS)
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "edgert.h"

// Linked with --wrap: every allocation of the library comes through here.
static volatile int allocations;
#if defined(COUNT_ALLOCATIONS)
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
int __real_posix_memalign(void **p, size_t a, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
int __wrap_posix_memalign(void **p, size_t a, size_t n);
void *__wrap_malloc(size_t n) { allocations++; return __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t m) { allocations++; return __real_calloc(n, m); }
int __wrap_posix_memalign(void **p, size_t a, size_t n) { allocations++; return __real_posix_memalign(p, a, n); }
#endif

static uint64_t rng = 3;

static void fill_inputs(edgert_interpreter *it, uint64_t seed)
{
    for (int32_t i = 0; i < edgert_inputs(it); i++) {
        edgert_tensor_info info;
        CHECK(edgert_tensor(it, edgert_input(it, i), &info, NULL) == EDGERT_OK, "no input %d", i);
        uint8_t *data = edgert_tensor_data(it, edgert_input(it, i), NULL);
        CHECK(data, "input %d has no memory", i);
        for (size_t k = 0; k < info.bytes; k++) data[k] = (uint8_t)(random64(&seed) >> 40);
        if (info.type == EDGERT_FLOAT32)
            for (size_t k = 0; k < info.bytes / 4; k++) ((float *)(void *)data)[k] = (float)(int32_t)(random64(&seed) >> 33) * 1e-9f;
    }
}

// The bytes of all outputs, one after the other.
static size_t outputs_of(edgert_interpreter *it, uint8_t *out, size_t room)
{
    size_t used = 0;
    for (int32_t i = 0; i < edgert_outputs(it); i++) {
        edgert_tensor_info info;
        edgert_tensor(it, edgert_output(it, i), &info, NULL);
        CHECK(used + info.bytes <= room, "outputs are larger than expected");
        CHECK(edgert_tensor_get(it, edgert_output(it, i), out + used, info.bytes, NULL) == EDGERT_OK, "output %d cannot be read", i);
        used += info.bytes;
    }
    return used;
}

enum { ROOM = 1 << 20 };

typedef struct { edgert_model *m; const uint8_t *expected; size_t size; pthread_t thread; } member;

static void *take_part(void *arg)
{
    const member *a = arg;
    edgert_error error;
    uint8_t *out = malloc(ROOM);
    edgert_interpreter *it = edgert_interpreter_new(a->m, &(edgert_options){.num_threads = 2}, &error);
    CHECK(out && it && edgert_allocate(it, &error) == EDGERT_OK, "%s", error.message);
    for (int round = 0; round < 2; round++) {
        fill_inputs(it, 99);
        CHECK(edgert_invoke(it, &error) == EDGERT_OK, "%s", error.message);
        CHECK(outputs_of(it, out, ROOM) == a->size && !memcmp(out, a->expected, a->size), "other bytes in a crowd");
    }
    edgert_interpreter_close(it);
    free(out);
    return NULL;
}

// One model, which packs its weights for the first that asks, and an interpreter in each of several threads at once.
static void check_crowd(const char *path, const uint8_t *expected, size_t size)
{
    enum { MEMBERS = 6 };
    edgert_error error;
    edgert_model *m = edgert_model_open(path, &error);
    CHECK(m, "%s", error.message);
    member members[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) {
        members[i] = (member){m, expected, size, 0};
        CHECK(!pthread_create(&members[i].thread, NULL, take_part, &members[i]), "no thread");
    }
    for (int i = 0; i < MEMBERS; i++) pthread_join(members[i].thread, NULL);
    edgert_model_close(m);
}

static void write_all(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(data, 1, size, f) == size && !fclose(f), "cannot write %s", path);
}

// Packed weights by way of a file: the same bytes, and a file that is damaged where it says what it holds is not taken.
static void check_weights(const char *path, const uint8_t *expected, size_t size)
{
    static uint8_t other[ROOM];
    edgert_error error;
    char file[64];
    snprintf(file, sizeof file, "weights-%ld", (long)getpid());
    for (int round = 0; round < 2; round++) {
        edgert_model *m = edgert_model_open(path, &error);
        CHECK(m && edgert_model_load_weights(m, file) == round, "weights are %s", round ? "not taken" : "taken from nowhere");
        edgert_interpreter *it = edgert_interpreter_new(m, NULL, &error);
        CHECK(it && edgert_allocate(it, &error) == EDGERT_OK, "%s", error.message);
        fill_inputs(it, 99);
        CHECK(edgert_invoke(it, &error) == EDGERT_OK && outputs_of(it, other, ROOM) == size && !memcmp(expected, other, size), "other bytes with weights from a file");
        CHECK(edgert_model_save_weights(m, file, &error) == EDGERT_OK, "%s", error.message);
        CHECK(edgert_model_save_weights(m, round ? "/nowhere/weights" : file, &error) == EDGERT_OK, "what is in the file is written again");
        edgert_interpreter_close(it);
        edgert_model_close(m);
    }
    size_t n;
    uint8_t *whole = read_all(file, &n);
    for (int i = 0; i < 300; i++) {
        const size_t at = below(&rng, 300);
        const uint8_t was = whole[at];
        whole[at] ^= (uint8_t)(1u << below(&rng, 8));
        write_all(file, whole, i % 4 ? n : below(&rng, n));
        whole[at] = was;
        edgert_model *m = edgert_model_open(path, &error);
        CHECK(m && !edgert_model_load_weights(m, file), "a damaged file of weights is taken");
        edgert_model_close(m);
    }
    free(whole);
    remove(file);
}

static void check_model(const char *path)
{
    static uint8_t first[ROOM], other[ROOM];
    edgert_error error;
    edgert_model *m = edgert_model_open(path, &error);
    CHECK(m, "%s", error.message);
    size_t size = 0;
    for (int32_t threads = 1; threads <= 4; threads++) {
        for (int32_t preserve = 0; preserve < 2; preserve++) {
            edgert_interpreter *it = edgert_interpreter_new(m, &(edgert_options){.num_threads = threads, .preserve_all_tensors = preserve}, &error);
            CHECK(it && edgert_allocate(it, &error) == EDGERT_OK, "%s", error.message);
            for (int round = 0; round < 3; round++) {
                fill_inputs(it, 99);
                int before = allocations;
                CHECK(edgert_invoke(it, &error) == EDGERT_OK, "%s", error.message);
                CHECK(allocations == before, "invoke allocates");
                size_t n = outputs_of(it, size ? other : first, ROOM);
                CHECK(!size || (n == size && !memcmp(first, other, n)), "%s: other bytes with %d threads, preserve %d", path, threads, preserve);
                size = n;
            }
            edgert_interpreter_close(it);
        }
    }
    check_crowd(path, first, size);
    check_weights(path, first, size);
    edgert_interpreter *it = edgert_interpreter_new(m, NULL, &error);
    edgert_model_close(m);      // the interpreter holds it
    CHECK(edgert_invoke(it, &error) == EDGERT_ERROR_ARGUMENT && strstr(error.message, "allocate"), "invoke before allocate: %s", error.message);
    CHECK(!edgert_tensor_data(it, -1, &error) && !edgert_tensor_data(it, 1 << 20, &error), "a tensor that is not there");
    CHECK(edgert_allocate(it, &error) == EDGERT_OK, "%s", error.message);
    edgert_tensor_info info;
    edgert_tensor(it, edgert_input(it, 0), &info, NULL);
    CHECK(edgert_tensor_set(it, edgert_input(it, 0), first, info.bytes + 1, &error) == EDGERT_ERROR_ARGUMENT, "a wrong size is taken");
    CHECK(edgert_resize_input(it, edgert_input(it, 0), (int32_t[]){-1}, 1, 0, &error) == EDGERT_ERROR_ARGUMENT, "a negative size is taken");
    // A second interpreter of the model finds the packed weights there.
    edgert_interpreter *second = edgert_interpreter_new(edgert_interpreter_model(it), NULL, &error);
    size_t packed = edgert_memory(it).packed;
    CHECK(second && edgert_allocate(second, &error) == EDGERT_OK, "%s", error.message);
    CHECK(edgert_memory(second).packed == packed, "%zu bytes are packed for the second interpreter, %zu for the first", edgert_memory(second).packed, packed);
    edgert_interpreter_close(it);
    fill_inputs(second, 99);
    CHECK(edgert_invoke(second, &error) == EDGERT_OK && outputs_of(second, other, ROOM) == size && !memcmp(first, other, size), "%s: other bytes from a second interpreter", path);
    edgert_interpreter_close(second);
    printf("%s: %zu bytes of output, equal\n", path, size);
}

// Opens, plans and runs what there is of it.
static bool survive(const uint8_t *data, size_t size)
{
    edgert_error error;
    edgert_model *m = edgert_model_from_memory(data, size, &error);
    if (!m) return false;
    edgert_interpreter *it = edgert_interpreter_new(m, NULL, &error);
    bool ran = false;
    if (it && edgert_allocate(it, &error) == EDGERT_OK && edgert_memory(it).arena < (64u << 20)) {
        fill_inputs(it, 5);
        ran = edgert_invoke(it, &error) == EDGERT_OK;
    }
    edgert_interpreter_close(it);
    edgert_model_close(m);
    return ran;
}

static void damage(const char *path, int rounds)
{
    size_t size;
    uint8_t *whole = read_all(path, &size);
    int ran = 0;
    for (int i = 0; i < rounds; i++) {
        // A copy of exactly that size, for the address sanitizer.
        size_t n = i % 4 == 0 ? below(&rng, size) : size;
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, whole, n);
        size_t changes = i % 4 == 0 ? 0 : 1 + below(&rng, 4);
        // Structure lies behind the buffers' data or before it: the first and last kilobytes matter most.
        for (size_t k = 0; k < changes && n; k++) {
            size_t at = below(&rng, 3) ? below(&rng, n) : n - 1 - below(&rng, n < 3000 ? n : 3000);
            switch (below(&rng, 4)) {
            case 0: copy[at] ^= (uint8_t)(1u << below(&rng, 8)); break;
            case 1: copy[at] = (uint8_t)random64(&rng); break;
            case 2: copy[at] = 0xFF; break;
            default: at = at / 4 * 4; if (at + 4 <= n) memcpy(copy + at, (uint32_t[]){(uint32_t)(below(&rng, 2) ? random64(&rng) : below(&rng, 300))}, 4); break;
            }
        }
        ran += survive(copy, n);
        free(copy);
    }
    free(whole);
    printf("%s: %d damaged copies, %d of them still run\n", path, rounds, ran);
}

int main(int argc, char **argv)
{
    const char *rounds = getenv("EDGERT_MUTATIONS");
    CHECK(argc > 1, "usage: test_model MODEL.tflite ...");
    for (int i = 1; i < argc; i++) {
        check_model(argv[i]);
        damage(argv[i], rounds ? atoi(rounds) : 3000);
    }
    return 0;
}
