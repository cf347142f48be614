"""Golden files: inputs of a model with the answers that it must give, for programs without Python (`edgert-bench --golden`).

Little-endian, packed: the eight bytes "edgertG1"; uint32 steps, inputs, outputs; then for each step its inputs and its outputs. An
input is uint64 bytes and so many bytes. An output has uint32 0 before that where its bytes must be equal, or 1 where it is float32
and each value may be off by 2e-5 of the largest magnitude.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError
from .files import reading, write_atomically
from .interpreter import Interpreter

Array = np.ndarray[Any, Any]
Step = tuple[Sequence[Array], Sequence[Array]]
_MAGIC = b"edgertG1"


def drawn_inputs(interpreter: Interpreter, seed: int) -> list[Array]:
    """Random inputs of an allocated model: all bytes of 8-bit types, floats from the standard normal distribution, else 0 and 1."""
    random = np.random.default_rng(seed)
    inputs = []
    for d in interpreter.get_input_details():
        dtype, shape = np.dtype(d["dtype"]), tuple(d["shape"])
        if dtype.kind == "f":
            inputs.append(random.standard_normal(shape).astype(dtype))
        elif dtype.itemsize == 1 and dtype.kind in "iu":
            inputs.append(random.integers(0, 256, shape, np.uint8).view(dtype))
        else:
            inputs.append(random.integers(0, 2, shape).astype(dtype))
    return inputs


def answers(interpreter: Interpreter, inputs: Sequence[Array]) -> list[Array]:
    """What an allocated model makes of `inputs`."""
    for d, x in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(d["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def steps_of(path: Path, inputs: int, outputs: int) -> list[tuple[list[Array], list[Array]]]:
    """Steps in an .npz: `in0_0` is input 0 of step 0, `out0_0` output 0; the outputs may be missing, all of them.

    Raises:
      DataError: the file cannot be read, or arrays are missing.
    """
    with reading(path, "a .npz file"), np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    count = 0
    first = "in0" if inputs else "out0"
    while f"{first}_{count}" in data:
        count += 1
    if not count:
        raise DataError(f"{path}: has no array {first}_0")
    with_answers = any(name.startswith("out") for name in data)
    wanted = [f"in{j}_{s}" for s in range(count) for j in range(inputs)]
    wanted += [f"out{j}_{s}" for s in range(count) for j in range(outputs if with_answers else 0)]
    missing = [name for name in wanted if name not in data]
    if missing:
        raise DataError(f"{path}: arrays are missing: {', '.join(missing)}")
    return [
        ([data[f"in{j}_{s}"] for j in range(inputs)], [data[f"out{j}_{s}"] for j in range(outputs)] if with_answers else [])
        for s in range(count)
    ]


def write_golden(path: Path, steps: Sequence[Step]) -> None:
    """Writes a golden file. All steps have as many inputs and outputs."""
    parts = [_MAGIC, struct.pack("<III", len(steps), len(steps[0][0]), len(steps[0][1]))]
    for inputs, outputs in steps:
        for x in inputs:
            content = np.ascontiguousarray(x).tobytes()
            parts += [struct.pack("<Q", len(content)), content]
        for y in outputs:
            content = np.ascontiguousarray(y).tobytes()
            parts += [struct.pack("<IQ", int(y.dtype == np.float32), len(content)), content]
    write_atomically(path, b"".join(parts))
