"""Integers throughout: activations per tensor with ranges from calibration, weights per channel and symmetric.

int8: activations asymmetric in 8 bits, bias int32. int16 ("16x8"): activations symmetric in 16 bits, weights in 8, bias int64.
Both can be mixed with float layers, and with each other: where kinds meet there is a QUANTIZE or DEQUANTIZE.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError

from ..calibrate import Ranges
from ..calibrate.masks import raised
from ..ir import Graph, Node, Quantization, Tensor, lstm
from ..passes.keep_quantization import keep_quantization
from .attention_masks import bound_masks
from .lstm import quantize_lstm
from .reconstruction import Rounded
from .rules import RULES

_TINY = 1e-30
# The range of a tensor that is always zero. A larger one would be more than TFLite's ADD can bring to the scale of a small sum.
_NOTHING = 1.0


def activation_quantization(low: float, high: float, kind: str = "int8") -> Quantization:
    """Parameters for a range: zero is represented exactly, and the steps cover the range."""
    low, high = min(low, 0.0), max(high, 0.0)
    if kind == "int16":
        scale = float(np.float32(max(-low, high) / 32767))
        return Quantization.per_tensor(scale if scale >= _TINY else _NOTHING / 32767, 0)
    scale = float(np.float32((high - low) / 255))
    if scale < _TINY:
        return Quantization.per_tensor(_NOTHING / 255, 0)
    return Quantization.per_tensor(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def quantize_static(
    float_graph: Graph,
    ranges: Ranges,
    input_type: str = "int8",
    output_type: str = "int8",
    *,
    kind: str = "int8",
    kinds: Mapping[str, str] | None = None,
    rounded: Mapping[str, Rounded] | None = None,
) -> Graph:
    """The integer graph.

    Args:
      float_graph: after all passes; it is not changed.
      ranges: of every float tensor, from calibration.
      input_type, output_type: "int8", "uint8", "int16" or "float32": what the model takes and gives.
      kind: "int8" or "int16": what activations are.
      kinds: other kinds, "float32" among them, for operators by the name of their first output.
      rounded: weights and bias of layers, by the name of their output, where they are known already (see `reconstruct`).

    Raises:
      ConversionError: types that do not go together, or weights that are not constant.
    """
    graph = float_graph.copy()
    while keep_quantization(graph):
        graph.remove_dead()
    node_kinds = {n.outputs[0]: (kinds or {}).get(n.outputs[0]) or kind_of(graph, n, kind) for n in graph.nodes}
    ranges = dict(ranges)
    bound_masks(graph, ranges)
    tensor_kinds = _separate_kinds(graph, node_kinds, kind, ranges, input_type, output_type)
    _assign(graph, ranges, node_kinds, tensor_kinds)
    for node in list(graph.nodes):
        if node_kinds.get(node.outputs[0], "float32") != "float32":
            if node.op == lstm.OP:
                quantize_lstm(graph, node, ranges.get(node.inputs[lstm.CELL], (0.0, 0.0)))
                continue
            _quantize_constants(graph, node, node_kinds[node.outputs[0]], (rounded or {}).get(node.outputs[0]))
    _requantize_mismatched(graph, node_kinds)
    for name, tensor in graph.tensors.items():
        if tensor.quantization is not None and tensor.data is None and tensor.dtype == "float32":
            tensor.dtype = tensor_kinds.get(name, kind)
    _convert_ends(graph, input_type, output_type)
    graph.remove_dead()
    graph.check()
    return graph


def kind_of(g: Graph, node: Node, kind: str) -> str:
    """The kind that an operator can have: float32 where it has no form in integers, or nothing in float to begin with."""
    rule = RULES.get(node.op)
    if rule is None or (kind == "int16" and not rule.int16) or (node.op == lstm.OP and not lstm.is_plain(g, node)):
        return "float32"
    data = [i for k, i in enumerate(node.inputs) if i and k not in rule.index_inputs]
    if not data or any(g.tensors[i].dtype != "float32" for i in data):
        return "float32"
    if rule.weights is not None and g.data(node.inputs[rule.weights]) is None:
        return "float32"
    if (
        rule.weights is not None
        and len(node.inputs) > rule.bias
        and node.inputs[rule.bias]
        and g.data(node.inputs[rule.bias]) is None
    ):
        return "float32"
    return kind


def _separate_kinds(
    graph: Graph, node_kinds: dict[str, str], default: str, ranges: Ranges, input_type: str, output_type: str
) -> dict[str, str]:
    """Puts QUANTIZE and DEQUANTIZE where a value made in one kind is read in another; gives the kind of every tensor.

    `ranges` gets those of the new tensors, which are their originals'. Inputs that only floats are made of are floats where that is wanted.
    """
    made = {o: node_kinds[n.outputs[0]] for n in graph.nodes for o in n.outputs}
    for name in graph.inputs:
        readers = [node_kinds[n.outputs[0]] for n in graph.consumers(name)]
        made[name] = default if default in readers or not readers or input_type != "float32" else readers[0]
    versions: dict[tuple[str, str], str] = {}
    for node in list(graph.nodes):
        wanted = node_kinds[node.outputs[0]]
        rule = RULES.get(node.op)
        for i, name in enumerate(node.inputs):
            t = graph.tensors[name] if name else None
            if t is None or t.data is not None or t.variable or t.dtype != "float32" or made[name] == wanted:
                continue
            if wanted != "float32" and rule is not None and i in rule.index_inputs:
                continue
            if (name, wanted) not in versions:
                new = graph.add_tensor(Tensor(f"{name}/{wanted}", t.shape))
                op = "DEQUANTIZE" if wanted == "float32" else "QUANTIZE"
                graph.nodes.insert(graph.nodes.index(node), Node(op, [name], [new], {}, new))
                versions[name, wanted] = new
                made[new] = wanted
                if name in ranges:
                    ranges[new] = ranges[name]
            node.inputs[i] = versions[name, wanted]
    for i, name in enumerate(graph.outputs):
        t = graph.tensors[name]
        if output_type != "float32" and made.get(name) == "float32" and t.dtype == "float32" and name in ranges:
            new = graph.add_tensor(Tensor(f"{name}/{default}", t.shape))
            graph.nodes.append(Node("QUANTIZE", [name], [new], {}, new))
            made[new], ranges[new], graph.outputs[i] = default, ranges[name], new
    return made


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


def _assign(graph: Graph, ranges: Ranges, node_kinds: dict[str, str], tensor_kinds: dict[str, str]) -> None:
    groups = _Groups()
    fixed: dict[str, Quantization] = {}
    for node in graph.nodes:
        kind, rule = node_kinds.get(node.outputs[0], "float32"), RULES.get(node.op)
        if kind != "float32" and rule is not None and rule.fixed is not None:
            fixed[node.outputs[0]] = rule.fixed[kind]
    for node in graph.nodes:
        kind, rule = node_kinds.get(node.outputs[0], "float32"), RULES.get(node.op)
        if kind == "float32" or rule is None:
            continue
        for i in rule.shared(len(node.inputs)):
            name = node.inputs[i]
            if graph.tensors[name].data is not None:
                continue
            # A value of fixed quantization that meets others is requantized on its way in; see _requantize_mismatched.
            if len(rule.shared(len(node.inputs))) > 1 and any(groups.find(name) == groups.find(f) for f in fixed):
                continue
            groups.join(name, node.outputs[0])
    members: dict[str, list[str]] = {}
    for name, t in graph.tensors.items():
        if t.data is None and t.dtype == "float32" and tensor_kinds.get(name, "float32") != "float32":
            members.setdefault(groups.find(name), []).append(name)
    for names in members.values():
        given = next((fixed[n] for n in names if n in fixed), None)
        if tensor_kinds[names[0]] == "int8":  # what the model came with
            given = given or next((q for q in (graph.tensors[n].quantization for n in names) if q is not None), None)
        kind = tensor_kinds[names[0]]
        known = [ranges[n] for n in names if n in ranges]
        if given is None and not known:
            raise ConversionError(f'tensor "{names[0]}" was not seen in calibration')
        q = given or activation_quantization(min(r[0] for r in known), max(r[1] for r in known), kind)
        for n in names:
            graph.tensors[n].quantization = q


def _requantize_mismatched(graph: Graph, node_kinds: dict[str, str]) -> None:
    """Puts QUANTIZE before inputs that must have the output's quantization and have not."""
    for node in list(graph.nodes):
        rule = RULES.get(node.op)
        if rule is None or not rule.same or node_kinds.get(node.outputs[0], "float32") == "float32":
            continue
        wanted = graph.tensors[node.outputs[0]].quantization
        for i in rule.shared(len(node.inputs)):
            name = node.inputs[i]
            t = graph.tensors[name]
            if t.quantization is None or wanted is None or t.quantization.equals(wanted):
                continue
            new = graph.add_tensor(Tensor(f"{name}/requantized", t.shape, "float32", None, wanted))
            graph.tensors[new].dtype = node_kinds[node.outputs[0]]
            graph.nodes.insert(graph.nodes.index(node), Node("QUANTIZE", [name], [new], {}, new))
            node.inputs[i] = new


# ---- constants


def _quantize_constants(graph: Graph, node: Node, kind: str, rounded: Rounded | None) -> None:
    rule = RULES.get(node.op)
    if rule is None:
        return
    if rule.weights is not None:
        _quantize_weights(graph, node, kind, rounded)
        return
    shared = rule.shared(len(node.inputs))
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    for i, name in enumerate(node.inputs):
        t = graph.tensors[name] if name else None
        if t is None or t.data is None or i in rule.index_inputs or t.dtype != "float32":
            continue
        # A constant that shares the output's quantization takes it; any other covers its own range.
        q = graph.tensors[node.outputs[0]].quantization if i in shared else None
        if q is None:
            values = raised(t.data)
            q = activation_quantization(float(values.min(initial=0)), float(values.max(initial=0)), kind)
        data = q.integers(t.data, low, high).astype(kind)
        node.inputs[i] = graph.add_tensor(Tensor(f"{name}/{kind}", t.shape, kind, data, q))


def _quantize_weights(graph: Graph, node: Node, kind: str, rounded: Rounded | None) -> None:
    rule = RULES[node.op]
    assert rule.weights is not None
    axis, at = rule.weights_axis, rule.bias
    activations = next(i for i in range(3) if i != rule.weights and i not in rule.index_inputs)
    x, w = graph.tensors[node.inputs[activations]], graph.tensors[node.inputs[rule.weights]]
    if w.data is None:
        raise ConversionError(f'{node.op} "{node.name}": its weights are not constant')
    bias = graph.tensors[node.inputs[at]] if len(node.inputs) > at and node.inputs[at] else None
    if bias is not None and bias.data is None:
        raise ConversionError(f'{node.op} "{node.name}": its bias is not constant')
    assert x.quantization is not None
    x_scale = float(x.quantization.scale[0])
    offset = rounded.bias if rounded else None if bias is None or bias.data is None else bias.data.astype(np.float64)
    if rounded:
        scale = rounded.scale.astype(np.float64)
    elif w.quantization is not None:  # the model came with scales
        scale = np.broadcast_to(w.quantization.scale.astype(np.float64), w.shape[axis])
    else:
        scale = channel_scale(w.data, axis, 127)
    if offset is not None:
        # The bias has the scale of the products: it must fit, with room for the sum.
        room = 2.0**30 if kind == "int8" else 2.0**38
        scale = np.maximum(scale, np.abs(offset) / (x_scale * room))
    q = Quantization(scale.astype(np.float32), np.zeros(len(scale), np.int64), axis)
    kept = rounded is not None and np.array_equal(q.scale, rounded.scale)
    data = rounded.weights if rounded and kept else q.integers(w.data, -127, 127).astype(np.int8)
    node.inputs[rule.weights] = _shared_constant(graph, Tensor(f"{w.name}/int8", w.shape, "int8", data, q))
    if offset is not None:
        wide = "int32" if kind == "int8" else "int64"
        bq = Quantization((np.float32(x_scale) * q.scale).astype(np.float32), np.zeros(len(scale), np.int64), 0)
        limits = np.iinfo(wide)
        values = bq.integers(offset, limits.min, limits.max).astype(wide)
        name = f"{bias.name if bias else node.outputs[0] + '/bias'}/{wide}"
        node.inputs = [*node.inputs[:at], _shared_constant(graph, Tensor(name, offset.shape, wide, values, bq))]


def _shared_constant(graph: Graph, t: Tensor) -> str:
    """Adds a constant, unless the one of that name is the same: the steps of a recurrent layer share theirs."""
    there = graph.tensors.get(t.name)
    same = there is not None and there.dtype == t.dtype and there.quantization is not None and t.quantization is not None
    if same and there is not None and np.array_equal(there.data, t.data) and there.quantization.equals(t.quantization):  # type: ignore[arg-type,union-attr]
        return t.name
    return graph.add_tensor(t)


def channel_scale(w: NDArray[np.float32], axis: int, limit: int) -> NDArray[np.float64]:
    """What makes the largest weight of each channel the largest integer."""
    largest = np.abs(w).max(axis=tuple(i for i in range(w.ndim) if i != axis)).astype(np.float64)
    return np.where(largest > 0, largest / limit, 1.0)


# ---- inputs and outputs


def _convert_ends(graph: Graph, input_type: str, output_type: str) -> None:
    for kind in (input_type, output_type):
        if kind not in ("int8", "uint8", "int16", "float32"):
            raise ConversionError(f'input and output types are int8, uint8, int16 or float32, not "{kind}"')
    for i, name in enumerate(graph.inputs):
        t = graph.tensors[name]
        if t.quantization is None or input_type == t.dtype:
            continue
        q = _other(t.quantization, t.dtype, input_type)
        new = graph.add_tensor(Tensor(f"{name}/{input_type}", t.shape, input_type, None, q))
        graph.nodes.insert(0, Node("QUANTIZE", [new], [name], {}, name))
        graph.inputs[i] = new
    for i, name in enumerate(graph.outputs):
        t = graph.tensors[name]
        if t.quantization is None or output_type == t.dtype:
            continue
        q = _other(t.quantization, t.dtype, output_type)
        new = graph.add_tensor(Tensor(f"{name}/{output_type}", t.shape, output_type, None, q))
        graph.nodes.append(Node("DEQUANTIZE" if q is None else "QUANTIZE", [name], [new], {}, new))
        graph.outputs[i] = new


def _other(q: Quantization, dtype: str, wanted: str) -> Quantization | None:
    """The same range in another type."""
    if wanted == "float32":
        return None
    low, high = q.range(dtype)
    if dtype == "int8" and wanted == "uint8":
        return Quantization(q.scale, q.zero_point + 128)
    if wanted == "int16":
        return activation_quantization(low, high, "int16")
    narrow = activation_quantization(low, high)
    return narrow if wanted == "int8" else Quantization(narrow.scale, narrow.zero_point + 128)
