"""What each Keras layer becomes in the graph. Shapes have a batch of 1 in front.

Semantics: keras.io/api/layers. Kernels turn from [kh, kw, in, out] to TFLite's [out, kh, kw, in].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ir import Graph
from ..ir.shapes import window
from .emit import UnsupportedUseError

Config = dict[str, Any]
Arrays = list[NDArray[Any]]
Layer = Callable[[Graph, Config, list[str], Arrays], str]


def _shape(g: Graph, name: str) -> tuple[int, ...]:
    return g.tensors[name].shape


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _same(g: Graph, op: str, x: str, name: str, **attrs: Any) -> str:
    return g.add(op, [x], _shape(g, x), name, **attrs)


def _scalar(g: Graph, op: str, x: str, value: float, name: str) -> str:
    return g.add(op, [x, g.constant(f"{name}/constant", np.array(value, np.float32))], _shape(g, x), name)


# ---- activations


def _activation(g: Graph, spec: Any, x: str, name: str) -> str:
    """A Keras activation: its name, or in Keras 3 possibly a serialized object."""
    if isinstance(spec, dict):
        spec = (
            spec.get("config", {}).get("name")
            if isinstance(spec.get("config"), dict)
            else spec.get("config") or spec.get("class_name")
        )
    spec = str(spec or "linear").lower()
    if spec == "linear":
        return x
    if spec in ("relu", "relu6", "tanh", "softmax", "sigmoid"):
        op = {"relu": "RELU", "relu6": "RELU6", "tanh": "TANH", "softmax": "SOFTMAX", "sigmoid": "LOGISTIC"}[spec]
        return _same(g, op, x, f"{name}/{spec}", **({"beta": 1.0} if op == "SOFTMAX" else {}))
    if spec in ("swish", "silu"):
        gate = _same(g, "LOGISTIC", x, f"{name}/sigmoid")
        return g.add("MUL", [x, gate], _shape(g, x), f"{name}/{spec}")
    if spec in ("hard_swish", "hard_silu"):
        return _same(g, "HARD_SWISH", x, f"{name}/{spec}")
    if spec == "leaky_relu":
        return _same(g, "LEAKY_RELU", x, f"{name}/{spec}", alpha=0.2)
    raise UnsupportedUseError(f'the activation "{spec}" is not supported')


def activation(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    return _activation(g, c["activation"], inputs[0], c["name"])


def relu(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    top, slope, threshold = c.get("max_value"), float(c.get("negative_slope") or 0), float(c.get("threshold") or 0)
    x = inputs[0]
    if threshold:
        raise UnsupportedUseError(f"a threshold of {threshold} is not supported")
    if slope:
        if top is not None:
            raise UnsupportedUseError("a negative slope together with a maximum is not supported")
        return _same(g, "LEAKY_RELU", x, c["name"], alpha=slope)
    if top is None:
        return _same(g, "RELU", x, c["name"])
    if float(top) == 6:
        return _same(g, "RELU6", x, c["name"])
    # min(relu(x), top) is RELU6 on another scale.
    scaled = _scalar(g, "MUL", x, 6 / float(top), f"{c['name']}/scale")
    return _scalar(g, "MUL", _same(g, "RELU6", scaled, f"{c['name']}/relu6"), float(top) / 6, c["name"])


def leaky_relu(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    alpha = c.get("negative_slope", c.get("alpha", 0.3))
    return _same(
        g,
        "LEAKY_RELU",
        inputs[0],
        c["name"],
        alpha=float(np.asarray(alpha["config"]["value"] if isinstance(alpha, dict) else alpha)),
    )


def softmax(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    axis = c.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, len(_shape(g, inputs[0])) - 1):
        raise UnsupportedUseError(f"softmax along axis {axis} is not supported, only along the last")
    return _same(g, "SOFTMAX", inputs[0], c["name"], beta=1.0)


# ---- convolutions and products


def _conv(
    g: Graph,
    c: Config,
    x: str,
    kernel: NDArray[Any],
    bias: NDArray[Any] | None,
    depthwise: bool,
    name: str,
    strides: Any = None,
    dilation: Any = None,
) -> str:
    """`kernel` is in TFLite's layout already."""
    (sh, sw), (dh, dw) = _pair(strides or (1, 1)), _pair(dilation or (1, 1))
    padding = str(c.get("padding", "valid")).upper() if strides or dilation else "VALID"
    if padding not in ("SAME", "VALID"):
        raise UnsupportedUseError(f'padding "{c["padding"]}" is not supported')
    n, h, w, channels = _shape(g, x)
    kh, kw = kernel.shape[1:3]
    out = kernel.shape[3] if depthwise else kernel.shape[0]
    shape = (n, window(h, kh, sh, dh, padding), window(w, kw, sw, dw, padding), out)
    attrs: dict[str, Any] = {"padding": padding, "stride_h": sh, "stride_w": sw, "dilation_h_factor": dh, "dilation_w_factor": dw}
    if depthwise:
        attrs["depth_multiplier"] = out // channels
    inputs = [x, g.constant(f"{name}/kernel", kernel.astype(np.float32))]
    inputs.append(g.constant(f"{name}/bias", (np.zeros(out) if bias is None else bias).astype(np.float32)))
    return g.add("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, shape, name, **attrs)


def conv_2d(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    kernel = w[0].transpose(3, 0, 1, 2)
    y = _conv(
        g, c, inputs[0], kernel, w[1] if c.get("use_bias", True) else None, False, c["name"], c["strides"], c.get("dilation_rate")
    )
    return _activation(g, c.get("activation"), y, c["name"])


def _depthwise_kernel(kernel: NDArray[Any]) -> NDArray[Any]:
    """[kh, kw, in, multiplier] → [1, kh, kw, in * multiplier]"""
    kh, kw, channels, multiplier = kernel.shape
    return kernel.reshape(1, kh, kw, channels * multiplier)


def depthwise_conv_2d(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    bias = w[1] if c.get("use_bias", True) else None
    y = _conv(g, c, inputs[0], _depthwise_kernel(w[0]), bias, True, c["name"], c["strides"], c.get("dilation_rate"))
    return _activation(g, c.get("activation"), y, c["name"])


def separable_conv_2d(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    y = _conv(
        g, c, inputs[0], _depthwise_kernel(w[0]), None, True, f"{c['name']}/depthwise", c["strides"], c.get("dilation_rate")
    )
    y = _conv(g, c, y, w[1].transpose(3, 0, 1, 2), w[2] if c.get("use_bias", True) else None, False, c["name"])
    return _activation(g, c.get("activation"), y, c["name"])


def dense(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    shape = _shape(g, inputs[0])
    bias = w[1] if c.get("use_bias", True) else np.zeros(w[0].shape[1])
    consts = [
        g.constant(f"{c['name']}/kernel", w[0].T.astype(np.float32)),
        g.constant(f"{c['name']}/bias", bias.astype(np.float32)),
    ]
    y = g.add("FULLY_CONNECTED", [inputs[0], *consts], (*shape[:-1], w[0].shape[1]), c["name"], keep_num_dims=len(shape) > 2)
    return _activation(g, c.get("activation"), y, c["name"])


def batch_normalization(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    axis = c.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) else axis
    if axis not in (-1, len(_shape(g, inputs[0])) - 1):
        raise UnsupportedUseError(f"normalization along axis {axis} is not supported, only along the last")
    rest = list(w)
    gamma = rest.pop(0) if c.get("scale", True) else np.ones_like(w[-1])
    beta = rest.pop(0) if c.get("center", True) else np.zeros_like(w[-1])
    mean, variance = rest[0].astype(np.float64), rest[1].astype(np.float64)
    scale = gamma / np.sqrt(variance + float(c.get("epsilon", 1e-3)))
    y = g.add(
        "MUL", [inputs[0], g.constant(f"{c['name']}/scale", scale.astype(np.float32))], _shape(g, inputs[0]), f"{c['name']}/mul"
    )
    return g.add(
        "ADD", [y, g.constant(f"{c['name']}/offset", (beta - mean * scale).astype(np.float32))], _shape(g, inputs[0]), c["name"]
    )


# ---- pooling and shapes


def _pool(g: Graph, c: Config, x: str, op: str) -> str:
    (fh, fw), padding = _pair(c["pool_size"]), str(c.get("padding", "valid")).upper()
    sh, sw = _pair(c.get("strides") or c["pool_size"])
    n, h, w, channels = _shape(g, x)
    shape = (n, window(h, fh, sh, 1, padding), window(w, fw, sw, 1, padding), channels)
    return g.add(op, [x], shape, c["name"], padding=padding, stride_h=sh, stride_w=sw, filter_height=fh, filter_width=fw)


def max_pooling(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    return _pool(g, c, inputs[0], "MAX_POOL_2D")


def average_pooling(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    return _pool(g, c, inputs[0], "AVERAGE_POOL_2D")


def global_average_pooling(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    n, _, _, channels = _shape(g, inputs[0])
    keep = bool(c.get("keepdims", False))
    axes = g.constant(f"{c['name']}/axes", np.array([1, 2], np.int32))
    return g.add("MEAN", [inputs[0], axes], (n, 1, 1, channels) if keep else (n, channels), c["name"], keep_dims=keep)


def global_max_pooling(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    n, h, width, channels = _shape(g, inputs[0])
    y = g.add(
        "MAX_POOL_2D",
        [inputs[0]],
        (n, 1, 1, channels),
        f"{c['name']}/pool",
        padding="VALID",
        stride_h=h,
        stride_w=width,
        filter_height=h,
        filter_width=width,
    )
    return y if c.get("keepdims", False) else _reshape(g, y, (n, channels), c["name"])


def _reshape(g: Graph, x: str, shape: tuple[int, ...], name: str) -> str:
    return g.add("RESHAPE", [x, g.constant(f"{name}/shape", np.array(shape, np.int32))], shape, name, new_shape=shape)


def flatten(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    shape = _shape(g, inputs[0])
    return _reshape(g, inputs[0], (shape[0], int(np.prod(shape[1:]))), c["name"])


def reshape(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    total, target = int(np.prod(_shape(g, inputs[0])[1:])), [int(n) for n in c["target_shape"]]
    if -1 in target:
        target[target.index(-1)] = total // max(1, -int(np.prod(target)))
    return _reshape(g, inputs[0], (1, *target), c["name"])


def zero_padding(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    p = c["padding"]
    (top, bottom), (left, right) = (
        ((p, p), (p, p)) if isinstance(p, int) else [(x, x) if isinstance(x, int) else tuple(x) for x in p]
    )
    n, h, width, channels = _shape(g, inputs[0])
    pads = g.constant(f"{c['name']}/paddings", np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
    return g.add("PAD", [inputs[0], pads], (n, h + top + bottom, width + left + right, channels), c["name"])


def up_sampling(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    fh, fw = _pair(c["size"])
    n, h, width, channels = _shape(g, inputs[0])
    mode = c.get("interpolation", "nearest")
    if mode not in ("nearest", "bilinear"):
        raise UnsupportedUseError(f'interpolation "{mode}" is not supported')
    size = g.constant(f"{c['name']}/size", np.array([h * fh, width * fw], np.int32))
    op = "RESIZE_BILINEAR" if mode == "bilinear" else "RESIZE_NEAREST_NEIGHBOR"
    return g.add(
        op, [inputs[0], size], (n, h * fh, width * fw, channels), c["name"], align_corners=False, half_pixel_centers=True
    )


def rescaling(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    scale, offset = np.asarray(c["scale"], np.float32), np.asarray(c.get("offset", 0.0), np.float32)
    shape = _shape(g, inputs[0])
    y = g.add(
        "MUL", [inputs[0], g.constant(f"{c['name']}/scale", scale)], shape, f"{c['name']}/mul" if offset.any() else c["name"]
    )
    return g.add("ADD", [y, g.constant(f"{c['name']}/offset", offset)], shape, c["name"]) if offset.any() else y


# ---- merging


def _merge(op: str) -> Layer:
    def apply(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
        y = inputs[0]
        for i, other in enumerate(inputs[1:], 1):
            shape = np.broadcast_shapes(_shape(g, y), _shape(g, other))
            y = g.add(op, [y, other], shape, c["name"] if i == len(inputs) - 1 else f"{c['name']}/{i}")
        return y

    return apply


def concatenate(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    shape = list(_shape(g, inputs[0]))
    axis = int(c.get("axis", -1)) % len(shape)
    shape[axis] = sum(_shape(g, i)[axis] for i in inputs)
    return g.add("CONCATENATION", inputs, shape, c["name"], axis=axis)


def nothing(g: Graph, c: Config, inputs: list[str], w: Arrays) -> str:
    """Layers that do nothing at inference."""
    return inputs[0]


LAYERS: dict[str, Layer] = {
    "InputLayer": nothing, "Dropout": nothing, "SpatialDropout2D": nothing, "GaussianNoise": nothing, "GaussianDropout": nothing,
    "ActivityRegularization": nothing,
    "Activation": activation, "ReLU": relu, "LeakyReLU": leaky_relu, "Softmax": softmax,
    "Conv2D": conv_2d, "DepthwiseConv2D": depthwise_conv_2d, "SeparableConv2D": separable_conv_2d, "Dense": dense,
    "BatchNormalization": batch_normalization,
    "MaxPooling2D": max_pooling, "AveragePooling2D": average_pooling,
    "GlobalAveragePooling2D": global_average_pooling, "GlobalMaxPooling2D": global_max_pooling,
    "Flatten": flatten, "Reshape": reshape, "ZeroPadding2D": zero_padding, "UpSampling2D": up_sampling, "Rescaling": rescaling,
    "Add": _merge("ADD"), "Subtract": _merge("SUB"), "Multiply": _merge("MUL"), "Concatenate": concatenate,
}  # fmt: skip
