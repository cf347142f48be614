#include "base/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/system.h"

typedef struct entry { struct entry *next; const void *block; size_t bytes, key_bytes; unsigned char key[]; } entry;

// Blocks are in the file they came from, in the region as far as it goes, and in memory of their own where it is full.
struct er_store {
    pthread_mutex_t mutex;
    entry *first;
    size_t n, in_file, bytes;           // blocks, those that a file has, and bytes of all
    uint8_t *region;
    size_t region_bytes, used;
    void *file;
    size_t file_bytes;
};

er_store *er_store_new(size_t expected)
{
    er_store *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    pthread_mutex_init(&s->mutex, NULL);
    s->region_bytes = er_round_up(expected, 65536);
    if (s->region_bytes) s->region = er_region_reserve(s->region_bytes);
    if (!s->region) s->region_bytes = 0;
    return s;
}

static bool lies_in(const void *block, const void *memory, size_t bytes)
{
    const uintptr_t at = (uintptr_t)block, from = (uintptr_t)memory;
    return memory && at >= from && at - from < bytes;
}

static void drop(const er_store *s, const void *block)
{
    if (!lies_in(block, s->region, s->region_bytes) && !lies_in(block, s->file, s->file_bytes)) er_aligned_free((void *)(uintptr_t)block);
}

void *er_store_alloc(er_store *s, size_t bytes)
{
    pthread_mutex_lock(&s->mutex);
    void *block = NULL;
    if (bytes <= s->region_bytes - s->used) {
        block = s->region + s->used;
        s->used = er_round_up(s->used + bytes, ER_ALIGN);
    }
    pthread_mutex_unlock(&s->mutex);
    return block ? block : er_aligned_alloc(bytes);
}

void er_store_free(er_store *s)
{
    if (!s) return;
    for (entry *e = s->first, *next; e; e = next) {
        next = e->next;
        drop(s, e->block);
        free(e);
    }
    if (s->region) er_region_free(s->region, s->region_bytes);
    er_file_unmap(s->file, s->file_bytes);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static const void *find(const er_store *s, const void *key, size_t key_bytes, size_t bytes)
{
    for (const entry *e = s->first; e; e = e->next)
        if (e->key_bytes == key_bytes && e->bytes == bytes && !memcmp(e->key, key, key_bytes)) return e->block;
    return NULL;
}

size_t er_store_bytes(er_store *s)
{
    pthread_mutex_lock(&s->mutex);
    size_t bytes = s->bytes;
    pthread_mutex_unlock(&s->mutex);
    return bytes;
}

const void *er_store_find(er_store *s, const void *key, size_t key_bytes, size_t bytes)
{
    pthread_mutex_lock(&s->mutex);
    const void *block = find(s, key, key_bytes, bytes);
    pthread_mutex_unlock(&s->mutex);
    return block;
}

const void *er_store_add(er_store *s, const void *key, size_t key_bytes, const void *block, size_t bytes)
{
    entry *e = key_bytes <= ER_STORE_KEY ? malloc(sizeof *e + key_bytes) : NULL;
    pthread_mutex_lock(&s->mutex);
    const void *there = find(s, key, key_bytes, bytes);
    if (!there && e) {
        *e = (entry){.next = s->first, .block = block, .bytes = bytes, .key_bytes = key_bytes};
        memcpy(e->key, key, key_bytes);
        s->first = e;
        s->n++;
        s->bytes += bytes;
        there = block;
    }
    pthread_mutex_unlock(&s->mutex);
    if (there != block) drop(s, block);
    if (there != block || !there) free(e);
    return there;
}

// ---- the file: a header, for each block where it lies and its key, the blocks. In this machine's own byte order: it is not to be carried elsewhere. Only what is read when
// it is loaded has a hash: blocks are read where they are needed, and a file is on the disk before it has its name.

typedef struct { char magic[16]; uint64_t owner, hash, bytes, n; } file_header;     // `hash`: of the entries
typedef struct { uint64_t at, bytes, key_bytes; unsigned char key[ER_STORE_KEY]; } file_entry;
static const char magic[16] = "edgert weights\n";

static size_t blocks_begin(size_t n) { return er_round_up(sizeof(file_header) + n * sizeof(file_entry), ER_ALIGN); }

uint64_t er_hash(uint64_t before, const void *data, size_t n)
{
    enum { LANES = 4 };
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);       // odd, its bits well mixed
    const uint8_t *x = data;
    uint64_t lanes[LANES] = {before, before + 1, before + 2, before + 3}, length = n, hash = before;
    for (; n; x += sizeof lanes) {
        uint64_t words[LANES] = {0};
        const size_t some = n < sizeof words ? n : sizeof words;
        memcpy(words, x, some);
        n -= some;
        for (size_t i = 0; i < LANES; i++) {
            const uint64_t mixed = (lanes[i] ^ words[i]) * factor;
            lanes[i] = mixed ^ mixed >> 29;
        }
    }
    for (size_t i = 0; i < LANES; i++) hash = (hash ^ lanes[i]) * factor ^ hash >> 31;
    return (hash ^ length) * factor;
}

// Whether a file is whole and of this owner.
static bool fits(const uint8_t *file, size_t size, uint64_t owner)
{
    file_header h;
    if (size < sizeof h) return false;
    memcpy(&h, file, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) || h.owner != owner || h.bytes != size || h.n > size / sizeof(file_entry) || blocks_begin((size_t)h.n) > size) return false;
    for (size_t i = 0; i < h.n; i++) {
        file_entry e;
        memcpy(&e, file + sizeof h + i * sizeof e, sizeof e);
        if (e.key_bytes > ER_STORE_KEY || e.at % ER_ALIGN || e.at > size || e.bytes > size - e.at) return false;
    }
    return er_hash(owner, file + sizeof h, (size_t)h.n * sizeof(file_entry)) == h.hash;
}

bool er_store_load(er_store *s, const char *path, uint64_t owner)
{
    edgert_error unused;
    void *file = NULL;
    size_t size = 0;
    if (s->file || er_file_map(path, &file, &size, &unused) != ER_OK) return false;
    if (!fits(file, size, owner)) {
        er_file_unmap(file, size);
        return false;
    }
    const bool aligned = (uintptr_t)file % ER_ALIGN == 0;       // read, not mapped, it may lie anywhere
    if (aligned) {
        s->file = file;
        s->file_bytes = size;
    }
    file_header h;
    memcpy(&h, file, sizeof h);
    bool all = true;
    for (size_t i = 0; i < h.n; i++) {
        file_entry e;
        memcpy(&e, (uint8_t *)file + sizeof h + i * sizeof e, sizeof e);
        const void *block = (uint8_t *)file + e.at;
        if (!aligned) {
            void *copy = er_store_alloc(s, (size_t)e.bytes);
            if (copy) memcpy(copy, block, (size_t)e.bytes);
            block = copy;
        }
        all = block && er_store_add(s, e.key, (size_t)e.key_bytes, block, (size_t)e.bytes) && all;
    }
    if (!aligned) er_file_unmap(file, size);
    if (all) s->in_file = s->n;
    return all;
}

// The file's bytes, in memory. NULL where there is too little.
static uint8_t *written(const er_store *s, uint64_t owner, size_t *size)
{
    size_t at = blocks_begin(s->n), i = 0;
    *size = at + ER_ALIGN;          // kernels may read past a block's end
    for (const entry *e = s->first; e; e = e->next) *size += er_round_up(e->bytes, ER_ALIGN);
    uint8_t *file = calloc(1, *size);
    if (!file) return NULL;
    for (const entry *e = s->first; e; e = e->next, i++) {
        file_entry f = {.at = at, .bytes = e->bytes, .key_bytes = e->key_bytes};
        memcpy(f.key, e->key, e->key_bytes);
        memcpy(file + sizeof(file_header) + i * sizeof f, &f, sizeof f);
        memcpy(file + at, e->block, e->bytes);
        at += er_round_up(e->bytes, ER_ALIGN);
    }
    file_header h = {.owner = owner, .bytes = *size, .n = s->n};
    memcpy(h.magic, magic, sizeof magic);
    h.hash = er_hash(owner, file + sizeof h, s->n * sizeof(file_entry));
    memcpy(file, &h, sizeof h);
    return file;
}

static er_status write_file(const char *path, const uint8_t *file, size_t size, edgert_error *error)
{
    const size_t room = strlen(path) + 40;
    char *temporary = malloc(room);
    if (!temporary) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory");
    snprintf(temporary, room, "%s.%llx.tmp", path, (unsigned long long)(er_nanoseconds() ^ (uintptr_t)temporary));     // of no other process or thread
    FILE *f = fopen(temporary, "wbx");
    er_status status = ER_OK;
    if (!f) {
        status = er_fail(error, EDGERT_ERROR_IO, "cannot write the file: %s", strerror(errno));
    } else {
        const bool whole = fwrite(file, 1, size, f) == size && !fflush(f) && er_file_settle(f);
        if (fclose(f) || !whole) status = er_fail(error, EDGERT_ERROR_IO, "cannot write the file: %s", strerror(errno));
        if (status == ER_OK) status = er_file_replace(temporary, path, error);
        if (status != ER_OK) remove(temporary);
    }
    free(temporary);
    return status;
}

bool er_store_is_saved(er_store *s)
{
    pthread_mutex_lock(&s->mutex);
    const bool saved = s->n == s->in_file;
    pthread_mutex_unlock(&s->mutex);
    return saved;
}

er_status er_store_save(er_store *s, const char *path, uint64_t owner, edgert_error *error)
{
    size_t size = 0;
    pthread_mutex_lock(&s->mutex);
    const size_t n = s->n;
    uint8_t *file = written(s, owner, &size);
    pthread_mutex_unlock(&s->mutex);
    if (!file) return er_fail(error, EDGERT_ERROR_MEMORY, "out of memory for the weights' file");
    const er_status status = write_file(path, file, size, error);
    free(file);
    if (status != ER_OK) return status;
    pthread_mutex_lock(&s->mutex);
    s->in_file = n;
    pthread_mutex_unlock(&s->mutex);
    return ER_OK;
}
