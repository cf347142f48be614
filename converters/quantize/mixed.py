"""Mixed precision: which layers get 16-bit activations, or stay float, so that a target is met at the least cost in time.

Each layer's part in the noise is what the outputs gain if this layer's output alone gets the next higher precision: the layer, and what
reads it. Layers are then raised in the order of gain by cost, as many as it takes: how many is found by bisection, on the calibration data. Costs are multiply-adds, and bytes
moved, each times what it takes in that precision (measured with `edgert bench --profile`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..ir import Graph, Node
from .static import kind_of

# Nanoseconds, by precision: of a thousand multiply-adds, and of a thousand values of activations that are read or written.
_PRODUCTS = {"int8": 10.0, "int16": 60.0, "float32": 50.0}
_VALUES = {"int8": 30.0, "int16": 150.0, "float32": 150.0}


def multiply_adds(g: Graph, node: Node) -> int:
    """Products that an operator sums, 0 for those that have none."""
    if node.op in ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
        w = g.tensors[node.inputs[1]].shape
        values = g.tensors[node.inputs[2] if node.op == "TRANSPOSE_CONV" else node.outputs[0]].shape
        return int(np.prod(values)) * int(np.prod(w[1:]))
    if node.op == "DEPTHWISE_CONV_2D":
        w = g.tensors[node.inputs[1]].shape
        return int(np.prod(g.tensors[node.outputs[0]].shape)) * w[1] * w[2]
    if node.op == "BATCH_MATMUL":
        x = g.tensors[node.inputs[0]].shape
        return int(np.prod(g.tensors[node.outputs[0]].shape)) * x[-2 if node.attrs.get("adj_x") else -1]
    return 0


def cost(g: Graph, node: Node, kind: str) -> float:
    """An estimate in nanoseconds."""
    values = sum(int(np.prod(g.tensors[n].shape)) for n in (*node.inputs, *node.outputs) if n and g.data(n) is None)
    return (multiply_adds(g, node) * _PRODUCTS[kind] + values * _VALUES[kind]) / 1000


def fewest(most: int, good: Callable[[int], bool]) -> int:
    """How many of the first of a ranked list it takes, by bisection, if `most` are enough and none is too few."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Choice:
    """kinds: of raised layers, by the name of their output. cost: how much longer that takes, as a share of the estimate for int8."""

    kinds: dict[str, str]
    met: bool
    cost: float


def choose(
    g: Graph,
    build: Callable[[dict[str, str]], Graph],
    score: Callable[[Graph], float],
    good: Callable[[Graph], bool],
    fixed: dict[str, str],
    progress: Callable[[int, int], None] | None = None,
) -> Choice:
    """The layers to raise: to 16 bits as many as it takes; where that is not enough, to float.

    Args:
      g: the float graph.
      build: makes the quantized graph of such kinds.
      score: the larger the better, for the order of the layers.
      good: whether the target is met.
      fixed: kinds that were asked for and stay.
      progress: called with (layers tried, layers in all).
    """
    start = build(dict(fixed))
    if good(start):
        return Choice(dict(fixed), True, 0.0)
    layers = [n for n in g.nodes if n.outputs[0] not in fixed and kind_of(g, n, "int8") == "int8"]
    base, total = score(start), sum(cost(g, n, fixed.get(n.outputs[0], "int8")) for n in g.nodes)

    def attempt(wanted: str) -> Choice:
        raised = {n.outputs[0]: kind_of(g, n, wanted) if wanted == "int16" else wanted for n in layers}
        extra = {n.outputs[0]: cost(g, n, raised[n.outputs[0]]) - cost(g, n, "int8") for n in layers}
        ranked = []
        for i, node in enumerate(layers):
            # A layer's output keeps more bits only where what reads it is raised as well.
            together = [m.outputs[0] for m in (node, *g.consumers(node.outputs[0])) if m.outputs[0] in raised]
            gain = score(build({**fixed, **{m: raised[m] for m in together}})) - base
            # What gains nothing alone may yet do so with others: by its cost.
            ranked.append((max(gain, 1e-6) / max(sum(extra[m] for m in together), 1.0), together))
            if progress:
                progress(i + 1, len(layers))
        ranked.sort(key=lambda r: -r[0])

        def first(count: int) -> dict[str, str]:
            return {**fixed, **{m: raised[m] for _, together in ranked[:count] for m in together}}

        kinds = first(len(ranked))
        met = good(build(kinds))
        if met:
            kinds = first(fewest(len(ranked), lambda count: good(build(first(count)))))
        return Choice(kinds, met, sum(extra[m] for m in kinds if m in extra) / max(total, 1.0))

    choice = attempt("int16")
    return choice if choice.met else attempt("float32")
