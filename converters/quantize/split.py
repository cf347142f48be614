"""Layers whose weights need more than eight bits, as two layers with eight each: for 16-bit activations, which have no 16-bit weights.

before: CONV_2D(x, w)      after: ADD(CONV_2D(x, high), CONV_2D(x, low)), with w = high + low, high on a grid of eight bits
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ..ir import Graph, Node, Tensor
from ..ir.layers import CHANNEL_AXIS
from .mixed import cost, fewest
from .rules import RULES
from .static import channel_scale

_LIMIT = 127


def splittable(g: Graph) -> list[Node]:
    """Layers with constant float weights."""
    return [n for n in g.nodes if n.op in CHANNEL_AXIS and (w := g.data(n.inputs[1])) is not None and w.dtype == np.float32]


def split_weights(graph: Graph, names: Iterable[str]) -> Graph:
    """A graph that computes the same, with the layers of these outputs split. The halves' outputs are called `<output>/high` and `<output>/low`."""
    g, chosen = graph.copy(), set(names)
    for node in splittable(g):
        out = node.outputs[0]
        if out not in chosen:
            continue
        t, w = g.tensors[out], g.data(node.inputs[1])
        assert w is not None
        axis = RULES[node.op].weights_axis
        scale = channel_scale(w, axis, _LIMIT).reshape([-1 if i == axis else 1 for i in range(w.ndim)])
        high = (np.clip(np.rint(w / scale), -_LIMIT, _LIMIT) * scale).astype(np.float32)
        attrs = {k: v for k, v in node.attrs.items() if k != "fused_activation_function"}
        parts = []
        channels = w.shape[axis]
        none = g.constant(f"{out}/low/bias", np.zeros(channels, np.float32))  # LiteRT's reference wants one
        for part, weights, rest in (("high", high, node.inputs[2:] or [none]), ("low", w - high, [none])):
            made = g.add_tensor(Tensor(f"{out}/{part}", t.shape))
            constant = g.constant(f"{node.inputs[1]}/{part}", weights)
            parts.append(Node(node.op, [node.inputs[0], constant, *rest], [made], dict(attrs), made))
        activation = {k: v for k, v in node.attrs.items() if k == "fused_activation_function"}
        at = g.nodes.index(node)
        g.nodes[at : at + 1] = [*parts, Node("ADD", [p.outputs[0] for p in parts], [out], activation, node.name)]
    g.remove_dead()
    g.check()
    return g


def choose_splits(graph: Graph, noise: Callable[[str], float], good: Callable[[list[str]], bool]) -> tuple[list[str], int]:
    """The layers to split: those first whose rounding of weights harms the outputs most for the time that another product takes; how many is
    found by bisection.

    Args:
      graph: the float graph.
      noise: the noise at the outputs if this layer's weights alone are rounded, as a share of the signal.
      good: whether the target is met with these layers split.

    Returns:
      The names of all layers' outputs in that order, and how many of them it takes: all, where the target is not met.
    """
    layers = splittable(graph)
    ranked = sorted(layers, key=lambda n: -noise(n.outputs[0]) / max(cost(graph, n, "int16"), 1.0))
    names = [n.outputs[0] for n in ranked]
    if not good(names):
        return names, len(names)
    return names, fewest(len(names), lambda count: good(names[:count]))
