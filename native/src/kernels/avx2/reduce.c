#include "kernels/reduce.h"
#include "kernels/avx2/avx2.h"

void er_avx2_reduce(er_kernels *k) { SET_REDUCTIONS(k) }
