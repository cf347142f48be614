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


def only_softmax(graph: Graph) -> set[str]:
    """Tensors that nothing but softmax reads."""
    return {t for t, ns in graph.readers().items() if all(n.op == "SOFTMAX" for n in ns) and t not in graph.outputs}


def that_matter(scores: NDArray[Any]) -> NDArray[Any]:
    """Scores with those far below the largest of their row raised, without rows that are masked as a whole."""
    largest, far = scores.max(axis=-1, keepdims=True), _FAR + np.log(scores.shape[-1])
    return np.asarray(np.maximum(scores, largest - np.float32(far))[np.broadcast_to(largest > _MASK, scores.shape)])
