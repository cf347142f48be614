#include "base/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct entry { struct entry *next; void *block; size_t key_bytes; unsigned char key[]; } entry;

struct er_store { pthread_mutex_t mutex; entry *first; size_t bytes; };

er_store *er_store_new(void)
{
    er_store *s = calloc(1, sizeof *s);
    if (s) pthread_mutex_init(&s->mutex, NULL);
    return s;
}

void er_store_free(er_store *s)
{
    if (!s) return;
    for (entry *e = s->first, *next; e; e = next) {
        next = e->next;
        er_aligned_free(e->block);
        free(e);
    }
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
    if (there != block) er_aligned_free(block);
    if (there != block || !there) free(e);
    return there;
}
