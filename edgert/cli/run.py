from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer

from ..files import reading, write_atomically
from ..model import load
from ..postprocess import load_labels, top_k
from ..preprocess import ImageOptions
from .output import console, numbers, table


def _value(path: Path) -> Any:
    if path.suffix != ".npy":
        return str(path)
    with reading(path, "a .npy file"):
        return np.load(path, allow_pickle=False)


def _save(path: Path, array: np.ndarray[Any, Any]) -> None:
    from io import BytesIO

    buffer = BytesIO()
    np.save(buffer, array)
    write_atomically(path, buffer.getvalue())


def run(
    model: Annotated[Path, typer.Argument(help=".tflite model")],
    inputs: Annotated[list[Path], typer.Argument(help="for each input of the model a picture or a .npy array")],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="write the (first) output to this .npy instead of printing classes")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="how many classes to print")] = 5,
    labels: Annotated[Optional[Path], typer.Option(help="text file with the classes' names (default: the model's own)")] = None,
    mean: Annotated[Optional[str], typer.Option(help="normalization of pictures (default: the model's own)")] = None,
    std: Annotated[Optional[str], typer.Option(help="see --mean")] = None,
    crop: Annotated[
        float, typer.Option(help="share of the picture to keep, from its centre; 0: squeeze the whole picture")
    ] = 0.875,
    rotate: Annotated[int, typer.Option(help="turn pictures counterclockwise by so many degrees: 0, 90, 180, 270")] = 0,
    bgr: Annotated[bool, typer.Option("--bgr", help="the model wants blue first")] = False,
    threads: Annotated[int, typer.Option(min=1, help="threads")] = 1,
) -> None:
    """Run a model on pictures or arrays."""
    if (mean is None) != (std is None):
        raise ValueError("--mean and --std go together")
    m = load(model, threads)
    options = ImageOptions(
        mean=numbers(mean, "mean") if mean else None,
        std=numbers(std, "std") if std else None,
        crop=crop or None,
        rotate=rotate,
        bgr=bgr,
    )
    result = m(*[_value(p) for p in inputs], image=options)
    first = result[0] if isinstance(result, list) else result
    if output is not None:
        _save(output, first)
        console().print(f"{output}: {first.dtype} {list(first.shape)}", soft_wrap=True, markup=False)
        return
    if first.ndim > 2 or (first.ndim == 2 and len(first) != 1):
        raise ValueError(
            f"the output has the shape {list(first.shape)}, which is no list of classes: write it to a file with --output FILE.npy"
        )
    best = top_k(first, top, load_labels(labels) if labels else m.labels)
    console().print(
        table("", [("class", "right"), ("score", "right"), ("label", "left")], [[c.id, f"{c.score:.4f}", c.label] for c in best])
    )
