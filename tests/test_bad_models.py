"""Models that are not sound: each has a precise error; none crashes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgert.converters.ir import Node
from hypothesis import given
from hypothesis import strategies as st

import edgert
from edgert import EdgertError, Interpreter, ModelError, UnsupportedError

from .build import Builder
from .support import Model, examples

GOOD = (Path(__file__).resolve().parent.parent / "native/tests/data/int8.tflite").read_bytes()


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"TFL", "too short"),
        (b"PK\x03\x04 this is a zip file", "not a .tflite file"),
        (GOOD[: len(GOOD) // 2], "malformed FlatBuffer"),
        (GOOD[:-200], "malformed FlatBuffer"),
        (struct.pack("<I", 1 << 30) + GOOD[4:], "malformed FlatBuffer"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(ModelError, match=message) as e:
        Interpreter(model_path=path)
    assert str(path) in str(e.value) and "\n" not in str(e.value)
    with pytest.raises(ModelError):
        Interpreter(model_content=data)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.tflite: cannot open the file: No such file"):
        Interpreter(model_path=tmp_path / "nothing.tflite")
    with pytest.raises(ModelError, match="this is a directory, not a model file"):
        Interpreter(model_path=tmp_path)
    # As tflite_runtime: these are ValueErrors too.
    with pytest.raises(ValueError):
        edgert.load(tmp_path)


def test_all_unknown_operators_in_one_message() -> None:
    m = Model()
    m.input("x", (1, 4), "float32")
    for name in "abcd":
        m.tensor(name, (1, 4), "float32")
    m.graph.nodes = [
        Node("SKIP_GRAM", ["x"], ["a"]),
        Node("DELEGATE", ["a"], ["b"]),
        Node("SKIP_GRAM", ["b"], ["c"]),
        Node("RELU", ["c"], ["d"]),
    ]
    m.graph.outputs = ["d"]
    with pytest.raises(UnsupportedError, match=r"SKIP_GRAM \(op 0\); DELEGATE \(op 1\)$"):
        Interpreter(model_content=m.bytes())


def test_unknown_type_is_named() -> None:
    m = Model()
    m.input("x", (1, 4), "int16", 0.1)
    m.tensor("y", (1, 4), "int16", None, 0.1)
    m.op("SIN", ["x"], "y")
    with pytest.raises(UnsupportedError, match=r"SIN on int16 \(op 0\)"):
        Interpreter(model_content=m.bytes())


def broken(change) -> Model:  # type: ignore[no-untyped-def]
    """A good convolution, then `change`d."""
    m = Model()
    m.input("x", (1, 6, 6, 4), "int8", 0.1)
    m.tensor("w", (8, 3, 3, 4), "int8", np.ones((8, 3, 3, 4), np.int8), 0.1)
    m.tensor("b", (8,), "int32", np.zeros(8, np.int32), 0.01)
    m.tensor("y", (1, 6, 6, 8), "int8", None, 0.1)
    m.op("CONV_2D", ["x", "w", "b"], "y", padding="SAME")
    change(m)
    return m


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.graph.nodes[0].attrs.update(stride_h=0), "stride 0 .* expected at least 1"),
        (lambda m: m.graph.nodes[0].attrs.update(dilation_w_factor=2**30), "too large"),
        (lambda m: m.graph.nodes[0].attrs.update(padding="VALID", dilation_h_factor=5), "does not fit the input"),
        (lambda m: setattr(m.graph.tensors["x"], "shape", (1, 6, 6, 3)), "3 channels and its weights 4"),
        (lambda m: setattr(m.graph.tensors["x"], "shape", (6, 6, 4)), "rank 3, expected 4"),
        (lambda m: setattr(m.graph.tensors["x"], "quantization", None), "input is int8 without a scale"),
        (lambda m: setattr(m.graph.tensors["b"], "dtype", "float32"), "bias is float32, expected int32"),
        (lambda m: setattr(m.graph.tensors["y"], "dtype", "uint8"), "output is uint8, expected int8"),
        (lambda m: setattr(m.graph.tensors["x"], "shape", (1 << 20, 1 << 20, 6, 4)), "more elements than fit|more than 2 GiB"),
        (lambda m: m.graph.nodes[0].attrs.update(fused_activation_function="TANH"), "fused activation number 4"),
        (lambda m: m.graph.nodes[0].inputs.append("x"), "has 4 inputs, expected 2 to 3"),
    ],
)
def test_operators_that_do_not_fit(change, message: str) -> None:  # type: ignore[no-untyped-def]
    model = broken(change).bytes()
    with pytest.raises(EdgertError, match=message) as e:
        it = Interpreter(model_content=model)
        it.allocate_tensors()
    assert 'op 0 CONV_2D "y"' in str(e.value) or "tensor" in str(e.value) or "input" in str(e.value)


def test_a_buffer_of_the_wrong_size() -> None:
    m = broken(lambda m: None)
    m.graph.tensors["w"].shape = (8, 3, 3, 5)
    with pytest.raises(ModelError, match=r'tensor \d+ "w" has 288 bytes of data, expected 360'):
        Interpreter(model_content=m.bytes())


def test_a_value_that_nothing_makes() -> None:
    m = broken(lambda m: None)
    content = m.bytes()
    m.graph.inputs = []
    m.graph.check = lambda: None  # type: ignore[method-assign]
    with pytest.raises(ModelError, match=r'op 0 CONV_2D "y": it reads tensor \d+ "x", which no operator before it writes'):
        Interpreter(model_content=m.bytes()).allocate_tensors()
    Interpreter(model_content=content).allocate_tensors()


def test_names_cannot_break_the_message() -> None:
    m = Model()
    m.input("a\nb\x1b[31m", (1, 4), "int16", 0.1)
    m.tensor("y", (1, 4), "int8", None, 0.1)
    m.op("SIN", ["a\nb\x1b[31m"], "y")
    with pytest.raises(UnsupportedError) as e:
        Interpreter(model_content=m.bytes())
    assert "\n" not in str(e.value) and "\x1b" not in str(e.value)


@examples(300)
@given(cut=st.integers(0, len(GOOD)), at=st.integers(0, len(GOOD) - 1), value=st.binary(min_size=1, max_size=8))
def test_damaged_copies_run_or_raise(cut: int, at: int, value: bytes) -> None:
    data = bytearray(GOOD)
    data[at : at + len(value)] = value
    if cut % 3 == 0:
        data = data[:cut]
    try:
        it = Interpreter(model_content=bytes(data))
        it.allocate_tensors()
        if it._memory()["arena"] < 1 << 26:
            it.invoke()
    except (EdgertError, ValueError) as e:
        assert str(e) and "\n" not in str(e)


def test_values_quantized_by_blocks_are_named() -> None:
    b = Builder()
    x = b.main.input((1, 32), "float32")
    w = b.main.constant(np.zeros((2, 32), np.int8), scale=0.1)
    q = b.main.t.tensors[w].quantization
    q.detailsType, q.details = schema.QuantizationDetails.BlockwiseQuantization, schema.BlockwiseQuantizationT()
    y = b.main.tensor((1, 2), "float32")
    b.main.op("FULLY_CONNECTED", [x, w], [y])
    b.main.outputs(y)
    with pytest.raises(UnsupportedError, match="FULLY_CONNECTED with values quantized by blocks"):
        Interpreter(model_content=b.bytes())
