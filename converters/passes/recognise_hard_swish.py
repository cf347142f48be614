"""x * relu6(x + 3) / 6 → HARD_SWISH(x)."""

from __future__ import annotations

import math

from ..ir import Graph, Node
from .patterns import alone, operands, scalar


def recognise_hard_swish(g: Graph) -> bool:
    """
    before: MUL(MUL(x, RELU6(ADD(x, 3))), 1/6), in any order of the factors, or DIV by 6      after: HARD_SWISH(x)
    """
    changed = False
    for node in list(g.nodes):
        found = _gate(g, node)
        if found is None or node not in g.nodes:
            continue
        node.op, node.inputs, node.attrs = "HARD_SWISH", [found], {}
        changed = True
    if changed:
        g.remove_dead()
    return changed


def _gate(g: Graph, node: Node) -> str | None:
    """x, if the node gives x relu6(x + 3) / 6."""
    if node.op not in ("MUL", "DIV") or node.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    for value, other in operands(node):
        factor = scalar(g, other)
        inner = alone(g, value, "MUL")
        if inner is not None and factor is not None:  # (x relu6(x + 3)) / 6
            total = factor if node.op == "MUL" else 1 / factor
            for x, gate in operands(inner):
                if math.isclose(total, 1 / 6, rel_tol=1e-4) and _relu6_of(g, gate) == x:
                    return x
        if node.op == "MUL" and factor is None:  # x (relu6(x + 3) / 6)
            for kind in ("MUL", "DIV"):
                scaled = alone(g, other, kind)
                for gate, constant in operands(scaled) if scaled else []:
                    c = scalar(g, constant)
                    if (
                        c is not None
                        and math.isclose(c if kind == "MUL" else 1 / c, 1 / 6, rel_tol=1e-4)
                        and _relu6_of(g, gate) == value
                    ):
                        return value
    return None


def _relu6_of(g: Graph, name: str) -> str | None:
    """x, if the tensor is relu6(x + 3)."""
    node = alone(g, name, "RELU6")
    add = alone(g, node.inputs[0], "ADD") if node else alone(g, name, "ADD")
    if add is None or (node is None and add.attrs.get("fused_activation_function") != "RELU6"):
        return None
    for x, constant in operands(add):
        c = scalar(g, constant)
        if c is not None and math.isclose(c, 3, rel_tol=1e-4):
            return x
    return None
