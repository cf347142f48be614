"""Operators of a kind."""

from __future__ import annotations

# Those that multiply by weights, whose inputs are activations, weights and a bias: the axis of the weights along which the output channels lie.
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
# Those whose outputs are elements of their first input, or zeros; the other inputs tell which.
MOVES = frozenset(
    ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PAD", "MIRROR_PAD", "SLICE", "STRIDED_SLICE", "GATHER", "GATHER_ND", "TILE", "BROADCAST_TO",
     "REVERSE_V2", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
)  # fmt: skip
