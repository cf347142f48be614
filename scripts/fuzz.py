"""Fuzzes the C core: opening models, and opening, planning and running them, under address and undefined-behaviour sanitizers.

usage: fuzz.py [--minutes M | --runs N] [--seed S] [--build DIR] [--corpus DIR] [--coverage]
       fuzz.py --pack               puts the corpus into native/fuzz/corpus.tar.xz, where the next run of minutes begins
       fuzz.py --seeds DIR          chooses seeds for native/fuzz/seeds from the models that tests left (EDGERT_CORPUS=DIR pytest tests/ops)

Needs clang with libFuzzer, cmake and ninja. Both fuzzers run at once, on a process each. What they find lies in BUILD/crash-*; the exit
status is 1 then. What they draw differs from run to run (the log names the seed), but for --runs, which is for tests. `--coverage` prints the
share of lines that the corpus reaches, by folder (needs llvm-profdata and llvm-cov).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "native/fuzz"
PACKED = FUZZ / "corpus.tar.xz"


def tool(name: str) -> str:
    found = shutil.which(name) or next((p for v in range(22, 12, -1) if (p := shutil.which(f"{name}-{v}"))), None)
    if not found:
        raise SystemExit(
            f"fuzz.py: {name} is not installed (Debian: apt-get install clang libclang-rt-14-dev llvm cmake ninja-build)"
        )
    return found


def build(folder: Path, coverage: bool) -> None:
    sanitize = [] if coverage else ["-DEDGERT_SANITIZE=address,undefined"]
    options = [
        "-DEDGERT_FUZZ=ON",
        "-DEDGERT_TOOLS=OFF",
        "-DCMAKE_BUILD_TYPE=Debug" if coverage else "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_C_COMPILER={tool('clang')}",
    ]
    if coverage:
        options.append("-DEDGERT_COVERAGE=ON")
    subprocess.run(
        [tool("cmake"), "-S", ROOT / "native", "-B", folder, "-G", "Ninja", *options, *sanitize],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(
        [tool("cmake"), "--build", folder, "-j2", "--target", "fuzz_open", "fuzz_run"], check=True, stdout=subprocess.DEVNULL
    )


def choose_seeds(folder: Path) -> None:
    """The smallest model of each set of operators and types."""
    from edgert import EdgertError, Interpreter

    best: dict[tuple[object, ...], Path] = {}
    for path in sorted(folder.glob("*.tflite"), key=lambda p: (p.stat().st_size, p.name)):
        try:
            it = Interpreter(model_path=path)
        except (EdgertError, ValueError):
            continue
        key = tuple((o["op_name"], *(t.__name__ for t in o["operand_types"])) for o in it._get_ops_details())
        best.setdefault(key, path)
    for path in best.values():
        shutil.copy(path, FUZZ / "seeds" / path.name)
    print(f"{len(best)} seeds, {sum(p.stat().st_size for p in best.values())} bytes")


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def unpack(corpus: Path) -> None:
    if PACKED.exists() and not any(corpus.glob("*/*")):
        with tarfile.open(PACKED) as tar:
            tar.extractall(corpus, filter="data")


def pack(corpus: Path) -> None:
    with tempfile.TemporaryDirectory(dir=FUZZ) as temporary:
        whole = Path(temporary) / PACKED.name
        with tarfile.open(whole, "w:xz") as tar:
            for name in ("open", "run"):
                tar.add(corpus / name, name)
        whole.replace(PACKED)
    print(f"{PACKED}: {PACKED.stat().st_size} bytes")


def fuzz(folder: Path, corpus: Path, minutes: float, runs: int, seed: int) -> int:
    corpus.mkdir(parents=True, exist_ok=True)
    if not runs:
        unpack(corpus)
    limit = [f"-runs={runs}"] if runs else [f"-max_total_time={int(minutes * 60)}"]
    running, before = [], children_seconds()
    for name in ("open", "run"):
        (corpus / name).mkdir(exist_ok=True)
        command = [folder / f"tests/fuzz_{name}", corpus / name, FUZZ / "seeds", FUZZ / "regressions", *limit, "-max_len=60000", "-timeout=20", "-rss_limit_mb=3000",
                   f"-artifact_prefix={folder}/crash-{name}-", "-print_final_stats=1", f"-seed={seed}"]  # fmt: skip
        log = (folder / f"{name}.log").open("w")
        running.append((name, subprocess.Popen(command, stderr=log, stdout=log), folder / f"{name}.log"))
    failed = 0
    for name, process, path in running:
        status = process.wait()
        text = path.read_text(errors="replace")
        stats = [line for line in text.splitlines() if "number_of_executed_units" in line or "new_units_added" in line]
        print(f"fuzz_{name}: {'found something' if status else 'nothing found'}; {'; '.join(s.split('::')[-1] for s in stats)}")
        if status:
            failed = 1
            print(text[-6000:])
    print(f"{(children_seconds() - before) / 3600:.2f} CPU-hours")
    return failed


def coverage(folder: Path, corpus: Path) -> None:
    build(folder, True)
    profiles = []
    for name in ("open", "run"):
        profiles.append(folder / f"{name}.profraw")
        command = [
            folder / f"tests/fuzz_{name}",
            corpus / name,
            FUZZ / "seeds",
            FUZZ / "regressions",
            "-runs=0",
            "-max_len=60000",
        ]
        subprocess.run(command, check=True, env={"LLVM_PROFILE_FILE": str(profiles[-1])}, stderr=subprocess.DEVNULL)
    subprocess.run([tool("llvm-profdata"), "merge", "-o", folder / "all.profdata", *profiles], check=True)
    out = subprocess.run(
        [tool("llvm-cov"), "export", "-summary-only", f"-instr-profile={folder / 'all.profdata'}", folder / "tests/fuzz_run"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines: dict[str, list[int]] = {}
    for f in json.loads(out)["data"][0]["files"]:
        parts = Path(f["filename"]).parts
        if "src" in parts:
            where = parts[parts.index("src") + 1]
            total = lines.setdefault(where, [0, 0])
            total[0] += f["summary"]["lines"]["covered"]
            total[1] += f["summary"]["lines"]["count"]
    for where, (covered, count) in sorted(lines.items()):
        print(f"{where:10} {covered:6} of {count:6} lines, {100 * covered / max(count, 1):.1f}%")


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=float, default=5)
    p.add_argument("--runs", type=int, default=0)
    p.add_argument("--seed", type=int, help="of what is drawn; default: a new one, and 1 with --runs")
    p.add_argument("--build", type=Path, default=ROOT / "build/fuzz")
    p.add_argument("--corpus", type=Path, default=ROOT / "build/fuzz-corpus")
    p.add_argument("--coverage", action="store_true")
    p.add_argument("--pack", action="store_true")
    p.add_argument("--seeds", type=Path)
    a = p.parse_args()
    if a.seeds:
        choose_seeds(a.seeds)
        return 0
    if a.coverage:
        coverage(a.build.with_name(a.build.name + "-coverage"), a.corpus)
        return 0
    if a.pack:
        pack(a.corpus)
        return 0
    build(a.build, False)
    return fuzz(a.build, a.corpus, a.minutes, a.runs, a.seed if a.seed is not None else 1 if a.runs else 0)


if __name__ == "__main__":
    sys.exit(main())
