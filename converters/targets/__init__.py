"""What accelerators take of a model. `check` says which operators stay on the CPU, and why."""

from __future__ import annotations

from edgert.errors import ConversionError

from ..ir import Graph
from . import edgetpu, ethos_u
from .finding import Finding, Rules

TARGETS: dict[str, Rules | None] = {
    "cpu": None,
    "edgetpu": edgetpu.RULES,
    "ethos-u55": ethos_u.RULES,
    "ethos-u65": ethos_u.RULES,
}


def check(graph: Graph, target: str) -> list[Finding]:
    """The operators that the target does not take.

    Raises:
      ConversionError: there is no such target.
    """
    if target not in TARGETS:
        raise ConversionError(f'there is no target "{target}"; known are {", ".join(TARGETS)}')
    rules = TARGETS[target]
    return [] if rules is None else rules.check(graph)


__all__ = ["TARGETS", "Finding", "check"]
