"""Graph → the bytes of a `.tflite` file (schema version 3), with signature and metadata."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError, MissingExtraError

from ..ir import Graph, Tensor
from . import options
from .flatbuffer import offset_vector

TYPES = {
    "float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9, "uint32": 15, "int4": 17,
}  # fmt: skip

# Lowest operator version that has what edgert writes; runtimes older than the feature refuse the model by it.
_VERSIONS_QUANTIZED = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "ADD": 2, "SUB": 2, "MUL": 2, "AVERAGE_POOL_2D": 2,
    "MAX_POOL_2D": 2, "CONCATENATION": 2, "SOFTMAX": 2, "LOGISTIC": 2, "TANH": 2, "PAD": 2, "PADV2": 2, "MEAN": 2,
    "RESIZE_BILINEAR": 3, "RESIZE_NEAREST_NEIGHBOR": 3, "TRANSPOSE": 2, "LEAKY_RELU": 2, "RELU": 2, "RELU6": 2,
    "STRIDED_SLICE": 2, "SLICE": 2, "ARG_MAX": 2, "DEQUANTIZE": 2, "QUANTIZE": 1,
    "BROADCAST_TO": 3,
}  # fmt: skip
# The first of an operator that never had a version 1.
_VERSIONS = {"BROADCAST_TO": 2}


def _require() -> tuple[Any, Any]:
    try:
        import flatbuffers
        import tflite
    except ImportError as e:
        raise MissingExtraError(e.name or "flatbuffers", "convert", "writing a .tflite model") from None
    return flatbuffers, tflite


def to_tflite(graph: Graph, description: str = "edgert", metadata: dict[str, bytes] | None = None) -> bytes:
    """The model file.

    Args:
      graph: nodes in order; tensors with their types and, where quantized, their quantization.
      description: the model's description field.
      metadata: named buffers to embed.

    Raises:
      ConversionError: an operator or type that the exporter does not know.
    """
    flatbuffers, tflite = _require()
    graph.check()
    b = flatbuffers.Builder(1 << 20)
    names = list(graph.tensors)
    index = {name: i for i, name in enumerate(names)}

    buffers: list[NDArray[np.uint8] | None] = [None]  # buffer 0 is empty by convention
    tensor_buffers = []
    known: dict[
        bytes, int
    ] = {}  # what several tensors hold, such as the weights of every step of a recurrent layer, is there once
    for name in names:
        data = graph.tensors[name].data
        if data is None or data.size == 0:
            tensor_buffers.append(0)
            continue
        content = _bytes(graph.tensors[name])
        tensor_buffers.append(known.setdefault(hashlib.sha256(content.tobytes()).digest(), len(buffers)))
        if tensor_buffers[-1] == len(buffers):
            buffers.append(content)
    metadata_buffers = {}
    for key, value in (metadata or {}).items():
        metadata_buffers[key] = len(buffers)
        buffers.append(np.frombuffer(value, np.uint8))

    tensor_offsets = [_tensor(b, tflite, graph.tensors[name], tensor_buffers[i]) for i, name in enumerate(names)]
    codes: dict[tuple[str, int], int] = {}
    operators = [_operator(b, tflite, graph, node, index, codes) for node in graph.nodes]
    subgraph = _subgraph(b, tflite, graph, tensor_offsets, operators, index)
    signature = _signature(b, tflite, graph, index)
    code_offsets = [_operator_code(b, tflite, op, version) for op, version in codes]
    buffer_offsets = [_buffer(b, tflite, data) for data in buffers]
    metadata_offsets = []
    for key, buffer in metadata_buffers.items():
        name = b.CreateString(key)
        tflite.MetadataStart(b)
        tflite.MetadataAddName(b, name)
        tflite.MetadataAddBuffer(b, buffer)
        metadata_offsets.append(tflite.MetadataEnd(b))

    text = b.CreateString(description)
    vectors = {
        "OperatorCodes": offset_vector(b, code_offsets),
        "Subgraphs": offset_vector(b, [subgraph]),
        "Buffers": offset_vector(b, buffer_offsets),
        "SignatureDefs": offset_vector(b, [signature]),
        "Metadata": offset_vector(b, metadata_offsets),
    }
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddDescription(b, text)
    for field, offset in vectors.items():
        getattr(tflite, f"ModelAdd{field}")(b, offset)
    b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
    return bytes(b.Output())


def _bytes(t: Tensor) -> NDArray[np.uint8]:
    """A constant as the file stores it: int4 (here one to a byte) two to a byte, the first in the low half."""
    assert t.data is not None
    values = np.ascontiguousarray(t.data).reshape(-1)
    if t.dtype != "int4":
        return values.view(np.uint8)
    nibbles = np.append(values, np.zeros(len(values) % 2, values.dtype)).astype(np.uint8) & 15
    return (nibbles[::2] | nibbles[1::2] << 4).astype(np.uint8)


def _buffer(b: Any, tflite: Any, data: Any) -> int:
    offset = None
    if data is not None:
        # Data starts at a multiple of 16, as the schema asks: kernels may read it in place.
        b.StartVector(1, data.size, 16)
        b.head -= data.size
        b.Bytes[b.head : b.head + data.size] = data.tobytes()
        offset = b.EndVector()
    tflite.BufferStart(b)
    if offset is not None:
        tflite.BufferAddData(b, offset)
    return int(tflite.BufferEnd(b))


def _tensor(b: Any, tflite: Any, t: Tensor, buffer: int) -> int:
    if t.dtype not in TYPES:
        raise ConversionError(f'tensor "{t.name}" is {t.dtype}, which the exporter does not know')
    name, shape, quantization = b.CreateString(t.name), b.CreateNumpyVector(np.asarray(t.shape, np.int32)), None
    if t.quantization is not None and t.dtype != "float32":  # a float tensor only remembers what it is to become
        scale = b.CreateNumpyVector(np.asarray(t.quantization.scale, np.float32))
        zero = b.CreateNumpyVector(np.asarray(t.quantization.zero_point, np.int64))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero)
        tflite.QuantizationParametersAddQuantizedDimension(b, t.quantization.axis)
        quantization = tflite.QuantizationParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, TYPES[t.dtype])
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name)
    tflite.TensorAddIsVariable(b, t.variable)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    tflite.TensorAddHasRank(b, True)
    return int(tflite.TensorEnd(b))


def _operator(b: Any, tflite: Any, graph: Graph, node: Any, index: dict[str, int], codes: dict[tuple[str, int], int]) -> int:
    if not hasattr(tflite.BuiltinOperator, node.op):
        raise ConversionError(f'operator {node.op} "{node.name}" does not exist in TFLite')
    quantized = any(i and graph.tensors[i].dtype in ("int8", "uint8") for i in node.inputs)
    version = _VERSIONS_QUANTIZED.get(node.op, 1) if quantized else _VERSIONS.get(node.op, 1)
    weights = graph.tensors[node.inputs[1]].quantization if node.op == "FULLY_CONNECTED" else None
    if weights is not None and len(weights.scale) > 1:
        version = 12  # per channel: older runtimes would use the first scale for all
    code = codes.setdefault((node.op, version), len(codes))
    kind, table = options.write(b, tflite, node.op, node.attrs)
    inputs = b.CreateNumpyVector(np.array([index[i] if i else -1 for i in node.inputs], np.int32))
    outputs = b.CreateNumpyVector(np.array([index[o] for o in node.outputs], np.int32))
    between = b.CreateNumpyVector(np.array([index[o] for o in node.intermediates], np.int32)) if node.intermediates else 0
    tflite.OperatorStart(b)
    if between:
        tflite.OperatorAddIntermediates(b, between)
    tflite.OperatorAddOpcodeIndex(b, code)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    if kind:
        tflite.OperatorAddBuiltinOptionsType(b, kind)
        tflite.OperatorAddBuiltinOptions(b, table)
    return int(tflite.OperatorEnd(b))


def _operator_code(b: Any, tflite: Any, op: str, version: int) -> int:
    number = getattr(tflite.BuiltinOperator, op)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
    tflite.OperatorCodeAddVersion(b, version)
    tflite.OperatorCodeAddBuiltinCode(b, number)
    return int(tflite.OperatorCodeEnd(b))


def _subgraph(b: Any, tflite: Any, graph: Graph, tensors: list[int], operators: list[int], index: dict[str, int]) -> int:
    vectors = {
        "Tensors": offset_vector(b, tensors),
        "Inputs": b.CreateNumpyVector(np.array([index[i] for i in graph.inputs], np.int32)),
        "Outputs": b.CreateNumpyVector(np.array([index[o] for o in graph.outputs], np.int32)),
        "Operators": offset_vector(b, operators),
    }
    name = b.CreateString(graph.name or "main")
    tflite.SubGraphStart(b)
    for field, offset in vectors.items():
        getattr(tflite, f"SubGraphAdd{field}")(b, offset)
    tflite.SubGraphAddName(b, name)
    return int(tflite.SubGraphEnd(b))


def _signature(b: Any, tflite: Any, graph: Graph, index: dict[str, int]) -> int:
    def maps(tensors: list[str], names: list[str]) -> int:
        offsets = []
        for tensor, name in zip(tensors, names or tensors):
            text = b.CreateString(name)
            tflite.TensorMapStart(b)
            tflite.TensorMapAddName(b, text)
            tflite.TensorMapAddTensorIndex(b, index[tensor])
            offsets.append(tflite.TensorMapEnd(b))
        return offset_vector(b, offsets)

    inputs, outputs = maps(graph.inputs, graph.input_names), maps(graph.outputs, graph.output_names)
    key = b.CreateString("serving_default")
    tflite.SignatureDefStart(b)
    tflite.SignatureDefAddInputs(b, inputs)
    tflite.SignatureDefAddOutputs(b, outputs)
    tflite.SignatureDefAddSignatureKey(b, key)
    tflite.SignatureDefAddSubgraphIndex(b, 0)
    return int(tflite.SignatureDefEnd(b))
