"""Rewrites of the float graph that keep what it computes. One a file; `run` applies them in their order."""

from __future__ import annotations

from ..ir import Graph
from .channels_last import channels_last, undo
from .equalize import equalize
from .fold_batch_norm import fold_batch_norm
from .fold_constants import fold_constants
from .fold_scale_forward import fold_scale_forward
from .fuse_activation import fuse_activation
from .fuse_pad import fuse_pad
from .move_transposes import move_transposes, transposes_to_reshapes
from .recognise_gelu import decompose_erf, recognise_gelu
from .recognise_hard_swish import recognise_hard_swish
from .remove_identity import remove_identity
from .square_as_product import square_as_product
from .sum_as_mean import sum_as_mean

# In stages: patterns are recognised when nothing lies between their operators any more, and before folding hides them.
STAGES = (
    (fold_constants, remove_identity, move_transposes),
    (recognise_hard_swish, recognise_gelu, decompose_erf),
    (fold_constants, remove_identity, move_transposes, fold_batch_norm, fold_scale_forward, fuse_activation, fuse_pad),
    (transposes_to_reshapes, fold_constants, remove_identity, fold_batch_norm, fold_scale_forward, fuse_activation, fuse_pad),
)
PASSES = tuple(dict.fromkeys(rewrite for stage in STAGES for rewrite in stage))


def run(graph: Graph) -> Graph:
    """All passes, each stage again and again until nothing changes. The graph is changed in place and given back."""
    for stage in STAGES:
        while any([rewrite(graph) for rewrite in stage]):
            graph.remove_dead()
    graph.remove_dead()
    graph.check()
    return graph


def optimize(graph: Graph, keep_layout: bool = False) -> tuple[list[str], list[str]]:
    """`run`, and before it inputs and outputs of channels-first models get their channels last, unless that is not wanted.

    Returns:
      The names of the inputs and outputs that were changed so.
    """
    moved = channels_last(graph) if graph.channels_first and not keep_layout else {}
    run(graph)
    changed = undo(graph, moved)
    run(graph)
    return changed


def for_integers(graph: Graph) -> None:
    """Rewrites that only the schemes with integer activations need."""
    if sum_as_mean(graph) | square_as_product(graph):
        run(graph)


__all__ = ["PASSES", "equalize", "for_integers", "optimize", "run"]
