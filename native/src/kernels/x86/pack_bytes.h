// Packs A where products take unsigned bytes: int8 activations get 128 added. After vec256.h.
#ifndef ER_X86_PACK_BYTES_H
#define ER_X86_PACK_BYTES_H

static void pack_a(void *dst, const void *src, size_t n, bool is_signed)
{
    uint8_t *d = dst;
    const uint8_t *s = src;
    const vi flip = v_set8(is_signed ? 0x80 : 0);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) v_save(d + i, v_xor(v_load(s + i), flip));
    for (; i < n; i++) d[i] = (uint8_t)(s[i] ^ (is_signed ? 0x80 : 0));
}

#endif
