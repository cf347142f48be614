// Blocks of memory under keys, for several threads: what interpreters of one model share. A block stays until the store goes. Blocks may be kept in a file, of which
// processes share the pages.
#ifndef ER_STORE_H
#define ER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct er_store er_store;

// For about `expected` bytes of blocks, which then lie one after the other in the order of their making: what is read one after the other is
// best found so. NULL where there is no memory.
er_store *er_store_new(size_t expected);
void er_store_free(er_store *s);
size_t er_store_bytes(er_store *s);

// The block under a key, of so many bytes, or NULL.
const void *er_store_find(er_store *s, const void *key, size_t key_bytes, size_t bytes);

// Memory for a block, 64-byte aligned, not zeroed; NULL where there is none.
void *er_store_alloc(er_store *s, size_t bytes);

// Puts `block`, from er_store_alloc, under a key of up to ER_STORE_KEY bytes, and takes it over. Where another thread was faster, drops it and returns that
// one's. NULL where there is no memory, or the key is longer.
enum { ER_STORE_KEY = 104 };
const void *er_store_add(er_store *s, const void *key, size_t key_bytes, const void *block, size_t bytes);

// Takes the blocks of a file that er_store_save wrote for the same owner, before there are others. False where it takes nothing: there is no such file, it is
// of another owner, or damaged.
bool er_store_load(er_store *s, const char *path, uint64_t owner);

// Writes all blocks to a file, by way of a temporary one beside it. And whether all that there are came from one, or have been written.
er_status er_store_save(er_store *s, const char *path, uint64_t owner, edgert_error *error);

bool er_store_is_saved(er_store *s);

// Of n bytes, from the hash of what comes before them: against accidents, not attacks.
uint64_t er_hash(uint64_t before, const void *data, size_t n);

#endif
