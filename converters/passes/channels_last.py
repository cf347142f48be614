"""Inputs and outputs of a channels-first model with the channels last, where that is how the graph uses them."""

from __future__ import annotations

from ..ir import Graph, Tensor
from .move_transposes import order_of


def channels_last(g: Graph) -> tuple[list[str], list[str]]:
    """
    before: input [1, 3, 224, 224] → TRANSPOSE → CONV_2D      after: input [1, 224, 224, 3] → CONV_2D
    before: CONV_2D → TRANSPOSE → output [1, 21, 64, 64]      after: CONV_2D → output [1, 64, 64, 21]

    Not one of the passes that always run: it changes what the model takes and gives. Gives the names of the inputs and
    outputs (as the signature calls them) that are changed.
    """
    inputs, outputs = [], []
    for i, name in enumerate(g.inputs):
        readers = g.consumers(name)
        orders = [order_of(g, r.outputs[0]) for r in readers]
        rank = len(g.tensors[name].shape)
        last = [0, *range(2, rank), 1]
        if rank < 3 or not readers or name in g.outputs or any(o != last for o in orders):
            continue
        old = g.tensors[name]
        shape = tuple(old.shape[k] for k in last)
        new = g.add_tensor(Tensor(f"{name}/channels_last", shape, old.dtype, None, old.quantization))
        for r in readers:
            g.replace(r.outputs[0], new)
            g.nodes.remove(r)
        g.inputs[i] = new
        inputs.append(g.input_names[i])
    for i, name in enumerate(g.outputs):
        rank = len(g.tensors[name].shape)
        node = g.producer(name)
        if rank < 3 or node is None or order_of(g, name) != [0, rank - 1, *range(1, rank - 1)] or g.consumers(name):
            continue
        if node.inputs[0] in g.inputs:
            continue
        g.outputs[i] = node.inputs[0]
        outputs.append(g.output_names[i])
    g.remove_dead()
    return inputs, outputs
