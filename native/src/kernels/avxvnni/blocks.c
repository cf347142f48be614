#include "kernels/avxvnni/avxvnni.h"
#include "kernels/x86/vec256.h"
#include "kernels/x86/vnni.h"

#define v_nibbles v_dot
#include "kernels/x86/blocks.h"

void er_avxvnni_blocks(er_kernels *k) { k->dot_blocks = dot_blocks; }
