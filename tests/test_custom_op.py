"""Operators of one's own: in Python, and in C by the example of the documentation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgert
from edgert import Interpreter

from .build import Builder
from .support import ROOT, build_example, needs_compiler, run, with_library


def model(name: str, options: bytes = b"", outputs: int = 1, dtype: str = "float32") -> bytes:
    b = Builder()
    x = b.main.input((2, 3), dtype)
    y = [b.main.tensor((2, 3), dtype) for _ in range(outputs)]
    b.main.op(name, [x], y, custom=options)
    twice = b.main.tensor((2, 3), dtype)
    b.main.op("ADD", [y[0], y[0]], [twice])
    b.main.outputs(*y, twice)
    return b.bytes()


X = np.arange(6, dtype=np.float32).reshape(2, 3) / 2


def test_a_function_is_an_operator() -> None:
    edgert.custom_op("TestSinh")(np.sinh)
    y, twice = run(Interpreter(model_content=model("TestSinh")), [X])
    np.testing.assert_array_equal(y, np.sinh(X))
    np.testing.assert_array_equal(twice, y + y)


def test_options_several_outputs_and_shapes() -> None:
    @edgert.custom_op("TestSplit", shape=lambda x: [(x[1], x[0]), (1,)])
    def split(x: np.ndarray, options: bytes) -> tuple[np.ndarray, np.ndarray]:
        return x.T * np.float32(options[0]), x.sum(keepdims=True).reshape(1)

    b = Builder()
    x, y, z = b.main.input((2, 3), "float32"), b.main.tensor((9,), "float32"), b.main.tensor((9,), "float32")
    b.main.op("TestSplit", [x], [y, z], custom=bytes([5]))
    b.main.outputs(y, z)
    a, total = run(Interpreter(model_content=b.bytes()), [X])
    np.testing.assert_array_equal(a, X.T * 5)
    assert total == X.sum()


def test_mistakes_are_messages() -> None:
    edgert.custom_op("TestRaises")(lambda x: 1 / 0)
    edgert.custom_op("TestShape")(lambda x: x[:1])
    edgert.custom_op("TestType")(lambda x: x.astype(np.float64))
    for name, message in (
        ("TestRaises", "ZeroDivisionError"),
        ("TestShape", r"output 0 is float32\[1, 3\], expected float32\[2, 3\]"),
        ("TestType", "float64"),
    ):
        with pytest.raises(RuntimeError, match=f"{name}.*{message}"):
            run(Interpreter(model_content=model(name)), [X])
    with pytest.raises(ValueError, match="needs a name"):
        edgert.custom_op("")(lambda x: x)


def test_the_newest_definition_counts() -> None:
    edgert.custom_op("TestAgain")(lambda x: x + 1)
    edgert.custom_op("TestAgain")(lambda x: x + 2)
    np.testing.assert_array_equal(run(Interpreter(model_content=model("TestAgain")), [X])[0], X + 2)


def test_the_python_example(tmp_path: Path) -> None:
    path = tmp_path / "sinh.tflite"
    path.write_bytes(model("Sinh"))
    out = subprocess.run(
        [sys.executable, ROOT / "examples/custom_op/custom_op.py", path], capture_output=True, text=True, check=True
    ).stdout
    assert "1.17" in out


@needs_compiler
def test_the_c_example(tmp_path: Path) -> None:
    path, program = tmp_path / "sinh.tflite", build_example("custom_op", tmp_path)
    path.write_bytes(model("Sinh"))
    r = subprocess.run([program, path], capture_output=True, text=True, env=with_library())
    assert r.returncode == 0, r.stderr
    np.testing.assert_allclose([float(v) for v in r.stdout.split()], np.sinh(np.arange(6) * 0.5), rtol=1e-4)


def test_one_s_own_takes_the_place_of_edgert_s() -> None:
    """In a process of its own: a registration lasts."""
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
import numpy as np, edgert
from tests.test_custom_op import model, X
from tests.support import run
edgert.custom_op("TFLite_Detection_PostProcess")(lambda x: x * 3)
assert (run(edgert.Interpreter(model_content=model("TFLite_Detection_PostProcess")), [X])[0] == X * 3).all()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_shows_the_examples_as_they_are() -> None:
    page = (ROOT / "docs/custom_ops.md").read_text()
    python, c = (re.findall(rf"```{language}\n(.*?)```", page, re.S) for language in ("python", "c"))
    assert python[0] in (ROOT / "examples/custom_op/custom_op.py").read_text()
    source = "".join((ROOT / "examples/custom_op/custom_op.c").read_text().replace("    (void)user;\n", "").split())
    for part in c[0].split("\n\n"):
        assert "".join(part.split()).replace("edgert_register_op(&sinh_op,&error);", "") in source, part
