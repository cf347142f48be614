#include "golden.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { const uint8_t *at; size_t left; } reader;

static bool take(reader *r, void *to, size_t n)
{
    if (n > r->left) return false;
    memcpy(to, r->at, n);
    r->at += n;
    r->left -= n;
    return true;
}

// Numbers are little-endian, on any machine.
static bool take_number(reader *r, size_t bytes, uint64_t *value)
{
    uint8_t b[8];
    *value = 0;
    if (!take(r, b, bytes)) return false;
    for (size_t i = bytes; i-- > 0;) *value = *value << 8 | b[i];
    return true;
}

static const uint8_t *take_block(reader *r, size_t *bytes)
{
    uint64_t n;
    if (!take_number(r, 8, &n) || n > r->left) return NULL;
    const uint8_t *block = r->at;
    *bytes = (size_t)n;
    r->at += *bytes;
    r->left -= *bytes;
    return block;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    long n = -1;
    uint8_t *data = NULL;
    if (f && !fseek(f, 0, SEEK_END)) n = ftell(f);
    if (n >= 0 && !fseek(f, 0, SEEK_SET)) data = malloc((size_t)n + 1);
    if (data && fread(data, 1, (size_t)n, f) != (size_t)n) {
        free(data);
        data = NULL;
    }
    if (f) fclose(f);
    *size = n > 0 ? (size_t)n : 0;
    return data;
}

static size_t count_different(const uint8_t *got, const uint8_t *want, size_t bytes, bool is_float)
{
    size_t different = 0;
    if (!is_float) {
        for (size_t i = 0; i < bytes; i++) different += got[i] != want[i];
        return different;
    }
    float largest = 1e-6f, g, w;
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        memcpy(&w, want + i, 4);
        if (isfinite(w) && fabsf(w) > largest) largest = fabsf(w);
    }
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        memcpy(&g, got + i, 4);
        memcpy(&w, want + i, 4);
        different += !(fabsf(g - w) <= 2e-5f * largest || (isnan(g) && isnan(w)) || g == w);
    }
    return different;
}

static bool damaged(const char *path, const char *why)
{
    fprintf(stderr, "edgert-bench: %s: %s\n", path, why);
    return false;
}

static bool check_step(edgert_interpreter *it, const char *path, reader *r, size_t step, size_t *outputs)
{
    edgert_error error;
    size_t bytes;
    for (int32_t i = 0; i < edgert_inputs(it); i++) {
        const uint8_t *x = take_block(r, &bytes);
        edgert_tensor_info info;
        if (!x) return damaged(path, "the golden file ends early");
        void *to = edgert_tensor_data(it, edgert_input(it, i), &error);
        if (edgert_tensor(it, edgert_input(it, i), &info, &error) != EDGERT_OK || info.bytes != bytes || (!to && bytes))
            return damaged(path, "an input has another size than the model's: is this the golden file of another model?");
        if (bytes) memcpy(to, x, bytes);
    }
    if (edgert_invoke(it, &error) != EDGERT_OK) return damaged(path, error.message);
    for (int32_t i = 0; i < edgert_outputs(it); i++, ++*outputs) {
        uint64_t is_float;
        edgert_tensor_info info;
        const uint8_t *want = take_number(r, 4, &is_float) ? take_block(r, &bytes) : NULL;
        if (!want) return damaged(path, "the golden file ends early");
        const uint8_t *got = edgert_tensor_data(it, edgert_output(it, i), &error);
        if (edgert_tensor(it, edgert_output(it, i), &info, &error) != EDGERT_OK || info.bytes != bytes || (!got && bytes))
            return damaged(path, "an output has another size than the model's: is this the golden file of another model?");
        size_t different = count_different(got, want, bytes, is_float);
        if (!different) continue;
        fprintf(stderr, "edgert-bench: %s: step %zu output %d: %zu %s of %zu differ\n", path, step, (int)i, different, is_float ? "values" : "bytes", is_float ? bytes / 4 : bytes);
        return false;
    }
    return true;
}

bool check_golden(edgert_interpreter *it, const char *model, const char *path)
{
    size_t size, outputs = 0;
    uint8_t *data = read_file(path, &size);
    if (!data) return damaged(path, "the golden file cannot be read");
    reader r = {data, size};
    char magic[8];
    uint64_t steps = 0, n_inputs = 0, n_outputs = 0;
    bool equal = take(&r, magic, 8) && !memcmp(magic, "edgertG1", 8) && take_number(&r, 4, &steps) && take_number(&r, 4, &n_inputs) && take_number(&r, 4, &n_outputs);
    if (!equal) {
        damaged(path, "not a golden file");
    } else if (n_inputs != (uint64_t)edgert_inputs(it) || n_outputs != (uint64_t)edgert_outputs(it)) {
        equal = damaged(path, "another number of inputs or outputs than the model's: is this the golden file of another model?");
    }
    for (uint64_t s = 0; s < steps && equal; s++) equal = check_step(it, path, &r, (size_t)s, &outputs);
    if (equal) printf("%s: equal: %zu outputs of %llu steps, %s\n", model, outputs, (unsigned long long)steps, edgert_isa(NULL));
    free(data);
    return equal;
}
