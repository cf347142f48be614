"""Convolutions and pooling with the channels last, for every importer: one, two or three dimensions, any strides, dilations and padding.

One spatial dimension is two with a height of 1. What TFLite has no operator or padding for is put together of what it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir import Quantization
from ..ir.shapes import same_padding, window
from .emit import Emitter, UnsupportedUseError

Pads = list[tuple[int, int]]


def to_last(e: Emitter, x: str) -> str:
    rank = e.rank(x)
    return e.transpose(x, [0, *range(2, rank), 1], "to_channels_last")


def to_first(e: Emitter, x: str) -> str:
    rank = e.rank(x)
    return e.transpose(x, [0, rank - 1, *range(1, rank - 1)], "to_channels_first")


def same(sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Pads:
    """The padding of TFLite's SAME: outputs are the sizes divided by strides, rounded up."""
    return [same_padding(*a) for a in zip(sizes, kernel, strides, dilations)]


def check_window(kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads) -> None:
    if any(v < 1 for v in (*kernel, *strides, *dilations)) or any(p < 0 for both in pads for p in both):
        raise UnsupportedUseError(f"kernel {kernel}, strides {strides}, dilations {dilations} and pads {pads} are not supported")


def _is_same(pads: Pads, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> bool:
    """Whether TFLite's padding SAME pads just so."""
    return all(
        p == same_padding(*a) and (a[0] + sum(p) - (a[1] - 1) * a[3] - 1) // a[2] + 1 == window(*a, "SAME")
        for p, a in zip(pads, zip(sizes, kernel, strides, dilations))
    )


def outputs(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads
) -> list[int]:
    """How many windows there are in each dimension."""
    return [(s + sum(p) - (k - 1) * d - 1) // t + 1 for s, k, t, d, p in zip(sizes, kernel, strides, dilations, pads)]


def _widen(e: Emitter, x: str) -> str:
    """[N, L, C] → [N, 1, L, C]"""
    shape = e.shape(x)
    return e.reshape(x, (shape[0], 1, *shape[1:])) if len(shape) == 3 else x


def _narrow(e: Emitter, y: str, dims: int) -> str:
    shape = e.shape(y)
    return e.reshape(y, (shape[0], *shape[2:])) if dims == 1 else y


def _two(values: Sequence[int], first: int = 1) -> list[int]:
    """One dimension as two."""
    return [first, *values] if len(values) == 1 else list(values)


# ---- convolutions


def convolve(
    e: Emitter, x: str, w: str, bias: str, group: int, strides: Sequence[int], dilations: Sequence[int], pads: Pads
) -> str:
    """x [N, ..., C] with weights [O, C / group, ...] and a bias [O], or "" where there is none."""
    dims = e.rank(x) - 2
    if dims not in (1, 2, 3):
        raise UnsupportedUseError(f"convolution in {dims} dimensions is not supported")
    kernel = list(e.shape(w)[2:])
    if e.rank(w) != e.rank(x) or group < 1 or e.shape(w)[1] * group != e.shape(x)[-1] or e.shape(w)[0] % group:
        raise UnsupportedUseError(
            f"weights {list(e.shape(w))} in {group} groups do not fit an input with {e.shape(x)[-1]} channels {list(e.shape(x))}"
        )
    if bias and e.shape(bias) != e.shape(w)[:1]:
        raise UnsupportedUseError(f"a bias {list(e.shape(bias))} does not fit weights {list(e.shape(w))}")
    check_window(kernel, strides, dilations, pads)
    if dims == 3:
        if group != 1:
            raise UnsupportedUseError("grouped convolution in 3 dimensions is not supported")
        weights = e.transpose(w, (2, 3, 4, 1, 0), "weights")
        x = e.pad(x, [0, *(p[0] for p in pads), 0], [0, *(p[1] for p in pads), 0])
        names = ("d", "h", "w")
        attrs: dict[str, Any] = {f"stride_{s}": v for s, v in zip(names, strides)}
        attrs.update({f"dilation_{s}_factor": v for s, v in zip(names, dilations)})
        return e.op("CONV_3D", [x, weights, *([bias] if bias else [])], padding="VALID", **attrs)
    if dims == 1:
        w = e.reshape(w, (*e.shape(w)[:2], 1, e.shape(w)[2]))
        pads = [(0, 0), *pads]
    y = _convolve(e, _widen(e, x), w, bias, group, _two(kernel), _two(strides), _two(dilations), pads)
    return _narrow(e, y, dims)


def _convolve(
    e: Emitter, x: str, w: str, bias: str, group: int, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
    pads: Pads,
) -> str:  # fmt: skip
    """NHWC input, OIHW weights."""
    channels, out = e.shape(x)[3], e.shape(w)[0]
    sizes = e.shape(x)[1:3]
    padding = "VALID" if not any(map(any, pads)) else "SAME" if _is_same(pads, sizes, kernel, strides, dilations) else ""
    if not padding:
        x = e.pad(x, [0, pads[0][0], pads[1][0], 0], [0, pads[0][1], pads[1][1], 0])
        padding = "VALID"
    attrs: dict[str, Any] = {"padding": padding, "stride_h": strides[0], "stride_w": strides[1]}
    attrs.update(dilation_h_factor=dilations[0], dilation_w_factor=dilations[1])
    h, width = (window(s, *a, padding) for s, a in zip(e.shape(x)[1:3], zip(kernel, strides, dilations)))
    if h < 1 or width < 1:
        raise UnsupportedUseError(f"a kernel {list(kernel)} does not fit into an image of {list(e.shape(x)[1:3])}")
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


def dilate(e: Emitter, w: str, dilations: Sequence[int]) -> str:
    """Constant weights [., ., ...] with zeros between the taps."""
    if all(d == 1 for d in dilations):
        return w
    value = e.value(w)
    if value is None:
        raise UnsupportedUseError("a dilated transposed convolution needs constant weights")
    big = np.zeros((*value.shape[:2], *((k - 1) * d + 1 for k, d in zip(value.shape[2:], dilations))), value.dtype)
    every = [slice(None), slice(None)] + [slice(None, None, d) for d in dilations]
    big[tuple(every)] = value
    return e.const(big, name="dilated")


def convolve_transposed(
    e: Emitter, x: str, w: str, bias: str, group: int, strides: Sequence[int], begin: Sequence[int], out: Sequence[int]
) -> str:
    """The transposed convolution of x [N, ..., C] with weights [C, O / group, ...]: of the whole result what begins at `begin` and has the sizes
    `out`, with zeros where that is more than there is.
    """
    dims = e.rank(x) - 2
    if dims not in (1, 2, 3):
        raise UnsupportedUseError(f"transposed convolution in {dims} dimensions is not supported")
    if e.rank(w) != e.rank(x) or group < 1 or e.shape(w)[0] != e.shape(x)[-1] or e.shape(w)[0] % group:
        raise UnsupportedUseError(f"weights {list(e.shape(w))} in {group} groups do not fit an input {list(e.shape(x))}")
    if dims == 1:
        w = e.reshape(w, (*e.shape(w)[:2], 1, e.shape(w)[2]))
        strides, begin, out = [1, *strides], [0, *begin], [1, *out]
    y, kernel = _widen(e, x), list(e.shape(w)[2:])
    full = [(s - 1) * st + k for s, st, k in zip(e.shape(y)[1:-1], strides, kernel)]
    batch, each = e.shape(y)[0], e.shape(w)[0] // group
    attrs: dict[str, Any] = {"padding": "VALID"}
    attrs.update({f"stride_{s}": v for s, v in zip("dhw" if dims == 3 else "hw", strides)})
    parts = []
    for g in range(group):
        part, own = e.slice(y, dims + 1 if dims > 1 else 3, g * each, each), e.slice(w, 0, g * each, each)
        shape = (batch, *full, e.shape(w)[1])
        if dims == 3:
            weights, op = e.transpose(own, (2, 3, 4, 1, 0), "weights"), "CONV_3D_TRANSPOSE"
        else:
            weights, op = e.transpose(own, (1, 2, 3, 0), "weights"), "TRANSPOSE_CONV"
        parts.append(e.op(op, [e.ints(shape, "shape"), weights, part], dtype="float32", shape=shape, **attrs))
    y = e.concat(parts, -1)
    need = [max(0, b + o - f) for b, o, f in zip(begin, out, full)]
    y = e.pad(y, [0, *(max(0, -b) for b in begin), 0], [0, *need, 0])
    for axis in range(len(out)):
        y = e.slice(y, axis + 1, max(0, begin[axis]), out[axis])
    if bias:
        y = e.binary("ADD", y, bias)
    return _narrow(e, y, dims)


# ---- pooling


def _fill(
    e: Emitter, x: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads, out: Sequence[int],
    value: float,
) -> str:  # fmt: skip
    """Pads so that the windows are there, and no more."""
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


def _fold(
    e: Emitter, op: str, x: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], out: Sequence[int]
) -> str:
    """What an operator makes of all places of each window, for windows that TFLite has no operator for: along one dimension after the other."""
    for i, (places, stride, dilation) in enumerate(zip(kernel, strides, dilations)):
        rank, shape = e.rank(x), list(e.shape(x))
        steps = [stride if j == i + 1 else 1 for j in range(rank)]
        sizes = [out[i] if j == i + 1 else n for j, n in enumerate(shape)]
        y = ""
        for k in range(places):
            begin = [k * dilation if j == i + 1 else 0 for j in range(rank)]
            end = [b + (n - 1) * t + 1 for b, n, t in zip(begin, sizes, steps)]
            inputs = [x, e.ints(begin, "begin"), e.ints(end, "end"), e.ints(steps, "strides")]
            part = e.op("STRIDED_SLICE", inputs, shape=sizes)
            y = e.binary(op, y, part) if y else part
        x = y
    return x


def max_pool(
    e: Emitter, x: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads, out: Sequence[int]
) -> str:
    """The largest of each window of x [N, ..., C]; there are `out` windows, of which the last may reach beyond the padding."""
    dims = len(kernel)
    y, sizes = x, list(e.shape(x)[1:-1])
    lowest = float(np.finfo(np.float32).min)
    if dims == 1:
        y, pads = _widen(e, y), [(0, 0), *pads]
        sizes, kernel, strides, dilations, out = (_two(v) for v in (sizes, kernel, strides, dilations, out))
    if dims <= 2 and all(d == 1 for d in dilations):
        exact = list(out) == outputs(sizes, kernel, strides, dilations, pads)
        if exact and any(map(any, pads)) and _is_same(pads, sizes, kernel, strides, dilations):
            y = _pool_op(e, "MAX_POOL_2D", y, kernel, strides, "SAME", out)
        else:
            y = _fill(e, y, kernel, strides, dilations, pads, out, lowest)
            y = _pool_op(e, "MAX_POOL_2D", y, kernel, strides, "VALID", out)
    else:
        y = _fold(e, "MAXIMUM", _fill(e, y, kernel, strides, dilations, pads, out, lowest), kernel, strides, dilations, out)
    return _narrow(e, y, dims)


def counts(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads, out: Sequence[int],
    include: bool,
) -> list[np.ndarray[Any, Any]]:  # fmt: skip
    """How many places of each window count, along each dimension: those of the image, or with `include` those of its padding too."""
    found = []
    for i in range(len(sizes)):
        starts = np.arange(out[i]) * strides[i] - pads[i][0]
        places = starts[:, None] + np.arange(kernel[i]) * dilations[i]
        first, last = (-pads[i][0], sizes[i] + pads[i][1]) if include else (0, sizes[i])
        found.append(((places >= first) & (places < last)).sum(1))
    return found


def along(values: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The products of what there is along each dimension, [1, ..., 1]."""
    rank, total = len(values) + 2, np.ones([1] * (len(values) + 2))
    for i, v in enumerate(values):
        total = total * np.asarray(v).reshape([-1 if j == i + 1 else 1 for j in range(rank)])
    return total


def average_pool(
    e: Emitter, x: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads, out: Sequence[int],
    include: bool = False,
) -> str:  # fmt: skip
    """The mean of each window of x [N, ..., C]; `include`: padding counts, as zeros."""
    dims = len(kernel)
    y, sizes = x, list(e.shape(x)[1:-1])
    if dims == 1:
        y, pads = _widen(e, y), [(0, 0), *pads]
        sizes, kernel, strides, dilations, out = (_two(v) for v in (sizes, kernel, strides, dilations, out))
    found = counts(sizes, kernel, strides, dilations, pads, out, include)
    plain = all((c == k).all() for c, k in zip(found, kernel))
    if len(sizes) == 2 and all(d == 1 for d in dilations):
        exact = list(out) == outputs(sizes, kernel, strides, dilations, pads)
        if not include and exact and _is_same(pads, sizes, kernel, strides, dilations):
            return _narrow(e, _pool_op(e, "AVERAGE_POOL_2D", y, kernel, strides, "SAME", out), dims)
        y = _fill(e, y, kernel, strides, dilations, pads, out, 0.0)
        y = _pool_op(e, "AVERAGE_POOL_2D", y, kernel, strides, "VALID", out)
    else:
        y = _fold(e, "ADD", _fill(e, y, kernel, strides, dilations, pads, out, 0.0), kernel, strides, dilations, out)
        y = e.binary("MUL", y, 1 / int(np.prod(kernel)))
    if not plain:
        y = e.binary("MUL", y, e.const(along([k / c for k, c in zip(kernel, found)]).astype(np.float32), name="ratio"))
    return _narrow(e, y, dims)


def local_response_normalization(e: Emitter, x: str, size: int, alpha: float, beta: float, bias: float) -> str:
    """x [N, ..., C] by (bias + alpha / size * the sum of the squares of `size` neighbouring channels) ^ beta.

    Not TFLite's LOCAL_RESPONSE_NORMALIZATION, which leaves out the last neighbour. The sum is an average pool over channels.
    """
    shape = e.shape(x)
    flat = e.reshape(e.unary("SQUARE", x), (1, int(np.prod(shape[:-1])), shape[-1], 1))
    before = (size - 1) // 2
    pads = [(0, 0), (before, size - 1 - before)]
    mean = average_pool(e, flat, [1, size], [1, 1], [1, 1], pads, list(e.shape(flat)[1:3]), include=True)
    base = e.binary("MUL", e.reshape(mean, shape), alpha)
    return e.binary("MUL", x, e.binary("POW", e.binary("ADD", base, bias), -beta))
