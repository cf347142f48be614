// Parts of NEON's table.
#ifndef ER_NEON_H
#define ER_NEON_H

#include "kernels/kernels.h"

void er_neon_qgemm(er_kernels *k);
void er_neon_elementwise(er_kernels *k);
void er_neon_qadd(er_kernels *k);
void er_neon_float(er_kernels *k);
void er_neon_qdepthwise(er_kernels *k);
void er_neon_words(er_kernels *k);
void er_neon_requantize(er_kernels *k);
void er_neon_blocks(er_kernels *k);
void er_neon_reduce(er_kernels *k);

#endif
