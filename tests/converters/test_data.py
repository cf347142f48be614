"""Where calibration data comes from, and what is wrong with it."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgert.converters.calibrate import load_classes, load_samples, samples_from
from edgert.converters.convert import convert, convert_file
from edgert.converters.importers import load

from edgert import ConversionError, DataError

from ..support import run_graph
from .keras_models import MODELS, keras, layers, randomize

IMAGE = [(1, 4, 4, 3)]


def write_wav(path: Path, values: np.ndarray, width: int, channels: int = 1) -> None:
    scaled = np.clip(np.rint(values * 2 ** (8 * width - 1)), -(2 ** (8 * width - 1)), 2 ** (8 * width - 1) - 1).astype(np.int64)
    if width == 1:
        raw = (scaled + 128).astype(np.uint8).tobytes()
    else:
        raw = b"".join(int(v).to_bytes(width, "little", signed=True) for v in scaled)
    with wave.open(str(path), "wb") as f:
        f.setnchannels(channels)
        f.setsampwidth(width)
        f.setframerate(16000)
        f.writeframes(raw)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_in_pieces(width: int, tmp_path: Path) -> None:
    values = np.sin(np.arange(250) / 7).astype(np.float32) * 0.9
    write_wav(tmp_path / "a.wav", values, width)
    samples = list(load_samples(str(tmp_path / "a.wav"), [(1, 100, 1)]))
    assert [s[0].shape for s in samples] == [(1, 100, 1)] * 2
    np.testing.assert_allclose(samples[1][0].reshape(-1), values[100:200], atol=1.01 / 2 ** (8 * width - 1))
    write_wav(tmp_path / "b.wav", np.repeat(values, 2), width, channels=2)
    assert len(load_samples(str(tmp_path), [(1, 100)])) == 4


def test_wav_errors(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.ones(10) / 2, 2)
    with pytest.raises(DataError, match="shorter than the 100 samples"):
        load_samples(str(tmp_path / "a.wav"), [(1, 100)])
    with pytest.raises(DataError, match="compute its features"):
        load_samples(str(tmp_path / "a.wav"), [(1, 49, 10, 1)])
    (tmp_path / "b.wav").write_bytes(b"RIFFxxxx")
    with pytest.raises(DataError, match=r"b\.wav: not a \.wav file"):
        load_samples(str(tmp_path / "b.wav"), [(1, 100)])


@pytest.mark.parametrize("text", ["1,2,3\n4,5,6\n", "a;b;c\n1;2;3\n\n4;5;6", "1\t2\t3\n4\t5\t6\n", "1 2 3\n4 5 6\n"])
def test_csv(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    (a,), (b,) = load_samples(str(tmp_path / "x.csv"), [(1, 3, 1)], mean=(1.0,))
    np.testing.assert_array_equal(np.concatenate([a, b]).reshape(2, 3), np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no samples"),
        ("1,2\n3\n", "line 2 has 1 values"),
        ("1,2\n3,x\n", 'no number: "3,x"'),
        ("1,2,3,4\n", "samples of shape"),
    ],
)
def test_csv_errors(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_samples(str(tmp_path / "x.csv"), [(1, 3)])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 4, 3), np.float32), "all values are zero"),
        (np.full((3, 4, 4, 3), np.nan, np.float32), "sample 0 has values that are not finite"),
        (np.full((3, 4, 4, 3), np.inf, np.float32), "sample 0 has values that are not finite"),
        (np.ones((3, 4, 4, 2), np.float32), r"samples of shape \[4, 4, 2\], the model expects \[4, 4, 3\]"),
        (np.zeros((0, 4, 4, 3), np.float32), "has no samples"),
        (np.full((3, 4, 4, 3), "x"), "values of type <U1, expected numbers"),
        (np.ones((3, 4, 4, 3), np.complex64), "expected numbers"),
    ],
)
def test_bad_arrays(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=message):
        load_samples(str(tmp_path / "x.npy"), IMAGE)


def test_python_data() -> None:
    made: list[int] = []

    def generate() -> Iterator[Any]:
        made.append(1)
        for i in range(5):
            yield {"a": np.full((4, 4, 3), i + 1.0), "b": np.ones((1, 2))}

    shapes = [(1, 4, 4, 3), (1, 2)]
    s = samples_from(generate, ["a", "b"], shapes, limit=3)
    assert len(s) == 3 and [float(a[0, 0, 0, 0]) for a, _ in s] == [1, 2, 3] and [a.shape for a, _ in s] == [(1, 4, 4, 3)] * 3
    assert len(list(s)) == 3 and len(made) == 4, "it is made anew each time"
    pairs = samples_from([(np.ones((4, 4, 3)), np.ones(2))] * 2, ["a", "b"], shapes)
    assert len(pairs) == 2 and len(list(pairs)) == 2
    for items, message in (
        ([], "no samples"),
        ([{"a": 1}], 'no value for the input "b"'),
        ([np.ones((4, 4, 3))], "has 1 arrays"),
        ([(np.ones((4, 4, 4)), np.ones(2))], "sample 0 has the shape"),
        ([(np.full((4, 4, 3), np.nan), np.ones(2))], "no finite numbers"),
    ):
        with pytest.raises(DataError, match=message):
            samples_from(items, ["a", "b"], shapes)


def test_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", y=np.arange(10, dtype=np.uint8), x=np.ones(10))
    np.testing.assert_array_equal(load_classes(f"{tmp_path / 'c.npz'}:y", 4), [0, 3, 6, 9])
    with pytest.raises(DataError, match="one whole number a sample"):
        load_classes(f"{tmp_path / 'c.npz'}:x")


def test_integer_inputs_calibrate(tmp_path: Path) -> None:
    """Token numbers stay whole numbers."""
    model = keras.Sequential(
        [layers.Input((7,), dtype="int32"), layers.Embedding(11, 5), layers.GlobalAveragePooling1D(), layers.Dense(3)]
    )
    randomize(model).save(tmp_path / "m.keras")
    tokens = np.random.default_rng(0).integers(0, 11, (20, 7))
    r = convert(tmp_path / "m.keras", list(tokens))
    assert r.graph.tensors[r.graph.inputs[0]].dtype == "int32" and r.graph.tensors[r.graph.outputs[0]].dtype == "int8"
    assert r.quality is not None and r.quality.sqnr > 25


@pytest.mark.parametrize("scheme", ["float16", "dynamic", "weight-int8", "weight-int4"])
def test_models_with_small_weights_are_read(scheme: str, tmp_path: Path) -> None:
    """What has float activations is imported, whatever its weights are; then it can be quantized."""
    path = tmp_path / "m.keras"
    randomize(MODELS["functional"]()).save(path)
    convert_file(path, None, tmp_path / "small.tflite", scheme=scheme)
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(-2, 2, (1, 16, 16, 4)).astype(np.float32) for _ in range(2)]
    graph, original = load(tmp_path / "small.tflite"), load(path)
    assert {t.dtype for t in graph.tensors.values() if t.data is None} == {"float32"}
    for a, b in zip(run_graph(graph, inputs), run_graph(original, inputs)):
        size = {"float16": 2e-3, "dynamic": 0.05, "weight-int8": 0.05, "weight-int4": 1.0}[scheme]
        assert 0 < np.abs(a.reshape(-1) - b.reshape(-1)).max() < size * np.abs(b).max()
    if scheme != "weight-int4":
        r = convert(tmp_path / "small.tflite", [tuple(inputs)], rounding="nearest")
        assert all(r.graph.tensors[o].dtype == "int8" for o in r.graph.outputs)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = tmp_path / "m.keras", tmp_path / "m.tflite"
    randomize(MODELS["sequential"]()).save(path)
    out.write_bytes(b"the old model")
    import os

    real = os.fdopen

    class Full:
        def __init__(self, f: Any) -> None:
            self.f = f

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *a: object) -> None:
            self.f.close()

        def write(self, data: bytes) -> int:
            self.f.write(data[:100])
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgert.files.os.fdopen", lambda *a, **k: Full(real(*a, **k)))
    with pytest.raises(DataError, match=r"m\.tflite: cannot be written \(No space left on device\)"):
        convert_file(path, None, out, scheme="float32")
    assert out.read_bytes() == b"the old model" and sorted(p.name for p in tmp_path.iterdir()) == ["m.keras", "m.tflite"]


def test_empty_calibration(tmp_path: Path) -> None:
    randomize(MODELS["sequential"]()).save(tmp_path / "m.keras")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures in this folder"):
        convert(tmp_path / "m.keras", str(tmp_path / "empty"))
    with pytest.raises(ConversionError, match="needs calibration data"):
        convert(tmp_path / "m.keras")
