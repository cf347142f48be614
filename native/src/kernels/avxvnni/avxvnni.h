// What each file of this folder adds to the table: vpdpbusd on AVX2's vectors. The rest is AVX2's.
#ifndef ER_AVXVNNI_H
#define ER_AVXVNNI_H

#include "kernels/kernels.h"

void er_avxvnni_qgemm(er_kernels *k);
void er_avxvnni_qdepthwise(er_kernels *k);
void er_avxvnni_dots(er_kernels *k);

#endif
