"""Scores: what softmax alone reads. Those far below the largest of their row, masked ones above all, do not widen its range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ir import Graph

# What is so far below the largest of its row, and as much farther as there are more of them, has no part in the probabilities: all such together are
# less than a step of 8 bits.
_FAR = 8.0
# No score is as low as this; masks are (-10000 in the oldest models).
_MASK = -5000.0


# What is lower stands for minus infinity.
_LOWEST = -1e30


def raised(values: NDArray[Any]) -> NDArray[Any]:
    """Values with those that stand for minus infinity raised to where they are still far below all others, by more than a softmax tells apart:
    the steps of a range down to the lowest float would have room for nothing else, and sums of its scale and a small one abort TFLite."""
    if not values.size or values.min() >= _LOWEST:
        return values
    largest = np.abs(values[values >= _LOWEST]).max(initial=0)
    return np.asarray(np.maximum(values, np.float32(-100 - 10 * largest)))


def only_softmax(graph: Graph) -> set[str]:
    """Tensors that nothing but softmax reads."""
    return {t for t, ns in graph.readers().items() if all(n.op == "SOFTMAX" for n in ns) and t not in graph.outputs}


def that_matter(scores: NDArray[Any]) -> NDArray[Any]:
    """Scores with those far below the largest of their row raised, without rows that are masked as a whole."""
    largest, far = scores.max(axis=-1, keepdims=True), _FAR + np.log(scores.shape[-1])
    return np.asarray(np.maximum(scores, largest - np.float32(far))[np.broadcast_to(largest > _MASK, scores.shape)])
