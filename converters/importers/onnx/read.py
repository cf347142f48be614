"""ONNX files, opset 7 to 22 and later: the graph is walked once, and every node becomes TFLite operators.

Format: github.com/onnx/onnx/blob/main/docs/IR.md. Tensors keep the order of their dimensions; convolutions are put between
TRANSPOSEs, which the passes remove.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError, EdgertError, MissingExtraError, ModelError

from ...ir import Graph, Tensor
from ..emit import Emitter, UnsupportedUseError
from . import elementwise, products, quantized, recurrent, reduce, resize, shapes, windows
from .node import Handler, OnnxNode

OPERATORS: dict[str, Handler] = {
    **elementwise.HANDLERS, **reduce.HANDLERS, **shapes.HANDLERS, **windows.HANDLERS, **products.HANDLERS,
    **recurrent.HANDLERS, **resize.HANDLERS, **quantized.HANDLERS,
}  # fmt: skip

# What edgert computes in for each of ONNX's types. Float models run in float32 whatever they were saved in.
_TYPES = {
    "float": "float32", "float16": "float32", "bfloat16": "float32", "double": "float32", "int8": "int8", "uint8": "uint8",
    "int16": "int32", "uint16": "int32", "int32": "int32", "uint32": "int64", "int64": "int64", "uint64": "int64", "bool": "bool",
}  # fmt: skip
_DOMAINS = ("", "ai.onnx", "com.microsoft")


def read_onnx(
    source: Path | bytes | Any,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, NDArray[Any]] | None = None,
) -> Graph:
    """The float graph of an ONNX model.

    Args:
      source: a file, its bytes, or an `onnx.ModelProto`.
      shapes: sizes of inputs whose dimensions are open, by input name. An open first dimension is 1 unless given.
      constants: values for inputs that decide shapes, by input name; they stop being inputs.

    Raises:
      ModelError: the file is no ONNX model, or a damaged one.
      ConversionError: it has operators that edgert does not know (all are named), or uses one in a way it does not know.
    """
    onnx = _onnx()
    where = str(source) if isinstance(source, Path) else "the ONNX model"
    model = _load(onnx, source, where)
    if len(model.functions):
        from onnx import inliner

        model = inliner.inline_local_functions(model)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset and opset < 7:
        model, opset = _raise_opset(onnx, model, opset, where), 7
    return _Importer(onnx, model, opset, where, dict(shapes or {}), dict(constants or {})).run()


def _raise_opset(onnx: Any, model: Any, opset: int, where: str) -> Any:
    """Broadcasting has been as it is since opset 7; what is older is rewritten by onnx itself."""
    from onnx import version_converter

    try:
        return version_converter.convert_version(model, 7)
    except Exception as e:  # what it throws comes from C++
        why = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise ConversionError(f"{where}: is of opset {opset}, and onnx cannot raise it to 7: {why}") from None


def _onnx() -> Any:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "reading an ONNX model") from None
    return onnx


def _load(onnx: Any, source: Path | bytes | Any, where: str) -> Any:
    try:
        if isinstance(source, Path):
            model = onnx.load(str(source))
        elif isinstance(source, bytes):
            model = onnx.load_model_from_string(source)
        else:
            model = source
    except Exception as e:  # protobuf has no common class of errors
        raise ModelError(
            f"{where}: not an ONNX model, or a damaged one ({str(e).splitlines()[0] if str(e) else type(e).__name__})"
        ) from None
    if not model.HasField("graph") or not model.graph.output:
        raise ModelError(f"{where}: not an ONNX model, or a damaged one (it has no graph with outputs)")
    return model


class _Importer:
    def __init__(
        self, onnx: Any, model: Any, opset: int, where: str, shapes: dict[str, Sequence[int]], constants: dict[str, NDArray[Any]]
    ) -> None:
        self.onnx, self.model, self.opset, self.where = onnx, model, opset, where
        self.shapes, self.constants = shapes, constants
        self.graph = Graph(model.graph.name, channels_first=True)
        self.emitter = Emitter(self.graph)

    def run(self) -> Graph:
        source = self.model.graph
        nodes = _needed(source)
        self._refuse_unknown(nodes)
        scope: dict[str, str] = {"": ""}
        initializers = {i.name: i for i in source.initializer}
        self._constants(source, scope)
        names = [i.name for i in source.input if i.name not in initializers]
        for given in (*self.shapes, *self.constants):
            if given not in names:
                raise ConversionError(f'{self.where}: has no input "{given}"; its inputs are {", ".join(names)}')
        for info in source.input:
            if info.name in initializers:
                continue
            if info.name in self.constants:
                value = self.constants[info.name]
                scope[info.name] = self.graph.constant(
                    info.name, value.astype(_TYPES.get(_kind(self.onnx, info.type.tensor_type.elem_type), str(value.dtype)))
                )
            else:
                scope[info.name] = self._input(info)
        self._nodes(nodes, scope)
        for output in source.output:
            if output.name not in scope:
                raise ModelError(f'{self.where}: no node makes the output "{output.name}"')
            self.graph.outputs.append(scope[output.name])
            self.graph.output_names.append(output.name)
        self.graph.remove_dead()
        self.graph.check()
        return self.graph

    def _input(self, info: Any) -> str:
        kind = info.type
        if not kind.HasField("tensor_type"):
            raise ConversionError(
                f'{self.where}: input "{info.name}" is not a tensor; sequences and optional values are not supported'
            )
        given = self.shapes.get(info.name)
        dims: list[Any] = [
            d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else d.dim_param or "?" for d in kind.tensor_type.shape.dim
        ]
        if not kind.tensor_type.HasField("shape") and given is None:
            raise ConversionError(f'{self.where}: input "{info.name}" has no shape; give it with --shape {info.name}=1,...')
        if given is not None:
            if kind.tensor_type.HasField("shape") and (
                len(given) != len(dims) or any(isinstance(d, int) and d != g for d, g in zip(dims, given))
            ):
                raise ConversionError(f'{self.where}: input "{info.name}" has the shape {dims}, which {list(given)} does not fit')
            dims = [int(g) for g in given]
        if dims and isinstance(dims[0], str):
            dims[0] = 1
        if any(isinstance(d, str) for d in dims):
            sizes = ",".join("N" if isinstance(d, str) else str(d) for d in dims)
            raise ConversionError(
                f'{self.where}: input "{info.name}" has the open shape {dims}; fix it with --shape {info.name}={sizes}'
            )
        dtype = self._dtype(kind.tensor_type.elem_type, f'input "{info.name}"')
        name = self.graph.add_tensor(Tensor(info.name, tuple(dims), dtype))
        self.graph.inputs.append(name)
        self.graph.input_names.append(info.name)
        return name

    def _dtype(self, number: int, what: str) -> str:
        kind = _kind(self.onnx, number)
        if kind not in _TYPES:
            raise ConversionError(f"{self.where}: {what} is of the type {kind}, which is not supported")
        return _TYPES[kind]

    def _constants(self, source: Any, scope: dict[str, str]) -> None:
        for i in source.initializer:
            scope[i.name] = self.graph.constant(i.name, self._array(i))

    def _array(self, proto: Any) -> NDArray[Any]:
        try:
            value = np.asarray(self.onnx.numpy_helper.to_array(proto))
        except Exception as e:
            raise ModelError(f'{self.where}: the constant "{proto.name}" cannot be read ({e})') from None
        return value.astype(self._dtype(proto.data_type, f'the constant "{proto.name}"'))

    def _refuse_unknown(self, nodes: list[Any]) -> None:
        unknown = [
            f'"{n.name or n.output[0]}" ({n.domain + "." if n.domain not in _DOMAINS else ""}{n.op_type})'
            for n in _all_nodes(nodes)
            if n.domain not in _DOMAINS or (n.op_type not in OPERATORS and n.op_type != "If")
        ]
        if unknown:
            raise ConversionError(f"{self.where}: no converter for the operators {', '.join(unknown)}")

    def _nodes(self, nodes: list[Any], scope: dict[str, str]) -> None:
        for node in nodes:
            if node.op_type == "If":
                self._if(node, scope)
                continue
            self._node(node, scope)

    def _node(self, node: Any, scope: dict[str, str]) -> None:
        label = node.name or (node.output[0] if node.output else node.op_type)
        self.emitter.prefix = label
        missing = [i for i in node.input if i not in scope]
        if missing:
            raise ModelError(f'{self.where}: {node.op_type} "{label}" reads "{missing[0]}", which nothing before it makes')
        inputs = [scope[i] for i in node.input]
        outputs = max((k + 1 for k, o in enumerate(node.output) if o), default=0)
        n = OnnxNode(node.op_type, label, self.opset, self.emitter, inputs, outputs, self._attributes(node))
        try:
            result = OPERATORS[node.op_type](self.emitter, n)
        except UnsupportedUseError as e:
            error = ConversionError(f'{self.where}: {node.op_type} "{label}": {e}')
            error.tensor = getattr(e, "tensor", None)  # type: ignore[attr-defined]
            raise error from None
        except EdgertError:
            raise
        except (LookupError, TypeError, ValueError, ArithmeticError, AssertionError, AttributeError) as e:
            raise ModelError(
                f'{self.where}: {node.op_type} "{label}" has inputs or attributes of an unexpected form ({type(e).__name__}: {e})'
            ) from e
        for name, value in zip(node.output, [result] if isinstance(result, str) else result):
            if name:
                scope[name] = value

    def _if(self, node: Any, scope: dict[str, str]) -> None:
        """One branch, where the condition is known; a branch sees the names outside."""
        condition = self.emitter.value(scope[node.input[0]])
        if condition is None:
            raise ConversionError(f'{self.where}: If "{node.name or node.output[0]}": its condition is not constant')
        taken = "then_branch" if bool(condition.reshape(-1)[0]) else "else_branch"
        branch = next(a.g for a in node.attribute if a.name == taken)
        inner = dict(scope)
        self._constants(branch, inner)
        self._nodes(list(branch.node), inner)
        for outside, inside in zip(node.output, branch.output):
            scope[outside] = inner[inside.name]

    def _attributes(self, node: Any) -> dict[str, Any]:
        attrs: dict[str, Any] = {}
        for a in node.attribute:
            if a.name in ("to", "dtype", "output_dtype") and a.type == self.onnx.AttributeProto.INT:
                if a.i:
                    kind = self._dtype(a.i, f'the attribute "{a.name}" of {node.op_type} "{node.name}"')
                    attrs["output_dtype_name" if a.name == "output_dtype" else "dtype"] = kind
                continue
            value = self.onnx.helper.get_attribute_value(a)
            if a.type == self.onnx.AttributeProto.TENSOR:
                value = self._array(value)
            elif isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            elif isinstance(value, (list, tuple)) and value and isinstance(value[0], bytes):
                value = [v.decode("utf-8", "replace") for v in value]
            attrs[a.name] = value
        return attrs


def _kind(onnx: Any, number: int) -> str:
    try:
        return str(onnx.TensorProto.DataType.Name(number)).lower()
    except ValueError:
        return f"number {number}"


def _all_nodes(nodes: Sequence[Any]) -> list[Any]:
    """Nodes, those in branches included."""
    found = []
    for n in nodes:
        found.append(n)
        for a in n.attribute:
            if a.HasField("g"):
                found += _all_nodes(a.g.node)
    return found


def _needed(source: Any) -> list[Any]:
    """The nodes that outputs depend on, in their order."""
    needed = {o.name for o in source.output}
    kept = []
    for n in reversed(source.node):
        if any(o in needed for o in n.output):
            needed.update(n.input)
            for inner in _all_nodes([n])[1:]:
                needed.update(inner.input)
            needed.update(o.name for a in n.attribute if a.HasField("g") for o in a.g.output)
            kept.append(n)
    return kept[::-1]
