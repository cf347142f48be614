"""Masks: which steps of a sequence count. Embedding and Masking make them, most layers hand them on, recurrent layers, attention and averages obey.

Semantics: keras.io/guides/understanding_masking_and_padding, and of each layer its `compute_mask`.
"""

from __future__ import annotations

import numpy as np

from ..emit import UnsupportedUseError
from ..functions import choose
from .layer import Layer

# Layers whose output has the mask of their (first) input.
_HAND_ON = {
    "Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "ThresholdedReLU", "Softmax", "Dense", "Identity", "Masking", "BatchNormalization",
    "GroupNormalization", "LayerNormalization", "UnitNormalization", "Normalization", "Rescaling", "ActivityRegularization", "AlphaDropout", "Dropout",
    "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "GaussianNoise", "TimeDistributed",
}  # fmt: skip
_MERGE = {"Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average"}
_RECURRENT = {"LSTM", "GRU", "SimpleRNN", "RNN"}
_ATTENTION = {"MultiHeadAttention", "Attention", "AdditiveAttention"}


def of_outputs(layer: Layer, results: list[str]) -> list[str]:
    """The masks of a layer's outputs, "" where there is none."""
    kind, none = layer.kind, [""] * len(results)
    if kind == "Embedding":
        return [layer.emitter.binary("NOT_EQUAL", layer.x, 0)] if layer.get("mask_zero", False) else none
    if kind == "Masking":
        return [steps_unlike(layer)]
    if kind in _MERGE:
        return [_together(layer)]
    if kind == "Concatenate":
        return [_joined(layer)]
    if kind in _ATTENTION:
        query = layer.x if layer.inputs else layer.named.get("query")
        return [layer.masks.get(query, "") if isinstance(query, str) else "", *none[1:]]
    if kind in _RECURRENT:
        return [layer.mask if layer.get("return_sequences", False) else "", *none[1:]]
    if kind == "Bidirectional":
        first = layer.mask if layer.config["layer"]["config"].get("return_sequences") else ""
        both = layer.config.get("merge_mode", "concat") is None
        return [first, first, *none[2:]] if both else [first, *none[1:]]
    return [layer.mask, *none[1:]] if kind in _HAND_ON and results else none


def steps_unlike(layer: Layer) -> str:
    """[batch, time]: whether a step has any value other than the one that marks steps to be left out."""
    e = layer.emitter
    if e.rank(layer.x) < 2:
        raise UnsupportedUseError(f"its input is {list(e.shape(layer.x))}, expected [batch, time, features]")
    return e.reduce("REDUCE_ANY", e.binary("NOT_EQUAL", layer.x, float(layer.get("mask_value", 0.0))), [-1], False)


def masking(layer: Layer) -> str:
    """Steps that are left out become zeros."""
    e, steps = layer.emitter, steps_unlike(layer)
    return choose(e, e.reshape(steps, (*e.shape(steps), 1)), layer.x, e.like(0, layer.x))


def product(layer: Layer) -> str:
    """Of several inputs. In Keras 3 a step that does not count is a factor of one, and zeros where it counts in none."""
    e, masks = layer.emitter, _wide(layer)
    y = ""
    for x, mask in zip(layer.inputs, masks):
        x = choose(e, mask, x, e.like(1, x)) if mask else x
        y = e.binary("MUL", y, x) if y else x
    return choose(e, _fold(layer, "LOGICAL_OR", masks), y, e.like(0, y)) if all(masks) else y


def extreme(layer: Layer, op: str) -> str:
    """The largest or smallest of several inputs; in Keras 3 of those that count."""
    e = layer.emitter
    (y, seen), *rest = zip(layer.inputs, _wide(layer))
    for x, mask in rest:
        x = choose(e, mask, x, y) if mask else x
        y = choose(e, seen, y, x) if seen else y
        y = e.binary(op, y, x)
        seen = e.binary("LOGICAL_OR", seen, mask) if mask and seen else ""
    return y


def _wide(layer: Layer) -> list[str]:
    """The masks of inputs as [batch, time, 1]; before Keras 3 they do not matter for what is computed."""
    e, masks = layer.emitter, [layer.masks.get(x, "") if layer.version >= 3 else "" for x in layer.inputs]
    return [e.reshape(m, (*e.shape(m), 1)) if m else "" for m in masks]


def _together(layer: Layer) -> str:
    """Keras 3: what counts in any input, where all have masks. Before: what counts in all that have one."""
    masks = [layer.masks.get(x, "") for x in layer.inputs]
    if layer.version >= 3 and not all(masks):
        return ""
    return _fold(layer, "LOGICAL_OR" if layer.version >= 3 else "LOGICAL_AND", masks)


def _joined(layer: Layer) -> str:
    e, masks = layer.emitter, [layer.masks.get(x, "") for x in layer.inputs]
    if not any(masks):
        return ""
    axis, rank = layer.axes()[0], e.rank(layer.x)
    if axis == rank - 1:
        # Steps of an input without a mask all count.
        if layer.version >= 3:
            return "" if not all(masks) else _fold(layer, "LOGICAL_OR", masks)
        return _fold(layer, "LOGICAL_AND", masks)
    return e.concat([m or e.const(np.ones(e.shape(x)[:-1], bool), name="mask") for m, x in zip(masks, layer.inputs)], axis)


def _fold(layer: Layer, op: str, masks: list[str]) -> str:
    left = list(dict.fromkeys(m for m in masks if m))
    y = left.pop(0) if left else ""
    for m in left:
        y = layer.emitter.binary(op, y, m)
    return y
