"""x (1 + erf(x / sqrt 2)) / 2 → GELU(x); what is left of ERF → operators that TFLite has."""

from __future__ import annotations

import math

import numpy as np

from ..ir import Graph, Node, Tensor
from .patterns import alone, operands, scalar


def recognise_gelu(g: Graph) -> bool:
    """
    before: MUL(MUL(x, ADD(ERF(DIV(x, sqrt 2)), 1)), 1/2), in any order of the factors      after: GELU(x)
    """
    changed = False
    for erf in [n for n in g.nodes if n.op == "ERF"]:
        x = _scaled(g, erf.inputs[0], 1 / math.sqrt(2))
        if x is None:
            continue
        plus = _only_reader(g, erf.outputs[0], "ADD")
        if plus is None or not any(scalar(g, c) == 1 for _, c in operands(plus)):
            continue
        end = _product(g, plus.outputs[0], x)
        if end is None:
            continue
        end.op, end.inputs, end.attrs = "GELU", [x], {"approximate": False}
        changed = True
    if changed:
        g.remove_dead()
    return changed


def _only_reader(g: Graph, name: str, op: str) -> Node | None:
    readers = g.consumers(name)
    return readers[0] if len(readers) == 1 and readers[0].op == op and name not in g.outputs else None


def _scaled(g: Graph, name: str, factor: float) -> str | None:
    node = g.producer(name)
    if node is None or node.op not in ("MUL", "DIV"):
        return None
    for x, constant in operands(node):
        c = scalar(g, constant)
        if c and math.isclose(c if node.op == "MUL" else 1 / c, factor, rel_tol=1e-4):
            return x
    return None


def _product(g: Graph, name: str, x: str) -> Node | None:
    """The last of the multiplications that make x times the tensor times a half."""
    halves, factors, node = 0, 0, _only_reader(g, name, "MUL")
    while node is not None:
        other = node.inputs[1] if node.inputs[0] == name else node.inputs[0]
        half = _scaled(g, other, 0.5)
        if other == x:
            factors += 1
        elif half == x and alone(g, other, "MUL") is not None:
            factors, halves = factors + 1, halves + 1
        elif scalar(g, other) == 0.5:
            halves += 1
        else:
            return None
        if factors == halves == 1:
            return node
        name = node.outputs[0]
        node = _only_reader(g, name, "MUL")
    return None


def decompose_erf(g: Graph) -> bool:
    """
    before: ERF(x)      after: of |x|, gelu(s) / (s / 2) - 1 with s = x sqrt 2, and below 1/4, where that cancels, a series; with the sign of x

    GELU is x (1 + erf(x / sqrt 2)) / 2. erf(x) = 2/sqrt(pi) (x - x^3/3 + x^5/10 - x^7/42 + x^9/216 - ...).
    """
    found = [n for n in g.nodes if n.op == "ERF"]
    for node in found:
        at = g.nodes.index(node)
        g.nodes.remove(node)
        x, y = node.inputs[0], node.outputs[0]
        shape = g.tensors[x].shape
        new: list[Node] = []

        def emit(op: str, *inputs: str | float, out: str = "", dtype: str = "float32", y: str = y, new: list[Node] = new, shape: tuple[int, ...] = shape) -> str:  # fmt: skip
            names = [i if isinstance(i, str) else g.constant(f"{y}/constant", np.array(i, np.float32)) for i in inputs]
            out = out or g.add_tensor(Tensor(f"{y}/{op.lower()}", shape, dtype))
            new.append(Node(op, names, [out], {"approximate": False} if op == "GELU" else {}, out))
            return out

        # Each half sees only what it is for: nothing is divided by 0, and no range has values that are not taken.
        size = emit("ABS", x)
        small = emit("MINIMUM", size, 0.25)
        square = emit("SQUARE", small)
        series = emit("MUL", square, 1 / 216)
        for c in (-1 / 42, 1 / 10, -1 / 3):
            series = emit("MUL", emit("ADD", series, c), square)
        near = emit("MUL", emit("MUL", small, emit("ADD", series, 1.0)), 2 / math.sqrt(math.pi))
        s = emit("MUL", emit("MAXIMUM", size, 0.25), math.sqrt(2))
        far = emit("SUB", emit("DIV", emit("GELU", s), emit("MUL", s, 0.5)), 1.0)
        positive = emit("SELECT_V2", emit("LESS", size, 0.25, dtype="bool"), near, far)
        emit("SELECT_V2", emit("LESS", x, 0.0, dtype="bool"), emit("MUL", positive, -1.0), positive, out=y)
        g.nodes[at:at] = new
    return bool(found)
