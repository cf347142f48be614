"""Rules of a target, and what does not keep them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..ir import Graph, Node

# The reason why an operator stays on the CPU, or None.
Check = Callable[[Graph, Node], "str | None"]


@dataclass(frozen=True)
class Finding:
    """An operator that stays on the CPU. after: because one before it does."""

    op: str
    name: str
    why: str
    after: bool = False


@dataclass(frozen=True)
class Rules:
    """name: of the target. operators: those it has, each with its limits. every: limits of all. one_piece: what comes after the first operator
    that stays on the CPU stays there as well, wherever it depends on it.
    """

    name: str
    operators: Mapping[str, tuple[Check, ...]]
    every: tuple[Check, ...]
    one_piece: bool

    def check(self, g: Graph) -> list[Finding]:
        found, on_cpu = [], set()
        for node in g.nodes:
            if node.op not in self.operators:
                why = f"{self.name} has no such operator"
            else:
                why = next((w for rule in (*self.every, *self.operators[node.op]) if (w := rule(g, node))), "")
            if why:
                found.append(Finding(node.op, node.outputs[0], why))
            elif self.one_piece and any(i in on_cpu for i in node.inputs):
                found.append(Finding(node.op, node.outputs[0], "it follows an operator on the CPU", True))
            else:
                continue
            # Floats at either end are converted on the CPU, and hold nothing up.
            if node.op not in ("QUANTIZE", "DEQUANTIZE") or not any(i in g.inputs for i in node.inputs):
                on_cpu.update(node.outputs)
        return found


def values(g: Graph, node: Node) -> list[str]:
    """Inputs that are no constants, and outputs."""
    return [n for n in (*node.inputs, *node.outputs) if n and g.data(n) is None]


def types(*known: str) -> Check:
    def rule(g: Graph, node: Node) -> str | None:
        other = [g.tensors[n].dtype for n in values(g, node) if g.tensors[n].dtype not in known]
        return f"it computes with {other[0]}, expected {' or '.join(known)}" if other else None

    return rule


def axes_of(g: Graph, node: Node, i: int = 1) -> list[int] | None:
    """The axes that an operator is given, counted from the front."""
    given = g.data(node.inputs[i]) if len(node.inputs) > i and node.inputs[i] else None
    rank = len(g.tensors[node.inputs[0]].shape)
    return None if given is None else [int(a) % max(rank, 1) for a in np.asarray(given).reshape(-1)]


def no_activation(g: Graph, node: Node) -> str | None:
    given = node.attrs.get("fused_activation_function", "NONE")
    return f"it has the activation {given} fused, which is not possible" if given != "NONE" else None


def constant(i: int, what: str) -> Check:
    def rule(g: Graph, node: Node) -> str | None:
        present = len(node.inputs) > i and node.inputs[i]
        return f"its {what} are not constant" if present and g.data(node.inputs[i]) is None else None

    return rule
