#include "kernels/avx2/avx2.h"

void er_kernels_avx2(er_kernels *k)
{
    k->speed = 50;
    k->bytes = ER_BYTES_UNSIGNED;
    er_avx2_qgemm(k);
    er_avx2_qgemm_small(k);
    er_avx2_float(k);
    er_avx2_qdepthwise(k);
    er_avx2_elementwise(k);
    er_avx2_blocks(k);
    er_avx2_reduce(k);
}
