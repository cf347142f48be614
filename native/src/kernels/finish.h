// One output, exactly as the reference rounds: what every vector kernel must equal, and where it goes for those that it cannot be sure of.
#ifndef ER_FINISH_H
#define ER_FINISH_H

#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"

// Channel j of a header of `width` channels (kernels.h).
static inline uint8_t er_finish(int32_t sum, const void *header, size_t width, size_t j, const er_output *o)
{
    const uint8_t *h = (const uint8_t *)header + 4 * width;
    int64_t y;
    if (o->real) {
        double m;
        memcpy(&m, h + 8 * j, 8);
        y = (int32_t)((uint32_t)er_requantize_real(sum, m) + (uint32_t)o->zero);    // wraps, as the reference does
    } else {
        er_multiplier m;
        memcpy(&m.q, h + 4 * j, 4);
        memcpy(&m.shift, h + 4 * (width + j), 4);
        y = (int64_t)er_requantize(sum, m) + o->zero;
    }
    return (uint8_t)(y < o->min ? o->min : y > o->max ? o->max : y);
}

// One sum of er_qadd.
static inline uint8_t er_qadd_one(uint8_t a, uint8_t b, const er_qadd_params *p)
{
    int32_t x = er_requantize(((p->a_signed ? (int8_t)a : a) - p->a_zero) * (1 << 20), p->a);
    int32_t y = er_requantize(((p->b_signed ? (int8_t)b : b) - p->b_zero) * (1 << 20), p->b);
    uint32_t sum = p->subtract ? (uint32_t)x - (uint32_t)y : (uint32_t)x + (uint32_t)y;
    int64_t r = (int64_t)er_requantize((int32_t)sum, p->out) + p->o.zero;
    return (uint8_t)(r < p->o.min ? p->o.min : r > p->o.max ? p->o.max : r);
}

#endif
