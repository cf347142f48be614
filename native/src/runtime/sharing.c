// A loop of little work stays on the caller's thread; so does a very small model as a whole.
//
// For a brief model, of some tens of microseconds, waking threads costs as much as they save, and whether they save anything once they are awake
// depends on how far from each other the machine's cores are. Only invokes that follow each other at once are shared, and only as long as
// that is faster: some out of many are run either way, and timed.
#include "runtime/sharing.h"

enum {
    LOOP = 1500, SMALL = 10000, BRIEF = 100000,         // nanoseconds
    SHARED = 8, ALONE = 4, ROUND = 2048,                // invokes that are tried shared, the first of which wake threads; then alone; of so many
};

bool er_sharing_plan(er_sharing *s, er_pool *pool, int threads, int64_t work, int speed, bool always)
{
    const bool small = work < (int64_t)speed * SMALL && !always;
    *s = (er_sharing){.grain = always ? 0 : small ? INT64_MAX : (int64_t)speed * LOOP,
                      .brief = !always && !small && threads > 1 && work < (int64_t)speed * BRIEF};
    er_pool_set_grain(pool, s->grain);
    return !small || threads == 1;
}

void er_sharing_begin(er_sharing *s, er_pool *pool, uint64_t now)
{
    s->began = now;
    const bool follows = s->began - s->finished < ER_POOL_AWAKE / 2;
    const uint32_t turn = s->turn % ROUND;
    s->tried = follows && turn < SHARED + ALONE;
    s->shared = follows && (turn < SHARED || (turn >= SHARED + ALONE && s->least[true] < s->least[false]));
    s->turn += follows;
    if (turn == 0) s->least[false] = s->least[true] = UINT64_MAX;
    er_pool_set_grain(pool, s->shared ? s->grain : INT64_MAX);
}

void er_sharing_end(er_sharing *s, uint64_t now)
{
    s->finished = now;
    const uint64_t time = s->finished - s->began;
    if (s->tried && time < s->least[s->shared]) s->least[s->shared] = time;
}
