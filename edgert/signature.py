"""`SignatureRunner`: a model's signature as a function of named arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from .interpreter import Interpreter


class SignatureRunner:
    """A signature as a function: keyword arguments in, a dict of arrays out."""

    def __init__(self, interpreter: Interpreter, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        self._interpreter = interpreter
        self._inputs = inputs
        self._outputs = outputs

    def __call__(self, **kwargs: ArrayLike) -> dict[str, NDArray[Any]]:
        if len(kwargs) != len(self._inputs):
            raise ValueError(
                f"Invalid number of inputs provided for running a SignatureDef, expected {len(self._inputs)} vs provided {len(kwargs)}"
            )
        it = self._interpreter
        arrays = {}
        for name, value in kwargs.items():
            if name not in self._inputs:
                raise ValueError(f"Invalid Input name ({name}) for SignatureDef")
            arrays[name] = np.asarray(value)
            it.resize_tensor_input(self._inputs[name], arrays[name].shape)
        it.allocate_tensors()
        for name, array in arrays.items():
            it.set_tensor(self._inputs[name], array)
        it.invoke()
        return {name: it.get_tensor(index) for name, index in self._outputs.items()}

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        return {name: self._interpreter._get_tensor_details(index) for name, index in self._inputs.items()}

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        return {name: self._interpreter._get_tensor_details(index) for name, index in self._outputs.items()}
