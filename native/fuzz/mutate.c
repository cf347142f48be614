// A mutator that knows the format: most of the time it changes one number of a model (a field of a table, an item of a vector of shapes,
// indices, scales or data), so that the FlatBuffer stays valid and what lies behind the verifier is reached.
#include <string.h>

#include "format/schema.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { MOST = 20000 };
typedef struct { size_t at; unsigned size; } place;
typedef struct { const uint8_t *data; size_t size; place places[MOST]; size_t n, tables; } walk;

static uint32_t load32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

static void add(walk *w, size_t at, unsigned size)
{
    if (w->n < MOST && (size == 1 || size == 4 || size == 8) && at + size <= w->size) w->places[w->n++] = (place){at, size};
}

static void walk_table(walk *w, const er_fb_schema *s, size_t at);

static void walk_field(walk *w, const er_fb_field *f, size_t at, uint8_t kind)
{
    if (f->kind == ER_FB_SCALAR) add(w, at, f->size);
    if (f->kind == ER_FB_SCALAR || f->kind == ER_FB_UNION_TYPE || f->kind == ER_FB_UNKNOWN || f->kind == ER_FB_STRING) return;
    const size_t to = at + load32(w->data + at);
    const uint32_t n = load32(w->data + to);
    if (f->kind == ER_FB_VECTOR) {
        // Of long ones (weights) a few places will do.
        for (uint32_t i = 0; i < n; i += n > 64 ? n / 16 : 1) add(w, to + 4 + (size_t)i * f->size, f->size);
        if (f->size == 1)       // data of buffers: whole numbers
            for (uint32_t i = 0; i + 4 <= n && i < 64; i += 4) add(w, to + 4 + i, 4);
    } else if (f->kind == ER_FB_TABLE) {
        walk_table(w, f->table, to);
    } else if (f->kind == ER_FB_TABLES) {
        for (uint32_t i = 0; i < n; i++) walk_table(w, f->table, to + 4 + 4 * (size_t)i + load32(w->data + to + 4 + 4 * (size_t)i));
    } else if (f->kind == ER_FB_UNION && kind < f->n_members && f->members[kind]) {
        walk_table(w, f->members[kind], to);
    }
}

static void walk_table(walk *w, const er_fb_schema *s, size_t at)
{
    if (++w->tables > 5000) return;
    const size_t vt = (size_t)((int64_t)at - (int32_t)load32(w->data + at));
    const size_t slots = (size_t)(w->data[vt] | w->data[vt + 1] << 8);
    uint8_t kind = 0;
    for (size_t i = 0; i < s->n_fields && 4 + 2 * i + 2 <= slots; i++) {
        const size_t off = (size_t)(w->data[vt + 4 + 2 * i] | w->data[vt + 5 + 2 * i] << 8);
        if (!off) continue;
        if (s->fields[i].kind == ER_FB_UNION_TYPE) kind = w->data[at + off];
        walk_field(w, &s->fields[i], at + off, kind);
    }
}

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static walk w;
    uint64_t rng = seed;
    edgert_error error;
    const er_fb b = {data, size};
    if (next(&rng) % 8 == 0 || er_fb_verify(b, "TFL3", &er_schema_model, &error) != ER_OK) return LLVMFuzzerMutate(data, size, max_size);
    w = (walk){.data = data, .size = size};
    walk_table(&w, &er_schema_model, load32(data));
    static const int64_t numbers[] = {0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 1 << 20, INT32_MAX, -1, -2, -3, -128, INT32_MIN,
                                      INT64_MAX, INT64_MIN, 0x3F800000, 0x7F800000, 0x7FC00000, 0x00000001, 0x358637BD, 0x4B000000};
    for (uint64_t changes = 1 + next(&rng) % 3; changes > 0 && w.n; changes--) {
        const place p = w.places[next(&rng) % w.n];
        int64_t v = 0;
        memcpy(&v, data + p.at, p.size);
        switch (next(&rng) % 5) {
        case 0: v = (int64_t)((uint64_t)v + next(&rng) % 5 - 2); break;
        case 1: v ^= (int64_t)(UINT64_C(1) << (next(&rng) % (8 * p.size))); break;
        case 2: {       // what stands elsewhere
            const place other = w.places[next(&rng) % w.n];
            if (other.size == p.size) memcpy(&v, data + other.at, p.size);
            break;
        }
        default: v = numbers[next(&rng) % (sizeof numbers / sizeof numbers[0])];
        }
        memcpy(data + p.at, &v, p.size);
    }
    return size;
}
