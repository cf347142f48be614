"""Shapes, arithmetic and normalization. Semantics: keras.io/api/layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions
from ..emit import UnsupportedUseError
from . import masks
from .layer import Handler, Layer, broadcast_along


def nothing(layer: Layer) -> str:
    """Layers that do nothing at inference."""
    return layer.x


# ---- shapes


def flatten(layer: Layer) -> str:
    shape = layer.emitter.shape(layer.x)
    return layer.emitter.reshape(layer.x, (shape[0], int(np.prod(shape[1:]))))


def reshape(layer: Layer) -> str:
    return layer.emitter.reshape(layer.x, (layer.emitter.shape(layer.x)[0], *layer.config["target_shape"]))


def permute(layer: Layer) -> str:
    return layer.emitter.transpose(layer.x, [0, *(int(d) for d in layer.config["dims"])])


def repeat_vector(layer: Layer) -> str:
    e, (batch, size), n = layer.emitter, layer.emitter.shape(layer.x), int(layer.config["n"])
    return e.op("TILE", [e.reshape(layer.x, (batch, 1, size)), e.ints([1, n, 1])], shape=(batch, n, size))


# ---- merging


def _fold(op: str) -> Handler:
    def apply(layer: Layer) -> str:
        y = layer.x
        for other in layer.inputs[1:]:
            y = layer.emitter.binary(op, y, other)
        return y

    return apply


def average(layer: Layer) -> str:
    total = _fold("ADD")(layer)
    assert isinstance(total, str)
    return layer.emitter.binary("MUL", total, 1 / len(layer.inputs))


def concatenate(layer: Layer) -> str:
    return layer.emitter.concat(layer.inputs, layer.axes()[0])


def dot(layer: Layer) -> str:
    e, (a, b) = layer.emitter, layer.inputs
    axes = layer.config["axes"]
    first, second = (int(axes), int(axes)) if isinstance(axes, int) else (int(axes[0]), int(axes[1]))
    first, second = first % e.rank(a), second % e.rank(b)
    if layer.get("normalize", False):
        a, b = (_unit(layer, x, [i]) for x, i in ((a, first), (b, second)))
    if e.rank(a) == e.rank(b) == 2:
        return e.reduce("SUM", e.binary("MUL", a, b), [1], True)
    if e.rank(a) != 3 or e.rank(b) != 3:
        raise UnsupportedUseError(f"a product of {list(e.shape(a))} and {list(e.shape(b))} is not supported")
    a = a if first == 2 else e.transpose(a, (0, 2, 1))
    b = b if second == 1 else e.transpose(b, (0, 2, 1))
    return e.op("BATCH_MATMUL", [a, b])


# ---- normalization


def batch_normalization(layer: Layer) -> str:
    e, axes, rest = layer.emitter, layer.axes(), [np.asarray(w, np.float64) for w in layer.weights]
    if len(rest) < 2 + bool(layer.get("scale", True)) + bool(layer.get("center", True)):
        raise UnsupportedUseError("the file does not have all of its weights")
    gamma = rest.pop(0) if layer.get("scale", True) else np.ones_like(rest[-1])
    beta = rest.pop(0) if layer.get("center", True) else np.zeros_like(rest[-1])
    mean, variance = rest[:2]
    factor = gamma / np.sqrt(variance + float(layer.get("epsilon", 1e-3)))
    y = e.binary("MUL", layer.x, broadcast_along(e, factor, layer.x, axes, "scale"))
    return e.seen(e.binary("ADD", y, broadcast_along(e, beta - mean * factor, layer.x, axes, "offset")), beta, gamma)


def _scaled(layer: Layer, y: str, axes: list[int], scale: bool, center: bool) -> str:
    rest = list(layer.weights)
    for wanted, op in ((scale, "MUL"), (center, "ADD")):
        if wanted:
            if not rest:
                raise UnsupportedUseError("the file does not have all of its weights")
            y = layer.emitter.binary(
                op, y, broadcast_along(layer.emitter, np.asarray(rest.pop(0)), y, axes, "scale" if op == "MUL" else "offset")
            )
    return y


def layer_normalization(layer: Layer) -> str:
    axes, rms = layer.axes(), bool(layer.get("rms_scaling", False))
    y = (functions.rms_normalize if rms else functions.normalize)(layer.emitter, layer.x, axes, float(layer.get("epsilon", 1e-3)))
    return _scaled(layer, y, axes, bool(layer.get("scale", True)), bool(layer.get("center", True)))


def rms_normalization(layer: Layer) -> str:
    axes = layer.axes()
    y = functions.rms_normalize(layer.emitter, layer.x, axes, float(layer.get("epsilon", 1e-6)))
    return _scaled(layer, y, axes, True, False)


def group_normalization(layer: Layer) -> str:
    e, shape, axis = layer.emitter, layer.emitter.shape(layer.x), layer.axes()[0]
    if axis != len(shape) - 1:
        raise UnsupportedUseError(f"groups along axis {axis} are not supported, only along the last")
    groups = int(layer.get("groups", 32))
    groups = shape[axis] if groups == -1 else groups
    if groups < 1 or shape[axis] % groups:
        raise UnsupportedUseError(f"{shape[axis]} channels do not divide into {groups} groups")
    x = e.reshape(layer.x, (shape[0], int(np.prod(shape[1:-1])), groups, shape[axis] // groups))
    y = e.reshape(functions.normalize(e, x, [1, 3], float(layer.get("epsilon", 1e-3))), shape)
    return _scaled(layer, y, [axis], bool(layer.get("scale", True)), bool(layer.get("center", True)))


def _unit(layer: Layer, x: str, axes: list[int]) -> str:
    e = layer.emitter
    square = e.reduce("SUM", e.unary("SQUARE", x), axes, True)
    return e.binary("MUL", x, e.unary("RSQRT", e.binary("MAXIMUM", square, 1e-12)))


def unit_normalization(layer: Layer) -> str:
    return _unit(layer, layer.x, layer.axes())


def normalization(layer: Layer) -> str:
    """(x - mean) / sqrt(variance) along an axis, or the inverse; the statistics are weights or in the configuration."""
    e = layer.emitter
    axes = [] if layer.config.get("axis", -1) is None else layer.axes()
    given = [layer.config.get("mean"), layer.config.get("variance")]
    mean, variance = (np.asarray(g if g is not None else layer.weight(i, "statistics"), np.float64) for i, g in enumerate(given))
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    factor, offset = (deviation, mean) if layer.get("invert", False) else (1 / deviation, -mean / deviation)

    def along(values: Any, name: str) -> str:
        return (
            broadcast_along(e, values, layer.x, axes, name)
            if values.size > 1
            else e.const(values.reshape(-1)[0].astype(np.float32))
        )

    return e.binary("ADD", e.binary("MUL", layer.x, along(factor, "scale")), along(offset, "offset"))


def rescaling(layer: Layer) -> str:
    offset = np.asarray(layer.get("offset", 0.0), np.float32)
    return functions.scale(layer.emitter, layer.x, layer.config["scale"], offset if offset.any() else None)


_TRAINING = (
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
    "ActivityRegularization", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
    "RandomHeight", "RandomWidth", "Identity", "InputLayer",
)  # fmt: skip

HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_TRAINING, nothing),
    "Flatten": flatten, "Reshape": reshape, "Permute": permute, "RepeatVector": repeat_vector,
    "Add": _fold("ADD"), "Subtract": _fold("SUB"), "Multiply": masks.product,
    "Maximum": lambda layer: masks.extreme(layer, "MAXIMUM"), "Minimum": lambda layer: masks.extreme(layer, "MINIMUM"),
    "Average": average, "Concatenate": concatenate, "Dot": dot,
    "BatchNormalization": batch_normalization, "LayerNormalization": layer_normalization, "RMSNormalization": rms_normalization,
    "GroupNormalization": group_normalization, "UnitNormalization": unit_normalization, "Normalization": normalization,
    "Rescaling": rescaling,
}  # fmt: skip
