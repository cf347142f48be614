"""Functions of two values, comparisons and choices, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ..build import Builder
from ..support import ACTIVATIONS, assert_same_as_reference, examples, numbers, quantization, scales, values
from .test_elementwise import broadcast_pair


def two(
    op: str, x: np.ndarray, z: np.ndarray, out: str, qx: dict[str, Any], qz: dict[str, Any], qy: dict[str, Any], **attrs: Any
) -> bytes:
    b = Builder()
    i, k = b.main.input(x.shape, str(x.dtype), **qx), b.main.input(z.shape, str(z.dtype), **qz)
    o = b.main.tensor(np.broadcast_shapes(x.shape, z.shape), out, **qy)
    b.main.op(op, [i, k], [o], **attrs)
    b.main.outputs(o)
    return b.bytes()


WHOLE = [
    ("ADD", "int32"), ("ADD", "int64"), ("SUB", "int32"), ("SUB", "int64"), ("MUL", "int32"), ("MUL", "int64"), ("DIV", "float32"), ("DIV", "int32"),
    ("FLOOR_DIV", "float32"), ("FLOOR_DIV", "int32"), ("FLOOR_DIV", "int16"), ("FLOOR_DIV", "int8"), ("FLOOR_MOD", "float32"), ("FLOOR_MOD", "int32"),
    ("FLOOR_MOD", "int64"), ("FLOOR_MOD", "int16"), ("FLOOR_MOD", "int8"), ("MAXIMUM", "float32"), ("MAXIMUM", "int32"), ("MAXIMUM", "int64"), ("MAXIMUM", "int8"),
    ("MAXIMUM", "uint8"), ("MAXIMUM", "int16"), ("MINIMUM", "float32"), ("MINIMUM", "int32"), ("MINIMUM", "int64"), ("MINIMUM", "int8"), ("MINIMUM", "uint8"),
    ("MINIMUM", "int16"), ("SQUARED_DIFFERENCE", "float32"), ("SQUARED_DIFFERENCE", "int32"), ("ATAN2", "float32"), ("ATAN2", "float64"),
    ("BITWISE_XOR", "int8"), ("BITWISE_XOR", "uint8"), ("BITWISE_XOR", "int16"), ("BITWISE_XOR", "uint16"), ("BITWISE_XOR", "int32"), ("BITWISE_XOR", "uint32"),
    ("RIGHT_SHIFT", "int8"), ("RIGHT_SHIFT", "uint8"), ("RIGHT_SHIFT", "int16"), ("RIGHT_SHIFT", "uint16"), ("RIGHT_SHIFT", "int32"), ("RIGHT_SHIFT", "uint32"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "dtype"), WHOLE)
@examples(6)
@given(data=st.data())
def test_plain(op: str, dtype: str, data: st.DataObject) -> None:
    a, b = data.draw(broadcast_pair())
    if op == "ATAN2":  # the reference does not broadcast it
        b = a
    x, z = numbers(data, a, dtype), numbers(data, b, dtype)
    if op in ("DIV", "FLOOR_DIV", "FLOOR_MOD"):
        z = np.where(z == 0, np.ones_like(z), z)
    if op == "RIGHT_SHIFT":
        z = np.abs(z)
    attrs = {"fusedActivationFunction": data.draw(ACTIVATIONS)} if op in ("ADD", "SUB", "MUL", "DIV") else {}
    assert_same_as_reference(two(op, x, z, dtype, {}, {}, {}, **attrs), [x, z])


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@examples(8)
@given(data=st.data())
def test_pow(dtype: str, data: st.DataObject) -> None:
    a, b = data.draw(broadcast_pair())
    x, z = (np.abs(numbers(data, s, dtype)) for s in (a, b))
    x, z = (x % 9).astype(dtype), (z % 4).astype(dtype)
    assert_same_as_reference(two("POW", x, z, dtype, {}, {}, {}), [x, z])


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@examples(20)
@given(data=st.data())
def test_int16(op: str, data: st.DataObject) -> None:
    a, b = data.draw(broadcast_pair())
    x, z = (data.draw(values(s, "int16")) for s in (a, b))
    qx, qz, qy = ({"scale": data.draw(scales(1e-5, 1e-2)), "zero": 0} for _ in range(3))
    attrs: dict[str, Any] = {"fusedActivationFunction": data.draw(ACTIVATIONS)}
    if op != "MUL":
        attrs["potScaleInt16"] = False
    assert_same_as_reference(two(op, x, z, "int16", qx, qz, qy, **attrs), [x, z])


@pytest.mark.parametrize("op", ["ADD", "SUB"])
@examples(12)
@given(data=st.data())
def test_int16_powers_of_two(op: str, data: st.DataObject) -> None:
    a, _ = data.draw(broadcast_pair())  # the reference aborts where it has to broadcast
    x, z = (data.draw(values(a, "int16")) for _ in range(2))
    exponent, finer = data.draw(st.integers(-14, -9)), data.draw(st.integers(0, 6))
    qx, qz, qy = ({"scale": 2.0**e, "zero": 0} for e in (exponent - finer, exponent, exponent))
    assert_same_as_reference(two(op, x, z, "int16", qx, qz, qy, potScaleInt16=True), [x, z])


@pytest.mark.parametrize(("op", "dtype"), [("DIV", "uint8"), ("DIV", "int8"), ("DIV", "int16"), ("SQUARED_DIFFERENCE", "int8")])
@examples(30)
@given(data=st.data())
def test_quantized(op: str, dtype: str, data: st.DataObject) -> None:
    a, b = data.draw(broadcast_pair())
    x, z = (data.draw(values(s, dtype)) for s in (a, b))
    qx, qz, qy = (dict(data.draw(quantization(dtype)), **({"zero": 0} if dtype == "int16" else {})) for _ in range(3))
    if op == "DIV":
        qx["scale"], qz["scale"], qy["scale"] = 1.0, data.draw(scales(0.01, 1)), data.draw(scales(0.01, 1))
        z[z == qz["zero"]] = qz["zero"] - 1 if qz["zero"] == np.iinfo(dtype).max else qz["zero"] + 1
        # Quotients near 0, and of 0, make the reference shift by more than 31 bits: those become what is not near it.
        x[x == qx["zero"]] = qx["zero"] - 1 if qx["zero"] > 0 else qx["zero"] + 1
        unit = qx["scale"] / (qz["scale"] * qy["scale"])
        q = (x.astype(int) - qx["zero"]) / (z.astype(int) - qz["zero"]) * unit
        assume(q.size == 0 or np.abs(q).min() > 0.5)
    assert_same_as_reference(two(op, x, z, dtype, qx, qz, qy), [x, z])


COMPARISONS = ["EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"]


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "int8", "uint8", "int16", "bool"])
@pytest.mark.parametrize("op", COMPARISONS)
@examples(5)
@given(data=st.data())
def test_comparisons(op: str, dtype: str, data: st.DataObject) -> None:
    if dtype == "bool" and op not in ("EQUAL", "NOT_EQUAL"):
        return
    a, b = data.draw(broadcast_pair())
    x, z = (numbers(data, s, dtype, -5, 5) for s in (a, b))
    x, z = (np.round(v) if dtype == "float32" else v for v in (x, z))
    q: list[dict[str, Any]] = [{}, {}]
    if dtype in ("int8", "uint8", "int16"):
        q = [
            {"scale": data.draw(scales(1e-2, 0.9)), "zero": 0 if dtype == "int16" else data.draw(st.integers(0, 5))}
            for _ in range(2)
        ]
        if data.draw(st.booleans()):
            q[1] = q[0]
    assert_same_as_reference(two(op, x, z, "bool", q[0], q[1], {}), [x, z])


@pytest.mark.parametrize("op", ["LOGICAL_AND", "LOGICAL_OR"])
@examples(8)
@given(data=st.data())
def test_logic(op: str, data: st.DataObject) -> None:
    a, b = data.draw(broadcast_pair())
    x, z = (numbers(data, s, "bool") for s in (a, b))
    assert_same_as_reference(two(op, x, z, "bool", {}, {}, {}), [x, z])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int16"])
@examples(15)
@given(data=st.data())
def test_prelu(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 4))
    alpha = tuple(data.draw(st.sampled_from([1, n])) for n in shape[1:])
    by = "int8" if dtype == "int16" else dtype  # 16-bit values have 8-bit slopes
    x, w = data.draw(values(shape, dtype)), data.draw(values(alpha, by))
    qx, qw, qy = (data.draw(quantization(t)) for t in (dtype, by, dtype))
    if dtype == "int16":
        qx, qy = dict(qx, zero=0), dict(qy, zero=0)
    b = Builder()
    i, k, o = b.main.input(shape, dtype, **qx), b.main.constant(w, **qw), b.main.tensor(shape, dtype, **qy)
    b.main.op("PRELU", [i, k], [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16", "int32", "int64", "bool"])
@pytest.mark.parametrize("op", ["SELECT", "SELECT_V2"])
@examples(6)
@given(data=st.data())
def test_select(op: str, dtype: str, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))
    parts = [shape] * 3
    if op == "SELECT_V2":
        parts = [tuple(data.draw(st.sampled_from([1, n])) for n in shape) for _ in range(3)]
    elif data.draw(st.booleans()):
        parts[0] = shape[:1]
    c, x, z = numbers(data, parts[0], "bool"), numbers(data, parts[1], dtype), numbers(data, parts[2], dtype)
    b = Builder()
    t = [b.main.input(v.shape, str(v.dtype)) for v in (c, x, z)]
    o = b.main.tensor(shape, dtype)
    b.main.op(op, t, [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [c, x, z])


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@examples(8)
@given(data=st.data())
def test_add_n(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))
    xs = [numbers(data, shape, dtype) for _ in range(data.draw(st.integers(2, 5)))]
    b = Builder()
    t = [b.main.input(shape, dtype) for _ in xs]
    o = b.main.tensor(shape, dtype)
    b.main.op("ADD_N", t, [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), xs)
