// float32: products, and the plain loops. Exact matrix products are those of AVX2: compilers take minutes for more of these tiles.
#include <immintrin.h>

#include "kernels/float_pool.h"
#include "kernels/loops.h"
#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/x86/vec512.h"

enum { MR = 12 };
#define EACH_HEIGHT(X, panels) \
    X(1, panels); X(2, panels); X(3, panels); X(4, panels); X(5, panels); X(6, panels); X(7, panels); X(8, panels); X(9, panels); X(10, panels); X(11, panels); X(12, panels);

#include "kernels/x86/float.h"

void er_avx512vnni_float(er_kernels *k)
{
    k->sgemm = (er_sgemm){LANES, sgemm};
    SET_LOOPS(k)
    SET_FLOAT_POOLS(k)
    k->sdepthwise = sdepthwise;
    k->sdepthwise_exact = sdepthwise_exact;
}
