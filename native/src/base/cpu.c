#include "base/cpu.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

er_cpu er_cpu_features(void)
{
    er_cpu cpu = {false, false, false};
#if defined(__x86_64__) || defined(__i386__)
    // These builtins check the operating system's support for the wide registers too.
    __builtin_cpu_init();
    cpu.avx2_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    // Not every compiler's builtin knows this one: leaf 7, subleaf 1, EAX bit 4.
    unsigned a, b, c, d;
    cpu.avx_vnni = cpu.avx2_fma && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
    cpu.avx512_vnni = cpu.avx2_fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vnni");
#endif
    return cpu;
}
