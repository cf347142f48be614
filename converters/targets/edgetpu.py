"""Google Coral's Edge TPU. Source: coral.ai/docs/edgetpu/models-intro, "Supported operations"."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node
from .finding import Check, Rules, axes_of, constant, no_activation, types, values


def _three_dimensions(g: Graph, node: Node) -> str | None:
    large = [g.tensors[n].shape for n in values(g, node) if any(s > 1 for s in g.tensors[n].shape[:-3])]
    return f"a tensor {list(large[0])} has more than three dimensions above 1" if large else None


def _same_dilation(g: Graph, node: Node) -> str | None:
    h, w = (int(node.attrs.get(f"dilation_{s}_factor", 1)) for s in "hw")
    return f"its dilation is {h} by {w}, expected the same both ways" if h != w else None


def _no_dilation(g: Graph, node: Node) -> str | None:
    h, w = (int(node.attrs.get(f"dilation_{s}_factor", 1)) for s in "hw")
    return "it is dilated" if h != 1 or w != 1 else None


def _no_batch(g: Graph, node: Node) -> str | None:
    axes = axes_of(g, node)
    return "it reduces along the batch" if axes is not None and 0 in axes else None


def _image_only(g: Graph, node: Node) -> str | None:
    axes, rank = axes_of(g, node), len(g.tensors[node.inputs[0]].shape)
    return (
        "it reduces along other dimensions than height and width"
        if axes is None or rank != 4 or not set(axes) <= {1, 2}
        else None
    )


def _pads_image(g: Graph, node: Node) -> str | None:
    pads = g.data(node.inputs[1])
    rank = len(g.tensors[node.inputs[0]].shape)
    if pads is None or rank != 4 or np.asarray(pads)[[0, 3]].any():
        return "it pads other dimensions than height and width"
    return None


def _not_axis_0(attribute: str) -> Check:
    def rule(g: Graph, node: Node) -> str | None:
        rank = len(g.tensors[node.outputs[0]].shape)
        return "it works along the batch" if rank > 1 and int(node.attrs.get(attribute, 0)) % rank == 0 else None

    return rule


def _softmax(g: Graph, node: Node) -> str | None:
    shape = g.tensors[node.inputs[0]].shape
    if any(n > 1 for n in shape[:-1]) or shape[-1] > 16000:
        return f"its input is {list(shape)}, expected one row of at most 16000 values"
    return None


def _strides(g: Graph, node: Node) -> str | None:
    steps = g.data(node.inputs[3])
    plain = steps is not None and bool((np.asarray(steps) == 1).all())
    masks = int(node.attrs.get("ellipsis_mask", 0)) or int(node.attrs.get("new_axis_mask", 0))
    return None if plain and not masks else "it has strides other than 1, or an ellipsis or new axes"


def _one_row(g: Graph, node: Node) -> str | None:
    shape = g.tensors[node.outputs[0]].shape
    return f"its output is {list(shape)}, expected one row" if any(n > 1 for n in shape[:-1]) else None


def _slopes(g: Graph, node: Node) -> str | None:
    shape = g.tensors[node.inputs[1]].shape
    return f"its slopes are {list(shape)}, expected one for each channel" if any(n > 1 for n in shape[:-1]) else None


_REDUCE = (_no_batch,)
_BATCH = _not_axis_0("axis")

RULES = Rules(
    "the Edge TPU",
    {
        "ADD": (), "SUB": (), "MUL": (), "MAXIMUM": (), "MINIMUM": (), "SQUARED_DIFFERENCE": (), "RSQRT": (), "LOGISTIC": (), "TANH": (),
        "RELU": (), "RELU6": (), "RELU_N1_TO_1": (), "L2_NORMALIZATION": (), "QUANTIZE": (), "RESHAPE": (), "SQUEEZE": (), "EXPAND_DIMS": (),
        "TRANSPOSE": (), "SPACE_TO_DEPTH": (), "UNIDIRECTIONAL_SEQUENCE_LSTM": (), "RESIZE_BILINEAR": (), "RESIZE_NEAREST_NEIGHBOR": (),
        "SLICE": (), "TRANSPOSE_CONV": (constant(1, "weights"),),
        "CONV_2D": (constant(1, "weights"), _same_dilation), "DEPTHWISE_CONV_2D": (constant(1, "weights"), _no_dilation),
        "FULLY_CONNECTED": (constant(1, "weights"), _one_row),
        "AVERAGE_POOL_2D": (no_activation,), "MAX_POOL_2D": (no_activation,), "CONCATENATION": (no_activation, _BATCH),
        "MEAN": (_image_only,), "SUM": _REDUCE, "REDUCE_MAX": _REDUCE, "REDUCE_MIN": _REDUCE,
        "PACK": (_BATCH,), "PAD": (_pads_image,), "PRELU": (_slopes,), "SOFTMAX": (_softmax,), "STRIDED_SLICE": (_strides,),
        "SPLIT": (), "SPLIT_V": (),
    },
    (types("int8", "uint8"), _three_dimensions),
    one_piece=True,
)  # fmt: skip
