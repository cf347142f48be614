// What each file of this folder adds to the table.
#ifndef ER_AVX512VNNI_H
#define ER_AVX512VNNI_H

#include "kernels/kernels.h"

void er_avx512vnni_qgemm(er_kernels *k);
void er_avx512vnni_qdepthwise(er_kernels *k);
void er_avx512vnni_elementwise(er_kernels *k);
void er_avx512vnni_float(er_kernels *k);
void er_avx512vnni_dots(er_kernels *k);

#endif
