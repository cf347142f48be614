#include "kernels/dotprod/dotprod.h"

void er_kernels_dotprod(er_kernels *k)
{
    k->speed = 30;
    er_dotprod_qgemm(k);
    er_dotprod_qdepthwise(k);
    er_dotprod_dots(k);
}
