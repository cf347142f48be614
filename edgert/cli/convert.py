from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..errors import DataError
from .inputs import ConstantOption, ShapeOption, constants, shapes
from .output import console, numbers, progress, size


def convert(
    model: Annotated[
        Path, typer.Argument(help="trained model: .h5, .keras, .onnx, .pt2, .prototxt, .pb, float .tflite, or a SavedModel")
    ],
    calibrate: Annotated[
        Optional[str],
        typer.Option(help="typical inputs: FILE.npy, FILE.npz:KEY, FILE.csv, FILE.wav, or a folder of pictures or .wav files"),
    ] = None,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="file to write (default: MODEL_SCHEME.tflite)")] = None,
    scheme: Annotated[
        Optional[str], typer.Option(help="int8 (default), 16x8, dynamic, weight-int8, weight-int4, float16 or float32")
    ] = None,
    input_type: Annotated[Optional[str], typer.Option(help="what the model takes: int8, uint8, int16 or float32")] = None,
    output_type: Annotated[Optional[str], typer.Option(help="what the model gives: int8, uint8, int16 or float32")] = None,
    mean: Annotated[
        Optional[str], typer.Option(help="normalization of inputs, (value - mean) / std: one number, or one a channel")
    ] = None,
    std: Annotated[Optional[str], typer.Option(help="see --mean")] = None,
    labels: Annotated[Optional[Path], typer.Option(help="text file with the classes' names, one a line")] = None,
    observer: Annotated[
        Optional[str],
        typer.Option(help="how ranges are found: mse (default), min-max, percentile, moving-average, entropy, search"),
    ] = None,
    rounding: Annotated[Optional[str], typer.Option(help="how weights are rounded: reconstruct (default), nearest")] = None,
    bias_correction: Annotated[
        Optional[str],
        typer.Option(
            help="of biases, for what rounding does on the average: empirical (on the data), analytic (from batch normalization), none"
        ),
    ] = None,
    equalize: Annotated[
        Optional[bool],
        typer.Option("--equalize/--no-equalize", help="even out the ranges of neighbouring layers' channels first"),
    ] = None,
    refine: Annotated[
        Optional[bool],
        typer.Option(
            "--refine/--no-refine",
            help="try smaller and larger ranges on the integer graph, tensor by tensor (default: where it takes seconds)",
        ),
    ] = None,
    shift: Annotated[
        Optional[bool],
        typer.Option(
            "--shift/--no-shift", help="move ranges that clip towards what they clip, on the integer graph, tensor by tensor"
        ),
    ] = None,
    recipe: Annotated[Optional[Path], typer.Option(help="TOML file with precisions of single layers, and options")] = None,
    min_sqnr: Annotated[
        Optional[float], typer.Option(help="more bits for as many layers as it takes for so many decibels at the outputs")
    ] = None,
    max_drop: Annotated[
        Optional[float], typer.Option(help="likewise, for at most so many of a hundred samples that become wrong")
    ] = None,
    classes: Annotated[
        Optional[str], typer.Option(help="FILE.npy or FILE.npz:KEY with the right class of each calibration sample")
    ] = None,
    target: Annotated[
        Optional[str], typer.Option(help="cpu (default), edgetpu, ethos-u55 or ethos-u65: tells what it does not take")
    ] = None,
    weights: Annotated[Optional[Path], typer.Option(help="the .caffemodel of a .prototxt")] = None,
    shape: ShapeOption = None,
    constant: ConstantOption = None,
    keep_layout: Annotated[bool, typer.Option("--keep-layout", help="inputs and outputs keep their channels first")] = False,
    limit: Annotated[Optional[int], typer.Option(min=1, help="at most so many calibration samples")] = None,
    measure: Annotated[bool, typer.Option(help="measure the time of both models at the end")] = True,
) -> None:
    """Convert a trained float model to a quantized .tflite."""
    from edgert.converters.calibrate import load_classes
    from edgert.converters.convert import convert_file
    from edgert.converters.quantize.recipe import Recipe, load_recipe

    from ..postprocess import load_labels

    read = load_recipe(recipe) if recipe else Recipe()
    scheme = scheme or str(read.options.get("scheme", "int8"))
    limit = limit or read.options.get("limit")
    goal = min_sqnr or max_drop or read.options.get("min_sqnr") or read.options.get("max_drop")
    target_file = output or model.with_name(f"{model.stem}_{scheme}.tflite")
    with progress("converting") as bar:
        result = convert_file(
            model,
            calibrate,
            target_file,
            scheme=scheme,
            input_type=input_type,
            output_type=output_type,
            mean=numbers(mean, "mean") if mean else None,
            std=numbers(std, "std") if std else None,
            labels=load_labels(labels) if labels else (),
            observer=observer,
            rounding=rounding,
            bias_correction=bias_correction,
            equalize=equalize,
            refine=refine,
            shift=shift,
            recipe=read,
            min_sqnr=min_sqnr,
            max_drop=max_drop,
            classes=load_classes(classes, limit) if classes else None,
            target=target,
            weights=weights,
            shapes=shapes(shape),
            constants=constants(constant),
            keep_layout=keep_layout,
            limit=limit,
            progress=bar,
        )
    for line in _report(result, target_file, scheme, measure):
        console().print(line, soft_wrap=True)
    if result.met is False:
        raise DataError(
            f"{target_file}: written, but the target ({goal:g}) was not reached, with all layers in their highest precision"
        )


def _report(result: Any, path: Path, scheme: str, measure: bool) -> list[str]:
    """What was done, in a few lines."""
    calibrated = f", calibrated on {result.samples} samples" if result.samples else ""
    nodes = len(result.graph.nodes)
    lines = [f"{path}: {size(len(result.model))} (float: {size(len(result.float_model))}), {nodes} operators{calibrated}"]
    folded = {k: n - result.after.get(k, 0) for k, n in result.before.items() if n > result.after.get(k, 0)}
    if folded:
        lines.append(f"folded into others: {', '.join(f'{n} {k}' for k, n in sorted(folded.items(), key=lambda x: -x[1]))}")
    if result.channels_last:
        lines.append(f"channels last now: {', '.join(result.channels_last)} (--keep-layout leaves them first)")
    if result.kept_float:
        lines.append(f"kept in float, since {scheme} has no form for them: {', '.join(result.kept_float)}")
    if result.normalized:
        lines.append(f"in float, since a variance has no room in its steps: {len(result.normalized)} normalizations")
    if result.raised:
        kinds = sorted(set(result.raised.values()))
        lines += [f"in {kind}: {', '.join(n for n, k in result.raised.items() if k == kind)}" for kind in kinds]
        if result.met is not None:
            lines.append(f"that takes an estimated {100 * result.cost:.0f}% more time")
    if result.split:
        lines.append(f"weights of more than eight bits, as two layers: {', '.join(result.split)}")
    q = result.quality
    if q is not None:
        lines.append(
            f"beside float, on the calibration data: {q.sqnr:.1f} dB, same largest value in {100 * q.agreement:.1f}% of the samples{q.accuracies}"
        )
    for f in result.on_cpu:
        if not f.after:
            lines.append(f"stays on the CPU: {f.op} {f.name}: {f.why}")
    behind = sum(f.after for f in result.on_cpu)
    if behind:
        lines.append(f"stay on the CPU: {behind} operators that follow those")
    if measure:
        times = [_milliseconds(m) for m in (result.model, result.float_model)]
        lines.append(f"on this machine, one thread: {times[0]:.3f} ms (float: {times[1]:.3f} ms)")
    return lines


def _milliseconds(model: bytes) -> float:
    """The median of some inferences."""
    import time
    from statistics import median

    from ..interpreter import Interpreter

    it = Interpreter(model_content=model)
    it.allocate_tensors()
    it.invoke()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - begin < 0.2 and len(times) < 1000):
        now = time.perf_counter()
        it.invoke()
        times.append(time.perf_counter() - now)
    return 1000 * median(times)
