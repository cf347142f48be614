"""Quantized operators. Scales are kept: QuantizeLinear and DequantizeLinear become QUANTIZE and DEQUANTIZE on tensors with
those scales, and what is between two of them stays float until the pass `keep_quantization` looks at it.

Semantics: onnx.ai/onnx/operators.
"""

from __future__ import annotations

import numpy as np

from ...ir import Node, Quantization, Tensor
from ..emit import Emitter, UnsupportedUseError
from . import elementwise, products, windows
from .node import Handler, OnnxNode


def _parameters(e: Emitter, n: OnnxNode, scale: int, zero: int, rank: int, dtype: str | None) -> tuple[Quantization, str]:
    s = np.asarray(n.constant(scale, "scale"), np.float32)
    if n.has(zero):
        z, dtype = np.asarray(n.constant(zero, "zero point")), e.dtype(n.inputs[zero])
    else:
        z, dtype = np.zeros(s.shape, np.int64), dtype or "uint8"
    axis = n.axis(1, rank) if s.size > 1 else 0
    if s.ndim > 1:
        raise UnsupportedUseError("scales by block are not supported")
    return Quantization(s.reshape(-1), np.broadcast_to(z.reshape(-1), s.size).astype(np.int64), axis), dtype


def quantize(e: Emitter, x: str, q: Quantization, dtype: str, name: str = "quantized") -> str:
    """round(x / scale) + zero point: halves to even in ONNX, away from zero in TFLite."""
    out = e.graph.add_tensor(Tensor(f"{e.prefix}/{name}", e.shape(x), dtype, None, q))
    value = e.value(x)
    if value is not None:
        shape = [1] * value.ndim
        if len(q.scale) > 1:
            shape[q.axis] = -1
        zero = q.zero_point.reshape(shape) if value.ndim else q.zero_point.reshape(())
        step = q.scale.reshape(shape) if value.ndim else q.scale.reshape(())
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        e.graph.tensors[out].data = np.clip(np.rint(value / step) + zero, low, high).astype(dtype)
        return out
    if len(q.scale) > 1:
        raise UnsupportedUseError("scales per channel are supported for constants only")
    e.graph.nodes.append(Node("QUANTIZE", [x], [out], {}, e.prefix))
    return out


def dequantize(e: Emitter, x: str, q: Quantization) -> str:
    """(x - zero point) scale. A constant becomes a float constant that remembers its scale."""
    t = e.graph.tensors[x]
    shape = [1] * len(t.shape)
    if len(q.scale) > 1:
        shape[q.axis] = -1
    if t.data is not None:
        zero = q.zero_point.reshape(shape) if shape else q.zero_point.reshape(())
        step = q.scale.reshape(shape) if shape else q.scale.reshape(())
        name = e.const(((t.data.astype(np.float64) - zero) * step).astype(np.float32), name="dequantized")
        if t.dtype == "int8" and not q.zero_point.any():
            e.graph.tensors[name].quantization = q
        return name
    if t.dtype in ("int8", "uint8", "int16") and len(q.scale) == 1:
        given = t.quantization
        if given is None:  # a graph input, or plain integers
            t.quantization = q
        elif not given.equals(q):
            return _arithmetic(e, x, q, shape)
        return e.op("DEQUANTIZE", [x], dtype="float32", shape=t.shape)
    return _arithmetic(e, x, q, shape)


def _arithmetic(e: Emitter, x: str, q: Quantization, shape: list[int]) -> str:
    y = e.cast(x, "float32")
    if q.zero_point.any():
        y = e.binary("SUB", y, e.const(q.zero_point.reshape(shape), "float32"))
    return e.binary("MUL", y, e.const(q.scale.reshape(shape), "float32"))


def quantize_linear(e: Emitter, n: OnnxNode) -> str:
    if e.value(n.get(1)) is None:  # a scale that depends on the data
        dtype = e.dtype(n.inputs[2]) if n.has(2) else "uint8"
        y = e.unary("ROUND", e.binary("DIV", n.get(0), n.get(1)))
        y = e.binary("ADD", y, e.cast(n.inputs[2], "float32")) if n.has(2) else y
        return e.cast(elementwise.clamp(e, y, float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)), dtype)
    q, dtype = _parameters(e, n, 1, 2, e.rank(n.get(0)), n.attrs.get("output_dtype_name"))
    if len(q.scale) > 1 and e.value(n.get(0)) is None:
        return _quantize_channels(e, n.get(0), q, dtype)
    return quantize(e, n.get(0), q, dtype)


def _quantize_channels(e: Emitter, x: str, q: Quantization, dtype: str) -> str:
    shape = [1] * e.rank(x)
    shape[q.axis] = -1
    y = e.unary("ROUND", e.binary("DIV", x, e.const(q.scale.reshape(shape), "float32")))
    y = e.binary("ADD", y, e.const(q.zero_point.reshape(shape), "float32"))
    y = elementwise.clamp(e, y, float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))
    return e.cast(y, dtype)


def dequantize_linear(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    if e.dtype(x) not in ("int8", "uint8", "int16", "int32", "int64"):
        raise UnsupportedUseError(f"the type {e.dtype(x)} is not supported")
    q, _ = _parameters(e, n, 1, 2, e.rank(x), e.dtype(x))
    return dequantize(e, x, q)


def _operand(e: Emitter, n: OnnxNode, i: int, axis: int | None = None) -> str:
    """Inputs i, i + 1, i + 2: a quantized tensor, its scale and its zero point."""
    s = np.asarray(n.constant(i + 1, "scale"), np.float32).reshape(-1)
    z = np.asarray(n.constant(i + 2, "zero point")).reshape(-1) if n.has(i + 2) else np.zeros(1, np.int64)
    count = max(len(s), len(z))
    both = (np.broadcast_to(s, count).copy(), np.broadcast_to(z, count).astype(np.int64))
    return dequantize(e, n.get(i), Quantization(*both, 0 if axis is None else axis % max(1, e.rank(n.get(i)))))


def _result(e: Emitter, n: OnnxNode, y: str, i: int) -> str:
    s, z = np.asarray(n.constant(i, "scale"), np.float32).reshape(-1), np.asarray(n.constant(i + 1, "zero point")).reshape(-1)
    return quantize(e, y, Quantization(s, z.astype(np.int64)), e.dtype(n.get(i + 1)))


def q_linear_conv(e: Emitter, n: OnnxNode) -> str:
    x, w = _operand(e, n, 0), _operand(e, n, 3, 0)
    bias = ""
    if n.has(8):
        scale = np.float32(n.constant(1, "scale").reshape(-1)[0]) * np.asarray(n.constant(4, "scale"), np.float32).reshape(-1)
        bias = e.const((n.constant(8, "bias").astype(np.float64) * scale).astype(np.float32), name="bias")
    return _result(e, n, windows.convolution(e, n, x, w, bias), 6)


def q_linear_mat_mul(e: Emitter, n: OnnxNode) -> str:
    return _result(e, n, products.product(e, _operand(e, n, 0), _operand(e, n, 3, -1)), 6)


def q_gemm(e: Emitter, n: OnnxNode) -> str:
    """com.microsoft QGemm: A, B and C with scales, and maybe a scale of the result."""
    a, b = _operand(e, n, 0), _operand(e, n, 3, 0 if n.attr("transB", 0) else 1)
    inputs = [a, b]
    if n.has(6):
        scale = np.float32(n.constant(1, "scale").reshape(-1)[0]) * np.asarray(n.constant(4, "scale"), np.float32).reshape(-1)
        inputs.append(
            e.const((n.constant(6, "bias").astype(np.float64) * scale * float(n.attr("alpha", 1.0))).astype(np.float32))
        )
    y = products.gemm(e, OnnxNode("Gemm", n.name, n.opset, e, inputs, 1, n.attrs))
    return _result(e, n, y, 7) if n.has(7) else y


def _q_linear(op: str) -> Handler:
    """com.microsoft QLinearAdd and QLinearMul."""

    def apply(e: Emitter, n: OnnxNode) -> str:
        return _result(e, n, e.binary(op, _operand(e, n, 0), _operand(e, n, 3)), 6)

    return apply


def _q_linear_unary(handler: Handler) -> Handler:
    def apply(e: Emitter, n: OnnxNode) -> str:
        y = handler(e, OnnxNode(n.op, n.name, n.opset, e, [_operand(e, n, 0)], 1, n.attrs))
        assert isinstance(y, str)
        return _result(e, n, y, 3)

    return apply


def q_linear_concat(e: Emitter, n: OnnxNode) -> str:
    parts = [_operand(e, n, i) for i in range(2, len(n.inputs), 3)]
    return _result(e, n, e.concat(parts, int(n.attr("axis"))), 0)


def dynamic_quantize_linear(e: Emitter, n: OnnxNode) -> list[str]:
    """uint8 with the range of the data itself; in float, since the scale is not known before."""
    x = n.get(0)
    axes = list(range(e.rank(x)))
    high = e.binary("MAXIMUM", e.reduce("REDUCE_MAX", x, axes, False), 0)
    low = e.binary("MINIMUM", e.reduce("REDUCE_MIN", x, axes, False), 0)
    scale = e.binary("DIV", e.binary("SUB", high, low), 255)
    zero = elementwise.clamp(e, e.unary("ROUND", e.unary("NEG", e.binary("DIV", low, scale))), 0, 255)
    y = elementwise.clamp(e, e.binary("ADD", e.unary("ROUND", e.binary("DIV", x, scale)), zero), 0, 255)
    return [e.cast(y, "uint8"), scale, e.cast(zero, "uint8")]


HANDLERS: dict[str, Handler] = {
    "QuantizeLinear": quantize_linear, "DequantizeLinear": dequantize_linear, "QLinearConv": q_linear_conv,
    "QLinearMatMul": q_linear_mat_mul, "DynamicQuantizeLinear": dynamic_quantize_linear, "QGemm": q_gemm,
    "QLinearAdd": _q_linear("ADD"), "QLinearMul": _q_linear("MUL"), "QLinearConcat": q_linear_concat,
    "QLinearLeakyRelu": _q_linear_unary(elementwise.leaky_relu),
    "QLinearSigmoid": _q_linear_unary(elementwise.HANDLERS["Sigmoid"]),
    "QLinearGlobalAveragePool": _q_linear_unary(windows.HANDLERS["GlobalAveragePool"]),
    "QLinearAveragePool": _q_linear_unary(windows.average_pool),
}  # fmt: skip
