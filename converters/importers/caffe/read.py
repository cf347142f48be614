"""Caffe networks: the layers from a `.prototxt`, their weights from a `.caffemodel`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgert.errors import ConversionError, EdgertError, ModelError

from ...ir import Graph, Tensor
from ..emit import Emitter, UnsupportedUseError
from .layers import LAYERS, Layer
from .messages import FormatError, Message, parse_text, read_weights

# Layers that feed or judge a training, which inference has no use for.
_DATA = ("Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData", "AnnotatedData")
_JUDGES = (
    "Accuracy",
    "Silence",
    "HDF5Output",
    "InfogainLoss",
    "SoftmaxWithLoss",
    "EuclideanLoss",
    "HingeLoss",
    "SigmoidCrossEntropyLoss",
    "ContrastiveLoss",
    "MultinomialLogisticLoss",
)
# Types as they were written before 2015, where that is not the new name in capitals.
_OLD = {
    "INNER_PRODUCT": "InnerProduct", "RELU": "ReLU", "PRELU": "PReLU", "LRN": "LRN", "TANH": "TanH", "ABSVAL": "AbsVal", "BNLL": "BNLL",
    "MVN": "MVN", "HDF5_DATA": "HDF5Data", "IMAGE_DATA": "ImageData", "MEMORY_DATA": "MemoryData", "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "EUCLIDEAN_LOSS": "EuclideanLoss", "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
}  # fmt: skip


def read_caffe(path: Path, weights: Path | None = None) -> Graph:
    """The float graph of a network, batch size 1.

    Args:
      path: the `.prototxt`, or the `.caffemodel`.
      weights: the `.caffemodel`; by default the one of the same name beside it, or the only one there.

    Raises:
      ModelError: a file is missing, or no such file.
      ConversionError: the network has layers that edgert does not know; all of them are named.
    """
    text, weights = _pair(path, weights)
    try:
        net = parse_text(text.read_text("utf-8", "replace"))
        blobs = read_weights(weights.read_bytes())
    except FormatError as e:
        raise ModelError(f"{path}: not a Caffe network, or a damaged one: {e}") from None
    except OSError as e:
        raise ModelError(f"{path}: cannot be read ({e.strerror or e})") from None
    try:
        return _build(net, blobs, text)
    except EdgertError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as e:
        raise ModelError(f"{text}: this network has an unexpected form ({type(e).__name__}: {e})") from e


def _pair(path: Path, weights: Path | None) -> tuple[Path, Path]:
    if path.suffix.lower() == ".caffemodel":
        return _beside(path, ".prototxt"), path
    if weights is not None and not weights.is_file():
        raise ModelError(f"{weights}: there is no such file")
    return path, weights or _beside(path, ".caffemodel")


def _beside(path: Path, suffix: str) -> Path:
    same = path.with_suffix(suffix)
    found = [same] if same.is_file() else sorted(path.parent.glob(f"*{suffix}"))
    if len(found) != 1:
        there = ", ".join(p.name for p in found) or "none"
        raise ModelError(
            f"{path}: a Caffe network is two files; expected one {suffix} beside it, found {there} (give it with --weights)"
        )
    return found[0]


def _layers(net: Message) -> list[Message]:
    """Layers of inference, with today's names."""
    layers = []
    for m in [*net.get("layer", []), *net.get("layers", [])]:
        kind = str(m["type"][-1])
        if kind not in LAYERS and (kind.isupper() or kind in _OLD):
            kind = _OLD.get(kind, "".join(p.capitalize() for p in kind.split("_")))
        phases = [str(r["phase"][-1]) for r in m.get("include", []) if r.get("phase")]
        if (phases and not {"TEST", "1"} & set(phases)) or any(
            str(r["phase"][-1]) == "TEST" for r in m.get("exclude", []) if r.get("phase")
        ):
            continue
        layers.append({**m, "type": [kind]})
    return layers


def _build(net: Message, blobs: dict[str, Any], path: Path) -> Graph:
    layers = [m for m in _layers(net) if m["type"][0] not in _JUDGES]
    if not layers:
        raise ModelError(f"{path}: the network has no layers")
    data = [m for m in layers if m["type"][0] in _DATA]
    if data:
        raise ConversionError(
            f'{path}: layer "{data[0]["name"][0]}" ({data[0]["type"][0]}) feeds a training; give the network for deployment, with an Input'
        )
    unknown = [f'"{m["name"][0]}" ({m["type"][0]})' for m in layers if m["type"][0] not in LAYERS and m["type"][0] != "Input"]
    if unknown:
        raise ConversionError(f"{path}: no converter for the layers {', '.join(unknown)}")
    graph = Graph(str(net.get("name", [path.stem])[0]), channels_first=True)
    emitter = Emitter(graph)
    values: dict[str, str] = {}

    def add_input(name: str, shape: list[int]) -> None:
        tensor = graph.add_tensor(Tensor(name, (1, *(int(n) for n in shape[1:]))))
        graph.inputs.append(tensor)
        graph.input_names.append(name)
        values[name] = tensor

    for name, shape in zip(net.get("input", []), _shapes(net)):
        add_input(name, shape)
    read: set[str] = set()
    made: dict[str, None] = {}
    for m in layers:
        kind, name, tops = m["type"][0], str(m["name"][0]), [str(t) for t in m.get("top", [])]
        if kind == "Input":
            shapes = m.get("input_param", [{}])[0].get("shape", [])
            for i, top in enumerate(tops):
                add_input(top, shapes[i if len(shapes) > 1 else 0]["dim"])
            continue
        bottoms = [str(b) for b in m.get("bottom", [])]
        missing = [b for b in bottoms if b not in values]
        if missing:
            raise ModelError(f'{path}: layer "{name}" ({kind}) reads "{missing[0]}", which nothing before it makes')
        field, handler = LAYERS[kind]
        emitter.prefix = name
        parameter = m.get(field, [{}])[-1] if field else {}
        layer = Layer(kind, name, m, [values[b] for b in bottoms], len(tops), blobs.get(name, []), emitter, parameter)
        try:
            result = handler(layer)
        except UnsupportedUseError as e:
            raise ConversionError(f'{path}: layer "{name}" ({kind}): {e}') from None
        except (LookupError, TypeError, ValueError, ArithmeticError) as e:
            raise ModelError(
                f'{path}: layer "{name}" ({kind}) has parameters of an unexpected form ({type(e).__name__}: {e})'
            ) from e
        read.update(bottoms)
        for top, value in zip(tops, [result] if isinstance(result, str) else result):
            values[top] = value
            made.pop(top, None)
            made[top] = None
            if top not in bottoms:
                read.discard(top)
    names = [t for t in made if t not in read or _last_use_in_place(layers, t)]
    graph.outputs, graph.output_names = [values[n] for n in names], names
    if not names:
        raise ModelError(f"{path}: the network has no output")
    graph.check()
    return graph


def _last_use_in_place(layers: list[Message], top: str) -> bool:
    """Whether the last layer that reads a blob writes it as well: then what it writes is read by none."""
    last = [m for m in layers if top in m.get("bottom", [])][-1]
    return top in last.get("top", [])


def _shapes(net: Message) -> list[list[int]]:
    """Of inputs that are no layers: input_shape, or before that four times input_dim."""
    if net.get("input_shape"):
        return [s["dim"] for s in net["input_shape"]]
    flat = [int(d) for d in net.get("input_dim", [])]
    return [flat[i : i + 4] for i in range(0, len(flat), 4)]
