"""Convolutions and pooling. ONNX has channels first, TFLite last: each operator is put between two TRANSPOSEs, which the pass
`merge_transposes` takes away again wherever two meet. One spatial dimension is two with a height of 1.

Semantics: onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from ...ir import Quantization
from ...ir.shapes import same_padding, window
from ..emit import Emitter, UnsupportedUseError
from .node import Handler, OnnxNode

Pads = list[tuple[int, int]]


def _spatial(n: OnnxNode, name: str, dims: int, default: int = 1) -> list[int]:
    values = [int(v) for v in n.attr(name) or [default] * dims]
    if len(values) != dims:
        raise UnsupportedUseError(f"{name} has {len(values)} values for {dims} dimensions")
    return values


def _pads(n: OnnxNode, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Pads:
    auto = n.attr("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        flat = [int(p) for p in n.attr("pads") or [0] * 2 * len(sizes)]
        return list(zip(flat[: len(sizes)], flat[len(sizes) :]))
    if auto == "VALID":
        return [(0, 0)] * len(sizes)
    both = [same_padding(*a) for a in zip(sizes, kernel, strides, dilations)]
    return both if auto == "SAME_UPPER" else [(b, a) for a, b in both]


def _check_window(kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads) -> None:
    if any(v < 1 for v in (*kernel, *strides, *dilations)) or any(p < 0 for both in pads for p in both):
        raise UnsupportedUseError(f"kernel {kernel}, strides {strides}, dilations {dilations} and pads {pads} are not supported")


def _as_same(pads: Pads, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> bool:
    """Whether TFLite's padding SAME pads just so."""
    return all(
        p == same_padding(*a) and (a[0] + sum(p) - (a[1] - 1) * a[3] - 1) // a[2] + 1 == window(*a, "SAME")
        for p, a in zip(pads, zip(sizes, kernel, strides, dilations))
    )


def to_last(e: Emitter, x: str) -> str:
    rank = e.rank(x)
    return e.transpose(x, [0, *range(2, rank), 1], "to_channels_last")


def to_first(e: Emitter, x: str) -> str:
    rank = e.rank(x)
    return e.transpose(x, [0, rank - 1, *range(1, rank - 1)], "to_channels_first")


def _widen(e: Emitter, x: str) -> str:
    """[N, L, C] → [N, 1, L, C]"""
    shape = e.shape(x)
    return e.reshape(x, (shape[0], 1, *shape[1:])) if len(shape) == 3 else x


def _narrow(e: Emitter, y: str, dims: int) -> str:
    shape = e.shape(y)
    return e.reshape(y, (shape[0], *shape[2:])) if dims == 1 else y


def conv(e: Emitter, n: OnnxNode) -> str:
    return convolution(e, n, n.get(0), n.get(1), n.inputs[2] if n.has(2) else "")


def convolution(e: Emitter, n: OnnxNode, x: str, w: str, bias: str) -> str:
    dims = e.rank(x) - 2
    if dims not in (1, 2, 3):
        raise UnsupportedUseError(f"convolution in {dims} dimensions is not supported")
    kernel, sizes = list(e.shape(w)[2:]), list(e.shape(x)[2:])
    strides, dilations = _spatial(n, "strides", dims), _spatial(n, "dilations", dims)
    pads = _pads(n, sizes, kernel, strides, dilations)
    group = int(n.attr("group", 1))
    if e.rank(w) != e.rank(x) or group < 1 or e.shape(w)[1] * group != e.shape(x)[1] or e.shape(w)[0] % group:
        raise UnsupportedUseError(f"weights {list(e.shape(w))} in {group} groups do not fit an input {list(e.shape(x))}")
    if bias and e.shape(bias) != e.shape(w)[:1]:
        raise UnsupportedUseError(f"a bias {list(e.shape(bias))} does not fit weights {list(e.shape(w))}")
    _check_window(kernel, strides, dilations, pads)
    y = to_last(e, x)
    if dims == 3:
        if group != 1:
            raise UnsupportedUseError("grouped convolution in 3 dimensions is not supported")
        weights = e.transpose(w, (2, 3, 4, 1, 0), "weights")
        y = e.pad(y, [0, *(p[0] for p in pads), 0], [0, *(p[1] for p in pads), 0])
        names = ("d", "h", "w")
        attrs: dict[str, Any] = {f"stride_{s}": v for s, v in zip(names, strides)}
        attrs.update({f"dilation_{s}_factor": v for s, v in zip(names, dilations)})
        return to_first(e, e.op("CONV_3D", [y, weights, *([bias] if bias else [])], padding="VALID", **attrs))
    if dims == 1:
        y = _widen(e, y)
        w = e.reshape(w, (*e.shape(w)[:2], 1, e.shape(w)[2]))
        kernel, sizes, strides, dilations, pads = [1, *kernel], [1, *sizes], [1, *strides], [1, *dilations], [(0, 0), *pads]
    y = _convolve(e, y, w, bias, group, sizes, kernel, strides, dilations, pads)
    return to_first(e, _narrow(e, y, dims))


def _convolve(
    e: Emitter, x: str, w: str, bias: str, group: int, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int],
    dilations: Sequence[int], pads: Pads,
) -> str:  # fmt: skip
    """NHWC input, OIHW weights."""
    channels, out = e.shape(x)[3], e.shape(w)[0]
    padding = "VALID" if not any(map(any, pads)) else "SAME" if _as_same(pads, sizes, kernel, strides, dilations) else ""
    if not padding:
        x = e.pad(x, [0, pads[0][0], pads[1][0], 0], [0, pads[0][1], pads[1][1], 0])
        padding = "VALID"
    attrs: dict[str, Any] = {"padding": padding, "stride_h": strides[0], "stride_w": strides[1]}
    attrs.update(dilation_h_factor=dilations[0], dilation_w_factor=dilations[1])
    h, width = (window(s, *a, padding) for s, a in zip(e.shape(x)[1:3], zip(kernel, strides, dilations)))
    bias = bias or e.const(np.zeros(out, np.float32), name="bias")
    if group == channels and out % channels == 0 and (group > 1 or channels == 1 == out):
        weights = e.reshape(e.transpose(w, (1, 2, 3, 0), "weights"), (1, *kernel, out))
        attrs["depth_multiplier"] = out // channels
        keep_scales(e, w, weights, 3)
        return e.op("DEPTHWISE_CONV_2D", [x, weights, bias], shape=(e.shape(x)[0], h, width, out), **attrs)
    weights = e.transpose(w, (0, 2, 3, 1), "weights")
    keep_scales(e, w, weights, 0)
    return e.op("CONV_2D", [x, weights, bias], shape=(e.shape(x)[0], h, width, out), **attrs)


def keep_scales(e: Emitter, old: str, new: str, axis: int) -> None:
    """Weights that came with a scale for each output, or with one scale, remember it in their new layout."""
    q = e.graph.tensors[old].quantization
    if q is not None and e.value(new) is not None and len(q.scale) in (1, e.shape(new)[axis]):
        e.graph.tensors[new].quantization = Quantization(q.scale, q.zero_point, axis)


def conv_transpose(e: Emitter, n: OnnxNode) -> str:
    """The whole result by TRANSPOSE_CONV with padding VALID, then what the padding takes away is cut."""
    x, w = n.get(0), n.get(1)
    dims = e.rank(x) - 2
    if dims not in (1, 2):
        raise UnsupportedUseError(f"transposed convolution in {dims} dimensions is not supported")
    kernel, strides, dilations = list(e.shape(w)[2:]), _spatial(n, "strides", dims), _spatial(n, "dilations", dims)
    if any(d != 1 for d in dilations):
        w = _dilate(e, n, w, dilations)
        kernel = list(e.shape(w)[2:])
    extra, sizes = _spatial(n, "output_padding", dims, 0), list(e.shape(x)[2:])
    shape = n.attr("output_shape")
    full = [(s - 1) * st + k for s, st, k in zip(sizes, strides, kernel)]
    auto = n.attr("auto_pad", "NOTSET")
    if shape is not None or auto in ("SAME_UPPER", "SAME_LOWER"):
        out = [int(s) for s in shape[-dims:]] if shape is not None else [s * st for s, st in zip(sizes, strides)]
        cut = [f + o - s for f, o, s in zip(full, extra, out)]
        begin = [c // 2 if auto == "SAME_UPPER" else c - c // 2 for c in cut]
    else:
        pads = _pads(n, sizes, kernel, strides, [1] * dims)
        out = [f + o - sum(p) for f, o, p in zip(full, extra, pads)]
        begin = [p[0] for p in pads]
    group, y = int(n.attr("group", 1)), _widen(e, to_last(e, x))
    if dims == 1:
        w = e.reshape(w, (*e.shape(w)[:2], 1, e.shape(w)[2]))
        kernel, strides, full, begin, out = [1, *kernel], [1, *strides], [1, *full], [0, *begin], [1, *out]
    batch, each = e.shape(y)[0], e.shape(w)[0] // group
    parts = []
    for g in range(group):
        part, weights = e.slice(y, 3, g * each, each), e.transpose(e.slice(w, 0, g * each, each), (1, 2, 3, 0), "weights")
        shape4 = (batch, *full, e.shape(weights)[0])
        attrs: dict[str, Any] = {"padding": "VALID", "stride_h": strides[0], "stride_w": strides[1]}
        parts.append(e.op("TRANSPOSE_CONV", [e.ints(shape4, "shape"), weights, part], dtype="float32", shape=shape4, **attrs))
    y = e.concat(parts, 3)
    need = [max(0, b + o - f) for b, o, f in zip(begin, out, full)]
    y = e.pad(y, [0, *(max(0, -b) for b in begin), 0], [0, *need, 0])
    for axis in (0, 1):
        y = e.slice(y, axis + 1, max(0, begin[axis]), out[axis])
    if n.has(2):
        y = e.binary("ADD", y, n.get(2))
    return to_first(e, _narrow(e, y, dims))


def _dilate(e: Emitter, n: OnnxNode, w: str, dilations: Sequence[int]) -> str:
    value = n.constant(1, "weights")
    big = np.zeros((*value.shape[:2], *((k - 1) * d + 1 for k, d in zip(value.shape[2:], dilations))), value.dtype)
    every = [slice(None), slice(None)] + [slice(None, None, d) for d in dilations]
    big[tuple(every)] = value
    return e.const(big, name="dilated")


# ---- pooling


def _pool_geometry(e: Emitter, n: OnnxNode) -> tuple[list[int], list[int], list[int], list[int], Pads, list[int]]:
    """sizes, kernel, strides, dilations, padding, outputs. ceil_mode adds to the padding at the end what is missing."""
    sizes = list(e.shape(n.get(0))[2:])
    dims = len(sizes)
    kernel, strides, dilations = _spatial(n, "kernel_shape", dims), _spatial(n, "strides", dims), _spatial(n, "dilations", dims)
    pads = _pads(n, sizes, kernel, strides, dilations)
    _check_window(kernel, strides, dilations, pads)
    out = []
    for i in range(dims):
        span = sizes[i] + sum(pads[i]) - (kernel[i] - 1) * dilations[i] - 1
        count = span // strides[i] + 1
        # A window that would start in the padding at the end does not count.
        if n.attr("ceil_mode", 0) and span % strides[i] and count * strides[i] < sizes[i] + pads[i][0]:
            count += 1
        out.append(count)
    return sizes, kernel, strides, dilations, pads, out


def _fill(
    e: Emitter, x: str, kernel: list[int], strides: list[int], dilations: list[int], pads: Pads, out: list[int], value: float
) -> str:
    """Pads an NHWC tensor so that the windows are there, and no more."""
    after = []
    for i, size in enumerate(e.shape(x)[1:-1]):
        after.append((out[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - size - pads[i][0])
    y = e.pad(x, [0, *(p[0] for p in pads), 0], [0, *(max(0, a) for a in after), 0], value)
    for i, a in enumerate(after):
        if a < 0:
            y = e.slice(y, i + 1, 0, e.shape(y)[i + 1] + a)
    return y


def _pool_op(e: Emitter, op: str, x: str, kernel: Sequence[int], strides: Sequence[int], padding: str, out: Sequence[int]) -> str:
    attrs: dict[str, Any] = {
        "filter_height": kernel[0],
        "filter_width": kernel[1],
        "stride_h": strides[0],
        "stride_w": strides[1],
    }
    return e.op(op, [x], shape=(e.shape(x)[0], *out, e.shape(x)[3]), padding=padding, **attrs)


def _slices(
    e: Emitter, x: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], out: Sequence[int]
) -> list[str]:
    """What each place of the window sees: for windows that TFLite has no operator for."""
    parts = []
    for offset in product(*map(range, kernel)):
        begin = [0, *(o * d for o, d in zip(offset, dilations)), 0]
        end = [e.shape(x)[0], *(b + (s - 1) * t + 1 for b, s, t in zip(begin[1:-1], out, strides)), e.shape(x)[-1]]
        inputs = [x, e.ints(begin, "begin"), e.ints(end, "end"), e.ints([1, *strides, 1], "strides")]
        parts.append(e.op("STRIDED_SLICE", inputs, shape=(e.shape(x)[0], *out, e.shape(x)[-1])))
    return parts


def max_pool(e: Emitter, n: OnnxNode) -> str:
    if n.outputs > 1:
        raise UnsupportedUseError("the places of the maxima (second output) are not supported")
    x = n.get(0)
    dtype = e.dtype(x)
    sizes, kernel, strides, dilations, pads, out = _pool_geometry(e, n)
    dims = len(sizes)
    y = to_last(e, e.cast(x, "float32"))
    lowest = float(np.finfo(np.float32).min)
    if dims == 1:
        y = _widen(e, y)
        sizes, kernel, strides, dilations, pads, out = (
            [1, *sizes],
            [1, *kernel],
            [1, *strides],
            [1, *dilations],
            [(0, 0), *pads],
            [1, *out],
        )
    if dims <= 2 and all(d == 1 for d in dilations):
        exact = all(o == (s + sum(p) - k) // t + 1 for o, s, p, k, t in zip(out, sizes, pads, kernel, strides))
        if exact and any(map(any, pads)) and _as_same(pads, sizes, kernel, strides, dilations):
            y = _pool_op(e, "MAX_POOL_2D", y, kernel, strides, "SAME", out)
        else:
            y = _fill(e, y, kernel, strides, dilations, pads, out, lowest)
            y = _pool_op(e, "MAX_POOL_2D", y, kernel, strides, "VALID", out)
    else:
        parts = _slices(e, _fill(e, y, kernel, strides, dilations, pads, out, lowest), kernel, strides, dilations, out)
        y = parts[0]
        for p in parts[1:]:
            y = e.binary("MAXIMUM", y, p)
    return e.cast(to_first(e, _narrow(e, y, dims)), dtype)


def average_pool(e: Emitter, n: OnnxNode) -> str:
    sizes, kernel, strides, dilations, pads, out = _pool_geometry(e, n)
    y = to_last(e, n.get(0))
    return to_first(e, _average(e, n, y, sizes, kernel, strides, dilations, pads, out, bool(n.attr("count_include_pad", 0))))


def _average(
    e: Emitter, n: OnnxNode, y: str, sizes: list[int], kernel: list[int], strides: list[int], dilations: list[int], pads: Pads,
    out: list[int], include: bool,
) -> str:  # fmt: skip
    """The mean of each window of an NHWC tensor."""
    dims = len(sizes)
    if dims == 1:
        y = _widen(e, y)
        sizes, kernel, strides, dilations, pads, out = (
            [1, *sizes],
            [1, *kernel],
            [1, *strides],
            [1, *dilations],
            [(0, 0), *pads],
            [1, *out],
        )
    # How many values each window counts, along each dimension: all of them, those of the image, or those of the padded image.
    counts = []
    for i in range(len(sizes)):
        starts = np.arange(out[i]) * strides[i] - pads[i][0]
        places = starts[:, None] + np.arange(kernel[i]) * dilations[i]
        first, last = (-pads[i][0], sizes[i] + pads[i][1]) if include else (0, sizes[i])
        counts.append(((places >= first) & (places < last)).sum(1))
    plain = all((c == k).all() for c, k in zip(counts, kernel))
    if len(sizes) == 2 and all(d == 1 for d in dilations):
        if not include and _as_same(pads, sizes, kernel, strides, dilations) and not n.attr("ceil_mode", 0):
            return _narrow(e, _pool_op(e, "AVERAGE_POOL_2D", y, kernel, strides, "SAME", out), dims)
        y = _fill(e, y, kernel, strides, dilations, pads, out, 0.0)
        y = _pool_op(e, "AVERAGE_POOL_2D", y, kernel, strides, "VALID", out)
    else:
        parts = _slices(e, _fill(e, y, kernel, strides, dilations, pads, out, 0.0), kernel, strides, dilations, out)
        y = parts[0]
        for p in parts[1:]:
            y = e.binary("ADD", y, p)
        y = e.binary("MUL", y, 1 / len(parts))
    if not plain:
        ratio = np.ones([1] * (len(sizes) + 2))
        for i, c in enumerate(counts):
            ratio = ratio * (kernel[i] / c).reshape([-1 if j == i + 1 else 1 for j in range(len(sizes) + 2)])
        y = e.binary("MUL", y, e.const(ratio.astype(np.float32), name="ratio"))
    return _narrow(e, y, dims)


def lp_pool(e: Emitter, n: OnnxNode) -> str:
    sizes, kernel, strides, dilations, pads, out = _pool_geometry(e, n)
    p = float(n.attr("p", 2))
    y = to_last(e, n.get(0))
    y = e.unary("SQUARE", y) if p == 2 else e.unary("ABS", y) if p == 1 else e.binary("POW", e.unary("ABS", y), p)
    y = _average(e, n, y, sizes, kernel, strides, dilations, pads, out, True)
    # The sum, not the mean: of all places, those in the padding being zero.
    counts = []
    for i in range(len(sizes)):
        starts = np.arange(out[i]) * strides[i] - pads[i][0]
        places = starts[:, None] + np.arange(kernel[i]) * dilations[i]
        counts.append(((places >= -pads[i][0]) & (places < sizes[i] + pads[i][1])).sum(1))
    total = np.ones([1] * (len(sizes) + 2))
    for i, c in enumerate(counts):
        total = total * c.reshape([-1 if j == i + 1 else 1 for j in range(len(sizes) + 2)])
    y = e.binary("MUL", y, e.const(total.astype(np.float32), name="count"))
    y = e.unary("SQRT", y) if p == 2 else y if p == 1 else e.binary("POW", y, 1 / p)
    return to_first(e, y)


def _global(op: str) -> Handler:
    def apply(e: Emitter, n: OnnxNode) -> str:
        x = to_last(e, n.get(0))
        return to_first(e, e.reduce(op, x, list(range(1, e.rank(x) - 1)), True))

    return apply


def global_lp_pool(e: Emitter, n: OnnxNode) -> str:
    x, p = n.get(0), float(n.attr("p", 2))
    y = e.binary("POW", e.unary("ABS", x), p)
    return e.binary("POW", e.reduce("SUM", y, list(range(2, e.rank(x))), True), 1 / p)


HANDLERS: dict[str, Handler] = {
    "Conv": conv, "ConvTranspose": conv_transpose, "MaxPool": max_pool, "AveragePool": average_pool, "LpPool": lp_pool,
    "GlobalAveragePool": _global("MEAN"), "GlobalMaxPool": _global("REDUCE_MAX"), "GlobalLpPool": global_lp_pool,
}  # fmt: skip
