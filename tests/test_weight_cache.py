"""A file of packed weights: the same answers, once written, whatever lies there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgert import Interpreter

from .support import Model

MODELS = Path(__file__).resolve().parent.parent / "native/tests/data"


def answers(model: Path, cache: Path | None = None) -> list[bytes]:
    it = Interpreter(model_path=model, weight_cache=cache)
    it.allocate_tensors()
    rng = np.random.default_rng(0)
    for d in it.get_input_details():
        it.set_tensor(d["index"], rng.integers(0, 100, d["shape"]).astype(d["dtype"]))
    it.invoke()
    return [it.get_tensor(d["index"]).tobytes() for d in it.get_output_details()]


def product(path: Path, seed: int) -> Path:
    """A model of always the same size."""
    m, rng = Model(), np.random.default_rng(seed)
    m.input("x", (3, 40), "int8", 0.1)
    m.tensor("w", (50, 40), "int8", rng.integers(-127, 128, (50, 40)).astype(np.int8), 0.02)
    m.tensor("y", (3, 50), "int8", scale=0.5)
    m.op("FULLY_CONNECTED", ["x", "w"], "y")
    path.write_bytes(m.bytes())
    return path


@pytest.mark.parametrize("name", ["int8", "float32", "chains_uint8"])
def test_written_once_then_read(name: str, tmp_path: Path) -> None:
    model, cache = MODELS / f"{name}.tflite", tmp_path / "weights"
    expected = answers(model)
    assert answers(model, cache) == expected
    written = cache.stat()
    assert os.listdir(tmp_path) == ["weights"]
    assert answers(model, cache) == expected
    assert cache.stat() == written or cache.stat().st_mtime_ns == written.st_mtime_ns
    if sys.platform == "linux":
        it = Interpreter(model_path=model, weight_cache=cache)
        assert str(cache) in Path("/proc/self/maps").read_text(), "it is not mapped"
        it.allocate_tensors()


def test_another_model_in_its_place(tmp_path: Path) -> None:
    cache = tmp_path / "weights"
    for seed in (1, 2, 1):
        model = product(tmp_path / "model.tflite", seed)
        os.utime(model, (0, 0))
        assert answers(model, cache) == answers(model)
        before = cache.read_bytes()
        answers(model, cache)
        assert cache.read_bytes() == before


def test_instruction_sets_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, cache = product(tmp_path / "model.tflite", 1), tmp_path / "weights"
    expected = answers(model, cache)
    one = cache.stat().st_size
    monkeypatch.setenv("EDGERT_ISA", "generic")
    assert answers(model, cache) == expected
    both = cache.read_bytes()
    assert len(both) >= one
    monkeypatch.delenv("EDGERT_ISA")
    assert answers(model, cache) == expected
    assert cache.read_bytes() == both


@pytest.mark.parametrize("content", [b"", b"edgert weights", b"\0" * 5000, b"edgert weights\n\0" + b"\xff" * 4000])
def test_something_else_is_written_over(content: bytes, tmp_path: Path) -> None:
    model, cache = product(tmp_path / "model.tflite", 1), tmp_path / "weights"
    cache.write_bytes(content)
    assert answers(model, cache) == answers(model)
    assert cache.read_bytes() != content


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    model, cache = product(tmp_path / "model.tflite", 1), tmp_path / "nowhere" / "weights"
    it = Interpreter(model_path=model, weight_cache=cache)
    with pytest.raises(OSError, match=r"nowhere/weights: cannot write the file: No such file"):
        it.allocate_tensors()
    it.invoke()
    cache.parent.mkdir()
    cache.mkdir()
    with pytest.raises(OSError, match=r"nowhere/weights: cannot write the file"):
        Interpreter(model_path=model, weight_cache=cache).allocate_tensors()
    assert os.listdir(cache.parent) == ["weights"], "a temporary file is left"


def test_many_processes_at_once(tmp_path: Path) -> None:
    model, cache = MODELS / "int8.tflite", tmp_path / "weights"
    program = "import sys; from edgert import Interpreter; it = Interpreter(model_path=sys.argv[1], weight_cache=sys.argv[2]); it.allocate_tensors()"
    running = [subprocess.Popen([sys.executable, "-c", program, model, cache]) for _ in range(4)]
    assert [p.wait() for p in running] == [0] * 4
    assert os.listdir(tmp_path) == ["weights"]
    assert answers(model, cache) == answers(model)
