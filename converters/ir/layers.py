"""Operators that multiply by weights: their inputs are activations, weights and a bias."""

from __future__ import annotations

# The axis of the weights along which the output channels lie.
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
