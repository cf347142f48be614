#include "kernels/reduce.h"
#include "kernels/neon/neon.h"

void er_neon_reduce(er_kernels *k) { SET_REDUCTIONS(k) }
