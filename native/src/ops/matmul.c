#include "ops/matmul.h"

#include <stdlib.h>
#include <string.h>

er_status er_expect_bias(er_prepare *p, const er_tensor *x, const er_tensor *bias, size_t n)
{
    if (!bias) return ER_OK;
    ER_TRY(er_expect_values(p, bias, "bias"));
    ER_TRY(er_expect_type(p, bias, er_is_8bit(x) ? EDGERT_INT32 : EDGERT_FLOAT32, "bias"));
    if (bias->count != n) return er_op_fail(p, EDGERT_ERROR_MODEL, "its bias has %zu values, expected %zu", bias->count, n);
    return ER_OK;
}

er_status er_expect_weight_scales(er_prepare *p, const er_tensor *w, size_t channels, int32_t dimension)
{
    const er_quantization *q = &w->def->quant;
    if (q->n != 1 && ((size_t)q->n != channels || q->dimension != dimension))
        return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have %d scales along dimension %d, expected 1, or %zu along dimension %d",
                          q->n, q->dimension, channels, dimension);
    for (int32_t i = 0; er_is_signed(w) && i < q->n_zero; i++)
        if (q->zero[i]) return er_op_fail(p, EDGERT_ERROR_MODEL, "its int8 weights have zero point %d, expected 0", (int)q->zero[i]);
    return ER_OK;
}

er_status er_channel_parameters(er_prepare *p, const er_tensor *x, const er_tensor *w, const er_tensor *bias, const er_tensor *y,
                                int32_t dimension, size_t channels, bool real, er_channel **out)
{
    const er_quantization *q = &w->def->quant;
    ER_TRY(er_expect_quantized(p, x, "input"));
    ER_TRY(er_expect_quantized(p, y, "output"));
    ER_TRY(er_expect_bias(p, x, bias, channels));
    ER_TRY(er_expect_weight_scales(p, w, channels, dimension));
    if (!er_is_signed(w) && q->n != 1) return er_op_fail(p, EDGERT_ERROR_UNSUPPORTED, "its weights are uint8 per channel; only int8 ones may be");
    er_channel *c = *out = malloc((channels + 1) * sizeof *c);
    if (!c) return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < channels; i++) {
        float sx = er_scale(x), sw = q->scale[q->n == 1 ? 0 : i], sy = er_scale(y);
        // The reference multiplies in float where a convolution's weights are uint8, else in double (docs/numerics.md).
        double product = er_is_signed(x) || real ? (double)sx * (double)sw : (double)(sx * sw);
        c[i].m = product / (double)sy;
        c[i].bias = bias ? ((const int32_t *)bias->data)[i] : 0;
    }
    return ER_OK;
}

typedef struct { const er_matmul *mm; const float *weights, *bias; } pack_floats_arg;

static void pack_floats(void *arg, void *packed)
{
    const pack_floats_arg *a = arg;
    const er_matmul *mm = a->mm;
    const size_t k = mm->segments * mm->length;
    for (size_t i = 0; i < mm->groups; i++)
        er_sgemm_pack(&mm->kernels->sgemm, mm->n, k, a->weights + i * mm->n * k, a->bias ? a->bias + i * mm->n : NULL, (float *)(void *)((uint8_t *)packed + i * mm->group_bytes));
}

static er_status prepare_float(er_prepare *p, er_matmul *mm, const er_tensor *w, const er_tensor *bias, er_activation activation)
{
    const er_sgemm *g = &mm->kernels->sgemm;
    size_t k = mm->segments * mm->length;
    ER_TRY(er_activation_floats(p, activation, &mm->min, &mm->max));
    mm->element = sizeof(float);
    mm->k_groups = mm->length;
    mm->nr = (size_t)g->nr;
    mm->panel_bytes = er_sgemm_panel_floats(g, k) * sizeof(float);
    mm->group_bytes = (mm->n + mm->nr - 1) / mm->nr * mm->panel_bytes;
    struct { er_pack_key of; bool exact; size_t groups, k; } key;
    memset(&key, 0, sizeof key);
    key.of = er_pack_key_of(p, 'f', w->def, bias ? bias->def : NULL);
    key.exact = p->kernels->exact;
    key.groups = mm->groups;
    key.k = k;
    pack_floats_arg arg = {mm, w->data, bias ? bias->data : NULL};
    er_status status;
    mm->packed = er_pack_once(p, w, bias, &key, sizeof key, mm->groups * mm->group_bytes, pack_floats, &arg, &status);
    return status;
}

typedef struct { const er_matmul *mm; const er_gemm_weights *all; const uint32_t *list; const er_channel *channels; bool real; } pack_arg;

static void pack_groups(void *arg, void *packed)
{
    const pack_arg *a = arg;
    const er_matmul *mm = a->mm;
    for (size_t i = 0; i < mm->groups; i++) {
        er_gemm_weights part = *a->all;
        part.n = mm->n;
        part.w = (const uint8_t *)a->all->w + i * mm->n * mm->segments * mm->length;
        er_qgemm_pack(mm->gemm, &part, mm->extras, a->list, mm->pad, a->channels + i * mm->n, a->real, (uint8_t *)packed + i * mm->group_bytes);
    }
}

// All that packed bytes depend on.
typedef struct packed_key {
    er_pack_key of;
    bool small;
    float sx, sy;
    int32_t pad;
    bool real, is_signed, sums;
    size_t groups, segments, length, times, step;
} packed_key;

// Packs, unless it was done before. The caller has set what is its own of `key`, the rest of which is zero.
static er_status pack(er_prepare *p, er_matmul *mm, const er_gemm_weights *all, const er_tensor *w, const er_tensor *bias, packed_key *key,
                      const er_channel *channels)
{
    const er_qgemm *g = mm->gemm;
    mm->element = (size_t)g->a_size;
    mm->k_groups = (mm->length + (size_t)g->kr - 1) / (size_t)g->kr;
    mm->nr = (size_t)g->nr;
    uint8_t *need = malloc(mm->segments * mm->k_groups + 1);
    if (!need) return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory");
    mm->extras = er_qgemm_extras(g, all, need);
    er_status status;
    uint32_t *list = er_alloc(p, mm->extras * sizeof *list + 1, &status);
    if (list) er_qgemm_list_extras(g, all, need, list);
    free(need);
    ER_TRY(status);
    mm->extra_list = list;
    mm->panel_bytes = er_qgemm_panel_bytes(g, mm->segments, mm->length, mm->extras);
    mm->group_bytes = er_qgemm_bytes(g, mm->n, mm->segments, mm->length, mm->extras);
    key->of = er_pack_key_of(p, 'm', w->def, bias ? bias->def : NULL);
    key->small = mm->gemm == &p->kernels->qgemm_small;
    key->pad = mm->pad;
    key->is_signed = mm->is_signed;
    key->groups = mm->groups;
    key->segments = mm->segments;
    key->length = mm->length;
    pack_arg arg = {mm, all, list, channels, key->real};
    mm->packed = er_pack_once(p, w, bias, key, sizeof *key, mm->groups * mm->group_bytes, pack_groups, &arg, &status);
    return status;
}

// `weights`: those of w, or what was made of them, which `times` and `step` tell apart.
static er_status prepare_8bit(er_prepare *p, er_matmul *mm, const er_tensor *x, const er_tensor *w, const er_tensor *bias, const er_tensor *y,
                              const void *weights, size_t times, size_t step, const er_channel *channels, er_activation activation, bool real)
{
    size_t k = mm->segments * mm->length;
    ER_TRY(er_activation_output(p, activation, y, &mm->o));
    mm->o.real = real;
    er_gemm_weights all = {mm->groups * mm->n, mm->segments, mm->length, weights, !er_is_signed(w), er_is_signed(w) ? 0 : er_zero(w)};
    if (er_qgemm_suits(&p->kernels->qgemm_small, &all)) mm->gemm = &p->kernels->qgemm_small;
    mm->pad = er_stored_zero(x) + er_qgemm_offset(mm->gemm, mm->is_signed);
    er_set_reach(&mm->o, all.n, k, 1, k, all.w, all.is_unsigned, all.zero, er_zero(x) - er_lowest(x), channels);
    packed_key key;
    memset(&key, 0, sizeof key);
    key.sx = er_scale(x);
    key.sy = er_scale(y);
    key.real = real;
    key.times = times;
    key.step = step;
    return pack(p, mm, &all, w, bias, &key, channels);
}

static er_status begin(er_prepare *p, er_matmul *mm, const er_tensor *x, const er_tensor *w, const er_tensor *bias, const er_tensor *y,
                       size_t groups, size_t n, size_t segments, size_t length)
{
    *mm = (er_matmul){.kernels = p->kernels, .gemm = &p->kernels->qgemm, .is_float = !er_is_8bit(x), .is_signed = er_is_8bit(x) && er_stored_signed(x), .groups = groups, .n = n,
                      .segments = segments, .length = length};
    ER_TRY(er_expect_values(p, w, "weights"));
    ER_TRY(er_expect_type(p, y, x->def->type, "output"));
    ER_TRY(er_expect_bias(p, x, bias, groups * n));
    // Weights without data exist only where there are none.
    if (!w->data && w->count > 0) return er_op_fail(p, EDGERT_ERROR_MODEL, "its weights have no data");
    return ER_OK;
}

er_status er_matmul_prepare(er_prepare *p, er_matmul *mm, const er_tensor *x, const er_tensor *w, const er_tensor *bias,
                            const er_tensor *y, size_t groups, size_t n, size_t segments, size_t length,
                            er_activation activation, bool real)
{
    ER_TRY(begin(p, mm, x, w, bias, y, groups, n, segments, length));
    if (mm->is_float) return prepare_float(p, mm, w, bias, activation);
    er_channel *channels;
    ER_TRY(er_channel_parameters(p, x, w, bias, y, 0, groups * n, real, &channels));
    er_status status = prepare_8bit(p, mm, x, w, bias, y, w->data, 1, 0, channels, activation, real);
    free(channels);
    return status;
}

er_status er_matmul_prepare_together(er_prepare *p, er_matmul *mm, const er_tensor *x, const er_tensor *w, const er_tensor *bias,
                                     const er_tensor *y, size_t n, size_t segments, size_t length, size_t times, size_t step,
                                     er_activation activation)
{
    ER_TRY(begin(p, mm, x, w, bias, y, 1, n, segments, length));
    er_channel *channels;
    ER_TRY(er_channel_parameters(p, x, w, bias, y, 0, n, false, &channels));
    mm->n = n * times;
    mm->length = length + (times - 1) * step;
    size_t run = mm->length;
    er_channel *all = malloc(mm->n * sizeof *all);
    uint8_t *weights = malloc(mm->n * segments * run);
    er_status status = ER_OK;
    if (all && weights) {
        memset(weights, er_is_signed(w) ? 0 : er_zero(w), mm->n * segments * run);
        for (size_t j = 0; j < mm->n; j++) {
            all[j] = channels[j % n];
            for (size_t s = 0; s < segments; s++)
                memcpy(weights + (j * segments + s) * run + j / n * step, er_u8(w) + (j % n * segments + s) * length, length);
        }
        status = prepare_8bit(p, mm, x, w, bias, y, weights, times, step, all, activation, false);
    } else {
        status = er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory");
    }
    free(all);
    free(weights);
    free(channels);
    return status;
}

er_status er_matmul_prepare_merged(er_prepare *p, er_matmul *mm, const er_tensor *x, const er_tensor *w, const er_tensor *bias,
                                   const er_tensor *y, size_t groups, size_t n, size_t segments, size_t taps, size_t channels, size_t merged,
                                   er_activation activation)
{
    const size_t all = groups * n, wide = merged * channels;
    ER_TRY(begin(p, mm, x, w, bias, y, groups / merged, n * merged, segments, taps * wide));
    er_channel *each;
    ER_TRY(er_channel_parameters(p, x, w, bias, y, 0, all, false, &each));
    uint8_t *weights = malloc(all * segments * taps * wide + 1);
    er_status status = ER_OK;
    if (weights) {
        memset(weights, er_is_signed(w) ? 0 : er_zero(w), all * segments * taps * wide);
        for (size_t j = 0; j < all; j++)
            for (size_t t = 0; t < segments * taps; t++)
                memcpy(weights + (j * segments * taps + t) * wide + j / n % merged * channels, er_u8(w) + (j * segments * taps + t) * channels, channels);
        status = prepare_8bit(p, mm, x, w, bias, y, weights, merged, 0, each, activation, false);
    } else {
        status = er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory");
    }
    free(weights);
    free(each);
    return status;
}

er_matmul er_matmul_of_sums(const er_kernels *kernels, int32_t zero, size_t n, size_t length)
{
    const er_qgemm *g = &kernels->qgemm;
    return (er_matmul){.kernels = kernels, .gemm = g, .is_signed = true, .groups = 1, .n = n, .segments = 1, .length = length, .element = (size_t)g->a_size,
                       .k_groups = (length + (size_t)g->kr - 1) / (size_t)g->kr, .nr = (size_t)g->nr, .panel_bytes = er_qgemm_panel_bytes(g, 1, length, 0), .group_bytes = er_qgemm_bytes(g, n, 1, length, 0),
                       .pad = zero + er_qgemm_offset(g, true), .o = {.min = -128, .max = 127, .sums = true}};
}

er_status er_matmul_prepare_sums(er_prepare *p, er_matmul *mm, const er_tensor *w, const er_tensor *bias, int32_t zero, size_t groups, size_t n, size_t length)
{
    *mm = er_matmul_of_sums(p->kernels, zero, n, length);
    mm->groups = groups;
    const er_gemm_weights all = {groups * n, 1, length, w->data, false, 0};
    er_channel *channels = malloc((all.n + 1) * sizeof *channels);
    if (!channels) return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory");
    for (size_t j = 0; j < all.n; j++) channels[j] = (er_channel){bias ? er_i32(bias)[j] : 0, 1};
    packed_key key;
    memset(&key, 0, sizeof key);
    key.sums = true;
    er_status status = pack(p, mm, &all, w, bias, &key, channels);
    free(channels);
    return status;
}

er_status er_matmul_prepare_row(er_prepare *p, er_matmul *mm)
{
    const er_qgemm *g = mm->gemm;
    if (mm->is_float || !g->run_row || mm->segments > 1 || mm->groups > 1 || mm->extras) return ER_OK;
    const size_t step = 2 * mm->nr, all = er_round_up(mm->n, mm->nr) * 2;
    er_status status;
    float *each = malloc(all * sizeof *each);
    if (!each) return er_op_fail(p, EDGERT_ERROR_MEMORY, "out of memory");
    g->scales(mm->n, mm->packed, mm->panel_bytes, &mm->o, each);
    bool equal = true;      // where a layer is quantized per tensor
    for (size_t j = 1; j < mm->n; j++)
        for (size_t i = 0; i < step; i += mm->nr) equal = equal && each[j / mm->nr * step + i + j % mm->nr] == each[i];
    float *scale = er_alloc(p, (equal ? step : all) * sizeof *scale, &status);
    if (status == ER_OK) {
        memcpy(scale, each, (equal ? step : all) * sizeof *scale);
        mm->row = (er_row_scales){scale, equal ? 0 : step};
    }
    free(each);
    return status;
}

bool er_matmul_takes_raw(const er_matmul *mm)
{
    return mm->is_float || (mm->gemm->a_size == 1 && mm->is_signed == mm->gemm->a_signed);
}

void er_matmul_convert(const er_matmul *mm, void *a, const void *x, size_t n)
{
    if (er_matmul_takes_raw(mm)) memcpy(a, x, n * mm->element);
    else mm->gemm->pack_a(a, x, n, mm->is_signed);
}

void er_matmul_put_rows(const er_matmul *mm, uint8_t *a, size_t row_bytes, const void *x, size_t rows)
{
    const size_t bytes = mm->length * (mm->is_float ? sizeof(float) : 1);
    for (size_t r = 0; r < rows; r++) er_matmul_convert(mm, a + r * row_bytes, (const uint8_t *)x + r * bytes, mm->length);
}

void er_matmul_fill(const er_matmul *mm, void *a, size_t n) { er_matmul_fill_with(mm, a, mm->pad, n); }

void er_matmul_fill_with(const er_matmul *mm, void *a, int32_t pad, size_t n)
{
    if (mm->element == 2) {
        int16_t v = (int16_t)pad;
        for (size_t i = 0; i < n; i++) memcpy((uint8_t *)a + 2 * i, &v, 2);
    } else if (mm->element == 1 && n <= 64) {       // between two padded rows: a call would take longer
        uint8_t *to = a;
        const uint64_t eight = UINT64_C(0x0101010101010101) * (uint8_t)pad;
        for (; n >= 8; n -= 8, to += 8) memcpy(to, &eight, 8);
        for (; n; n--) *to++ = (uint8_t)pad;
    } else {
        memset(a, mm->is_float ? 0 : pad, n * mm->element);
    }
}

void er_matmul_run(const er_matmul *mm, size_t group, const er_rows *rows, size_t *scratch, size_t n0, size_t n1, void *out, size_t out_stride)
{
    const size_t panel = n0 ? n0 / mm->nr : 0;
    const uint8_t *panels = mm->packed + group * mm->group_bytes + panel * mm->panel_bytes;
    const er_qgemm *g = mm->gemm;
    if (mm->row.scale) {
        const er_row_scales s = {mm->row.scale + panel * mm->row.step, mm->row.step};
        g->run_row(rows->a, mm->k_groups, n1 - n0, mm->n - n1, panels, mm->panel_bytes, &s, &mm->o, (uint8_t *)out + n0);
        return;
    }
    er_rows r = *rows;
    r.groups = mm->k_groups;
    if (mm->is_float) {
        mm->kernels->sgemm.run(&r, n1 - n0, (const float *)(const void *)panels, mm->panel_bytes / sizeof(float), mm->min, mm->max,
                               (float *)out + n0, out_stride);
        return;
    }
    r.extras = mm->extras;
    r.extra_at = scratch;
    for (size_t e = 0; e < mm->extras; e++)
        scratch[e] = mm->extra_list[e] / mm->k_groups * r.segment_stride + mm->extra_list[e] % mm->k_groups * (size_t)g->kr * mm->element;
    g->run(&r, n1 - n0, mm->n - n1, panels, mm->panel_bytes, &mm->o, (uint8_t *)out + n0 * (mm->o.sums ? sizeof(int32_t) : 1), out_stride);
}

void er_matmul_run_sums(const er_matmul *mm, const uint8_t *a, size_t row_bytes, size_t rows, size_t *scratch, void *sums)
{
    const er_rows product = {.a = a, .lines = 1, .m = rows, .row_stride = row_bytes, .segments = 1};
    er_matmul_run(mm, 0, &product, scratch, 0, mm->n, sums, er_matmul_lanes(mm) * (mm->is_float ? 1 : sizeof(int32_t)));
}

// The first channel of part i: where a strip begins.
static size_t part_begin(const er_matmul *mm, size_t i, size_t parts)
{
    size_t panels = (mm->n + mm->nr - 1) / mm->nr, wanted = er_part(panels, i, parts), at = 0;
    while (at < wanted) at += mm->is_float ? 1 : mm->gemm->strip(panels - at);
    return at * mm->nr < mm->n ? at * mm->nr : mm->n;
}

void er_matmul_part(const er_matmul *mm, size_t i, size_t parts, size_t *n0, size_t *n1)
{
    *n0 = part_begin(mm, i, parts);
    *n1 = i + 1 == parts ? mm->n : part_begin(mm, i + 1, parts);
}
