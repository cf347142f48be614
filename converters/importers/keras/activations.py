"""Activations, by name and as layers. Semantics: keras.io/api/layers/activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functions
from ..emit import Emitter, UnsupportedUseError
from .layer import Handler, Layer

Activation = Callable[[Emitter, str], str]


def _along_last(op: str, **attrs: Any) -> Activation:
    return lambda e, x: e.unary(op, x, **attrs)


def _hard_sigmoid_2(e: Emitter, x: str) -> str:
    return functions.hard_sigmoid(e, x, 0.2, 0.5)


def _hard_sigmoid_3(e: Emitter, x: str) -> str:
    return functions.hard_sigmoid(e, x, 1 / 6, 0.5)


NAMED: dict[str, Activation] = {
    "linear": lambda e, x: x,
    "relu": _along_last("RELU"),
    "relu6": _along_last("RELU6"),
    "tanh": _along_last("TANH"),
    "sigmoid": _along_last("LOGISTIC"),
    "softmax": _along_last("SOFTMAX", beta=1.0),
    "log_softmax": _along_last("LOG_SOFTMAX"),
    "swish": functions.swish,
    "silu": functions.swish,
    "hard_swish": _along_last("HARD_SWISH"),
    "hard_silu": _along_last("HARD_SWISH"),
    "leaky_relu": _along_last("LEAKY_RELU", alpha=0.2),
    "elu": _along_last("ELU"),
    "selu": lambda e, x: functions.elu(e, x, 1.67326324, 1.05070098),
    "celu": _along_last("ELU"),
    "gelu": _along_last("GELU", approximate=False),
    "softplus": functions.softplus,
    "softsign": functions.softsign,
    "exponential": _along_last("EXP"),
    "mish": functions.mish,
    "log_sigmoid": lambda e, x: e.unary("NEG", functions.softplus(e, e.unary("NEG", x))),
    "hard_tanh": _along_last("RELU_N1_TO_1"),
    "hard_sigmoid": _hard_sigmoid_3,
}


def activation(spec: Any, version: int = 3) -> Activation:
    """A Keras activation: its name, or in Keras 3 possibly a serialized object."""
    if isinstance(spec, dict):
        config = spec.get("config")
        spec = config.get("name") if isinstance(config, dict) and config.get("name") else config
        spec = spec if isinstance(spec, str) else None
        if spec is None:
            raise UnsupportedUseError("an activation that is an object of its own is not supported")
    name = str(spec or "linear").lower()
    if name == "hard_sigmoid" and version < 3:
        return _hard_sigmoid_2
    if name not in NAMED:
        raise UnsupportedUseError(f'the activation "{name}" is not supported')
    return NAMED[name]


def apply(layer: Layer, y: str, key: str = "activation") -> str:
    """The activation that a layer ends with."""
    return activation(layer.config.get(key), layer.version)(layer.emitter, y)


def activation_layer(layer: Layer) -> str:
    return activation(layer.config["activation"], layer.version)(layer.emitter, layer.x)


def _number(value: Any, default: float) -> float:
    if isinstance(value, dict):  # a serialized array
        value = value["config"]["value"]
    return default if value is None else float(np.asarray(value).reshape(-1)[0])


def relu(layer: Layer) -> str:
    e, x = layer.emitter, layer.x
    top, slope, threshold = layer.config.get("max_value"), layer.get("negative_slope", 0), layer.get("threshold", 0)
    slope, threshold = _number(slope, 0), _number(threshold, 0)
    if slope:
        if top is not None or threshold:
            raise UnsupportedUseError("a negative slope together with a maximum or a threshold is not supported")
        return e.unary("LEAKY_RELU", x, alpha=slope)
    if threshold:
        x = functions.where_above(e, x, threshold)
        return x if top is None else e.binary("MINIMUM", x, _number(top, math.inf))
    if top is None:
        return e.unary("RELU", x)
    top = _number(top, math.inf)
    # min(relu(x), top) is RELU6 on another scale.
    return e.unary("RELU6", x) if top == 6 else e.binary("MUL", e.unary("RELU6", e.binary("MUL", x, 6 / top)), top / 6)


def leaky_relu(layer: Layer) -> str:
    alpha = _number(layer.get("negative_slope", layer.get("alpha")), 0.3)
    return layer.emitter.unary("LEAKY_RELU", layer.x, alpha=alpha)


def prelu(layer: Layer) -> str:
    e, slope = layer.emitter, layer.weight(0, "slopes")
    return e.op("PRELU", [layer.x, e.const(slope[None], name="slopes")], shape=e.shape(layer.x))


def elu(layer: Layer) -> str:
    return functions.elu(layer.emitter, layer.x, _number(layer.get("alpha"), 1.0), 1.0)


def thresholded_relu(layer: Layer) -> str:
    return functions.where_above(layer.emitter, layer.x, _number(layer.get("theta"), 1.0))


def softmax(layer: Layer) -> str:
    axes = layer.axes()
    if len(axes) != 1:
        raise UnsupportedUseError(f"softmax along the axes {axes} together is not supported")
    e, x = layer.emitter, layer.x
    mask = layer.inputs[1] if len(layer.inputs) > 1 else layer.mask
    if mask:
        mask = e.cast(mask, "bool")
        x = functions.unseen(e, mask, x)
    y = functions.along_axis(e, "SOFTMAX", x, axes[0], beta=1.0)
    # All of a row may be masked.
    return functions.choose(e, mask, y, e.like(0, y)) if mask else y


HANDLERS: dict[str, Handler] = {
    "Activation": activation_layer, "ReLU": relu, "LeakyReLU": leaky_relu, "PReLU": prelu, "ELU": elu,
    "ThresholdedReLU": thresholded_relu, "Softmax": softmax,
}  # fmt: skip
