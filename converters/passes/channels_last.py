"""Inputs and outputs of a channels-first model with the channels last."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node, Tensor
from .move_transposes import order_of


def channels_last(g: Graph) -> dict[str, tuple[int, ...]]:
    """
    before: input [1, 3, 224, 224]      after: input [1, 224, 224, 3] → TRANSPOSE → what was the input; outputs likewise

    Not one of the passes that always run: it changes what the model takes and gives. It is for float inputs and outputs of
    four and five dimensions, before `run`, which lets the transposes sink; `undo` takes back those that could not.

    Returns:
      The new inputs and outputs, with the shapes that they had.
    """
    moved: dict[str, tuple[int, ...]] = {}
    for names, is_input in ((g.inputs, True), (g.outputs, False)):
        for i, name in enumerate(names):
            t = g.tensors[name]
            rank = len(t.shape)
            if rank not in (4, 5) or t.dtype != "float32" or t.data is not None or (name in g.inputs and name in g.outputs):
                continue
            last, first = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
            new = g.add_tensor(Tensor(f"{name}/channels_last", tuple(t.shape[k] for k in last), t.dtype))
            order = g.constant(f"{name}/order", np.array(first if is_input else last, np.int32))
            if is_input:
                g.nodes.insert(0, Node("TRANSPOSE", [new, order], [name], {}, name))
            else:
                g.nodes.append(Node("TRANSPOSE", [name, order], [new], {}, new))
            names[i], moved[new] = new, t.shape
    return moved


def undo(g: Graph, moved: dict[str, tuple[int, ...]]) -> tuple[list[str], list[str]]:
    """Gives back their old order to inputs and outputs with nothing but a transpose behind or before them.

    Args:
      moved: what `channels_last` gave.

    Returns:
      The names, as the signature has them, of the inputs and outputs that have their channels last now.
    """
    changed: tuple[list[str], list[str]] = ([], [])
    for i, name in enumerate(g.inputs):
        t, readers = g.tensors[name], g.consumers(name)
        if name not in moved:
            continue
        rank = len(t.shape)
        if readers and all(order_of(g, r.outputs[0]) == [0, rank - 1, *range(1, rank - 1)] for r in readers):
            old = g.add_tensor(Tensor(f"{name}/channels_first", moved[name], t.dtype))
            for r in readers:
                if r.outputs[0] in g.outputs:
                    break
                g.replace(r.outputs[0], old)
                g.nodes.remove(r)
            else:
                g.inputs[i] = old
                continue
        changed[0].append(g.input_names[i])
    for i, name in enumerate(g.outputs):
        if name not in moved:
            continue
        node, rank = g.producer(name), len(g.tensors[name].shape)
        if node is not None and order_of(g, name) == [0, *range(2, rank), 1] and node.inputs[0] not in g.inputs:
            g.outputs[i] = node.inputs[0]
            continue
        changed[1].append(g.output_names[i])
    g.remove_dead()
    g.check()
    return changed
