// Blocks of memory under keys, for several threads: what interpreters of one model share. A block stays until the store goes.
#ifndef ER_STORE_H
#define ER_STORE_H

#include <stddef.h>

typedef struct er_store er_store;

er_store *er_store_new(void);       // NULL where there is no memory
void er_store_free(er_store *s);
size_t er_store_bytes(er_store *s);

// The block under a key, or NULL.
void *er_store_find(er_store *s, const void *key, size_t key_bytes);

// Puts `block`, from er_aligned_alloc, under a key, and takes it over. Where another thread was faster, frees it and returns that
// one's. NULL where there is no memory: then the block is freed.
void *er_store_add(er_store *s, const void *key, size_t key_bytes, void *block, size_t bytes);

#endif
