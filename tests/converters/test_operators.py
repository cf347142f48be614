"""The models of the operators' tests (native/fuzz/seeds), of every float operator that edgert runs, through the converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgert.converters.convert import Result, convert
from edgert.converters.importers import load

from edgert import ConversionError, EdgertError, Interpreter
from edgert.preprocess import quantize

from ..build import Builder
from ..support import reference, run
from .onnx_nodes import cases, in_the_table

SEEDS = sorted((Path(__file__).resolve().parents[2] / "native/fuzz/seeds").iterdir())


def samples_of(graph: Any) -> list[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(0)

    def value(name: str) -> np.ndarray:
        t = graph.tensors[name]
        if t.dtype == "float32":
            return np.asarray(rng.uniform(-2, 2, t.shape), np.float32)
        return np.asarray(rng.integers(0, 2, t.shape)).astype(t.dtype)

    return [tuple(value(i) for i in graph.inputs) for _ in range(4)]


def same_in_litert(model: bytes, sample: tuple[np.ndarray, ...], name: str) -> bool:
    """Whether LiteRT runs what became of a model; it must give edgert's answers then."""
    ours = Interpreter(model_content=model)
    ours.allocate_tensors()
    inputs = [
        quantize(x, d) if x.dtype == np.float32 and d["dtype"] != np.float32 else x.astype(d["dtype"])
        for x, d in zip(sample, ours.get_input_details())
    ]
    got, expected = run(ours, inputs), reference(model, inputs)
    for a, b in zip(got, expected or []):
        assert a.shape == b.shape and a.dtype == b.dtype, name
        if a.dtype.kind == "f":
            largest = float(np.abs(b).max(initial=1e-3, where=np.isfinite(b)))
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * largest, err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)
    return expected is not None


def check(path: Path, scheme: str) -> bool:
    """False where the model cannot be converted, or run with drawn values (indices that lie outside, divisions by 0)."""
    try:
        graph = load(path)
        samples = samples_of(graph)
        original = path.read_bytes()
        run(Interpreter(model_content=original), [*samples[0]])
        result = convert(path, samples, scheme=scheme)
    except RuntimeError:  # EdgertError, and those of the interpreter
        return False
    if not same_in_litert(result.model, samples[0], path.name):
        assert reference(original, [*samples[0]]) is None, f"{path.name}: LiteRT runs the model, but not what became of it"
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


def onnx_in_int8(case: Any) -> Result | None:
    """None where it cannot be converted."""
    try:
        graph = load(case.model)
        values = [np.asarray(x) for x in case.data_sets[0][0]]
        sample = tuple(x.astype(graph.tensors[i].dtype).reshape(graph.tensors[i].shape) for i, x in zip(graph.inputs, values))
    except (EdgertError, ValueError, TypeError):  # a size that is open, values that are no arrays
        return None
    try:
        result = convert(case.model, [sample] * 3, keep_layout=True)
    except EdgertError:
        return None
    if "l2normalization_axis_0" not in case.name:  # it divides 0 by 0
        same_in_litert(result.model, sample, case.name)
    return result


@pytest.mark.parametrize("value", [0, 2])
def test_states_of_float16(value: int, tmp_path: Path) -> None:
    """TensorFlow's converter writes the zeros that the states of a float16 LSTM begin with as a weight."""
    rng, b = np.random.default_rng(0), Builder()
    x, y = b.main.input((1, 3, 4), "float32"), b.main.tensor((1, 3, 5), "float32")
    states = [b.main.tensor((1, 5), "float32", variable=True) for _ in range(2)]
    for state in states:
        b.main.op("DEQUANTIZE", [b.main.constant(np.full((1, 5), value, np.float16))], [state])
    weights = [b.main.constant(rng.standard_normal((5, n)).astype(np.float32)) for n in (4, 4, 4, 4, 5, 5, 5, 5)]
    biases = [b.main.constant(np.zeros(5, np.float32)) for _ in range(4)]
    inputs = [x, *weights, *[-1] * 3, *biases, -1, -1, *states, *[-1] * 4]
    b.main.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y], fusedActivationFunction="TANH")
    b.main.outputs(y)
    path = tmp_path / "m.tflite"
    path.write_bytes(b.bytes())
    samples = [(rng.uniform(-2, 2, (1, 3, 4)).astype(np.float32),) for _ in range(4)]
    if value:
        with pytest.raises(ConversionError, match="begins with other values than 0"):
            convert(path, samples)
    else:
        result = convert(path, samples)
        assert result.quality is not None and result.quality.sqnr > 25
        assert same_in_litert(result.model, samples[0], path.name)


# Paddings of a maximum that are moved before it is taken, masks of minus infinity, and a function taken apart.
HARD = (
    "test_maxpool_2d_pads",
    "test_maxpool_2d_ceil",
    "test_maxpool_3d_dilations_use_ref_impl_large",
    "test_attention_4d_attn_mask_3d_causal_expanded",
    "test_erf",
)


def test_operators_of_onnx_in_int8() -> None:
    """A third of ONNX's own tests, and the hard ones."""
    known = [c for c in cases() if in_the_table(c.model)]
    found = {c.name: onnx_in_int8(c) for i, c in enumerate(known) if i % 3 == 0 or c.name in HARD}
    assert sum(r is not None for r in found.values()) > 200
    for name in HARD:
        result = found[name]
        assert result is not None and result.quality is not None and result.quality.sqnr > 25, (name, result and result.quality)
