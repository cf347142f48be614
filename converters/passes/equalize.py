"""Cross-layer equalization: channels of neighbouring layers get ranges of one size, so that one scale does for all.

Method: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ir import Graph, Node
from ..ir.layers import CHANNEL_AXIS

_ROUNDS, _NEARLY = 20, 1.02
# f(s x) = s f(x) for s > 0
_HOMOGENEOUS = ("NONE", "RELU")


def equalize(g: Graph) -> bool:
    """
    before: CONV_2D(w1) → RELU → CONV_2D(w2)      after: the same, output channel i of w1 divided by s[i], input channel i of w2 times s[i]

    with s[i] so that both have the same largest weight. For layers of which nothing else reads the output, and activations that let a factor
    through. Not one of the passes that always run: reconstruction of weights mostly does as well without.
    """
    pairs = [(a, b) for a in g.nodes if (b := _next(g, a)) is not None]
    if not pairs:
        return False
    _own_weights(g, [n for pair in pairs for n in pair])
    changed = False
    for _ in range(_ROUNDS):
        most = 1.0
        for a, b in pairs:
            most = max(most, _balance(g, a, b))
        changed |= most > _NEARLY
        if most <= _NEARLY:
            break
    return changed


def _next(g: Graph, a: Node) -> Node | None:
    """The layer that alone reads the outputs of this one, channel by channel."""
    if a.op not in CHANNEL_AXIS or a.attrs.get("fused_activation_function", "NONE") not in _HOMOGENEOUS or not _constant(g, a):
        return None
    readers = g.consumers(a.outputs[0])
    if len(readers) != 1 or a.outputs[0] in g.outputs or readers[0].inputs[0] != a.outputs[0]:
        return None
    b = readers[0]
    if b.op not in CHANNEL_AXIS or not _constant(g, b):
        return None
    channels = g.tensors[a.outputs[0]].shape[-1]
    if b.op == "DEPTHWISE_CONV_2D":
        return b
    return b if g.tensors[b.inputs[1]].shape[-1] == channels else None  # neither grouped nor flattened


def _constant(g: Graph, n: Node) -> bool:
    values = [g.data(i) for i in n.inputs[1:3] if i]
    return all(v is not None and v.dtype == np.float32 for v in values)


def _own_weights(g: Graph, nodes: list[Node]) -> None:
    """Copies of the constants, one for each layer: they are changed in place."""
    seen: set[int] = set()
    for n in nodes:
        if id(n) in seen:
            continue
        seen.add(id(n))
        for i in (1, 2):
            if i < len(n.inputs) and n.inputs[i]:
                data = g.data(n.inputs[i])
                assert data is not None
                n.inputs[i] = g.constant(f"{n.inputs[i]}/equalized", data.copy())


def _outputs_last(g: Graph, n: Node) -> NDArray[np.float32]:
    """A view of the weights with the output channels last."""
    w = g.data(n.inputs[1])
    assert w is not None
    return w if n.op == "DEPTHWISE_CONV_2D" else np.moveaxis(w, 0, -1)


def _balance(g: Graph, a: Node, b: Node) -> float:
    """Makes the ranges of two layers meet; gives the largest factor."""
    first, second = _outputs_last(g, a), g.data(b.inputs[1])
    assert second is not None
    channels = first.shape[-1]
    if b.op == "DEPTHWISE_CONV_2D":  # [1, kh, kw, channels * multiplier]
        per = second.reshape(*second.shape[:3], channels, -1)
        theirs = np.abs(per).max(axis=(0, 1, 2, 4))
    else:
        theirs = np.abs(second).max(axis=tuple(range(second.ndim - 1)))
    own = np.abs(first).max(axis=tuple(range(first.ndim - 1)))
    usable = (own > 0) & (theirs > 0)
    s = np.ones(channels, np.float32)
    s[usable] = np.sqrt(own[usable].astype(np.float64) / theirs[usable]).astype(np.float32)
    first /= s
    bias = g.data(a.inputs[2]) if len(a.inputs) > 2 and a.inputs[2] else None
    if bias is not None:
        bias /= s
    if b.op == "DEPTHWISE_CONV_2D":
        per *= s[:, None]
    else:
        second *= s
    return float(np.maximum(s, 1 / s).max(initial=1.0))
