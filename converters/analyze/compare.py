"""A quantized model beside its float original, layer by layer.

Layers are matched by the names of their outputs, which `edgert convert` keeps. For each the values of the quantized model are held against those
of the float one on the same data; and what the layer does to the outputs is found by quantizing it alone, and all but it and what reads
it, with the scales and integers that the quantized model has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError, DataError

from .. import passes
from ..calibrate import Samples, load_samples
from ..importers import load
from ..importers.tflite import read_tflite
from ..ir import Graph, Node
from ..quantize import Rounded, quantize_static, run_samples
from ..quantize.mixed import cost
from ..quantize.reconstruction import Sample
from ..quantize.rules import RULES
from ..quantize.static import kind_of
from .advice import advise
from .measure import Quality, Reference, decibels, some

_BINS = 64
_NO_QUANTIZATION = (float("-inf"), float("inf"))


@dataclass
class LayerReport:
    """One layer of the quantized model.

    sqnr: of its output, in decibels. cosine: of the angle between its outputs. error: mean difference, in steps of its scale.
    saturation: the share of values at the ends of its type which the float model has beyond them. own, others: the SQNR of the model's
    outputs if this layer alone is quantized, or all but its output. range: what its type can hold; seen: what the float model gives.
    base is that of all of them on the same data. channel_ratio: the largest weight of its channels, of the largest to the median. share: of the
    estimated time; raised: what 16 bits would add to that.
    """

    name: str
    op: str
    kind: str
    sqnr: float
    cosine: float
    error: float
    saturation: float
    range: tuple[float, float]
    seen: tuple[float, float]
    core: tuple[float, float]
    share: float
    raised: float
    base: float | None = None
    own: float | None = None
    others: float | None = None
    channel_ratio: float | None = None
    advice: str = ""
    values: NDArray[np.int64] | None = None
    weights: NDArray[np.int64] | None = None
    weight_ends: tuple[float, float] = (0.0, 0.0)
    channels: NDArray[np.float32] | None = None


def by_harm(layers: Sequence[LayerReport]) -> list[LayerReport]:
    """Those first without whose rounding the outputs would gain most; without that knowledge, those with the noisiest outputs."""
    return sorted(layers, key=lambda r: (r.others is None, -r.others if r.others is not None else r.sqnr))


@dataclass
class Comparison:
    """layers: in the order of the model. unmatched: outputs of the float model's layers that the other has under no such name."""

    quality: Quality
    layers: list[LayerReport]
    unmatched: list[str]
    samples: int
    suggestions: list[str] = field(default_factory=list)


def compare(
    float_model: str | Path | Any,
    quantized: str | Path,
    data: str | Samples,
    *,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    limit: int = 32,
    contributions: int = 16,
    labels: NDArray[np.int64] | None = None,
    shapes: Any = None,
    constants: Any = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Compares a float model with the quantized `.tflite` that was made of it.

    Args:
      float_model: what `importers.load` takes.
      quantized: a `.tflite`.
      data: typical inputs, as for `convert`.
      mean, std: normalization of the inputs.
      limit: at most so many samples.
      contributions: so many samples for what each layer does to the outputs, which takes two runs a layer; 0 leaves that out.
      labels: the right class of each sample.
      shapes, constants: see `importers.load`.
      progress: called with (what is being done, steps done, steps in all).

    Raises:
      ModelError, ConversionError, DataError: a file cannot be read, the models do not go together, or the data not with them.
    """
    path = Path(quantized)
    other = read_tflite(path, quantized=True)
    graph = load(float_model, shapes=shapes, constants=constants)
    moved = passes.optimize(graph, keep_layout=_keeps_layout(graph, other))
    _check_ends(graph, other, path)
    if isinstance(data, str):
        sizes, first = [graph.tensors[i].shape for i in graph.inputs], [n in moved[0] for n in graph.input_names]
        data = load_samples(data, sizes, mean=tuple(mean), std=tuple(std), limit=limit, channels_first=first)
    samples = some(data, limit)
    if not samples:
        raise DataError("there are no samples to compare on")
    matched, unmatched = _match(graph, other)
    if not matched:
        raise ConversionError(
            f"{path}: none of its tensors has the name of a layer's output of the float model; convert it with edgert"
        )
    reference = Reference(graph, samples, labels)
    layers = _layers(graph, other, matched, samples, progress)
    result = Comparison(reference.quality(other), layers, unmatched, len(samples))
    if contributions:
        _contributions(graph, other, matched, layers, some(samples, contributions), progress)
    for layer in layers:
        layer.advice = advise(layer)
    result.suggestions = [f"{r.name} ({r.op}): {r.advice}" for r in by_harm(layers)[:5] if r.advice]
    return result


def _keeps_layout(graph: Graph, other: Graph) -> bool:
    """Whether the other model has the channels first as well."""
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    return graph.channels_first and [other.tensors[i].shape for i in other.inputs] == shapes and any(len(s) > 3 for s in shapes)


def _check_ends(graph: Graph, other: Graph, path: Path) -> None:
    for what, a, b in (("inputs", graph.inputs, other.inputs), ("outputs", graph.outputs, other.outputs)):
        mine, theirs = [graph.tensors[n].shape for n in a], [other.tensors[n].shape for n in b]
        if [int(np.prod(s)) for s in mine] != [int(np.prod(s)) for s in theirs]:
            raise ConversionError(f"{path}: has the {what} {theirs}, the float model has {mine}: is it made of that model?")


def _match(graph: Graph, other: Graph) -> tuple[list[tuple[Node, Node]], list[str]]:
    """Operators of both with outputs of the same name, size and order."""
    made = {o: n for n in other.nodes for o in n.outputs}
    matched, unmatched = [], []
    for node in graph.nodes:
        name = node.outputs[0]
        twin = made.get(name)
        if twin is not None and other.tensors[name].shape == graph.tensors[name].shape:
            matched.append((node, twin))
        elif graph.tensors[name].dtype == "float32":
            unmatched.append(name)
    return matched, unmatched


# ---- values


class _Sums:
    """What is collected of one layer's values, sample by sample."""

    def __init__(self) -> None:
        self.signal = self.noise = self.product = self.square = self.difference = 0.0
        self.count = self.clipped = 0
        self.seen = [np.inf, -np.inf]
        self.parts: list[NDArray[np.float32]] = []

    def add(self, x: NDArray[np.float32], y: NDArray[np.float32], ends: tuple[float, float], step: float) -> None:
        a, b = x.reshape(-1).astype(np.float64), y.reshape(-1).astype(np.float64)
        self.signal += float(a @ a)
        self.noise += float(np.sum((a - b) ** 2))
        self.product += float(a @ b)
        self.square += float(b @ b)
        self.difference += float(np.sum(b - a))
        self.count += a.size
        self.clipped += int(np.count_nonzero((a > ends[1] + step / 2) | (a < ends[0] - step / 2)))
        self.seen = [min(self.seen[0], float(a.min(initial=np.inf))), max(self.seen[1], float(a.max(initial=-np.inf)))]
        self.parts.append(x.reshape(-1)[:: max(1, x.size // 2048)])


def _ends(g: Graph, name: str) -> tuple[tuple[float, float], float]:
    """What a tensor's type can hold, and its step."""
    t = g.tensors[name]
    if t.quantization is None or t.dtype not in ("int8", "uint8", "int16"):
        return _NO_QUANTIZATION, 0.0
    return t.quantization.range(t.dtype), float(t.quantization.scale[0])


def _layers(
    graph: Graph,
    other: Graph,
    matched: list[tuple[Node, Node]],
    samples: list[Sample],
    progress: Callable[[str, int, int], None] | None,
) -> list[LayerReport]:
    names = [n.outputs[0] for n, _ in matched]
    sums = {name: _Sums() for name in names}
    mine, theirs = _all(graph, names), _all(other, names)
    pairs = zip(run_samples(mine, samples, names), run_samples(theirs, samples, names))
    for done, (a, b) in enumerate(pairs, 1):
        for name, x, y in zip(names, a, b):
            ends, step = _ends(other, name)
            sums[name].add(x, y.reshape(x.shape), ends, step)
        if progress:
            progress("comparing layers", done, len(samples))
    total = sum(cost(graph, n, _kind(other, n.outputs[0])) for n, _ in matched) or 1.0
    return [_report(graph, other, node, twin, sums[node.outputs[0]], total) for node, twin in matched]


def _all(g: Graph, names: list[str]) -> Graph:
    """The graph with more outputs, after its own."""
    part = g.copy()
    part.outputs = list(dict.fromkeys([*g.outputs, *names]))
    part.output_names = []
    return part


def _kind(g: Graph, name: str) -> str:
    dtype = g.tensors[name].dtype
    return {"uint8": "int8"}.get(dtype, dtype if dtype in ("int8", "int16") else "float32")


def _report(graph: Graph, other: Graph, node: Node, twin: Node, s: _Sums, total: float) -> LayerReport:
    name = node.outputs[0]
    ends, step = _ends(other, name)
    kind = _kind(other, name)
    values = np.concatenate(s.parts) if s.parts else np.zeros(1, np.float32)
    core = (float(np.quantile(values, 0.001)), float(np.quantile(values, 0.999)))
    seen = (s.seen[0], s.seen[1]) if s.count else (0.0, 0.0)
    report = LayerReport(
        name, node.op, kind, decibels(s.signal, s.noise), s.product / max(np.sqrt(s.signal * s.square), 1e-30),
        s.difference / max(s.count, 1) / step if step else 0.0, s.clipped / max(s.count, 1), ends, seen, core,
        cost(graph, node, kind) / total, (cost(graph, node, "int16") - cost(graph, node, kind)) / total, values=np.histogram(values, _BINS, seen if seen[0] < seen[1] else None)[0],
    )  # fmt: skip
    rule = RULES.get(node.op)
    w = graph.data(node.inputs[rule.weights]) if rule is not None and rule.weights is not None else None
    if w is not None and rule is not None and w.size:
        channels = np.abs(w).max(axis=tuple(i for i in range(w.ndim) if i != rule.weights_axis))
        report.channels = channels
        report.channel_ratio = float(channels.max() / max(np.median(channels), 1e-12))
        report.weight_ends = (float(w.min()), float(w.max()))
        report.weights = np.histogram(w, _BINS)[0]
    return report


# ---- what each layer does to the outputs


def _contributions(
    graph: Graph, other: Graph, matched: list[tuple[Node, Node]], layers: list[LayerReport], samples: list[Sample],
    progress: Callable[[str, int, int], None] | None,
) -> None:  # fmt: skip
    reference = Reference(graph, samples)
    base = reference.quality(other).sqnr
    ranges = {n: _ends(other, n)[0] for n in other.tensors if _ends(other, n)[1]}
    for name, twin in zip(graph.inputs, other.inputs):
        ranges.setdefault(name, _ends(other, twin)[0])
    ranges = {n: r for n, r in ranges.items() if r != _NO_QUANTIZATION}
    rounded = {n.outputs[0]: r for n, twin in matched if (r := _rounded(graph, other, n, twin)) is not None}
    kinds = {n.outputs[0]: _kind(other, n.outputs[0]) for n, _ in matched}
    every = {n.outputs[0]: "float32" for n in graph.nodes}
    now = {name: kind for name, kind in kinds.items() if kind != "float32"}
    for i, (report, (node, _)) in enumerate(zip(layers, matched)):
        name = node.outputs[0]
        report.base = base
        if name in now and kind_of(graph, node, now[name]) == now[name]:
            around = {m.outputs[0]: "float32" for m in (node, *graph.consumers(name))}
            for attribute, wanted in (("own", {**every, name: now[name]}), ("others", {**every, **now, **around})):
                try:
                    built = quantize_static(graph, ranges, "float32", "float32", kinds=wanted, rounded=rounded)
                except ConversionError:  # a tensor whose range the other model does not have
                    continue
                setattr(report, attribute, reference.quality(built).sqnr)
        if progress:
            progress("each layer's part", i + 1, len(layers))


def _rounded(graph: Graph, other: Graph, node: Node, twin: Node) -> Rounded | None:
    """The integers of a layer of the quantized model."""
    rule = RULES.get(node.op)
    if rule is None or rule.weights is None or twin.op != node.op or node.op == "TRANSPOSE_CONV":
        return None
    w = other.tensors[twin.inputs[rule.weights]]
    bias = other.tensors[twin.inputs[rule.bias]] if len(twin.inputs) > rule.bias and twin.inputs[rule.bias] else None
    if w.data is None or w.dtype != "int8" or w.quantization is None or w.shape != graph.tensors[node.inputs[rule.weights]].shape:
        return None
    channels = w.shape[rule.weights_axis]
    scale = np.broadcast_to(w.quantization.scale, channels).astype(np.float32)
    offset = np.zeros(channels)
    if bias is not None and bias.data is not None:
        q = bias.quantization
        offset = bias.data.astype(np.float64) * (np.broadcast_to(q.scale, channels).astype(np.float64) if q is not None else 1.0)
    return Rounded(w.data, scale.copy(), offset)
