"""What each channel is on the average, from what batch normalization has seen in training: no data is needed.

Its output has the mean beta and the deviation gamma, and counts as normally distributed; so what comes of it after an activation is known, too
(Nagel et al., "Data-Free Quantization through Weight Equalization and Bias Correction", 2019, appendix C).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ir import Graph, Node

Array = NDArray[np.float64]
Moments = tuple[Array, Array]

# For the expectation of a function of a normal variable: sum of weights * f(nodes).
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def _density(x: Array) -> Array:
    return np.asarray(np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))


def _below(x: Array) -> Array:
    return np.asarray([(1 + math.erf(v / math.sqrt(2))) / 2 for v in x.reshape(-1)]).reshape(x.shape)


def clipped_normal(mean: Array, deviation: Array, low: float, high: float) -> Array:
    """The mean of a normal variable that is clipped to [low, high]."""
    d = np.maximum(deviation, 1e-12)
    a = (low - mean) / d
    b = np.full_like(a, np.inf) if high == np.inf else (high - mean) / d
    inside = _below(b) - _below(a)
    tails = low * _below(a) + (0 if high == np.inf else high * (1 - _below(b)))
    return np.asarray(mean * inside + d * (_density(a) - np.where(np.isinf(b), 0, _density(np.where(np.isinf(b), 0, b)))) + tails)


def _of_function(f: Callable[[Array], Array]) -> Callable[[Moments], Array]:
    return lambda m: np.asarray((f(m[0] + m[1] * _NODES[:, None]) * _WEIGHTS[:, None]).sum(0))


def _clip(low: float, high: float) -> Callable[[Moments], Array]:
    return lambda m: clipped_normal(*m, low, high)


_ACTIVATIONS: dict[str, Callable[[Moments], Array]] = {
    "RELU": _clip(0, np.inf),
    "RELU6": _clip(0, 6),
    "RELU_N1_TO_1": _clip(-1, 1),
    "HARD_SWISH": _of_function(lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "LOGISTIC": _of_function(lambda x: 1 / (1 + np.exp(-x))),
    "TANH": _of_function(np.tanh),
    "ELU": _of_function(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "GELU": _of_function(lambda x: x * _below(x)),
}
# What leaves means of channels as they are (padding with zeros, nearly).
_KEEPS = {
    "TRANSPOSE",
    "AVERAGE_POOL_2D",
    "MEAN",
    "PAD",
    "RESIZE_NEAREST_NEIGHBOR",
    "RESIZE_BILINEAR",
    "QUANTIZE",
    "DEQUANTIZE",
    "RESHAPE",
}


def expectations(g: Graph) -> dict[str, Array]:
    """The means of the channels of tensors, by name, as far as they are known. `g` is as it was imported."""
    means: dict[str, Array] = {}
    moments = dict(g.moments)
    for node in g.nodes:
        y = node.outputs[0]
        if y in moments:
            means[y] = moments[y][0]
            continue
        _linear(g, node, moments)
        if y in moments:
            means[y] = moments[y][0]
        else:
            found = _mean(g, node, moments, means)
            if found is not None:
                means[y] = found
    return means


def _linear(g: Graph, node: Node, moments: dict[str, Moments]) -> None:
    """A normal variable times and plus constants is one."""
    if node.op not in ("MUL", "ADD") or node.attrs.get("fused_activation_function", "NONE") != "NONE":
        return
    for x, other in (node.inputs, node.inputs[::-1]):
        data = g.data(other)
        if x in moments and data is not None and data.size in (1, moments[x][0].size):
            c = np.broadcast_to(data.reshape(-1).astype(np.float64), moments[x][0].shape)
            mean, deviation = moments[x]
            moments[node.outputs[0]] = (mean * c, deviation * np.abs(c)) if node.op == "MUL" else (mean + c, deviation)
            return


def _mean(g: Graph, node: Node, moments: dict[str, Moments], means: dict[str, Array]) -> Array | None:
    x = node.inputs[0] if node.inputs else ""
    if x in moments and node.op in _ACTIVATIONS:
        return _ACTIVATIONS[node.op](moments[x])
    gate = g.producer(node.inputs[1]) if node.op == "MUL" and x in moments else None
    if gate is not None and gate.op == "LOGISTIC" and gate.inputs[0] == x:
        return _of_function(lambda v: v / (1 + np.exp(-v)))(moments[x])
    if node.op in _KEEPS and x in means and _channels_stay(g, node, means[x].size):
        return means[x]
    inputs: list[Any] = [means.get(i) for i in node.inputs]
    if any(m is None for m in inputs) or len(inputs) < 2 or node.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    if node.op == "ADD" and inputs[0].size == inputs[1].size:
        return np.asarray(inputs[0] + inputs[1])
    if node.op == "CONCATENATION" and sum(m.size for m in inputs) in (g.tensors[node.outputs[0]].shape[i] for i in (1, -1)):
        return np.concatenate(inputs)
    return None


def _channels_stay(g: Graph, node: Node, channels: int) -> bool:
    return channels in g.tensors[node.outputs[0]].shape[1:]


def of_layer(means: Mapping[str, Array], name: str) -> Array | None:
    """Of a layer's input, which passes may have moved."""
    while name not in means and name.endswith("/moved"):
        name = name[: -len("/moved")]
    return means.get(name)
