"""PyTorch models: a module in memory, an exported program, or a `.pt2` file, through PyTorch's own ONNX exporter."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgert.errors import ConversionError, MissingExtraError, ModelError

from ..ir import Graph
from .onnx import read_onnx


def is_torch(model: Any) -> bool:
    """Whether an object is a `torch.nn.Module` or a `torch.export.ExportedProgram`; does not import torch."""
    return any(c.__module__.split(".")[0] == "torch" and c.__name__ in ("Module", "ExportedProgram") for c in type(model).__mro__)


def read_torch(
    model: Any,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, NDArray[Any]] | None = None,
) -> Graph:
    """The float graph of a PyTorch model.

    Args:
      model: a `torch.nn.Module`, an `ExportedProgram`, or the path of a `.pt2` file that `torch.export.save` wrote.
      shapes: for a module, the shape of each of its inputs, batch first, in the order in which forward() takes them; the names
        become those of the inputs.
      constants: values for inputs that decide shapes.

    Raises:
      ModelError: the file cannot be read.
      ConversionError: PyTorch cannot export the model, or edgert does not know what it exports.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "torch", "reading a PyTorch model") from None
    where = "the PyTorch model"
    if isinstance(model, Path):
        where = str(model)
        try:
            model = torch.export.load(str(model))
        except Exception as e:  # whatever the archive's reader raises
            raise ModelError(f"{where}: not a program saved by torch.export.save, or a damaged one ({_line(e)})") from None
    arguments: tuple[Any, ...] = ()
    names: list[str] | None = None
    if isinstance(model, torch.nn.Module):
        if not shapes:
            raise ConversionError(
                "a torch.nn.Module does not say what it takes: give shapes={name: shape, ...}, one for each input of forward()"
            )
        model = model.eval()
        arguments = tuple(torch.zeros([int(n) for n in s]) for s in shapes.values())
        names, shapes = list(shapes), None
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(model, arguments, str(target), dynamo=True, input_names=names, verbose=False)
        except ImportError as e:
            raise MissingExtraError(e.name or "onnxscript", "torch", "exporting a PyTorch model") from None
        except Exception as e:  # the exporter raises a class for each of its stages
            raise ConversionError(f"{where}: PyTorch cannot export it to ONNX ({_line(e)})") from None
        return read_onnx(target, shapes=shapes, constants=constants)


def refuse_pickle(path: Path) -> ConversionError:
    """What to say to `.pt` and `.pth` files."""
    return ConversionError(
        f"{path}: a pickle runs code when it is loaded, and often holds weights without their model; load it in a program of your "
        "own and give edgert the module (edgert.converters.convert), or save it with torch.export.save as .pt2"
    )


def _line(e: Exception) -> str:
    text = str(e).strip().splitlines()
    return text[0] if text else type(e).__name__
