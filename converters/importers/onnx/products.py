"""Matrix products and normalization. Semantics: onnx.ai/onnx/operators."""

from __future__ import annotations

import numpy as np

from .. import functions
from ..emit import Emitter, UnsupportedUseError
from ..windows import keep_scales, local_response_normalization, to_first, to_last
from .node import Handler, OnnxNode


def gemm(e: Emitter, n: OnnxNode) -> str:
    a, b = n.get(0), n.get(1)
    alpha, beta = float(n.attr("alpha", 1.0)), float(n.attr("beta", 1.0))
    a = e.transpose(a, (1, 0)) if n.attr("transA", 0) else a
    weights = e.value(b)
    bias = e.value(n.inputs[2]) if n.has(2) else None
    if (
        weights is not None
        and e.value(a) is None
        and (not n.has(2) or (bias is not None and bias.size in (1, e.shape(b)[not n.attr("transB", 0)])))
    ):
        w = (weights if n.attr("transB", 0) else weights.T) * np.float32(alpha)
        offset = np.zeros(len(w), np.float32) if bias is None else np.broadcast_to(bias.reshape(-1) * np.float32(beta), len(w))
        new = e.const(w, "float32", "weights")
        if alpha == 1:
            keep_scales(e, b, new, 0)
        return e.dense(a, new, e.const(offset, "float32", "bias"))
    b = e.transpose(b, (1, 0)) if n.attr("transB", 0) else b
    y = e.matmul(a, b)
    y = y if alpha == 1 else e.binary("MUL", y, alpha)
    if n.has(2):
        c = n.get(2)
        y = e.binary("ADD", y, c if beta == 1 else e.binary("MUL", c, beta))
    return y


def mat_mul(e: Emitter, n: OnnxNode) -> str:
    return product(e, n.get(0), n.get(1))


def product(e: Emitter, a: str, b: str) -> str:
    """numpy.matmul: a vector counts as a row on the left and as a column on the right."""
    drop = []
    if e.rank(a) == 1:
        a = e.reshape(a, (1, e.shape(a)[0]))
        drop.append(-2)
    if e.rank(b) == 1:
        b = e.reshape(b, (e.shape(b)[0], 1))
        drop.append(-1)
    y = e.matmul(a, b)
    rank = e.rank(y)
    gone = {d % rank for d in drop}
    return e.reshape(y, [s for i, s in enumerate(e.shape(y)) if i not in gone]) if drop else y


def mat_mul_integer(e: Emitter, n: OnnxNode) -> str:
    """In float: exact below 2^24, and that many products of bytes are 258 at their extremes."""
    return e.cast(product(e, _centred(e, n, 0, 2), _centred(e, n, 1, 3)), "int32")


def _centred(e: Emitter, n: OnnxNode, i: int, zero: int) -> str:
    x = e.cast(n.get(i), "float32")
    if not n.has(zero):
        return x
    z = e.cast(n.get(zero), "float32")
    if i == 0 and e.rank(z) == 1 and e.shape(z)[0] > 1:
        z = e.reshape(z, (*e.shape(z), 1))
    return e.binary("SUB", x, z)


def conv_integer(e: Emitter, n: OnnxNode) -> str:
    from .windows import convolution

    return e.cast(convolution(e, n, _centred(e, n, 0, 2), _centred(e, n, 1, 3), ""), "int32")


# ---- normalization


def _channels(e: Emitter, v: str, rank: int) -> str:
    """[C] → [C, 1, ...], to go with [N, C, ...]"""
    return e.reshape(v, (e.shape(v)[0], *[1] * (rank - 2)))


def batch_normalization(e: Emitter, n: OnnxNode) -> str:
    if n.attr("training_mode", 0) or n.outputs > 1:
        raise UnsupportedUseError("it is in training mode")
    x = n.get(0)
    scale, bias, mean, variance = (n.get(i) for i in range(1, 5))
    eps = float(n.attr("epsilon", 1e-5))
    values = [e.value(v) for v in (scale, bias, mean, variance)]
    if all(v is not None for v in values):
        g, b, m, s = (np.asarray(v, np.float64) for v in values)
        factor = g / np.sqrt(s + eps)
        a, c = e.const(factor.astype(np.float32), name="scale"), e.const((b - m * factor).astype(np.float32), name="offset")
    else:
        a = e.binary("MUL", scale, functions.inverse_root(e, variance, eps))
        c = e.binary("SUB", bias, e.binary("MUL", mean, a))
    rank = e.rank(x)
    y = e.binary("ADD", e.binary("MUL", x, _channels(e, a, rank)), _channels(e, c, rank))
    return y if values[0] is None or values[1] is None else e.seen(y, values[1], values[0])


def instance_normalization(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    rank = e.rank(x)
    y = functions.normalize(e, x, list(range(2, rank)), float(n.attr("epsilon", 1e-5)))
    return e.binary("ADD", e.binary("MUL", y, _channels(e, n.get(1), rank)), _channels(e, n.get(2), rank))


def group_normalization(e: Emitter, n: OnnxNode) -> str:
    x, groups = n.get(0), int(n.attr("num_groups"))
    shape, rank = e.shape(x), e.rank(x)
    y = e.reshape(x, (shape[0], groups, int(np.prod(shape[1:])) // groups))
    y = functions.normalize(e, y, [2], float(n.attr("epsilon", 1e-5)))
    scale, bias = n.get(1), n.get(2)
    if n.opset < 21 and e.shape(scale)[0] == groups and groups != shape[1]:  # one value a group
        index = np.repeat(np.arange(groups), shape[1] // groups)
        scale, bias = e.gather(scale, index, 0), e.gather(bias, index, 0)
    y = e.reshape(y, shape)
    return e.binary("ADD", e.binary("MUL", y, _channels(e, scale, rank)), _channels(e, bias, rank))


def layer_normalization(e: Emitter, n: OnnxNode) -> list[str]:
    x = n.get(0)
    rank = e.rank(x)
    axis = n.axis(-1, rank)
    m = functions.moments(e, x, list(range(axis, rank)))
    inverse = functions.inverse_root(e, m.variance, float(n.attr("epsilon", 1e-5)))
    y = e.binary("MUL", e.binary("MUL", m.centred, inverse), n.get(1))
    if n.has(2):
        y = e.binary("ADD", y, n.get(2))
    return [y, m.mean, inverse][: max(1, n.outputs)]


def rms_normalization(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    rank = e.rank(x)
    axes = list(range(n.axis(-1, rank), rank))
    return e.binary("MUL", functions.rms_normalize(e, x, axes, float(n.attr("epsilon", 1e-5))), n.get(1))


def mean_variance_normalization(e: Emitter, n: OnnxNode) -> str:
    axes = [int(a) for a in n.attr("axes", [0, 2, 3])]
    m = functions.moments(e, n.get(0), axes)
    return e.binary("DIV", m.centred, e.binary("ADD", e.unary("SQRT", m.variance), 1e-9))


def lp_normalization(e: Emitter, n: OnnxNode) -> str:
    x, p = n.get(0), int(n.attr("p", 2))
    axis = n.axis(-1, e.rank(x))
    if p == 1:
        norm = e.reduce("SUM", e.unary("ABS", x), [axis], True)
    else:
        norm = e.unary("SQRT", e.reduce("SUM", e.unary("SQUARE", x), [axis], True))
    # A vector of zeros stays one.
    return e.binary("DIV", x, e.binary("MAXIMUM", norm, 1e-30))


def lrn(e: Emitter, n: OnnxNode) -> str:
    alpha, beta, bias = float(n.attr("alpha", 1e-4)), float(n.attr("beta", 0.75)), float(n.attr("bias", 1.0))
    return to_first(e, local_response_normalization(e, to_last(e, n.get(0)), int(n.attr("size")), alpha, beta, bias))


HANDLERS: dict[str, Handler] = {
    "Gemm": gemm, "MatMul": mat_mul, "MatMulInteger": mat_mul_integer, "ConvInteger": conv_integer,
    "BatchNormalization": batch_normalization, "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization, "LayerNormalization": layer_normalization, "RMSNormalization": rms_normalization,
    "MeanVarianceNormalization": mean_variance_normalization, "LpNormalization": lp_normalization, "LRN": lrn,
}  # fmt: skip
