"""Rewrites of the float graph that keep what it computes. One a file; `run` applies them in their order."""

from __future__ import annotations

from ..ir import Graph
from .channels_last import channels_last
from .fold_batch_norm import fold_batch_norm
from .fold_constants import fold_constants
from .fold_scale_forward import fold_scale_forward
from .fuse_activation import fuse_activation
from .fuse_pad import fuse_pad
from .move_transposes import move_transposes
from .remove_identity import remove_identity

PASSES = (fold_constants, remove_identity, move_transposes, fold_batch_norm, fold_scale_forward, fuse_activation, fuse_pad)


def run(graph: Graph) -> Graph:
    """All passes, again and again until none changes anything. The graph is changed in place and given back."""
    while any([rewrite(graph) for rewrite in PASSES]):
        graph.remove_dead()
    graph.remove_dead()
    graph.check()
    return graph


__all__ = ["PASSES", "channels_last", "run"]
