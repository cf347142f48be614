#include "kernels/i8mm/i8mm.h"

void er_kernels_i8mm(er_kernels *k)
{
    k->speed = 50;
    er_i8mm_qgemm(k);
}
