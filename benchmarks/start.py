"""What a model costs besides its arithmetic: import, opening and planning, memory, packed weights, and the fixed cost of an invoke.

usage: start.py MODEL.tflite

Each figure is the median of several fresh processes but for the invoke, which is the least of many: of a model of one tiny operator,
from Python, and the call into C alone. Memory that is a process's own is what other processes with the model cannot share.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

PROBE = """
import json, sys, time
import numpy
def resident(kind="VmRSS"):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(kind + ":"))
base, own, cache = resident(), resident("RssAnon"), {"weight_cache": sys.argv[2]} if len(sys.argv) > 2 else {}
begin = time.perf_counter()
import edgert
imported = time.perf_counter() - begin
begin = time.perf_counter()
it = edgert.Interpreter(sys.argv[1], **cache)
it.allocate_tensors()
planned = time.perf_counter() - begin
it.invoke()
grown, own = resident() - base, resident("RssAnon") - own
again = []
for _ in range(10):
    begin = time.perf_counter()
    other = edgert.Interpreter(sys.argv[1], **cache)
    other.allocate_tensors()
    again.append(time.perf_counter() - begin)
    del other
memory = it._memory()
print(json.dumps({"import ms": imported * 1e3, "open and plan, first, ms": planned * 1e3, "open and plan, again, ms": min(again) * 1e3,
                  "resident over numpy MB": grown / 1e6, "  of it its own MB": own / 1e6, "packed MB": memory["packed"] / 1e6, "plan MB": memory["plan"] / 1e6, "arena MB": memory["arena"] / 1e6,
                  "file MB": memory["model"] / 1e6}))
"""


def tiny_model() -> bytes:
    import numpy as np
    from edgert.converters.export import to_tflite
    from edgert.converters.ir import Graph, Node, Quantization, Tensor

    g = Graph("tiny")
    q = Quantization(np.array([0.1], np.float32), np.array([0], np.int64))
    g.inputs.append(g.add_tensor(Tensor("x", (1, 4), "int8", None, q)))
    g.add_tensor(Tensor("y", (1, 4), "int8", None, q))
    g.nodes.append(Node("ADD", ["x", "x"], ["y"], {}, "y"))
    g.outputs.append("y")
    return to_tflite(g)


def invoke_cost() -> tuple[float, float]:
    """Microseconds of an invoke that computes next to nothing: from Python, and of the call into C alone."""
    import time

    from edgert import Interpreter
    from edgert.binding import lib

    it = Interpreter(model_content=tiny_model())
    it.allocate_tensors()

    def best(call: object, repeats: int) -> float:
        least = float("inf")
        for _ in range(200):
            begin = time.perf_counter()
            for _ in range(repeats):
                call()  # type: ignore[operator]
            least = min(least, (time.perf_counter() - begin) / repeats)
        return least * 1e6

    handle, error = it._handle, it._error
    python = best(it.invoke, 200)
    c = best(lambda: lib.edgert_invoke(handle, error), 200)
    return python, c


def probe(*arguments: str) -> dict[str, float]:
    """Medians of some processes."""
    runs = []
    for _ in range(9):
        done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"start.py: {done.stderr.strip().splitlines()[-1]}")
        runs.append(json.loads(done.stdout))
    return {key: median(r[key] for r in runs) for key in runs[0]}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    a = p.parse_args()
    for key, value in probe(str(a.model)).items():
        print(f"{key:36} {value:8.2f}")
    with tempfile.TemporaryDirectory() as folder:
        cached = probe(str(a.model), f"{folder}/weights")
    for key in ("open and plan, again, ms", "resident over numpy MB", "  of it its own MB"):
        print(f"{key.strip() + ', weight_cache':36} {cached[key]:8.2f}")
    python, c = invoke_cost()
    print(f"{'invoke from Python, us':36} {python:8.2f}   (with an ADD of four numbers)")
    print(f"{'  of it the call into C, us':36} {c:8.2f}   (cffi's part included)")


if __name__ == "__main__":
    main()
