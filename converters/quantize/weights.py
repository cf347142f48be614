"""Smaller weights, float activations: no calibration is needed.

dynamic: int8 weights that products use as they are, the activations being quantized while the model runs ("hybrid" operators).
weight-int8, weight-int4, float16: weights that a DEQUANTIZE makes float again before they are used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError

from ..ir import Graph, Node, Quantization, Tensor, lstm
from ..ir.layers import CHANNEL_AXIS
from .rules import RULES
from .static import channel_scale

SCHEMES = ("dynamic", "weight-int8", "weight-int4", "float16")
# Operators that have a float input and int8 weights.
_DYNAMIC = (*CHANNEL_AXIS, "TRANSPOSE_CONV")
# Constants below this many values stay float: they cost less than what it takes to restore them.
_SMALLEST = 256


def quantize_weights(float_graph: Graph, scheme: str) -> Graph:
    """The graph with smaller weights.

    Args:
      float_graph: after all passes; it is not changed.
      scheme: one of `SCHEMES`.
    """
    if scheme not in SCHEMES:
        raise ConversionError(f'there is no scheme "{scheme}" for weights alone; known are {", ".join(SCHEMES)}')
    g = float_graph.copy()
    if scheme == "float16":
        _float16(g)
    for node in [] if scheme == "float16" else list(g.nodes):
        if node.op == lstm.OP and lstm.is_plain(g, node):
            _recurrent(g, node, scheme)
            continue
        rule = RULES.get(node.op)
        if rule is None or rule.weights is None or (scheme == "dynamic" and node.op not in _DYNAMIC):
            continue
        name = node.inputs[rule.weights]
        t = g.tensors[name]
        if t.data is None or t.dtype != "float32" or t.data.size < _SMALLEST:
            continue
        bits = 4 if scheme == "weight-int4" else 8
        limit = 2 ** (bits - 1) - 1
        small = _small(g, name, bits, channel_scale(t.data, rule.weights_axis, limit), rule.weights_axis)
        node.inputs[rule.weights] = small if scheme == "dynamic" else _restore(g, node, small)
    g.remove_dead()
    g.check()
    return g


def _small(g: Graph, name: str, bits: int, scale: NDArray[np.float64], axis: int) -> str:
    """A constant in so many bits."""
    t, limit = g.tensors[name], 2 ** (bits - 1) - 1
    assert t.data is not None
    q = Quantization(scale.astype(np.float32), np.zeros(len(scale), np.int64), axis)
    data = q.integers(t.data, -limit, limit).astype(np.int8)
    return g.add_tensor(Tensor(f"{name}/int{bits}", t.shape, f"int{bits}", data, q))


def _recurrent(g: Graph, node: Node, scheme: str) -> None:
    """All weights of a layer or none; as they are used, they have one scale each, and so have the peepholes."""
    every = [i for i in (*range(lstm.INPUT, lstm.INPUT + 8), *range(lstm.PEEPHOLE, lstm.PEEPHOLE + 3)) if node.inputs[i]]
    values = {i: np.asarray(g.data(node.inputs[i])) for i in every}
    if sum(v.size for v in values.values()) < _SMALLEST:
        return
    bits = 4 if scheme == "weight-int4" else 8
    limit = 2 ** (bits - 1) - 1
    for i, v in values.items():
        if scheme == "dynamic":
            scale = np.array([max(float(np.abs(v).max(initial=0)), 1e-30) / limit])
            node.inputs[i] = _small(g, node.inputs[i], bits, scale, 0)
        elif v.ndim == 2:
            node.inputs[i] = _restore(g, node, _small(g, node.inputs[i], bits, channel_scale(v, 0, limit), 0))


def _restore(g: Graph, node: Node, small: str) -> str:
    new = g.add_tensor(Tensor(f"{small}/float32", g.tensors[small].shape))
    g.nodes.insert(g.nodes.index(node), Node("DEQUANTIZE", [small], [new], {}, new))
    return new


def _float16(g: Graph) -> None:
    restored: dict[str, str] = {}
    for node in list(g.nodes):
        for i, name in enumerate(node.inputs):
            t = g.tensors[name] if name else None
            if t is None or t.data is None or t.dtype != "float32" or (t.data.size < _SMALLEST and i == 0):
                continue
            if t.data.size < 16 or np.abs(t.data).max() > 65504:
                continue
            if name not in restored:
                small = g.add_tensor(Tensor(f"{name}/float16", t.shape, "float16", t.data.astype(np.float16)))
                restored[name] = _restore(g, node, small)
            node.inputs[i] = restored[name]
