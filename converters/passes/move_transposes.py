"""op(TRANSPOSE(x)) → TRANSPOSE(op(x)): transposes sink until two meet and cancel. What turns NCHW models into NHWC ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ir import Graph, Node, Tensor

UNARY = {
    "ABS", "NEG", "EXP", "LOG", "SQRT", "RSQRT", "SIN", "COS", "FLOOR", "CEIL", "ROUND", "SIGN", "SQUARE", "RELU", "RELU6",
    "RELU_N1_TO_1", "LOGISTIC", "TANH", "ELU", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGICAL_NOT", "CAST", "QUANTIZE", "DEQUANTIZE",
}  # fmt: skip
BROADCAST = {
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD", "EQUAL", "NOT_EQUAL",
    "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "LOGICAL_AND", "LOGICAL_OR", "SELECT_V2", "PRELU", "ATAN2",
}  # fmt: skip
REDUCTIONS = {"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"}
# Operators with a row of numbers a dimension in these inputs.
PER_DIMENSION = {"PAD": (1,), "PADV2": (1,), "MIRROR_PAD": (1,), "SLICE": (1, 2), "STRIDED_SLICE": (1, 2, 3), "TILE": (1,)}


def move_transposes(g: Graph) -> bool:
    """
    before: TRANSPOSE → ADD → RELU → TRANSPOSE (inverse) → CONV_2D      after: ADD → RELU → CONV_2D
    before: TRANSPOSE → RESHAPE to a matrix → FULLY_CONNECTED           after: RESHAPE → FULLY_CONNECTED, columns in that order

    A transpose sinks through an operator if more of its inputs are so transposed than it would have to transpose back.
    """
    changed = False
    for node in list(g.nodes):
        if node.op != "TRANSPOSE" or node not in g.nodes:
            continue
        changed |= _simplify(g, node)
    for node in list(g.nodes):
        perm = _permutation(g, node.inputs)
        if perm is not None and node.op != "TRANSPOSE":
            changed |= _sink(g, node, perm)
    return changed


def transposes_to_reshapes(g: Graph) -> bool:
    """
    before: TRANSPOSE [1, 1, 1, 8] → [1, 8, 1, 1]      after: RESHAPE

    Where dimensions of size 1 move and no others. After all transposes have sunk: a RESHAPE stays where it is.
    """
    changed = False
    for node in g.nodes:
        order = g.data(node.inputs[1]) if node.op == "TRANSPOSE" else None
        shape = g.tensors[node.inputs[0]].shape if node.inputs and node.inputs[0] else ()
        if order is None or [i for i in order if shape[i] != 1] != [i for i in range(len(shape)) if shape[i] != 1]:
            continue
        y = node.outputs[0]
        target = g.tensors[y].shape
        node.op, node.attrs = "RESHAPE", {"new_shape": target}
        node.inputs = [node.inputs[0], g.constant(f"{y}/shape", np.array(target, np.int32))]
        changed = True
    return changed


def order_of(g: Graph, name: str) -> list[int] | None:
    """The permutation of the TRANSPOSE that makes a tensor."""
    t = g.producer(name) if name else None
    if t is None or t.op != "TRANSPOSE":
        return None
    order = g.data(t.inputs[1])
    return None if order is None else [int(i) for i in order]


def _permutation(g: Graph, inputs: Sequence[str]) -> list[int] | None:
    return next((p for p in (order_of(g, i) for i in inputs) if p is not None), None)


def _simplify(g: Graph, node: Node) -> bool:
    order = g.data(node.inputs[1])
    if order is None:
        return False
    perm = [int(i) for i in order]
    before = order_of(g, node.inputs[0])
    changed = False
    if before is not None:
        first = g.producer(node.inputs[0])
        assert first is not None
        perm = [before[i] for i in perm]
        node.inputs = [first.inputs[0], g.constant(f"{node.outputs[0]}/order", np.array(perm, np.int32))]
        changed = True
    x, y = node.inputs[0], node.outputs[0]
    if perm == sorted(perm) and (y not in g.outputs or g.producer(x) is not None):
        if y in g.outputs and x in g.outputs:
            return changed
        if y in g.outputs:  # the output keeps its name
            producer = g.producer(x)
            assert producer is not None
            g.replace(x, y)
            producer.outputs = [y if o == x else o for o in producer.outputs]
        else:
            g.replace(y, x)
        g.nodes.remove(node)
        return True
    return changed


def _sink(g: Graph, node: Node, perm: list[int]) -> bool:
    rank = len(perm)
    inverse = [perm.index(i) for i in range(rank)]
    op, x = node.op, node.inputs[0]
    if op in UNARY and order_of(g, x) == perm:
        return _rewrite(g, node, [_before(g, x)], perm)
    if op in BROADCAST or op == "CONCATENATION":
        return _sink_many(g, node, perm, inverse)
    if order_of(g, x) != perm:
        return False
    if op in PER_DIMENSION:
        rows = [g.data(node.inputs[i]) for i in PER_DIMENSION[op]]
        masks = [k for k in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask") if node.attrs.get(k)]
        if any(r is None for r in rows) or masks:
            return False
        inputs = [_before(g, x), *node.inputs[1:]]
        for i, r in zip(PER_DIMENSION[op], rows):
            assert r is not None
            inputs[i] = g.constant(f"{node.inputs[i]}/moved", r[inverse])
        for k in ("begin_mask", "end_mask"):
            if node.attrs.get(k):
                node.attrs[k] = sum(1 << perm[b] for b in range(rank) if node.attrs[k] >> b & 1)
        return _rewrite(g, node, inputs, perm)
    if op in REDUCTIONS or op in ("ARG_MAX", "ARG_MIN"):
        axes = g.data(node.inputs[1])
        if axes is None:
            return False
        moved = np.array([perm[int(a)] for a in np.reshape(axes, -1)], np.int32)
        gone = set(int(a) for a in moved)
        inputs = [_before(g, x), g.constant(f"{node.inputs[1]}/moved", moved.reshape(axes.shape))]
        if node.attrs.get("keep_dims"):
            return _rewrite(g, node, inputs, perm)
        left = [i for i in range(rank) if i not in gone]  # dimensions of x that stay
        after = [left.index(p) for p in perm if p not in gone]
        return _rewrite(g, node, inputs, after)
    if op == "GATHER" and not node.attrs.get("batch_dims") and len(g.tensors[node.inputs[1]].shape) == 1:
        node.attrs["axis"] = perm[node.attrs.get("axis", 0)]
        return _rewrite(g, node, [_before(g, x), node.inputs[1]], perm)
    if op in ("SOFTMAX", "LOG_SOFTMAX") and perm[-1] == rank - 1:
        return _rewrite(g, node, [_before(g, x)], perm)
    if op == "RESHAPE":
        return _through_flatten(g, node, perm)
    return False


def _before(g: Graph, transposed: str) -> str:
    t = g.producer(transposed)
    assert t is not None
    return t.inputs[0]


def _sink_many(g: Graph, node: Node, perm: list[int], inverse: list[int]) -> bool:
    rank = len(perm)
    if len(g.tensors[node.outputs[0]].shape) != rank:
        return False
    moved, back = 0, []
    for name in node.inputs:
        t = g.tensors[name]
        if order_of(g, name) == perm:
            moved += 1
        elif t.data is None and len(t.shape) > 0 and not _only_ones_move(g, name, inverse, rank):
            back.append(name)
        elif node.op == "CONCATENATION" and t.data is not None and len(t.shape) != rank:
            return False
    if moved <= len(set(back)):
        return False
    inputs = []
    for name in node.inputs:
        t = g.tensors[name]
        if order_of(g, name) == perm:
            inputs.append(_before(g, name))
        elif not t.shape:
            inputs.append(name)
        elif t.data is not None:
            full = t.data.reshape((1,) * (rank - t.data.ndim) + t.shape)
            inputs.append(g.constant(f"{name}/moved", full.transpose(inverse)) if t.data.size > 1 else name)
            g.tensors[inputs[-1]].quantization = t.quantization
        else:
            source = name
            if len(t.shape) < rank:
                shape = (1,) * (rank - len(t.shape)) + t.shape
                source = _insert(g, node, "RESHAPE", name, shape, np.array(shape, np.int32), {"new_shape": shape})
            shape = tuple(g.tensors[source].shape[i] for i in inverse)
            inputs.append(_insert(g, node, "TRANSPOSE", source, shape, np.array(inverse, np.int32), {}))
    if node.op == "CONCATENATION":
        node.attrs["axis"] = perm[node.attrs["axis"] % rank]
    if node.op == "PRELU":  # the slope has no batch dimension
        slope = g.tensors[inputs[1]]
        if slope.data is not None and slope.shape[:1] == (1,):
            inputs[1] = g.constant(f"{inputs[1]}/slope", slope.data[0] if len(slope.shape) == rank else slope.data)
    return _rewrite(g, node, inputs, perm)


def _only_ones_move(g: Graph, name: str, order: list[int], rank: int) -> bool:
    shape = (1,) * (rank - len(g.tensors[name].shape)) + g.tensors[name].shape
    return [i for i in order if shape[i] != 1] == [i for i in range(rank) if shape[i] != 1]


def _insert(g: Graph, node: Node, op: str, x: str, shape: tuple[int, ...], constant: NDArray[Any], attrs: dict[str, Any]) -> str:
    t = g.tensors[x]
    y = g.add_tensor(Tensor(f"{x}/moved", shape, t.dtype, None, t.quantization))
    g.nodes.insert(g.nodes.index(node), Node(op, [x, g.constant(f"{y}/constant", constant)], [y], attrs, y))
    return y


def _rewrite(g: Graph, node: Node, inputs: list[str], perm: list[int]) -> bool:
    """The node on untransposed inputs, and behind it the transpose that makes what it made before."""
    y = node.outputs[0]
    t = g.tensors[y]
    node.inputs = inputs + node.inputs[len(inputs) :]
    if perm == sorted(perm):
        return True
    shape = [0] * len(perm)
    for i, p in enumerate(perm):
        shape[p] = t.shape[i]
    new = g.add_tensor(Tensor(f"{y}/moved", tuple(shape), t.dtype, None, t.quantization))
    node.outputs = [new]
    order = g.constant(f"{y}/order", np.array(perm, np.int32))
    g.nodes.insert(g.nodes.index(node) + 1, Node("TRANSPOSE", [new, order], [y], {}, y))
    return True


def _through_flatten(g: Graph, node: Node, perm: list[int]) -> bool:
    """The matrix that a flattened tensor is multiplied by takes the tensor's other order into its columns."""
    y = node.outputs[0]
    shape, readers = g.tensors[y].shape, g.consumers(y)
    source = g.tensors[_before(g, node.inputs[0])].shape
    if len(shape) != 2 or perm[0] != 0 or shape[0] != source[0] or y in g.outputs or not readers:
        return False
    if any(r.op != "FULLY_CONNECTED" or r.inputs[0] != y or g.data(r.inputs[1]) is None for r in readers):
        return False
    # Where each element of the untransposed order lies in the transposed one.
    places = np.arange(shape[1]).reshape([source[p] for p in perm[1:]])
    columns = places.transpose([perm.index(i) - 1 for i in range(1, len(perm))]).reshape(-1)
    for r in readers:
        weights = g.data(r.inputs[1])
        assert weights is not None
        old = g.tensors[r.inputs[1]].quantization
        r.inputs[1] = g.constant(f"{r.inputs[1]}/columns", weights[:, columns])
        g.tensors[r.inputs[1]].quantization = old
    node.inputs[0] = _before(g, node.inputs[0])
    return True
