"""Types of tensor elements, by their numbers in a .tflite file: names, and numpy's types for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .binding import ffi

NAMES: dict[int, str] = {
    number: name.removeprefix("EDGERT_").lower() for number, name in ffi.typeof("edgert_type").elements.items()
}

_NOT_NUMPYS = ("string", "resource", "variant", "int4", "bfloat16", "int2")

#: Types of which an array can hold the elements as they lie in memory.
DTYPES: dict[int, Any] = {number: np.dtype(name).type for number, name in NAMES.items() if name not in _NOT_NUMPYS}

_LITERT: dict[str, Any] = {"string": np.bytes_, "resource": np.object_, "variant": np.object_, "int4": np.int8, "int2": np.int8}

#: What a tensor's details call its `dtype`, as in LiteRT.
DETAILS_DTYPES: dict[int, Any] = {number: _LITERT.get(name) or DTYPES.get(number, np.void) for number, name in NAMES.items()}
