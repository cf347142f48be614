// 8-bit depthwise product with smull and smlal.
#include "kernels/arm/qdepthwise.h"
#include "kernels/neon/neon.h"

void er_neon_qdepthwise(er_kernels *k) { k->qdepthwise = (er_qdepthwise){ER_BYTES_SIGNED, WIDE, 1, depthwise_pack, qdepthwise}; }
