from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..errors import DataError
from .output import console, numbers, progress, size


def convert(
    model: Annotated[Path, typer.Argument(help="trained model: .h5, .keras, .onnx, .pt2 or float .tflite")],
    calibrate: Annotated[
        Optional[str], typer.Option(help="typical inputs: FILE.npy, FILE.npz:KEY, or a folder of pictures")
    ] = None,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="file to write (default: MODEL_SCHEME.tflite)")] = None,
    scheme: Annotated[str, typer.Option(help="int8, 16x8, dynamic, weight-int8, weight-int4, float16 or float32")] = "int8",
    input_type: Annotated[Optional[str], typer.Option(help="what the model takes: int8, uint8, int16 or float32")] = None,
    output_type: Annotated[Optional[str], typer.Option(help="what the model gives: int8, uint8, int16 or float32")] = None,
    mean: Annotated[str, typer.Option(help="normalization of inputs, (value - mean) / std: one number, or one a channel")] = "0",
    std: Annotated[str, typer.Option(help="see --mean")] = "1",
    labels: Annotated[Optional[Path], typer.Option(help="text file with the classes' names, one a line")] = None,
    observer: Annotated[
        str, typer.Option(help="how ranges are found: mse, min-max, percentile, moving-average, entropy")
    ] = "mse",
    rounding: Annotated[str, typer.Option(help="how weights are rounded: reconstruct, nearest")] = "reconstruct",
    shape: Annotated[
        Optional[list[str]], typer.Option(help="NAME=1,3,224,224: size of an input whose dimensions are open")
    ] = None,
    constant: Annotated[
        Optional[list[str]], typer.Option(help="NAME=VALUE or NAME=FILE.npy: an input that becomes a constant")
    ] = None,
    keep_layout: Annotated[bool, typer.Option("--keep-layout", help="inputs and outputs keep their channels first")] = False,
    limit: Annotated[Optional[int], typer.Option(min=1, help="at most so many calibration samples")] = None,
) -> None:
    """Convert a trained float model to a quantized .tflite."""
    from edgert.converters.convert import convert_file

    from ..postprocess import load_labels

    target = output or model.with_name(f"{model.stem}_{scheme}.tflite")
    with progress("converting") as bar:
        result = convert_file(
            model,
            calibrate,
            target,
            scheme=scheme,
            input_type=input_type,
            output_type=output_type,
            mean=numbers(mean, "mean"),
            std=numbers(std, "std"),
            labels=load_labels(labels) if labels else (),
            observer=observer,
            rounding=rounding,
            shapes={k: [int(n) for n in numbers(v, "shape")] for k, v in _pairs(shape, "shape")},
            constants={k: _constant(v) for k, v in _pairs(constant, "constant")},
            keep_layout=keep_layout,
            limit=limit,
            progress=bar,
        )
    out = console()
    calibrated = f", calibrated on {result.samples} samples" if result.samples else ""
    out.print(
        f"{target}: {size(len(result.model))} (float: {size(len(result.float_model))}), {len(result.graph.nodes)} operators{calibrated}",
        soft_wrap=True,
    )
    if result.channels_last:
        out.print(f"channels last now: {', '.join(result.channels_last)} (--keep-layout leaves them first)", soft_wrap=True)
    if result.kept_float:
        out.print(f"kept in float, since {scheme} has no form for them: {', '.join(result.kept_float)}", soft_wrap=True)


def _pairs(values: Optional[list[str]], option: str) -> list[tuple[str, str]]:
    for v in values or []:
        if "=" not in v:
            raise DataError(f"--{option} {v}: expected NAME=VALUE")
    return [(v.rpartition("=")[0], v.rpartition("=")[2]) for v in values or []]


def _constant(text: str) -> Any:
    import numpy as np

    if text.endswith(".npy"):
        try:
            return np.load(text, allow_pickle=False)
        except (OSError, ValueError, EOFError) as e:
            raise DataError(f"{text}: not a .npy file, or a damaged one ({e})") from None
    values = np.array(numbers(text, "constant"))
    return values.reshape(()) if len(values) == 1 and "," not in text else values
