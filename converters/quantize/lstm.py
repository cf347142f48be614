"""LSTM in integers, "8x16": int8 inputs, weights and outputs, an int16 cell state.

Source: the TFLite quantization specification, and what LiteRT's reference asks of the tensors: weights per tensor and symmetric, biases of
the scale of the products, a cell state whose scale is a power of two, and five intermediate tensors, of which without layer normalization the
last one says how the output is quantized.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError

from ..ir import Graph, Node, Quantization, Tensor
from ..ir.lstm import BIAS, CELL, INPUT, OP, PEEPHOLE, RECURRENT, STATE, value

# Exponents of the cell state's scale that the reference takes.
_LEAST, _MOST = -15, -9


def quantize_lstm(g: Graph, node: Node, cell_range: tuple[float, float]) -> None:
    """Quantizes constants and states of an LSTM whose input and output have their quantization."""
    x, y = g.tensors[node.inputs[0]].quantization, g.tensors[node.outputs[0]].quantization
    assert x is not None and y is not None
    scales: dict[int, float] = {}
    for first in (INPUT, RECURRENT):
        for k in range(4):
            data = value(g, node, first + k)
            if data is not None:
                scales[first + k] = _constant(g, node, first + k, data, "int8", 127)
    for k in range(3):
        data = value(g, node, PEEPHOLE + k)
        if data is not None:
            _constant(g, node, PEEPHOLE + k, data, "int16", 32767)
    for k in range(4):
        data = value(g, node, BIAS + k)
        if data is not None:
            _put(g, node, BIAS + k, data, "int32", float(np.float32(x.scale[0]) * np.float32(scales[INPUT + k])))
    state, cell = g.tensors[node.inputs[STATE]], g.tensors[node.inputs[CELL]]
    state.dtype, state.quantization = "int8", y
    reach = max(abs(cell_range[0]), abs(cell_range[1]), 2.0**_LEAST)
    exponent = int(np.clip(np.ceil(np.log2(reach)) - 15, _LEAST, _MOST))
    cell.dtype, cell.quantization = "int16", Quantization.per_tensor(2.0**exponent, 0)
    node.intermediates = [
        g.add_tensor(Tensor(f"{node.outputs[0]}/intermediate_{i}", (), "int8" if i == 4 else "int16", None, y if i == 4 else Quantization.per_tensor(2.0**-12, 0)))
        for i in range(5)
    ]  # fmt: skip


def _constant(g: Graph, node: Node, i: int, data: NDArray[Any], dtype: str, limit: int) -> float:
    scale = float(np.float32(max(float(np.abs(data).max(initial=0)), 1e-30) / limit))
    _put(g, node, i, data, dtype, scale)
    return scale


def _put(g: Graph, node: Node, i: int, data: NDArray[Any], dtype: str, scale: float) -> None:
    limits = np.iinfo(dtype)
    if not np.isfinite(scale) or scale <= 0:
        raise ConversionError(f'{OP} "{node.name}": its weights have no scale')
    q = Quantization.per_tensor(scale, 0)
    values = q.integers(data, limits.min + 1 if dtype != "int32" else limits.min, limits.max).astype(dtype)
    node.inputs[i] = g.add_tensor(Tensor(f"{node.inputs[i]}/{dtype}", values.shape, dtype, values, q))
