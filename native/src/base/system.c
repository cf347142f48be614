#if !defined(_WIN32)
#define _GNU_SOURCE     // sched_getaffinity, madvise
#include <sched.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "base/system.h"

uint64_t er_physical_memory(void)
{
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
#else
    return 0;
#endif
}

unsigned er_online_cpus(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set) && CPU_COUNT(&set) > 0) return (unsigned)CPU_COUNT(&set);
#endif
#if defined(_SC_NPROCESSORS_ONLN)
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n > 0) return (unsigned)n;
#endif
    return 1;
}

uint64_t er_nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void *er_zeroed_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX - 2 * ER_ALIGN) return NULL;
    uint8_t *raw = calloc(bytes + 2 * ER_ALIGN, 1);
    if (!raw) return NULL;
    uint8_t *p = (uint8_t *)(((uintptr_t)raw + 2 * ER_ALIGN - 1) / ER_ALIGN * ER_ALIGN);
    ((void **)(void *)p)[-1] = raw;
    return p;
}

void er_zeroed_free(void *p)
{
    if (p) free(((void **)p)[-1]);
}

// AddressSanitizer sees what is read past a block of its own, not of a region.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
enum { LARGE_PAGE = 2 * 1024 * 1024 };

void *er_region_reserve(size_t bytes)
{
    size_t all = bytes + LARGE_PAGE;
    if (all < bytes) return NULL;
    uint8_t *p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    size_t before = (LARGE_PAGE - (uintptr_t)p % LARGE_PAGE) % LARGE_PAGE, whole = bytes / LARGE_PAGE * LARGE_PAGE;
    if (before) munmap(p, before);
    munmap(p + before + bytes, all - before - bytes);
    if (whole) madvise(p + before, whole, MADV_HUGEPAGE);
    return p + before;
}

void er_region_free(void *region, size_t bytes) { munmap(region, bytes); }
#else
void *er_region_reserve(size_t bytes) { (void)bytes; return NULL; }
void er_region_free(void *region, size_t bytes) { (void)region; (void)bytes; }
#endif
