"""Functions that TFLite has no operator for, of those it has; for every importer."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .emit import Emitter

# The score of what is not to be seen.
_NEVER = -1e9


def elu(e: Emitter, x: str, alpha: float, gamma: float) -> str:
    """gamma * (x where it is positive, else alpha * (exp(x) - 1))"""
    if alpha == 1 and gamma == 1:
        return e.unary("ELU", x)
    # ELU is x above zero and exp(x) - 1 below; alpha scales the part below only.
    above, below = e.unary("RELU", x), e.unary("ELU", e.binary("MINIMUM", x, 0))
    y = e.binary("ADD", above, e.binary("MUL", below, alpha))
    return y if gamma == 1 else e.binary("MUL", y, gamma)


def choose(e: Emitter, condition: str, x: str, y: str) -> str:
    """x where the condition holds, else y"""
    shape = np.broadcast_shapes(e.shape(condition), e.shape(x), e.shape(y))
    return e.op("SELECT_V2", [condition, x, y], dtype=e.dtype(x), shape=shape)


def unseen(e: Emitter, allowed: str, scores: str) -> str:
    """Scores for a softmax that gives nothing where they are not allowed."""
    return choose(e, allowed, scores, e.like(_NEVER, scores))


def where_above(e: Emitter, x: str, threshold: float) -> str:
    """x where it is above the threshold, else 0"""
    return choose(e, e.binary("GREATER", x, threshold), x, e.like(0, x))


def hard_sigmoid(e: Emitter, x: str, alpha: float, beta: float) -> str:
    """max(0, min(1, alpha x + beta)) as relu6(6 alpha x + 6 beta) / 6: RELU6 is there in every type."""
    x = x if math.isclose(6 * alpha, 1, rel_tol=1e-4) else e.binary("MUL", x, 6 * alpha)
    return e.binary("MUL", e.unary("RELU6", e.binary("ADD", x, 6 * beta)), 1 / 6)


def softplus(e: Emitter, x: str) -> str:
    """log(1 + exp(x)) without overflow"""
    small = e.unary("LOG", e.binary("ADD", e.unary("EXP", e.unary("NEG", e.unary("ABS", x))), 1))
    return e.binary("ADD", e.unary("RELU", x), small)


def mish(e: Emitter, x: str) -> str:
    """x tanh(softplus(x))"""
    return e.binary("MUL", x, e.unary("TANH", softplus(e, x)))


def softsign(e: Emitter, x: str) -> str:
    """x / (1 + |x|)"""
    return e.binary("DIV", x, e.binary("ADD", e.unary("ABS", x), 1))


def swish(e: Emitter, x: str, alpha: float = 1.0) -> str:
    """x sigmoid(alpha x)"""
    return e.binary("MUL", x, e.unary("LOGISTIC", x if alpha == 1 else e.binary("MUL", x, alpha)))


def along_axis(e: Emitter, op: str, x: str, axis: int, **attrs: Any) -> str:
    """An operator that TFLite has along the last axis, along another."""
    rank = e.rank(x)
    order = [i for i in range(rank) if i != axis] + [axis]
    back = [order.index(i) for i in range(rank)]
    return e.transpose(e.unary(op, e.transpose(x, order), **attrs), back)


class Moments(NamedTuple):
    mean: str
    centred: str
    variance: str


def moments(e: Emitter, x: str, axes: list[int], keep_dims: bool = True) -> Moments:
    """Mean, x - mean, and variance over some axes; `keep_dims` is the variance's."""
    mean = e.reduce("MEAN", x, axes, True)
    centred = e.binary("SUB", x, mean)
    return Moments(mean, centred, e.reduce("MEAN", e.unary("SQUARE", centred), axes, keep_dims))


def inverse_root(e: Emitter, x: str, epsilon: float) -> str:
    """1 / sqrt(x + epsilon)"""
    return e.unary("RSQRT", e.binary("ADD", x, epsilon))


def normalize(e: Emitter, x: str, axes: list[int], epsilon: float) -> str:
    """(x - mean) / sqrt(variance + epsilon) over some axes."""
    m = moments(e, x, axes)
    return e.binary("MUL", m.centred, inverse_root(e, m.variance, epsilon))


def rms_normalize(e: Emitter, x: str, axes: list[int], epsilon: float) -> str:
    """x over the root of its mean square over some axes."""
    return e.binary("MUL", x, inverse_root(e, e.reduce("MEAN", e.unary("SQUARE", x), axes, True), epsilon))


def scale(e: Emitter, x: str, factor: Any, offset: Any) -> str:
    """x * factor + offset, with either of them None"""
    if factor is not None:
        x = e.binary("MUL", x, e.const(np.asarray(factor, np.float32), name="scale"))
    return x if offset is None else e.binary("ADD", x, e.const(np.asarray(offset, np.float32), name="offset"))
