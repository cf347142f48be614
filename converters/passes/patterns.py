"""What the passes that recognise patterns share."""

from __future__ import annotations

from ..ir import Graph, Node


def alone(g: Graph, name: str, op: str) -> Node | None:
    """The operator of that kind which makes a tensor that one other operator reads."""
    node = g.producer(name)
    if node is None or node.op != op or name in g.outputs or len(g.consumers(name)) != 1:
        return None
    return node


def operands(node: Node | None) -> list[tuple[str, str]]:
    """The two inputs in both orders; in one order only, where the operator cares."""
    if node is None or len(node.inputs) != 2:
        return []
    a, b = node.inputs
    return [(a, b)] if node.op in ("DIV", "SUB") else [(a, b), (b, a)]


def scalar(g: Graph, name: str) -> float | None:
    """The number, if the tensor is one."""
    value = g.data(name)
    return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None
