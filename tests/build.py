"""Models of any operator, with subgraphs, options and variables, from the schema classes that come with ai-edge-litert."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9, "float64": 10, "complex64": 8,
    "complex128": 11, "bfloat16": 18,
    "uint64": 12, "resource": 13, "uint32": 15, "uint16": 16, "int4": 17,
}  # fmt: skip
ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3, "TANH": 4}
# Operators whose options are not called as they are.
OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2D", "MAX_POOL_2D": "Pool2D", "L2_POOL_2D": "Pool2D", "SUM": "Reducer", "MEAN": "Reducer", "REDUCE_PROD": "Reducer",
    "REDUCE_MAX": "Reducer", "REDUCE_MIN": "Reducer", "REDUCE_ANY": "Reducer", "REDUCE_ALL": "Reducer", "L2_NORMALIZATION": "L2Norm",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNN", "STABLEHLO_COMPOSITE": "StableHLOComposite", "RANDOM_UNIFORM": "Random",
    "RANDOM_STANDARD_NORMAL": "Random", "CONV_3D_TRANSPOSE": "Conv3D", "ATAN2": "ATan2", "RFFT2D": "Rfft2d",
}  # fmt: skip


def options_class(op: str) -> tuple[str, Any] | None:
    """The options table of an operator: its name in the schema, and the class."""
    wanted = (OPTIONS.get(op) or op.replace("_", "")).lower() + "optionst"
    found = next((n for n in dir(schema) if n.lower() == wanted), None)
    return (found[:-1], getattr(schema, found)) if found else None


class Subgraph:
    """Tensors and operators. A tensor is known by its number."""

    def __init__(self, model: Builder) -> None:
        self.model = model
        self.t = schema.SubGraphT()
        self.t.tensors, self.t.operators, self.t.inputs, self.t.outputs = [], [], [], []
        model.t.subgraphs.append(self.t)

    def tensor(
        self,
        shape: Any,
        dtype: str,
        data: Any = None,
        scale: Any = None,
        zero: Any = 0,
        axis: int = 0,
        variable: bool = False,
        name: str = "",
    ) -> int:
        t = schema.TensorT()
        t.shape, t.type, t.name, t.isVariable, t.hasRank = (
            [int(n) for n in shape],
            TYPES[dtype],
            (name or f"t{len(self.t.tensors)}").encode(),
            variable,
            True,
        )
        t.buffer = self.model.buffer(data) if data is not None else 0
        if scale is not None:
            q = t.quantization = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, np.float32))
            q.zeroPoint = np.broadcast_to(np.atleast_1d(np.asarray(zero, np.int64)), q.scale.shape).copy()
            q.quantizedDimension = axis
        self.t.tensors.append(t)
        return len(self.t.tensors) - 1

    def constant(self, data: Any, dtype: str | None = None, **quantization: Any) -> int:
        array = np.asarray(data, dtype)
        return self.tensor(array.shape, str(array.dtype), array, **quantization)

    def input(self, shape: Any, dtype: str, **rest: Any) -> int:
        i = self.tensor(shape, dtype, **rest)
        self.t.inputs.append(i)
        return i

    def op(
        self,
        op: str,
        inputs: list[int],
        outputs: list[int],
        custom: bytes = b"",
        intermediates: list[int] | None = None,
        **attrs: Any,
    ) -> None:
        o = schema.OperatorT()
        o.inputs, o.outputs = list(inputs), list(outputs)
        o.opcodeIndex = self.model.code(op)
        if intermediates is not None:
            o.intermediates = intermediates
        if custom:
            o.customOptions = np.frombuffer(custom, np.uint8)
        found = options_class(op)
        if found:
            name, cls = found
            options = cls()
            for key, value in attrs.items():
                assert hasattr(options, key), f"{op} has no option {key}: {sorted(vars(options))}"
                setattr(
                    options, key, ACTIVATIONS[value] if key == "fusedActivationFunction" and isinstance(value, str) else value
                )
            second = hasattr(schema.BuiltinOptions2, name)
            if second:
                o.builtinOptions2Type, o.builtinOptions2 = getattr(schema.BuiltinOptions2, name), options
            else:
                o.builtinOptionsType, o.builtinOptions = getattr(schema.BuiltinOptions, name), options
        else:
            assert not attrs, f"{op} has no options"
        self.t.operators.append(o)

    def outputs(self, *tensors: int) -> None:
        self.t.outputs = list(tensors)


class Builder:
    """A model; its first subgraph is `main`."""

    def __init__(self) -> None:
        self.t = schema.ModelT()
        self.t.version, self.t.subgraphs, self.t.operatorCodes, self.t.buffers = 3, [], [], [schema.BufferT()]
        self.codes: dict[str, int] = {}
        self.main = Subgraph(self)

    def subgraph(self) -> Subgraph:
        return Subgraph(self)

    def buffer(self, data: Any) -> int:
        b = schema.BufferT()
        b.data = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
        if not b.data.size:
            return 0
        self.t.buffers.append(b)
        return len(self.t.buffers) - 1

    def code(self, op: str) -> int:
        if op not in self.codes:
            c = schema.OperatorCodeT()
            number = getattr(schema.BuiltinOperator, op, schema.BuiltinOperator.CUSTOM)
            c.builtinCode, c.deprecatedBuiltinCode, c.version = number, min(number, 127), {"BROADCAST_TO": 2}.get(op, 1)
            if number == schema.BuiltinOperator.CUSTOM:
                c.customCode = op.encode()
            self.codes[op] = len(self.t.operatorCodes)
            self.t.operatorCodes.append(c)
        return self.codes[op]

    def signature(self, key: str, inputs: dict[str, int], outputs: dict[str, int], subgraph: int = 0) -> None:
        s = schema.SignatureDefT()

        def maps(names: dict[str, int]) -> list[Any]:
            out = []
            for name, index in names.items():
                m = schema.TensorMapT()
                m.name, m.tensorIndex = name.encode(), index
                out.append(m)
            return out

        s.signatureKey, s.inputs, s.outputs, s.subgraphIndex = key.encode(), maps(inputs), maps(outputs), subgraph
        self.t.signatureDefs = [*(self.t.signatureDefs or []), s]

    def bytes(self) -> bytes:
        b = flatbuffers.Builder(1 << 16)
        b.Finish(self.t.Pack(b), file_identifier=b"TFL3")
        return bytes(b.Output())


def single(
    op: str, inputs: list[Any], outputs: list[str], constant: tuple[int, ...] = (), **attrs: Any
) -> tuple[bytes, list[np.ndarray]]:
    """One operator on arrays, of which those in `constant` are part of the model."""
    b = Builder()
    q = {"scale": 0.5, "zero": 3}

    def quantization(dtype: str) -> dict[str, Any]:
        return q if dtype in ("int8", "uint8") else {}

    arrays = [np.asarray(x) for x in inputs]
    t = [
        b.main.constant(x, **quantization(str(x.dtype)))
        if i in constant
        else b.main.input(x.shape, str(x.dtype), **quantization(str(x.dtype)))
        for i, x in enumerate(arrays)
    ]
    o = [b.main.tensor([1], dtype, **quantization(dtype)) for dtype in outputs]
    b.main.op(op, t, o, **attrs)
    b.main.outputs(*o)
    return b.bytes(), [x for i, x in enumerate(arrays) if i not in constant]
