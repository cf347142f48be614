// FlexBuffers, as far as options of custom operators are written in them: a map from names to single numbers.
//
// Format: https://flatbuffers.dev/flexbuffers/. Nothing is verified beforehand: each reading checks what it touches.
#ifndef ER_FLEXBUFFER_H
#define ER_FLEXBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct er_flex { const uint8_t *data; size_t size; } er_flex;

// The value under `key` of the map at the root; false where there is none, or it is no number.
bool er_flex_number(er_flex f, const char *key, double *value);

#endif
