"""SQUARE → MUL by itself."""

from __future__ import annotations

from ..ir import Graph


def square_as_product(g: Graph) -> bool:
    """For integers only: TFLite has no SQUARE in them.

    before: SQUARE(x)      after: MUL(x, x)
    """
    changed = False
    for node in g.nodes:
        if node.op == "SQUARE" and g.tensors[node.inputs[0]].dtype == "float32":
            node.op, node.inputs = "MUL", [node.inputs[0]] * 2
            changed = True
    return changed
