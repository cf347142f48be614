"""Operations that are nodes of a functional model without being layers: keras.ops of Keras 3, `tf.` functions of Keras 2 (TFOpLambda).

`x + 1`, `x[:, 0]` and the comparison that makes a mask are such nodes. Semantics: keras.io/api/ops, tensorflow.org/api_docs/python/tf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import functions
from ..emit import Emitter, UnsupportedUseError
from .activations import NAMED


class Value(str):
    """The name of a tensor, among arguments that may be texts."""


@dataclass
class Call:
    """An operation at its use: arguments by place and by name, with `Value`s for tensors."""

    e: Emitter
    args: list[Any]
    named: dict[str, Any] = field(default_factory=dict)
    asked: set[int | str] = field(default_factory=set)

    def get(self, at: int, *names: str, default: Any = None) -> Any:
        """An argument by its place or by one of its names."""
        self.asked |= {at, *names}
        if at < len(self.args):
            return self.args[at]
        return next((self.named[n] for n in names if self.named.get(n) is not None), default)

    def check(self) -> None:
        """Raises UnsupportedUseError for an argument that was not looked at: it would be ignored."""
        left = [repr(v) for i, v in enumerate(self.args) if i not in self.asked and v is not None]
        left += [f"{k} = {v!r}" for k, v in self.named.items() if k not in self.asked and v not in (None, False)]
        if left:
            raise UnsupportedUseError(f"its argument {left[0]} is not supported")

    def tensor(self, at: int, *names: str, like: str = "") -> str:
        """An argument that is a tensor, or becomes a constant one of the type of `like`."""
        value = self.get(at, *names)
        if isinstance(value, Value):
            return str(value)
        if value is None or isinstance(value, str):
            raise UnsupportedUseError(f"its argument {names[0] if names else at} is {value!r}, expected a tensor")
        array = np.asarray(_plain(value))
        fractions = array.dtype.kind == "f"
        kind = (
            self.e.dtype(like)
            if like and (not fractions or self.e.dtype(like) == "float32")
            else "float32"
            if fractions
            else "int32"
        )
        return self.e.const(array, "bool" if array.dtype.kind == "b" else kind)

    def two(self) -> tuple[str, str]:
        """Two arguments of one type: of whole numbers and floats, floats."""
        first, second = self.get(0, "x", "x1"), self.get(1, "y", "x2")
        x = self.tensor(0, "x", "x1", like=str(second) if isinstance(second, Value) else "")
        y = self.tensor(1, "y", "x2", like=str(first) if isinstance(first, Value) else "")
        types = {self.e.dtype(x), self.e.dtype(y)}
        if len(types) > 1:
            common = "float32" if "float32" in types else "int32"
            x, y = self.e.cast(x, common), self.e.cast(y, common)
        return x, y

    def numbers(self, at: int, *names: str) -> list[int]:
        value = _plain(self.get(at, *names))
        if value is None or isinstance(value, (str, dict)):
            raise UnsupportedUseError(f"its argument {names[0]} is not made of constants")
        return [int(v) for v in (value if isinstance(value, (list, tuple)) else [value])]

    @property
    def x(self) -> str:
        return self.tensor(0, "x", "x1", "input", "input_tensor", "features", "tensor", "a", "logits", "inputs", "t")


def _plain(value: Any) -> Any:
    """A value without the wrapping of serialized arrays."""
    if isinstance(value, dict) and isinstance(value.get("config"), dict) and "value" in value["config"]:
        return value["config"]["value"]
    if isinstance(value, Value) or (isinstance(value, (list, tuple)) and any(isinstance(v, Value) for v in value)):
        raise UnsupportedUseError("a size that is computed is not supported")
    return value


Operation = Callable[[Call], "str | list[str]"]


def _binary(op: str, as_float: bool = False) -> Operation:
    def apply(c: Call) -> str:
        x, y = c.two()
        if as_float:
            x, y = c.e.cast(x, "float32"), c.e.cast(y, "float32")
        return c.e.binary(op, x, y)

    return apply


def _unary(op: str) -> Operation:
    return lambda c: c.e.unary(op, c.x)


def _activation(name: str) -> Operation:
    return lambda c: NAMED[name](c.e, c.x)


def _reduction(op: str) -> Operation:
    def apply(c: Call) -> str:
        x, e = c.x, c.e
        axes = c.get(1, "axis")
        axes = list(range(e.rank(x))) if axes is None else [int(a) for a in np.atleast_1d(_plain(axes))]
        if op == "MEAN" or (op in ("SUM", "REDUCE_PROD") and e.dtype(x) == "bool"):
            x = e.cast(x, "float32" if op == "MEAN" else "int32")
        if op in ("REDUCE_ANY", "REDUCE_ALL") and e.dtype(x) != "bool":
            x = e.binary("NOT_EQUAL", x, 0)
        return e.reduce(op, x, axes, bool(c.get(2, "keepdims", "keep_dims", default=False)))

    return apply


def _arg(op: str) -> Operation:
    def apply(c: Call) -> str:
        axis = c.get(1, "axis")
        if axis is None:
            raise UnsupportedUseError("the largest or smallest of all values is not supported, only along an axis")
        x, axis = c.x, int(axis) % c.e.rank(c.x)
        y = c.e.op(op, [x, c.e.ints([axis], "axis")], dtype="int32", shape=[n for i, n in enumerate(c.e.shape(x)) if i != axis])
        return c.e.reshape(y, [1 if i == axis else n for i, n in enumerate(c.e.shape(x))]) if c.get(2, "keepdims") else y

    return apply


def _softmax(op: str, **attrs: Any) -> Operation:
    def apply(c: Call) -> str:
        axis = int(c.get(1, "axis", default=-1)) % c.e.rank(c.x)
        return functions.along_axis(c.e, op, c.x, axis, **attrs)

    return apply


def _reshape(c: Call) -> str:
    return c.e.reshape(c.x, c.numbers(1, "newshape", "shape"))


def _transpose(c: Call) -> str:
    order = c.get(1, "axes", "perm")
    return c.e.transpose(c.x, list(range(c.e.rank(c.x)))[::-1] if order is None else [int(i) for i in order])


def _expand_dims(c: Call) -> str:
    shape = list(c.e.shape(c.x))
    axes = c.numbers(1, "axis")
    for a in sorted(a % (len(shape) + len(axes)) for a in axes):
        shape.insert(a, 1)
    return c.e.reshape(c.x, shape)


def _squeeze(c: Call) -> str:
    shape, axes = c.e.shape(c.x), c.get(1, "axis")
    gone = (
        {i for i, n in enumerate(shape) if n == 1 and i > 0}
        if axes is None
        else {int(a) % len(shape) for a in np.atleast_1d(axes)}
    )
    return c.e.reshape(c.x, [n for i, n in enumerate(shape) if i not in gone])


def _parts(c: Call) -> list[str]:
    values = c.get(0, "xs", "x", "values", "arrays")
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, Value) for v in values):
        raise UnsupportedUseError("not all of what it joins are tensors")
    kinds = {c.e.dtype(v) for v in values}
    return [c.e.cast(v, "float32") if len(kinds) > 1 else str(v) for v in values]


def _concatenate(c: Call) -> str:
    return c.e.concat(_parts(c), int(c.get(1, "axis", default=-1)))


def _stack(c: Call) -> str:
    parts = _parts(c)
    shape = list(c.e.shape(parts[0]))
    axis = int(c.get(1, "axis", default=0)) % (len(shape) + 1)
    return c.e.concat([c.e.reshape(p, [*shape[:axis], 1, *shape[axis:]]) for p in parts], axis)


def _split(c: Call) -> list[str]:
    shape = c.e.shape(c.x)
    axis = int(c.get(2, "axis", default=0)) % len(shape)
    given = _plain(c.get(1, "indices_or_sections", "num_or_size_splits"))
    sizes_given = "num_or_size_splits" in c.named
    if isinstance(given, int):
        if given < 1 or shape[axis] % given:
            raise UnsupportedUseError(f"{shape[axis]} do not divide into {given} parts")
        ends = [shape[axis] // given * (i + 1) for i in range(given)]
    else:
        ends = list(np.cumsum([int(n) for n in given])) if sizes_given else [*(int(n) for n in given), shape[axis]]
    begins = [0, *ends[:-1]]
    return [c.e.slice(c.x, axis, int(a), int(b - a)) for a, b in zip(begins, ends)]


def _get_item(c: Call) -> str:
    """x[...] with slices, whole numbers, `...` and new axes."""
    e, x, key = c.e, c.x, c.get(1, "key", "slice_spec")
    entries = [_entry(k) for k in (key if isinstance(key, (list, tuple)) else [key])]
    rank = e.rank(x)
    taken = sum(1 for k in entries if isinstance(k, (int, slice)))
    if taken > rank:
        raise UnsupportedUseError(f"{taken} indices do not fit {rank} dimensions")
    rest = [slice(None)] * (rank - taken)
    if Ellipsis in entries:
        at = entries.index(Ellipsis)
        entries[at : at + 1] = rest
    else:
        entries += rest
    parts: list[tuple[int, int, int]] = []
    shape: list[int] = []
    for k in entries:
        if k is None:
            shape.append(1)
            continue
        n = e.shape(x)[len(parts)]
        if isinstance(k, int):
            if not -n <= k < n:
                raise UnsupportedUseError(f"the index {k} is outside of {n}")
            at = k % n
            part = (at, at + 1, 1)
        else:
            part = k.indices(n)
            if part[2] < 1:
                raise UnsupportedUseError("slices with negative steps are not supported")
            shape.append(len(range(*part)))
        parts.append(part)
    sizes = [len(range(*p)) for p in parts]
    if sizes != list(e.shape(x)):
        inputs = [x, *(e.ints(values, name) for values, name in zip(zip(*parts), ("begin", "end", "strides")))]
        x = e.op(
            "STRIDED_SLICE", inputs, shape=sizes, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0
        )
    return e.reshape(x, shape)


def _entry(k: Any) -> Any:
    if isinstance(k, dict) and k.get("class_name") in ("__slice__", "slice"):
        k = k["config"]
    if isinstance(k, dict) and {"start", "stop"} <= set(k):
        if any(isinstance(v, Value) for v in k.values()):
            raise UnsupportedUseError("a slice of a computed place is not supported")
        return slice(k["start"], k["stop"], k.get("step"))
    if isinstance(k, dict) and k.get("class_name") == "__ellipsis__":
        return Ellipsis
    if k is None or (isinstance(k, int) and not isinstance(k, bool)):
        return k
    if k == "...":
        return Ellipsis
    raise UnsupportedUseError(f"the index {k!r} is not supported")


def _cast(c: Call) -> str:
    kind = c.get(1, "dtype")
    kind = {"float16": "float32", "float64": "float32", "bfloat16": "float32", "int64": "int32"}.get(str(kind), str(kind))
    if kind not in ("float32", "int32", "bool"):
        raise UnsupportedUseError(f'the type "{kind}" is not supported')
    return c.e.cast(c.x, kind)


def _where(c: Call) -> str:
    e, condition = c.e, c.tensor(0, "condition")
    a, b = c.get(1, "x", "x1"), c.get(2, "y", "x2")
    if a is None or b is None:
        raise UnsupportedUseError("the places where a condition holds are not supported, only a choice between two values")
    x, y = Call(e, [a, b]).two()
    return functions.choose(e, e.cast(condition, "bool"), x, y)


def _clip(c: Call) -> str:
    low, high = c.get(1, "x_min", "clip_value_min"), c.get(2, "x_max", "clip_value_max")
    return c.e.binary("MINIMUM", c.e.binary("MAXIMUM", c.x, float(_plain(low))), float(_plain(high)))


def _matmul(c: Call) -> str:
    x, y = c.tensor(0, "x1", "a"), c.tensor(1, "x2", "b")
    adjoint: dict[str, Any] = {
        "adj_x": bool(c.get(2, "transpose_a", default=False)),
        "adj_y": bool(c.get(3, "transpose_b", default=False)),
    }
    return c.e.op("BATCH_MATMUL", [x, y], **adjoint) if any(adjoint.values()) else c.e.matmul(x, y)


def _filled(value: int) -> Operation:
    def apply(c: Call) -> str:
        kind = str(c.get(1, "dtype", default=c.e.dtype(c.x)))
        return c.e.const(np.full(c.e.shape(c.x), value), "bool" if kind == "bool" else c.e.dtype(c.x))

    return apply


def _tile(c: Call) -> str:
    times = c.numbers(1, "repeats", "multiples")
    rank = max(len(times), c.e.rank(c.x))
    x = c.e.reshape(c.x, [*[1] * (rank - c.e.rank(c.x)), *c.e.shape(c.x)])
    times = [*[1] * (rank - len(times)), *times]
    return c.e.op("TILE", [x, c.e.ints(times, "multiples")], shape=[n * t for n, t in zip(c.e.shape(x), times)])


def _pad(c: Call) -> str:
    if str(c.get(2, "mode", default="constant")).lower() != "constant":
        raise UnsupportedUseError("only padding by a constant is supported")
    pads = [[int(v) for v in p] for p in c.get(1, "pad_width", "paddings")]
    value = c.get(3, "constant_values", default=0)
    return c.e.pad(c.x, [p[0] for p in pads], [p[1] for p in pads], float(_plain(value)))


def _flip(c: Call) -> str:
    axes = c.get(1, "axis")
    axes = range(c.e.rank(c.x)) if axes is None else [int(a) % c.e.rank(c.x) for a in np.atleast_1d(axes)]
    return c.e.op("REVERSE_V2", [c.x, c.e.ints(axes, "axes")], shape=c.e.shape(c.x))


def _elu(c: Call) -> str:
    return functions.elu(c.e, c.x, float(c.get(1, "alpha", default=1.0)), 1.0)


def _variance(c: Call) -> str:
    e, x, axes = c.e, c.x, c.get(1, "axis")
    axes = list(range(e.rank(x))) if axes is None else [int(a) for a in np.atleast_1d(axes)]
    return functions.moments(e, x, axes, bool(c.get(2, "keepdims", default=False))).variance


def _swapaxes(c: Call) -> str:
    order = list(range(c.e.rank(c.x)))
    a, b = int(c.get(1, "axis1")), int(c.get(2, "axis2"))
    order[a], order[b] = order[b], order[a]
    return c.e.transpose(c.x, order)


def _leaky_relu(c: Call) -> str:
    return c.e.unary("LEAKY_RELU", c.x, alpha=float(c.get(1, "negative_slope", "alpha", default=0.2)))


def _gelu(c: Call) -> str:
    # keras.ops approximates unless told otherwise; tf.nn does not.
    return c.e.unary("GELU", c.x, approximate=bool(c.get(1, "approximate", default="features" not in c.named)))


OPERATIONS: dict[str, Operation] = {
    "add": _binary("ADD"), "subtract": _binary("SUB"), "multiply": _binary("MUL"), "divide": _binary("DIV", True),
    "floor_divide": _binary("FLOOR_DIV"), "mod": _binary("FLOOR_MOD"), "maximum": _binary("MAXIMUM"), "minimum": _binary("MINIMUM"),
    "power": _binary("POW"), "squared_difference": _binary("SQUARED_DIFFERENCE"), "equal": _binary("EQUAL"), "not_equal": _binary("NOT_EQUAL"),
    "less": _binary("LESS"), "less_equal": _binary("LESS_EQUAL"), "greater": _binary("GREATER"), "greater_equal": _binary("GREATER_EQUAL"),
    "logical_and": _binary("LOGICAL_AND"), "logical_or": _binary("LOGICAL_OR"), "logical_not": _unary("LOGICAL_NOT"),
    "negative": _unary("NEG"), "absolute": _unary("ABS"), "exp": _unary("EXP"), "log": _unary("LOG"), "sqrt": _unary("SQRT"),
    "rsqrt": _unary("RSQRT"), "square": _unary("SQUARE"), "sin": _unary("SIN"), "cos": _unary("COS"), "floor": _unary("FLOOR"),
    "ceil": _unary("CEIL"), "round": _unary("ROUND"), "sign": _unary("SIGN"),
    "reciprocal": lambda c: c.e.op("DIV", [c.e.like(1, c.x), c.x]),
    **{n: _activation(n) for n in (
        "relu", "relu6", "tanh", "sigmoid", "silu", "hard_silu", "hard_sigmoid", "celu", "selu", "softplus", "softsign", "mish", "log_sigmoid", "hard_tanh")},
    "elu": _elu, "leaky_relu": _leaky_relu, "gelu": _gelu, "softmax": _softmax("SOFTMAX", beta=1.0), "log_softmax": _softmax("LOG_SOFTMAX"),
    "mean": _reduction("MEAN"), "sum": _reduction("SUM"), "max": _reduction("REDUCE_MAX"), "min": _reduction("REDUCE_MIN"),
    "prod": _reduction("REDUCE_PROD"), "any": _reduction("REDUCE_ANY"), "all": _reduction("REDUCE_ALL"), "argmax": _arg("ARG_MAX"), "argmin": _arg("ARG_MIN"),
    "reshape": _reshape, "transpose": _transpose, "expand_dims": _expand_dims, "squeeze": _squeeze, "concatenate": _concatenate, "stack": _stack,
    "split": _split, "get_item": _get_item, "cast": _cast, "where": _where, "clip": _clip, "matmul": _matmul, "zeros_like": _filled(0), "ones_like": _filled(1),
    "var": _variance, "std": lambda c: c.e.unary("SQRT", _variance(c)), "swapaxes": _swapaxes, "logical_xor": _binary("NOT_EQUAL"),
    "tile": _tile, "pad": _pad, "flip": _flip, "identity": lambda c: c.x, "stop_gradient": lambda c: c.x,
}  # fmt: skip
_OTHER_NAMES = {
    "true_divide": "divide", "truediv": "divide", "div": "divide", "sub": "subtract", "mul": "multiply", "pow": "power", "neg": "negative", "abs": "absolute",
    "concat": "concatenate", "getitem": "get_item", "clip_by_value": "clip", "swish": "silu", "floormod": "mod", "floordiv": "floor_divide",
    "reverse": "flip", "hard_swish": "hard_silu",
    **{f"reduce_{n}": n for n in ("mean", "sum", "max", "min", "prod", "any", "all")},
}  # fmt: skip


def is_of_ops(layer: dict[str, Any]) -> bool:
    """Whether a node is of `keras.ops`, by the module that a `.keras` names."""
    return str(layer.get("module") or "").startswith(("keras.src.ops", "keras.ops"))


def is_operation(layer: dict[str, Any], version: int) -> bool:
    """A `.h5` does not tell in words; but layers, unlike operations, can be trained."""
    if layer["class_name"] in ("TFOpLambda", "SlicingOpLambda"):
        return True
    legacy = version >= 3 and not layer.get("module") and "trainable" not in layer["config"] and name_of(layer) in OPERATIONS
    return is_of_ops(layer) or legacy


def name_of(layer: dict[str, Any]) -> str:
    """The name that an operation has here."""
    if layer["class_name"] in ("TFOpLambda", "SlicingOpLambda"):
        name = str(layer["config"].get("function", "")).split(".")[-1]
    else:
        name = re.sub("([a-z0-9])([A-Z])", r"\1_\2", layer["class_name"]).lower()
    return _OTHER_NAMES.get(name, name)


def run(layer: dict[str, Any], e: Emitter, args: Sequence[Any], named: dict[str, Any]) -> list[str]:
    """The tensors that an operation makes."""
    config = {k: v for k, v in layer["config"].items() if k not in ("name", "trainable", "function")}
    if layer["class_name"] in ("TFOpLambda", "SlicingOpLambda"):
        config.pop("dtype", None)  # the layer's, not an argument
    call = Call(e, list(args), {**config, **{k: v for k, v in named.items() if k != "name"}})
    result = OPERATIONS[name_of(layer)](call)
    call.check()
    return [result] if isinstance(result, str) else result
