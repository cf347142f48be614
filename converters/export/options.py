"""BuiltinOptions of each operator, from a node's attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

PADDING = {"SAME": 0, "VALID": 1}
ACTIVATION = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3, "TANH": 4}

# op → (name of the options table, [(attribute, kind, default)]) in the schema's names. Kinds: int, byte, bool, float,
# padding, activation, ints (a vector).
TABLES: dict[str, tuple[str, list[tuple[str, str, Any]]]] = {
    "ADD": ("Add", [("FusedActivationFunction", "activation", "NONE")]),
    "SUB": ("Sub", [("FusedActivationFunction", "activation", "NONE")]),
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
    "FLOOR_DIV": ("FloorDiv", []), "GATHER_ND": ("GatherNd", []),
}  # fmt: skip
TABLES["MAX_POOL_2D"] = TABLES["AVERAGE_POOL_2D"]


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
