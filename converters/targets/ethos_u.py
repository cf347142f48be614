"""Arm's Ethos-U55 and U65. Source: SUPPORTED_OPS.md of the compiler Vela (gitlab.arm.com/artificial-intelligence/ethos-u/ethos-u-vela)."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node
from ..ir.layers import CHANNEL_AXIS
from .finding import Check, Rules, constant, types, values


def _batch_of_one(g: Graph, node: Node) -> str | None:
    shapes = [g.tensors[n].shape for n in values(g, node)]
    wrong = next((s for s in shapes if len(s) == 4 and s[0] != 1), None)
    return f"a tensor {list(wrong)} has more than one image" if wrong else None


def _dimensions(g: Graph, node: Node) -> str | None:
    wrong = next((g.tensors[n].shape for n in values(g, node) if any(not 1 <= s <= 65535 for s in g.tensors[n].shape)), None)
    return f"a tensor {list(wrong)} has a dimension beyond 65535" if wrong else None


def _strides(most: int) -> Check:
    def rule(g: Graph, node: Node) -> str | None:
        h, w = int(node.attrs.get("stride_h", 1)), int(node.attrs.get("stride_w", 1))
        return f"its strides are {h} by {w}, at most {most} are possible" if max(h, w) > most else None

    return rule


def _kernel(g: Graph, node: Node) -> str | None:
    _, h, w = g.tensors[node.inputs[1]].shape[:3]
    spans = [(k - 1) * int(node.attrs.get(f"dilation_{s}_factor", 1)) + 1 for s, k in zip("hw", (h, w))]
    if spans[0] > 64 or spans[0] * spans[1] > 4096:
        return f"its dilated kernel is {spans[0]} by {spans[1]}, at most 64 high and 4096 in all"
    return None


def _multiplier(g: Graph, node: Node) -> str | None:
    channels, m = g.tensors[node.inputs[0]].shape[3], int(node.attrs.get("depth_multiplier", 1))
    return f"its depth multiplier is {m} for {channels} channels" if m > 1 and channels > 1 else None


def _weights(g: Graph, node: Node) -> str | None:
    w = g.data(node.inputs[1])
    if w is None:
        return "its weights are not constant"
    axis = CHANNEL_AXIS.get(node.op, 0)
    total = np.abs(w.astype(np.int64)).sum(axis=tuple(i for i in range(w.ndim) if i != axis)).max(initial=0)
    return f"the weights of a channel add up to {total}, at most {127 * 65536} are possible" if total > 127 * 65536 else None


def _filter(op: str) -> Check:
    def rule(g: Graph, node: Node) -> str | None:
        h, w = int(node.attrs.get("filter_height", 1)), int(node.attrs.get("filter_width", 1))
        if op == "average" and node.attrs.get("padding") == "SAME":
            return f"its window is {h} by {w}, at most 8 by 8 with padding" if max(h, w) > 8 else None
        return f"its window is {h} by {w}, at most 256 high and 65536 in all" if h > 256 or h * w > 65536 else None

    return rule


def _bilinear(g: Graph, node: Node) -> str | None:
    (h, w), (oh, ow) = g.tensors[node.inputs[0]].shape[1:3], g.tensors[node.outputs[0]].shape[1:3]
    if (h, w) == (1, 1) or (h, w) == (oh, ow):
        return None
    align = 1 if node.attrs.get("align_corners") else 0
    factors = {(oh - align) / max(h - align, 1), (ow - align) / max(w - align, 1)}
    if len(factors) != 1 or factors.pop() not in (2, 4, 8):
        return f"it enlarges {h} by {w} to {oh} by {ow}, expected 2, 4 or 8 times both ways"
    return None


def _softmax(g: Graph, node: Node) -> str | None:
    beta = float(node.attrs.get("beta", 1.0))
    return f"its beta is {beta}, expected at least 0" if beta < 0 else None


def _mean(g: Graph, node: Node) -> str | None:
    shape = g.tensors[node.inputs[0]].shape
    axes = g.data(node.inputs[1])
    if axes is None:
        return "its axes are not constant"
    count = int(np.prod([shape[int(a)] for a in np.asarray(axes).reshape(-1)]))
    return f"it averages {count} values, at most 4096 are possible" if count > 4096 else None


_CONV = (_weights, _kernel, _strides(3))

RULES = Rules(
    "the Ethos-U",
    {
        **dict.fromkeys((
            "ABS", "ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "ARG_MAX", "CONCATENATION", "EXP", "EXPAND_DIMS", "HARD_SWISH", "LEAKY_RELU",
            "LOGISTIC", "TANH", "MIRROR_PAD", "PACK", "PAD", "PRELU", "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RSQRT",
            "SLICE", "SPLIT", "SPLIT_V", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE", "UNPACK", "UNIDIRECTIONAL_SEQUENCE_LSTM",
        ), ()),
        "CONV_2D": _CONV, "DEPTHWISE_CONV_2D": (*_CONV, _multiplier), "FULLY_CONNECTED": (_weights,),
        "TRANSPOSE_CONV": (constant(1, "weights"), _strides(2)),
        "AVERAGE_POOL_2D": (_filter("average"), _strides(3)), "MAX_POOL_2D": (_filter("max"), _strides(3)),
        "RESIZE_BILINEAR": (_bilinear,), "RESIZE_NEAREST_NEIGHBOR": (_bilinear,), "SOFTMAX": (_softmax,), "MEAN": (_mean,),
    },
    (types("int8", "uint8", "int16", "int32"), _dimensions, _batch_of_one),
    one_piece=False,
)  # fmt: skip
