// Fixed-point arithmetic, the thread pool, and the memory planner.
#include <stdatomic.h>
#include <string.h>

#include "base/exponential.h"
#include "base/fixed_point.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/rank.h"
#include "check.h"
#include "runtime/planner.h"
#include "runtime/sharing.h"

static uint64_t rng = 7;

static void test_multipliers(void)
{
    er_multiplier half = er_make_multiplier(0.5), tiny = er_make_multiplier(0x1p-40), huge = er_make_multiplier(0x1p40);
    CHECK(half.q == 1 << 30 && half.shift == 0, "0.5 is %d, %d", half.q, half.shift);
    CHECK(tiny.q == 0, "2^-40 is %d, %d, expected 0", tiny.q, tiny.shift);
    CHECK(huge.q == INT32_MAX && huge.shift == 30, "2^40 is %d, %d, expected the largest", huge.q, huge.shift);
    CHECK(er_make_multiplier(0.99999999999).shift == 1, "what rounds to 2^31 is halved");
    CHECK(er_requantize(3, half) == 2 && er_requantize(-3, half) == -1, "one rounding goes up");
    er_multiplier quarter = er_make_multiplier(0.25);
    CHECK(er_requantize(2, quarter) == 1 && er_requantize(-2, quarter) == -1, "halves go away from zero after a shift");
    CHECK(er_requantize_real(2, 0.25) == 1 && er_requantize_real(-2, 0.25) == -1, "halves go away from zero");
    CHECK(er_requantize_real(INT32_MAX, 2.0) == INT32_MIN, "what does not fit is INT32_MIN");
}

static void test_functions(void)
{
    // exp in Q5.26 -> Q0.31, and 1/(1+x), against the C library.
    for (double x = 0; x > -30; x -= 0.37) {
        double got = er_exp_on_negative((int32_t)(x * 0x1p26)) / 0x1p31, want = exp((int32_t)(x * 0x1p26) / 0x1p26);
        CHECK(fabs(got - want) < 1e-6, "exp(%g) is %g, expected %g", x, got, want);
    }
    for (double x = 0; x < 1; x += 0.013) {
        double got = er_one_over_one_plus((int32_t)(x * 0x1p31)) / 0x1p31;
        CHECK(fabs(got - 1 / (1 + x)) < 1e-6, "1/(1+%g) is %g", x, got);
    }
    // exp of floats: within what rounding to the nearest could do, and a little.
    for (float x = -87; x < 88; x += 0.0137f) {
        const double want = exp((double)x), step = (double)nextafterf((float)want, INFINITY) - (double)(float)want;
        CHECK(fabs((double)er_expf(x) - want) < 0.51 * step, "exp(%g) is %g, expected %g", (double)x, (double)er_expf(x), want);
    }
    CHECK(er_expf(-INFINITY) == 0 && er_expf(INFINITY) == INFINITY && er_expf(0) == 1 && isnan(er_expf(NAN)), "exp at the ends");
    CHECK(er_expf(-103) == 0x1p-149f && er_expf(-104) == 0 && er_expf(88.7f) < INFINITY && er_expf(88.8f) == INFINITY, "exp where floats end");
}

typedef struct { atomic_int calls[1000]; int threads; } counter;

static void count(void *arg, size_t i, int thread)
{
    counter *c = arg;
    CHECK(thread >= 0 && thread < c->threads, "thread %d of %d", thread, c->threads);
    atomic_fetch_add(&c->calls[i], 1);
}

static void test_pool(void)
{
    for (int threads = 1; threads <= 4; threads++) {
        er_pool *p = er_pool_new(threads);
        CHECK(p && er_pool_threads(p) == threads, "no pool of %d", threads);
        for (int round = 0; round < 300; round++) {
            static counter c;
            memset(&c, 0, sizeof c);
            c.threads = threads;
            size_t n = below(&rng, 1000);
            er_pool_run(p, n, count, &c);
            for (size_t i = 0; i < 1000; i++) CHECK(atomic_load(&c.calls[i]) == (i < n), "item %zu of %zu ran %d times", i, n, c.calls[i]);
        }
        er_pool_free(p);
    }
}

static void test_planner(void)
{
    for (int round = 0; round < 300; round++) {
        enum { MOST = 40 };
        er_block b[MOST];
        int32_t n = 1 + (int32_t)below(&rng, MOST);
        size_t total, sum = 0, peak = 0;
        for (int32_t i = 0; i < n; i++) {
            int32_t first = (int32_t)below(&rng, 30);
            b[i] = (er_block){below(&rng, 5000), first, first + (int32_t)below(&rng, 8), 0};
            sum += (b[i].bytes + ER_ALIGN - 1) / ER_ALIGN * ER_ALIGN;
        }
        CHECK(er_plan_memory(b, n, &total, NULL) == ER_OK, "planning failed");
        for (int32_t step = 0; step < 40; step++) {
            size_t live = 0;
            for (int32_t i = 0; i < n; i++)
                if (b[i].first <= step && step <= b[i].last) live += b[i].bytes;
            if (live > peak) peak = live;
        }
        CHECK(total >= peak && total <= sum, "arena %zu is not between the peak %zu and the sum %zu", total, peak, sum);
        for (int32_t i = 0; i < n; i++) {
            CHECK(b[i].offset % ER_ALIGN == 0 && b[i].offset + b[i].bytes <= total, "block %d is outside", i);
            for (int32_t j = 0; j < i; j++) {
                bool together = b[i].first <= b[j].last && b[j].first <= b[i].last;
                bool overlap = b[i].offset < b[j].offset + b[j].bytes && b[j].offset < b[i].offset + b[i].bytes;
                CHECK(!(together && overlap), "blocks %d and %d share memory while both live", i, j);
            }
        }
    }
    // What one block leaves, another takes: two of a kind, one after the other, need room for one.
    er_block b[2] = {{1000, 0, 1, 0}, {1000, 2, 3, 0}};
    size_t total;
    er_plan_memory(b, 2, &total, NULL);
    CHECK(total == 1024, "two blocks in turn take %zu bytes, expected 1024", total);
    er_block large[2] = {{SIZE_MAX - 100, 0, 1, 0}, {1000, 0, 1, 0}};
    CHECK(er_plan_memory(large, 2, &total, NULL) == EDGERT_ERROR_MEMORY, "an overflow is not noticed");
}

// The largest first, of equal ones the first: all of them, and the first k by a heap.
static void test_ranks(void)
{
    enum { MOST = 300 };
    er_ranked all[MOST], spare[MOST], heap[MOST];
    for (int round = 0; round < 300; round++) {
        const size_t n = below(&rng, MOST) + 1, k = below(&rng, n) + 1;
        const int few = round % 3;
        for (size_t i = 0; i < n; i++) {
            const uint64_t bits = random64(&rng);
            all[i] = (er_ranked){few == 0 ? (int64_t)(bits % 5) - 2 : few == 1 ? (int64_t)bits : bits % 2 ? INT64_MIN : INT64_MAX, (int32_t)i};
        }
        memcpy(heap, all, k * sizeof *all);
        er_rank_heap(heap, k);
        for (size_t i = k; i < n; i++) {
            if (!er_ranks_after(heap[0], all[i])) continue;
            heap[0] = all[i];
            er_rank_sift(heap, 0, k);
        }
        for (size_t i = k; i > 1; i--) er_rank_take(heap, i);
        er_rank(all, spare, n);
        for (size_t i = 1; i < n; i++) CHECK(er_ranks_after(all[i], all[i - 1]), "round %d: element %zu of %zu is out of order", round, i, n);
        for (size_t i = 0; i < k; i++) CHECK(heap[i].value == all[i].value && heap[i].at == all[i].at, "round %d: element %zu of the first %zu", round, i, k);
    }
}

// Which invokes of a brief model are shared: of those that follow each other, 8 to try that, 4 to try it alone, then whichever took less.
static void test_sharing(void)
{
    er_pool *pool = er_pool_new(2);
    er_sharing s;
    CHECK(!er_sharing_plan(&s, pool, 2, 900, 1, false), "a model of 900 nanoseconds is shared");
    CHECK(er_sharing_plan(&s, pool, 2, 900, 1, true) && er_pool_grain(pool) == 0 && !s.brief, "not everything is shared where it always is");
    CHECK(er_sharing_plan(&s, pool, 2, 1000000, 1, false) && er_pool_grain(pool) < 10000 && !s.brief, "a model of a millisecond is tried out");
    for (int faster = 0; faster < 2; faster++) {
        CHECK(er_sharing_plan(&s, pool, 2, 50000, 1, false) && s.brief, "a model of 50 microseconds is not tried out");
        uint64_t now = 1000000;
        for (int i = 0; i < 200; i++) {
            now += i == 100 ? 1000000 : 1000;
            er_sharing_begin(&s, pool, now);
            const bool shared = i == 0 || i == 100 ? false : i <= 8 ? true : i <= 12 ? false : faster;
            CHECK(s.shared == shared && (er_pool_grain(pool) == INT64_MAX) != shared, "invoke %d is %s", i, s.shared ? "shared" : "not shared");
            now += s.shared == faster ? 20000 : 40000;
            er_sharing_end(&s, now);
        }
    }
    er_pool_free(pool);
}

int main(void)
{
    test_multipliers();
    test_functions();
    test_pool();
    test_planner();
    test_sharing();
    test_ranks();
    puts("ok");
    return 0;
}
