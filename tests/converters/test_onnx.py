"""ONNX models: operators against ONNX's own tests, whole graphs against its reference evaluator, and what is refused."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgert.converters import passes
from edgert.converters.calibrate import Samples
from edgert.converters.convert import convert
from edgert.converters.export import to_tflite
from edgert.converters.importers import load
from edgert.converters.importers.onnx import read_onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgert import ConversionError, Interpreter, ModelError

from ..support import reference, run, run_graph
from .onnx_nodes import cases, failure, in_the_table

ROOT = Path(__file__).resolve().parents[2]


def test_node_tests_of_onnx() -> None:
    """At least 80% of those that have only operators of the table; docs/onnx.md lists the others with the reason."""
    known = [c for c in cases() if in_the_table(c.model)]
    failed = [c.name for c in known if failure(c)]
    assert len(known) > 1000
    assert len(failed) <= 0.2 * len(known), failed


def test_page_is_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/importer_pages.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- whole graphs


class Maker:
    """An ONNX graph of one input, operator by operator."""

    def __init__(self, shape: tuple[Any, ...], seed: int = 0, opset: int = 17) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.shape, self.opset = shape, opset

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def random(self, *shape: int) -> str:
        fan = max(1, int(np.prod(shape[1:])))
        return self.const(self.rng.standard_normal(shape) / np.sqrt(fan))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attrs: Any) -> Any:
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{len(self.nodes)}", **attrs))
        return names[0] if outputs == 1 else names

    def model(self, *outputs: str) -> Any:
        info = [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs]
        given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)]
        graph = helper.make_graph(self.nodes, "test", given, info, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)


def agree(model: Any, shape: tuple[int, ...], keep_layout: bool = False, seed: int = 0) -> Any:
    """Runs both, compares, and gives edgert's graph."""
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    expected = ReferenceEvaluator(model).run(None, {"x": x})
    graph = read_onnx(model)
    inputs, outputs = passes.optimize(graph, keep_layout)
    fed = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if inputs else x
    results = run(Interpreter(model_content=to_tflite(graph)), [fed])
    for name, got, want in zip(graph.output_names, results, expected):
        got = np.moveaxis(got, -1, 1) if name in outputs else got
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=1e-4 * max(1.0, float(np.abs(want).max())))
    return graph


def residual_network(m: Maker) -> str:
    """Padding that is not TFLite's, batch norm, squeeze and excitation, hard-swish by hand, a residual sum, a classifier."""
    y = m.op("Conv", "x", m.random(8, 3, 3, 3), m.random(8), pads=[1, 1, 1, 1], strides=[2, 2])
    y = m.op("BatchNormalization", y, m.random(8), m.random(8), m.random(8), m.const(m.rng.uniform(0.5, 2, 8)))
    gate = m.op("Clip", m.op("Add", y, m.const(3.0)), m.const(0.0), m.const(6.0))
    y = m.op("Div", m.op("Mul", y, gate), m.const(6.0))
    z = m.op("Relu", m.op("Conv", y, m.random(8, 1, 3, 3), group=8, pads=[1, 1, 1, 1]))
    s = m.op("GlobalAveragePool", z)
    s = m.op("Sigmoid", m.op("Conv", s, m.random(8, 8, 1, 1)))
    y = m.op("Add", m.op("Mul", z, s), y)
    y = m.op("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = m.op("Flatten", m.op("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2]))
    return str(m.op("Softmax", m.op("Gemm", y, m.random(5, 8 * 4), m.random(5), transB=1)))


def test_nchw_becomes_nhwc_without_a_transpose() -> None:
    m = Maker((None, 3, 16, 16))
    graph = agree(m.model(residual_network(m)), (1, 3, 16, 16))
    kinds = [n.op for n in graph.nodes]
    assert "TRANSPOSE" not in kinds and kinds.count("HARD_SWISH") == 1 and "DIV" not in kinds
    assert graph.tensors[graph.inputs[0]].shape == (1, 16, 16, 3)


def test_keep_layout() -> None:
    m = Maker((1, 3, 16, 16))
    y = m.op("Conv", "x", m.random(4, 3, 3, 3), pads=[1, 1, 1, 1])
    graph = agree(m.model(y), (1, 3, 16, 16), keep_layout=True)
    assert [n.op for n in graph.nodes] == ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), steps=st.lists(st.integers(0, 13), min_size=2, max_size=7))
def test_drawn_graphs(seed: int, steps: list[int]) -> None:
    """Operators that transposes sink through, in any order, give what they gave before."""
    c = 4
    m = Maker((1, c, 6, 6), seed)
    values = ["x"]
    for step in steps:
        y = values[int(m.rng.integers(len(values)))]
        other = values[int(m.rng.integers(len(values)))]
        made = {
            0: lambda y, o: m.op("Conv", y, m.random(c, c, 3, 3), pads=[1, 1, 1, 1]),
            1: lambda y, o: m.op("Conv", y, m.random(c, 2, 3, 3), group=2, pads=[2, 2, 2, 2], dilations=[2, 2]),
            2: lambda y, o: m.op("Add", y, o),
            3: lambda y, o: m.op("Mul", y, m.random(c, 1, 1)),
            4: lambda y, o: m.op("Slice", m.op("Concat", y, o, axis=1), m.const([1], np.int64), m.const([1 + c], np.int64), m.const([1], np.int64)),
            5: lambda y, o: m.op("Sub", y, m.op("ReduceMean", y, axes=[1], keepdims=1)),
            6: lambda y, o: m.op("Transpose", y, perm=[0, 1, 3, 2]),
            7: lambda y, o: m.op("Slice", m.op("Pad", y, m.const([0, 0, 1, 0, 0, 0, 0, 1], np.int64)), m.const([1, 1], np.int64), m.const([7, 7], np.int64), m.const([2, 3], np.int64)),
            8: lambda y, o: m.op("PRelu", y, m.random(c, 1, 1)),
            9: lambda y, o: m.op("Mul", y, m.op("Sigmoid", m.op("GlobalAveragePool", o))),
            10: lambda y, o: m.op("Reshape", m.op("Reshape", y, m.const([1, c, 36], np.int64)), m.const([1, c, 6, 6], np.int64)),
            11: lambda y, o: m.op("Resize", m.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2]), "", m.const([1, 1, 2, 2]), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
            12: lambda y, o: m.op("Softmax", y, axis=1),
            13: lambda y, o: m.op("Where", m.op("Greater", y, o), y, m.op("Neg", o)),
        }[step](y, other)  # fmt: skip
        values.append(made)
    agree(m.model(values[-1], values[len(values) // 2]), (1, c, 6, 6), seed=seed)


def test_gelu_and_layer_norm() -> None:
    m = Maker((1, 5, 8))
    y = m.op("LayerNormalization", "x", m.random(8), m.random(8), axis=-1)
    y = m.op("MatMul", y, m.random(8, 16))
    e = m.op("Add", m.op("Erf", m.op("Div", y, m.const(np.sqrt(2)))), m.const(1.0))
    y = m.op("Mul", m.op("Mul", y, e), m.const(0.5))
    graph = agree(m.model(y), (1, 5, 8))
    assert [n.op for n in graph.nodes].count("GELU") == 1
    m = Maker((1, 64))
    agree(m.model(m.op("Erf", "x")), (1, 64))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent(kind: str) -> None:
    """Forward only, as the reference evaluator has them; other directions are in ONNX's node tests."""
    direction, gates, units, ways = "forward", {"LSTM": 4, "GRU": 3, "RNN": 1}[kind], 5, 1
    m = Maker((6, 1, 3))
    weights = [m.random(ways, gates * units, 3), m.random(ways, gates * units, units), m.random(ways, 2 * gates * units)]
    y, h = m.op(kind, "x", *weights, outputs=2, hidden_size=units, direction=direction)
    agree(m.model(y, h), (6, 1, 3))


def test_quantized_models_keep_their_scales(tmp_path: Path) -> None:
    """QDQ: scales, zero points and integers of weights are those of the model; no calibration data is needed."""
    m = Maker((1, 3, 8, 8), opset=19)

    def qdq(x: str, scale: float, zero: int) -> str:
        args = (m.const(scale), m.const(zero, np.uint8))
        return str(m.op("DequantizeLinear", m.op("QuantizeLinear", x, *args), *args))

    weights = m.rng.integers(-90, 90, (4, 3, 3, 3))
    scales = np.array([0.01, 0.02, 0.015, 0.005], np.float32)
    w = m.op("DequantizeLinear", m.const(weights, np.int8), m.const(scales), m.const(np.zeros(4), np.int8), axis=0)
    y = qdq(m.op("Relu", m.op("Conv", qdq("x", 0.03, 120), w, pads=[1, 1, 1, 1])), 0.05, 0)
    model = m.model(y)
    onnx.save(model, str(tmp_path / "q.onnx"))
    result = convert(tmp_path / "q.onnx")
    assert [n.op for n in result.graph.nodes] == ["CONV_2D"]
    node = result.graph.nodes[0]
    tensors = [result.graph.tensors[n] for n in (node.inputs[0], node.inputs[1], node.outputs[0])]
    x_q, w_q, y_q = (t.quantization for t in tensors)
    assert (float(x_q.scale[0]), int(x_q.zero_point[0])) == (np.float32(0.03), 120 - 128)
    assert (float(y_q.scale[0]), int(y_q.zero_point[0])) == (np.float32(0.05), -128)
    np.testing.assert_array_equal(w_q.scale, scales)
    np.testing.assert_array_equal(tensors[1].data, weights.transpose(0, 2, 3, 1))
    x = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    q = np.clip(np.rint(x / np.float32(0.03)) + 120 - 128, -128, 127).astype(np.int8)
    inputs = [np.ascontiguousarray(q.transpose(0, 2, 3, 1))]
    (got,) = run(Interpreter(model_content=result.model), inputs)
    (theirs,) = reference(result.model, inputs)
    np.testing.assert_array_equal(got, theirs)
    assert np.abs((got.astype(np.float32) + 128) * np.float32(0.05) - expected.transpose(0, 2, 3, 1)).max() < 0.051


# ---- what is refused


def test_refusals(tmp_path: Path) -> None:
    m = Maker((1, 4))
    y = m.op("Nonsense", m.op("StringSplit", "x"))
    onnx.save(m.model(y), str(tmp_path / "unknown.onnx"))
    with pytest.raises(ConversionError, match=r'unknown.onnx.*"StringSplit_0" \(StringSplit\), "Nonsense_1" \(Nonsense\)'):
        load(tmp_path / "unknown.onnx")
    m = Maker((1, 3, "height", "width"))
    onnx.save(m.model(m.op("Relu", "x")), str(tmp_path / "open.onnx"))
    with pytest.raises(ConversionError, match=r"--shape x=1,3,N,N"):
        load(tmp_path / "open.onnx")
    assert load(tmp_path / "open.onnx", shapes={"x": (1, 3, 4, 4)}).tensors["x"].shape == (1, 3, 4, 4)
    with pytest.raises(ConversionError, match="does not fit"):
        load(tmp_path / "open.onnx", shapes={"x": (1, 5, 4, 4)})
    with pytest.raises(ConversionError, match='has no input "y"; its inputs are x'):
        load(tmp_path / "open.onnx", shapes={"y": (1,)})
    whole = (tmp_path / "open.onnx").read_bytes()
    for i, content in enumerate([b"", b"hello, world", whole[: len(whole) // 2], bytes(1000)]):
        (tmp_path / f"{i}.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=f"{i}.onnx: not an ONNX model"):
            load(tmp_path / f"{i}.onnx")
    (tmp_path / "m.pth").write_bytes(b"x")
    with pytest.raises(ConversionError, match=r"pickle.*pt2"):
        load(tmp_path / "m.pth")


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_are_refused(data: st.DataObject) -> None:
    """Bytes that are changed give a model or a sentence."""
    m = Maker((1, 3, 8, 8))
    content = bytearray(m.model(residual_network_small(m)).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ModelError, ConversionError):
        to_tflite(passes.run(read_onnx(bytes(content))))


def residual_network_small(m: Maker) -> str:
    y = m.op("Relu", m.op("Conv", "x", m.random(4, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]))
    y = m.op("Reshape", m.op("MaxPool", y, kernel_shape=[2, 2]), m.const([1, -1], np.int64))
    return str(m.op("Gemm", y, m.random(36, 3)))


def test_int8_and_channels_first_calibration(tmp_path: Path) -> None:
    """Calibration arrays in the order of the original model are taken for what they are."""
    m = Maker((1, 3, 16, 16))
    onnx.save(m.model(residual_network(m)), str(tmp_path / "m.onnx"))
    x = np.random.default_rng(0).standard_normal((40, 3, 16, 16)).astype(np.float32)
    np.save(tmp_path / "first.npy", x)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    a = convert(tmp_path / "m.onnx", str(tmp_path / "first.npy"))
    b = convert(tmp_path / "m.onnx", Samples((last,)))
    assert a.model == b.model and a.channels_last == ("x",) and not a.kept_float


@pytest.mark.parametrize("size", [3, 4, 5])
def test_local_response_normalization_has_all_neighbours(size: int) -> None:
    """Against the formula: onnx's own evaluator computes the first channel only (1.22), and its tests have so small an alpha that they pass."""
    m = Maker((1, 7, 3, 4))
    x = np.random.default_rng(0).standard_normal((1, 7, 3, 4)).astype(np.float32)
    graph = load(m.model(m.op("LRN", "x", size=size, alpha=2.0, beta=0.6, bias=1.5)))
    before = (size - 1) // 2
    padded = np.pad(np.square(x), ((0, 0), (before, size - 1 - before), (0, 0), (0, 0)))
    total = sum(padded[:, i : i + 7] for i in range(size))
    np.testing.assert_allclose(run_graph(graph, [x])[0], x * (1.5 + 2.0 / size * total) ** -0.6, rtol=1e-5, atol=1e-6)
