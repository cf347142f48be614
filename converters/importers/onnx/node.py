"""A node of an ONNX graph as the importing functions see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from ..emit import Emitter, UnsupportedUseError


class NeedsConstantError(UnsupportedUseError):
    """An input decides a shape, and is not constant. `tensor` is its name in the graph."""

    def __init__(self, tensor: str, what: str) -> None:
        super().__init__(f'its {what} ("{tensor}") is not constant; give it with --constant {tensor}=VALUE')
        self.tensor = tensor


@dataclass
class OnnxNode:
    """Inputs are tensors of the graph under construction, "" where left out; so are attributes that are graphs not."""

    op: str
    name: str
    opset: int
    emitter: Emitter
    inputs: list[str]
    outputs: int
    attrs: dict[str, Any] = field(default_factory=dict)

    def has(self, i: int) -> bool:
        return i < len(self.inputs) and self.inputs[i] != ""

    def get(self, i: int) -> str:
        if not self.has(i):
            raise UnsupportedUseError(f"input {i} is missing")
        return self.inputs[i]

    def attr(self, name: str, default: Any = None) -> Any:
        return self.attrs.get(name, default)

    def constant(self, i: int, what: str) -> NDArray[Any]:
        """The value of an input that must be known now."""
        value = self.emitter.value(self.get(i))
        if value is None:
            raise NeedsConstantError(self.get(i), what)
        return value

    def ints(self, i: int, attribute: str, what: str = "", default: Sequence[int] | None = None) -> list[int] | None:
        """A list that older opsets have as an attribute and newer ones as an input."""
        if self.has(i):
            return [int(n) for n in self.constant(i, what or attribute).reshape(-1)]
        given = self.attr(attribute, default)
        return None if given is None else [int(n) for n in (given if isinstance(given, (list, tuple, np.ndarray)) else [given])]

    def axis(self, default: int, rank: int, name: str = "axis") -> int:
        axis = int(self.attr(name, default))
        if not -rank <= axis < max(rank, 1):
            raise UnsupportedUseError(f"axis {axis} does not exist in {rank} dimensions")
        return axis % rank if rank else 0


Handler = Callable[[Emitter, OnnxNode], Union[str, list[str]]]
