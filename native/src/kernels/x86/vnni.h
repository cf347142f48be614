// vpdpbusd: four unsigned by four signed bytes into a 32-bit lane, exactly. After its vec*.h, for the instruction sets that have it.
#ifndef ER_X86_VNNI_H
#define ER_X86_VNNI_H

#ifdef __AVX512VNNI__
#define DPBUSD _mm512_dpbusd_epi32
#define ENCODED ""
#else
#define DPBUSD _mm256_dpbusd_avx_epi32
#define ENCODED "%{vex%} "
#endif

// As assembly, for gcc, which with the intrinsic copies sums from register to register; clang would take every operand from memory.
static inline vi v_dot(vi sum, vi a, vi w)
{
#if defined(__clang__)
    return DPBUSD(sum, a, w);
#else
    __asm__(ENCODED "vpdpbusd %2, %1, %0" : "+" V_REGISTER(sum) : V_REGISTER(a), "m" V_REGISTER(w));
    return sum;
#endif
}

// Of every channel of a vector the bytes of n <= 4 rows next to each other.
__attribute__((always_inline)) static inline void v_interleave(const uint8_t *const *row, size_t n, size_t at, vi *x)
{
    vi r0 = v_load(row[0] + at), r1 = n > 1 ? v_load(row[1] + at) : v_zero();
    vi r2 = n > 2 ? v_load(row[2] + at) : v_zero(), r3 = n > 3 ? v_load(row[3] + at) : v_zero();
#if !defined(__clang__)
    __asm__("" : "+" V_REGISTER(r0), "+" V_REGISTER(r1));      // gcc would load each twice
#endif
    vi a = v_unpack_low8(r0, r1), b = v_unpack_high8(r0, r1), c = v_unpack_low8(r2, r3), d = v_unpack_high8(r2, r3);
    x[0] = v_unpack_low16(a, c);
    x[1] = v_unpack_high16(a, c);
    x[2] = v_unpack_low16(b, d);
    x[3] = v_unpack_high16(b, d);
}

#undef DPBUSD
#undef ENCODED

#endif
