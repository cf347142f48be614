"""Building a graph operator by operator: edgert itself tells shapes, and computes what depends on constants only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import EdgertError

from ..export import single_operator
from ..export.tflite import TYPES
from ..ir import Graph, Node, Tensor


class UnsupportedUseError(Exception):
    """An operator that is known, used in a way that is not; the message says which."""


# A constant above this many elements does not decide a shape; it is left out of the model that is asked for one.
_LARGE = 1 << 16

_BOOLEAN = {
    "EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT",
    "REDUCE_ANY", "REDUCE_ALL",
}  # fmt: skip
_BROADCAST = {"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD"} | (
    _BOOLEAN - {"LOGICAL_NOT", "REDUCE_ANY", "REDUCE_ALL"}
)
_ELEMENTWISE = {
    "ABS", "NEG", "EXP", "LOG", "SQRT", "RSQRT", "SIN", "COS", "FLOOR", "CEIL", "ROUND", "SIGN", "SQUARE", "RELU", "RELU6",
    "RELU_N1_TO_1", "LOGISTIC", "TANH", "ELU", "GELU", "HARD_SWISH", "LEAKY_RELU", "SOFTMAX", "LOG_SOFTMAX", "LOGICAL_NOT",
    "CAST", "CUMSUM", "REVERSE_V2", "L2_NORMALIZATION",
}  # fmt: skip


class Emitter:
    """Appends TFLite operators to a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.prefix = ""  # the name that new tensors take: that of the node being imported

    # ---- what is known of a tensor

    def shape(self, name: str) -> tuple[int, ...]:
        return self.graph.tensors[name].shape

    def rank(self, name: str) -> int:
        return len(self.shape(name))

    def dtype(self, name: str) -> str:
        return self.graph.tensors[name].dtype

    def value(self, name: str) -> NDArray[Any] | None:
        """The value of a constant, None for everything else."""
        return self.graph.data(name)

    def seen(self, name: str, mean: Any, deviation: Any) -> str:
        """Notes what batch normalization tells of its output's channels."""
        self.graph.moments[name] = np.array(mean, np.float64).reshape(-1), np.abs(np.array(deviation, np.float64)).reshape(-1)
        return name

    # ---- new tensors

    def const(self, value: Any, dtype: str | None = None, name: str = "constant") -> str:
        return self.graph.constant(f"{self.prefix}/{name}", np.asarray(value, dtype))

    def ints(self, values: Iterable[int], name: str = "sizes") -> str:
        return self.const(np.array(list(values), np.int32), name=name)

    def like(self, value: float, x: str) -> str:
        """A scalar constant of the type of x."""
        return self.const(np.array(value, self.dtype(x)))

    def op(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        shape: Iterable[int] | None = None,
        dtype: str | None = None,
        name: str = "",
        **attrs: Any,
    ) -> str:
        """One operator with one output; gives the output's name. A result of constants is a constant."""
        return self.ops(op, inputs, [dtype], shapes=None if shape is None else [tuple(shape)], name=name, **attrs)[0]

    def ops(
        self,
        op: str,
        inputs: Sequence[str],
        dtypes: Sequence[str | None],
        *,
        shapes: Sequence[tuple[int, ...]] | None = None,
        name: str = "",
        **attrs: Any,
    ) -> list[str]:
        """One operator with as many outputs as there are types; None stands for the type of the first input."""
        first = self.dtype(inputs[0]) if inputs else "float32"
        types = [t or ("bool" if op in _BOOLEAN else first) for t in dtypes]
        if shapes is None:
            if op in _BROADCAST:
                shapes = [_broadcast([self.shape(i) for i in inputs])]
            elif op in _ELEMENTWISE:
                shapes = [self.shape(inputs[0])]
        constant = all(not i or self.value(i) is not None for i in inputs)
        values: list[NDArray[Any]] | None = None
        if constant:
            values, shapes = self._run(op, inputs, types, attrs, True)
        elif shapes is None:
            _, shapes = self._run(op, inputs, types, attrs, False)
        base = f"{self.prefix}/{name or op.lower()}" if self.prefix else name or op.lower()
        outputs = []
        for i, (dtype, shape) in enumerate(zip(types, shapes)):
            t = Tensor(base, tuple(int(n) for n in shape), dtype, values[i] if values else None)
            outputs.append(self.graph.add_tensor(t))
        if values is None:
            self.graph.nodes.append(Node(op, list(inputs), outputs, attrs, base))
        return outputs

    def _run(
        self, op: str, inputs: Sequence[str], types: Sequence[str], attrs: dict[str, Any], values: bool
    ) -> tuple[list[NDArray[Any]], list[tuple[int, ...]]]:
        """Plans the operator alone, and runs it if `values` are asked for."""
        tensors = {}
        for name in dict.fromkeys(i for i in inputs if i):
            t = self.graph.tensors[name]
            data = t.data if values or (t.data is not None and t.data.size <= _LARGE) else None
            tensors[name] = Tensor(name, t.shape, t.dtype, data, t.quantization)
        outputs = [f"out{i}" for i in range(len(types))]
        tensors.update({name: Tensor(name, (), dtype) for name, dtype in zip(outputs, types)})
        try:
            it = single_operator(Node(op, list(inputs), outputs, attrs, op), tensors)
            if not values:
                return [], [tuple(int(n) for n in d["shape"]) for d in it.get_output_details()]
            it.invoke()
        except (EdgertError, ValueError, RuntimeError) as e:
            raise UnsupportedUseError(str(e).replace("<memory>: ", "")) from None
        results = [it.get_tensor(d["index"]) for d in it.get_output_details()]
        return results, [r.shape for r in results]

    # ---- short forms

    def reshape(self, x: str, shape: Iterable[int], name: str = "reshape") -> str:
        """One size may be -1: what the others leave."""
        sizes, total = [int(n) for n in shape], int(np.prod(self.shape(x)))
        if -1 in sizes:
            sizes[sizes.index(-1)] = total // max(1, -int(np.prod(sizes)))
        if int(np.prod(sizes)) != total:
            raise UnsupportedUseError(f"{list(self.shape(x))} cannot become {sizes}")
        shape = tuple(sizes)
        if shape == self.shape(x):
            return x
        value = self.value(x)
        if value is not None:
            return self.const(value.reshape(shape), name=name)
        return self.op("RESHAPE", [x, self.ints(shape)], shape=shape, name=name, new_shape=shape)

    def transpose(self, x: str, order: Sequence[int], name: str = "transpose") -> str:
        order = [int(i) for i in order]
        if order == list(range(len(order))):
            return x
        value = self.value(x)
        if value is not None:
            return self.const(value.transpose(order), name=name)
        shape = self.shape(x)
        return self.op("TRANSPOSE", [x, self.ints(order, "order")], shape=[shape[i] for i in order], name=name)

    def cast(self, x: str, dtype: str) -> str:
        if self.dtype(x) == dtype:
            return x
        value = self.value(x)
        if value is not None and self.graph.tensors[x].quantization is None:
            with np.errstate(invalid="ignore"):
                return self.const(value.astype(dtype), name="cast")
        attrs: dict[str, Any] = {"in_data_type": TYPES[self.dtype(x)], "out_data_type": TYPES[dtype]}
        return self.op("CAST", [x], dtype=dtype, **attrs)

    def binary(self, op: str, x: str, y: str | float, **attrs: Any) -> str:
        return self.op(op, [x, y if isinstance(y, str) else self.like(y, x)], **attrs)

    def unary(self, op: str, x: str, **attrs: Any) -> str:
        return self.op(op, [x], **attrs)

    def reduce(self, op: str, x: str, axes: Sequence[int], keep: bool) -> str:
        rank = self.rank(x)
        axes = sorted({int(a) % rank for a in axes}) if rank else []
        if not axes:
            return x
        shape = [1 if i in axes else n for i, n in enumerate(self.shape(x)) if keep or i not in axes]
        return self.op(op, [x, self.ints(axes, "axes")], shape=shape, keep_dims=keep)

    def slice(self, x: str, axis: int, begin: int, size: int) -> str:
        shape = list(self.shape(x))
        if begin == 0 and size == shape[axis]:
            return x
        starts = [0] * len(shape)
        starts[axis], shape[axis] = begin, size
        return self.op("SLICE", [x, self.ints(starts, "begin"), self.ints(shape, "size")], shape=shape)

    def concat(self, parts: Sequence[str], axis: int) -> str:
        if len(parts) == 1:
            return parts[0]
        shape = list(self.shape(parts[0]))
        axis %= len(shape)
        shape[axis] = sum(self.shape(p)[axis] for p in parts)
        return self.op("CONCATENATION", list(parts), shape=shape, axis=axis)

    def pad(self, x: str, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> str:
        if not any(before) and not any(after):
            return x
        pads = self.const(np.array(list(zip(before, after)), np.int32), name="paddings")
        shape = [n + a + b for n, a, b in zip(self.shape(x), before, after)]
        if value == 0:
            return self.op("PAD", [x, pads], shape=shape)
        return self.op("PADV2", [x, pads, self.like(value, x)], shape=shape)

    def gather(self, x: str, indices: NDArray[np.int64], axis: int) -> str:
        shape = (*self.shape(x)[:axis], *indices.shape, *self.shape(x)[axis + 1 :])
        return self.op("GATHER", [x, self.const(indices.astype(np.int32), name="indices")], shape=shape, axis=axis)

    def matmul(self, x: str, y: str, **attrs: Any) -> str:
        """x [..., M, K] times y [..., K, N]; a constant matrix y becomes the weights of FULLY_CONNECTED."""
        value = self.value(y)
        if value is not None and value.ndim == 2 and self.rank(x) >= 2 and self.dtype(x) == "float32" and self.value(x) is None:
            return self.dense(x, self.const(value.T, name="weights"))
        return self.op("BATCH_MATMUL", [x, y], **attrs)

    def dense(self, x: str, weights: str, bias: str = "", **attrs: Any) -> str:
        """x [..., K] times weights [N, K] transposed."""
        if self.rank(x) < 1 or self.rank(weights) != 2 or self.shape(x)[-1] != self.shape(weights)[1]:
            rows, inputs_ = list(self.shape(x)), list(self.shape(weights))[::-1]
            raise UnsupportedUseError(f"a product of {rows} and {inputs_} does not exist")
        shape = (*self.shape(x)[:-1], self.shape(weights)[0])
        inputs = [x, weights, *([bias] if bias else [])]
        return self.op("FULLY_CONNECTED", inputs, shape=shape, keep_num_dims=len(shape) > 2, **attrs)


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        raise UnsupportedUseError(f"the shapes {', '.join(str(list(s)) for s in shapes)} do not go together") from None
