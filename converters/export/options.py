"""BuiltinOptions of each operator, from a node's attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

PADDING = {"SAME": 0, "VALID": 1}
ACTIVATION = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3, "TANH": 4}

# op → (name of the options table, [(attribute, kind, default)]) in the schema's names. Kinds: int, byte, bool, float,
# padding, activation, ints (a vector).
TABLES: dict[str, tuple[str, list[tuple[str, str, Any]]]] = {
    "ADD": ("Add", [("FusedActivationFunction", "activation", "NONE"), ("PotScaleInt16", "bool", False)]),
    "SUB": ("Sub", [("FusedActivationFunction", "activation", "NONE"), ("PotScaleInt16", "bool", False)]),
    "MUL": ("Mul", [("FusedActivationFunction", "activation", "NONE")]),
    "DIV": ("Div", [("FusedActivationFunction", "activation", "NONE")]),
    "CONV_2D": ("Conv2D", [
        ("Padding", "padding", "SAME"), ("StrideW", "int", 1), ("StrideH", "int", 1),
        ("FusedActivationFunction", "activation", "NONE"), ("DilationWFactor", "int", 1), ("DilationHFactor", "int", 1)]),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2D", [
        ("Padding", "padding", "SAME"), ("StrideW", "int", 1), ("StrideH", "int", 1), ("DepthMultiplier", "int", 1),
        ("FusedActivationFunction", "activation", "NONE"), ("DilationWFactor", "int", 1), ("DilationHFactor", "int", 1)]),
    "AVERAGE_POOL_2D": ("Pool2D", [
        ("Padding", "padding", "VALID"), ("StrideW", "int", 1), ("StrideH", "int", 1), ("FilterWidth", "int", 1),
        ("FilterHeight", "int", 1), ("FusedActivationFunction", "activation", "NONE")]),
    "FULLY_CONNECTED": ("FullyConnected", [
        ("FusedActivationFunction", "activation", "NONE"), ("WeightsFormat", "byte", 0), ("KeepNumDims", "bool", False), ("AsymmetricQuantizeInputs", "bool", False)]),
    "SOFTMAX": ("Softmax", [("Beta", "float", 1.0)]),
    "CONCATENATION": ("Concatenation", [("Axis", "int", 0), ("FusedActivationFunction", "activation", "NONE")]),
    "RESHAPE": ("Reshape", [("NewShape", "ints", ())]),
    "SQUEEZE": ("Squeeze", [("SqueezeDims", "ints", ())]),
    "MEAN": ("Reducer", [("KeepDims", "bool", False)]),
    "RESIZE_BILINEAR": ("ResizeBilinear", [("AlignCorners", "bool", False), ("HalfPixelCenters", "bool", False)]),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighbor", [("AlignCorners", "bool", False), ("HalfPixelCenters", "bool", False)]),
    "ARG_MAX": ("ArgMax", [("OutputType", "byte", 2)]),
    "LEAKY_RELU": ("LeakyRelu", [("Alpha", "float", 0.0)]),
    "STRIDED_SLICE": ("StridedSlice", [
        ("BeginMask", "int", 0), ("EndMask", "int", 0), ("EllipsisMask", "int", 0), ("NewAxisMask", "int", 0),
        ("ShrinkAxisMask", "int", 0), ("Offset", "bool", False)]),
    "PACK": ("Pack", [("ValuesCount", "int", 0), ("Axis", "int", 0)]),
    "UNPACK": ("Unpack", [("Num", "int", 0), ("Axis", "int", 0)]),
    "CAST": ("Cast", [("InDataType", "byte", 0), ("OutDataType", "byte", 0)]),
    "PAD": ("Pad", []), "PADV2": ("PadV2", []), "TRANSPOSE": ("Transpose", []), "SLICE": ("Slice", []),
    "EXPAND_DIMS": ("ExpandDims", []), "QUANTIZE": ("Quantize", []), "DEQUANTIZE": ("Dequantize", []), "HARD_SWISH": ("HardSwish", []),
    "GATHER": ("Gather", [("Axis", "int", 0), ("BatchDims", "int", 0)]),
    "SPLIT": ("Split", [("NumSplits", "int", 1)]),
    "SPLIT_V": ("SplitV", [("NumSplits", "int", 1)]),
    "ONE_HOT": ("OneHot", [("Axis", "int", -1)]),
    "CUMSUM": ("Cumsum", [("Exclusive", "bool", False), ("Reverse", "bool", False)]),
    "BATCH_MATMUL": ("BatchMatMul", [("AdjX", "bool", False), ("AdjY", "bool", False), ("AsymmetricQuantizeInputs", "bool", False)]),
    "TRANSPOSE_CONV": ("TransposeConv", [
        ("Padding", "padding", "SAME"), ("StrideW", "int", 1), ("StrideH", "int", 1), ("FusedActivationFunction", "activation", "NONE")]),
    "CONV_3D": ("Conv3D", [
        ("Padding", "padding", "VALID"), ("StrideD", "int", 1), ("StrideW", "int", 1), ("StrideH", "int", 1),
        ("FusedActivationFunction", "activation", "NONE"), ("DilationDFactor", "int", 1), ("DilationWFactor", "int", 1),
        ("DilationHFactor", "int", 1)]),
    "GELU": ("Gelu", [("Approximate", "bool", False)]),
    "MIRROR_PAD": ("MirrorPad", [("Mode", "byte", 0)]),
    "SPACE_TO_DEPTH": ("SpaceToDepth", [("BlockSize", "int", 2)]),
    "DEPTH_TO_SPACE": ("DepthToSpace", [("BlockSize", "int", 2)]),
    "LOCAL_RESPONSE_NORMALIZATION": ("LocalResponseNormalization", [
        ("Radius", "int", 0), ("Bias", "float", 1.0), ("Alpha", "float", 1.0), ("Beta", "float", 0.5)]),
    "L2_NORMALIZATION": ("L2Norm", [("FusedActivationFunction", "activation", "NONE")]),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("UnidirectionalSequenceLSTM", [
        ("FusedActivationFunction", "activation", "TANH"), ("CellClip", "float", 0.0), ("ProjClip", "float", 0.0),
        ("TimeMajor", "bool", False), ("AsymmetricQuantizeInputs", "bool", False)]),
    "UNIDIRECTIONAL_SEQUENCE_RNN": ("SequenceRNN", [
        ("TimeMajor", "bool", False), ("FusedActivationFunction", "activation", "TANH"), ("AsymmetricQuantizeInputs", "bool", False)]),
    "BIDIRECTIONAL_SEQUENCE_LSTM": ("BidirectionalSequenceLSTM", [
        ("FusedActivationFunction", "activation", "TANH"), ("CellClip", "float", 0.0), ("ProjClip", "float", 0.0),
        ("MergeOutputs", "bool", False), ("TimeMajor", "bool", True), ("AsymmetricQuantizeInputs", "bool", False)]),
    "BIDIRECTIONAL_SEQUENCE_RNN": ("BidirectionalSequenceRNN", [
        ("TimeMajor", "bool", False), ("FusedActivationFunction", "activation", "TANH"), ("MergeOutputs", "bool", False),
        ("AsymmetricQuantizeInputs", "bool", False)]),
    "LSTM": ("LSTM", [
        ("FusedActivationFunction", "activation", "TANH"), ("CellClip", "float", 0.0), ("ProjClip", "float", 0.0),
        ("KernelType", "byte", 0), ("AsymmetricQuantizeInputs", "bool", False)]),
    "RNN": ("RNN", [("FusedActivationFunction", "activation", "TANH"), ("AsymmetricQuantizeInputs", "bool", False)]),
    "SVDF": ("SVDF", [
        ("Rank", "int", 1), ("FusedActivationFunction", "activation", "NONE"), ("AsymmetricQuantizeInputs", "bool", False)]),
    "FAKE_QUANT": ("FakeQuant", [("Min", "float", 0.0), ("Max", "float", 0.0), ("NumBits", "int", 8), ("NarrowRange", "bool", False)]),
    "REVERSE_SEQUENCE": ("ReverseSequence", [("SeqDim", "int", 0), ("BatchDim", "int", 0)]),
    "UNIQUE": ("Unique", [("IdxOutType", "byte", 2)]),
    "SHAPE": ("Shape", [("OutType", "byte", 2)]),
    "REVERSE_V2": ("ReverseV2", []), "TOPK_V2": ("TopKV2", []), "LOG_SOFTMAX": ("LogSoftmax", []), "SELECT_V2": ("SelectV2", []),
    "BATCH_TO_SPACE_ND": ("BatchToSpaceND", []), "SPACE_TO_BATCH_ND": ("SpaceToBatchND", []),
    "FLOOR_DIV": ("FloorDiv", []), "GATHER_ND": ("GatherNd", []),
}  # fmt: skip
# Several operators share one table, and many have a table without fields.
for _ops, _table, _fields in [
    (("MAX_POOL_2D", "L2_POOL_2D"), *TABLES["AVERAGE_POOL_2D"]),
    (("SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"), *TABLES["MEAN"]),
    (("CONV_3D_TRANSPOSE",), *TABLES["CONV_3D"]),
    (("ARG_MIN",), "ArgMin", [("OutputType", "byte", 2)]),
    (("MAXIMUM", "MINIMUM"), "MaximumMinimum", []),
]:
    TABLES.update({op: (_table, _fields) for op in _ops})
TABLES.update(
    {
        op: ("".join(part.capitalize() for part in op.split("_")), [])
        for op in (
            "ABS",
            "SQUARE",
            "EXP",
            "COS",
            "FILL",
            "RANGE",
            "RANK",
            "TILE",
            "SELECT",
            "EQUAL",
            "NOT_EQUAL",
            "LESS",
            "LESS_EQUAL",
            "GREATER",
            "GREATER_EQUAL",
            "LOGICAL_AND",
            "LOGICAL_OR",
            "LOGICAL_NOT",
            "POW",
            "NEG",
            "SQUARED_DIFFERENCE",
            "FLOOR_MOD",
            "WHERE",
            "SCATTER_ND",
            "RIGHT_SHIFT",
            "BITWISE_XOR",
            "SIGN",
            "BITCAST",
        )
    }
)


def attribute(schema_name: str) -> str:
    """How a node spells an attribute of the schema: FusedActivationFunction → fused_activation_function."""
    return "".join("_" + c.lower() if c.isupper() else c for c in schema_name).lstrip("_")


def write(builder: Any, tflite: Any, op: str, attrs: dict[str, Any]) -> tuple[int, int]:
    """Writes the options table; gives its BuiltinOptions number and offset, (0, 0) where the operator has none."""
    if op not in TABLES:
        return 0, 0
    table, fields = TABLES[op]
    kind_of = getattr(tflite.BuiltinOptions, f"{table}Options")
    values = [(name, kind, attrs.get(attribute(name), default)) for name, kind, default in fields]
    vectors = {name: builder.CreateNumpyVector(np.asarray(v, np.int32)) for name, kind, v in values if kind == "ints" and len(v)}
    getattr(tflite, f"{table}OptionsStart")(builder)
    for name, kind, value in values:
        add = getattr(tflite, f"{table}OptionsAdd{name}")
        if kind == "ints":
            if name in vectors:
                add(builder, vectors[name])
        elif kind == "padding":
            add(builder, PADDING[value])
        elif kind == "activation":
            add(builder, ACTIVATION[value])
        elif kind == "float":
            add(builder, float(value))
        elif kind == "bool":
            add(builder, bool(value))
        else:
            add(builder, int(value))
    return kind_of, getattr(tflite, f"{table}OptionsEnd")(builder)
