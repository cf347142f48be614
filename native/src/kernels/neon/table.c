#include "kernels/neon/neon.h"

void er_kernels_neon(er_kernels *k)
{
    k->speed = 8;
    k->bytes = ER_BYTES_SIGNED;
    er_neon_qgemm(k);
    er_neon_elementwise(k);
    er_neon_qadd(k);
    er_neon_float(k);
    er_neon_qdepthwise(k);
    er_neon_words(k);
    er_neon_requantize(k);
    er_neon_blocks(k);
    er_neon_reduce(k);
}
