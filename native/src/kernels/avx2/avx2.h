// What each file of this folder adds to the table.
#ifndef ER_AVX2_H
#define ER_AVX2_H

#include "kernels/kernels.h"

void er_avx2_qgemm(er_kernels *k);
void er_avx2_qgemm_small(er_kernels *k);
void er_avx2_float(er_kernels *k);
void er_avx2_qdepthwise(er_kernels *k);
void er_avx2_elementwise(er_kernels *k);
void er_avx2_blocks(er_kernels *k);
void er_avx2_reduce(er_kernels *k);

#endif
