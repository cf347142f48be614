// Functions of one int16 value by a table of 513 points, with straight lines between them, as the reference has it.
#ifndef ER_TABLE16_H
#define ER_TABLE16_H

#include "ops/op.h"

enum { ER_TABLE16 = 513 };

typedef float er_function(float x, const void *arg);

// Points of a function from one scale to another. The middle of each step counts: points are moved by half of what the line is off there.
void er_table16_fill(float x_scale, int32_t x_zero, float y_scale, int32_t y_zero, er_function *f, const void *arg, int16_t *table);

// The same in double, for a function without an argument.
void er_table16_fill_double(double x_scale, int32_t x_zero, double y_scale, int32_t y_zero, double (*f)(double), int16_t *table);

static inline int16_t er_table16_at(const int16_t *table, int16_t x)
{
    const int32_t i = 256 + (x >> 7), slope = table[i + 1] - table[i];
    return (int16_t)(table[i] + ((slope * (x & 0x7F) + 64) >> 7));
}

// Sets run to such a function of input 0, er_run_table16.
er_status er_use_table16(er_prepare *p, er_op *op, int16_t **table);
void er_run_table16(const er_op *op, er_pool *pool);

// The reference's sigmoid in 16 bits, at multiples of 1/24: [256].
void er_sigmoid_points(uint16_t *points);

// Whether a scale is a power of two, or so near to one that the reference takes it for that; which one.
bool er_is_power_of_two(float scale, int32_t *exponent);

// What LOGISTIC and TANH multiply int16 values with, to get to multiples of 1/12288: x * q >> shift, rounded.
typedef struct er_scaling16 { int32_t q, shift; } er_scaling16;
er_scaling16 er_scaling16_of(float scale, int32_t most_shift);
int16_t er_logistic16(const uint16_t *points, er_scaling16 s, int16_t x);
int16_t er_tanh16(const uint16_t *points, er_scaling16 s, int16_t x);

#endif
