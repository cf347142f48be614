"""Files of every kind that edgert reads, damaged: a sentence that names the file, or what is left of it, and nothing else."""

from __future__ import annotations

import io
import json
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from edgert.converters.calibrate.data import load_samples
from edgert.converters.export.metadata import LABEL_FILE, build_metadata
from edgert.converters.importers import load
from edgert.converters.importers.keras import hdf5
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgert import EdgertError, ModelError
from edgert.cli.run import _value
from edgert.golden import steps_of
from edgert.metadata import read_metadata
from edgert.preprocess import load_image

from ..support import Model, examples
from .keras_models import keras, layers


def numpy_file(save: Callable[..., None], **arrays: Any) -> bytes:
    out = io.BytesIO()
    save(out, *([] if arrays else [np.arange(12, dtype=np.float32)]), **arrays)
    return out.getvalue()


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(16000)
        f.writeframes(bytes(range(200)) * 2)
    return out.getvalue()


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)).save(out, kind)
    return out.getvalue()


def with_labels(compression: int) -> bytes:
    out = io.BytesIO(b"TFL3" * 20)
    with zipfile.ZipFile(out, "a", compression) as z:
        z.writestr(LABEL_FILE, "\n".join(f"thing {i % 7}" for i in range(50)))
    return out.getvalue()


def model() -> bytes:
    m = Model()
    m.input("x", (1, 4), "float32")
    m.tensor("w", (3, 4), "float32", np.ones((3, 4), np.float32))
    m.tensor("y", (1, 3), "float32")
    m.op("FULLY_CONNECTED", ["x", "w"], "y")
    return m.bytes()


METADATA = build_metadata("m", ["x"], ["y"], [1.0], [4.0], True)
STEP = {"in0_0": np.ones((3, 4), np.float32)}
KINDS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "tflite": (".tflite", model, load),
    "npy": (".npy", lambda: numpy_file(np.save), _value),
    "npz": (".npz", lambda: numpy_file(np.savez, **STEP), lambda p: steps_of(p, 1, 0)),
    "compressed npz": (".npz", lambda: numpy_file(np.savez_compressed, **STEP), lambda p: steps_of(p, 1, 0)),
    "calibration": (".npz", lambda: numpy_file(np.savez_compressed, **STEP), lambda p: load_samples(f"{p}:in0_0", [(1, 4)])),
    "wav": (".wav", sound, lambda p: load_samples(str(p), [(1, 16)])),
    "png": (".png", lambda: picture("png"), load_image),
    "jpeg": (".jpeg", lambda: picture("jpeg"), load_image),
    "dds": (".dds", lambda: picture("dds"), load_image),
    "labels": (".tflite", lambda: with_labels(zipfile.ZIP_STORED), lambda p: read_metadata(METADATA, p)),
    "deflated labels": (".tflite", lambda: with_labels(zipfile.ZIP_DEFLATED), lambda p: read_metadata(METADATA, p)),
    "lzma labels": (".tflite", lambda: with_labels(zipfile.ZIP_LZMA), lambda p: read_metadata(METADATA, p)),
}


def damaged(data: st.DataObject, whole: bytes) -> bytes:
    """Some bytes changed, and perhaps the end cut off."""
    content = bytearray(whole)
    byte = st.sampled_from([0, 255]) | st.integers(0, 255)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), byte), min_size=1, max_size=4)):
        content[at] = value
    cut = data.draw(st.none() | st.integers(0, len(whole)))
    return bytes(content[:cut])


def all_are_read_or_refused(path: Path, whole: bytes, read: Callable[[Path], object], count: int) -> None:
    """`count` damaged copies of `whole`, each at `path`."""

    @examples(count)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        path.write_bytes(damaged(data, whole))
        try:
            read(path)
        except EdgertError as e:
            assert path.name in str(e) and "\n" not in str(e)

    check()


@pytest.mark.filterwarnings("ignore")  # of Pillow, about tags
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    suffix, make, read = KINDS[kind]
    path = tmp_path_factory.mktemp("damaged") / f"file{suffix}"
    whole = make()
    path.write_bytes(whole)
    read(path)
    all_are_read_or_refused(path, whole, read, 300)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    x = layers.Input((8, 8, 3))
    model = keras.Model(x, layers.Dense(5, name="last")(layers.Flatten()(layers.Conv2D(4, 3, name="first")(x))))
    for suffix in (".h5", ".keras"):
        model.save(folder / f"m{suffix}")
    return folder


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_damaged_keras_files(suffix: str, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The HDF5 library crashes on some of these, and never comes back from others."""
    monkeypatch.setattr(hdf5, "SECONDS", 3.0)
    all_are_read_or_refused(saved / f"damaged{suffix}", (saved / f"m{suffix}").read_bytes(), load, 40)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "a damaged HDF5 file .the HDF5 library crashes on it"),
        ("import time\ntime.sleep(60)", "a damaged HDF5 file .reading it takes more than 1 seconds"),
        ("import sys\nsys.exit('this is\\nwrong')", "m.h5: not an HDF5 file, or a damaged one .this is"),
    ],
)
def test_a_file_that_the_hdf5_library_cannot_bear(
    program: str, message: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setattr(hdf5, "PROGRAM", tmp_path / "program.py")
    monkeypatch.setattr(hdf5, "SECONDS", 1.0)
    with pytest.raises(ModelError, match=message) as e:
        load(saved / "m.h5")
    assert "\n" not in str(e.value)


def rewritten(source: Path, path: Path, change: Callable[[h5py.File], None]) -> Path:
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "a") as f:
        change(f)
    return path


def loop(f: h5py.File) -> None:
    f["model_weights/first/again"] = f["model_weights"]


def elsewhere(f: h5py.File) -> None:
    f["model_weights/first/other"] = h5py.ExternalLink("secret.h5", "/key")


def in_another_file(f: h5py.File) -> None:
    f.create_dataset("model_weights/outside", (16,), "f4", external=[("/etc/hostname", 0, 64)])


def huge(f: h5py.File) -> None:
    f.create_dataset("model_weights/huge", (1 << 50,), "f4", chunks=(1 << 20,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (loop, "groups are deeper than 64|more than 1000000"),
        (elsewhere, 'm.h5: .*"other" is a link to elsewhere'),
        (in_another_file, 'm.h5: .*"outside" has its values in another file'),
        (huge, "m.h5: .*its arrays take 4503599627370496 bytes|m.h5: .*more than this machine has"),
    ],
)
def test_hostile_hdf5(change: Callable[[h5py.File], None], message: str, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        load(rewritten(saved / "m.h5", tmp_path / "m.h5", change))


def test_a_configuration_that_never_ends(saved: Path, tmp_path: Path) -> None:
    def nest(f: h5py.File) -> None:
        f.attrs["model_config"] = "[" * 60_000

    with pytest.raises(ModelError, match=r"m\.h5: not a Keras model"):
        load(rewritten(saved / "m.h5", tmp_path / "m.h5", nest))


def test_names_of_weights_in_parts(saved: Path, tmp_path: Path) -> None:
    """Keras divides a list that is longer than an attribute can be."""

    def divide(f: h5py.File) -> None:
        for layer in f["model_weights"].values():
            names = layer.attrs["weight_names"]
            del layer.attrs["weight_names"]
            for i, name in enumerate(names):
                layer.attrs[f"weight_names{i}"] = [name]

    whole, parts = load(saved / "m.h5"), load(rewritten(saved / "m.h5", tmp_path / "m.h5", divide))
    assert list(whole.tensors) == list(parts.tensors)
    for name, t in whole.tensors.items():
        np.testing.assert_array_equal(t.data, parts.tensors[name].data)


def test_a_zip_that_says_it_is_endless(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("config.json", json.dumps({}))
        z.writestr("model.weights.h5", b"")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")  # the size when unpacked, of the last entry of the directory
    content[entry + 24 : entry + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    first = content.index(b"PK\x01\x02")
    content[first + 24 : first + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(content)
    with zipfile.ZipFile(path) as z:
        assert sum(i.file_size for i in z.infolist()) > 1 << 32
    with pytest.raises(ModelError, match=r"m\.keras: "):
        load(path)


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("wanted", [(1, 1), (1, 4, 4, 3)])
def test_samples_of_too_few_dimensions(shape: tuple[int, ...], wanted: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(shape, np.float32))
    try:
        load_samples(str(tmp_path / "x.npy"), [wanted], channels_first=[True])
    except EdgertError as e:
        assert "x.npy: has samples of shape []" in str(e) or "x.npy: has no samples" in str(e)
    else:
        assert (shape, wanted) == ((3,), (1, 1))


def test_samples_of_a_sound_that_no_format_has(tmp_path: Path) -> None:
    content = bytearray(sound())
    at = content.index(b"fmt ") + 8
    content[at + 14 : at + 16] = (64).to_bytes(2, "little")  # bits a sample
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(EdgertError, match=r"x\.wav: has samples of 64 bits, expected 8, 16, 24 or 32"):
        load_samples(str(tmp_path / "x.wav"), [(1, 16)])
