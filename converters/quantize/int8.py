"""Full int8: activations per tensor and asymmetric, weights per channel and symmetric, bias int32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError

from ..calibrate import Ranges
from ..ir import Graph, Node, Quantization, Tensor
from .reconstruct import Rounded
from .rules import RULES

_FLOAT32_TINY = 1e-30


def activation_quantization(low: float, high: float) -> Quantization:
    """int8 parameters for a range: zero is represented exactly, and the 256 steps cover the range."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255))
    if scale < _FLOAT32_TINY:
        return Quantization.per_tensor(1.0, 0)
    return Quantization.per_tensor(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def quantize_array(values: NDArray[np.float32], q: Quantization, low: int, high: int) -> NDArray[np.int64]:
    """round(values / scale) + zero point, halves to even, clipped to [low, high]."""
    shape = [1] * values.ndim
    if len(q.scale) > 1:
        shape[q.axis] = -1
    scale, zero = q.scale.astype(np.float64).reshape(shape), q.zero_point.reshape(shape)
    if values.ndim == 0:
        scale, zero = scale.reshape(()), zero.reshape(())
    return np.clip(np.rint(values.astype(np.float64) / scale) + zero, low, high).astype(np.int64)


def quantize_int8(
    float_graph: Graph, ranges: Ranges, input_type: str = "int8", output_type: str = "int8", rounded: dict[str, Rounded] | None = None
) -> Graph:
    """The int8 graph.

    Args:
      float_graph: after all passes; it is not changed.
      ranges: of every float tensor, from calibration.
      input_type, output_type: "int8", "uint8" or "float32": what the model takes and gives.
      rounded: weights and bias of layers, by the name of their output, where they are known already (see `reconstruct`).

    Raises:
      ConversionError: operators without an int8 form; all of them are named.
    """
    unknown = [f'{n.op} "{n.name}"' for n in float_graph.nodes if n.op not in RULES]
    if unknown:
        raise ConversionError(f"no int8 form is known for {', '.join(unknown)}")
    graph = Graph(
        float_graph.name,
        {k: Tensor(t.name, t.shape, t.dtype, t.data) for k, t in float_graph.tensors.items()},
        [Node(n.op, list(n.inputs), list(n.outputs), dict(n.attrs), n.name) for n in float_graph.nodes],
        list(float_graph.inputs),
        list(float_graph.outputs),
        list(float_graph.input_names),
        list(float_graph.output_names),
    )
    _assign(graph, ranges)
    for node in list(graph.nodes):
        _quantize_constants(graph, node, (rounded or {}).get(node.outputs[0]))
    _requantize_mismatched(graph)
    for tensor in graph.tensors.values():
        if tensor.quantization is not None and tensor.data is None:
            tensor.dtype = "int8"
    _convert_ends(graph, input_type, output_type)
    graph.remove_dead()
    graph.check()
    return graph


# ---- scales of activations


class _Groups:
    """Tensors that share one quantization (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, x: str) -> str:
        while self._parent.setdefault(x, x) != x:
            self._parent[x] = self._parent[self._parent[x]]
            x = self._parent[x]
        return x

    def join(self, a: str, b: str) -> None:
        self._parent[self.find(a)] = self.find(b)


def _assign(graph: Graph, ranges: Ranges) -> None:
    groups = _Groups()
    fixed: dict[str, Quantization] = {}
    for node in graph.nodes:
        rule = RULES[node.op]
        if rule.fixed is not None:
            fixed[node.outputs[0]] = rule.fixed
    for node in graph.nodes:
        rule = RULES[node.op]
        inputs = node.inputs[:1] if rule.same == "first" else node.inputs if rule.same == "all" else []
        for name in inputs:
            if graph.tensors[name].data is not None:
                continue
            # A value of fixed quantization that meets others is requantized on its way in; see _requantize_mismatched.
            if rule.same == "all" and any(groups.find(name) == groups.find(f) for f in fixed):
                continue
            groups.join(name, node.outputs[0])
    members: dict[str, list[str]] = {}
    for name, t in graph.tensors.items():
        if t.data is None and t.dtype == "float32":
            members.setdefault(groups.find(name), []).append(name)
    for names in members.values():
        given = next((fixed[n] for n in names if n in fixed), None)
        known = [ranges[n] for n in names if n in ranges]
        if given is None and not known:
            raise ConversionError(f'tensor "{names[0]}" was not seen in calibration')
        q = given or activation_quantization(min(r[0] for r in known), max(r[1] for r in known))
        for n in names:
            graph.tensors[n].quantization = q


def _requantize_mismatched(graph: Graph) -> None:
    """Puts QUANTIZE before inputs that must have the output's quantization and have not."""
    for node in list(graph.nodes):
        rule = RULES.get(node.op)
        if rule is None or not rule.same:
            continue
        wanted = graph.tensors[node.outputs[0]].quantization
        count = 1 if rule.same == "first" else len(node.inputs)
        for i, name in enumerate(node.inputs[:count]):
            t = graph.tensors[name]
            if t.quantization is None or wanted is None or _equal(t.quantization, wanted):
                continue
            new = graph.add_tensor(Tensor(f"{name}/requantized", t.shape, "int8", None, wanted))
            graph.nodes.insert(graph.nodes.index(node), Node("QUANTIZE", [name], [new], {}, new))
            node.inputs[i] = new


def _equal(a: Quantization, b: Quantization) -> bool:
    return np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)


# ---- constants


def _quantize_constants(graph: Graph, node: Node, rounded: Rounded | None) -> None:
    rule = RULES[node.op]
    if rule.weights_axis is not None:
        _quantize_weights(graph, node, rule.weights_axis, rounded)
        return
    for i, name in enumerate(node.inputs):
        t = graph.tensors[name] if name else None
        if t is None or t.data is None or i in rule.index_inputs or t.dtype != "float32":
            continue
        # A constant that shares the output's quantization takes it; any other covers its own range.
        q = graph.tensors[node.outputs[0]].quantization if rule.same else None
        q = q or activation_quantization(float(t.data.min(initial=0)), float(t.data.max(initial=0)))
        data = quantize_array(t.data, q, -128, 127).astype(np.int8)
        node.inputs[i] = graph.add_tensor(Tensor(f"{name}/int8", t.shape, "int8", data, q))


def _quantize_weights(graph: Graph, node: Node, axis: int, rounded: Rounded | None) -> None:
    x, w = graph.tensors[node.inputs[0]], graph.tensors[node.inputs[1]]
    if w.data is None:
        raise ConversionError(f'{node.op} "{node.name}": its weights are not constant')
    bias = graph.tensors[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None
    if bias is not None and bias.data is None:
        raise ConversionError(f'{node.op} "{node.name}": its bias is not constant')
    assert x.quantization is not None
    x_scale = float(x.quantization.scale[0])
    others = tuple(i for i in range(w.data.ndim) if i != axis)
    offset = rounded.bias if rounded else None if bias is None or bias.data is None else bias.data.astype(np.float64)
    if rounded:
        scale = rounded.scale.astype(np.float64)
    else:
        largest = np.abs(w.data).max(axis=others).astype(np.float64)
        scale = np.where(largest > 0, largest / 127, 1.0)
    if offset is not None:
        # The bias has the scale of the products: it must fit int32, with room for the sum.
        scale = np.maximum(scale, np.abs(offset) / (x_scale * 2**30))
    q = Quantization(scale.astype(np.float32), np.zeros(len(scale), np.int64), axis)
    kept = rounded is not None and np.array_equal(q.scale, rounded.scale)
    data = rounded.weights if rounded and kept else quantize_array(w.data, q, -127, 127).astype(np.int8)
    node.inputs[1] = graph.add_tensor(Tensor(f"{w.name}/int8", w.shape, "int8", data, q))
    if offset is not None:
        bq = Quantization((np.float32(x_scale) * q.scale).astype(np.float32), np.zeros(len(scale), np.int64), 0)
        values = quantize_array(offset, bq, -(2**31), 2**31 - 1).astype(np.int32)
        name = f"{bias.name if bias else node.outputs[0] + '/bias'}/int32"
        node.inputs = [*node.inputs[:2], graph.add_tensor(Tensor(name, offset.shape, "int32", values, bq))]


# ---- inputs and outputs


def _as_uint8(q: Quantization) -> Quantization:
    return Quantization(q.scale, q.zero_point + 128)


def _convert_ends(graph: Graph, input_type: str, output_type: str) -> None:
    for kind in (input_type, output_type):
        if kind not in ("int8", "uint8", "float32"):
            raise ConversionError(f'input and output types are int8, uint8 or float32, not "{kind}"')
    for i, name in enumerate(graph.inputs):
        t = graph.tensors[name]
        if input_type == "int8" or t.quantization is None:
            continue
        q = _as_uint8(t.quantization) if input_type == "uint8" else None
        new = graph.add_tensor(Tensor(f"{name}/{input_type}", t.shape, input_type, None, q))
        graph.nodes.insert(0, Node("QUANTIZE", [new], [name], {}, name))
        graph.inputs[i] = new
    for i, name in enumerate(graph.outputs):
        t = graph.tensors[name]
        if output_type == "int8" or t.quantization is None:
            continue
        q = _as_uint8(t.quantization) if output_type == "uint8" else None
        new = graph.add_tensor(Tensor(f"{name}/{output_type}", t.shape, output_type, None, q))
        graph.nodes.append(Node("QUANTIZE" if output_type == "uint8" else "DEQUANTIZE", [name], [new], {}, new))
        graph.outputs[i] = new
