"""What is said about a model's inputs on the command line, for the commands that import models."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from ..errors import DataError
from ..files import reading
from .output import numbers

ShapeOption = Annotated[Optional[list[str]], typer.Option(help="NAME=1,3,224,224: size of an input whose dimensions are open")]
ConstantOption = Annotated[
    Optional[list[str]], typer.Option(help="NAME=VALUE or NAME=FILE.npy: an input that becomes a constant")
]


def shapes(given: Optional[list[str]]) -> dict[str, list[int]]:
    """Sizes by input name, of --shape."""
    return {name: [int(n) for n in numbers(value, "shape")] for name, value in _pairs(given, "shape")}


def constants(given: Optional[list[str]]) -> dict[str, Any]:
    """Arrays by input name, of --constant."""
    return {name: _constant(value) for name, value in _pairs(given, "constant")}


def _pairs(values: Optional[list[str]], option: str) -> list[tuple[str, str]]:
    for v in values or []:
        if "=" not in v:
            raise DataError(f"--{option} {v}: expected NAME=VALUE")
    return [(v.rpartition("=")[0], v.rpartition("=")[2]) for v in values or []]


def _constant(text: str) -> Any:
    import numpy as np

    if text.endswith(".npy"):
        with reading(text, "a .npy file"):
            return np.load(text, allow_pickle=False)
    values = np.array(numbers(text, "constant"))
    return values.reshape(()) if len(values) == 1 and "," not in text else values
