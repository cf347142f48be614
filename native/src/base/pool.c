// A loop is a number of items left to take. Each thread has a range of them, which it takes one by one from its beginning, then those of
// the others from their ends: a slow core takes fewer, and what a thread reads it has mostly written itself in the loop before, into its
// own core's cache. The caller takes part, and returns when the last item is done. Nobody waits for a thread that has taken
// nothing: one that wakes late finds nothing left, or the next loop.
//
// Between loops threads spin for some microseconds, because the next operator's loop follows at once, then sleep.
#include "base/pool.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/system.h"

enum { SPINS = 2000, TURN = 64 };       // of the caller, waiting for the last items; and between two looks at the clock

// Items [begin, end), as end << 32 | begin; alone in its cache line.
typedef struct { _Alignas(64) atomic_ullong items; } range;

struct er_pool {
    int threads;
    int64_t grain;
    int spins;                      // 0 where there are more threads than cores: spinning would take a core from who works
    pthread_t *handles;
    int started;
    const atomic_int *cancelled;    // er_pool_watch
    const uint64_t *deadline;
    range *ranges;                  // [threads]
    atomic_int sleepers;
    atomic_bool stop;
    pthread_mutex_t mutex;          // for sleeping only
    pthread_cond_t wake;
    // Written once for each loop, and watched by those that wait for one.
    _Alignas(64) atomic_uint loop;      // counts them
    void (*fn)(void *, size_t, int);    // of the present loop; read only by who has taken an item of it
    void *arg;
    _Alignas(64) atomic_uint unfinished;        // items of it
};

typedef struct { er_pool *pool; int thread; } worker_arg;

static inline void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__ARM_ARCH) && __ARM_ARCH >= 7)
    __asm__ volatile("yield");
#endif
}

// Takes an item, of the thread's own range or of another's. What is read after that belongs to the item's loop, which cannot end before the
// item is done.
static bool take_item(er_pool *p, int thread, size_t *item)
{
    for (int k = 0; k < p->threads; k++) {
        atomic_ullong *items = &p->ranges[(thread + k) % p->threads].items;
        unsigned long long range = atomic_load_explicit(items, memory_order_relaxed);
        for (;;) {
            unsigned long long begin = range & UINT_MAX, end = range >> 32;
            if (begin == end) break;
            unsigned long long rest = k == 0 ? end << 32 | (begin + 1) : (end - 1) << 32 | begin;
            if (!atomic_compare_exchange_weak_explicit(items, &range, rest, memory_order_acquire, memory_order_relaxed)) continue;
            *item = (size_t)(k == 0 ? begin : end - 1);
            return true;
        }
    }
    return false;
}

static void take_items(er_pool *p, int thread)
{
    unsigned done = 0;      // told once, at the end: what threads write to in common is slow
    for (size_t item; take_item(p, thread, &item); done++)
        if (!er_pool_stopped(p)) p->fn(p->arg, item, thread);
    if (done) atomic_fetch_sub_explicit(&p->unfinished, done, memory_order_release);
}

static void sleep_until_work(er_pool *p, unsigned seen)
{
    pthread_mutex_lock(&p->mutex);
    // Counted first, then looked: er_pool_run stores first, then counts. One of the two sees the other.
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->loop) == seen && !atomic_load(&p->stop)) pthread_cond_wait(&p->wake, &p->mutex);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->mutex);
}

static void *worker(void *arg)
{
    worker_arg a = *(worker_arg *)arg;
    free(arg);
    er_pool *p = a.pool;
    unsigned seen = 0;
    while (!atomic_load_explicit(&p->stop, memory_order_acquire)) {
        unsigned loop = atomic_load_explicit(&p->loop, memory_order_relaxed);
        for (uint64_t begin = p->spins ? er_nanoseconds() : 0; loop == seen && p->spins && er_nanoseconds() - begin < ER_POOL_AWAKE;)
            for (int spins = 0; loop == seen && spins < TURN; spins++) {
                pause_a_little();
                loop = atomic_load_explicit(&p->loop, memory_order_relaxed);
            }
        if (loop == seen) {
            sleep_until_work(p, seen);
            continue;
        }
        seen = loop;
        take_items(p, a.thread);
    }
    return NULL;
}

er_pool *er_pool_new(int threads)
{
    er_pool *p = er_aligned_alloc(sizeof *p);
    if (!p) return NULL;
    memset(p, 0, sizeof *p);
    p->threads = threads;
    p->spins = (unsigned)threads <= er_online_cpus() ? SPINS : 0;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->handles = calloc((size_t)threads, sizeof *p->handles);
    p->ranges = er_aligned_alloc((size_t)threads * sizeof *p->ranges);
    if (!p->handles || !p->ranges) { er_pool_free(p); return NULL; }
    for (int t = 0; t < threads; t++) atomic_init(&p->ranges[t].items, 0);
    for (int t = 1; t < threads; t++) {
        worker_arg *a = malloc(sizeof *a);
        if (!a) { er_pool_free(p); return NULL; }
        *a = (worker_arg){p, t};
        if (pthread_create(&p->handles[p->started], NULL, worker, a)) {
            free(a);
            er_pool_free(p);
            return NULL;
        }
        p->started++;
    }
    return p;
}

static void wake_all(er_pool *p)
{
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
}

void er_pool_free(er_pool *p)
{
    if (!p) return;
    atomic_store(&p->stop, true);
    wake_all(p);
    for (int t = 0; t < p->started; t++) pthread_join(p->handles[t], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->mutex);
    free(p->handles);
    er_aligned_free(p->ranges);
    er_aligned_free(p);
}

void er_pool_watch(er_pool *p, const atomic_int *cancelled, const uint64_t *deadline)
{
    p->cancelled = cancelled;
    p->deadline = deadline;
}

bool er_pool_stopped(const er_pool *p)
{
    return p->cancelled && (atomic_load_explicit(p->cancelled, memory_order_relaxed) || (*p->deadline && er_nanoseconds() > *p->deadline));
}

int er_pool_threads(const er_pool *p) { return p->threads; }
void er_pool_set_grain(er_pool *p, int64_t grain) { p->grain = grain; }
int64_t er_pool_grain(const er_pool *p) { return p->grain; }

void er_pool_run(er_pool *p, size_t n, void (*fn)(void *, size_t, int), void *arg)
{
    if (p->threads == 1 || n <= 1 || n > UINT_MAX) {
        for (size_t i = 0; i < n && !er_pool_stopped(p); i++) fn(arg, i, 0);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    atomic_store_explicit(&p->unfinished, (unsigned)n, memory_order_relaxed);
    for (size_t t = 0, threads = (size_t)p->threads; t < threads; t++) {    // from here on items can be taken
        unsigned long long begin = er_part(n, t, threads), end = er_part(n, t + 1, threads);
        atomic_store_explicit(&p->ranges[t].items, end << 32 | begin, memory_order_release);
    }
    atomic_fetch_add(&p->loop, 1);
    if (atomic_load(&p->sleepers)) wake_all(p);
    take_items(p, 0);
    for (int spins = 0; atomic_load_explicit(&p->unfinished, memory_order_acquire); spins++) {
        if (spins < p->spins) pause_a_little();
        else sched_yield();
    }
}
