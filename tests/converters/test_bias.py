"""Bias correction, on data and by what batch normalization tells, and ranges that are moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgert.converters import passes
from edgert.converters.convert import convert
from edgert.converters.importers import load
from edgert.converters.quantize.expectations import clipped_normal, expectations, of_layer
from edgert.converters.quantize.reconstruction import run_samples, up_to
from edgert.converters.quantize.refine import shifted

from edgert import ConversionError

from .keras_models import keras, layers, randomize


@pytest.mark.parametrize("low, high", [(0.0, np.inf), (0.0, 6.0), (-1.0, 1.0)])
def test_the_mean_of_a_clipped_normal_variable(low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    mean, deviation = np.array([-3.0, -0.5, 0.0, 2.0, 7.0]), np.array([1.0, 2.0, 0.5, 3.0, 1e-9])
    drawn = np.clip(mean + deviation * rng.standard_normal((400_000, 5)), low, high).mean(0)
    np.testing.assert_allclose(clipped_normal(mean, deviation, low, high), drawn, atol=0.02)


def network() -> Any:
    """Convolutions with batch normalization, whose statistics are those of the data: normal, and mixed by each layer."""
    inp = layers.Input((10, 10, 6))
    x = layers.BatchNormalization(name="first")(inp)
    x = layers.ReLU(6.0, name="six")(layers.BatchNormalization(name="second")(layers.Conv2D(16, 1, use_bias=False)(x)))
    y = layers.Activation("swish", name="gated")(layers.BatchNormalization(name="third")(layers.Conv2D(24, 1, use_bias=False)(x)))
    y = layers.Concatenate(name="both")([x, y])
    return randomize(keras.Model(inp, layers.Conv2D(5, 1)(layers.AveragePooling2D(2, name="pooled")(y))))


def samples(n: int) -> list[tuple[np.ndarray]]:
    rng = np.random.default_rng(1)
    return [(rng.standard_normal((1, 10, 10, 6)).astype(np.float32),) for _ in range(n)]


def settle(model: Any, data: list[tuple[np.ndarray]]) -> Any:
    """Gives batch normalization the statistics of what it sees, layer by layer, as training does."""
    x = np.concatenate([s[0] for s in data])
    for name in ("first", "second", "third"):
        layer = model.get_layer(name)
        seen = np.asarray(keras.Model(model.input, layer.input)(x))
        gamma, beta, _, _ = layer.get_weights()
        layer.set_weights([gamma, beta, seen.mean((0, 1, 2)), seen.var((0, 1, 2))])
    return model


def test_means_are_those_of_the_data(tmp_path: Path) -> None:
    data = samples(40)
    model = settle(network(), data)
    model.save(tmp_path / "m.keras")
    graph = load(tmp_path / "m.keras")
    means = expectations(graph)
    passes.optimize(graph)
    names = [n.inputs[0] for n in graph.nodes if of_layer(means, n.inputs[0]) is not None]
    assert len(names) >= 4
    found = [np.concatenate(v).mean((0, 1, 2)) for v in zip(*run_samples(up_to(graph, names), data, names))]
    for name, f in zip(names, found):
        m = of_layer(means, name)
        assert m is not None
        # Channels are sums of few, and not quite normal.
        np.testing.assert_allclose(m, f, atol=0.06 * max(1, float(np.abs(f).max())), err_msg=name)


def test_corrections_bring_the_mean_of_outputs_back(tmp_path: Path) -> None:
    """With weights of few steps rounding has a mean of its own: here 127 steps for one weight that is far larger than all others."""
    data = samples(40)
    model = settle(network(), data)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, *rest = layer.get_weights()
            kernel[:, :, 0] *= 40
            layer.set_weights([kernel, *rest])
    model = settle(model, data)
    model.save(tmp_path / "m.keras")

    def offset(**options: Any) -> float:
        # Sixteen bits of activations, so that the rounding of weights is what counts.
        r = convert(tmp_path / "m.keras", data, scheme="16x8", rounding="nearest", output_type="float32", **options)
        (a,), (b,) = (
            [np.concatenate([v[0] for v in run_samples(g, data, g.outputs)]).mean((0, 1, 2))] for g in (r.graph, r.float_graph)
        )
        return float(np.abs(a - b).max())

    plain, analytic, empirical = offset(), offset(bias_correction="analytic"), offset(bias_correction="empirical")
    assert offset(bias_correction="none") == plain
    assert analytic < 0.6 * plain and empirical < 0.3 * plain, (plain, analytic, empirical)


def test_analytic_correction_is_for_the_nearest(tmp_path: Path) -> None:
    network().save(tmp_path / "m.keras")
    with pytest.raises(ConversionError, match="analytic bias correction is for weights that are rounded to the nearest"):
        convert(tmp_path / "m.keras", samples(2), bias_correction="analytic")
    with pytest.raises(ConversionError, match='there is no bias_correction "some"; known are empirical, analytic, none'):
        convert(tmp_path / "m.keras", samples(2), bias_correction="some")


def test_ranges_are_moved_towards_what_they_clip_and_keep_zero() -> None:
    ranges = {"both": (-1.0, 3.0), "relu": (0.0, 2.0), "whole": (-1.0, 1.0), "below": (-2.0, 1.0)}
    moved = shifted(ranges, {"both": (-1.0, 9.0), "relu": (0.0, 9.0), "whole": (-1.0, 1.0), "below": (-9.0, 1.0)})
    assert moved["both"] == [(-0.8, 3.2), (-0.6, 3.4), pytest.approx((-0.2, 3.8))]
    assert moved["below"][-1] == pytest.approx((-2.6, 0.4)) and set(moved) == {"both", "below"}


def test_shifting_comes_closer_or_leaves_things_alone(tmp_path: Path) -> None:
    network().save(tmp_path / "m.keras")
    found = [
        convert(tmp_path / "m.keras", samples(16), rounding="nearest", observer="percentile", shift=s).quality
        for s in (False, True)
    ]
    assert found[0] is not None and found[1] is not None and found[1].sqnr >= found[0].sqnr
