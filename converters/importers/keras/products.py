"""Dense layers, embeddings and convolutions. Kernels are [kernel..., in, out], those of transposed convolutions [kernel..., out, in].

Semantics: keras.io/api/layers/core_layers and convolution_layers.
"""

from __future__ import annotations

import numpy as np

from .. import windows
from ..emit import Emitter, UnsupportedUseError
from ..windows import Pads
from .activations import apply
from .layer import Handler, Layer


def dense(layer: Layer) -> str:
    e, kernel = layer.emitter, layer.weight(0, "kernel")
    bias = layer.weight(1, "bias") if layer.get("use_bias", True) else np.zeros(kernel.shape[1], np.float32)
    y = e.dense(layer.x, e.const(kernel.T, "float32", "kernel"), e.const(bias, "float32", "bias"))
    return apply(layer, y)


def einsum_dense(layer: Layer) -> str:
    """The equations in which the last letters of the input are summed with the first of the kernel."""
    e, equation, kernel = layer.emitter, str(layer.config["equation"]).replace(" ", ""), layer.weight(0, "kernel")
    terms, _, result = equation.partition("->")
    left, _, right = terms.partition(",")
    free = left.replace("...", "")
    summed = [c for c in free if c in right]
    n = len(summed)
    rest = right.replace("".join(summed), "", 1)
    usual = free.endswith("".join(summed)) and right.startswith("".join(summed)) and result == left[: len(left) - n] + rest
    if not n or not usual:
        raise UnsupportedUseError(
            f'the equation "{equation}" is not supported, only products of the last axes with the first of the kernel'
        )
    shape, out = e.shape(layer.x), kernel.shape[n:]
    flat = kernel.reshape(int(np.prod(kernel.shape[:n])), -1)
    x = e.reshape(layer.x, (*shape[: len(shape) - n], flat.shape[0]))
    y = e.reshape(e.dense(x, e.const(flat.T, "float32", "kernel")), (*shape[: len(shape) - n], *out))
    if layer.get("bias_axes"):
        y = e.binary("ADD", y, e.const(layer.weight(1, "bias"), name="bias"))
    return apply(layer, y)


def embedding(layer: Layer) -> str:
    e, table = layer.emitter, layer.weight(0, "table")
    indices = e.cast(layer.x, "int32")
    return e.op(
        "GATHER", [e.const(table, name="table"), indices], shape=(*e.shape(indices), table.shape[1]), dtype="float32", axis=0
    )


def _pads(layer: Layer, sizes: list[int], kernel: list[int], strides: list[int], dilations: list[int]) -> Pads:
    padding = str(layer.get("padding", "valid")).lower()
    if padding == "same":
        return windows.same(sizes, kernel, strides, dilations)
    if padding == "causal" and len(sizes) == 1:
        return [((kernel[0] - 1) * dilations[0], 0)]
    if padding != "valid":
        raise UnsupportedUseError(f'padding "{padding}" is not supported')
    return [(0, 0)] * len(sizes)


def _convolve(
    e: Emitter, layer: Layer, x: str, kernel: np.ndarray, bias: np.ndarray | None, group: int, plain: bool = False
) -> str:
    """A kernel [..., in / group, out]; `plain`: strides and dilations of 1, as in the second half of a separable convolution."""
    dims = kernel.ndim - 2
    if e.rank(x) != dims + 2:
        raise UnsupportedUseError(f"its input {list(e.shape(x))} does not go with a kernel {list(kernel.shape)}")
    one = [1] * dims
    strides, dilations = (one, one) if plain else (layer.spatial("strides", dims), layer.spatial("dilation_rate", dims))
    pads = [(0, 0)] * dims if plain else _pads(layer, list(e.shape(x)[1:-1]), list(kernel.shape[:-2]), strides, dilations)
    weights = e.const(np.moveaxis(kernel, (-1, -2), (0, 1)), "float32", "kernel")
    return windows.convolve(
        e, x, weights, e.const(bias, "float32", "bias") if bias is not None else "", group, strides, dilations, pads
    )


def conv(layer: Layer) -> str:
    bias = layer.weight(1, "bias") if layer.get("use_bias", True) else None
    y = _convolve(layer.emitter, layer, layer.x, layer.weight(0, "kernel"), bias, int(layer.get("groups", 1)))
    return apply(layer, y)


def _depthwise(kernel: np.ndarray) -> np.ndarray:
    """[..., in, multiplier] → [..., 1, in * multiplier]"""
    return kernel.reshape(*kernel.shape[:-2], 1, -1)


def depthwise_conv(layer: Layer) -> str:
    kernel = layer.weight(0, "kernel")
    bias = layer.weight(1, "bias") if layer.get("use_bias", True) else None
    return apply(layer, _convolve(layer.emitter, layer, layer.x, _depthwise(kernel), bias, kernel.shape[-2]))


def separable_conv(layer: Layer) -> str:
    e, kernel = layer.emitter, layer.weight(0, "depthwise kernel")
    bias = layer.weight(2, "bias") if layer.get("use_bias", True) else None
    y = _convolve(e, layer, layer.x, _depthwise(kernel), None, kernel.shape[-2])
    return apply(layer, _convolve(e, layer, y, layer.weight(1, "pointwise kernel"), bias, 1, plain=True))


def conv_transpose(layer: Layer) -> str:
    e, kernel = layer.emitter, layer.weight(0, "kernel")
    dims = kernel.ndim - 2
    strides, extra = layer.spatial("strides", dims), layer.config.get("output_padding")
    weights = windows.dilate(
        e, e.const(np.moveaxis(kernel, (-1, -2), (0, 1)), "float32", "kernel"), layer.spatial("dilation_rate", dims)
    )
    sizes, taps = e.shape(layer.x)[1:-1], e.shape(weights)[2:]
    same = str(layer.get("padding", "valid")).lower() == "same"
    begin, out = [], []
    for i, (n, s, k) in enumerate(zip(sizes, strides, taps)):
        full = (n - 1) * s + k
        if extra is not None:
            more = int(extra) if isinstance(extra, int) else int(extra[i])
            out.append(full + more - (2 * (k // 2) if same else 0))
        else:
            out.append(n * s if same else max(full, n * s))
        begin.append(max(full - out[-1], 0) // 2 if same else 0)
    bias = e.const(layer.weight(1, "bias"), name="bias") if layer.get("use_bias", True) else ""
    return apply(layer, windows.convolve_transposed(e, layer.x, weights, bias, 1, strides, begin, out))


HANDLERS: dict[str, Handler] = {
    "Dense": dense, "EinsumDense": einsum_dense, "Embedding": embedding,
    "Conv1D": conv, "Conv2D": conv, "Conv3D": conv, "DepthwiseConv1D": depthwise_conv, "DepthwiseConv2D": depthwise_conv,
    "SeparableConv1D": separable_conv, "SeparableConv2D": separable_conv,
    "Conv1DTranspose": conv_transpose, "Conv2DTranspose": conv_transpose, "Conv3DTranspose": conv_transpose,
}  # fmt: skip
