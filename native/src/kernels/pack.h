// Weights into the layouts that kernels read. Runs when a model is planned.
#ifndef ER_PACK_H
#define ER_PACK_H

#include "kernels/kernels.h"

// Channel j of a header of `width` channels; `fold` is taken off its bias. Channels that do not exist are to be zero.
void er_put_header(void *header, size_t width, size_t j, const er_channel *c, int32_t fold, bool real);

int64_t er_sum_int8(const int8_t *w, size_t n);

// Sets o->slow, o->large and o->wide. Each of n channels has k products with weights at `stride` elements from each other; channel
// j's first is at j * channel_stride. Activations less their zero point are from -x_zero to 255 - x_zero.
void er_set_reach(er_output *o, size_t n, size_t k, size_t stride, size_t channel_stride, const void *weights, bool is_unsigned, int32_t w_zero,
                  int32_t x_zero, const er_channel *c);

// How the k weights of a channel are cut: `segments` runs of `length`; k = segments * length. weights: [n][segments][length],
// int8, or uint8 with a zero point.
typedef struct er_gemm_weights {
    size_t n, segments, length;
    const void *w;
    bool is_unsigned;
    int32_t zero;
} er_gemm_weights;

// How many extras (kernels.h) each group of kr weights needs, [segments][groups], and in all; and those groups, each as segment * groups +
// group, as often as it needs one.
size_t er_qgemm_extras(const er_qgemm *g, const er_gemm_weights *w, uint8_t *need);
void er_qgemm_list_extras(const er_qgemm *g, const er_gemm_weights *w, const uint8_t *need, uint32_t *list);

// Whether most of the weights, as far as a sample tells, are small enough for er_kernels.qgemm_small to be the faster one: of every two
// neighbours that are added in 16 bits, the positive ones add up to at most 128, and the negative ones.
bool er_qgemm_suits(const er_qgemm *g, const er_gemm_weights *w);

size_t er_qgemm_panel_bytes(const er_qgemm *g, size_t segments, size_t length, size_t extras);
size_t er_qgemm_bytes(const er_qgemm *g, size_t n, size_t segments, size_t length, size_t extras);      // of all that n channels take

// Strips of panels for n channels (n / nr panels, rounded up). a_zero is the zero point as A has it (after pack_a); -a_zero * sum(w)
// is folded into the bias.
void er_qgemm_pack(const er_qgemm *g, const er_gemm_weights *w, size_t extras, const uint32_t *list, int32_t a_zero,
                   const er_channel *channels, bool real, void *packed);

size_t er_sgemm_panel_floats(const er_sgemm *g, size_t k);
void er_sgemm_pack(const er_sgemm *g, size_t n, size_t k, const float *weights, const float *bias, float *packed);
void er_sgemm_pack_rows(const er_sgemm *g, size_t n, size_t k, const float *weights, float *packed);     // weights [k][n], no bias

// Depthwise weight of tap (ky, kx) of channel c, less its zero point: -255 to 255.
static inline int32_t er_depthwise_weight(const er_depthwise_weights *w, size_t ky, size_t kx, size_t c)
{
    size_t at = (ky * w->kw + kx) * w->channels + c;
    return (w->is_unsigned ? ((const uint8_t *)w->w)[at] : ((const int8_t *)w->w)[at]) - w->w_zero;
}

// What x_zero times the weights of channel c adds up to.
int32_t er_depthwise_fold(const er_depthwise_weights *w, size_t c, int32_t x_zero);

#endif
