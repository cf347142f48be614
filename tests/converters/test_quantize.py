"""Observers, schemes, and rounding of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgert.converters.calibrate import OBSERVERS, Samples
from edgert.converters.convert import convert
from edgert.converters.ir import Graph, Tensor
from edgert.converters.quantize.products import Product
from edgert.converters.quantize.reconstruction import round_weights
from edgert.converters.quantize.refine import refine
from hypothesis import given, settings
from hypothesis import strategies as st

from edgert import ConversionError, Interpreter
from edgert.preprocess import dequantize, quantize

from ..support import reference, run, run_graph
from .keras_models import MODELS, keras, layers, randomize


@given(st.integers(0, 1000), st.floats(1e-6, 1e6), st.booleans())
def test_observers_give_ranges_within_what_was_seen(seed: int, size: float, positive: bool) -> None:
    rng = np.random.default_rng(seed)
    parts = [(rng.standard_normal(500) * size * s).astype(np.float32) for s in (0.1, 1.0, 3.0, 0.0)]
    parts = [np.abs(p) for p in parts] if positive else parts
    seen = np.concatenate(parts)
    for name, observer in OBSERVERS.items():
        o = observer()
        for p in parts:
            o.update(p)
        low, high = o.range()
        bin_width = 4 * np.abs(seen).max() / 8192
        assert seen.min() - bin_width <= low <= 0 or positive, name
        assert high <= seen.max() + bin_width, name
        # Half of the values lie in any sensible range.
        assert np.mean((seen >= low) & (seen <= high)) > 0.5, name


def test_mse_cuts_an_outlier_and_percentile_too() -> None:
    values = np.append(np.random.default_rng(0).standard_normal(200_000), [80.0]).astype(np.float32)
    for name, most in (("min-max", 80.1), ("mse", 70.0), ("percentile", 6.0), ("entropy", 40.0)):
        o = OBSERVERS[name]()
        o.update(values)
        assert 2 < o.range()[1] < most, name
    assert OBSERVERS["min-max"]().range() == (0.0, 0.0)


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_products_compute_what_the_operator_computes(op: str, padding: str) -> None:
    rng = np.random.default_rng(0)
    g = Graph("test", inputs=["x"], input_names=["x"])
    attrs: dict[str, object] = {"padding": padding, "stride_h": 2, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 2}
    shape, weights = {
        "CONV_2D": ((1, 7, 9, 4), (6, 3, 2, 2)),  # two groups
        "DEPTHWISE_CONV_2D": ((1, 7, 9, 4), (1, 3, 2, 8)),
        "FULLY_CONNECTED": ((1, 12), (5, 12)),
    }[op]
    g.add_tensor(Tensor("x", shape))
    if op == "FULLY_CONNECTED":
        attrs, out = {}, (1, 5)
    else:
        h, w = (4, 9) if padding == "SAME" else (3, 7)
        out = (1, h, w, weights[0] if op == "CONV_2D" else weights[3])
        attrs |= {"depth_multiplier": 2} if op == "DEPTHWISE_CONV_2D" else {}
    bias = rng.standard_normal(out[-1]).astype(np.float32)
    names = ["x", g.constant("w", rng.standard_normal(weights).astype(np.float32)), g.constant("b", bias)]
    g.outputs = [g.add(op, names, out, **attrs)]
    x = rng.standard_normal(shape).astype(np.float32)
    (expected,) = run_graph(g, [x])
    p = Product.of(g, g.nodes[0])
    matrices = p.matrices(g.data("w"))  # type: ignore[arg-type]
    np.testing.assert_array_equal(p.layout(matrices), g.data("w"))
    places = p.positions(1000, rng)
    y = p.patches(x, places) @ matrices.transpose(0, 2, 1)
    got = y.transpose(1, 0, 2).reshape(len(places), -1) + p.bias(g)
    np.testing.assert_allclose(got, expected.reshape(-1, out[-1]), atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_rounding_with_correlated_inputs_beats_the_nearest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((2, 24, 24))
    x = rng.standard_normal((2, 400, 24)) @ mix
    hessian = x.transpose(0, 2, 1) @ x / 400 + 0.01 * np.eye(24)
    w = rng.standard_normal((2, 8, 24))
    scale = np.abs(w).max(2) / 7
    integers = round_weights(w, hessian, scale, 7)
    assert np.abs(integers).max() <= 7 and np.array_equal(integers, np.rint(integers))

    def error(q: np.ndarray) -> float:
        d = q * scale[:, :, None] - w
        return float(np.einsum("gok,gkl,gol->", d, hessian, d))

    assert error(integers) < error(np.rint(w / scale[:, :, None]))


@pytest.mark.parametrize(
    ("scheme", "least"),
    [("int8", 17), ("16x8", 33), ("dynamic", 28), ("weight-int8", 33), ("weight-int4", 8), ("float16", 55), ("float32", 100)],
)
def test_schemes(scheme: str, least: float, tmp_path: Path) -> None:
    """Every scheme on every Keras model of the tests: signal to noise in decibels, and LiteRT's reference on the result."""
    for name, build in MODELS.items():
        randomize(build()).save(tmp_path / "m.keras")
        rng = np.random.default_rng(0)
        shapes = [i.shape[1:] for i in build().inputs]
        data = tuple(rng.uniform(-2, 2, (30, *s)).astype(np.float32) for s in shapes)
        result = convert(tmp_path / "m.keras", Samples(data), scheme=scheme)
        ours, real = Interpreter(model_content=result.model), Interpreter(model_content=result.float_model)
        details = ours.get_input_details()
        # Floats beside anything smaller are summed as LiteRT's are, but functions of the C library are not ours.
        types = [t.dtype for t in result.graph.tensors.values()]
        rounds = bool({"int8", "int4", "float16"} & set(types))
        by_the_library = {n.op for n in result.graph.nodes if result.graph.tensors[n.outputs[0]].dtype == "float32"} & {
            "TANH",
            "LOG",
            "GELU",
        }
        signal = noise = 1e-12
        for i in range(5):
            sample = [a[i : i + 1] for a in data]
            inputs = [quantize(x, d) if d["dtype"] != np.float32 else x for x, d in zip(sample, details)]
            got, expected = run(ours, inputs), reference(result.model, inputs)
            assert expected is not None, name
            for g, e, f, d in zip(got, expected, run(real, sample), ours.get_output_details()):
                if rounds and not by_the_library:
                    np.testing.assert_array_equal(g, e)
                else:
                    np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5 * float(np.abs(e).max()))
                back = dequantize(g, d) if g.dtype != np.float32 else g
                signal, noise = signal + float((f**2).sum()), noise + float(((back - f) ** 2).sum())
        assert 10 * np.log10(signal / noise) > least, (name, 10 * np.log10(signal / noise))


def test_reconstruction_beats_the_nearest(shared: Path) -> None:
    """ResNet-8 on CIFAR-10: signal to noise of the probabilities, and agreement with the float model."""
    data = np.load(shared / "data/cifar10/cifar10.npz")
    images = data["test_images"].astype(np.float32)
    found = {}
    for rounding, observer in (("nearest", "min-max"), ("reconstruct", "mse")):
        samples = Samples((data["calibration_images"][:200],))
        result = convert(shared / "float/resnet8.h5", samples, rounding=rounding, observer=observer)
        ours, real = Interpreter(model_content=result.model), Interpreter(model_content=result.float_model)
        i, o = ours.get_input_details()[0], ours.get_output_details()[0]
        a = np.concatenate([dequantize(run(ours, [quantize(x[None], i)])[0], o) for x in images])
        b = np.concatenate([run(real, [x[None]])[0] for x in images])
        found[rounding] = 10 * np.log10((b**2).sum() / ((a - b) ** 2).sum())
        agreement = (a.argmax(1) == b.argmax(1)).mean()
    assert found["reconstruct"] > found["nearest"] + 1.5, found
    assert found["reconstruct"] > 23.5 and agreement >= 0.96, (found, agreement)


def test_what_does_not_go_together(tmp_path: Path) -> None:
    randomize(next(iter(MODELS.values()))()).save(tmp_path / "m.keras")
    with pytest.raises(ConversionError, match='no scheme "int3"'):
        convert(tmp_path / "m.keras", scheme="int3")
    with pytest.raises(ConversionError, match="needs calibration data"):
        convert(tmp_path / "m.keras")
    with pytest.raises(ConversionError, match="float activations"):
        convert(tmp_path / "m.keras", scheme="dynamic", input_type="int8")
    with pytest.raises(ConversionError, match='no rounding "up"'):
        convert(tmp_path / "m.keras", rounding="up")


def test_lstm_in_integers_has_the_bytes_of_litert(tmp_path: Path) -> None:
    """int8 with an int16 cell: nothing stays float, and what the cell goes through decides its scale."""
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            layers.Input((12, 6)),
            layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
            layers.LSTM(5),
            layers.Dense(3),
        ]
    )
    randomize(model)
    model.save(tmp_path / "m.keras")
    data = rng.standard_normal((40, 12, 6)).astype(np.float32)
    r = convert(tmp_path / "m.keras", list(data))
    assert not r.kept_float and r.quality is not None and r.quality.sqnr > 25
    assert sum(n.op == "UNIDIRECTIONAL_SEQUENCE_LSTM" for n in r.graph.nodes) == 3
    for seed in range(5):
        x = np.random.default_rng(seed).integers(-128, 128, (1, 12, 6)).astype(np.int8)
        expected = reference(r.model, [x])
        assert expected is not None
        np.testing.assert_array_equal(run(Interpreter(model_content=r.model), [x])[0], expected[0])


def test_16x8_reaches_its_aim_with_split_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where eight bits of weights do not reach the aim, layers become two; only as many as it takes, and LiteRT has the same bytes."""
    randomize(MODELS["sequential"]()).save(tmp_path / "m.keras")
    data = np.random.default_rng(0).uniform(0, 255, (30, 12, 12, 3)).astype(np.float32)
    plain = convert(tmp_path / "m.keras", Samples((data,)), scheme="16x8")
    assert plain.quality is not None
    aim = plain.quality.sqnr + 3
    monkeypatch.setattr("edgert.converters.convert.AIM_16X8", aim)
    some = convert(tmp_path / "m.keras", Samples((data,)), scheme="16x8")
    monkeypatch.setattr("edgert.converters.convert.AIM_16X8", 1000.0)
    every = convert(tmp_path / "m.keras", Samples((data,)), scheme="16x8")
    assert not plain.split and 0 < len(some.split) < len(every.split)
    assert some.quality is not None and every.quality is not None and some.quality.sqnr >= aim and every.quality.sqnr > 60
    for r in (plain, some, every):
        q = r.graph.tensors[r.graph.inputs[0]].quantization
        assert q is not None
        x = np.rint(data[:1] / q.scale[0]).astype(np.int16)
        expected = reference(r.model, [x])
        assert expected is not None
        np.testing.assert_array_equal(run(Interpreter(model_content=r.model), [x])[0], expected[0])


def test_what_steps_share_is_stored_once(tmp_path: Path) -> None:
    """A GRU is laid out step by step; its weights are in the file once."""
    sizes = []
    for steps in (2, 20):
        model = keras.Sequential([layers.Input((steps, 24)), layers.GRU(48), layers.Dense(3)])
        randomize(model).save(tmp_path / "m.keras")
        data = np.random.default_rng(0).standard_normal((8, steps, 24)).astype(np.float32)
        r = convert(tmp_path / "m.keras", list(data))
        assert r.quality is not None and r.quality.sqnr > 20
        sizes.append(len(r.model))
    weights = 3 * (24 + 48) * 48
    assert sizes[0] < weights * 3 and sizes[1] - sizes[0] < 18 * 8000, sizes


def test_search_and_refinement_come_closer(tmp_path: Path) -> None:
    """Both are measured on the integer graph, so that the outputs they see come closer, or stay as they are."""
    randomize(MODELS["sequential"]()).save(tmp_path / "m.keras")
    data = np.random.default_rng(0).uniform(0, 255, (16, 12, 12, 3)).astype(np.float32)

    def sqnr(**options: Any) -> float:
        r = convert(tmp_path / "m.keras", Samples((data,)), rounding="nearest", **options)
        assert r.quality is not None
        return r.quality.sqnr

    plain, searched, refined = sqnr(), sqnr(observer="search"), sqnr(refine=True)
    assert searched >= plain and refined >= plain and sqnr(observer="search", refine=True) >= searched
    assert max(searched, refined) > plain


def test_refinement_is_coordinate_search() -> None:
    tried: list[dict[str, tuple[float, float]]] = []

    def score(ranges: dict[str, tuple[float, float]]) -> list[float]:
        tried.append(dict(ranges))
        sure = -abs(ranges["a"][1] - 3) - abs(ranges["b"][1] - 5)
        chance = 4 if ranges["c"][1] > 1 else 0  # of the third every other part gains, and the rest lose
        return [sure + chance, sure - chance + 0.1, sure + chance, sure - chance + 0.1]

    start = {"a": (0.0, 1.0), "b": (0.0, 1.0), "c": (0.0, 1.0)}
    candidates = {"a": [(0.0, 2.0), (0.0, 3.0), (0.0, 9.0)], "b": [(0.0, 5.0), (0.0, 1.0)], "c": [(0.0, 2.0)]}
    found = refine(start, candidates, score)
    assert found == {"a": (0.0, 3.0), "b": (0.0, 5.0), "c": (0.0, 1.0)} and start["a"] == (0.0, 1.0)
    assert len(tried) == 1 + 3 + 1 + 1, "a candidate that is there already is not tried"


def test_a_transposed_convolution_has_small_weights_too(tmp_path: Path) -> None:
    x = keras.Input((6, 5, 12))
    y = layers.Conv2D(3, 1)(layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(x))
    randomize(keras.Model(x, y)).save(tmp_path / "m.keras")
    result = convert(tmp_path / "m.keras", scheme="dynamic")
    node = next(n for n in result.graph.nodes if n.op == "TRANSPOSE_CONV")
    assert result.graph.tensors[node.inputs[1]].dtype == "int8"
    data = [np.random.default_rng(0).uniform(-2, 2, (1, 6, 5, 12)).astype(np.float32)]
    (got,), expected, (floats,) = (
        run(Interpreter(model_content=result.model), data),
        reference(result.model, data),
        run(Interpreter(model_content=result.float_model), data),
    )
    assert expected is not None
    np.testing.assert_allclose(got, expected[0], atol=1e-5 * np.abs(expected[0]).max())
    assert 0 < np.abs(got - floats).max() < 0.02 * np.abs(floats).max()
    (tmp_path / "m.tflite").write_bytes(result.model)
    again = convert(tmp_path / "m.tflite", [tuple(data)], rounding="nearest")
    assert all(again.graph.tensors[o].dtype == "int8" for o in again.graph.outputs)


@pytest.mark.parametrize("scheme, least, smaller", [("dynamic", 40, 2.5), ("weight-int8", 40, 1.8), ("weight-int4", 20, 2.2)])
def test_recurrent_weights_are_made_smaller_too(scheme: str, least: float, smaller: float, tmp_path: Path) -> None:
    model = randomize(
        keras.Sequential([layers.Input((12, 10)), layers.LSTM(32, return_sequences=True), layers.LSTM(24), layers.Dense(5)])
    )
    model.save(tmp_path / "m.keras")
    result = convert(tmp_path / "m.keras", scheme=scheme)
    assert len(result.float_model) > smaller * len(result.model)
    ours, real = Interpreter(model_content=result.model), Interpreter(model_content=result.float_model)
    x = np.random.default_rng(0).uniform(-2, 2, (1, 12, 10)).astype(np.float32)
    (got,), expected, (floats,) = run(ours, [x]), reference(result.model, [x]), run(real, [x])
    assert expected is not None
    np.testing.assert_allclose(got, expected[0], atol=1e-5)
    assert 10 * np.log10((floats**2).sum() / ((got - floats) ** 2).sum()) > least
