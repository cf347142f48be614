"""The graph between importers and exporter. Its operators, attributes and layouts are TFLite's (NHWC, OHWI weights)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError


@dataclass(frozen=True)
class Quantization:
    """real = scale * (integer - zero_point). More than one scale: per channel along `axis`."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 0

    def equals(self, other: Quantization) -> bool:
        """Whether scales and zero points are the same."""
        return np.array_equal(self.scale, other.scale) and np.array_equal(self.zero_point, other.zero_point)

    def real(self, integers: NDArray[Any]) -> NDArray[np.float32]:
        """What integers stand for, computed in float32 as DEQUANTIZE does."""
        shape = [1] * integers.ndim
        if len(self.scale) > 1:
            shape[self.axis] = -1
        zero = self.zero_point.reshape(shape).astype(np.float32)
        return np.asarray((integers.astype(np.float32) - zero) * self.scale.reshape(shape), np.float32)

    def integers(self, values: NDArray[Any], low: int, high: int) -> NDArray[np.int64]:
        """round(values / scale) + zero point, halves to even, clipped to [low, high]."""
        scale, zero = self.scale.astype(np.float64), self.zero_point
        shape = [1] * values.ndim
        if len(scale) > 1:
            shape[self.axis] = -1
        return np.clip(np.rint(values.astype(np.float64) / scale.reshape(shape)) + zero.reshape(shape), low, high).astype(
            np.int64
        )

    def range(self, dtype: str) -> tuple[float, float]:
        """What integers of a type can stand for; of the first channel, where there are several."""
        limits, scale, zero = np.iinfo(dtype), float(self.scale[0]), int(self.zero_point[0])
        return (limits.min - zero) * scale, (limits.max - zero) * scale

    @staticmethod
    def per_tensor(scale: float, zero_point: int) -> Quantization:
        return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))


@dataclass
class Tensor:
    """A value that flows through the graph, or a constant (`data` is set)."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    data: NDArray[Any] | None = None
    quantization: Quantization | None = None
    variable: bool = False  # keeps its value from one inference to the next, such as the state of an LSTM


@dataclass
class Node:
    """One operator. `op` is TFLite's name ("CONV_2D"); `attrs` are its options, spelled as in the schema.

    Inputs that are left out are "". `intermediates` are tensors that hold nothing but the quantization of values within the
    operator (LSTM).
    """

    op: str
    inputs: list[str]
    outputs: list[str]
    attrs: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    intermediates: list[str] = field(default_factory=list)


@dataclass
class Graph:
    """Nodes in an order in which they can run, tensors by name."""

    name: str = ""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    input_names: list[str] = field(default_factory=list)  # as the signature calls them
    output_names: list[str] = field(default_factory=list)
    channels_first: bool = False  # inputs and outputs are NCHW, as ONNX, PyTorch and Caffe have them
    # Mean and deviation of each channel of a tensor, as batch normalization has seen them in training.
    moments: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)

    def add_tensor(self, tensor: Tensor) -> str:
        """Adds a tensor, under a name of its own, and gives that name."""
        base, n = tensor.name or "tensor", 1
        while tensor.name in self.tensors or not tensor.name:
            tensor.name = f"{base}_{n}"
            n += 1
        self.tensors[tensor.name] = tensor
        return tensor.name

    def copy(self) -> Graph:
        """A graph of its own, of the same constants."""
        return Graph(
            self.name,
            {k: replace(t) for k, t in self.tensors.items()},
            [Node(n.op, list(n.inputs), list(n.outputs), dict(n.attrs), n.name, list(n.intermediates)) for n in self.nodes],
            list(self.inputs),
            list(self.outputs),
            list(self.input_names),
            list(self.output_names),
            self.channels_first,
            dict(self.moments),
        )

    def constant(self, name: str, data: NDArray[Any]) -> str:
        data = np.asarray(data, order="C")  # ascontiguousarray would give a scalar a dimension
        return self.add_tensor(Tensor(name, data.shape, str(data.dtype), data))

    def add(self, op: str, inputs: list[str], shape: Iterable[int], name: str = "", dtype: str = "float32", **attrs: Any) -> str:
        """Appends a node with one output and gives that output's name."""
        out = self.add_tensor(Tensor(name or op.lower(), tuple(int(n) for n in shape), dtype))
        self.nodes.append(Node(op, list(inputs), [out], attrs, name or out))
        return out

    def data(self, name: str) -> NDArray[Any] | None:
        """The value of a constant tensor, None where it is none."""
        return self.tensors[name].data if name else None

    def consumers(self, name: str) -> list[Node]:
        return [n for n in self.nodes if name in n.inputs]

    def readers(self) -> dict[str, list[Node]]:
        """The consumers of every tensor that has some."""
        found: dict[str, list[Node]] = {}
        for n in self.nodes:
            for i in n.inputs:
                found.setdefault(i, []).append(n)
        return found

    def producer(self, name: str) -> Node | None:
        return next((n for n in self.nodes if name in n.outputs), None)

    def replace(self, old: str, new: str) -> None:
        """Makes every reader of `old` read `new`, the graph's outputs included; `new` takes over its quantization, if it has none."""
        was, now = self.tensors[old].quantization, self.tensors[new]
        if now.quantization is None and now.data is None and now.dtype == self.tensors[old].dtype:
            now.quantization = was
        for node in self.nodes:
            node.inputs = [new if i == old else i for i in node.inputs]
        self.outputs = [new if o == old else o for o in self.outputs]

    def remove_dead(self) -> None:
        """Drops nodes that no output depends on, and tensors that nothing refers to."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if any(o in needed for o in node.outputs):
                needed.update(i for i in (*node.inputs, *node.intermediates) if i)
                kept.append(node)
        self.nodes = kept[::-1]
        used = needed | set(self.inputs) | {o for n in kept for o in n.outputs}
        self.tensors = {k: t for k, t in self.tensors.items() if k in used}

    def check(self) -> None:
        """Every name is known and every value is made before it is read."""
        known = set(self.inputs) | {k for k, t in self.tensors.items() if t.data is not None or t.variable}
        for i, node in enumerate(self.nodes):
            for name in node.inputs:
                if name and name not in known:
                    raise ConversionError(f'op {i} {node.op} "{node.name}": it reads "{name}", which nothing before it makes')
            known.update(node.outputs)
        for name in self.outputs:
            if name not in known:
                raise ConversionError(f'output "{name}" is made by no operator')
