#include "kernels/avxvnni/avxvnni.h"
#include "kernels/x86/vec256.h"
#include "kernels/x86/vnni.h"

#define v_nibbles v_dot
#include "kernels/x86/blocks.h"
#include "kernels/x86/dots.h"

void er_avxvnni_dots(er_kernels *k)
{
    k->dot_blocks = dot_blocks;
    k->dot_bytes = dot_bytes;
    k->dot_unsigned = dot_unsigned;
}
