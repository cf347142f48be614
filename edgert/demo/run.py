"""The demo: a Fashion-MNIST classifier is converted to int8 and compared with its float original."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bench import OpTime, profile
from ..errors import DataError
from ..files import write_atomically
from ..interpreter import Interpreter
from ..preprocess import dequantize, quantize


@dataclass(frozen=True)
class Side:
    """One of the two models: scores [n, 10] for the test pictures, sizes and times."""

    scores: NDArray[np.float32]
    bytes: int
    median_ms: float
    operators: list[OpTime]

    def accuracy(self, labels: NDArray[Any]) -> float:
        return float((self.scores.argmax(1) == labels).mean())


@dataclass(frozen=True)
class LayerError:
    """How far an int8 layer is from the float one, over some test pictures: signal to quantization noise in dB."""

    name: str
    op: str
    sqnr: float


@dataclass(frozen=True)
class DemoResult:
    """What the demo found, and where it wrote it."""

    real: Side
    int8: Side
    pictures: NDArray[np.uint8]
    labels: NDArray[Any]
    names: list[str]
    layers: list[LayerError]
    model: Path
    report: Path

    @property
    def agreement(self) -> float:
        return float((self.real.scores.argmax(1) == self.int8.scores.argmax(1)).mean())


def _interpreter(model: bytes, preserve: bool = False) -> Interpreter:
    it = Interpreter(model_content=model, experimental_preserve_all_tensors=preserve)
    it.allocate_tensors()
    return it


def _evaluate(model: bytes, pictures: NDArray[np.uint8]) -> Side:
    it = _interpreter(model)
    x, y = it.get_input_details()[0], it.get_output_details()[0]
    scores, times = [], []
    for picture in pictures:
        it.set_tensor(x["index"], quantize(picture[None].astype(np.float32), x))
        begin = time.perf_counter()
        it.invoke()
        times.append(time.perf_counter() - begin)
        scores.append(dequantize(it.get_tensor(y["index"]), y)[0])
    return Side(np.array(scores, np.float32), len(model), float(np.median(times)) * 1e3, profile(it, 100))


def compare_layers(float_model: bytes, int8_model: bytes, samples: NDArray[Any]) -> list[LayerError]:
    """SQNR of every int8 tensor that has a float tensor of the same name, over `samples`, in the order of the operators."""
    a, b = _interpreter(float_model, True), _interpreter(int8_model, True)
    float_index = {d["name"]: d for d in a.get_tensor_details()}
    details = {d["index"]: d for d in b.get_tensor_details()}
    pairs = []
    for op in b._get_ops_details():
        out = details[int(op["outputs"][0])]
        if out["name"] in float_index and np.dtype(out["dtype"]).kind in "iu":
            pairs.append((op["op_name"], float_index[out["name"]], out))
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    xa, xb = a.get_input_details()[0], b.get_input_details()[0]
    for sample in samples:
        value = sample[None].astype(np.float32)
        a.set_tensor(xa["index"], value)
        b.set_tensor(xb["index"], quantize(value, xb))
        a.invoke()
        b.invoke()
        for i, (_, f, q) in enumerate(pairs):
            real = a.get_tensor(f["index"]).astype(np.float64)
            error = dequantize(b.get_tensor(q["index"]), q).astype(np.float64) - real
            signal[i] += float((real**2).sum())
            noise[i] += float((error**2).sum())
    sqnr = 10 * np.log10(np.maximum(signal, 1e-30) / np.maximum(noise, 1e-30))
    return [LayerError(q["name"], op, float(s)) for (op, _, q), s in zip(pairs, sqnr)]


def run_demo(folder: Path, progress: Callable[[str, int, int], None] | None = None) -> DemoResult:
    """Converts, compares, and writes `fashion_mnist_int8.tflite` and `report.html` into `folder` (made if missing).

    Raises:
      MissingExtraError: h5py, tflite, flatbuffers or Pillow is not installed.
      DataError: the folder cannot be written.
    """
    from edgert.converters.calibrate import Samples
    from edgert.converters.convert import convert

    from .report import render

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise DataError(f"{folder}: cannot be made ({e.strerror or e})") from None
    with resources.as_file(resources.files(__package__) / "data") as data:
        with np.load(data / "pictures.npz", allow_pickle=False) as z:
            calibration, pictures, labels, names = z["calibration"], z["test"], z["labels"], [str(n) for n in z["names"]]
        result = convert(data / "fashion_mnist.h5", Samples((calibration,)), labels=names, progress=progress)
    demo = DemoResult(
        real=_evaluate(result.float_model, pictures),
        int8=_evaluate(result.model, pictures),
        pictures=pictures,
        labels=labels,
        names=names,
        layers=compare_layers(result.float_model, result.model, pictures[:20]),
        model=folder / "fashion_mnist_int8.tflite",
        report=folder / "report.html",
    )
    write_atomically(demo.model, result.model)
    write_atomically(demo.report, render(demo))
    return demo
