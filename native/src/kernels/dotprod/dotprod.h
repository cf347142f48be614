// Parts of the table for Armv8.2's dot product.
#ifndef ER_DOTPROD_H
#define ER_DOTPROD_H

#include "kernels/kernels.h"

void er_dotprod_qgemm(er_kernels *k);
void er_dotprod_qdepthwise(er_kernels *k);
void er_dotprod_dots(er_kernels *k);

#endif
