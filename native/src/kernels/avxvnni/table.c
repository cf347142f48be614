#include "kernels/avxvnni/avxvnni.h"

void er_kernels_avxvnni(er_kernels *k)
{
    k->speed = 100;
    er_avxvnni_qgemm(k);
    er_avxvnni_qdepthwise(k);
    er_avxvnni_dots(k);
}
