"""Operations between layers: those of Keras 2, written by hand as its files have them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from edgert.converters.importers import load

from edgert import ConversionError

from ..support import run_graph
from .keras_models import keras, layers


def keras_2(path: Path, *nodes: tuple[str, str, list[Any]], outputs: tuple[str, ...], shape: tuple[int, ...] = (4, 6)) -> Path:
    """A `.h5` as Keras 2 writes it: input "x", and (name, function, inbound nodes) for each operation."""
    entries: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_input_shape": [None, *shape], "dtype": "float32"}, "inbound_nodes": []}
    ]  # fmt: skip
    for name, function, inbound in nodes:
        kind = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
        config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
        entries.append({"class_name": kind, "name": name, "config": config, "inbound_nodes": inbound})
    config = {"name": "m", "layers": entries, "input_layers": [["x", 0, 0]], "output_layers": [[o, 0, 0] for o in outputs]}
    with h5py.File(path, "w") as f:
        f.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config})
        f.attrs["keras_version"] = "2.11.0"
        f.create_group("model_weights")
    return path


def test_operations_of_keras_2(tmp_path: Path) -> None:
    path = keras_2(
        tmp_path / "m.h5",
        ("scaled", "math.multiply", [["x", 0, 0, {"y": 2.0, "name": None}]]),
        ("rest", "math.subtract", [["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0], "name": None}]]),
        ("sum", "__operators__.add", [["scaled", 0, 0, {"y": ["rest", 0, 0], "name": None}]]),
        ("mean", "math.reduce_mean", [["sum", 0, 0, {"axis": [1], "keepdims": False}]]),
        ("part", "__operators__.getitem", [["x", 0, 0, {"slice_spec": [
            {"start": None, "stop": None, "step": None}, {"start": 1, "stop": None, "step": 2}, 3]}]]),
        ("both", "concat", [[["scaled", 0, 0, {"axis": -1}], ["rest", 0, 0, {"axis": -1}]]]),
        ("relu", "nn.relu", [["both", 0, 0, {"name": None}]]),
        ("flat", "reshape", [["relu", 0, 0, {"shape": [-1, 48]}]]),
        ("clipped", "clip_by_value", [["x", 0, 0, {"clip_value_min": -0.5, "clip_value_max": 0.25}]]),
        ("smooth", "nn.gelu", [["x", 0, 0, {"approximate": False}]]),
        outputs=("mean", "part", "flat", "clipped", "smooth"),
    )  # fmt: skip
    x = np.random.default_rng(0).uniform(-1, 1, (1, 4, 6)).astype(np.float32)
    mean, part, flat, clipped, smooth = run_graph(load(path), [x])
    np.testing.assert_allclose(mean, (2 * x + 1 - x).mean(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(part, x[:, 1::2, 3])
    np.testing.assert_allclose(flat, np.maximum(np.concatenate([2 * x, 1 - x], -1), 0).reshape(-1, 48), rtol=1e-6)
    np.testing.assert_array_equal(clipped, x.clip(-0.5, 0.25))
    from math import erf

    np.testing.assert_allclose(smooth.ravel(), [v / 2 * (1 + erf(v / 2**0.5)) for v in x.ravel()], atol=1e-6)


def test_unknown_operations_and_arguments_are_named(tmp_path: Path) -> None:
    path = keras_2(tmp_path / "m.h5", ("odd", "linalg.svd", [["x", 0, 0, {}]]), outputs=("odd",))
    with pytest.raises(ConversionError, match=r'm\.h5: no converter for the layers "odd" \(the operation linalg\.svd\)'):
        load(path)
    path = keras_2(tmp_path / "n.h5", ("sum", "math.reduce_sum", [["x", 0, 0, {"axis": 1, "where": 3}]]), outputs=("sum",))
    with pytest.raises(ConversionError, match=r'the operation "sum" \(TFOpLambda\): its argument where = 3 is not supported'):
        load(path)
    inp = layers.Input((4, 3))
    keras.Model(inp, keras.ops.sort(inp)).save(tmp_path / "s.keras")
    with pytest.raises(ConversionError, match=r'"sort" \(the operation Sort\)'):
        load(tmp_path / "s.keras")


def test_constants_of_operations_are_not_lost(tmp_path: Path) -> None:
    """x + 1 is an Add that is no layer."""
    inp = layers.Input((4, 3))
    model = keras.Model(inp, layers.Add()([inp + 1.0, 2.0 - inp]))
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"m{suffix}")
        (y,) = run_graph(load(tmp_path / f"m{suffix}"), [np.full((1, 4, 3), 0.25, np.float32)])
        np.testing.assert_array_equal(y, np.full((1, 4, 3), 3.0, np.float32))
