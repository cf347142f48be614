"""What docs/running.md shows, run as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgert import Interpreter

from .support import ROOT, build_example, needs_compiler, run, with_library

PAGE = (ROOT / "docs/running.md").read_text()
MODEL = ROOT / "native/tests/data/int8.tflite"


def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(MODEL, tmp_path / "model.tflite")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(blocks) == 7
    names: dict[str, Any] = {}
    exec("\n".join(blocks), names)  # each goes on where the one before ends
    shape, dtype = (names["image"][k] for k in ("shape", "dtype"))
    zero = run(Interpreter(MODEL), [np.zeros(shape, dtype)])
    np.testing.assert_array_equal(names["best"], zero[1])
    assert names["answers"] == [run(Interpreter(MODEL), [np.full(shape, v, dtype)])[0].argmax() for v in range(8)]
    assert len(names["scores"]) == 3 and (tmp_path / "model.weights").stat().st_size > 0


@needs_compiler
def test_the_program_of_the_page(tmp_path: Path) -> None:
    program = build_example("run_model", tmp_path)
    it = Interpreter(MODEL)
    x = np.random.default_rng(0).integers(0, 256, it.get_input_details()[0]["shape"]).astype(np.uint8)
    done = subprocess.run([program, MODEL], input=x.tobytes(), capture_output=True, env=with_library())
    assert done.returncode == 0, done.stderr
    assert done.stdout == run(it, [x])[0].tobytes()
    done = subprocess.run([program, MODEL], input=b"few", capture_output=True, env=with_library())
    assert done.returncode == 1 and b'shorter than the 432 bytes of tensor "x' in done.stderr
    done = subprocess.run([program, "none.tflite"], input=b"", capture_output=True, env=with_library())
    assert done.returncode == 1 and b"none.tflite" in done.stderr
    source = "".join((ROOT / "examples/run_model/run_model.c").read_text().split())
    for shown in re.findall(r"```c\n(.*?)```", PAGE, re.S):
        assert "".join(shown.split()) in source
