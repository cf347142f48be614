// A fixed number of threads that share loops.
#ifndef ER_POOL_H
#define ER_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct er_pool er_pool;

// Nanoseconds for which threads wait for the next loop before they sleep.
enum { ER_POOL_AWAKE = 40000 };

// `threads` >= 1 counts the caller's own. NULL where threads cannot be started.
er_pool *er_pool_new(int threads);
void er_pool_free(er_pool *pool);
int er_pool_threads(const er_pool *pool);

// Where part i of `parts` begins when n things are divided as evenly as they can be; part `parts` begins at n.
static inline size_t er_part(size_t n, size_t i, size_t parts) { return n * i / parts; }

// How much work, in a unit of the caller's, is worth waking the other threads for. INT64_MAX: none, they sleep. At first 0.
void er_pool_set_grain(er_pool *pool, int64_t grain);
int64_t er_pool_grain(const er_pool *pool);

// Calls fn(arg, i, thread) once for every 0 <= i < n, in any order, on the pool's threads and the caller's
// (0 <= thread < threads), and returns when all have returned. One loop at a time; not to be nested.
void er_pool_run(er_pool *pool, size_t n, void (*fn)(void *arg, size_t i, int thread), void *arg);

// From here on loops end early, their items undone, once *cancelled is set or er_nanoseconds() is beyond *deadline (0: none). NULL: they do not.
void er_pool_watch(er_pool *pool, const atomic_int *cancelled, const uint64_t *deadline);

// Whether that is so: for loops that are not the pool's, every millisecond or so.
bool er_pool_stopped(const er_pool *pool);

#endif
