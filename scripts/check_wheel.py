"""Checks a wheel: its tag, the size of its library, its contents, that the library finds this CPU's vectors, and that pip takes it for
every Python.

usage: check_wheel.py WHEEL
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
LIBRARY_LIMIT = 1_200_000


def isa_of(library: Path) -> str:
    """The instruction set that the library picks here."""
    code = "import ctypes, sys; f = ctypes.CDLL(sys.argv[1]).edgert_isa; f.restype = ctypes.c_char_p; print(f(None).decode())"
    return subprocess.run([sys.executable, "-c", code, str(library)], check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    wheel = Path(sys.argv[1])
    name = wheel.name
    tag = name.removesuffix(".whl").split("-", 2)[2]
    if not tag.startswith("py3-none-") or tag.endswith("any"):
        sys.exit(f"{name}: the tag is {tag}, expected py3-none-<platform>")
    with zipfile.ZipFile(wheel) as z:
        sizes = {i.filename: i.file_size for i in z.infolist()}
    libraries = {f: n for f, n in sizes.items() if f.endswith((".so", ".dylib", ".dll"))}
    if len(libraries) != 1 or max(libraries.values()) > LIBRARY_LIMIT:
        sys.exit(f"{name}: libraries {libraries}, expected one below {LIBRARY_LIMIT} bytes")
    for needed in (
        "edgert/converters/convert.py",
        "edgert/binding/_edgert_cffi.py",
        "edgert/demo/data/fashion_mnist.h5",
        "edgert/py.typed",
    ):
        if needed not in sizes:
            sys.exit(f"{name}: {needed} is missing")
    with tempfile.TemporaryDirectory() as target, zipfile.ZipFile(wheel) as z:
        isa = isa_of(Path(z.extract(next(iter(libraries)), target)))
    cpu = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    if "avx2" in cpu and isa == "generic":
        sys.exit(f"{name}: this CPU has AVX2, but the library uses {isa} kernels")
    for version in PYTHONS:
        with tempfile.TemporaryDirectory() as target:
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--no-deps",
                "--only-binary=:all:",
                "--python-version",
                version,
            ]
            subprocess.run([*command, "--target", target, str(wheel)], check=True)
    print(f"{name}: library {max(libraries.values())} bytes; {isa}; taken for Python {', '.join(PYTHONS)}")


if __name__ == "__main__":
    main()
