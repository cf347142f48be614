"""`.tflite` models: float ones, those whose weights alone are smaller, and for comparison quantized ones as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgert.errors import ConversionError, MissingExtraError
from edgert.files import reading
from edgert.interpreter import Interpreter

from ..export.options import ACTIVATION, PADDING, TABLES, attribute
from ..export.tflite import TYPES
from ..ir import Graph, Node, Quantization, Tensor

_NAMES = {v: k for k, v in TYPES.items()}
_ENUMS = {"padding": {v: k for k, v in PADDING.items()}, "activation": {v: k for k, v in ACTIVATION.items()}}


def read_tflite(path: Path, quantized: bool = False) -> Graph:
    """The graph of a `.tflite` model with float activations; weights of float16 or int8 become float32. Open batch sizes become what
    the model declares, 1.

    Args:
      quantized: everything stays as it is, quantization included, whatever the model's types are.

    Raises:
      ModelError: the file is malformed, or has operators that edgert does not run.
      ConversionError: it is quantized already, or has several subgraphs.
    """
    # The C core verifies the file first: the readers below trust it.
    interpreter = Interpreter(model_path=path)
    try:
        import tflite
    except ImportError:
        raise MissingExtraError("tflite", "convert", "reading a .tflite model") from None
    with reading(path, "a model that can be converted", ConversionError):
        return _graph(tflite, tflite.Model.GetRootAs(path.read_bytes(), 0), interpreter, path, quantized)


def _graph(tflite: Any, model: Any, interpreter: Interpreter, path: Path, quantized: bool) -> Graph:
    if model.SubgraphsLength() != 1:
        raise ConversionError(f"{path}: has {model.SubgraphsLength()} subgraphs; only models with one can be converted")
    sub = model.Subgraphs(0)
    builtin = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
    graph = Graph(_text(sub.Name()))
    interpreter.allocate_tensors()
    names = [_tensor(graph, model, sub.Tensors(i), i, interpreter, path, quantized) for i in range(sub.TensorsLength())]
    for i in range(sub.OperatorsLength()):
        op = sub.Operators(i)
        code = model.OperatorCodes(op.OpcodeIndex())
        kind = builtin[max(code.DeprecatedBuiltinCode(), code.BuiltinCode())]
        if kind == "CUSTOM":
            raise ConversionError(f'{path}: the custom operator "{_text(code.CustomCode())}" cannot be converted')
        inputs = [names[t] if t >= 0 else "" for t in (op.Inputs(j) for j in range(op.InputsLength()))]
        outputs = [names[op.Outputs(j)] for j in range(op.OutputsLength())]
        source = graph.tensors.get(inputs[0]) if inputs else None
        if kind == "DEQUANTIZE" and source is not None and source.data is not None and graph.tensors[outputs[0]].variable:
            if source.data.any():
                raise ConversionError(f'{path}: the state "{outputs[0]}" begins with other values than 0: it cannot be converted')
            continue
        if (
            source is not None
            and source.data is not None
            and (kind == "DENSIFY" or (kind == "DEQUANTIZE" and source.dtype == "float32"))
        ):
            graph.tensors[outputs[0]].data = source.data  # dense, or float, by now
        else:
            graph.nodes.append(Node(kind, inputs, outputs, _attrs(tflite, kind, op), outputs[0]))
    graph.inputs = [names[sub.Inputs(i)] for i in range(sub.InputsLength())]
    graph.outputs = [names[sub.Outputs(i)] for i in range(sub.OutputsLength())]
    graph.input_names, graph.output_names = _signature_names(model, graph, names)
    graph.check()
    return graph


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "replace")


def _tensor(graph: Graph, model: Any, t: Any, index: int, interpreter: Interpreter, path: Path, quantized: bool) -> str:
    name = _text(t.Name())
    dtype = _NAMES.get(t.Type())
    if dtype is None:
        raise ConversionError(f'{path}: tensor "{name}" is of a type that cannot be converted')
    # What the file says of a shape that is computed may be anything.
    shape = tuple(int(n) for n in interpreter._get_tensor_details(index)["shape"])
    buffer = model.Buffers(t.Buffer())
    data, q = None, _quantization(t)
    if t.Sparsity() is not None:
        data = interpreter.get_tensor(index)  # expanded
    elif buffer.DataLength():
        raw = np.frombuffer(buffer.DataAsNumpy().tobytes(), "uint8" if dtype == "int4" else dtype)
        data = (_nibbles(raw, int(np.prod(shape))) if dtype == "int4" else raw).reshape(shape)
    if dtype in ("int4", "int8", "uint8", "int16") and not quantized:
        if data is None or q is None:
            raise ConversionError(
                f'{path}: tensor "{name}" is {dtype}: this model is quantized already; convert its float original'
            )
        # Weights of a dynamic-range model: its operators take float activations.
        return graph.add_tensor(Tensor(name, shape, "float32", q.real(data)))
    return graph.add_tensor(Tensor(name, shape, dtype, data, q, variable=bool(t.IsVariable())))


def _quantization(t: Any) -> Quantization | None:
    q = t.Quantization()
    if q is None or not q.ScaleLength():
        return None
    scale = np.array(q.ScaleAsNumpy(), np.float32)
    zero = np.array(q.ZeroPointAsNumpy(), np.int64) if q.ZeroPointLength() else np.zeros(len(scale), np.int64)
    return Quantization(scale, np.broadcast_to(zero, scale.shape).copy(), int(q.QuantizedDimension()))


def _nibbles(raw: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Two int4 in a byte, the first in the low half, as int8."""
    both = np.stack([raw & 15, raw >> 4], 1).reshape(-1)[:count].astype(np.int8)
    return np.where(both > 7, both - 16, both).astype(np.int8)


def _attrs(tflite: Any, kind: str, op: Any) -> dict[str, Any]:
    table, fields = TABLES.get(kind, ("", []))
    source = op.BuiltinOptions()
    if not table and source is not None and _has_fields(source):
        raise ConversionError(f"{kind} has options, and with those it cannot be converted")
    if not table or source is None or op.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, f"{table}Options"):
        return {}
    options = getattr(tflite, f"{table}Options")()
    options.Init(source.Bytes, source.Pos)
    attrs: dict[str, Any] = {}
    for name, form, _ in fields:
        if form == "ints":
            length = getattr(options, f"{name}Length")()
            attrs[attribute(name)] = tuple(int(getattr(options, name)(i)) for i in range(length))
        else:
            value = getattr(options, name)()
            attrs[attribute(name)] = _ENUMS[form][value] if form in _ENUMS else value
    return attrs


def _has_fields(table: Any) -> bool:
    """Whether a FlatBuffer table has values: its vtable has entries behind the two sizes."""
    vtable = table.Pos - int.from_bytes(table.Bytes[table.Pos : table.Pos + 4], "little", signed=True)
    return int.from_bytes(table.Bytes[vtable : vtable + 2], "little") > 4


def _signature_names(model: Any, graph: Graph, names: list[str]) -> tuple[list[str], list[str]]:
    """What the first signature calls inputs and outputs; the tensors' own names where there is none."""
    called: dict[str, str] = {}
    if model.SignatureDefsLength():
        s = model.SignatureDefs(0)
        maps = [s.Inputs(i) for i in range(s.InputsLength())] + [s.Outputs(i) for i in range(s.OutputsLength())]
        called = {names[m.TensorIndex()]: _text(m.Name()) for m in maps}
    return [called.get(n, n) for n in graph.inputs], [called.get(n, n) for n in graph.outputs]
