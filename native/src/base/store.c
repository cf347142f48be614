#include "base/store.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/system.h"

typedef struct entry { struct entry *next; void *block; size_t key_bytes; unsigned char key[]; } entry;

// Blocks are in the region as far as it goes, and in memory of their own where it is full.
struct er_store { pthread_mutex_t mutex; entry *first; size_t bytes; uint8_t *region; size_t region_bytes, used; };

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

static bool in_region(const er_store *s, const void *block)
{
    const uintptr_t at = (uintptr_t)block, from = (uintptr_t)s->region;
    return s->region && at >= from && at < from + s->region_bytes;
}

static void drop(const er_store *s, void *block)
{
    if (!in_region(s, block)) er_aligned_free(block);
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
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static void *find(const er_store *s, const void *key, size_t key_bytes)
{
    for (const entry *e = s->first; e; e = e->next)
        if (e->key_bytes == key_bytes && !memcmp(e->key, key, key_bytes)) return e->block;
    return NULL;
}

size_t er_store_bytes(er_store *s)
{
    pthread_mutex_lock(&s->mutex);
    size_t bytes = s->bytes;
    pthread_mutex_unlock(&s->mutex);
    return bytes;
}

void *er_store_find(er_store *s, const void *key, size_t key_bytes)
{
    pthread_mutex_lock(&s->mutex);
    void *block = find(s, key, key_bytes);
    pthread_mutex_unlock(&s->mutex);
    return block;
}

void *er_store_add(er_store *s, const void *key, size_t key_bytes, void *block, size_t bytes)
{
    entry *e = malloc(sizeof *e + key_bytes);
    pthread_mutex_lock(&s->mutex);
    void *there = find(s, key, key_bytes);
    if (!there && e) {
        *e = (entry){.next = s->first, .block = block, .key_bytes = key_bytes};
        memcpy(e->key, key, key_bytes);
        s->first = e;
        s->bytes += bytes;
        there = block;
    }
    pthread_mutex_unlock(&s->mutex);
    if (there != block) drop(s, block);
    if (there != block || !there) free(e);
    return there;
}
