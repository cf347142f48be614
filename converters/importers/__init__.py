"""Importers: a model → Graph. Which one reads a file is told by its name, and which one takes an object by its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgert.errors import ConversionError, ModelError

from ..ir import Graph


def load(
    source: str | Path | Any,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, NDArray[Any]] | None = None,
    weights: str | Path | None = None,
) -> Graph:
    """The float graph of a model.

    Args:
      source: a file (`.h5`, `.keras`, `.onnx`, `.pt2`, `.prototxt`, `.caffemodel`, `.pb`, `.tflite`), the folder of a SavedModel, or a model in memory: `onnx.ModelProto`, `torch.nn.Module`,
        `torch.export.ExportedProgram`, `keras.Model`.
      shapes: sizes of inputs whose dimensions are open, by input name (ONNX, PyTorch, TensorFlow).
      constants: values of inputs that decide shapes, by input name (ONNX, PyTorch).
      weights: the `.caffemodel` of a `.prototxt`, where that is not beside it under the same name.

    Raises:
      ModelError: the file cannot be read.
      ConversionError: it has layers that edgert does not know, or a kind that no importer reads.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        try:
            return _load_file(path, shapes, constants, None if weights is None else Path(weights))
        except (ConversionError, ModelError) as e:
            if str(path) in str(e):
                raise
            raise type(e)(f"{path}: {e}") from None
    from .pytorch import is_torch, read_torch

    kind, given = type(source).__qualname__, {"shapes": shapes, "constants": constants, "weights": weights}
    kinds = {(c.__module__.split(".")[0], c.__name__) for c in type(source).__mro__}
    if is_torch(source):
        _check(kind, _TAKES[".pt2"], given)
        return read_torch(source, shapes=shapes, constants=constants)
    if any(module in ("onnx", "onnx_ml_pb2") and name == "ModelProto" for module, name in kinds):
        _check(kind, _TAKES[".onnx"], given)
        from .onnx import read_onnx

        return read_onnx(source, shapes=shapes, constants=constants)
    if any(module in ("keras", "tf_keras") and name == "Model" for module, name in kinds):
        import tempfile

        from .keras import read_keras

        _check(kind, _TAKES[".keras"], given)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{getattr(source, 'name', 'model')}.keras"
            source.save(path)
            return read_keras(path)
    raise ConversionError(f"no importer takes a {type(source).__module__}.{type(source).__qualname__}")


# What importers take beside the file.
_TAKES: dict[str, set[str]] = {
    ".onnx": {"shapes", "constants"},
    ".pt2": {"shapes", "constants"},
    ".pb": {"shapes"},
    ".prototxt": {"weights"},
    ".caffemodel": {"weights"},
    ".h5": set(),
    ".hdf5": set(),
    ".keras": set(),
    ".tflite": set(),
}
_OWNERS = {
    "shapes": "sizes of inputs can be given for ONNX, PyTorch and TensorFlow models only",
    "constants": "values of inputs can be given for ONNX and PyTorch models only",
    "weights": "weights of their own have only Caffe networks",
}


def _check(name: object, takes: set[str], given: Mapping[str, Any]) -> None:
    """What is given and not taken is an error: it would be ignored otherwise."""
    for what, value in given.items():
        if value and what not in takes:
            raise ConversionError(f"{name}: {_OWNERS[what]}")


def _load_file(
    path: Path, shapes: Mapping[str, Sequence[int]] | None, constants: Mapping[str, NDArray[Any]] | None, weights: Path | None
) -> Graph:
    if not path.exists():
        raise ModelError(f"{path}: there is no such file")
    suffix = path.suffix.lower()
    if path.is_dir():
        from .tensorflow import is_saved_model

        if not is_saved_model(path):
            raise ModelError(f"{path}: this is a directory, not a model file, and no SavedModel either")
        suffix = ".pb"
    if suffix in (".pt", ".pth", ".ckpt", ".bin"):
        from .pytorch import refuse_pickle

        raise refuse_pickle(path)
    if suffix not in _TAKES:
        known = ".h5, .keras, .onnx, .pt2, .prototxt with .caffemodel, .pb, SavedModels, and .tflite"
        raise ConversionError(f'{path}: no importer reads "{suffix}" files; known are {known}')
    _check(path, _TAKES[suffix], {"shapes": shapes, "constants": constants, "weights": weights})
    if suffix == ".pb":
        from .tensorflow import read_tensorflow

        return read_tensorflow(path, shapes=shapes)
    if suffix == ".onnx":
        from .onnx import read_onnx

        return read_onnx(path, shapes=shapes, constants=constants)
    if suffix == ".pt2":
        from .pytorch import read_torch

        return read_torch(path, shapes=shapes, constants=constants)
    if suffix in (".prototxt", ".caffemodel"):
        from .caffe import read_caffe

        return read_caffe(path, weights)
    if suffix == ".tflite":
        from .tflite import read_tflite

        return read_tflite(path)
    from .keras import read_keras

    return read_keras(path)


__all__ = ["load"]
