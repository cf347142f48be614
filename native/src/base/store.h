// Blocks of memory under keys, for several threads: what interpreters of one model share. A block stays until the store goes.
#ifndef ER_STORE_H
#define ER_STORE_H

#include <stddef.h>

typedef struct er_store er_store;

// For about `expected` bytes of blocks, which then lie one after the other in the order of their making: what is read one after the other is
// best found so. NULL where there is no memory.
er_store *er_store_new(size_t expected);
void er_store_free(er_store *s);
size_t er_store_bytes(er_store *s);

// The block under a key, or NULL.
void *er_store_find(er_store *s, const void *key, size_t key_bytes);

// Memory for a block, 64-byte aligned, not zeroed; NULL where there is none.
void *er_store_alloc(er_store *s, size_t bytes);

// Puts `block`, from er_store_alloc, under a key, and takes it over. Where another thread was faster, drops it and returns that
// one's. NULL where there is no memory.
void *er_store_add(er_store *s, const void *key, size_t key_bytes, void *block, size_t bytes);

#endif
