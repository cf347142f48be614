"""Weights and biases that make each layer's output come out right in integers, one layer after the other.

For each layer, on calibration data: X is what the layer reads in the float graph, Q what it reads in the quantized graph (with
all layers before it done already), Y = W X + b what it should give. Least squares gives weights for which W' Q + b' is closest
to Y; they are then rounded column by column, each column's error being moved to those still to come (Frantar and Alistarh,
"Optimal Brain Compression", 2022, and GPTQ, 2023, which go back to Hassibi and Stork, 1993). The bias takes what is left on the
average, which is empirical bias correction (Nagel et al., "Data-Free Quantization", 2019). No gradients: numpy alone.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.interpreter import Interpreter

from ..calibrate import Samples
from ..export import to_tflite
from ..ir import Graph
from ..ir.layers import CHANNEL_AXIS
from .expectations import of_layer
from .products import Array, Product

Sample = tuple[NDArray[np.float32], ...]

# Patches of a layer, over all samples: no more than these, and no more than fit. Groups have few inputs each and need fewer.
_MOST_ROWS = 24_000
_MOST_BYTES, _MOST_BYTES_GROUPED = 256 << 20, 64 << 20


@dataclass(frozen=True)
class Rounded:
    """A layer's integers, with their scale a channel, and its bias in real numbers."""

    weights: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: Array


def up_to(graph: Graph, names: Sequence[str]) -> Graph:
    """The part of a graph that makes these tensors."""
    part = Graph(
        graph.name, dict(graph.tensors), list(graph.nodes), list(graph.inputs), list(names), list(graph.input_names), list(names)
    )
    part.remove_dead()
    return part


def run_samples(graph: Graph, samples: Iterable[Sample], names: Sequence[str]) -> Iterator[list[NDArray[np.float32]]]:
    """The real values of some tensors, inputs or outputs of the graph, for one sample after the other."""
    it = Interpreter(model_content=to_tflite(graph), num_threads=os.cpu_count() or 1)
    it.allocate_tensors()
    index = dict(zip(graph.inputs, (d["index"] for d in it.get_input_details())))
    index.update(zip(graph.outputs, (d["index"] for d in it.get_output_details())))
    for sample in samples:
        it.reset_all_variables()
        for name, value in zip(graph.inputs, sample):
            it.set_tensor(index[name], _encode(graph, name, value))
        it.invoke()
        yield [_decode(graph, n, it.get_tensor(index[n])) for n in names]


def _encode(graph: Graph, name: str, value: NDArray[np.float32]) -> NDArray[Any]:
    t = graph.tensors[name]
    if t.quantization is None or t.dtype == "float32":
        return np.asarray(value, t.dtype)
    limits = np.iinfo(t.dtype)
    scaled = np.rint(value / t.quantization.scale[0]) + t.quantization.zero_point[0]
    return np.asarray(np.clip(scaled, limits.min, limits.max).astype(t.dtype))


def _decode(graph: Graph, name: str, value: NDArray[Any]) -> NDArray[np.float32]:
    q = graph.tensors[name].quantization
    if q is None or value.dtype == np.float32:
        return value.astype(np.float32)
    return q.real(value)


def reconstruct(
    float_graph: Graph,
    quantize: Callable[[dict[str, Rounded]], Graph],
    samples: Samples | Sequence[Sample],
    limit: int,
    ridge: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
    *,
    nearest: bool = False,
    correction: str = "empirical",
    means: Mapping[str, Array] | None = None,
) -> dict[str, Rounded]:
    """Rounded weights for every layer with constant weights, by the name of its output.

    Args:
      float_graph: after all passes.
      quantize: makes the quantized graph, in which tensors have the float graph's names, from the layers done so far.
      samples: calibration data.
      limit: the largest integer of a weight, 127 for int8.
      ridge: how strongly the least squares solution is held at the float weights, as a share of the mean square of the inputs.
      progress: called with (layers done, layers in all).
      nearest: rounds each weight to the nearest integer, and leaves it to the bias to make up for that.
      correction: of the bias, by what its layer's output is on the average: "empirical", on the calibration data and with the errors of the layers before;
        "analytic", for the weights' rounding alone, by the `means` of what the layer reads, where they are known; "none".
      means: of channels, by tensor (see `expectations`).
    """
    readers = Counter(n.inputs[1] for n in float_graph.nodes if len(n.inputs) > 1)
    layers = [
        n for n in float_graph.nodes
        if n.op in CHANNEL_AXIS and float_graph.data(n.inputs[1]) is not None
        # What several layers share, such as the steps of a recurrent one, is to stay one.
        and readers[n.inputs[1]] == 1
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    products = [Product.of(float_graph, n) for n in layers]
    places = [[p.positions(max(1, _rows(p) // len(samples)), rng) for _ in samples] for p in products]
    done: dict[str, Rounded] = {}
    while len(done) < len(layers):
        # As many layers at once as fit into memory: their float inputs are found in one go.
        first = len(done)
        last, used = first, 0
        while last < len(layers) and (last == first or used < _MOST_BYTES):
            p = products[last]
            used += 4 * p.groups * p.inputs * sum(map(len, places[last]))
            last += 1
        floats = _inputs(float_graph, products[first:last], places[first:last], samples)
        for i in range(first, last):
            p = products[i]
            q = _inputs(quantize(done), [p], [places[i]], samples)[0]
            weights = float_graph.data(p.node.inputs[1])
            assert weights is not None
            matrices = p.matrices(weights).astype(np.float64)
            b = p.bias(float_graph)
            rounded = (
                _nearest(p, matrices, b, floats[i - first], q, limit)
                if nearest
                else _layer(p, matrices, b, floats[i - first], q, limit, ridge)
            )
            if correction == "none":
                rounded = replace(rounded, bias=b)
            elif correction == "analytic":
                rounded = replace(rounded, bias=_analytic(p, matrices, b, rounded, of_layer(means or {}, p.node.inputs[0])))
            done[p.node.outputs[0]] = rounded
            floats[i - first] = np.empty(0, np.float32)
            if progress:
                progress(i + 1, len(layers))
    return done


def with_weights(float_graph: Graph, rounded: Mapping[str, Rounded]) -> Graph:
    """The float graph, with the real values of rounded weights and their biases in the layers that have them."""
    g = float_graph.copy()
    for node in g.nodes:
        r = rounded.get(node.outputs[0])
        if r is None:
            continue
        product = Product.of(g, node)
        matrices = product.matrices(r.weights) * r.scale.reshape(product.groups, -1, 1)
        weights = g.constant(f"{node.inputs[1]}/rounded", product.layout(matrices).astype(np.float32))
        node.inputs = [node.inputs[0], weights, g.constant(f"{node.outputs[0]}/bias", r.bias.astype(np.float32))]
    g.remove_dead()
    return g


def _rows(p: Product) -> int:
    bytes_ = _MOST_BYTES if p.groups == 1 else _MOST_BYTES_GROUPED
    return min(_MOST_ROWS, bytes_ // (4 * p.groups * p.inputs))


def _inputs(
    graph: Graph, products: list[Product], places: list[list[NDArray[np.int64]]], samples: Samples | Sequence[Sample]
) -> list[NDArray[np.float32]]:
    """What layers read at some places: [groups, rows, inputs] of each."""
    names = list(dict.fromkeys(p.node.inputs[0] for p in products))
    found = [np.empty((p.groups, sum(map(len, at)), p.inputs), np.float32) for p, at in zip(products, places)]
    filled = [0] * len(products)
    for s, values in enumerate(run_samples(up_to(graph, names), samples, names)):
        by_name = dict(zip(names, values))
        for i, p in enumerate(products):
            count = len(places[i][s])
            found[i][:, filled[i] : filled[i] + count] = p.patches(by_name[p.node.inputs[0]], places[i][s])
            filled[i] += count
    return found


def _layer(p: Product, w: Array, b: Array, x: NDArray[np.float32], q: NDArray[np.float32], limit: int, ridge: float) -> Rounded:
    """w is [groups, outputs, inputs], x and q are [groups, rows, inputs]."""
    rows = x.shape[1]
    mean_x, mean_q = (a.mean(1, dtype=np.float64)[:, None] for a in (x, q))
    for values, mean in ((x, mean_x), (q, mean_q)):
        values -= mean.astype(np.float32)  # in place: these are large, and no one else's
    transposed = q.transpose(0, 2, 1)
    hessian, cross = ((transposed @ values).astype(np.float64) / rows for values in (q, x))
    size = hessian.shape[1]
    damp = ridge * np.maximum(np.trace(hessian, axis1=1, axis2=2) / size, 1e-12)
    eye = np.eye(size)[None]
    regular = hessian + damp[:, None, None] * eye
    # W' = (W X Q' + damp W) (Q Q' + damp)^-1
    target = w @ (cross + damp[:, None, None] * eye).transpose(0, 2, 1)
    best = np.linalg.solve(regular, target.transpose(0, 2, 1)).transpose(0, 2, 1)
    scale = _scale(best, limit)
    integers = round_weights(best, regular, scale.astype(np.float64), limit)
    real = integers * scale.astype(np.float64)[:, :, None]
    mean_y = (w @ mean_x.transpose(0, 2, 1))[:, :, 0].reshape(-1) + b
    bias = mean_y - (real @ mean_q.transpose(0, 2, 1))[:, :, 0].reshape(-1)
    return Rounded(p.layout(integers).astype(np.int8), scale.reshape(-1), bias)


def _scale(w: Array, limit: int) -> NDArray[np.float32]:
    """What makes the largest weight of each output the largest integer: [groups, outputs]."""
    largest = np.abs(w).max(2)
    return np.where(largest > 0, largest / limit, 1.0).astype(np.float32)


def _nearest(p: Product, w: Array, b: Array, x: NDArray[np.float32], q: NDArray[np.float32], limit: int) -> Rounded:
    scale = _scale(w, limit)
    integers = np.clip(np.rint(w / scale.astype(np.float64)[:, :, None]), -limit, limit)
    real = integers * scale.astype(np.float64)[:, :, None]
    mean_x, mean_q = (a.mean(1, dtype=np.float64)[:, :, None] for a in (x, q))
    bias = b + (w @ mean_x - real @ mean_q).reshape(-1)
    return Rounded(p.layout(integers).astype(np.int8), scale.reshape(-1), bias)


def _analytic(p: Product, w: Array, b: Array, rounded: Rounded, mean: Array | None) -> Array:
    """The bias less what the rounding of weights adds on the average, where each place of the input has its channel's mean."""
    if mean is None or mean.size != p.input_shape[-1]:
        return b
    error = p.matrices(rounded.weights) * rounded.scale.astype(np.float64).reshape(p.groups, -1, 1) - w
    each = mean.reshape(p.groups, 1, -1)  # of the channels that a group reads
    inputs = np.tile(each, (1, 1, p.inputs // each.shape[2])).transpose(0, 2, 1)
    return np.asarray(b - (error @ inputs).reshape(-1))


def round_weights(w: Array, hessian: Array, scale: Array, limit: int) -> Array:
    """Integers for w [groups, outputs, inputs], rounded input by input, the error moved to the inputs still to come.

    Args:
      hessian: [groups, inputs, inputs], positive definite: the mean products of inputs.
      scale: [groups, outputs].
      limit: integers are within [-limit, limit].
    """
    groups, _, size = w.shape
    order = np.argsort(-np.diagonal(hessian, axis1=1, axis2=2), axis=1)  # the strongest inputs first
    index = np.arange(groups)[:, None]
    h = hessian[index[:, :, None], order[:, :, None], order[:, None, :]]
    left = w[index, :, order].transpose(0, 2, 1).copy()
    # The rows of the Cholesky factor of the inverse say where a column's error goes.
    upper = np.linalg.cholesky(np.linalg.inv(h)).transpose(0, 2, 1)
    result = np.empty_like(left)
    block = 64
    for start in range(0, size, block):
        end = min(start + block, size)
        errors = np.empty((groups, left.shape[1], end - start))
        for k in range(start, end):
            column = left[:, :, k]
            rounded = np.clip(np.rint(column / scale), -limit, limit)
            result[:, :, k] = rounded
            errors[:, :, k - start] = (column - rounded * scale) / upper[:, None, k, k]
            left[:, :, k + 1 : end] -= errors[:, :, k - start, None] * upper[:, None, k, k + 1 : end]
        left[:, :, end:] -= errors @ upper[:, start:end, end:]
    back = np.argsort(order, axis=1)
    return np.asarray(result.transpose(0, 2, 1)[index, back].transpose(0, 2, 1))
