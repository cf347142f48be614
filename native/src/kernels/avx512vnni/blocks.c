#include "kernels/avx512vnni/avx512vnni.h"
#include "kernels/x86/vec512.h"
#include "kernels/x86/vnni.h"

#define v_nibbles v_dot
#include "kernels/x86/blocks.h"

void er_avx512vnni_blocks(er_kernels *k) { k->dot_blocks = dot_blocks; }
