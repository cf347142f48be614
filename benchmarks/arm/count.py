"""Instructions that one inference executes on Arm, counted under qemu-user: no times, but what a change does is seen to the last one.

usage: count.py MODEL.tflite ... [--cpu NAME ...] [--functions]

Builds the C library for aarch64 as the wheels have it (zig from PyPI; cmake and ninja too), and plugin.c with this machine's compiler. Needs
qemu-aarch64 with plugins (Debian: qemu-user).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "arm-count"


def run(command: list[str | Path]) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"count.py: {' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stderr


def counted(said: str) -> int:
    """The instructions of the last interval, of what the plugin says."""
    return int(said.split("instructions: ")[1].split()[0])


def build() -> tuple[Path, Path]:
    """The program and the plugin."""
    BUILD.mkdir(parents=True, exist_ok=True)
    zig = BUILD / "cc"
    zig.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ziglang cc -target aarch64-linux-musl -fno-sanitize=undefined "$@"\n')
    zig.chmod(0o755)
    run(["cmake", "-S", ROOT / "native", "-B", BUILD, "-G", "Ninja", f"-DCMAKE_C_COMPILER={zig}", "-DCMAKE_SYSTEM_NAME=Linux",
         "-DCMAKE_SYSTEM_PROCESSOR=aarch64", "-DCMAKE_BUILD_TYPE=Release", "-DEDGERT_TESTS=OFF", "-DEDGERT_TOOLS=OFF"])  # fmt: skip
    run(["cmake", "--build", BUILD, "-j2", "--target", "edgert_static"])
    program, plugin = BUILD / "invoke", BUILD / "libcount.so"
    run(
        [
            zig,
            "-O2",
            "-static",
            "-D_GNU_SOURCE",
            f"-I{ROOT / 'native/include'}",
            HERE / "invoke.c",
            BUILD / "libedgert.a",
            "-lm",
            "-o",
            program,
        ]
    )
    run(["cc", "-shared", "-fPIC", "-O2", "-o", plugin, HERE / "plugin.c"])
    return program, plugin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--cpu", nargs="+", default=["cortex-a72", "cortex-a76", "max"], help="qemu's names of cores")
    parser.add_argument("--functions", action="store_true", help="by function, too")
    a = parser.parse_args()
    program, plugin = build()
    print(f"| million instructions | {' | '.join(a.cpu)} |\n| --- |{' --- |' * len(a.cpu)}")
    for model in a.models:
        said = [run(["qemu-aarch64", "-cpu", cpu, "-plugin", plugin, program, model]) for cpu in a.cpu]
        counts = [counted(s) / 1e6 for s in said]
        print(f"| {model.stem} | {' | '.join(f'{c:.2f}' for c in counts)} |", flush=True)
        if a.functions:
            for cpu, s in zip(a.cpu, said):
                print(f"{cpu}:\n{s.split(chr(10), 1)[1]}")


if __name__ == "__main__":
    main()
