"""Masks of sequences, and of attention, in integers: scores keep their steps, and LiteRT gives the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgert.converters import passes
from edgert.converters.calibrate import calibrate
from edgert.converters.convert import convert
from edgert.converters.export import to_tflite
from edgert.converters.ir import Graph, Node, Tensor
from edgert.converters.passes.sum_as_mean import sum_as_mean
from edgert.converters.quantize import quantize_static

from edgert import Interpreter
from edgert.preprocess import dequantize, quantize

from ..support import reference, run, run_graph
from .keras_cases import CASES, inputs_of
from .keras_models import randomize

LOWEST = float(np.finfo(np.float32).min)


def ratio(model: bytes, expected: list[list[np.ndarray]], samples: list[tuple[np.ndarray, ...]]) -> float:
    """Signal to noise of a model's outputs, in decibels; on the way the bytes are compared with LiteRT's."""
    it = Interpreter(model_content=model)
    signal = noise = 1e-12
    for sample, floats in zip(samples, expected):
        inputs = [quantize(x, d) if d["dtype"] in (np.int8, np.int16) else x for x, d in zip(sample, it.get_input_details())]
        got, theirs = run(it, inputs), reference(model, inputs)
        assert theirs is not None
        for g, t, f, d in zip(got, theirs, floats, it.get_output_details()):
            np.testing.assert_array_equal(g, t)
            back = dequantize(g, d) if g.dtype != np.float32 else g
            signal, noise = signal + float((f**2).sum()), noise + float(((back - f) ** 2).sum())
    return float(10 * np.log10(signal / noise))


@pytest.mark.parametrize("scheme, least", [("int8", 25), ("16x8", 38)])
@pytest.mark.parametrize("name", ["masked_recurrent", "masked_merges", "masked_attention"])
def test_masked_models_in_integers(name: str, scheme: str, least: float, tmp_path: Path) -> None:
    model = randomize(CASES[name]())
    model.save(tmp_path / "m.keras")
    samples = [tuple(inputs_of(model, seed)) for seed in range(24)]
    result = convert(tmp_path / "m.keras", samples, scheme=scheme, rounding="nearest")
    real = Interpreter(model_content=result.float_model)
    assert ratio(result.model, [run(real, list(s)) for s in samples[:6]], samples[:6]) > least


def attention(kind: str, lowest: float) -> Graph:
    """softmax(q k' + mask) v: a constant mask, one that is computed as (1 - m) * lowest or made as 0 or the lowest, or a choice."""
    g = Graph("test")
    shapes = {"q": (1, 2, 6, 8), "k": (1, 2, 6, 8), "v": (1, 2, 6, 4), "m": (1, 1, 1, 6)}
    g.inputs = [g.add_tensor(Tensor(n, s)) for n, s in shapes.items()]
    g.input_names = list(shapes)
    scores = g.add("BATCH_MATMUL", ["q", "k"], (1, 2, 6, 6), adj_y=True)
    later = np.triu(np.ones((6, 6), bool), 1)
    if kind == "constant":
        scores = g.add("ADD", [scores, g.constant("c", np.where(later, np.float32(lowest), np.float32(0)))], (1, 2, 6, 6))
    elif kind == "computed":
        rest = g.add("SUB", [g.constant("one", np.float32(1)), "m"], (1, 1, 1, 6))
        mask = g.add("MUL", [rest, g.constant("lowest", np.float32(lowest))], (1, 1, 1, 6))
        scores = g.add("ADD", [mask, scores], (1, 2, 6, 6))
    elif kind == "made":
        condition = g.add_tensor(Tensor("seen", (1, 1, 1, 6), "bool"))
        g.nodes.append(Node("GREATER", ["m", g.constant("half", np.float32(0.5))], [condition], {}, "seen"))
        mask = g.add(
            "SELECT_V2", [condition, g.constant("zero", np.float32(0)), g.constant("lowest", np.float32(lowest))], (1, 1, 1, 6)
        )
        wide = g.add("BROADCAST_TO", [mask, g.constant("sizes", np.array([1, 2, 1, 6], np.int32))], (1, 2, 1, 6))
        scores = g.add("ADD", [scores, wide], (1, 2, 6, 6))
    else:
        condition = g.add_tensor(Tensor("seen", (1, 1, 1, 6), "bool"))
        g.nodes.append(Node("GREATER", ["m", g.constant("half", np.float32(0.5))], [condition], {}, "seen"))
        scores = g.add("SELECT_V2", [condition, scores, g.constant("lowest", np.float32(lowest))], (1, 2, 6, 6))
    weights = g.add("SOFTMAX", [scores], (1, 2, 6, 6), beta=1.0)
    g.outputs = [g.add("BATCH_MATMUL", [weights, "v"], (1, 2, 6, 4))]
    g.output_names = ["y"]
    return g


@pytest.mark.parametrize("kind, lowest", [
    ("constant", -1e9), ("constant", LOWEST), ("constant", -np.inf), ("constant", -10000.0), ("computed", -10000.0), ("computed", LOWEST),
    ("choice", LOWEST), ("choice", -np.inf), ("made", -np.inf), ("made", LOWEST),
])  # fmt: skip
@pytest.mark.parametrize("scheme, least", [("int8", 27), ("int16", 55)])
def test_what_masks_attention_costs_no_steps(kind: str, lowest: float, scheme: str, least: float) -> None:
    rng = np.random.default_rng(0)
    g = attention(kind, lowest)
    samples = []
    for i in range(30):
        x: list[Any] = [rng.uniform(-1.5, 1.5, g.tensors[n].shape).astype(np.float32) for n in ("q", "k", "v")]
        seen = np.ones((1, 1, 1, 6), np.float32)
        seen[..., 1 + i % 6 :] = 0  # at least one position is seen
        samples.append((*x, seen))
    ranges = calibrate(g, samples[:20])
    # Rows that are masked as a whole, in the models that have a mask as an input, widen nothing either.
    nothing = [(*s[:3], np.zeros_like(s[3])) for s in samples[:2]] if kind == "choice" and np.isfinite(lowest) else []
    low, _ = calibrate(g, samples[:20] + nothing)[next(n.inputs[0] for n in g.nodes if n.op == "SOFTMAX")]
    assert low > -20
    model = to_tflite(quantize_static(g, ranges, scheme, scheme, kind=scheme))
    expected = [run_graph(g, list(s)) for s in samples[20:]]
    assert ratio(model, expected, samples[20:]) > least


@pytest.mark.parametrize("scheme, least", [("int8", 30), ("16x8", 70)])
def test_sums_are_means_in_integers(scheme: str, least: float) -> None:
    """LiteRT's own SUM is wrong for int8 and int16."""
    g = Graph("test", inputs=["x"], input_names=["x"])
    g.add_tensor(Tensor("x", (1, 5, 7, 3)))
    g.outputs = [g.add("SUM", ["x", g.constant("axes", np.array([1, -2], np.int32))], (1, 1, 1, 3), keep_dims=True)]
    g.output_names = ["y"]
    samples = [(np.random.default_rng(i).uniform(-1, 2, (1, 5, 7, 3)).astype(np.float32),) for i in range(20)]
    expected = [run_graph(g, list(s)) for s in samples]
    assert sum_as_mean(g)
    passes.run(g)
    assert [n.op for n in g.nodes] == ["MEAN", "MUL"]
    for s, e in zip(samples, expected):
        np.testing.assert_allclose(run_graph(g, list(s))[0], e[0], rtol=1e-5)
    kind = "int8" if scheme == "int8" else "int16"
    model = to_tflite(quantize_static(g, calibrate(g, samples), kind, kind, kind=kind))
    assert ratio(model, expected, samples) > least
