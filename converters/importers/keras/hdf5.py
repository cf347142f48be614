"""HDF5 files, read by a process of its own: some damaged files make the HDF5 library crash, or go on for ever, and no file is to do that to
the program that opens it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import MissingExtraError, ModelError

PROGRAM = Path(__file__).with_name("dump_hdf5.py")
# What reading may take: this, and a second for so many bytes.
SECONDS, BYTES_A_SECOND = 30.0, 5_000_000


@dataclass
class Group:
    """Text attributes, groups and arrays of numbers, by name."""

    attributes: dict[str, str | list[str]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        value = self.attributes.get(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> list[str]:
        """A list, which Keras divides into NAME0, NAME1, ... where it is longer than an attribute can be."""
        whole = self.attributes.get(name)
        if isinstance(whole, list):
            return whole
        parts: list[list[str]] = []
        while isinstance(part := self.attributes.get(f"{name}{len(parts)}"), list):
            parts.append(part)
        return [text for part in parts for text in part]

    def array(self, path: str) -> NDArray[Any]:
        """Of a path with slashes. Raises KeyError."""
        *parents, name = [part for part in path.split("/") if part]
        group = self
        for parent in parents:
            group = group.groups[parent]
        return group.arrays[name]


def read_hdf5(path: Path, content: bytes | None = None) -> Group:
    """A file, or `content` of the file `path`.

    Raises:
      ModelError: it is no HDF5 file, or a damaged one.
      MissingExtraError: h5py is not installed.
    """
    size = path.stat().st_size if content is None else len(content)
    limit = SECONDS + size / BYTES_A_SECOND
    command = [sys.executable, str(PROGRAM), str(path.absolute()) if content is None else "-"]
    try:
        done = subprocess.run(command, input=content or b"", capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise ModelError(f"{path}: a damaged HDF5 file (reading it takes more than {limit:.0f} seconds)") from None
    if done.returncode == 3:
        raise MissingExtraError("h5py", "convert", "reading a Keras model")
    if done.returncode == 1:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise ModelError(f"{path}: not an HDF5 file, or a damaged one ({reason})")
    if done.returncode:
        raise ModelError(f"{path}: a damaged HDF5 file (the HDF5 library crashes on it, with status {done.returncode})")
    length = int.from_bytes(done.stdout[:8], "little")
    return _group(json.loads(done.stdout[8 : 8 + length]), memoryview(done.stdout)[8 + length :])


def _group(found: dict[str, Any], data: memoryview) -> Group:
    return Group(
        found["attributes"],
        {name: _group(g, data) for name, g in found["groups"].items()},
        {name: _array(dtype, shape, offset, data) for name, (dtype, shape, offset) in found["arrays"].items()},
    )


def _array(dtype: str, shape: list[int], offset: int, data: memoryview) -> NDArray[Any]:
    array = np.empty(shape, dtype)  # a copy: aligned, and can be written
    array.reshape(-1).view(np.uint8)[:] = np.frombuffer(data[offset : offset + array.nbytes], np.uint8)
    return array
