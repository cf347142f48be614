"""Operators that treat every element alike. Semantics: onnx.ai/onnx/operators."""

from __future__ import annotations

import math

import numpy as np

from ...export.tflite import TYPES
from .. import functions
from ..emit import Emitter, UnsupportedUseError
from .node import Handler, OnnxNode

_INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


def _binary(op: str) -> Handler:
    def apply(e: Emitter, n: OnnxNode) -> str:
        x, y = n.get(0), n.get(1)
        if e.dtype(x) in ("int8", "uint8"):  # without quantization these are integers
            return e.cast(e.binary(op, e.cast(x, "int32"), e.cast(y, "int32")), e.dtype(x))
        return e.binary(op, x, y)

    return apply


def _variadic(op: str) -> Handler:
    def apply(e: Emitter, n: OnnxNode) -> str:
        y = n.get(0)
        for i in range(1, len(n.inputs)):
            y = e.binary(op, y, n.get(i))
        return y

    return apply


def mean(e: Emitter, n: OnnxNode) -> str:
    total = _variadic("ADD")(e, n)
    assert isinstance(total, str)
    return e.binary("MUL", total, 1 / len(n.inputs))


def div(e: Emitter, n: OnnxNode) -> str:
    x, y = n.get(0), n.get(1)
    if e.dtype(x) not in _INTEGERS:
        divisor = e.value(y)
        if divisor is not None and e.value(x) is None and np.all(divisor != 0) and np.all(np.isfinite(1 / divisor)):
            return e.binary("MUL", x, e.const(1 / divisor))
        return e.binary("DIV", x, y)
    # Towards zero, as C does; floor division differs for signs that differ.
    dtype = e.dtype(x)
    return e.cast(e.binary("DIV", e.cast(x, "int32"), e.cast(y, "int32")), dtype)


def power(e: Emitter, n: OnnxNode) -> str:
    x, y = n.get(0), n.get(1)
    exponent = e.value(y)
    if exponent is not None and exponent.size == 1 and e.dtype(x) == "float32":
        p = float(exponent.reshape(-1)[0])
        known = {2.0: "SQUARE", 0.5: "SQRT", -0.5: "RSQRT"}
        shape = np.broadcast_shapes(e.shape(x), exponent.shape)
        if shape == e.shape(x):
            if p in known:
                return e.unary(known[p], x)
            if p == 1:
                return x
            if p == -1:
                return reciprocal(e, n)
            if p == 3:
                return e.binary("MUL", e.unary("SQUARE", x), x)
    dtype = e.dtype(x)
    if dtype == "float32":
        return e.binary("POW", x, e.cast(y, "float32"))
    if e.dtype(y) == "float32":
        return e.cast(e.binary("POW", e.cast(x, "float32"), y), dtype)
    return e.cast(e.binary("POW", e.cast(x, "int32"), e.cast(y, "int32")), dtype)


def mod(e: Emitter, n: OnnxNode) -> str:
    x, y = n.get(0), n.get(1)
    dtype = e.dtype(x)
    if not n.attr("fmod", 0):
        if dtype in ("int8", "uint8"):
            return e.cast(e.binary("FLOOR_MOD", e.cast(x, "int32"), e.cast(y, "int32")), dtype)
        return e.binary("FLOOR_MOD", x, y)
    # The sign of the dividend: |x| mod |y|, with the sign of x.
    work = dtype if dtype in ("float32", "int64") else "int32"
    x, y = e.cast(x, work), e.cast(y, work)
    magnitude = e.binary("FLOOR_MOD", _absolute(e, x), _absolute(e, y))
    negative = e.binary("LESS", x, 0)
    return e.cast(
        e.op("SELECT_V2", [negative, e.unary("NEG", magnitude), magnitude], dtype=work, shape=e.shape(magnitude)), dtype
    )


def _absolute(e: Emitter, x: str) -> str:
    return e.unary("ABS", x) if e.dtype(x) in ("float32", "int32") else e.binary("MAXIMUM", x, e.unary("NEG", x))


def _unary(op: str, **attrs: object) -> Handler:
    def apply(e: Emitter, n: OnnxNode) -> str:
        x = n.get(0)
        dtype = e.dtype(x)
        if dtype in ("int8", "uint8", "int16"):
            return e.cast(e.unary(op, e.cast(x, "int32"), **attrs), dtype)
        return e.unary(op, x, **attrs)

    return apply


def absolute(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    dtype = e.dtype(x)
    return e.cast(_absolute(e, e.cast(x, "int32") if dtype in ("int8", "uint8", "int16") else x), dtype)


def reciprocal(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    return e.op("DIV", [e.like(1, x), x], shape=e.shape(x))


def compare(op: str) -> Handler:
    def apply(e: Emitter, n: OnnxNode) -> str:
        x, y = n.get(0), n.get(1)
        if e.dtype(x) in ("int8", "uint8", "int16"):
            x, y = e.cast(x, "int32"), e.cast(y, "int32")
        if e.dtype(x) == "bool" and op not in ("EQUAL", "NOT_EQUAL", "LOGICAL_AND", "LOGICAL_OR"):
            raise UnsupportedUseError("booleans have no order")
        return e.binary(op, x, y)

    return apply


def where(e: Emitter, n: OnnxNode) -> str:
    return functions.choose(e, n.get(0), n.get(1), n.get(2))


def bitwise_xor(e: Emitter, n: OnnxNode) -> str:
    return e.binary("BITWISE_XOR", n.get(0), n.get(1))


def bitwise_not(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    ones = 255 if e.dtype(x) == "uint8" else -1
    return e.binary("BITWISE_XOR", x, e.const(np.array(ones).astype(e.dtype(x))))


def bit_shift(e: Emitter, n: OnnxNode) -> str:
    x, y = n.get(0), n.get(1)
    if n.attr("direction") == "RIGHT":
        return e.binary("RIGHT_SHIFT", x, y)
    dtype = e.dtype(x)
    return e.cast(e.binary("MUL", e.cast(x, "int32"), e.binary("POW", e.const(np.int32(2)), e.cast(y, "int32"))), dtype)


def cast(e: Emitter, n: OnnxNode) -> str:
    return e.cast(n.get(0), n.attrs["dtype"])


def cast_like(e: Emitter, n: OnnxNode) -> str:
    return e.cast(n.get(0), e.dtype(n.get(1)))


def identity(e: Emitter, n: OnnxNode) -> str:
    return n.get(0)


def dropout(e: Emitter, n: OnnxNode) -> list[str]:
    x = n.get(0)
    training = e.value(n.inputs[2]) if n.has(2) else None
    if n.has(2) and (training is None or bool(training)):
        raise UnsupportedUseError("it is in training mode")
    return [x, e.const(np.ones(e.shape(x), bool), name="mask")] if n.outputs > 1 else [x]


# ---- activations


def clip(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    dtype = e.dtype(x)
    low = n.inputs[1] if n.has(1) else e.const(n.attr("min"), dtype) if n.attr("min") is not None else ""
    high = n.inputs[2] if n.has(2) else e.const(n.attr("max"), dtype) if n.attr("max") is not None else ""
    bounds = [None if not b else e.value(b) for b in (low, high)]
    if dtype == "float32" and all(not b or v is not None for b, v in zip((low, high), bounds)):
        return clamp(e, x, *(None if v is None else float(v.reshape(-1)[0]) for v in bounds))
    work = "int32" if dtype in ("int8", "uint8", "int16") else dtype
    y = e.cast(x, work)
    if low:
        y = e.binary("MAXIMUM", y, e.cast(low, work))
    if high:
        y = e.binary("MINIMUM", y, e.cast(high, work))
    return e.cast(y, dtype)


def clamp(e: Emitter, x: str, low: float | None, high: float | None) -> str:
    """min(max(x, low), high), by an activation of TFLite where there is one."""
    low = None if low is None or low < -3e38 else low
    high = None if high is None or high > 3e38 else high
    known: dict[tuple[float | None, float | None], str] = {(0, None): "RELU", (0, 6): "RELU6", (-1, 1): "RELU_N1_TO_1"}
    if (low, high) in known:
        return e.unary(known[low, high], x)
    if low == 0 and high is not None and high > 0:
        return e.binary("MINIMUM", e.unary("RELU", x), high)
    if low is not None:
        x = e.binary("MAXIMUM", x, low)
    return x if high is None else e.binary("MINIMUM", x, high)


def leaky_relu(e: Emitter, n: OnnxNode) -> str:
    return e.unary("LEAKY_RELU", n.get(0), alpha=float(n.attr("alpha", 0.01)))


def prelu(e: Emitter, n: OnnxNode) -> str:
    x, slope = n.get(0), n.get(1)
    value = e.value(slope)
    if value is not None and value.size == 1:
        return e.unary("LEAKY_RELU", x, alpha=float(value.reshape(-1)[0]))
    if value is not None and e.rank(slope) == 1 < e.rank(x) and e.shape(slope)[0] not in (1, e.shape(x)[-1]):
        slope = e.reshape(slope, (*e.shape(slope), *[1] * (e.rank(x) - 2)))  # a channel each, as it was before opset 7
    if value is not None and e.rank(slope) < e.rank(x):
        slope = e.reshape(slope, (*[1] * (e.rank(x) - e.rank(slope)), *e.shape(slope)))
    return e.op("PRELU", [x, slope], shape=e.shape(x))


def elu(e: Emitter, n: OnnxNode) -> str:
    return functions.elu(e, n.get(0), float(n.attr("alpha", 1.0)), 1.0)


def selu(e: Emitter, n: OnnxNode) -> str:
    alpha, gamma = float(n.attr("alpha", 1.67326319217681884765625)), float(n.attr("gamma", 1.05070102214813232421875))
    return functions.elu(e, n.get(0), alpha, gamma)


def celu(e: Emitter, n: OnnxNode) -> str:
    x, alpha = n.get(0), float(n.attr("alpha", 1.0))
    below = e.unary("ELU", e.binary("MUL", e.binary("MINIMUM", x, 0), 1 / alpha))
    return e.binary("ADD", e.unary("RELU", x), e.binary("MUL", below, alpha))


def thresholded_relu(e: Emitter, n: OnnxNode) -> str:
    return functions.where_above(e, n.get(0), float(n.attr("alpha", 1.0)))


def hard_sigmoid(e: Emitter, n: OnnxNode) -> str:
    return functions.hard_sigmoid(e, n.get(0), float(n.attr("alpha", 0.2)), float(n.attr("beta", 0.5)))


def hard_swish(e: Emitter, n: OnnxNode) -> str:
    return e.unary("HARD_SWISH", n.get(0))


def softplus(e: Emitter, n: OnnxNode) -> str:
    return functions.softplus(e, n.get(0))


def mish(e: Emitter, n: OnnxNode) -> str:
    return functions.mish(e, n.get(0))


def softsign(e: Emitter, n: OnnxNode) -> str:
    return functions.softsign(e, n.get(0))


def swish(e: Emitter, n: OnnxNode) -> str:
    return functions.swish(e, n.get(0), float(n.attr("alpha", 1.0)))


def gelu(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    if n.attr("approximate", "none") == "tanh":
        return e.unary("GELU", x, approximate=True)
    return e.unary("GELU", x, approximate=False)


def erf(e: Emitter, n: OnnxNode) -> str:
    """An operator that TFLite has not; the passes make GELU of it, or take it apart."""
    value = e.value(n.get(0))
    if value is not None:
        return e.const(np.vectorize(math.erf, otypes=[np.float32])(value))
    return e.op("ERF", [n.get(0)], shape=e.shape(n.get(0)))


def shrink(e: Emitter, n: OnnxNode) -> str:
    x, bias, lambd = n.get(0), float(n.attr("bias", 0.0)), float(n.attr("lambd", 0.5))
    dtype = e.dtype(x)
    x = e.cast(x, "float32")
    zero = e.like(0, x)
    low = e.op("SELECT_V2", [e.binary("LESS", x, -lambd), e.binary("ADD", x, bias), zero], dtype="float32", shape=e.shape(x))
    y = e.op("SELECT_V2", [e.binary("GREATER", x, lambd), e.binary("SUB", x, bias), low], dtype="float32", shape=e.shape(x))
    return e.cast(y, dtype)


def _along(op: str) -> Handler:
    """SOFTMAX and LOG_SOFTMAX: TFLite's are along the last axis. Before opset 13 all axes from `axis` on count as one."""

    def apply(e: Emitter, n: OnnxNode) -> str:
        x = n.get(0)
        attrs = {"beta": 1.0} if op == "SOFTMAX" else {}
        shape, rank = e.shape(x), e.rank(x)
        if n.opset < 13:
            axis = n.axis(1, rank)
            flat = e.reshape(x, (int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))))
            return e.reshape(e.unary(op, flat, **attrs), shape)
        return functions.along_axis(e, op, x, n.axis(-1, rank), **attrs)

    return apply


def hardmax(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    shape, rank = e.shape(x), e.rank(x)
    axis = n.axis(-1 if n.opset >= 13 else 1, rank)
    work = x if n.opset >= 13 else e.reshape(x, (int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))))
    axis = axis if n.opset >= 13 else 1
    depth = e.shape(work)[axis]
    index = e.op("ARG_MAX", [work, e.const(np.array(axis, np.int32))], dtype="int32", output_type=TYPES["int32"])
    on, off = e.const(np.float32(1)), e.const(np.float32(0))
    y = e.op("ONE_HOT", [index, e.const(np.int32(depth)), on, off], dtype="float32", shape=e.shape(work), axis=axis)
    return e.reshape(y, shape)


# ---- trigonometry: TFLite has SIN, COS, ATAN2 and EXP


def tan(e: Emitter, n: OnnxNode) -> str:
    return e.binary("DIV", e.unary("SIN", n.get(0)), e.unary("COS", n.get(0)))


def _cosine_of(e: Emitter, x: str) -> str:
    """sqrt(1 - x^2) as sqrt((1 - x) (1 + x)), exact near 1."""
    one = e.like(1, x)
    rest = e.op("SUB", [one, x], shape=e.shape(x))
    return e.unary("SQRT", e.binary("MUL", rest, e.binary("ADD", x, one)))


def asin(e: Emitter, n: OnnxNode) -> str:
    return e.op("ATAN2", [n.get(0), _cosine_of(e, n.get(0))], shape=e.shape(n.get(0)))


def acos(e: Emitter, n: OnnxNode) -> str:
    return e.op("ATAN2", [_cosine_of(e, n.get(0)), n.get(0)], shape=e.shape(n.get(0)))


def atan(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    return e.op("ATAN2", [x, e.const(np.ones(e.shape(x), np.float32))], shape=e.shape(x))


def sinh(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    return e.binary("MUL", e.binary("SUB", e.unary("EXP", x), e.unary("EXP", e.unary("NEG", x))), 0.5)


def cosh(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    return e.binary("MUL", e.binary("ADD", e.unary("EXP", x), e.unary("EXP", e.unary("NEG", x))), 0.5)


def asinh(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    a = e.unary("ABS", x)
    y = e.unary("LOG", e.binary("ADD", a, e.unary("SQRT", e.binary("ADD", e.unary("SQUARE", a), 1))))
    return e.binary("MUL", y, e.unary("SIGN", x))


def acosh(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    root = e.unary("SQRT", e.binary("MUL", e.binary("SUB", x, 1), e.binary("ADD", x, 1)))
    return e.unary("LOG", e.binary("ADD", x, root))


def atanh(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    rest = e.op("SUB", [e.like(1, x), x], shape=e.shape(x))
    return e.binary("MUL", e.unary("LOG", e.binary("DIV", e.binary("ADD", x, 1), rest)), 0.5)


def is_nan(e: Emitter, n: OnnxNode) -> str:
    return e.binary("NOT_EQUAL", n.get(0), n.get(0))


def is_inf(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    positive, negative = n.attr("detect_positive", 1), n.attr("detect_negative", 1)
    if positive and negative:
        return e.binary("EQUAL", e.unary("ABS", x), float("inf"))
    return e.binary("EQUAL", x, float("inf") if positive else float("-inf"))


HANDLERS: dict[str, Handler] = {
    "Add": _binary("ADD"), "Sub": _binary("SUB"), "Mul": _binary("MUL"), "Div": div, "Pow": power, "Mod": mod,
    "Max": _variadic("MAXIMUM"), "Min": _variadic("MINIMUM"), "Sum": _variadic("ADD"), "Mean": mean,
    "And": compare("LOGICAL_AND"), "Or": compare("LOGICAL_OR"), "Xor": compare("NOT_EQUAL"), "Not": _unary("LOGICAL_NOT"),
    "Equal": compare("EQUAL"), "Less": compare("LESS"), "LessOrEqual": compare("LESS_EQUAL"), "Greater": compare("GREATER"),
    "GreaterOrEqual": compare("GREATER_EQUAL"), "Where": where,
    "BitwiseXor": bitwise_xor, "BitwiseNot": bitwise_not, "BitShift": bit_shift,
    "Abs": absolute, "Neg": _unary("NEG"), "Exp": _unary("EXP"), "Log": _unary("LOG"), "Sqrt": _unary("SQRT"),
    "Sin": _unary("SIN"), "Cos": _unary("COS"), "Tan": tan, "Asin": asin, "Acos": acos, "Atan": atan, "Sinh": sinh,
    "Cosh": cosh, "Asinh": asinh, "Acosh": acosh, "Atanh": atanh, "Floor": _unary("FLOOR"), "Ceil": _unary("CEIL"),
    "Round": _unary("ROUND"), "Sign": _unary("SIGN"), "Reciprocal": reciprocal, "IsNaN": is_nan, "IsInf": is_inf, "Erf": erf,
    "Cast": cast, "CastLike": cast_like, "Identity": identity, "Dropout": dropout,
    "Relu": _unary("RELU"), "Sigmoid": _unary("LOGISTIC"), "Tanh": _unary("TANH"), "Clip": clip, "LeakyRelu": leaky_relu,
    "PRelu": prelu, "Elu": elu, "Selu": selu, "Celu": celu, "ThresholdedRelu": thresholded_relu, "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish, "Softplus": softplus, "Softsign": softsign, "Mish": mish, "Swish": swish, "Gelu": gelu,
    "Shrink": shrink, "Softmax": _along("SOFTMAX"), "LogSoftmax": _along("LOG_SOFTMAX"), "Hardmax": hardmax,
}  # fmt: skip
