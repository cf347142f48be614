"""Real models: the golden answers, thread counts, preprocessing accuracy. Needs the folder beside the project."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgert
from edgert import Interpreter

from .conftest import shared_folder

SHARED = shared_folder()
ENTRIES = {e["name"]: e for e in json.loads((SHARED / "zoo/index.json").read_text())} if SHARED else {}
# Every model with answers must give them.
MUST_PASS = sorted(name for name, e in ENTRIES.items() if "golden" in e)


def test_the_zoo_has_its_answers() -> None:
    assert not ENTRIES or len(MUST_PASS) >= 165


@pytest.mark.parametrize("name", MUST_PASS)
def test_golden(shared: Path, name: str) -> None:
    threads = 1 + sum(name.encode()) % 4  # any number gives the same bytes
    entry = ENTRIES[name]
    it = Interpreter(model_path=shared / "zoo" / entry["file"], num_threads=threads)
    it.allocate_tensors()
    data = np.load(shared / "zoo" / entry["golden"])
    for s in range(entry["steps"]):
        for j, d in enumerate(it.get_input_details()):
            it.set_tensor(d["index"], data[f"in{j}_{s}"])
        it.invoke()
        for j, d in enumerate(it.get_output_details()):
            expected, got = data[f"out{j}_{s}"], it.get_tensor(d["index"])
            assert got.shape == expected.shape and got.dtype == expected.dtype
            if expected.dtype.kind == "f":
                largest = max(float(np.abs(expected).max(initial=0)), 1e-6)
                np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 * largest)
            else:
                np.testing.assert_array_equal(got, expected)


def test_every_model_runs_or_says_why(shared: Path) -> None:
    """All other models of the zoo: refused with a sentence that names what is missing, or run; never a crash."""
    code = """
import sys, numpy as np, edgert
for path in sys.argv[1:]:
    try:
        it = edgert.Interpreter(model_path=path, time_limit=10)
        it.allocate_tensors()
        for d in it.get_input_details():
            it.set_tensor(d["index"], np.zeros(d["shape"], d["dtype"]))
        it.invoke()
        print("ran", path)
    except (edgert.EdgertError, ValueError) as e:
        assert path in str(e) and len(str(e)) > len(path) + 15, str(e)
        print("refused", e)
    except RuntimeError as e:  # while it ran: loops that zeros do not end, divisions by 0
        print("failed", e)
"""
    paths = [str(shared / "zoo" / e["file"]) for e in ENTRIES.values()]
    r = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, timeout=600)
    assert r.returncode == 0, r.stderr[-2000:]
    lines = r.stdout.splitlines()
    assert len(lines) == len(paths) and sum(line.startswith("ran") for line in lines) >= len(MUST_PASS)


@pytest.mark.parametrize("isa", ["generic", "avx2", "avxvnni", "avx512vnni", "neon", "dotprod", "i8mm"])
def test_same_bytes_however_planned(shared: Path, isa: str) -> None:
    """Whole models on each instruction set that this machine has, with 1 to 4 threads, with all, some and no rewrites of the plan."""
    code = f"""
import os, numpy as np, edgert
for name in ("vww_96_int8", "mobilenet_v1_0.25_128_quant", "pretrainedResnet_quant", "movenet_single_pose_lightning_ptq"):
    golden = np.load({str(shared / "zoo")!r} + "/" + name + ".golden.npz")
    first = None
    for threads in (1, 2, 3, 4):
        for fuse in ("1", "0", "all"):
            os.environ["EDGERT_FUSE"] = fuse
            it = edgert.Interpreter(model_path={str(shared / "zoo")!r} + "/" + name + ".tflite", num_threads=threads)
            it.allocate_tensors()
            it.set_tensor(it.get_input_details()[0]["index"], golden["in0_0"])
            it.invoke()
            got = it.get_tensor(it.get_output_details()[0]["index"])
            first = first if (threads, fuse) != (1, "1") else got
            assert np.array_equal(got, first) and np.allclose(got, golden["out0_0"], rtol=1e-6, atol=0), (name, threads, fuse)
            if os.environ["EDGERT_ISA"] == "generic" and name.startswith("movenet"):
                break
print("equal")
"""
    r = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "EDGERT_ISA": isa}, timeout=300
    )
    if r.returncode and "cannot be used" in r.stderr:
        pytest.skip(f"this CPU has no {isa}")
    assert r.returncode == 0 and r.stdout == "equal\n", r.stderr


def test_accuracy_of_mobilenet_through_our_preprocessing(shared: Path) -> None:
    """MobileNet v2 on the 400 evaluation pictures: LiteRT has 0.8825."""
    with (shared / "data/imagenet/labels.csv").open() as f:
        rows = [r for r in csv.DictReader(f) if r["split"] == "evaluation"]
    model = edgert.load(shared / "zoo/mobilenet_v2_1.0_224_quant.tflite", num_threads=2)
    assert model.labels is not None and model.labels[1].startswith("tench")
    right = sum(int(model(shared / "data/imagenet" / r["file"]).argmax()) - 1 == int(r["class"]) for r in rows)
    assert len(rows) == 400 and 0.87 <= right / len(rows) <= 0.89
