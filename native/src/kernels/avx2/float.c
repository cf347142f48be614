// float32: products, and the plain loops.
#include <immintrin.h>

#include "kernels/float_pool.h"
#include "kernels/loops.h"
#include "kernels/avx2/avx2.h"
#include "kernels/x86/vec256.h"

enum { MR = 6 };
#define EXACT 4
#define EACH_HEIGHT(X, panels) X(1, panels); X(2, panels); X(3, panels); X(4, panels); X(5, panels); X(6, panels);

#include "kernels/x86/float.h"

void er_avx2_float(er_kernels *k)
{
    k->sgemm = (er_sgemm){LANES, sgemm};
    SET_LOOPS(k)
    SET_FLOAT_POOLS(k)
    k->sdepthwise = sdepthwise;
    k->sgemm_exact = (er_sgemm){LANES, sgemm_exact};
    k->sdepthwise_exact = sdepthwise_exact;
}
