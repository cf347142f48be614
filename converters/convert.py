"""From a trained model to a quantized `.tflite`: the whole way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError, DataError
from edgert.files import write_atomically

from . import passes
from .analyze.measure import Quality, Reference, some
from .calibrate import OBSERVERS, Observer, Ranges, Samples, Several, calibrate, load_samples, samples_from, spread
from .export import to_tflite
from .export.metadata import NAME, append_labels, build_metadata
from .importers import load
from .ir import Graph
from .quantize import Rounded, quantize_static, quantize_weights, reconstruct, with_weights
from .quantize.expectations import expectations
from .quantize.mixed import Choice, choose, multiply_adds
from .quantize.normalization import normalizations
from .quantize.recipe import Recipe, load_recipe
from .quantize.refine import refine, scaled, shifted
from .quantize.split import choose_splits, split_weights, splittable
from .quantize.weights import SCHEMES as WEIGHT_SCHEMES
from .targets import TARGETS, Finding, check

# What activations are, by scheme.
STATIC_SCHEMES = {"int8": "int8", "16x8": "int16"}
ROUNDINGS = ("reconstruct", "nearest")
CORRECTIONS = ("empirical", "analytic", "none")
# The observer that is a search through all others.
SEARCH = "search"
RIDGE = {"int8": 1.0, "int16": 0.1}
# What 16-bit activations are for, in decibels, on the calibration data, so that 40 are left on others: layers for which eight bits of weights are too
# few to reach it have two times eight.
AIM_16X8 = 46.0
# Samples on which the result is measured, and on which layers are ranked.
_MEASURED, _RANKED = 64, 16
# Parts of the samples that tell how much of a gain is chance.
_PARTS = 8
# Multiply-adds of a search that is done without being asked for; making the integer graph takes as long as so many an operator.
_LITTLE, _MAKING = 1e11, 2e6

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """What there is to choose. A value of None is the recipe's, or else the default."""

    scheme: str = "int8"
    input_type: str | None = None
    output_type: str | None = None
    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    observer: str = "mse"
    rounding: str = "reconstruct"
    bias_correction: str | None = None
    equalize: bool = False
    refine: bool | None = None
    shift: bool = False
    min_sqnr: float | None = None
    max_drop: float | None = None
    limit: int | None = None
    target: str = "cpu"

    @staticmethod
    def of(recipe: Recipe, given: Mapping[str, Any]) -> Options:
        """Checked, with what was given before what the recipe has.

        Raises:
          ConversionError, DataError: a value that there is not.
        """
        try:
            o = Options(**{**recipe.options, **{k: v for k, v in given.items() if v is not None}})
            mean, std = (tuple(float(x) for x in np.atleast_1d(v)) for v in (o.mean, o.std))
            for number in (o.min_sqnr, o.max_drop, o.limit):
                float(number or 0)
        except (TypeError, ValueError) as e:
            raise DataError(f"the recipe has a value of the wrong type ({e})") from None
        known = [*STATIC_SCHEMES, *WEIGHT_SCHEMES, "float32"]
        for what, value, values in (
            ("scheme", o.scheme, known),
            ("observer", o.observer, [*OBSERVERS, SEARCH]),
            ("rounding", o.rounding, list(ROUNDINGS)),
            ("bias_correction", o.bias_correction or "none", list(CORRECTIONS)),
            ("target", o.target, list(TARGETS)),
        ):
            if value not in values:
                raise ConversionError(f'there is no {what} "{value}"; known are {", ".join(values)}')
        if any(s == 0 for s in std):
            raise DataError("a standard deviation of 0 divides by zero")
        if o.bias_correction == "analytic" and o.rounding != "nearest":
            raise ConversionError(
                "analytic bias correction is for weights that are rounded to the nearest; reconstruction finds biases on the data"
            )
        if o.min_sqnr is not None and o.max_drop is not None:
            raise ConversionError("min_sqnr and max_drop are two targets; give one of them")
        return Options(**{**vars(o), "mean": mean, "std": std})


@dataclass(frozen=True)
class Result:
    """What a conversion made.

    channels_last: names of inputs and outputs that were [batch, channels, height, width] in the original and have their
      channels last now.
    kept_float: operators (with the name of their first output) that the scheme has no integer form for.
    raised: layers with another precision than the scheme's, by the name of their output.
    cost: how much longer those take, as a share of an estimate; met: whether the target was reached (None: there was none).
    quality: on the calibration data, as far as there is some. before, after: operators of the original and of the float model after all
      passes, by kind.
    on_cpu: what the target does not take. split: layers of "16x8" that are two, for weights of more than eight bits.
    normalized: roots of variances; the normalization around each is computed in float.
    """

    model: bytes
    float_model: bytes
    graph: Graph
    float_graph: Graph
    samples: int
    channels_last: tuple[str, ...] = ()
    kept_float: tuple[str, ...] = ()
    raised: Mapping[str, str] = field(default_factory=dict)
    cost: float = 0.0
    met: bool | None = None
    quality: Quality | None = None
    before: Mapping[str, int] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)
    on_cpu: tuple[Finding, ...] = ()
    split: tuple[str, ...] = ()
    normalized: tuple[str, ...] = ()


def convert(
    source: str | Path | Any,
    calibration: str | Samples | Callable[[], Iterable[Any]] | Iterable[Any] | None = None,
    *,
    scheme: str | None = None,
    input_type: str | None = None,
    output_type: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    labels: Sequence[str] = (),
    observer: str | None = None,
    rounding: str | None = None,
    bias_correction: str | None = None,
    recipe: Recipe | str | Path | None = None,
    min_sqnr: float | None = None,
    max_drop: float | None = None,
    classes: NDArray[np.int64] | None = None,
    target: str | None = None,
    weights: str | Path | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, NDArray[Any]] | None = None,
    keep_layout: bool = False,
    equalize: bool | None = None,
    refine: bool | None = None,
    shift: bool | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Converts a float model.

    Args:
      source: a file or a model in memory (see `importers.load`).
      calibration: where typical inputs are (see `load_samples`), the samples themselves, or an iterable or a function that gives one
        (see `samples_from`); "int8" and "16x8" need it.
      scheme: "int8" (the default; everything in integers), "16x8" (16-bit activations, 8-bit weights), "dynamic" (8-bit weights,
        activations quantized while it runs), "weight-int8", "weight-int4", "float16" (weights alone), "float32" (none).
      input_type, output_type: "int8", "uint8", "int16" or "float32"; by default the scheme's own.
      mean, std: normalization of the inputs, (value - mean) / std: applied to calibration data, and kept as metadata.
      labels: names of the classes of the first output, kept as metadata.
      observer: how ranges of activations are found: "mse" (the default), "min-max", "percentile", "moving-average", "entropy", or
        "search": each tensor's from the one with which the integer graph's outputs are closest.
      rounding: how weights are rounded: "reconstruct" (the default, see `quantize.reconstruct`) or "nearest".
      bias_correction: "empirical" (on the calibration data, the default where weights are reconstructed), "analytic" (by what batch normalization has seen
        in training, where the model still has it), "none" (the default where weights are rounded to the nearest).
      recipe: precisions of single layers, and options (see `quantize.recipe`).
      min_sqnr: layers get more bits until the outputs have this signal to noise ratio, in decibels, on the calibration data.
      max_drop: likewise until no more than so many samples of a hundred are wrong that were right, or without `classes` have another
        class than in float.
      classes: the right class of each calibration sample.
      target: "cpu" (the default), "edgetpu", "ethos-u55" or "ethos-u65": what it does not take is told.
      weights: the `.caffemodel` of a `.prototxt`, where that is not beside it.
      shapes, constants: sizes of open dimensions, and values of inputs that decide shapes (ONNX, PyTorch, TensorFlow).
      equalize: cross-layer equalization of weights before they are quantized (see `passes.equalize`); off by default.
      refine: ranges of activations are made smaller and larger, one after the other, as the integer graph's outputs come closer; by default where it takes
        seconds (see `_LITTLE`).
      shift: ranges that clip are moved towards what they clip, in the same way; off by default.
      keep_layout: leaves the inputs and outputs of channels-first models as they are.
      limit: at most so many calibration samples.
      progress: called with (what is being done, steps done, steps in all).

    Raises:
      ModelError, ConversionError, DataError: see there; the message names file and layer.
    """
    name = Path(source).name if isinstance(source, (str, Path)) else type(source).__name__
    recipe = load_recipe(Path(recipe)) if isinstance(recipe, (str, Path)) else recipe or Recipe()
    o = Options.of(
        recipe,
        {
            "scheme": scheme, "input_type": input_type, "output_type": output_type, "mean": mean, "std": std, "observer": observer,
            "rounding": rounding, "bias_correction": bias_correction, "equalize": equalize, "refine": refine, "shift": shift, "min_sqnr": min_sqnr, "max_drop": max_drop, "limit": limit, "target": target,
        },
    )  # fmt: skip
    graph = load(source, shapes=shapes, constants=constants, weights=weights)
    means = expectations(graph) if o.bias_correction == "analytic" else {}
    before = Counter(n.op for n in graph.nodes)
    came_quantized = any(n.op == "QUANTIZE" for n in graph.nodes)
    if o.scheme in STATIC_SCHEMES and calibration is None and not came_quantized:
        raise ConversionError(f'the scheme "{o.scheme}" needs calibration data: typical inputs, some 100 of them')
    channels_last = passes.optimize(graph, keep_layout)
    if o.scheme in STATIC_SCHEMES:
        passes.for_integers(graph)
    if o.equalize:
        passes.equalize(graph)
        graph.remove_dead()
    if labels:
        found = graph.tensors[graph.outputs[0]].shape[-1:]
        if found and found[0] != len(labels):
            raise DataError(f"there are {len(labels)} labels, but the model's first output has {found[0]} classes")
    about = {NAME: build_metadata(Path(name).stem, graph.input_names, graph.output_names, o.mean, o.std, bool(labels))}
    made = _Static(graph, o, recipe, came_quantized, means, progress) if o.scheme in STATIC_SCHEMES else None
    if made is not None:
        quantized = made.run(_samples(graph, calibration, o, channels_last[0]), classes)
    elif recipe.entries or o.min_sqnr is not None or o.max_drop is not None:
        raise ConversionError(
            f'the scheme "{o.scheme}" has one precision; recipes for layers and targets of accuracy need int8 or 16x8'
        )
    else:
        for given in (o.input_type, o.output_type):
            if given not in (None, "float32"):
                raise ConversionError(
                    f'the scheme "{o.scheme}" has float activations; inputs and outputs of {given} need int8 or 16x8'
                )
        quantized = graph if o.scheme == "float32" else quantize_weights(graph, o.scheme)
    model = to_tflite(quantized, f"edgert: {name}, {o.scheme}", about)
    if labels:
        model = append_labels(model, labels)
    float_model = to_tflite(graph, f"edgert: {name}, float32", about)
    on_cpu = tuple(check(quantized, o.target))
    ends = (*channels_last[0], *channels_last[1])
    after = Counter(n.op for n in graph.nodes)
    if made is None:
        return Result(model, float_model, quantized, graph, 0, ends, before=before, after=after, on_cpu=on_cpu)
    return Result(
        model, float_model, quantized, graph, len(made.samples), ends, made.kept_float(quantized), made.raised(), made.choice.cost,
        made.choice.met if made.has_target else None, made.quality, before, after, on_cpu, tuple(made.split),
        tuple(n.outputs[0] for n in graph.nodes if n.outputs[0] in made.in_float and n.op in ("RSQRT", "SQRT")),
    )  # fmt: skip


def _samples(graph: Graph, calibration: Any, o: Options, channels_last: Sequence[str]) -> Samples:
    if calibration is None:
        return Samples()
    if isinstance(calibration, Samples):
        return calibration
    mean, std, sizes = tuple(o.mean), tuple(o.std), [graph.tensors[i].shape for i in graph.inputs]
    if isinstance(calibration, (str, Path)):
        moved = [n in channels_last for n in graph.input_names]
        return load_samples(str(calibration), sizes, mean=mean, std=std, limit=o.limit, channels_first=moved)
    return samples_from(calibration, graph.input_names, sizes, mean=mean, std=std, limit=o.limit)


class _Static:
    """The schemes with integer activations: calibration, rounding, and the choice of precisions."""

    def __init__(
        self,
        graph: Graph,
        o: Options,
        recipe: Recipe,
        came_quantized: bool,
        means: Mapping[str, NDArray[np.float64]],
        progress: Progress | None,
    ) -> None:
        self.graph, self.options, self.means, self.progress = graph, o, means, progress
        self.kind = STATIC_SCHEMES[o.scheme]
        # A model that came quantized has its integers already: they are kept as they are.
        self.rounding = "nearest" if came_quantized else o.rounding
        self.correction = (
            "none" if came_quantized else o.bias_correction or ("empirical" if self.rounding == "reconstruct" else "none")
        )
        # Whether there is anything to find out about layers, one after the other.
        self.by_layer = self.rounding == "reconstruct" or self.correction != "none"
        # Accelerators have no floats; what has come with integers keeps them.
        self.in_float = normalizations(graph) if o.target == "cpu" and not came_quantized else set()
        asked = recipe.kinds(graph)
        self.in_float -= asked.keys()
        self.fixed = {**dict.fromkeys(self.in_float, "float32"), **asked}
        self.choice = Choice(dict(self.fixed), True, 0.0)
        self.has_target = o.min_sqnr is not None or o.max_drop is not None
        self.quality: Quality | None = None
        self.samples = Samples()
        self.rounded: dict[str, dict[str, Rounded]] = {}  # by the kind of activations that they were made for
        self.split: list[str] = []
        self.ranges: Ranges = {}
        self.classes: NDArray[np.int64] | None = None
        self.references: dict[int, Reference] = {}

    def run(self, samples: Samples, classes: NDArray[np.int64] | None) -> Graph:
        """The integer graph."""
        self.samples, self.classes = samples, classes
        if self.has_target and not len(samples):
            raise ConversionError("a target of accuracy is measured on calibration data; there is none")
        if classes is not None and len(classes) != len(samples):
            raise DataError(f"there are {len(classes)} classes, and {len(samples)} calibration samples")
        # Sixteen bits have room enough: clipping could only lose.
        search, made = self.kind == "int8" and self.options.observer == SEARCH, []

        def several() -> Observer:
            made.append(Several())
            return made[-1]

        watch = several if search else OBSERVERS[self.options.observer if self.kind == "int8" else "min-max"]
        if len(samples):
            self.ranges = calibrate(self.graph, samples, watch, self._counted("calibrating", len(samples)))
        if self.by_layer:
            self.rounded[self.kind] = self._round(self.kind)
        if search:
            # Observers are made in the order of the ranges.
            self._refine({name: o.ranges() for name, o in zip(self.ranges, made)}, "trying observers")
        if self.kind == "int8" and len(samples) and self._wants_refinement():
            self._refine(scaled(self.ranges), "refining scales")
        if self.options.shift and self.kind == "int8" and len(samples):
            seen = calibrate(self.graph, samples, progress=self._counted("looking for what is clipped", len(samples)))
            self._refine(shifted(self.ranges, seen), "shifting ranges")
        if self.has_target:
            self.choice = self._choose()
        elif self.kind == "int16" and self.rounding == "reconstruct" and len(samples):
            self._split()
        quantized = self.build(self.choice.kinds, self.options.input_type or self.kind, self.options.output_type or self.kind)
        if len(samples):
            self.quality = self._reference(_MEASURED).quality(quantized)
        return quantized

    def build(self, kinds: Mapping[str, str], input_type: str | None = None, output_type: str | None = None) -> Graph:
        rounded = dict(self.rounded.get(self.kind, {}))
        if self.by_layer:
            for name, kind in kinds.items():  # weights that suit inputs without noise
                if kind == "int16" and kind not in self.rounded:
                    self.rounded[kind] = self._round(kind)
                if kind == "int16" and name in self.rounded[kind]:
                    rounded[name] = self.rounded[kind][name]
        ends = input_type or self.kind, output_type or self.kind
        graph = split_weights(self.graph, self.split) if self.split else self.graph
        rounded = {k: v for k, v in rounded.items() if k not in self.split}
        return quantize_static(graph, self.ranges, *ends, kind=self.kind, kinds=kinds, rounded=rounded)

    def _reference(self, most: int) -> Reference:
        """The float outputs of at most so many samples, computed when they are first asked for."""
        most = min(most, len(self.samples))
        if most not in self.references:
            classes = None if self.classes is None else self.classes[spread(len(self.samples), most)]
            self.references[most] = Reference(self.graph, some(self.samples, most), classes)
        return self.references[most]

    def _wants_refinement(self) -> bool:
        if self.options.refine is not None:
            return self.options.refine
        each = min(_MEASURED, len(self.samples)) * sum(multiply_adds(self.graph, n) for n in self.graph.nodes) + _MAKING * len(
            self.graph.nodes
        )
        return self.rounding == "reconstruct" and each * sum(map(len, scaled(self.ranges).values())) < _LITTLE

    def _refine(self, candidates: Mapping[str, Sequence[tuple[float, float]]], what: str) -> None:
        kept = self.ranges

        def score(ranges: Ranges) -> list[float]:
            self.ranges = ranges
            return self._reference(_MEASURED).parts(self.build(self.fixed), _PARTS)

        self.ranges = refine(kept, candidates, score, self._told(what))

    def _split(self) -> None:
        """Gives layers two times eight bits of weights, as few as it takes for AIM_16X8."""
        whole = self._reference(_MEASURED)
        if whole.quality(self.build(self.fixed)).sqnr >= AIM_16X8:
            return
        few, progress = self._reference(_RANKED), self.progress
        candidates = [n.outputs[0] for n in splittable(self.graph) if n.outputs[0] not in self.fixed]
        halves = split_weights(self.graph, candidates)
        found = calibrate(halves, self.samples, progress=self._counted("calibrating halves", len(self.samples)))
        self.ranges.update({k: v for k, v in found.items() if k not in self.ranges})
        # Each layer rounded for the inputs that it has in float: what made up for others' errors would be an error once those are gone.
        told = self._told("rounding weights")
        rounded = reconstruct(self.graph, lambda _: self.graph, self.samples, 127, RIDGE[self.kind], progress=told)
        self.rounded[self.kind] = rounded
        ranked = iter(range(1, len(candidates) + 1))

        def noise(name: str) -> float:
            if progress:
                progress("ranking layers", next(ranked), len(candidates))
            only = {name: rounded[name]} if name in rounded else {}
            return float(10 ** (-few.quality(with_weights(self.graph, only)).sqnr / 10))

        def good(names: list[str]) -> bool:
            self.split = names
            return few.quality(self.build(self.fixed)).sqnr >= AIM_16X8

        names, count = choose_splits(self.graph, noise, good)
        self.split = names[:count]
        while (
            count < len(names) and whole.quality(self.build(self.fixed)).sqnr < AIM_16X8
        ):  # the few were kinder than all of them
            count += max(1, count // 4)
            self.split = names[:count]

    def _told(self, what: str) -> Callable[[int, int], None] | None:
        progress = self.progress
        return (lambda done, total: progress(what, done, total)) if progress else None

    def _counted(self, what: str, total: int) -> Callable[[int], None] | None:
        told = self._told(what)
        return (lambda done: told(done, total)) if told else None

    def _round(self, kind: str) -> dict[str, Rounded]:
        def so_far(done: dict[str, Rounded]) -> Graph:
            # What sixteen bits round does not matter beside what eight bits of weights do, and float is faster.
            if kind == "int16":
                return with_weights(self.graph, done)
            return quantize_static(self.graph, self.ranges, self.kind, self.kind, kind=self.kind, kinds=self.fixed, rounded=done)

        # The weaker the noise of the activations, the more can be had from moving the errors of weights.
        told = self._told("rounding weights")
        return reconstruct(
            self.graph, so_far, self.samples, 127, RIDGE[kind], told, nearest=self.rounding == "nearest", correction=self.correction, means=self.means
        )  # fmt: skip

    def _choose(self) -> Choice:
        o = self.options
        every = self.classes is not None or o.max_drop is not None
        whole, few = self._reference(len(self.samples) if every else _MEASURED), self._reference(_RANKED)

        def good(graph: Graph) -> bool:
            q = whole.quality(graph)
            return q.drop <= o.max_drop if o.max_drop is not None else q.sqnr >= (o.min_sqnr or 0)

        return choose(self.graph, self.build, lambda g: few.quality(g).sqnr, good, self.fixed, self._told("ranking layers"))

    def raised(self) -> dict[str, str]:
        """Layers that have another precision because it was asked for, or because the target took it."""
        return {k: v for k, v in self.choice.kinds.items() if k not in self.in_float}

    def kept_float(self, quantized: Graph) -> tuple[str, ...]:
        """Operators of the original whose output is float in the result, the last DEQUANTIZE and what was asked for apart."""
        names = {n.outputs[0] for n in self.graph.nodes if self.graph.tensors[n.outputs[0]].dtype == "float32"} - set(
            self.choice.kinds
        )
        return tuple(
            f"{n.op} {n.outputs[0]}"
            for n in quantized.nodes
            if n.outputs[0] in names and quantized.tensors[n.outputs[0]].dtype == "float32"
        )


def convert_file(source: str | Path | Any, calibration: Any, output: str | Path, **options: Any) -> Result:
    """`convert`, written to a file that appears only when it is complete."""
    result = convert(source, calibration, **options)
    write_atomically(Path(output), result.model)
    return result


__all__ = ["ROUNDINGS", "STATIC_SCHEMES", "WEIGHT_SCHEMES", "Options", "Result", "convert", "convert_file"]
