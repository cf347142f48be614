"""What masks attention: values far below all scores, which are added to them or take their place before a softmax.

Whether such a value is -10000 or the lowest of all floats does not matter after the softmax; as the end of a range of 255 steps it
would leave none for the scores. So ranges end where softmax gives nothing any more.
"""

from __future__ import annotations

import numpy as np

from ..calibrate import Ranges
from ..calibrate.masks import only_softmax
from ..ir import Graph, Node
from .rules import RULES

# A mask of zeros and ones times a constant: with more than this many times what is far enough, what rounding makes of a zero would mask, too.
_FACTOR = 4.0


def bound_masks(graph: Graph, ranges: Ranges) -> None:
    """Constants and ranges of what is added to scores, raised to where the sums are as low as they need to be."""
    scores = only_softmax(graph)
    makers = {n.outputs[0]: n for n in graph.nodes}
    for node in graph.nodes:
        if node.op != "ADD" or node.outputs[0] not in scores or node.outputs[0] not in ranges:
            continue
        for i, name in enumerate(node.inputs):
            other = graph.tensors[node.inputs[1 - i]]
            high = ranges[other.name][1] if other.name in ranges else float(other.data.max()) if other.data is not None else None
            if high is None:
                continue
            floor = ranges[node.outputs[0]][0] - max(high, 0.0)
            t = graph.tensors[name]
            if t.data is not None and t.data.min() < floor:
                node.inputs[i] = graph.constant(f"{name}/bounded", np.maximum(t.data, np.float32(floor)))
            elif name in ranges and ranges[name][0] < floor:
                _bound(graph, ranges, makers, name, floor)


def _bound(graph: Graph, ranges: Ranges, makers: dict[str, Node], name: str, floor: float) -> None:
    """Raises the range of a mask, of what it is moved from, and of a constant that zeros and ones are multiplied by."""
    while name in ranges and ranges[name][0] < floor and len(graph.consumers(name)) == 1:
        ranges[name] = (floor, max(ranges[name][1], floor))
        node = makers.get(name)
        if node is not None and node.op == "MUL":
            for i, factor in enumerate(node.inputs):
                data = graph.data(factor)
                if data is not None and data.min() < _FACTOR * floor:
                    node.inputs[i] = graph.constant(f"{factor}/bounded", np.maximum(data, np.float32(_FACTOR * floor)))
        if node is None or RULES.get(node.op) is None or RULES[node.op].same != "first":
            return
        name = node.inputs[0]
