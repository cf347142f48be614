#include "base/fixed_point.h"

#include <stdbool.h>

static int32_t add_wrap(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
static int32_t sub_wrap(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }

// Taylor series around -1/8 of exp on [-1/4, 0), Q0.31.
static int32_t exp_near_zero(int32_t a)
{
    const int32_t exp_of_minus_eighth = 1895147668, third = 715827883;
    int32_t x = add_wrap(a, 1 << 28);
    int32_t x2 = er_doubling_high_mul(x, x);
    int32_t x3 = er_doubling_high_mul(x2, x);
    int32_t x4 = er_doubling_high_mul(x2, x2);
    int32_t tail = er_rounding_shift(
        add_wrap(er_doubling_high_mul(add_wrap(er_rounding_shift(x4, 2), x3), third), x2), 1);
    return add_wrap(exp_of_minus_eighth, er_doubling_high_mul(exp_of_minus_eighth, add_wrap(x, tail)));
}

int32_t er_exp_on_negative(int32_t a)
{
    // a = part in [-1/4, 0) - a sum of powers of two from 1/4 to 16; the factor of each is exp(-2^k) in Q0.31.
    static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24;
    if (a == 0) return INT32_MAX;
    int32_t part = sub_wrap(a & (quarter - 1), quarter);
    int32_t result = exp_near_zero(er_saturating_left_shift(part, 5));
    int32_t rest = sub_wrap(part, a);
    for (int k = 0; k < 7; k++)
        if (rest & (1 << (24 + k))) result = er_doubling_high_mul(result, factor[k]);
    return result;
}

int32_t er_one_over_one_plus(int32_t a)
{
    // Newton-Raphson division of 1 by half the denominator, in Q2.29, from the minimax line 48/17 - 32/17 d.
    int64_t sum = (int64_t)a + INT32_MAX;
    int32_t half = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    int32_t x = add_wrap(1515870810, er_doubling_high_mul(half, -1010580540));
    for (int i = 0; i < 3; i++) {
        int32_t rest = sub_wrap(1 << 29, er_doubling_high_mul(half, x));
        x = add_wrap(x, er_saturating_left_shift(er_doubling_high_mul(x, rest), 2));
    }
    return er_saturating_left_shift(x, 1);
}

er_multiplier er_inverse_root(int32_t x)
{
    if (x <= 1) return (er_multiplier){INT32_MAX, 0};
    // x in [2^27, 2^29) by powers of 4, then five steps of Newton-Raphson in Q3.28 from 1.
    int32_t shift = 11;
    while (x >= 1 << 29) {
        x /= 4;
        shift++;
    }
    const int32_t pairs = (__builtin_clz((uint32_t)x) - 1) / 2 - 1;
    shift -= pairs;
    x = (int32_t)((uint32_t)x << (2 * pairs));
    const int32_t half = er_rounding_shift(x >> 1, 1), three_halves = (1 << 28) + (1 << 27);
    int32_t r = 1 << 28;
    for (int i = 0; i < 5; i++) {
        const int32_t r3 = er_saturating_left_shift(er_doubling_high_mul(er_doubling_high_mul(r, r), r), 6);
        r = er_saturating_left_shift(sub_wrap(er_doubling_high_mul(three_halves, r), er_doubling_high_mul(half, r3)), 3);
    }
    r = er_doubling_high_mul(r, 1518500250);
    if (shift < 0) {
        r = (int32_t)((uint32_t)r << -shift);
        shift = 0;
    }
    return (er_multiplier){r, -shift};
}

// x * 2^n, rounded or saturated.
static int32_t scale_by_power(int32_t x, int32_t n) { return n >= 0 ? er_saturating_left_shift(x, n) : er_rounding_shift(x, -n); }

static int32_t add_saturated(int64_t a, int64_t b)
{
    const int64_t s = a + b;
    return s < INT32_MIN ? INT32_MIN : s > INT32_MAX ? INT32_MAX : (int32_t)s;
}

int32_t er_log_of_one_and_more(int32_t x)
{
    // log(x) = k log(2) + log(r) with r near sqrt(sqrt(1/2)), by a rational function; k counts in quarters. Sums are in Q6.25.
    enum { IN = 12, SUM = 6 };
    const int32_t log_2 = 1488522236, root_root_half = 1805811301, root_half = 1518500250, quarter = 536870912 >> SUM;
    const int32_t alpha_n = 117049297, alpha_d = 127690142, alpha_i = 1057819769, alpha_f = 638450708;
    const int32_t lead_a = x ? __builtin_clz((uint32_t)x) : 32;
    const int32_t r_a = scale_by_power(er_doubling_high_mul(scale_by_power(x, lead_a - 1), root_half), 1);
    const int32_t k_a = add_saturated(scale_by_power(IN - lead_a, 31 - SUM), quarter);
    const int32_t b = er_doubling_high_mul(x, root_half), room_b = (b ? __builtin_clz((uint32_t)b) : 32) - 1;
    const int32_t r_b = scale_by_power(x, room_b);
    const int32_t k_b = add_saturated(scale_by_power(IN - room_b, 31 - SUM), -(int64_t)quarter);
    const int32_t r = r_a < r_b ? r_a : r_b, k = k_a > k_b ? k_a : k_b;
    const int64_t sum = (int64_t)r + root_root_half;
    const int32_t p = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    int32_t q = sub_wrap(r, root_root_half);
    q = add_wrap(q, q);
    const int32_t q2 = er_doubling_high_mul(q, q);
    const int32_t num = add_wrap(er_doubling_high_mul(q, r), er_doubling_high_mul(er_doubling_high_mul(q, q2), alpha_n));
    const int32_t less_one = add_wrap(er_doubling_high_mul(p, add_wrap(add_wrap(alpha_i, q), er_doubling_high_mul(alpha_d, q2))), er_doubling_high_mul(alpha_f, q));
    const int32_t inverse = er_one_over_one_plus(less_one);
    const int32_t total = add_wrap(er_doubling_high_mul(k, log_2), er_doubling_high_mul(er_rounding_shift(num, SUM), inverse));
    return er_saturating_left_shift(total, 1);
}
