// Parts of the table for Armv8.6's matrix multiplication of bytes.
#ifndef ER_I8MM_H
#define ER_I8MM_H

#include "kernels/kernels.h"

void er_i8mm_qgemm(er_kernels *k);

#endif
