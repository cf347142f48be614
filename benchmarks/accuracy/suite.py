"""Models of every importer: how close the float graph is to the model's own framework, and what int8 loses. The README's table.

usage: suite.py [--shared ../shared] [--only NAME ...] [--scheme int8] [--markdown FILE]

Float: the largest difference to the framework's outputs, as a share of the largest output. int8: the signal to noise ratio of the outputs,
beside the float graph, on samples that calibration has not seen; and whether LiteRT's BUILTIN_REF gives the same bytes for them.

Needs: pip install ".[onnx]" keras jax "opencv-python-headless<5" onnxruntime ai-edge-litert rapidocr_onnxruntime silero-vad Pillow. What is not
installed is left out, with a word.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from edgert.converters.analyze import quality
from edgert.converters.convert import STATIC_SCHEMES, convert
from edgert.converters.importers import load
from edgert.converters.quantize import run_samples

from edgert import Interpreter

os.environ.setdefault("KERAS_BACKEND", "numpy")
ROOT = Path(__file__).resolve().parents[2]
CALIBRATION, TEST = 60, 40
Sample = tuple[np.ndarray, ...]


@dataclass
class Case:
    """A model, samples as its framework takes them, and what the framework makes of one. channels: whether they are channels first."""

    name: str
    origin: str
    source: Any
    samples: Callable[[int], list[Sample]]
    framework: Callable[[Sample], list[np.ndarray]]
    options: dict[str, Any] = field(default_factory=dict)


def pictures(folder: Path, size: tuple[int, int], mean: float, std: float) -> Callable[[int], list[Sample]]:
    from PIL import Image

    def make(n: int) -> list[Sample]:
        made = []
        for path in sorted(folder.glob("*.jpg"))[:n]:
            x = np.asarray(Image.open(path).convert("RGB").resize(size[::-1]), np.float32)
            made.append((((x - mean) / std)[None],))
        return made

    return make


def texts(size: tuple[int, int], lines: int) -> Callable[[int], list[Sample]]:
    """Pictures of letters, as a reader of texts gets them: [1, 3, height, width] within [-1, 1]."""
    from PIL import Image, ImageDraw, ImageFont

    def make(n: int) -> list[Sample]:
        rng, made = np.random.default_rng(0), []
        height = size[0] // lines
        for _ in range(n):
            paper, ink = int(rng.integers(150, 256)), int(rng.integers(0, 100))
            image = Image.new("RGB", size[::-1], (paper, paper - int(rng.integers(0, 40)), paper))
            draw = ImageDraw.Draw(image)
            for k in range(lines):
                font = ImageFont.load_default(size=int(height * rng.uniform(0.45, 0.75)))
                text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTabcdefghknorstu 0123456789"), int(rng.integers(6, 14))))
                draw.text((rng.uniform(0, 15), k * height + rng.uniform(0, height / 5)), text, (ink, ink, ink + 50), font=font)
            x = (np.asarray(image, np.float32) - 127.5) / 127.5 + rng.normal(0, 0.03, (*size, 3)).astype(np.float32)
            made.append((np.ascontiguousarray(x.transpose(2, 0, 1))[None].astype(np.float32),))
        return made

    return make


def noise(*shapes: tuple[int, ...], low: float = -2, high: float = 2) -> Callable[[int], list[Sample]]:
    def make(n: int) -> list[Sample]:
        rng = np.random.default_rng(0)
        return [tuple(rng.uniform(low, high, (1, *s)).astype(np.float32) for s in shapes) for _ in range(n)]

    return make


def waves(shape: tuple[int, ...]) -> Callable[[int], list[Sample]]:
    """Sequences that have something to remember: sums of a few sines for every feature."""

    def make(n: int) -> list[Sample]:
        rng = np.random.default_rng(0)
        t = np.arange(shape[0])[:, None]
        made = []
        for _ in range(n):
            parts = [
                np.sin(t * rng.uniform(0.05, 1.0, shape[1]) + rng.uniform(0, 6, shape[1])) * rng.uniform(0, 1, shape[1])
                for _ in range(3)
            ]
            made.append((sum(parts).astype(np.float32)[None],))
        return made

    return make


# ---- the models


def keras_cases(shared: Path, folder: Path) -> list[Case]:
    sys.path.insert(0, str(ROOT))
    import keras

    from tests.converters.keras_models import layers, randomize

    def by_keras(model: Any) -> Callable[[Sample], list[np.ndarray]]:
        def run(x: Sample) -> list[np.ndarray]:
            y = model(x[0] if len(x) == 1 else list(x), training=False)
            return [np.asarray(v) for v in (y if isinstance(y, (list, tuple)) else [y])]

        return run

    def saved(name: str, model: Any, samples: Callable[[int], list[Sample]]) -> Case:
        path = folder / f"{name}.keras"
        randomize(model).save(path)
        return Case(name, "Keras 3, drawn weights", path, samples, by_keras(model))

    class DepthwiseConv2D(layers.DepthwiseConv2D):  # type: ignore[misc]
        """Keras 2 writes groups=1, which Keras 3 refuses."""

        def __init__(self, *, groups: int = 1, **options: Any) -> None:
            super().__init__(**options)

    older = {"DepthwiseConv2D": DepthwiseConv2D}

    def trained(name: str, path: Path, samples: Callable[[int], list[Sample]], what: str) -> Case:
        return Case(name, what, path, samples, by_keras(keras.saving.load_model(path, older, compile=False)))

    cifar = np.load(shared / "data/cifar10/cifar10.npz")["calibration_images"].astype(np.float32)
    small = [layers.Dense(n, activation="relu") for n in (64, 16, 64)]
    return [
        trained("resnet8", shared / "float/resnet8.h5", lambda n: [(x[None],) for x in cifar[:n]], "Keras .h5, CIFAR-10"),
        trained("vww_96", shared / "float/vww_96.h5", pictures(shared / "data/imagenet", (96, 96), 0, 255), "Keras .h5, pictures"),
        trained("ad01", shared / "float/ad01.h5", noise((640,), low=-5, high=5), "Keras .h5, noise"),
        trained("demo", ROOT / "edgert/demo/data/fashion_mnist.h5", demo_pictures, "Keras .h5, Fashion-MNIST"),
        saved("lstm", keras.Sequential([layers.Input((40, 12)), layers.LSTM(32, return_sequences=True), layers.LSTM(16), layers.Dense(6)]), waves((40, 12))),
        saved("gru", keras.Sequential([layers.Input((30, 12)), layers.Bidirectional(layers.GRU(16)), layers.Dense(6)]), waves((30, 12))),
        saved("autoencoder", keras.Sequential([layers.Input((128,)), *small, layers.Dense(128)]), noise((128,))),
    ]  # fmt: skip


def demo_pictures(n: int) -> list[Sample]:
    data = np.load(next((ROOT / "edgert/demo/data").glob("*.npz")))
    key = next(k for k in data.files if data[k].ndim >= 3)
    x = data[key][:n].astype(np.float32)
    return [(p.reshape(1, 28, 28, 1),) for p in x]


def caffe_case(folder: Path) -> Case:
    sys.path.insert(0, str(ROOT))
    import cv2

    from tests.converters.caffe_files import classifier, write

    path = write(folder, *classifier(np.random.default_rng(0)))

    def run(x: Sample) -> list[np.ndarray]:
        net = cv2.dnn.readNetFromCaffe(str(path), str(path.with_suffix(".caffemodel")))
        net.setInput(x[0])
        return [np.asarray(net.forward())]

    return Case("classifier", "Caffe, drawn weights", path, noise((3, 29, 27)), run)


def onnx_cases() -> list[Case]:
    import onnxruntime

    def by_onnxruntime(path: Path, more: dict[str, np.ndarray]) -> Callable[[Sample], list[np.ndarray]]:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [i.name for i in session.get_inputs() if i.name not in more]
        return lambda x: list(session.run(None, {**dict(zip(names, x)), **more}))

    cases = []
    spec = find_spec("rapidocr_onnxruntime")
    if spec is not None and spec.origin:
        models = Path(spec.origin).parent / "models"
        for name, size, lines in (("det", (320, 320), 6), ("cls", (48, 192), 1), ("rec", (48, 320), 1)):
            path = next(models.glob(f"*{name}*.onnx"))
            samples = texts(size, lines)
            cases.append(
                Case(
                    f"PP-OCR {name}", "ONNX, rapidocr", path, samples, by_onnxruntime(path, {}), {"shapes": {"x": [1, 3, *size]}}
                )
            )
    spec = find_spec("silero_vad")
    if spec is not None and spec.origin:
        path = Path(spec.origin).parent / "data/silero_vad_16k_op15.onnx"
        rate = {"sr": np.array(16000, np.int64)}
        options = {"constants": rate, "shapes": {"input": [1, 576], "state": [2, 1, 128]}}

        def speech(n: int) -> list[Sample]:
            rng = np.random.default_rng(0)
            sound = [wave[0].mean(-1)[None] * 0.3 for (wave,) in waves((576, 8))(n)]
            return [(s.astype(np.float32), rng.uniform(-0.5, 0.5, (2, 1, 128)).astype(np.float32)) for s in sound]

        cases.append(Case("silero-vad", "ONNX, silero-vad", path, speech, by_onnxruntime(path, rate), options))
    return cases


# ---- measuring


def measure(case: Case, scheme: str) -> str:
    every = case.samples(CALIBRATION + TEST)
    graph = load(case.source, **case.options)
    worst = 0.0
    for x in every[:8]:
        (found,) = run_samples(graph, [x], graph.outputs)
        for a, b in zip(found, case.framework(x)):
            worst = max(worst, float(np.abs(a.reshape(-1) - b.reshape(-1)).max() / max(np.abs(b).max(), 1e-9)))
    # What the result takes has its channels last.
    data = [tuple(last(a, graph.channels_first) for a in x) for x in every[:CALIBRATION]]
    r = convert(case.source, data if scheme in STATIC_SCHEMES else None, scheme=scheme, **case.options)
    test = [tuple(last(a, graph.channels_first) for a in x) for x in every[CALIBRATION:]]
    q = quality(r.float_graph, r.graph, test)
    floats = f", {len(r.kept_float)} in float" if r.kept_float else ""
    floats += f", {len(r.normalized)} normalizations in float" if r.normalized else ""
    agreement = f"{100 * q.agreement:.1f}%" if r.graph.tensors[r.graph.outputs[0]].shape[-1] > 1 else ""
    return (
        f"| {case.name} | {case.origin} | {worst:.1e} | {q.sqnr:.1f} dB | {agreement} | {len(r.graph.nodes)}{floats} | "
        f"{len(r.float_model) / len(r.model):.1f} | {same_bytes(r.model, test[:4], r.graph)} |"
    )


def last(a: np.ndarray, first: bool) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(a, 1, -1)) if first and a.ndim in (4, 5) else a


def same_bytes(model: bytes, samples: list[Sample], graph: Any) -> str:
    from ai_edge_litert.interpreter import Interpreter as LiteRT
    from ai_edge_litert.interpreter import OpResolverType

    answers = []
    try:
        for it in (
            Interpreter(model_content=model),
            LiteRT(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF),
        ):
            it.allocate_tensors()
            outputs = []
            for sample in samples:
                if hasattr(it, "reset_all_variables"):
                    it.reset_all_variables()
                for d, x in zip(it.get_input_details(), sample):
                    scale, zero = d["quantization"]
                    info = np.iinfo(d["dtype"]) if d["dtype"] != np.float32 else None
                    it.set_tensor(
                        d["index"],
                        x if info is None else np.clip(np.rint(x / scale) + zero, info.min, info.max).astype(d["dtype"]),
                    )
                it.invoke()
                outputs += [it.get_tensor(d["index"]) for d in it.get_output_details()]
            answers.append(outputs)
    except (RuntimeError, ValueError) as e:
        return f"LiteRT refuses it: {str(e).splitlines()[0][:60]}"
    if all(np.array_equal(a, b) for a, b in zip(*answers)):
        return "yes"
    close = all(np.allclose(a, b, rtol=1e-5, atol=1e-5 * max(1e-9, float(np.abs(b).max()))) for a, b in zip(*answers))
    if close:
        return "within 1e-5 (float parts)"
    return f"within {max(float(np.abs(a - b).max() / max(1e-9, np.abs(b).max())) for a, b in zip(*answers)):.0e}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--scheme", default="int8")
    parser.add_argument("--markdown", type=Path)
    a = parser.parse_args()
    lines = [
        "| model | from | float beside its framework | int8 beside float | same class | operators | smaller | LiteRT's bytes |",
        "| --- " * 8 + "|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        cases: list[Case] = []
        for what, make in (
            ("keras", lambda: keras_cases(a.shared, Path(folder))),
            ("caffe", lambda: [caffe_case(Path(folder))]),
            ("onnx", onnx_cases),
        ):
            try:
                cases += make()
            except ImportError as e:
                print(f"{what}: left out, {e}", file=sys.stderr)
        for case in cases:
            if not a.only or case.name in a.only:
                lines.append(measure(case, a.scheme))
                print(lines[-1], flush=True)
    if a.markdown:
        a.markdown.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
