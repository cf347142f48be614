// Whether a model's loops are shared among threads.
#ifndef ER_SHARING_H
#define ER_SHARING_H

#include "base/pool.h"

#include <stdbool.h>

typedef struct er_sharing {
    int64_t grain;              // from what work on a loop is
    bool brief;                 // tried out: see sharing.c
    // Of a brief model, times in nanoseconds.
    uint64_t began, finished, least[2];         // alone and shared
    uint32_t turn;
    bool shared, tried;         // this invoke
} er_sharing;

// For a model of `work` multiply-adds on `threads` threads, of `speed` in a nanosecond. `always`: everything is shared. False: it is too
// small for more than one thread.
bool er_sharing_plan(er_sharing *s, er_pool *pool, int threads, int64_t work, int speed, bool always);

// Around an invoke of a brief model; `now` in nanoseconds.
void er_sharing_begin(er_sharing *s, er_pool *pool, uint64_t now);
void er_sharing_end(er_sharing *s, uint64_t now);

#endif
