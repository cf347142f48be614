"""conv(x * s) → conv'(x) for one number s: what Rescaling at the input becomes."""

from __future__ import annotations

import numpy as np

from ..ir import Graph
from ..ir.layers import CHANNEL_AXIS


def fold_scale_forward(g: Graph) -> bool:
    """
    before: MUL(s) → CONV_2D      after: CONV_2D with weights * s

    Every reader of the product must be a CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED with constant weights. Zero padding
    stays zero under a factor (it would not under an offset, so ADD is left alone).
    """
    changed = False
    for node in list(g.nodes):
        if node.op != "MUL" or node.attrs.get("fused_activation_function", "NONE") != "NONE" or node.outputs[0] in g.outputs:
            continue
        constants = [g.data(i) for i in node.inputs]
        which = next((i for i, c in enumerate(constants) if c is not None and c.size == 1), None)
        readers = g.consumers(node.outputs[0])
        if which is None or constants[1 - which] is not None or not readers:
            continue
        if any(r.op not in CHANNEL_AXIS or r.inputs[0] != node.outputs[0] or g.data(r.inputs[1]) is None for r in readers):
            continue
        constant = constants[which]
        assert constant is not None
        factor = float(constant.reshape(-1)[0])
        for reader in readers:
            weights = g.data(reader.inputs[1])
            assert weights is not None
            scaled = (weights.astype(np.float64) * factor).astype(np.float32)
            reader.inputs[0] = node.inputs[1 - which]
            reader.inputs[1] = g.constant(f"{reader.outputs[0]}/weights", scaled)
        g.nodes.remove(node)
        changed = True
    return changed
