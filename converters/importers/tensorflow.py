"""TensorFlow: SavedModels and frozen graphs, through the user's own TensorFlow, whose converter makes a float `.tflite` of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgert.errors import ConversionError, MissingExtraError, ModelError

from ..ir import Graph
from .tflite import read_tflite


def is_saved_model(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def read_tensorflow(path: Path, *, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """The float graph of a SavedModel's default signature, or of a frozen graph (`.pb`).

    Args:
      path: the folder, or the file.
      shapes: sizes of inputs whose dimensions are open, by input name; an open batch is 1.

    Raises:
      MissingExtraError: TensorFlow is not installed.
      ModelError, ConversionError: it cannot be read, or TensorFlow cannot express it in TFLite's operators.
    """
    try:
        import tensorflow as tf
    except ImportError:
        raise MissingExtraError("tensorflow", "tensorflow", "reading a model of TensorFlow's") from None
    try:
        converter = _saved_model(tf, path, shapes or {}) if path.is_dir() else _frozen(tf, path, shapes or {})
    except (OSError, ValueError, KeyError, TypeError, IndexError) as e:
        raise ModelError(f"{path}: TensorFlow cannot read it: {_first_line(e)}") from None
    except Exception as e:  # protobuf's DecodeError has no class of its own that could be named here
        if type(e).__module__.split(".")[0] not in ("google", "tensorflow"):
            raise
        raise ModelError(f"{path}: TensorFlow cannot read it: {_first_line(e)}") from None
    try:
        model = converter.convert()
    except Exception as e:  # ConverterError is private
        raise ConversionError(f"{path}: TensorFlow cannot express it in TFLite's operators: {_first_line(e)}") from None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{path.stem}.tflite"
        file.write_bytes(model)
        graph = read_tflite(file)
    graph.name = path.stem
    return graph


def _first_line(e: Exception) -> str:
    return next((line.strip() for line in str(e).splitlines() if line.strip()), type(e).__name__)


def _saved_model(tf: Any, path: Path, shapes: Mapping[str, Sequence[int]]) -> Any:
    model = tf.saved_model.load(str(path))
    signatures = dict(model.signatures)
    if not signatures:
        raise ValueError("it has no signature")
    function = signatures.get("serving_default") or next(iter(signatures.values()))
    # Every input with all of its sizes: what is open stays so in the file, and cannot be planned.
    fixed = {}
    for name, spec in function.structured_input_signature[1].items():
        fixed[name] = tf.TensorSpec(_fixed(name, spec.shape.as_list(), shapes), spec.dtype, name=name)
    unknown = [n for n in shapes if n not in fixed]
    if unknown:
        raise ValueError(f'it has no input "{unknown[0]}"; its inputs are {", ".join(fixed)}')

    def call(**inputs: Any) -> Any:
        return function(**inputs)

    concrete = tf.function(call).get_concrete_function(**fixed)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)


def _fixed(name: str, shape: Sequence[int | None], shapes: Mapping[str, Sequence[int]]) -> list[int]:
    if name in shapes:
        return [int(n) for n in shapes[name]]
    if any(n is None for n in shape[1:]):
        raise ValueError(f'its input "{name}" has the open shape {list(shape)}; give it with --shape {name}=...')
    return [1 if n is None else int(n) for n in shape]


def _frozen(tf: Any, path: Path, shapes: Mapping[str, Sequence[int]]) -> Any:
    """Inputs are the placeholders, outputs what nothing reads."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    read = {i.split(":")[0].lstrip("^") for n in graph.node for i in n.input}
    inputs = [n for n in graph.node if n.op == "Placeholder"]
    outputs = [n.name for n in graph.node if n.name not in read and n.op not in ("Const", "Placeholder", "NoOp", "Assert")]
    if not inputs or not outputs:
        raise ValueError("it has no placeholders, or nothing that is computed")
    sizes = {}
    for n in inputs:
        dims = n.attr["shape"].shape
        sizes[n.name] = _fixed(n.name, [None if d.size < 0 else d.size for d in dims.dim], shapes)
    return tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(str(path), list(sizes), outputs, sizes)
