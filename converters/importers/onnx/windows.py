"""Convolutions and pooling. ONNX has channels first, TFLite last: each operator is put between two TRANSPOSEs, which the pass
`move_transposes` takes away again wherever two meet.

Semantics: onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import windows
from ..emit import Emitter, UnsupportedUseError
from ..windows import Pads, to_first, to_last
from .node import Handler, OnnxNode


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
    both = windows.same(sizes, kernel, strides, dilations)
    return both if auto == "SAME_UPPER" else [(b, a) for a, b in both]


def conv(e: Emitter, n: OnnxNode) -> str:
    return convolution(e, n, n.get(0), n.get(1), n.inputs[2] if n.has(2) else "")


def convolution(e: Emitter, n: OnnxNode, x: str, w: str, bias: str) -> str:
    dims = e.rank(x) - 2
    if dims not in (1, 2, 3):
        raise UnsupportedUseError(f"convolution in {dims} dimensions is not supported")
    strides, dilations = _spatial(n, "strides", dims), _spatial(n, "dilations", dims)
    pads = _pads(n, e.shape(x)[2:], e.shape(w)[2:], strides, dilations)
    return to_first(e, windows.convolve(e, to_last(e, x), w, bias, int(n.attr("group", 1)), strides, dilations, pads))


def conv_transpose(e: Emitter, n: OnnxNode) -> str:
    """The whole result, then what the padding takes away is cut."""
    x, w = n.get(0), n.get(1)
    dims = e.rank(x) - 2
    strides = _spatial(n, "strides", dims)
    w = windows.dilate(e, w, _spatial(n, "dilations", dims))
    kernel, sizes, extra = list(e.shape(w)[2:]), list(e.shape(x)[2:]), _spatial(n, "output_padding", dims, 0)
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
    bias = n.inputs[2] if n.has(2) else ""
    return to_first(e, windows.convolve_transposed(e, to_last(e, x), w, bias, int(n.attr("group", 1)), strides, begin, out))


# ---- pooling


def _pool_geometry(e: Emitter, n: OnnxNode) -> tuple[list[int], list[int], list[int], Pads, list[int]]:
    """kernel, strides, dilations, padding, outputs. With ceil_mode there may be a window more than the padding has room for."""
    sizes = list(e.shape(n.get(0))[2:])
    dims = len(sizes)
    kernel, strides, dilations = _spatial(n, "kernel_shape", dims), _spatial(n, "strides", dims), _spatial(n, "dilations", dims)
    pads = _pads(n, sizes, kernel, strides, dilations)
    windows.check_window(kernel, strides, dilations, pads)
    out = windows.outputs(sizes, kernel, strides, dilations, pads)
    for i in range(dims):
        span = sizes[i] + sum(pads[i]) - (kernel[i] - 1) * dilations[i] - 1
        # A window that would start in the padding at the end does not count.
        if n.attr("ceil_mode", 0) and span % strides[i] and out[i] * strides[i] < sizes[i] + pads[i][0]:
            out[i] += 1
    return kernel, strides, dilations, pads, out


def max_pool(e: Emitter, n: OnnxNode) -> str:
    if n.outputs > 1:
        raise UnsupportedUseError("the places of the maxima (second output) are not supported")
    x = n.get(0)
    y = windows.max_pool(e, to_last(e, e.cast(x, "float32")), *_pool_geometry(e, n))
    return e.cast(to_first(e, y), e.dtype(x))


def average_pool(e: Emitter, n: OnnxNode) -> str:
    include = bool(n.attr("count_include_pad", 0))
    return to_first(e, windows.average_pool(e, to_last(e, n.get(0)), *_pool_geometry(e, n), include=include))


def lp_pool(e: Emitter, n: OnnxNode) -> str:
    geometry = _pool_geometry(e, n)
    sizes, p = e.shape(n.get(0))[2:], float(n.attr("p", 2))
    y = to_last(e, n.get(0))
    y = e.unary("SQUARE", y) if p == 2 else e.unary("ABS", y) if p == 1 else e.binary("POW", e.unary("ABS", y), p)
    # The sum, not the mean: of all places, those in the padding being zero.
    y = windows.average_pool(e, y, *geometry, include=True)
    total = windows.along(windows.counts(sizes, *geometry, include=True))
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
