"""Attention. Semantics: keras.io/api/layers/attention_layers."""

from __future__ import annotations

import numpy as np

from ..emit import Emitter, UnsupportedUseError
from ..functions import choose, unseen
from .layer import Handler, Layer


def _three(layer: Layer) -> tuple[str, str, str]:
    """Query, value and key; the key is the value where none is given."""
    given = list(layer.inputs)
    for name in ("query", "value", "key"):
        if isinstance(layer.named.get(name), str):
            given.append(layer.named[name])
    if not 2 <= len(given) <= 3:
        raise UnsupportedUseError(f"it has {len(given)} inputs, expected query, value and perhaps key")
    return given[0], given[1], given[2] if len(given) > 2 else given[1]


def _own_masks(layer: Layer, given: tuple[str, str, str]) -> list[str]:
    """The masks [batch, time] of query, value and key, "" where there is none: the call's, or those that the tensors have."""
    e, call = layer.emitter, layer.named.get("mask")
    listed = list(call) if isinstance(call, (list, tuple)) else []
    masks = []
    for i, (name, x) in enumerate(zip(("query_mask", "value_mask", "key_mask"), given)):
        named = layer.named.get(name) or (listed[i] if i < len(listed) else None)
        mask = named if isinstance(named, str) else layer.masks.get(x, "")
        masks.append(e.cast(mask, "bool") if mask else "")
    return masks


def _allowed(layer: Layer, scores: str, queries: str, keys: list[str]) -> str:
    """[batch or 1, rows or 1, columns]: what each row may see, "" where that is everything."""
    e, parts = layer.emitter, []
    rows, columns = e.shape(scores)[-2:]
    if queries:
        parts.append(e.reshape(queries, (*e.shape(queries), 1)))
    for k in dict.fromkeys(k for k in keys if k):
        parts.append(e.reshape(k, (e.shape(k)[0], 1, columns)))
    if layer.named.get("use_causal_mask"):
        parts.append(e.const(np.tril(np.ones((1, rows, columns), bool)), name="causal"))
    given = layer.named.get("attention_mask")
    if isinstance(given, str):
        shape = e.shape(given)
        parts.append(e.cast(given if len(shape) == 3 else e.reshape(given, (1, *shape)), "bool"))
    if not parts:
        return ""
    allowed = parts[0]
    for p in parts[1:]:
        allowed = e.binary("LOGICAL_AND", allowed, p)
    return allowed


def _softmax(layer: Layer, scores: str, allowed: str) -> str:
    e = layer.emitter
    if allowed:
        scores = unseen(e, allowed, scores)
    return e.unary("SOFTMAX", scores, beta=1.0)


def _project(e: Emitter, x: str, kernel: np.ndarray, bias: np.ndarray | None) -> str:
    """[batch, time, features] by a kernel [features, heads, size] → [batch, heads, time, size]"""
    features, heads, size = kernel.shape
    weights = e.const(kernel.reshape(features, heads * size).T, "float32", "kernel")
    y = e.dense(x, weights, e.const(np.zeros(heads * size) if bias is None else bias.reshape(-1), "float32", "bias"))
    batch, time = e.shape(x)[:2]
    return e.transpose(e.reshape(y, (batch, time, heads, size)), (0, 2, 1, 3))


def multi_head_attention(layer: Layer) -> list[str]:
    e = layer.emitter
    query, value, key = _three(layer)
    use_bias = bool(layer.get("use_bias", True))
    each = 2 if use_bias else 1
    if any(e.rank(x) != 3 for x in (query, value, key)) or layer.config.get("attention_axes") not in (None, [1], (1,), 1):
        raise UnsupportedUseError("only attention along the one axis of [batch, time, features] is supported")
    if len(layer.weights) < 4 * each:
        raise UnsupportedUseError("the file does not have all of its weights")
    parts = [
        (
            np.asarray(layer.weights[i * each], np.float64),
            np.asarray(layer.weights[i * each + 1], np.float64) if use_bias else None,
        )
        for i in range(4)
    ]
    (wq, bq), (wk, bk), (wv, bv), (wo, bo) = parts
    # The scores' scale goes into the query.
    scale = 1 / np.sqrt(wq.shape[-1])
    q = _project(e, query, wq * scale, None if bq is None else bq * scale)
    k, v = _project(e, key, wk, bk), _project(e, value, wv, bv)
    scores = e.op("BATCH_MATMUL", [q, k], adj_y=True)
    queries, *others = _own_masks(layer, (query, value, key))
    allowed = _allowed(layer, scores, queries, others)
    if allowed:
        allowed = e.reshape(allowed, (e.shape(allowed)[0], 1, *e.shape(allowed)[1:]))
    weights = _softmax(layer, scores, allowed)
    seen = e.transpose(e.op("BATCH_MATMUL", [weights, v]), (0, 2, 1, 3))
    batch, time, heads, size = e.shape(seen)
    flat = e.reshape(seen, (batch, time, heads * size))
    out = wo.reshape(heads * size, -1)
    bias = np.zeros(out.shape[1]) if bo is None else bo.reshape(-1)
    y = e.dense(flat, e.const(out.T, "float32", "kernel"), e.const(bias, "float32", "bias"))
    y = e.reshape(y, (batch, time, *wo.shape[2:]))
    return [y, weights] if layer.named.get("return_attention_scores") else [y]


def attention(layer: Layer) -> list[str]:
    """Luong's: the scores are products of query and key."""
    e = layer.emitter
    query, value, key = _three(layer)
    mode = str(layer.get("score_mode", "dot"))
    if layer.get("use_scale", False):
        query_scaled = e.binary("MUL", query, float(layer.weight(0, "scale").reshape(-1)[0]))
    else:
        query_scaled = query
    if mode == "dot":
        scores = e.op("BATCH_MATMUL", [query_scaled, key], adj_y=True)
    else:
        raise UnsupportedUseError(f'score_mode "{mode}" is not supported')
    return _finish(layer, scores, (query, value, key))


def additive_attention(layer: Layer) -> list[str]:
    """Bahdanau's: the scores are sums of tanh(query + key)."""
    e = layer.emitter
    query, value, key = _three(layer)
    (batch, rows, size), columns = e.shape(query), e.shape(key)[1]
    both = e.binary("ADD", e.reshape(query, (batch, rows, 1, size)), e.reshape(key, (batch, 1, columns, size)))
    both = e.unary("TANH", both)
    if layer.get("use_scale", True):
        both = e.binary("MUL", both, e.const(layer.weight(0, "scale"), name="scale"))
    return _finish(layer, e.reduce("SUM", both, [3], False), (query, value, key))


def _finish(layer: Layer, scores: str, given: tuple[str, str, str]) -> list[str]:
    """Values by their scores; outputs of queries that do not count are zeros."""
    e = layer.emitter
    queries, values, _ = _own_masks(layer, given)
    weights = _softmax(layer, scores, _allowed(layer, scores, "", [values]))
    y = e.op("BATCH_MATMUL", [weights, given[1]])
    if queries:
        y = choose(e, e.reshape(queries, (*e.shape(queries), 1)), y, e.like(0, y))
    return [y, weights] if layer.named.get("return_attention_scores") else [y]


HANDLERS: dict[str, Handler] = {
    "MultiHeadAttention": multi_head_attention, "Attention": attention, "AdditiveAttention": additive_attention,
}  # fmt: skip
