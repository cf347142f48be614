"""f(constants) → constant."""

from __future__ import annotations

from ..export import single_operator
from ..ir import Graph


def fold_constants(g: Graph) -> bool:
    """Runs operators of which every input is a constant, in edgert itself.

    before: DEQUANTIZE(float16 weights) → CONV_2D      after: float32 weights → CONV_2D
    """
    changed = False
    for node in list(g.nodes):
        if (
            not node.inputs
            or any(i and g.tensors[i].data is None for i in node.inputs)
            or any(o in g.outputs for o in node.outputs)
        ):
            continue
        it = single_operator(node, g.tensors)
        it.invoke()
        for name, detail in zip(node.outputs, it.get_output_details()):
            g.tensors[name].data = it.get_tensor(detail["index"])
        g.nodes.remove(node)
        changed = True
    return changed
