"""SUM → MEAN times the number of values."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node, Quantization, Tensor


def sum_as_mean(g: Graph) -> bool:
    """For integers only: TFLite's own SUM reads int8 as if it were uint8, and does not rescale int16.

    before: SUM(x)      after: MUL(MEAN(x), n)
    """
    changed = False
    for node in list(g.nodes):
        axes = g.data(node.inputs[1]) if node.op == "SUM" else None
        x = g.tensors[node.inputs[0]]
        if axes is None or x.dtype != "float32":
            continue
        y = g.tensors[node.outputs[0]]
        count = int(np.prod([x.shape[int(a)] for a in axes.reshape(-1)], dtype=np.int64))
        q = None
        if y.quantization is not None:  # the same integers
            q = Quantization((y.quantization.scale / count).astype(np.float32), y.quantization.zero_point)
        mean = g.add_tensor(Tensor(f"{y.name}/mean", y.shape, "float32", None, q))
        factor = g.constant(f"{y.name}/count", np.array(count, np.float32))
        at = g.nodes.index(node)
        g.nodes[at : at + 1] = [
            Node("MEAN", list(node.inputs), [mean], dict(node.attrs), node.name),
            Node("MUL", [mean, factor], list(node.outputs), {}, f"{node.name}/times"),
        ]
        changed = True
    return changed
