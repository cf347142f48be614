#include "kernels/avx512vnni/avx512vnni.h"

void er_kernels_avx512vnni(er_kernels *k)
{
    k->speed = 200;
    er_avx512vnni_qgemm(k);
    er_avx512vnni_qdepthwise(k);
    er_avx512vnni_elementwise(k);
    er_avx512vnni_float(k);
    er_avx512vnni_dots(k);
}
