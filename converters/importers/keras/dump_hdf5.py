"""The process that hdf5.py starts: writes what an HDF5 file holds to standard output.

usage: dump_hdf5.py FILE        (-: the file comes by standard input)

First the length of a JSON text, 8 bytes; then the text, a group: {"attributes": {name: text or list of texts}, "groups": {name: group},
"arrays": {name: [dtype, shape, offset]}}; then the arrays' bytes, to which the offsets refer. Exit status 1 is a file that cannot be
read, with a sentence on standard error; 3, that h5py is missing. Numbers only: other datasets, and attributes that are no text, are left out.
"""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any

import numpy as np

try:
    import h5py
except ImportError:
    sys.exit(3)

# Of one file: more groups and arrays than any model has. Links may make a group contain itself.
MOST_NODES, DEEPEST = 1_000_000, 64


class Dump:
    def __init__(self) -> None:
        self.arrays: list[Any] = []
        self.bytes = self.nodes = 0

    def group(self, group: Any, depth: int = 0) -> dict[str, Any]:
        if depth > DEEPEST:
            raise ValueError(f"groups are deeper than {DEEPEST}")
        found: dict[str, Any] = {"attributes": {}, "groups": {}, "arrays": {}}
        for name in group.attrs:
            value = texts(group.attrs[name])
            if value is not None:
                found["attributes"][name] = value
        for name in group:
            self.nodes += 1
            if self.nodes > MOST_NODES:
                raise ValueError(f"it has more than {MOST_NODES} groups and arrays")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f'"{name}" is a link to elsewhere')
            item = group[name]
            if isinstance(item, h5py.Group):
                found["groups"][name] = self.group(item, depth + 1)
            elif isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub":
                if item.is_virtual or item.external:
                    raise ValueError(f'"{name}" has its values in another file')
                found["arrays"][name] = [item.dtype.str, list(item.shape), self.bytes]
                self.arrays.append(item)
                self.bytes += item.size * item.dtype.itemsize
        return found


def texts(value: Any) -> str | list[str] | None:
    if isinstance(value, (str, bytes)):
        return value if isinstance(value, str) else value.decode()
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "SUO":
        return [v if isinstance(v, str) else bytes(v).decode() for v in value.tolist()]
    return None


def memory() -> int:
    """Bytes that the machine has; where that is not known, a large number."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 40


def main() -> None:
    out = sys.stdout.buffer
    try:
        source = io.BytesIO(sys.stdin.buffer.read()) if sys.argv[1] == "-" else sys.argv[1]
        with h5py.File(source, "r") as f:
            dump = Dump()
            text = json.dumps(dump.group(f)).encode()
            if dump.bytes > memory():
                raise ValueError(f"its arrays take {dump.bytes} bytes, more than this machine has")
            out.write(len(text).to_bytes(8, "little") + text)
            for array in dump.arrays:
                out.write(np.ascontiguousarray(array[()]).tobytes())
            out.flush()
    except Exception as e:
        sys.exit(" ".join(str(e).split()) or type(e).__name__)


if __name__ == "__main__":
    main()
