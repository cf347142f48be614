"""Importers: the float graph computes what the framework computes."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from edgert.converters import passes
from edgert.converters.export import to_tflite
from edgert.converters.importers import load
from hypothesis import given
from hypothesis import strategies as st

from edgert import ConversionError, Interpreter, ModelError

from ..ops.test_sparse import model as sparse_model
from ..support import examples, run_graph
from .keras_cases import CASES, inputs_of
from .keras_models import MODELS, keras, layers, randomize


def samples(model: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.uniform(-2, 2, (1, *i.shape[1:])).astype(np.float32) for i in model.inputs]


def as_list(x: Any) -> list[np.ndarray]:
    return [np.asarray(v) for v in (x if isinstance(x, (list, tuple)) else [x])]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", list(MODELS))
def test_keras_graph_equals_keras(name: str, suffix: str, tmp_path: Path) -> None:
    model = randomize(MODELS[name]())
    path = tmp_path / f"model{suffix}"
    model.save(path)
    inputs = samples(model)
    expected = as_list(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    graph = load(path)
    before = run_graph(graph, inputs)
    after = run_graph(passes.run(graph), inputs)
    for e, b, a in zip(expected, before, after):
        np.testing.assert_allclose(b.reshape(e.shape), e, atol=2e-5)
        np.testing.assert_allclose(a.reshape(e.shape), e, atol=2e-5)


@pytest.mark.parametrize("name", list(CASES))
def test_every_keras_layer(name: str, tmp_path: Path) -> None:
    model = randomize(CASES[name]())
    inputs = inputs_of(model)
    expected = as_list(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"model{suffix}"
        model.save(path)
        found = run_graph(passes.run(load(path)), inputs)
        for e, y in zip(expected, found):
            np.testing.assert_allclose(y.reshape(e.shape), e, atol=2e-5 * max(1, float(np.abs(e).max())), err_msg=suffix)


def test_passes_leave_only_what_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    randomize(MODELS["functional"]()).save(path)
    graph = passes.run(load(path))
    kinds = [n.op for n in graph.nodes]
    assert "PAD" not in kinds, "ZeroPadding2D before a strided convolution becomes SAME"
    depthwise = next(n for n in graph.nodes if n.op == "DEPTHWISE_CONV_2D")
    assert depthwise.attrs["padding"] == "SAME" and depthwise.attrs["fused_activation_function"] == "RELU6"
    assert "RELU6" not in kinds


@pytest.mark.parametrize("name", ["resnet8", "vww_96", "ad01"])
def test_trained_files(shared: Path, name: str) -> None:
    graph = passes.run(load(shared / "float" / f"{name}.h5"))
    shape = graph.tensors[graph.inputs[0]].shape
    (y,) = run_graph(graph, [np.random.default_rng(0).random(shape)])
    assert np.isfinite(y).all()
    assert not {"MUL", "RELU"} & {n.op for n in graph.nodes}, "batch norm and activations are folded"


@pytest.mark.parametrize("densify", [False, True])
def test_sparse_tflite(densify: bool, tmp_path: Path) -> None:
    """Weights of which the file holds the values that are not zero come dense, and DENSIFY is done."""
    rng = np.random.default_rng(0)
    w = (rng.standard_normal((6, 8)) * (rng.random((6, 8)) > 0.7)).astype(np.float32)
    (tmp_path / "m.tflite").write_bytes(sparse_model(w, 1, 1, False, densify).bytes())
    graph = load(tmp_path / "m.tflite")
    assert [n.op for n in graph.nodes] == ["FULLY_CONNECTED"]
    np.testing.assert_array_equal(graph.tensors[graph.nodes[0].inputs[1]].data, w)
    x = rng.standard_normal((2, 8)).astype(np.float32)
    np.testing.assert_allclose(run_graph(graph, [x])[0], x @ w.T, atol=1e-5)


def test_tflite_of_our_own(tmp_path: Path) -> None:
    model = randomize(MODELS["functional"]())
    model.save(tmp_path / "m.keras")
    graph = passes.run(load(tmp_path / "m.keras"))
    (tmp_path / "m.tflite").write_bytes(to_tflite(graph))
    again = load(tmp_path / "m.tflite")
    assert again.input_names == graph.input_names and again.output_names == graph.output_names
    inputs = samples(model)
    for a, b in zip(run_graph(graph, inputs), run_graph(again, inputs)):
        np.testing.assert_array_equal(a, b)


def test_float_models_of_the_zoo(shared: Path) -> None:
    for name in ("vww_96_float", "pretrainedResnet", "test_model_redux_precision"):
        path = shared / "zoo" / f"{name}.tflite"
        it = Interpreter(model_path=path)
        it.allocate_tensors()
        x = np.random.default_rng(0).random(it.get_input_details()[0]["shape"]).astype(np.float32)
        it.set_tensor(it.get_input_details()[0]["index"], x)
        it.invoke()
        (y,) = run_graph(passes.run(load(path)), [x])
        np.testing.assert_allclose(y, it.get_tensor(it.get_output_details()[0]["index"]), atol=1e-5)


def test_quantized_models_are_not_quantized_again(shared: Path) -> None:
    with pytest.raises(ConversionError, match="quantized already"):
        load(shared / "zoo/vww_96_int8.tflite")


# ---- what cannot be imported


def test_unknown_layers_are_all_named(tmp_path: Path) -> None:
    inner = keras.Sequential([layers.Input((4, 8, 3)), layers.ConvLSTM1D(3, 2, name="both"), layers.Dense(2)])
    model = keras.Sequential([layers.Input((4, 8, 3)), layers.Lambda(lambda x: x * 2, name="code"), inner, layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(
        ConversionError, match=r'm\.keras: no converter for the layers "code" \(Lambda: Python code.*\), "both" \(ConvLSTM1D'
    ):
        load(tmp_path / "m.keras")


def test_unsupported_use_is_named(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input((4, 4, 3)), layers.Softmax(axis=(1, 2), name="across")])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ConversionError, match=r'layer "across" \(Softmax\): softmax along the axes'):
        load(tmp_path / "m.keras")
    open_size = keras.Sequential([layers.Input((None, None, 3)), layers.Conv2D(2, 3)])
    open_size.save(tmp_path / "o.keras")
    with pytest.raises(ConversionError, match="open shape"):
        load(tmp_path / "o.keras")


@pytest.mark.parametrize(
    "name, option, owner",
    [
        ("m.keras", {"shapes": {"x": [1, 2]}}, "ONNX, PyTorch and TensorFlow"),
        ("m.tflite", {"constants": {"x": np.ones(1)}}, "ONNX and PyTorch"),
        ("m.pb", {"constants": {"x": np.ones(1)}}, "ONNX and PyTorch"),
        ("m.onnx", {"weights": "w.caffemodel"}, "Caffe"),
        ("m.pt2", {"weights": "w.caffemodel"}, "Caffe"),
        ("m.h5", {"weights": "w.caffemodel"}, "Caffe"),
        ("m.prototxt", {"shapes": {"x": [1, 2]}}, "ONNX, PyTorch and TensorFlow"),
    ],
)
def test_options_of_other_importers_are_no_silent_loss(name: str, option: dict[str, Any], owner: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConversionError, match=f"{name}: .*{owner}"):
        load(tmp_path / name, **option)


def test_options_of_other_importers_in_memory() -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    for option in ({"shapes": {"x": [1, 3]}}, {"constants": {"x": np.ones(1)}}, {"weights": "w.caffemodel"}):
        with pytest.raises(ConversionError, match=r"Sequential: .* only"):
            load(model, **option)


def test_damaged_files(tmp_path: Path) -> None:
    def message(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError) as e:
            load(tmp_path / name)
        assert name in str(e.value)
        return str(e.value)

    assert "not an HDF5 file" in message("a.h5", b"nonsense")
    assert "not an HDF5 file" in message("b.h5", b"")
    assert "not a .keras file" in message("c.keras", b"nonsense")
    with zipfile.ZipFile(tmp_path / "z.keras", "w") as z:
        z.writestr("other.txt", "x")
    assert "not of a Keras model" in message("z.keras", (tmp_path / "z.keras").read_bytes())
    with h5py.File(tmp_path / "w.h5", "w") as f:
        f.create_group("layers")
    assert "save the whole model" in message("w.h5", (tmp_path / "w.h5").read_bytes())
    with h5py.File(tmp_path / "v.h5", "w") as f:
        f.attrs["model_config"] = (
            '{"class_name": "Functional", "config": {"layers": [{"class_name": "Dense", "config": {"name": "d"}}], "name": "m"}}'
        )
        f.create_group("model_weights")
    assert "unexpected form" in message("v.h5", (tmp_path / "v.h5").read_bytes())
    with pytest.raises(ModelError, match="there is no such file") as e:
        load(f"{tmp_path}/./nothing.h5")
    assert str(e.value).count("nothing.h5") == 1, "the file is named once, however it was written"
    with pytest.raises(ModelError, match="directory"):
        load(tmp_path)
    (tmp_path / "m.pkl").write_bytes(b"x")
    with pytest.raises(ConversionError, match=r'no importer reads "\.pkl" files'):
        load(tmp_path / "m.pkl")


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".tflite"])
def test_half_a_file(suffix: str, tmp_path: Path) -> None:
    model = randomize(MODELS["functional"]())
    path = tmp_path / f"m{suffix}"
    if suffix == ".tflite":
        model.save(tmp_path / "m.keras")
        path.write_bytes(to_tflite(load(tmp_path / "m.keras")))
    else:
        model.save(path)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError, match=f"m{suffix}"):
            load(path)


def leaves(config: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    return [path, *(p for key, value in items for p in leaves(value, (*path, key)))]


ODD = [None, -1, 0, 3, 1e9, 0.5, True, "x", "", [], {}, [1, 2], {"class_name": "Dense"}, [[None]], "float64"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd") / "m.h5"
    x = layers.Input((8, 8, 3))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    y = layers.MaxPooling2D()(layers.Add()([y, layers.DepthwiseConv2D(3, padding="same")(y)]))
    keras.Model(x, layers.Dense(5, activation="softmax")(layers.Flatten()(layers.ZeroPadding2D(1)(y)))).save(path)
    return path


@examples(150)
@given(data=st.data())
def test_odd_configurations_are_messages(saved: Path, data: st.DataObject) -> None:
    """A model whose configuration has one value changed, or one left out, is converted or refused, and nothing else."""
    with h5py.File(saved) as f:
        config = json.loads(f.attrs["model_config"])
    path = data.draw(st.sampled_from(leaves(config)[1:]))
    parent = config
    for key in path[:-1]:
        parent = parent[key]
    if data.draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = data.draw(st.sampled_from(ODD))
    changed = saved.with_name("changed.h5")
    shutil.copy(saved, changed)
    with h5py.File(changed, "a") as f:
        f.attrs["model_config"] = json.dumps(config)
    try:
        load(changed)
    except (ConversionError, ModelError) as e:
        assert "changed.h5" in str(e)


# ---- Keras 1, which no test environment has: files are written as it wrote them


def keras1_file(path: Path, layers_: list[tuple[str, dict[str, Any], list[np.ndarray]]], backend: str) -> None:
    config = [{"class_name": kind, "config": {"name": f"layer_{i}", **c}} for i, (kind, c, _) in enumerate(layers_)]
    with h5py.File(path, "w") as f:
        f.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config})
        f.attrs["keras_version"], f.attrs["backend"] = "1.2.2", backend
        groups = f.create_group("model_weights")
        for i, (_, _, weights) in enumerate(layers_):
            group = groups.create_group(f"layer_{i}")
            names = [f"layer_{i}_{k}" for k in range(len(weights))]
            group.attrs["weight_names"] = [n.encode() for n in names]
            for n, w in zip(names, weights):
                group[n] = w


@pytest.mark.parametrize("backend", ["theano", "tensorflow", "cntk"])
def test_keras_1(backend: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kernel, bias = rng.standard_normal((3, 2, 2, 4)).astype(np.float32), rng.standard_normal(4).astype(np.float32)
    dense, norm = rng.standard_normal((5, 3)).astype(np.float32), rng.uniform(0.5, 2, (4, 4)).astype(np.float32)
    gates = {g: [rng.standard_normal(s).astype(np.float32) for s in ((4, 5), (5, 5), (5,))] for g in "icfo"}
    first = backend == "theano"
    stored = np.flip(kernel, (0, 1)) if backend == "theano" else kernel
    stored = stored.transpose(3, 2, 0, 1) if first else stored
    shape = (None, 2, 8, 6) if first else (None, 8, 6, 2)
    keras1_file(
        tmp_path / "old.h5",
        [
            ("Convolution2D", {
                "nb_filter": 4, "nb_row": 3, "nb_col": 2, "subsample": [2, 1], "border_mode": "same", "activation": "relu", "bias": True,
                "dim_ordering": "th" if first else "tf", "batch_input_shape": shape}, [stored, bias]),
            ("BatchNormalization", {"axis": 1 if first else -1, "mode": 0, "epsilon": 1e-3}, list(norm)),
            ("Dropout", {"p": 0.5}, []),
            ("Permute", {"dims": [2, 3, 1] if first else [1, 2, 3]}, []),
            ("Reshape", {"target_shape": [24, 4]}, []),
            ("LSTM", {"output_dim": 5, "inner_activation": "hard_sigmoid", "activation": "tanh"}, [w for g in "icfo" for w in gates[g]]),
            ("Dense", {"output_dim": 3, "activation": "softmax", "bias": False}, [dense]),
        ],
        backend,
    )  # fmt: skip
    conv = layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", activation="relu")

    def hard_sigmoid(x: Any) -> Any:  # of Keras 1 and 2; Keras 3 has another
        return keras.ops.clip(0.2 * x + 0.5, 0, 1)

    lstm = layers.LSTM(5, recurrent_activation=hard_sigmoid)
    model = keras.Sequential(
        [
            layers.Input((8, 6, 2)),
            conv,
            layers.BatchNormalization(),
            layers.Reshape((24, 4)),
            lstm,
            layers.Dense(3, "softmax", use_bias=False),
        ]
    )
    parts = [np.concatenate([gates[g][k] for g in "ifco"], -1) for k in range(3)]
    model.set_weights([kernel, bias, *norm, *parts, dense])
    x = rng.standard_normal((1, 8, 6, 2)).astype(np.float32)
    graph = load(tmp_path / "old.h5")
    (found,) = run_graph(passes.run(graph), [x.transpose(0, 3, 1, 2) if first else x])
    np.testing.assert_allclose(found, np.asarray(model(x)), atol=1e-5)
