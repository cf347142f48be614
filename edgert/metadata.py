"""Reads TFLite Model Metadata: normalization from the FlatBuffer "M001" in the model, labels from the zip behind it.

Schema: metadata_schema.fbs of TFLite Support. Metadata is advice from outside: what cannot be read is an error that says
so, never a crash, and what is not there is None.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from dataclasses import dataclass

from .errors import DataError
from .files import reading


@dataclass(frozen=True)
class Normalization:
    """(value - mean) / std of raw values 0..255; one number, or one a channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Metadata:
    """What the model says about its first input and first output."""

    normalization: Normalization | None = None
    labels: tuple[str, ...] | None = None


class _Table:
    """A FlatBuffer table; every access is checked by struct and slices against the buffer."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def _field(self, slot: int) -> int | None:
        vtable = self._at - int(struct.unpack_from("<i", self._data, self._at)[0])
        if vtable < 0:
            raise struct.error("vtable outside the buffer")
        size = int(struct.unpack_from("<H", self._data, vtable)[0])
        if 4 + 2 * slot + 2 > size:
            return None
        offset = int(struct.unpack_from("<H", self._data, vtable + 4 + 2 * slot)[0])
        return self._at + offset if offset else None

    def _target(self, slot: int) -> int | None:
        at = self._field(slot)
        return None if at is None else at + int(struct.unpack_from("<I", self._data, at)[0])

    def byte(self, slot: int) -> int:
        at = self._field(slot)
        return 0 if at is None else int(struct.unpack_from("<B", self._data, at)[0])

    def table(self, slot: int) -> _Table | None:
        at = self._target(slot)
        return None if at is None else _Table(self._data, at)

    def tables(self, slot: int) -> list[_Table]:
        at = self._target(slot)
        if at is None:
            return []
        n = int(struct.unpack_from("<I", self._data, at)[0])
        items = [at + 4 + 4 * i for i in range(min(n, len(self._data) // 4))]
        return [_Table(self._data, i + int(struct.unpack_from("<I", self._data, i)[0])) for i in items]

    def floats(self, slot: int) -> tuple[float, ...]:
        at = self._target(slot)
        if at is None:
            return ()
        n = int(struct.unpack_from("<I", self._data, at)[0])
        return struct.unpack_from(f"<{min(n, len(self._data))}f", self._data, at + 4)

    def string(self, slot: int) -> str:
        at = self._target(slot)
        if at is None:
            return ""
        n = int(struct.unpack_from("<I", self._data, at)[0])
        return self._data[at + 4 : at + 4 + n].decode("utf-8", "replace")


# Slots in the schema's order.
_SUBGRAPHS, _INPUTS, _OUTPUTS, _PROCESS, _FILES = 3, 2, 3, 4, 6
_NORMALIZATION_OPTIONS, _LABEL_TYPES = 1, (2, 3)


def read_metadata(buffer: bytes | None, path: str | os.PathLike[str] | None) -> Metadata:
    """Args:
      buffer: the model's metadata buffer TFLITE_METADATA, None where it has none.
      path: the model file, for the labels in the zip behind it.

    Raises:
      DataError: the metadata is damaged.
    """
    if buffer is None:
        return Metadata()
    try:
        root = _Table(buffer, int(struct.unpack_from("<I", buffer, 0)[0]))
        subgraphs = root.tables(_SUBGRAPHS)
        inputs = subgraphs[0].tables(_INPUTS) if subgraphs else []
        outputs = subgraphs[0].tables(_OUTPUTS) if subgraphs else []
        normalization = None
        for unit in inputs[0].tables(_PROCESS) if inputs else []:
            options = unit.table(1)
            if unit.byte(0) == _NORMALIZATION_OPTIONS and options is not None:
                mean, std = options.floats(0), options.floats(1)
                if mean and std and all(std) and all(map(math.isfinite, mean + std)):
                    normalization = Normalization(mean, std)
        files = [f.string(0) for o in outputs[:1] for f in o.tables(_FILES) if f.byte(2) in _LABEL_TYPES]
    except (struct.error, OverflowError) as e:
        raise DataError(f"{path or 'model'}: its metadata is damaged ({e})") from None
    return Metadata(normalization, _read_labels(path, files[0]) if files and path is not None else None)


def _read_labels(path: str | os.PathLike[str], name: str) -> tuple[str, ...] | None:
    with reading(path, f"a model with the label file {name} behind it, as its metadata says"), zipfile.ZipFile(path) as z:
        if z.getinfo(name).file_size > 1 << 24:
            raise DataError(f"{path}: its label file {name} is larger than 16 MiB")
        return tuple(line.strip() for line in z.read(name).decode("utf-8", "replace").splitlines())
