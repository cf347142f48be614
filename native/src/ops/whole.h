// Elements of any whole type, one at a time: for operators that have no kernel for each.
#ifndef ER_WHOLE_H
#define ER_WHOLE_H

#include "ops/op.h"

// Element i of a tensor of bool or of integers; uint64 as the int64 with its bits.
static inline int64_t er_whole(const er_tensor *t, size_t i)
{
    switch (t->def->type) {
    case EDGERT_INT8: return er_i8(t)[i];
    case EDGERT_BOOL: case EDGERT_UINT8: return er_u8(t)[i];
    case EDGERT_INT16: return ((const int16_t *)t->data)[i];
    case EDGERT_UINT16: return ((const uint16_t *)t->data)[i];
    case EDGERT_UINT32: return ((const uint32_t *)t->data)[i];
    case EDGERT_INT32: return er_i32(t)[i];
    default: return ((const int64_t *)t->data)[i];
    }
}

// Puts v there, cut to the type's bits.
static inline void er_put_whole(const er_tensor *t, size_t i, int64_t v)
{
    switch (t->def->type) {
    case EDGERT_BOOL: er_u8(t)[i] = v != 0; break;
    case EDGERT_INT8: er_i8(t)[i] = (int8_t)v; break;
    case EDGERT_UINT8: er_u8(t)[i] = (uint8_t)v; break;
    case EDGERT_INT16: case EDGERT_UINT16: ((int16_t *)t->data)[i] = (int16_t)v; break;
    case EDGERT_INT32: case EDGERT_UINT32: er_i32(t)[i] = (int32_t)v; break;
    default: ((int64_t *)t->data)[i] = v;
    }
}

static inline void er_whole_limits(edgert_type type, int64_t *low, int64_t *high)
{
    switch (type) {
    case EDGERT_BOOL: *low = 0; *high = 1; break;
    case EDGERT_INT8: *low = INT8_MIN; *high = INT8_MAX; break;
    case EDGERT_UINT8: *low = 0; *high = UINT8_MAX; break;
    case EDGERT_INT16: *low = INT16_MIN; *high = INT16_MAX; break;
    case EDGERT_UINT16: *low = 0; *high = UINT16_MAX; break;
    case EDGERT_INT32: *low = INT32_MIN; *high = INT32_MAX; break;
    case EDGERT_UINT32: *low = 0; *high = UINT32_MAX; break;
    default: *low = INT64_MIN; *high = INT64_MAX;
    }
}

#endif
