"""A layer of a Keras model, at one of its uses, as the importing functions see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from ..emit import Emitter, UnsupportedUseError

Arrays = list[NDArray[Any]]


@dataclass
class Layer:
    """inputs are tensors of the graph under construction, in the order of the call's arguments; `named` those given by name.

    masks: by tensor, the tensor [batch, time] of booleans that tells which steps of it count, where there is one.
    weights: the layer's variables in Keras' order. version: the major version of the Keras that saved the model. inner: builds a
    layer within this one (config, its inputs, what to call it), from its part of the weights.
    """

    kind: str
    name: str
    config: dict[str, Any]
    inputs: list[str]
    weights: Arrays
    emitter: Emitter
    version: int = 3
    named: dict[str, Any] = field(default_factory=dict)
    inner: Callable[[dict[str, Any], list[str], str], list[str]] | None = None
    masks: Mapping[str, str] = field(default_factory=dict)

    @property
    def x(self) -> str:
        return self.inputs[0]

    @property
    def mask(self) -> str:
        """The mask of the first input, or the one that the call was given; "" where there is none."""
        given = self.named.get("mask")
        return given if isinstance(given, str) else self.masks.get(self.x, "") if self.inputs else ""

    def get(self, name: str, default: Any = None) -> Any:
        value = self.config.get(name)
        return default if value is None else value

    def weight(self, i: int, what: str) -> NDArray[np.float32]:
        if i >= len(self.weights):
            raise UnsupportedUseError(f"the file has no {what} for it")
        return np.asarray(self.weights[i], np.float32)

    def spatial(self, name: str, dims: int, default: Any = 1) -> list[int]:
        """A size along each dimension, which Keras also writes as one number."""
        value = self.get(name, default)
        values = [int(value)] * dims if isinstance(value, (int, float)) else [int(v) for v in value]
        if len(values) != dims or any(v < 1 for v in values):
            raise UnsupportedUseError(f"{name} is {value}, expected {dims} positive sizes")
        return values

    def axes(self, name: str = "axis", default: Any = -1) -> list[int]:
        """Axes, counted from the front."""
        rank, value = self.emitter.rank(self.x), self.get(name, default)
        found = [int(v) for v in (value if isinstance(value, (list, tuple)) else [value])]
        if any(not -rank <= a < rank for a in found):
            raise UnsupportedUseError(f"{name} {value} does not exist in {rank} dimensions")
        return [a % rank for a in found]


Handler = Callable[[Layer], Union[str, list[str]]]


def broadcast_along(e: Emitter, values: NDArray[Any], x: str, axes: Sequence[int], name: str) -> str:
    """A constant with the sizes of x along these axes, and 1 along all others."""
    shape = [n if i in axes else 1 for i, n in enumerate(e.shape(x))]
    last = [e.rank(x) - 1]
    if int(np.prod(shape)) != values.size:
        raise UnsupportedUseError(
            f"its {name} has {values.size} values, its input {list(e.shape(x))} along the axes {list(axes)}"
        )
    return e.const(values.reshape(-1 if list(axes) == last else shape).astype(np.float32), name=name)
