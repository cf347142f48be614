"""The models of the operators' tests (native/fuzz/seeds), of every float operator that edgert runs, through the converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgert.converters.convert import convert
from edgert.converters.importers import load

from edgert import EdgertError, Interpreter
from edgert.preprocess import quantize

from ..support import reference, run

SEEDS = sorted((Path(__file__).resolve().parents[2] / "native/fuzz/seeds").iterdir())


def samples_of(graph: Any) -> list[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(0)

    def value(name: str) -> np.ndarray:
        t = graph.tensors[name]
        if t.dtype == "float32":
            return np.asarray(rng.uniform(-2, 2, t.shape), np.float32)
        return np.asarray(rng.integers(0, 2, t.shape)).astype(t.dtype)

    return [tuple(value(i) for i in graph.inputs) for _ in range(4)]


def check(path: Path, scheme: str) -> bool:
    """False where the model cannot be converted, or run with drawn values (indices that lie outside, divisions by 0)."""
    try:
        graph = load(path)
        samples = samples_of(graph)
        original = path.read_bytes()
        run(Interpreter(model_content=original), [*samples[0]])
        result = convert(path, samples, scheme=scheme)
    except EdgertError:
        return False
    except RuntimeError:  # of the interpreter
        return False
    ours = Interpreter(model_content=result.model)
    ours.allocate_tensors()
    inputs = [
        quantize(x, d) if x.dtype == np.float32 and d["dtype"] != np.float32 else x.astype(d["dtype"])
        for x, d in zip(samples[0], ours.get_input_details())
    ]
    got, expected = run(ours, inputs), reference(result.model, inputs)
    if expected is None:
        assert reference(original, [*samples[0]]) is None, f"{path.name}: LiteRT runs the model, but not what became of it"
        return True
    for a, b in zip(got, expected):
        assert a.shape == b.shape and a.dtype == b.dtype, path.name
        if a.dtype.kind == "f":
            largest = float(np.abs(b).max(initial=1e-3, where=np.isfinite(b)))
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * largest, err_msg=path.name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=path.name)
    return True


@pytest.mark.parametrize("scheme", ["int8", "16x8", "dynamic", "weight-int4"])
def test_every_operator(scheme: str) -> None:
    converted = sum(check(path, scheme) for path in SEEDS)
    assert converted > 300, converted


def test_custom_operators_are_refused_by_name() -> None:
    refused = 0
    for path in SEEDS:
        try:
            load(path)
        except EdgertError as e:
            refused += 'the custom operator "' in str(e) and path.name in str(e)
    assert refused > 5
