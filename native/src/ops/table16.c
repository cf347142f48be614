#include "ops/table16.h"

#include <math.h>

static int16_t clamp16(double v) { return (int16_t)(!(v > INT16_MIN) ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v); }

void er_table16_fill(float x_scale, int32_t x_zero, float y_scale, int32_t y_zero, er_function *f, const void *arg, int16_t *table)
{
    const float low = x_scale * (float)(INT16_MIN - x_zero), high = x_scale * (float)(INT16_MAX - x_zero);
    const float y_low = y_scale * (float)(INT16_MIN - y_zero), y_high = y_scale * (float)(INT16_MAX - y_zero);
    const float step = (high - low) / 512, half = step / 2, inverse = 65536.0f / (y_high - y_low);
    for (int32_t i = 0; i < 512; i++) {
        const float at = f(low + (float)i * step, arg), middle = f(low + (float)i * step + half, arg), next = f(low + (float)(i + 1) * step, arg);
        const float here = roundf(at * inverse), line = roundf((next * inverse + here) / 2);
        const float off = line - roundf(middle * inverse), bias = roundf(off / 2);
        table[i] = clamp16((double)(here - bias));
    }
    table[512] = clamp16((double)roundf(f(high, arg) * inverse));
}

void er_table16_fill_double(double x_scale, int32_t x_zero, double y_scale, int32_t y_zero, double (*f)(double), int16_t *table)
{
    const double low = x_scale * (INT16_MIN - x_zero), high = x_scale * (INT16_MAX - x_zero);
    const double y_low = y_scale * (INT16_MIN - y_zero), y_high = y_scale * (INT16_MAX - y_zero);
    const double step = (high - low) / 512, half = step / 2, inverse = 65536.0 / (y_high - y_low);
    for (int32_t i = 0; i < 512; i++) {
        const double at = f(low + i * step), middle = f(low + i * step + half), next = f(low + (i + 1) * step);
        const double here = round(at * inverse), line = round((next * inverse + here) / 2);
        const double off = line - round(middle * inverse), bias = round(off / 2);
        table[i] = clamp16(here - bias);
    }
    table[512] = clamp16(round(f(high) * inverse));
}

static void table16_span(const er_op *op, size_t from, size_t to)
{
    const int16_t *table = op->state, *x = op->inputs[0]->data;
    int16_t *y = op->outputs[0]->data;
    for (size_t i = from; i < to; i++) y[i] = er_table16_at(table, x[i]);
}

void er_run_table16(const er_op *op, er_pool *pool) { er_for_spans(pool, op->outputs[0]->count, 1, table16_span, op); }

er_status er_use_table16(er_prepare *p, er_op *op, int16_t **table)
{
    er_status status;
    op->state = *table = er_alloc(p, ER_TABLE16 * sizeof **table, &status);
    op->run = er_run_table16;
    op->kernel = "table";
    op->share = ER_SHARE_IN_PLACE;
    return status;
}

// ---- LOGISTIC and TANH

void er_sigmoid_points(uint16_t *points)
{
    // The reference's points are the rounded function, but for these, which are one higher.
    static const uint8_t higher[] = {4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41,
                                     43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255};
    for (int32_t i = 0; i < 256; i++) points[i] = (uint16_t)round(65536 / (1 + exp(-i / 24.0)));
    for (size_t i = 0; i < sizeof higher; i++) points[higher[i]]++;
}

bool er_is_power_of_two(float scale, int32_t *exponent)
{
    *exponent = 0;
    if (!(scale > 0) || isinf(scale)) return false;
    const double l = log((double)scale) * (1.0 / log(2.0)), whole = round(l);
    *exponent = (int32_t)whole;
    return fabs(l - whole) < 1e-3;
}

er_scaling16 er_scaling16_of(float scale, int32_t most_shift)
{
    // Powers of two that fit are exact; others get 15 bits.
    int32_t exponent;
    const bool power = er_is_power_of_two(scale, &exponent);
    const int32_t shift = 12 + exponent;
    if (power && shift >= 0 && shift <= most_shift) return (er_scaling16){3 << shift, 0};
    double m = (double)scale * 4096.0 * 3.0;
    er_scaling16 s = {0, 0};
    while (m <= 32767.0 / 2.0 && s.shift <= 30) {
        s.shift++;
        m *= 2;
    }
    s.q = m < 2147483647.0 ? (int32_t)m : INT32_MAX;
    return s;
}

// x in multiples of 1/12288. What does not fit 32 bits wraps, as the reference's does.
static int32_t scaled(er_scaling16 s, int16_t x)
{
    const uint32_t round = s.shift > 0 ? UINT32_C(1) << (s.shift - 1) : 0;
    return (int32_t)((uint32_t)x * (uint32_t)s.q + round) >> er_min32(s.shift, 31);
}

int16_t er_logistic16(const uint16_t *points, er_scaling16 s, int16_t x)
{
    const int32_t v = scaled(s, x);
    const uint32_t a = v < 0 ? 0 - (uint32_t)v : (uint32_t)v, i = a >> 9;
    uint32_t r = UINT32_C(0x7FFF) << 10;
    if (i < 255) r = ((uint32_t)points[i] << 9) + (a & 0x1FF) * (uint32_t)(points[i + 1] - points[i]);
    r = v >= 0 ? r + (1 << 9) : (1 << 25) - r + (1 << 9) - 1;
    return (int16_t)(r >> 10);
}

int16_t er_tanh16(const uint16_t *points, er_scaling16 s, int16_t x)
{
    const int32_t v = scaled(s, x);
    const uint32_t a = v < 0 ? 0 - (uint32_t)v : (uint32_t)v, i = a >> 8;
    int32_t r = 0xFFFF << 8;
    if (i < 255) r = (points[i] << 8) + (int32_t)(a & 0xFF) * (points[i + 1] - points[i]);
    r = v >= 0 ? r - (1 << 23) + (1 << 7) : -r + (1 << 23) + (1 << 7) - 1;
    return (int16_t)(r >> 8);
}
