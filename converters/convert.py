"""From a trained model to a quantized `.tflite`: the whole way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgert.errors import ConversionError, DataError
from edgert.files import write_atomically

from . import passes
from .calibrate import OBSERVERS, Samples, calibrate, load_samples
from .export import to_tflite
from .export.metadata import NAME, append_labels, build_metadata
from .importers import load
from .ir import Graph
from .quantize import Rounded, quantize_static, quantize_weights, reconstruct, with_weights
from .quantize.weights import SCHEMES as WEIGHT_SCHEMES

# What activations are, by scheme.
STATIC_SCHEMES = {"int8": "int8", "16x8": "int16"}
ROUNDINGS = ("reconstruct", "nearest")
RIDGE = {"int8": 1.0, "int16": 0.1}


@dataclass(frozen=True)
class Result:
    """What a conversion made.

    channels_last: names of inputs and outputs that were [batch, channels, height, width] in the original and have their
      channels last now.
    kept_float: operators (with the name of their first output) that the scheme has no integer form for.
    """

    model: bytes
    float_model: bytes
    graph: Graph
    float_graph: Graph
    samples: int
    channels_last: tuple[str, ...] = ()
    kept_float: tuple[str, ...] = ()


def convert(
    source: str | Path | Any,
    calibration: str | Samples | None = None,
    *,
    scheme: str = "int8",
    input_type: str | None = None,
    output_type: str | None = None,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    labels: Sequence[str] = (),
    observer: str = "mse",
    rounding: str = "reconstruct",
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, NDArray[Any]] | None = None,
    keep_layout: bool = False,
    limit: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Result:
    """Converts a float model.

    Args:
      source: a file or a model in memory (see `importers.load`).
      calibration: where typical inputs are (see `load_samples`), or the samples themselves; "int8" and "16x8" need it.
      scheme: "int8" (everything in integers), "16x8" (16-bit activations, 8-bit weights), "dynamic" (8-bit weights,
        activations quantized while it runs), "weight-int8", "weight-int4", "float16" (weights alone), "float32" (none).
      input_type, output_type: "int8", "uint8", "int16" or "float32"; by default the scheme's own.
      mean, std: normalization of the inputs, (value - mean) / std: applied to calibration data, and kept as metadata.
      labels: names of the classes of the first output, kept as metadata.
      observer: how ranges of activations are found: "mse", "min-max", "percentile", "moving-average", "entropy".
      rounding: how weights are rounded: "reconstruct" (see `quantize.reconstruct`) or "nearest".
      shapes, constants: sizes of open dimensions, and values of inputs that decide shapes (ONNX, PyTorch).
      keep_layout: leaves the inputs and outputs of channels-first models as they are.
      limit: at most so many calibration samples.
      progress: called with (what is being done, steps done, steps in all).

    Raises:
      ModelError, ConversionError, DataError: see there; the message names file and layer.
    """
    name = Path(source).name if isinstance(source, (str, Path)) else type(source).__name__
    known = [*STATIC_SCHEMES, *WEIGHT_SCHEMES, "float32"]
    if scheme not in known:
        raise ConversionError(f'there is no scheme "{scheme}"; known are {", ".join(known)}')
    if observer not in OBSERVERS:
        raise ConversionError(f'there is no observer "{observer}"; known are {", ".join(OBSERVERS)}')
    if rounding not in ROUNDINGS:
        raise ConversionError(f'there is no rounding "{rounding}"; known are {", ".join(ROUNDINGS)}')
    if any(s == 0 for s in std):
        raise DataError("a standard deviation of 0 divides by zero")
    graph = load(source, shapes=shapes, constants=constants)
    came_quantized = any(n.op == "QUANTIZE" for n in graph.nodes)
    if scheme in STATIC_SCHEMES and calibration is None and not came_quantized:
        raise ConversionError(f'the scheme "{scheme}" needs calibration data: typical inputs, some 100 of them')
    channels_last = passes.optimize(graph, keep_layout)
    if labels:
        classes = graph.tensors[graph.outputs[0]].shape[-1:]
        if classes and classes[0] != len(labels):
            raise DataError(f"there are {len(labels)} labels, but the model's first output has {classes[0]} classes")
    total = 0
    kept: tuple[str, ...] = ()
    if scheme in STATIC_SCHEMES:
        kind = STATIC_SCHEMES[scheme]
        samples = calibration
        if isinstance(samples, str):
            moved = [n in channels_last[0] for n in graph.input_names]
            sizes = [graph.tensors[i].shape for i in graph.inputs]
            samples = load_samples(samples, sizes, mean=tuple(mean), std=tuple(std), limit=limit, channels_first=moved)
        samples = samples or Samples()
        total = len(samples)
        # A model that came quantized has its integers already: they are kept as they are.
        rounding = "nearest" if came_quantized else rounding
        quantized = _static(graph, samples, kind, observer, rounding, input_type or kind, output_type or kind, progress)
        kept = _kept_float(graph, quantized)
    else:
        for given in (input_type, output_type):
            if given not in (None, "float32"):
                raise ConversionError(
                    f'the scheme "{scheme}" has float activations; inputs and outputs of {given} need int8 or 16x8'
                )
        quantized = graph if scheme == "float32" else quantize_weights(graph, scheme)
    about = {NAME: build_metadata(Path(name).stem, graph.input_names, graph.output_names, mean, std, bool(labels))}
    model = to_tflite(quantized, f"edgert: {name}, {scheme}", about)
    if labels:
        model = append_labels(model, labels)
    float_model = to_tflite(graph, f"edgert: {name}, float32", about)
    return Result(model, float_model, quantized, graph, total, (*channels_last[0], *channels_last[1]), kept)


def _static(
    graph: Graph, samples: Samples, kind: str, observer: str, rounding: str, input_type: str, output_type: str,
    progress: Callable[[str, int, int], None] | None,
) -> Graph:  # fmt: skip
    total = len(samples)
    # Sixteen bits have room enough: clipping could only lose.
    watch = OBSERVERS[observer if kind == "int8" else "min-max"]
    done = (lambda n: progress("calibrating", n, total)) if progress else None
    ranges = calibrate(graph, samples, watch, done) if total else {}
    rounded = None
    if rounding == "reconstruct":

        def so_far(done: dict[str, Rounded]) -> Graph:
            # What sixteen bits round does not matter beside what eight bits of weights do, and float is faster.
            return (
                with_weights(graph, done)
                if kind == "int16"
                else quantize_static(graph, ranges, kind, kind, kind=kind, rounded=done)
            )

        rounded = reconstruct(
            graph,
            so_far,
            samples,
            127,
            # The weaker the noise of the activations, the more can be had from moving the errors of weights.
            RIDGE[kind],
            progress=(lambda done, count: progress("rounding weights", done, count)) if progress else None,
        )
    return quantize_static(graph, ranges, input_type, output_type, kind=kind, rounded=rounded)


def _kept_float(graph: Graph, quantized: Graph) -> tuple[str, ...]:
    """Operators of the original whose output is float in the result, the last DEQUANTIZE apart."""
    before = {n.outputs[0] for n in graph.nodes if graph.tensors[n.outputs[0]].dtype == "float32"}
    return tuple(
        f"{n.op} {n.outputs[0]}"
        for n in quantized.nodes
        if n.outputs[0] in before and quantized.tensors[n.outputs[0]].dtype == "float32"
    )


def convert_file(source: str | Path | Any, calibration: str | Samples | None, output: str | Path, **options: Any) -> Result:
    """`convert`, written to a file that appears only when it is complete."""
    result = convert(source, calibration, **options)
    write_atomically(Path(output), result.model)
    return result


__all__ = ["ROUNDINGS", "STATIC_SCHEMES", "WEIGHT_SCHEMES", "Result", "convert", "convert_file"]
