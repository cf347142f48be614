"""What llvm-mca says of the inner loops of the 8-bit matrix products: multiply-adds a cycle, and of them the share of what the core's
multiplier could do.

usage: mca.py [--llvm-mca PROGRAM] [--zig "COMMAND"]

Compiles native/src/kernels/*/qgemm.c with zig (PyPI's ziglang), finds the loop of the main tile in the assembly, the one with the most
products of four panels, and runs it through llvm-mca with its loads. The limit is the same loop's products alone, each with a sum of its
own. Cortex-A76 has no model in LLVM; Neoverse N1, which is that core for servers, has one.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Kernel, zig's name of its instructions, the instructions that multiply, and how many multiply-adds each has.
KERNELS = {
    "neon": ("generic", r"s(mull|mlal)2?$", 8),
    "dotprod": ("generic+dotprod", r"sdot$", 16),
    "i8mm": ("generic+dotprod+i8mm", r"smmla$", 32),
}
CORES = {
    "cortex-a53": ("cortex-a53", ["neon"]),
    "cortex-a55": ("cortex-a55", ["neon", "dotprod"]),
    "cortex-a72": ("cortex-a72", ["neon"]),
    "cortex-a76": ("neoverse-n1", ["neon", "dotprod"]),
    "neoverse-v1 (i8mm)": ("neoverse-v1", ["neon", "dotprod", "i8mm"]),
}


def assembly(zig: list[str], kernel: str) -> list[str]:
    """Instructions and labels of a kernel's file, one a line."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kernel.s"
        source = ROOT / f"native/src/kernels/{kernel}/qgemm.c"
        flags = [
            "-O2",
            "-std=c11",
            "-fPIC",
            "-ffp-contract=off",
            "-fno-asynchronous-unwind-tables",
            "-g0",
            "-Wno-unused-command-line-argument",
            f"-I{ROOT / 'native/src'}",
            f"-I{ROOT / 'native/include'}",
        ]
        subprocess.run(
            [*zig, "cc", "-target", "aarch64-linux-gnu", f"-mcpu={KERNELS[kernel][0]}", *flags, "-S", "-o", out, source],
            check=True,
        )
        lines = (line.split("//")[0].strip() for line in out.read_text().splitlines())
        return [line for line in lines if line and not (line.startswith(".") and not line.endswith(":"))]


def operation(line: str) -> str:
    return line.split()[0]


def loops(lines: list[str]) -> list[list[str]]:
    """Bodies of loops, from label to the branch back, without labels."""
    at = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    found = []
    for i, line in enumerate(lines):
        target = line.split()[-1]
        if re.match(r"(b\.|b$|cbn?z|tbn?z)", operation(line)) and at.get(target, i) < i:
            found.append([x for x in lines[at[target] : i + 1] if not x.endswith(":")])
    return found


def main_loop(lines: list[str], kernel: str) -> list[str]:
    """The step of the tile with most sums: all of its products are in one loop."""
    products = re.compile(KERNELS[kernel][1])
    wanted = {"neon": 4 * 4 * 4, "dotprod": 2 * 4 * 5 * 4, "i8mm": 2 * 3 * 4 * 2}[kernel]  # two steps of the last two
    if kernel == "neon":  # products and additions are assembly: two ways of a step, of which the first that has all is taken
        blocks: list[list[str]] = [[]]
        for line in lines:
            if line.endswith(":") or re.match(r"(b$|b\.|cbn?z|tbn?z|ret)", operation(line)):
                blocks.append([])
            else:
                blocks[-1].append(line)
        candidates = [b for b in blocks if sum(bool(products.match(operation(x))) for x in b) == wanted]
    else:
        candidates = [b for b in loops(lines) if sum(bool(products.match(operation(x))) for x in b) == wanted]
    return min(candidates, key=len)


def cycles(mca: str, core: str, body: list[str]) -> float:
    """Of one iteration, over a thousand."""
    code = "\n".join(x for x in body if not re.match(r"(b\.|b$|cbn?z|tbn?z)", operation(x)))
    command = [mca, "-mtriple=aarch64", f"-mcpu={core}", "-mattr=+dotprod,+i8mm", "-iterations=1000"]
    said = subprocess.run(command, input=code, capture_output=True, text=True)
    if said.returncode:
        sys.exit(f"mca.py: {' '.join(command)}: {said.stderr[:500]}")
    found = re.search(r"Total Cycles:\s+(\d+)", said.stdout)
    assert found
    return int(found.group(1)) / 1000


def alone(body: list[str], kernel: str) -> list[str]:
    """The products without anything else, and none waits for another's sum."""
    products = [x for x in body if re.match(KERNELS[kernel][1], operation(x))]
    return [re.sub(r"v\d+(\.\w+), v\d+(\.\w+), v\d+", rf"v{i % 16}\1, v20\2, v21", x, count=1) for i, x in enumerate(products)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llvm-mca", default="llvm-mca")
    parser.add_argument("--zig", default=f"{sys.executable} -m ziglang")
    a = parser.parse_args()
    bodies = {k: main_loop(assembly(a.zig.split(), k), k) for k in KERNELS}
    print(
        "| core | kernel | instructions | multiply-adds | a cycle | limit | share |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for core, (model, kernels) in CORES.items():
        for kernel in kernels:
            body = bodies[kernel]
            macs = KERNELS[kernel][2] * sum(bool(re.match(KERNELS[kernel][1], operation(x))) for x in body)
            speed, limit = macs / cycles(a.llvm_mca, model, body), macs / cycles(a.llvm_mca, model, alone(body, kernel))
            print(f"| {core} | {kernel} | {len(body)} | {macs} | {speed:.1f} | {limit:.1f} | {speed / limit:.0%} |")


if __name__ == "__main__":
    main()
