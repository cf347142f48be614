"""What the operators with weights have in common: a product of patches of the input with a matrix of weights, by groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError

from ..ir import Graph, Node
from ..ir.shapes import same_padding

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Product:
    """One CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED as y[group] = weights[group] · patch[group] + bias.

    Weights are [groups, outputs of a group, inputs of a group]; a group of a grouped convolution has its own channels of
    the input, and DEPTHWISE_CONV_2D has a group a channel.
    """

    node: Node
    groups: int
    shape: tuple[int, ...]  # of the weights, in TFLite's layout
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @staticmethod
    def of(g: Graph, node: Node) -> Product:
        shape, x, y = (g.tensors[n].shape for n in (node.inputs[1], node.inputs[0], node.outputs[0]))
        if node.op == "DEPTHWISE_CONV_2D":
            groups = x[3]
        elif node.op == "CONV_2D":
            groups = x[3] // shape[3]
        elif node.op == "FULLY_CONNECTED":
            groups = 1
        else:
            raise ConversionError(f'{node.op} "{node.name}" has no weights that can be rounded')
        return Product(node, groups, shape, x, y)

    @property
    def inputs(self) -> int:
        """How many values each output sums."""
        return int(np.prod(self.shape)) // (self.shape[3] if self.node.op == "DEPTHWISE_CONV_2D" else self.shape[0])

    def matrices(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Weights in TFLite's layout as [groups, outputs, inputs]."""
        if self.node.op == "DEPTHWISE_CONV_2D":  # [1, kh, kw, channels * multiplier]
            k = self.shape[1] * self.shape[2]
            return np.asarray(weights.reshape(k, self.groups, -1).transpose(1, 2, 0))
        return weights.reshape(self.groups, self.shape[0] // self.groups, -1)

    def layout(self, matrices: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `matrices`."""
        if self.node.op == "DEPTHWISE_CONV_2D":
            return np.asarray(matrices.transpose(2, 0, 1).reshape(self.shape))
        return matrices.reshape(self.shape)

    def positions(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Places of the output, at most `count` of one inference, drawn at random."""
        total = int(np.prod(self.output_shape[:-1]))
        return np.arange(total) if total <= count else np.sort(rng.choice(total, count, replace=False))

    def patches(self, x: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """What the weights of each group see at these places of the output: [groups, places, inputs]."""
        if self.node.op == "FULLY_CONNECTED":
            return np.asarray(x.reshape(1, -1, self.shape[1])[:, positions])
        a = self.node.attrs
        kh, kw = self.shape[1:3]
        steps = [(a.get("stride_h", 1), a.get("dilation_h_factor", 1)), (a.get("stride_w", 1), a.get("dilation_w_factor", 1))]
        before = [0, 0]
        if a.get("padding", "SAME") == "SAME":
            before = [same_padding(self.input_shape[1 + i], (kh, kw)[i], *steps[i])[0] for i in (0, 1)]
        _, h, w, c = self.input_shape
        image, oy, ox = np.unravel_index(positions, self.output_shape[:3])
        rows = oy[:, None] * steps[0][0] - before[0] + np.arange(kh) * steps[0][1]
        columns = ox[:, None] * steps[1][0] - before[1] + np.arange(kw) * steps[1][1]
        inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
        values = x[image[:, None, None], np.clip(rows, 0, h - 1)[:, :, None], np.clip(columns, 0, w - 1)[:, None, :]]
        values = np.where(inside[..., None], values, np.float32(0))  # [places, kh, kw, channels]
        grouped = values.reshape(len(positions), kh * kw, self.groups, c // self.groups)
        return np.asarray(grouped.transpose(2, 0, 1, 3).reshape(self.groups, len(positions), -1))

    def bias(self, g: Graph) -> Array:
        count = int(self.shape[3] if self.node.op == "DEPTHWISE_CONV_2D" else self.shape[0])
        value = g.data(self.node.inputs[2]) if len(self.node.inputs) > 2 and self.node.inputs[2] else None
        return np.zeros(count) if value is None else value.astype(np.float64)
