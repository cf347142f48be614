"""conv(x) * a + b → conv'(x): a into the weights, b into the bias. What BatchNormalization becomes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ir import Graph, Node
from ..ir.layers import CHANNEL_AXIS


def fold_batch_norm(g: Graph) -> bool:
    """
    before: CONV_2D → MUL(a) → ADD(b)      after: CONV_2D with weights * a, bias * a + b

    MUL, ADD and SUB of a constant with one value, or one per output channel, after CONV_2D, DEPTHWISE_CONV_2D or
    FULLY_CONNECTED without activation, of which nothing else reads the result.
    """
    changed = False
    for node in list(g.nodes):
        if node.op not in ("MUL", "ADD", "SUB") or node.attrs.get("fused_activation_function", "NONE") not in (
            "NONE",
            "RELU",
            "RELU6",
            "RELU_N1_TO_1",
        ):
            continue
        conv, constant = _operands(g, node)
        if conv is None or constant is None:
            continue
        axis = CHANNEL_AXIS[conv.op]
        weights = g.data(conv.inputs[1])
        if weights is None:
            continue
        channels = weights.shape[axis]
        value = _per_channel(constant, channels, len(g.tensors[conv.outputs[0]].shape))
        if value is None:
            continue
        bias: NDArray[Any] = np.zeros(channels, np.float32)
        if len(conv.inputs) > 2 and conv.inputs[2]:
            given = g.data(conv.inputs[2])
            if given is None:
                continue
            bias = given
        if node.op == "MUL":
            shape = [1] * weights.ndim
            shape[axis] = channels
            weights, bias = weights.astype(np.float64) * value.reshape(shape), bias.astype(np.float64) * value
        else:
            bias = bias + value if node.op == "ADD" else bias - value
        name = conv.outputs[0]
        conv.inputs = [
            conv.inputs[0],
            g.constant(f"{name}/weights", weights.astype(np.float32)),
            g.constant(f"{name}/folded_bias", bias.astype(np.float32)),
        ]
        conv.attrs["fused_activation_function"] = node.attrs.get("fused_activation_function", "NONE")
        conv.outputs = list(node.outputs)
        g.nodes.remove(node)
        changed = True
    return changed


def _operands(g: Graph, node: Node) -> tuple[Node | None, NDArray[np.float32] | None]:
    """The convolution that feeds the node, and the constant it is combined with."""
    order = [(0, 1)] if node.op == "SUB" else [(0, 1), (1, 0)]
    for i, j in order:
        constant = g.data(node.inputs[j])
        conv = g.producer(node.inputs[i])
        if constant is None or conv is None or conv.op not in CHANNEL_AXIS:
            continue
        if (
            conv.attrs.get("fused_activation_function", "NONE") != "NONE"
            or len(g.consumers(conv.outputs[0])) != 1
            or conv.outputs[0] in g.outputs
        ):
            continue
        if g.tensors[conv.outputs[0]].shape != g.tensors[node.outputs[0]].shape:
            continue
        return conv, constant
    return None, None


def _per_channel(constant: NDArray[np.float32], channels: int, rank: int) -> NDArray[np.float64] | None:
    """One value a channel, if broadcasting over a tensor of that rank means just that."""
    if constant.size == 1:
        return np.full(channels, float(constant.reshape(-1)[0]))
    if constant.ndim <= rank and constant.size == channels and constant.shape[-1] == channels:
        return constant.reshape(-1).astype(np.float64)
    return None
