"""Operators on single values, and on pairs with broadcasting, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgert import Interpreter

from ..support import (
    ACTIVATIONS,
    Model,
    assert_same_as_reference,
    examples,
    fuse,
    limits,
    quantization,
    reference,
    run,
    scales,
    shapes,
    values,
    zeros,
)

DTYPES = pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])


@st.composite
def broadcast_pair(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: sizes become 1, or leading ones are left out, in one of the two."""
    full = draw(shapes(1, 4))
    a, b = list(full), list(full)
    for i in range(len(full)):
        which = draw(st.sampled_from("..ab"))
        if which == "a":
            a[i] = 1
        elif which == "b":
            b[i] = 1
    cut = draw(st.integers(0, len(full) - 1)) if draw(st.booleans()) else 0
    return (tuple(a), tuple(b[cut:])) if draw(st.booleans()) else (tuple(a[cut:]), tuple(b))


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@DTYPES
@examples(50)
@given(data=st.data())
def test_arithmetic(op: str, dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    a, b = draw(broadcast_pair())
    if draw(st.booleans()):
        b = a
    m = Model()
    qa, qb, qy = (draw(quantization(dtype)) for _ in range(3))
    if dtype != "float32" and op == "MUL":
        qy["scale"] = float(np.float32(qa["scale"] * qb["scale"] * 200 * draw(st.sampled_from([0.1, 1.0, 5.0]))))
    m.input("a", a, dtype, **qa)
    constant = draw(st.booleans())
    second = draw(values(b, dtype))
    if constant:
        m.tensor("b", b, dtype, second, **qb)
    else:
        m.input("b", b, dtype, **qb)
    m.tensor("y", np.broadcast_shapes(a, b), dtype, **qy)
    m.op(op, ["a", "b"], "y", fused_activation_function=draw(ACTIVATIONS))
    assert_same_as_reference(m, [draw(values(a, dtype))] + ([] if constant else [second]), draw(st.sampled_from([1, 2])))


@pytest.mark.parametrize(
    ("op", "dtype"), [*((op, d) for op in ("ADD", "SUB", "MUL") for d in ("int8", "float32")), ("DIV", "float32")]
)
@pytest.mark.parametrize("second", [(1, 251, 199), (1,), (1, 251, 1)])
def test_long_runs_are_divided_among_threads(op: str, dtype: str, second: tuple[int, ...]) -> None:
    m, rng = Model(), np.random.default_rng(7)
    q: dict[str, Any] = {"scale": 0.1, "zero": 3} if dtype == "int8" else {}
    m.input("a", (1, 251, 199), dtype, **q)
    m.input("b", second, dtype, **q)
    m.tensor("y", (1, 251, 199), dtype, **q)
    m.op(op, ["a", "b"], "y", fused_activation_function="NONE")
    x = [(rng.integers(-100, 100, s) + 0.5 * (dtype == "float32")).astype(dtype) for s in ((1, 251, 199), second)]
    with fuse("all"):
        alone, shared = (run(Interpreter(model_content=m.bytes(), num_threads=n), x)[0] for n in (1, 3))
    np.testing.assert_array_equal(alone, shared)
    assert_same_as_reference(m, x, 3)


def all_values(dtype: str) -> np.ndarray:
    if dtype == "float32":
        return np.concatenate([np.linspace(-12, 12, 255), [0.0]]).astype(np.float32)
    low, high = limits(dtype)
    return np.arange(low, high + 1).astype(dtype)


FUNCTIONS = [
    (op, t) for op in ("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH") for t in ("int8", "uint8", "float32")
]


# On 8 bits the reference lacks RELU_N1_TO_1: see test_relu_n1_to_1_on_8_bits.
@pytest.mark.parametrize(("op", "dtype"), [*FUNCTIONS, ("RELU_N1_TO_1", "float32")])
@examples(60)
@given(data=st.data())
def test_function_of_one_value(op: str, dtype: str, data: st.DataObject) -> None:
    """All 256 values of an 8-bit type at once."""
    draw = data.draw
    m = Model()
    m.input("x", (1, 256), dtype, **draw(quantization(dtype)))
    qy = draw(quantization(dtype))
    if dtype != "float32" and op == "LOGISTIC":
        qy = {"scale": 1 / 256, "zero": limits(dtype)[0]}
    m.tensor("y", (1, 256), dtype, **qy)
    attrs = {"alpha": draw(st.floats(-1.5, 1.5, width=32))} if op == "LEAKY_RELU" else {}
    m.op(op, ["x"], "y", **attrs)
    if op in ("LOGISTIC", "TANH") and dtype != "float32":
        assert_same_but_for_ties(op, m, all_values(dtype)[None])
    else:
        assert_same_as_reference(m, [all_values(dtype)[None]])


def assert_same_but_for_ties(op: str, m: Model, x: np.ndarray) -> None:
    """The reference takes the C library's tanhf and expf, which are not always rounded correctly; edgert does not depend on
    them. The two may differ by one where the exact value lies on the border of two integers, as far as float32 can tell."""
    content = m.bytes()
    expected = reference(content, [x])
    assume(expected is not None)
    (got,), (want,) = run(Interpreter(model_content=content), [x]), expected or []
    qx, qy = m.graph.tensors["x"].quantization, m.graph.tensors["y"].quantization
    real = float(qx.scale[0]) * (x.astype(np.float64) - qx.zero_point[0])
    exact = (np.tanh(real) if op == "TANH" else 1 / (1 + np.exp(-real))) / float(qy.scale[0])
    tie = np.abs(np.abs(exact - np.floor(exact)) - 0.5) < 1e-6 * np.maximum(np.abs(exact), 1)
    difference = np.abs(got.astype(int) - want.astype(int))
    assert (difference[~tie] == 0).all() and (difference <= 1).all()


@DTYPES
@examples(60)
@given(data=st.data())
def test_softmax(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = draw(st.one_of(shapes(1, 4, 12), shapes(1, 2, 300), shapes(1, 3).map(lambda s: (*s, 2))))
    m = Model()
    q = {} if dtype == "float32" else {"scale": draw(scales(1e-3, 1.0)), "zero": draw(zeros(dtype))}
    m.input("x", shape, dtype, **q)
    m.tensor("y", shape, dtype, **({} if dtype == "float32" else {"scale": 1 / 256, "zero": limits(dtype)[0]}))
    m.op("SOFTMAX", ["x"], "y", beta=draw(st.sampled_from([1.0, 1.0, 0.5, 2.0, 10.0])))
    assert_same_as_reference(m, [draw(values(shape, dtype))])


@pytest.mark.parametrize("op", ["EXP", "LOGISTIC", "SOFTMAX"])
@examples(10)
@given(scale=scales(1e-3, 0.2))
def test_floats_between_integers_are_the_reference_s(op: str, scale: float) -> None:
    """To the last bit: in a quantized model it decides the next integer."""
    m = Model()
    m.input("x", (1, 256), "int8", scale, 3)
    m.tensor("real", (1, 256), "float32")
    m.tensor("y", (1, 256), "float32")
    m.op("DEQUANTIZE", ["x"], "real")
    m.op(op, ["real"], "y", **({"beta": 1.0} if op == "SOFTMAX" else {}))
    content, x = m.bytes(), all_values("int8")[None]
    expected = reference(content, [x])
    assert expected is not None
    for got, want in zip(run(Interpreter(model_content=content), [x]), expected):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [256, 1001])
def test_softmax_of_many_classes(n: int) -> None:
    m = Model()
    m.input("x", (2, n), "int8", 0.07, 3)
    m.tensor("y", (2, n), "int8", None, 1 / 256, -128)
    m.op("SOFTMAX", ["x"], "y")
    rng = np.random.default_rng(0)
    assert_same_as_reference(m, [rng.integers(-128, 128, (2, n)).astype(np.int8)])


def test_softmax_of_many_equal_classes() -> None:
    """1/1001 is a quarter of the last bit. The reference's own arithmetic aborts here."""
    m = Model()
    m.input("x", (1, 1001), "int8", 0.07, 3)
    m.tensor("y", (1, 1001), "int8", None, 1 / 256, -128)
    m.op("SOFTMAX", ["x"], "y")
    (y,) = run(Interpreter(model_content=m.bytes()), [np.full((1, 1001), 7, np.int8)])
    assert (y == -128).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_relu_n1_to_1_on_8_bits(dtype: str) -> None:
    """The reference has it for float only; with equal scales it is a clamp at -1 and 1."""
    m = Model()
    zero = limits(dtype)[0] + 100
    m.input("x", (1, 256), dtype, 0.02, zero)
    m.tensor("y", (1, 256), dtype, None, 0.02, zero)
    m.op("RELU_N1_TO_1", ["x"], "y")
    (y,) = run(Interpreter(model_content=m.bytes()), [all_values(dtype)[None]])
    np.testing.assert_array_equal(y[0], np.clip(all_values(dtype).astype(int), zero - 50, zero + 50))


@pytest.mark.parametrize("to", ["int8", "uint8"])
@DTYPES
@examples(40)
@given(data=st.data())
def test_quantize(dtype: str, to: str, data: st.DataObject) -> None:
    draw = data.draw
    m = Model()
    qx, qy = draw(quantization(dtype)), draw(quantization(to))
    if qx and draw(st.booleans()):
        qy["scale"] = qx["scale"]
    m.input("x", (1, 256), dtype, **qx)
    m.tensor("y", (1, 256), to, **qy)
    m.op("QUANTIZE", ["x"], "y")
    assert_same_as_reference(m, [all_values(dtype)[None]])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@examples(40)
@given(data=st.data())
def test_dequantize(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    m = Model()
    m.input("x", (1, 256), dtype, **draw(quantization(dtype)))
    m.tensor("y", (1, 256), "float32")
    m.op("DEQUANTIZE", ["x"], "y")
    assert_same_as_reference(m, [all_values(dtype)[None]])


def test_dequantize_of_all_halves() -> None:
    m = Model()
    x = np.arange(65536, dtype=np.uint16).view(np.float16)
    m.tensor("x", (65536,), "float16", x)
    m.input("z", (1,), "float32")
    m.tensor("f", (65536,), "float32")
    m.op("DEQUANTIZE", ["x"], "f")
    it = Interpreter(model_content=m.bytes())
    it.allocate_tensors()
    it.invoke()
    np.testing.assert_array_equal(it.get_tensor(it.get_output_details()[0]["index"]), x.astype(np.float32))
