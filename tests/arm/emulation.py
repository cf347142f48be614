"""Arm on this machine: levels of the architecture, qemu-user, and small user spaces made of Debian's packages."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Level:
    """processor: as in the names of build_wheels.py; cpu: qemu's name; isa: what edgert is to pick there."""

    processor: str
    cpu: str
    isa: str

    @property
    def qemu(self) -> list[str]:
        return ["qemu-aarch64" if self.processor == "aarch64" else "qemu-arm", "-cpu", self.cpu]


LEVELS = [
    Level("armv6l", "arm1176", "generic"),
    Level("armv7l", "cortex-a7", "neon"),
    Level("aarch64", "cortex-a53", "neon"),
    Level("aarch64", "cortex-a72", "neon"),
    Level("aarch64", "cortex-a76", "dotprod"),
    Level("aarch64", "max", "i8mm"),
]


def unavailable(why: str) -> None:
    """Skips a test, or fails it where EDGERT_REQUIRE_ARM asks for all of them."""
    assert not os.environ.get("EDGERT_REQUIRE_ARM"), f"EDGERT_REQUIRE_ARM is set, but {why}"
    pytest.skip(why)


def built(name: str) -> Path:
    """A file of build_wheels.py: in dist/, or in EDGERT_DIST."""
    path = Path(os.environ.get("EDGERT_DIST", ROOT / "dist")) / name
    if not path.exists():
        unavailable(f"{path} is not there: run python scripts/build_wheels.py")
    return path


def run(command: list[str | Path], timeout: int = 600, **environment: str) -> str:
    program = str(command[0])
    if shutil.which(program) is None:
        unavailable(f"{program} is not installed (Debian: apt-get install qemu-user binutils)")
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


# What a Python with numpy and cffi consists of. Their libraries of linear algebra are in folders of their own.
_PYTHON = ["python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "python3-numpy", "python3-cffi-backend", "libc6", "libstdc++6", "libgcc-s1",
           "zlib1g", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5", "libssl3", "libuuid1", "libcrypt1", "libblas3", "liblapack3", "libgfortran5"]  # fmt: skip


def user_space(folder: Path, architecture: str, packages: list[str]) -> Path:
    """Unpacks Debian's packages of a foreign architecture, which apt is told about."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        unavailable("apt-get and dpkg are not there to fetch a user space with")
    with (Path(tempfile.gettempdir()) / "edgert-apt.lock").open("w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = subprocess.run(["dpkg", "--print-foreign-architectures"], capture_output=True, text=True).stdout.split()
        if architecture not in known:
            if os.geteuid() != 0:
                unavailable(
                    f"apt does not know {architecture} (as root: dpkg --add-architecture {architecture} && apt-get update)"
                )
            subprocess.run(["dpkg", "--add-architecture", architecture], check=True)
            # One of several indices may be out of reach: what is downloaded below decides.
            subprocess.run(["apt-get", "update", "-qq"], check=False)
    debs = folder / "packages"
    debs.mkdir(parents=True)
    fetched = subprocess.run(
        ["apt-get", "download", "-qq", *(f"{p}:{architecture}" for p in packages)], cwd=debs, capture_output=True, text=True
    )
    if fetched.returncode:
        unavailable(f"Debian's packages for {architecture} cannot be had: {fetched.stderr[-300:]}")
    for deb in debs.iterdir():
        subprocess.run(["dpkg", "-x", deb, folder], check=True)
    return folder


@dataclass(frozen=True)
class Python:
    """A foreign Python with edgert's wheel."""

    root: Path
    triple: str
    level: Level

    def __call__(self, code: str, **environment: str) -> str:
        libraries = self.root / "usr/lib" / self.triple
        guest = {
            "PYTHONHOME": f"{self.root}/usr",
            "PYTHONPATH": f"{self.root}/site:{self.root}/usr/lib/python3/dist-packages",
            "LD_LIBRARY_PATH": f"{libraries}/blas:{libraries}/lapack",
            **environment,
        }
        options = [word for key, value in guest.items() for word in ("-E", f"{key}={value}")]
        return run([*self.level.qemu, *options, self.root / "usr/bin/python3.11", "-c", code], QEMU_LD_PREFIX=str(self.root))


def foreign_python(folder: Path, wheel: Path, level: Level) -> Python:
    architecture, triple = ("arm64", "aarch64-linux-gnu") if level.processor == "aarch64" else ("armhf", "arm-linux-gnueabihf")
    root = user_space(folder, architecture, _PYTHON)
    # pip itself takes the wheel for that platform; numpy is there, cffi's Python part is from here, where it is as good.
    platform = wheel.name.removesuffix(".whl").split("-")[-1]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary=:all:", "--target", str(root / "site")]
    subprocess.run([*pip, "--platform", platform, "--python-version", "3.11", str(wheel)], check=True)
    return Python(root, triple, level)
