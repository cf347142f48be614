// Vectors of float32, as wide as the instruction set that a file is compiled for. They are to have names of their own: of an array of them gcc makes loads and
// stores.
#ifndef ER_KERNELS_FLOATS_H
#define ER_KERNELS_FLOATS_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX__)
#include <immintrin.h>
#endif

// Of NaN and a number b is taken.
#if defined(__AVX512F__)
typedef __m512 floats;
static inline floats larger(floats a, floats b) { return _mm512_max_ps(a, b); }
static inline floats smaller(floats a, floats b) { return _mm512_min_ps(a, b); }
#elif defined(__AVX__)
typedef __m256 floats;
static inline floats larger(floats a, floats b) { return _mm256_max_ps(a, b); }
static inline floats smaller(floats a, floats b) { return _mm256_min_ps(a, b); }
#else
typedef float floats __attribute__((vector_size(16)));
typedef int32_t float_mask __attribute__((vector_size(16)));
static inline floats either(float_mask m, floats a, floats b) { return (floats)(((float_mask)a & m) | ((float_mask)b & ~m)); }
static inline floats larger(floats a, floats b) { return either(a > b, a, b); }
static inline floats smaller(floats a, floats b) { return either(a < b, a, b); }
#endif

enum { FLOATS = sizeof(floats) / sizeof(float) };

static inline floats load_floats(const float *p)
{
    floats v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline floats same_floats(float x) { return (floats){0} + x; }

#endif
