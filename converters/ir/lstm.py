"""TFLite's UNIDIRECTIONAL_SEQUENCE_LSTM: where its inputs are, and what its cell goes through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .graph import Graph, Node

OP = "UNIDIRECTIONAL_SEQUENCE_LSTM"
# Inputs of the operator: 4 weights, 4 recurrent weights, 3 peepholes, 4 biases, projection, states.
INPUT, RECURRENT, PEEPHOLE, BIAS, STATE, CELL = 1, 5, 9, 12, 18, 19
_GATES = "ifco"


def value(g: Graph, node: Node, i: int) -> NDArray[np.float32] | None:
    return g.data(node.inputs[i]) if i < len(node.inputs) and node.inputs[i] else None


def is_plain(g: Graph, node: Node) -> bool:
    """Whether it has constant weights, no projection and no layer normalization, as those have that have a form in integers."""
    weights = [i for i in (*range(INPUT, INPUT + 8), *range(BIAS, BIAS + 4)) if node.inputs[i]]
    rest = [*node.inputs[16:18], *node.inputs[20:]]
    return (
        not any(rest)
        and all(value(g, node, i) is not None for i in weights)
        and node.attrs.get("fused_activation_function") == "TANH"
    )


def cell_values(g: Graph, node: Node, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cell state after every step, [time, batch, units], for an input [batch, time, features]: which the operator does not give."""
    w, r, b = ([value(g, node, first + k) for k in range(4)] for first in (INPUT, RECURRENT, BIAS))
    peep = {"i": value(g, node, PEEPHOLE), "f": value(g, node, PEEPHOLE + 1), "o": value(g, node, PEEPHOLE + 2)}
    assert w[1] is not None
    batch, time, _ = x.shape
    h = np.zeros((batch, w[1].shape[0]), np.float32)
    c, cells = h.copy(), np.empty((time, *h.shape), np.float32)

    def gate(k: int, t: int) -> NDArray[np.float32]:
        name, bias = _GATES[k], b[k]
        sums = x[:, t] @ w[k].T + h @ r[k].T + (0 if bias is None else bias)  # type: ignore[union-attr]
        extra = peep.get(name)
        sums = sums if extra is None else sums + extra * c
        return np.asarray(np.tanh(sums) if name == "c" else 1 / (1 + np.exp(-sums)))

    with np.errstate(over="ignore"):
        for t in range(time):
            forget, new = gate(1, t), gate(2, t)
            let_in = gate(0, t) if w[0] is not None else 1 - forget
            c = forget * c + let_in * new
            h = gate(3, t) * np.tanh(c)
            cells[t] = c
    return cells
