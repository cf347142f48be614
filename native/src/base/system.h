// What is asked of the operating system.
#ifndef ER_SYSTEM_H
#define ER_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

uint64_t er_physical_memory(void);      // bytes; 0 where it is not known
unsigned er_online_cpus(void);          // that this process may use; at least 1
uint64_t er_nanoseconds(void);          // of a monotonic clock

// Zeroed and 64-byte aligned; pages that are never touched cost nothing where the system can do that.
void *er_zeroed_alloc(size_t bytes);
void er_zeroed_free(void *p);

// Addresses for `bytes`, zeroed, aligned to large pages. They take memory where they are touched: by large pages as far as they are full of
// them, as a fault for each small one takes longer than what is done with it. NULL where the system has no such thing.
void *er_region_reserve(size_t bytes);
void er_region_free(void *region, size_t bytes);

#endif
