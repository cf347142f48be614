// What this CPU can do, as far as kernels care.
#ifndef ER_CPU_H
#define ER_CPU_H

#include <stdbool.h>

typedef struct er_cpu {
    bool avx2_fma, avx_vnni, avx512_vnni, avx512_vbmi;     // x86
    bool neon, dotprod, i8mm;               // Arm
} er_cpu;

er_cpu er_cpu_features(void);

#endif
