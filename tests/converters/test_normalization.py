"""Normalization stays in float, whatever form a framework has given it; everything around it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edgert.converters.convert import convert
from edgert.converters.importers import load
from edgert.converters.ir import Graph, Tensor
from edgert.converters.passes import run
from edgert.converters.quantize.normalization import normalizations

from edgert import Interpreter

from ..support import reference
from ..support import run as infer
from .keras_models import keras, layers, randomize

SHAPE, ROW = (1, 6, 8), (1, 6, 1)


def mean(g: Graph, x: str) -> str:
    return g.add("MEAN", [x, g.constant("axes", np.array([-1], np.int32))], ROW, keep_dims=True)


def variance(g: Graph, squares: str) -> str:
    return g.add("ADD", [mean(g, squares), g.constant("epsilon", np.float32(1e-5))], ROW)


def affine(g: Graph, y: str) -> str:
    y = g.add("MUL", [y, g.constant("gamma", np.linspace(0.5, 2, 8, dtype=np.float32))], SHAPE)
    return g.add("ADD", [y, g.constant("beta", np.linspace(-1, 1, 8, dtype=np.float32))], SHAPE)


def by_rsqrt(g: Graph) -> str:
    """As our own importers write it."""
    c = g.add("SUB", ["x", mean(g, "x")], SHAPE)
    return affine(g, g.add("MUL", [c, g.add("RSQRT", [variance(g, g.add("SQUARE", [c], SHAPE))], ROW)], SHAPE))


def by_division(g: Graph) -> str:
    """As torch.onnx writes it."""
    c = g.add("SUB", ["x", mean(g, "x")], SHAPE)
    square = g.add("POW", [c, g.constant("two", np.float32(2))], SHAPE)
    return affine(g, g.add("DIV", [c, g.add("SQRT", [variance(g, square)], ROW)], SHAPE))


def as_batch(g: Graph) -> str:
    """As TensorFlow writes it: x * a + (beta - mean * a)."""
    m = mean(g, "x")
    root = g.add("RSQRT", [variance(g, g.add("SQUARED_DIFFERENCE", ["x", m], SHAPE))], ROW)
    a = g.add("MUL", [root, g.constant("gamma", np.linspace(0.5, 2, 8, dtype=np.float32))], SHAPE)
    offset = g.add("SUB", [g.constant("beta", np.linspace(-1, 1, 8, dtype=np.float32)), g.add("MUL", [m, a], SHAPE)], SHAPE)
    return g.add("ADD", [g.add("MUL", ["x", a], SHAPE), offset], SHAPE)


def root_mean_square(g: Graph) -> str:
    root = g.add("RSQRT", [variance(g, g.add("MUL", ["x", "x"], SHAPE))], ROW)
    return affine(g, g.add("MUL", ["x", root], SHAPE))


@pytest.mark.parametrize("form", [by_rsqrt, by_division, as_batch, root_mean_square])
def test_all_of_a_normalization_is_found(form: Callable[[Graph], str]) -> None:
    g = Graph("test", inputs=["x"], input_names=["x"])
    g.add_tensor(Tensor("x", SHAPE))
    y = form(g)
    every = {n.outputs[0] for n in g.nodes}
    other = g.add("ADD", [y, g.add("RELU", ["x"], SHAPE)], SHAPE)
    g.outputs = [g.add("TANH", [other], SHAPE)]
    assert normalizations(g) == every


def test_roots_of_other_things_are_left_alone() -> None:
    g = Graph("test", inputs=["x"], input_names=["x"])
    g.add_tensor(Tensor("x", SHAPE))
    g.outputs = [g.add("SQRT", [mean(g, g.add("ABS", ["x"], SHAPE))], ROW), g.add("RSQRT", [g.add("EXP", ["x"], SHAPE)], SHAPE)]
    assert not normalizations(g)


@pytest.mark.parametrize("scheme, least", [("int8", 26), ("16x8", 42)])
def test_tokens_of_different_size(scheme: str, least: float, tmp_path: Path) -> None:
    """Variances differ by a factor of thousands: in integers more than six decibels are lost."""
    y = inp = layers.Input((24, 32))
    y = layers.Dense(32, activation="relu")(layers.LayerNormalization(epsilon=1e-6)(y))
    model = randomize(keras.Model(inp, layers.Dense(10)(layers.RMSNormalization()(y))))
    model.save(tmp_path / "m.keras")
    rng = np.random.default_rng(0)
    sizes = np.exp(1.2 * rng.standard_normal((40, 1, 24, 1)))
    samples = [((rng.standard_normal((1, 24, 32)) * s).astype(np.float32),) for s in sizes]
    result = convert(tmp_path / "m.keras", samples, scheme=scheme, input_type="float32")
    assert result.quality is not None and result.quality.sqnr > least
    assert len(result.normalized) == 2 and not result.kept_float and not result.raised
    ours = Interpreter(model_content=result.model)
    for (x,) in samples[:5]:
        theirs = reference(result.model, [x])
        assert theirs is not None
        np.testing.assert_array_equal(infer(ours, [x])[0], theirs[0])
    # An accelerator has no floats.
    whole = convert(tmp_path / "m.keras", samples, scheme=scheme, target="ethos-u65")
    assert not whole.normalized and whole.quality is not None and whole.quality.sqnr < least - 6
    assert normalizations(run(load(tmp_path / "m.keras")))


def test_ends_are_integers_where_floats_are_made_of_them(tmp_path: Path) -> None:
    """A model that begins and ends with a normalization takes and gives int8 all the same, and floats where it is asked to."""
    inp = layers.Input((6, 8))
    y = layers.Dense(8)(layers.LayerNormalization()(inp))
    keras.Model(inp, layers.UnitNormalization()(y)).save(tmp_path / "m.keras")
    samples = [(np.random.default_rng(i).standard_normal(SHAPE).astype(np.float32),) for i in range(20)]
    for ends in ("int8", "float32"):
        result = convert(tmp_path / "m.keras", samples, input_type=ends, output_type=ends)
        it = Interpreter(model_content=result.model)
        kinds = [d["dtype"] for d in (*it.get_input_details(), *it.get_output_details())]
        assert kinds == [np.dtype(ends)] * 2 and result.quality is not None and result.quality.sqnr > 25
