#if defined(__APPLE__)
#define _DARWIN_C_SOURCE     // sysctlbyname
#endif
#include "base/cpu.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

// The compilers' own builtins do not know all of these, and need a runtime that not every one of them brings (clang without its
// library answers no to everything).
static bool bit(unsigned x, int i) { return x >> i & 1; }

er_cpu er_cpu_features(void)
{
    er_cpu cpu = {0};
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
    cpu.avx512_vbmi = cpu.avx512_vnni && bit(c7, 1);
    return cpu;
}
#elif defined(__linux__) && (defined(__aarch64__) || defined(__arm__))
#include <sys/auxv.h>

// The kernel's names for these bits are in a header that not every C library brings.
#if defined(__aarch64__)
enum { HAS_DOTPROD = 1 << 20, HAS_2_I8MM = 1 << 13 };

er_cpu er_cpu_features(void)
{
    er_cpu cpu = {.neon = true};
    cpu.dotprod = getauxval(AT_HWCAP) & HAS_DOTPROD;
    cpu.i8mm = cpu.dotprod && getauxval(AT_HWCAP2) & HAS_2_I8MM;
    return cpu;
}
#else
enum { HAS_NEON = 1 << 12 };

er_cpu er_cpu_features(void) { return (er_cpu){.neon = getauxval(AT_HWCAP) & HAS_NEON}; }
#endif

#elif defined(__APPLE__) && defined(__aarch64__)
#include <stddef.h>
#include <sys/sysctl.h>

static bool has(const char *name)
{
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value;
}

er_cpu er_cpu_features(void)
{
    er_cpu cpu = {.neon = true};
    cpu.dotprod = has("hw.optional.arm.FEAT_DotProd");
    cpu.i8mm = cpu.dotprod && has("hw.optional.arm.FEAT_I8MM");
    return cpu;
}
#else
er_cpu er_cpu_features(void) { return (er_cpu){0}; }
#endif
