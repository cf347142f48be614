"""What the TFLite quantization specification asks of each operator (https://ai.google.dev/edge/litert/models/quantization_spec)."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Quantization
from ..ir.layers import CHANNEL_AXIS, MOVES


@dataclass(frozen=True)
class Rule:
    """How an operator's tensors are quantized.

    weights: which input is weights, per channel along `weights_axis`; the one after the activations is an int32 bias.
    same: output 0 and these inputs share one scale and zero point ("first", "all", or the inputs' numbers).
    fixed: output 0 always has this quantization, by type.
    index_inputs: inputs that are shapes, axes and the like, and stay as they are.
    int16: whether the reference has it with int16 activations.
    """

    weights: int | None = None
    weights_axis: int = 0
    bias: int = 2
    same: str | tuple[int, ...] = ""
    fixed: dict[str, Quantization] | None = None
    index_inputs: tuple[int, ...] = ()
    int16: bool = True

    def shared(self, count: int) -> range | tuple[int, ...]:
        """The inputs that have the output's quantization."""
        if isinstance(self.same, tuple):
            return self.same
        return range({"": 0, "first": 1, "all": count}[self.same])


def _fixed(scale: float, zero: int, scale16: float | None = None) -> dict[str, Quantization]:
    given = {"int8": Quantization.per_tensor(scale, zero)}
    if scale16:
        given["int16"] = Quantization.per_tensor(scale16, 0)
    return given


_PROBABILITY = _fixed(1 / 256, -128, 1 / 32768)
_SIGNED_UNIT = _fixed(1 / 128, 0, 1 / 32768)
_MOVED = Rule(same="first", index_inputs=(1, 2, 3))

RULES: dict[str, Rule] = {
    **{op: Rule(weights=1, weights_axis=axis) for op, axis in CHANNEL_AXIS.items()},
    "TRANSPOSE_CONV": Rule(weights=1, index_inputs=(0,), bias=3),
    "BATCH_MATMUL": Rule(), "ADD": Rule(), "SUB": Rule(), "MUL": Rule(), "SQUARED_DIFFERENCE": Rule(int16=False),
    "MEAN": Rule(index_inputs=(1,)), "SUM": Rule(index_inputs=(1,)),
    "REDUCE_MAX": Rule(same="first", index_inputs=(1,)), "REDUCE_MIN": Rule(same="first", index_inputs=(1,)),
    "MAXIMUM": Rule(same="all"), "MINIMUM": Rule(same="all"),
    "LEAKY_RELU": Rule(), "PRELU": Rule(int16=False), "HARD_SWISH": Rule(int16=False), "ELU": Rule(int16=False), "GELU": Rule(int16=False),
    "RELU": Rule(), "RELU6": Rule(), "RELU_N1_TO_1": Rule(int16=False), "ABS": Rule(int16=False), "EXP": Rule(), "RSQRT": Rule(int16=False),
    "SOFTMAX": Rule(fixed=_PROBABILITY), "LOGISTIC": Rule(fixed=_PROBABILITY), "TANH": Rule(fixed=_SIGNED_UNIT),
    "LOG_SOFTMAX": Rule(fixed=_fixed(16 / 256, 127), int16=False), "L2_NORMALIZATION": Rule(fixed=_fixed(1 / 128, 0), int16=False),
    "AVERAGE_POOL_2D": Rule(same="first"), "MAX_POOL_2D": Rule(same="first"),
    **dict.fromkeys(MOVES, _MOVED),
    "PADV2": Rule(same=(0, 2), index_inputs=(1,)),
    "RESIZE_BILINEAR": Rule(same="first", index_inputs=(1,), int16=False),
    "RESIZE_NEAREST_NEIGHBOR": Rule(same="first", index_inputs=(1,), int16=False),
    "SPACE_TO_DEPTH": Rule(same="first", int16=False), "DEPTH_TO_SPACE": Rule(same="first", int16=False),
    "CONCATENATION": Rule(same="all"), "PACK": Rule(same="all"), "SELECT_V2": Rule(same=(1, 2), index_inputs=(0,)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Rule(index_inputs=tuple(range(1, 24)), int16=False),
    "ARG_MAX": Rule(index_inputs=(1,), int16=False), "ARG_MIN": Rule(index_inputs=(1,), int16=False),
}  # fmt: skip
