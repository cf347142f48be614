#include "format/flexbuffer.h"

#include <string.h>

enum { FLEX_INT = 1, FLEX_UINT = 2, FLEX_FLOAT = 3, FLEX_INDIRECT_INT = 6, FLEX_INDIRECT_UINT = 7, FLEX_INDIRECT_FLOAT = 8, FLEX_MAP = 9,
       FLEX_BOOL = 26 };

// A value: where it lies, how many bytes, and its type with the width of what it points at.
typedef struct { size_t at; unsigned width; uint8_t type; } value;

static bool read_uint(er_flex f, size_t at, unsigned width, uint64_t *v)
{
    if (at > f.size || width > f.size - at) return false;
    *v = 0;
    for (unsigned i = 0; i < width; i++) *v |= (uint64_t)f.data[at + i] << (8 * i);
    return true;
}

// The place that an offset at `at` points back to.
static bool follow(er_flex f, size_t at, unsigned width, size_t *to)
{
    uint64_t back;
    if (!read_uint(f, at, width, &back) || back > at || back == 0) return false;
    *to = at - (size_t)back;
    return true;
}

static bool root(er_flex f, value *v)
{
    if (f.size < 3) return false;
    const unsigned width = f.data[f.size - 1];
    if ((width != 1 && width != 2 && width != 4 && width != 8) || width > f.size - 2) return false;
    *v = (value){f.size - 2 - width, width, f.data[f.size - 2]};
    return true;
}

// The values of a map: the first, their number and width.
static bool vector_of(er_flex f, value v, size_t *first, uint64_t *n, unsigned *width)
{
    *width = 1u << (v.type & 3);
    if (!follow(f, v.at, v.width, first) || *first < *width || !read_uint(f, *first - *width, *width, n)) return false;
    return *n <= (f.size - *first) / *width;
}

static bool number_of(er_flex f, value v, double *out)
{
    uint64_t bits;
    size_t at = v.at;
    unsigned width = v.width;
    uint8_t kind = v.type >> 2;
    if (kind >= FLEX_INDIRECT_INT && kind <= FLEX_INDIRECT_FLOAT) {
        if (!follow(f, v.at, v.width, &at)) return false;
        width = 1u << (v.type & 3);
        kind = (uint8_t)(kind - FLEX_INDIRECT_INT + FLEX_INT);
    }
    if (!read_uint(f, at, width, &bits)) return false;
    if (kind == FLEX_UINT || kind == FLEX_BOOL) {
        *out = (double)bits;
    } else if (kind == FLEX_INT) {
        const unsigned rest = 64 - 8 * width;
        *out = (double)((int64_t)(bits << rest) >> rest);
    } else if (kind == FLEX_FLOAT && width == 4) {
        const uint32_t low = (uint32_t)bits;
        float x;
        memcpy(&x, &low, 4);
        *out = (double)x;
    } else if (kind == FLEX_FLOAT && width == 8) {
        memcpy(out, &bits, 8);
    } else {
        return false;
    }
    return true;
}

// What the map at the root has under `key`. Before a map's values lie an offset to its keys and the width of these.
static bool look_up(er_flex f, const char *key, value *out)
{
    value map;
    size_t first, keys;
    uint64_t n, key_width, n_keys;
    unsigned width;
    if (!root(f, &map) || map.type >> 2 != FLEX_MAP || !vector_of(f, map, &first, &n, &width) || first < 3 * (size_t)width) return false;
    if (!follow(f, first - 3 * (size_t)width, width, &keys) || !read_uint(f, first - 2 * (size_t)width, width, &key_width)) return false;
    if ((key_width != 1 && key_width != 2 && key_width != 4 && key_width != 8) || keys < key_width || !read_uint(f, keys - (size_t)key_width, (unsigned)key_width, &n_keys)) return false;
    if (n_keys != n || n_keys > (f.size - keys) / key_width) return false;
    const size_t length = strlen(key) + 1;
    for (uint64_t i = 0; i < n; i++) {
        size_t name;
        if (!follow(f, keys + (size_t)(i * key_width), (unsigned)key_width, &name)) return false;
        if (length > f.size - name || memcmp(f.data + name, key, length)) continue;
        uint64_t type;      // types follow the values, a byte each
        if (!read_uint(f, first + (size_t)n * width + (size_t)i, 1, &type)) return false;
        *out = (value){first + (size_t)i * width, width, (uint8_t)type};
        return true;
    }
    return false;
}

bool er_flex_number(er_flex f, const char *key, double *v)
{
    value found;
    return look_up(f, key, &found) && number_of(f, found, v);
}
