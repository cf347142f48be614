#include "base/cpu.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

// The compilers' own builtins do not know all of these, and need a runtime that not every one of them brings (clang without its
// library answers no to everything).
static bool bit(unsigned x, int i) { return x >> i & 1; }

er_cpu er_cpu_features(void)
{
    er_cpu cpu = {false, false, false};
    unsigned a, b, c, d, b7, c7, a71 = 0, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27)) return cpu;     // OSXSAVE
    bool fma = bit(c, 12);
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    bool ymm = (low & 0x06) == 0x06, zmm = (low & 0xE6) == 0xE6;        // the registers that the system saves
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d)) return cpu;
    if (a >= 1 && !__get_cpuid_count(7, 1, &a71, &b, &c, &d)) a71 = 0;
    cpu.avx2_fma = ymm && fma && bit(b7, 5);
    cpu.avx_vnni = cpu.avx2_fma && bit(a71, 4);
    cpu.avx512_vnni = cpu.avx2_fma && zmm && bit(b7, 16) && bit(b7, 17) && bit(b7, 30) && bit(b7, 31) && bit(c7, 11);   // F DQ BW VL VNNI
    return cpu;
}
#else
er_cpu er_cpu_features(void) { return (er_cpu){false, false, false}; }
#endif
