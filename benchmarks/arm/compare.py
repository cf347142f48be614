"""Instructions of one inference beside LiteRT's, both counted under qemu-user: the models for which edgert needs the largest share come first.
No times, but a kernel that is missing on Arm stands out.

usage: compare.py MODEL.tflite ... --root DIR [--cpu NAME]

DIR is an arm64 user space with usr/bin/python3.11, and numpy and ai-edge-litert (1.4.0: later ones do not run under qemu 7.2) in DIR/site.
A model that LiteRT does not run, or that takes longer than two minutes, is left out with a line that says so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

from count import HERE, build, counted

SECONDS = 120


def instructions(command: list[str | Path], **environment: str) -> int:
    """Of the last inference; raises ValueError with the reason where there was none."""
    try:
        done = subprocess.run(
            [str(c) for c in command], capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **environment}
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"more than {SECONDS} seconds") from None
    if done.returncode or "instructions: " not in done.stderr:
        raise ValueError((done.stderr.strip().splitlines() or ["nothing was counted"])[-1][:100])
    return counted(done.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--cpu", default="cortex-a76", help="qemu's name of a core")
    a = parser.parse_args()
    program, plugin = build()
    emulated = ["qemu-aarch64", "-cpu", a.cpu, "-plugin", plugin]
    python = [*emulated, "-E", f"PYTHONHOME={a.root}/usr", "-E", f"PYTHONPATH={a.root}/site", a.root / "usr/bin/python3.11"]
    rows = []
    for model in a.models:
        try:
            ours = instructions([*emulated, program, model])
            theirs = instructions([*python, HERE / "litert.py", model], QEMU_LD_PREFIX=str(a.root))
        except ValueError as e:
            print(f"{model.stem}: left out: {e}", flush=True)
            continue
        rows.append((ours / theirs, model.stem, ours, theirs))
    print("| model | edgert | LiteRT | share |\n| --- | --- | --- | --- |")
    for share, name, ours, theirs in sorted(rows, reverse=True):
        print(f"| {name} | {ours:,} | {theirs:,} | {share:.2f} |")


if __name__ == "__main__":
    main()
