"""What each Caffe layer becomes. Blobs are [batch, channels, height, width].

Semantics: caffe.berkeleyvision.org/tutorial/layers, and caffe.proto for the defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from .. import functions, windows
from ..emit import Emitter, UnsupportedUseError
from ..windows import to_first, to_last
from .messages import Message


@dataclass
class Layer:
    """A layer with its parameters; inputs are tensors of the graph."""

    kind: str
    name: str
    message: Message
    inputs: list[str]
    outputs: int
    blobs: list[NDArray[np.float32]]
    emitter: Emitter
    parameter: Message = field(default_factory=dict)

    @property
    def x(self) -> str:
        return self.inputs[0]

    def get(self, name: str, default: Any = None) -> Any:
        """A field of the layer's own parameter, the last one where it was given several times."""
        return self.parameter[name][-1] if self.parameter.get(name) else default

    def blob(self, i: int, what: str) -> NDArray[np.float32]:
        if i >= len(self.blobs):
            raise UnsupportedUseError(f"the .caffemodel has no {what} for it")
        return self.blobs[i]

    def axis(self, name: str = "axis", default: int = 1) -> int:
        axis, rank = int(self.get(name, default)), self.emitter.rank(self.x)
        if not -rank <= axis < rank:
            raise UnsupportedUseError(f"axis {axis} does not exist in {rank} dimensions")
        return axis % rank

    def pair(self, name: str, default: int) -> list[int]:
        """A size in height and width: `name` once or twice, or `name_h` and `name_w`."""
        short = name.replace("kernel_size", "kernel")
        if self.parameter.get(f"{short}_h") or self.parameter.get(f"{short}_w"):
            return [int(self.get(f"{short}_{d}", default)) for d in "hw"]
        given = [int(v) for v in self.parameter.get(name, [default])]
        return given * 2 if len(given) == 1 else given[:2]


Handler = Callable[[Layer], Union[str, list[str]]]


def _along(layer: Layer, values: NDArray[Any], axis: int, name: str) -> str:
    """A constant that lies along one axis, and those behind it, as far as it has dimensions."""
    e, rank = layer.emitter, layer.emitter.rank(layer.x)
    shape = e.shape(layer.x)
    sizes = list(values.shape) if values.size > 1 else [1]
    while len(sizes) > 1 and sizes[0] == 1 and (axis + len(sizes) > rank or shape[axis] != 1):
        sizes = sizes[1:]
    if values.size == 1:
        sizes = [1]
    if axis + len(sizes) > rank or any(s not in (1, shape[axis + i]) for i, s in enumerate(sizes)):
        raise UnsupportedUseError(f"its {name} {list(values.shape)} does not fit its input {list(shape)} from axis {axis} on")
    return e.const(values.reshape(*sizes, *[1] * (rank - axis - len(sizes))), "float32", name)


# ---- products


def convolution(layer: Layer) -> str:
    e, w = layer.emitter, layer.blob(0, "weights")
    bias = e.const(layer.blob(1, "bias").reshape(-1), "float32", "bias") if layer.get("bias_term", True) else ""
    group = int(layer.get("group", 1))
    if layer.kind in ("ConvolutionDepthwise", "DepthwiseConvolution"):
        group = e.shape(layer.x)[1]
    pads = [(p, p) for p in layer.pair("pad", 0)]
    y = windows.convolve(
        e,
        to_last(e, layer.x),
        e.const(w, "float32", "weights"),
        bias,
        group,
        layer.pair("stride", 1),
        layer.pair("dilation", 1),
        pads,
    )
    return to_first(e, y)


def deconvolution(layer: Layer) -> str:
    e, strides, pads = layer.emitter, layer.pair("stride", 1), layer.pair("pad", 0)
    w = windows.dilate(e, e.const(layer.blob(0, "weights"), "float32", "weights"), layer.pair("dilation", 1))
    bias = e.const(layer.blob(1, "bias").reshape(-1), "float32", "bias") if layer.get("bias_term", True) else ""
    sizes = e.shape(layer.x)[2:]
    out = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(sizes, strides, e.shape(w)[2:], pads)]
    return to_first(
        e, windows.convolve_transposed(e, to_last(e, layer.x), w, bias, int(layer.get("group", 1)), strides, pads, out)
    )


def inner_product(layer: Layer) -> str:
    e, axis, w = layer.emitter, layer.axis(), layer.blob(0, "weights")
    outputs = int(layer.get("num_output", w.shape[-2]))
    w = w.reshape(-1, outputs).T if layer.get("transpose", False) else w.reshape(outputs, -1)
    shape = e.shape(layer.x)
    x = e.reshape(layer.x, (*shape[:axis], int(np.prod(shape[axis:]))))
    bias = layer.blob(1, "bias").reshape(-1) if layer.get("bias_term", True) else np.zeros(outputs)
    return e.dense(x, e.const(w, "float32", "weights"), e.const(bias, "float32", "bias"))


# ---- pooling


def pooling(layer: Layer) -> str:
    """Caffe rounds the number of windows up, and counts padding in averages."""
    e, sizes = layer.emitter, layer.emitter.shape(layer.x)[2:]
    method = str(layer.get("pool", "MAX"))
    if method not in ("MAX", "AVE", "0", "1"):
        raise UnsupportedUseError(f"the method {method} is not supported")
    if layer.outputs > 1:
        raise UnsupportedUseError("the places of the maxima (second output) are not supported")
    average = method in ("AVE", "1")
    if layer.get("global_pooling", False):
        return e.reduce("MEAN" if average else "REDUCE_MAX", layer.x, [2, 3], True)
    kernel, strides, pads = layer.pair("kernel_size", 1), layer.pair("stride", 1), layer.pair("pad", 0)
    floor = str(layer.get("round_mode", "CEIL")) in ("FLOOR", "1") or layer.get("ceil_mode", True) is False
    out = []
    for n, k, s, p in zip(sizes, kernel, strides, pads):
        span = n + 2 * p - k
        count = (span // s if floor else math.ceil(span / s)) + 1
        out.append(count - 1 if p and (count - 1) * s >= n + p else count)
    both, one = [(p, p) for p in pads], [1, 1]
    x = to_last(e, layer.x)
    if average:
        return to_first(e, windows.average_pool(e, x, kernel, strides, one, both, out, include=True))
    return to_first(e, windows.max_pool(e, x, kernel, strides, one, both, out))


# ---- elementwise


def relu(layer: Layer) -> str:
    slope = float(layer.get("negative_slope", 0))
    return layer.emitter.unary("LEAKY_RELU", layer.x, alpha=slope) if slope else layer.emitter.unary("RELU", layer.x)


def _unary(op: str) -> Handler:
    return lambda layer: layer.emitter.unary(op, layer.x)


def elu(layer: Layer) -> str:
    return functions.elu(layer.emitter, layer.x, float(layer.get("alpha", 1)), 1.0)


def prelu(layer: Layer) -> str:
    e, slopes = layer.emitter, layer.blob(0, "slopes")
    if slopes.size == 1:
        return e.unary("LEAKY_RELU", layer.x, alpha=float(slopes.reshape(-1)[0]))
    return e.op("PRELU", [layer.x, _along(layer, slopes.reshape(-1), 1, "slopes")], shape=e.shape(layer.x))


def power(layer: Layer) -> str:
    e, y = layer.emitter, layer.x
    scale, shift, exponent = (float(layer.get(k, d)) for k, d in (("scale", 1), ("shift", 0), ("power", 1)))
    y = y if scale == 1 else e.binary("MUL", y, scale)
    y = y if shift == 0 else e.binary("ADD", y, shift)
    known = {2.0: "SQUARE", 0.5: "SQRT", -0.5: "RSQRT"}
    if exponent in known:
        return e.unary(known[exponent], y)
    return y if exponent == 1 else e.binary("POW", y, exponent)


def exponential(layer: Layer) -> str:
    e, base = layer.emitter, float(layer.get("base", -1))
    factor = 1.0 if base == -1 else math.log(base)
    scale, shift = float(layer.get("scale", 1)) * factor, float(layer.get("shift", 0)) * factor
    y = layer.x if scale == 1 else e.binary("MUL", layer.x, scale)
    return e.unary("EXP", y if shift == 0 else e.binary("ADD", y, shift))


def logarithm(layer: Layer) -> str:
    e, base = layer.emitter, float(layer.get("base", -1))
    scale, shift = float(layer.get("scale", 1)), float(layer.get("shift", 0))
    y = layer.x if scale == 1 else e.binary("MUL", layer.x, scale)
    y = e.unary("LOG", y if shift == 0 else e.binary("ADD", y, shift))
    return y if base == -1 else e.binary("MUL", y, 1 / math.log(base))


def softmax(layer: Layer) -> str:
    return functions.along_axis(layer.emitter, "SOFTMAX", layer.x, layer.axis(), beta=1.0)


def eltwise(layer: Layer) -> str:
    e, operation = layer.emitter, str(layer.get("operation", "SUM"))
    op = {"SUM": "ADD", "PROD": "MUL", "MAX": "MAXIMUM", "1": "ADD", "0": "MUL", "2": "MAXIMUM"}.get(operation)
    if op is None:
        raise UnsupportedUseError(f"the operation {operation} is not supported")
    factors = [float(c) for c in layer.parameter.get("coeff", [])]
    parts = list(layer.inputs)
    if op == "ADD" and factors:
        if factors == [1.0, -1.0]:
            return e.binary("SUB", *parts)
        parts = [x if c == 1 else e.binary("MUL", x, c) for x, c in zip(parts, factors)]
    y = parts[0]
    for other in parts[1:]:
        y = e.binary(op, y, other)
    return y


# ---- normalization


def batch_norm(layer: Layer) -> str:
    """(x - mean) / sqrt(variance + eps); both are divided by the third blob."""
    e, correction = layer.emitter, layer.blob(2, "scale of the statistics").reshape(-1)
    factor = 0.0 if correction.size == 0 or correction[0] == 0 else 1 / float(correction[0])
    mean, variance = (np.asarray(layer.blob(i, "statistics").reshape(-1), np.float64) * factor for i in (0, 1))
    scale = 1 / np.sqrt(variance + float(layer.get("eps", 1e-5)))
    y = e.binary("MUL", layer.x, _along(layer, scale, 1, "scale"))
    return e.seen(e.binary("ADD", y, _along(layer, -mean * scale, 1, "offset")), np.zeros(mean.size), np.ones(mean.size))


def scale(layer: Layer) -> str:
    e, axis = layer.emitter, layer.axis()
    if len(layer.inputs) > 1:
        rank, other = e.rank(layer.x), e.shape(layer.inputs[1])
        factor = (
            e.reshape(layer.inputs[1], (*[1] * axis, *other, *[1] * (rank - axis - len(other))))
            if len(other) < rank
            else layer.inputs[1]
        )
        y = e.binary("MUL", layer.x, factor)
        bias = layer.blobs[:1] if layer.get("bias_term", False) else []
    else:
        y = e.binary("MUL", layer.x, _along(layer, layer.blob(0, "factors"), axis, "scale"))
        bias = [layer.blob(1, "bias")] if layer.get("bias_term", False) else []
    return e.binary("ADD", y, _along(layer, bias[0], axis, "offset")) if bias else y


def bias(layer: Layer) -> str:
    e = layer.emitter
    other = layer.inputs[1] if len(layer.inputs) > 1 else _along(layer, layer.blob(0, "bias"), layer.axis(), "offset")
    return e.binary("ADD", layer.x, other)


def lrn(layer: Layer) -> str:
    e, size = layer.emitter, int(layer.get("local_size", 5))
    if str(layer.get("norm_region", "ACROSS_CHANNELS")) not in ("ACROSS_CHANNELS", "0"):
        raise UnsupportedUseError("local response normalization within a channel is not supported")
    if size % 2 == 0:
        raise UnsupportedUseError(f"a local size of {size} is not supported, only odd ones")
    alpha, beta, k = float(layer.get("alpha", 1)), float(layer.get("beta", 0.75)), float(layer.get("k", 1))
    return to_first(e, windows.local_response_normalization(e, to_last(e, layer.x), size, alpha, beta, k))


def normalize(layer: Layer) -> str:
    """Of SSD: each pixel's channels get the length 1, then factors."""
    if layer.get("across_spatial", True):
        raise UnsupportedUseError("normalization across the whole image is not supported")
    e = layer.emitter
    square = e.reduce("SUM", e.unary("SQUARE", layer.x), [1], True)
    y = e.binary("MUL", layer.x, functions.inverse_root(e, square, float(layer.get("eps", 1e-10))))
    return e.binary("MUL", y, _along(layer, layer.blob(0, "factors").reshape(-1), 1, "scale"))


def mvn(layer: Layer) -> str:
    e = layer.emitter
    axes = [1, 2, 3] if layer.get("across_channels", False) else [2, 3]
    if not layer.get("normalize_variance", True):
        return e.binary("SUB", layer.x, e.reduce("MEAN", layer.x, axes, True))
    return functions.normalize(e, layer.x, axes, float(layer.get("eps", 1e-9)))


# ---- shapes


def nothing(layer: Layer) -> str:
    return layer.x


def split(layer: Layer) -> list[str]:
    return [layer.x] * layer.outputs


def concat(layer: Layer) -> str:
    return layer.emitter.concat(layer.inputs, layer.axis("axis", int(layer.get("concat_dim", 1))))


def slices(layer: Layer) -> list[str]:
    e, axis = layer.emitter, layer.axis("axis", int(layer.get("slice_dim", 1)))
    size = e.shape(layer.x)[axis]
    points = [int(p) for p in layer.parameter.get("slice_point", [])]
    if not points:
        if size % layer.outputs:
            raise UnsupportedUseError(f"{size} do not divide into {layer.outputs} parts")
        points = [size // layer.outputs * i for i in range(1, layer.outputs)]
    edges = [0, *points, size]
    if any(b <= a for a, b in zip(edges, edges[1:])):
        raise UnsupportedUseError(f"it cannot be cut at {points}")
    return [e.slice(layer.x, axis, a, b - a) for a, b in zip(edges, edges[1:])]


def flatten(layer: Layer) -> str:
    e, shape = layer.emitter, layer.emitter.shape(layer.x)
    first, last = layer.axis(), layer.axis("end_axis", -1)
    return e.reshape(layer.x, (*shape[:first], int(np.prod(shape[first : last + 1])), *shape[last + 1 :]))


def reshape(layer: Layer) -> str:
    e, shape = layer.emitter, layer.emitter.shape(layer.x)
    wanted = [int(d) for d in (layer.get("shape") or {}).get("dim", [])]
    axis, count = layer.axis("axis", 0), int(layer.get("num_axes", -1))
    end = len(shape) if count == -1 else axis + count
    sizes = [shape[axis + i] if d == 0 else d for i, d in enumerate(wanted)]
    return e.reshape(layer.x, (*shape[:axis], *sizes, *shape[end:]))


def permute(layer: Layer) -> str:
    order = [int(i) for i in layer.parameter.get("order", [])]
    rank = layer.emitter.rank(layer.x)
    order += [i for i in range(rank) if i not in order]
    if sorted(order) != list(range(rank)):
        raise UnsupportedUseError(f"the order {order} does not fit {rank} dimensions")
    return layer.emitter.transpose(layer.x, order)


def crop(layer: Layer) -> str:
    e, x, like = layer.emitter, layer.x, layer.emitter.shape(layer.inputs[1])
    axis, offsets = layer.axis("axis", 2), [int(o) for o in layer.parameter.get("offset", [0])]
    for i in range(axis, e.rank(x)):
        x = e.slice(x, i, offsets[i - axis] if len(offsets) > 1 else offsets[0], like[i])
    return x


def reduction(layer: Layer) -> str:
    e, axis, op = layer.emitter, layer.axis("axis", 0), str(layer.get("operation", "SUM"))
    known = {"SUM": "SUM", "MEAN": "MEAN", "ASUM": "SUM", "SUMSQ": "SUM"}
    if op not in known:
        raise UnsupportedUseError(f"the operation {op} is not supported")
    x = e.unary("ABS", layer.x) if op == "ASUM" else e.unary("SQUARE", layer.x) if op == "SUMSQ" else layer.x
    y = e.reduce(known[op], x, list(range(axis, e.rank(x))), False)
    factor = float(layer.get("coeff", 1))
    return y if factor == 1 else e.binary("MUL", y, factor)


def shuffle_channel(layer: Layer) -> str:
    e, (n, c, h, w), groups = layer.emitter, layer.emitter.shape(layer.x), int(layer.get("group", 1))
    y = e.transpose(e.reshape(layer.x, (n, groups, c // groups, h, w)), (0, 2, 1, 3, 4))
    return e.reshape(y, (n, c, h, w))


# By type, with the name of the field that has its parameters.
LAYERS: dict[str, tuple[str, Handler]] = {
    "Convolution": ("convolution_param", convolution), "ConvolutionDepthwise": ("convolution_param", convolution),
    "DepthwiseConvolution": ("convolution_param", convolution), "Deconvolution": ("convolution_param", deconvolution),
    "InnerProduct": ("inner_product_param", inner_product), "Pooling": ("pooling_param", pooling),
    "ReLU": ("relu_param", relu), "ReLU6": ("relu_param", _unary("RELU6")), "PReLU": ("prelu_param", prelu), "ELU": ("elu_param", elu),
    "Sigmoid": ("sigmoid_param", _unary("LOGISTIC")), "TanH": ("tanh_param", _unary("TANH")), "AbsVal": ("", _unary("ABS")),
    "BNLL": ("", lambda layer: functions.softplus(layer.emitter, layer.x)), "Power": ("power_param", power),
    "Exp": ("exp_param", exponential), "Log": ("log_param", logarithm), "Softmax": ("softmax_param", softmax),
    "Eltwise": ("eltwise_param", eltwise), "BatchNorm": ("batch_norm_param", batch_norm), "Scale": ("scale_param", scale),
    "Bias": ("bias_param", bias), "LRN": ("lrn_param", lrn), "Normalize": ("norm_param", normalize), "MVN": ("mvn_param", mvn),
    "Dropout": ("", nothing), "Split": ("", split), "Concat": ("concat_param", concat), "Slice": ("slice_param", slices),
    "Flatten": ("flatten_param", flatten), "Reshape": ("reshape_param", reshape), "Permute": ("permute_param", permute),
    "Crop": ("crop_param", crop), "Reduction": ("reduction_param", reduction), "ShuffleChannel": ("shuffle_channel_param", shuffle_channel),
}  # fmt: skip
