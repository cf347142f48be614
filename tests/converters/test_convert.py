"""From a float model to int8: accuracy, the specification, and the same bytes in edgert and LiteRT's reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgert.converters.calibrate import Samples, load_samples
from edgert.converters.convert import convert, convert_file
from edgert.converters.importers import load

import edgert
from edgert import ConversionError, DataError, Interpreter
from edgert.preprocess import dequantize, quantize

from ..support import reference, run
from .keras_models import MODELS, randomize


@pytest.mark.parametrize("ends", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("name", list(MODELS))
def test_int8_is_close_and_equal_everywhere(name: str, ends: str, tmp_path: Path) -> None:
    randomize(MODELS[name]()).save(tmp_path / "m.keras")
    graph = load(tmp_path / "m.keras")
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    rng = np.random.default_rng(0)
    data = tuple(rng.uniform(-2, 2, (30, *s[1:])).astype(np.float32) for s in shapes)
    result = convert(tmp_path / "m.keras", Samples(data), input_type=ends, output_type=ends)
    ours, real = Interpreter(model_content=result.model), Interpreter(model_content=result.float_model)
    details = ours.get_input_details()
    assert all(d["dtype"] == np.dtype(ends) for d in details + ours.get_output_details())
    for i in range(5):
        sample = [a[i : i + 1] for a in data]
        inputs = [quantize(x, d) for x, d in zip(sample, details)]
        got = run(ours, inputs)
        expected = reference(result.model, inputs)
        assert expected is not None, "LiteRT runs the model"
        for g, e in zip(got, expected):
            np.testing.assert_array_equal(g, e)
        for g, f, d in zip(got, run(real, sample), ours.get_output_details()):
            signal, noise = float((f**2).mean()), float(((dequantize(g, d) - f) ** 2).mean())
            assert signal > 30 * noise, (name, signal, noise)


def test_resnet8(shared: Path) -> None:
    """Float has 0.772 on these pictures."""
    data = np.load(shared / "data/cifar10/cifar10.npz")
    result = convert(shared / "float/resnet8.h5", f"{shared / 'data/cifar10/cifar10.npz'}:calibration_images")
    ours = Interpreter(model_content=result.model)
    d = ours.get_input_details()[0]
    right = 0
    from ai_edge_litert.interpreter import Interpreter as LiteRT
    from ai_edge_litert.interpreter import OpResolverType

    theirs = LiteRT(model_content=result.model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    for image, label in zip(data["test_images"], data["test_labels"]):
        x = quantize(image[None], d)
        (a,), (b,) = run(ours, [x]), run(theirs, [x])
        np.testing.assert_array_equal(a, b)
        right += int(a.argmax() == label)
    assert right >= 765


@pytest.mark.parametrize(("name", "shape"), [("vww_96", (96, 96, 3)), ("ad01", (640,))])
def test_other_trained_files(shared: Path, name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).random((20, *shape)).astype(np.float32)
    result = convert(shared / "float" / f"{name}.h5", Samples((x,)))
    it = Interpreter(model_content=result.model)
    q = quantize(x[:1], it.get_input_details()[0])
    expected = reference(result.model, [q])
    assert expected is not None
    np.testing.assert_array_equal(run(it, [q])[0], expected[0])


def test_the_specification(tmp_path: Path) -> None:
    randomize(MODELS["functional"]()).save(tmp_path / "m.keras")
    rng = np.random.default_rng(0)
    g = convert(
        tmp_path / "m.keras", Samples(tuple(rng.standard_normal((10, 16, 16, 4)).astype(np.float32) for _ in range(2)))
    ).graph
    for node in g.nodes:
        tensors = [g.tensors[i] for i in node.inputs]
        out = g.tensors[node.outputs[0]]
        assert out.dtype == "int8" and out.quantization is not None
        if node.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            x, w, b = tensors[:3]
            assert w.dtype == "int8" and b.dtype == "int32" and w.data.min() >= -127
            assert (
                not w.quantization.zero_point.any()
                and len(w.quantization.scale) == w.shape[3 if node.op.startswith("DEPTH") else 0]
            )
            np.testing.assert_allclose(b.quantization.scale, x.quantization.scale * w.quantization.scale, rtol=1e-6)
        if node.op in ("SOFTMAX", "LOGISTIC"):
            assert out.quantization.scale[0] == 1 / 256 and out.quantization.zero_point[0] == -128
        if node.op == "TANH":
            assert out.quantization.scale[0] == 1 / 128 and out.quantization.zero_point[0] == 0
        if node.op in (
            "CONCATENATION",
            "MAX_POOL_2D",
            "AVERAGE_POOL_2D",
            "RESHAPE",
            "RESIZE_BILINEAR",
            "RESIZE_NEAREST_NEIGHBOR",
        ):
            for t in tensors:
                if t.dtype == "int8":
                    assert (
                        t.quantization.scale[0] == out.quantization.scale[0]
                        and t.quantization.zero_point[0] == out.quantization.zero_point[0]
                    )


def test_conversion_is_deterministic(tmp_path: Path) -> None:
    randomize(MODELS["sequential"]()).save(tmp_path / "m.h5")
    data = Samples((np.random.default_rng(0).integers(0, 256, (8, 12, 12, 3)),))
    a, b = (convert(tmp_path / "m.h5", data, labels=list("abcd")).model for _ in range(2))
    assert a == b


def test_metadata_comes_back(tmp_path: Path) -> None:
    randomize(MODELS["sequential"]()).save(tmp_path / "m.h5")
    data = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 3)).astype(np.uint8)
    np.save(tmp_path / "c.npy", data)
    out = tmp_path / "m.tflite"
    convert_file(
        tmp_path / "m.h5", str(tmp_path / "c.npy"), out, mean=(127.5,), std=(2.0,), labels=["cat", "dog", "bird", "frog"]
    )
    model = edgert.load(out)
    assert model.labels == ("cat", "dog", "bird", "frog")
    assert model.image_options().mean == (127.5,) and model.image_options().std == (2.0,)
    x = model.quantize_input(data[0])
    expected = quantize((data[:1].astype(np.float32) - 127.5) / 2, model.inputs[0])
    np.testing.assert_array_equal(x, expected)


# ---- what cannot be converted


def test_calibration_data_that_does_not_fit(tmp_path: Path) -> None:
    randomize(MODELS["sequential"]()).save(tmp_path / "m.h5")

    def message(spec: str, **options: object) -> str:
        with pytest.raises(DataError) as e:
            convert(tmp_path / "m.h5", spec, **options)  # type: ignore[arg-type]
        return str(e.value)

    np.save(tmp_path / "shape.npy", np.ones((3, 11, 12, 3)))
    np.save(tmp_path / "empty.npy", np.zeros((0, 12, 12, 3)))
    np.savez(tmp_path / "two.npz", a=np.ones((3, 12, 12, 3)), b=np.zeros(3))
    (tmp_path / "bad.npy").write_bytes(b"nonsense")
    (tmp_path / "folder").mkdir()
    assert "shape [11, 12, 3], the model expects [12, 12, 3]" in message(str(tmp_path / "shape.npy"))
    assert "no samples" in message(str(tmp_path / "empty.npy"))
    assert "say which array; it has a, b" in message(str(tmp_path / "two.npz"))
    assert "has no array 'c'" in message(f"{tmp_path / 'two.npz'}:c")
    assert "there is no such file" in message(str(tmp_path / "nothing.npy"))
    assert "not a numpy file" in message(str(tmp_path / "bad.npy"))
    assert "no pictures in this folder" in message(str(tmp_path / "folder"))
    assert "divides by zero" in message(f"{tmp_path / 'two.npz'}:a", std=(0.0,))
    assert "2 labels, but the model's first output has 4 classes" in message(f"{tmp_path / 'two.npz'}:a", labels=["a", "b"])
    with pytest.raises(ConversionError, match='no observer "best"'):
        convert(tmp_path / "m.h5", "x", observer="best")
    np.save(tmp_path / "nan.npy", np.full((3, 12, 12, 3), np.nan))
    with pytest.raises(DataError, match="not finite"):
        convert(tmp_path / "m.h5", str(tmp_path / "nan.npy"))


def test_failure_leaves_the_output_alone(tmp_path: Path) -> None:
    randomize(MODELS["sequential"]()).save(tmp_path / "m.h5")
    out = tmp_path / "m.tflite"
    out.write_bytes(b"precious")
    with pytest.raises(DataError):
        convert_file(tmp_path / "m.h5", str(tmp_path / "nothing.npy"), out)
    assert out.read_bytes() == b"precious"
    np.save(tmp_path / "c.npy", np.ones((3, 12, 12, 3)))
    with pytest.raises(DataError, match="cannot be written"):
        convert_file(tmp_path / "m.h5", str(tmp_path / "c.npy"), tmp_path / "nowhere/m.tflite")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.npy", "m.h5", "m.tflite"]


def test_calibration_from_pictures(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    for i in range(5):
        Image.fromarray(np.full((20 + i, 30, 3), 40 * i, np.uint8)).save(tmp_path / "pictures" / f"{i}.png")
    s = load_samples(str(tmp_path / "pictures"), [(1, 12, 12, 3)], mean=(1.0,), std=(2.0,), limit=3)
    values = [float(x[0].max()) for x in s]
    assert len(s) == 3 and values == [-0.5, 39.5, 79.5] and next(iter(s))[0].shape == (1, 12, 12, 3)
