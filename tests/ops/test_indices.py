"""Arithmetic on int32, CAST, PACK, UNPACK, GATHER_ND, and the float functions beside them, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder
from ..support import Model, assert_same_as_reference, examples, quantization, reference, run, shapes, values
from .test_elementwise import broadcast_pair


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL", "FLOOR_DIV"])
@examples(30)
@given(data=st.data())
def test_int32_arithmetic(op: str, data: st.DataObject) -> None:
    draw = data.draw
    a, b = draw(broadcast_pair())
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    most = draw(st.sampled_from([5, 1000, 40000]))
    x, y = rng.integers(-most, most + 1, a).astype(np.int32), rng.integers(-most, most + 1, b).astype(np.int32)
    if op == "FLOOR_DIV":
        y[y == 0] = -1
    m = Model()
    m.input("a", a, "int32")
    m.input("b", b, "int32")
    m.tensor("y", np.broadcast_shapes(a, b), "int32")
    attrs = {} if op == "FLOOR_DIV" else {"fused_activation_function": draw(st.sampled_from(["NONE", "NONE", "RELU"]))}
    m.op(op, ["a", "b"], "y", **attrs)
    assert_same_as_reference(m, [x, y], draw(st.sampled_from([1, 2])))


@pytest.mark.parametrize("op", ["DIV", "FLOOR_DIV"])
@examples(20)
@given(data=st.data())
def test_float_division(op: str, data: st.DataObject) -> None:
    draw = data.draw
    a, b = draw(broadcast_pair())
    m = Model()
    m.input("a", a, "float32")
    m.input("b", b, "float32")
    m.tensor("y", np.broadcast_shapes(a, b), "float32")
    m.op(op, ["a", "b"], "y")
    divisor = draw(values(b, "float32"))
    assert_same_as_reference(m, [draw(values(a, "float32")), np.where(np.abs(divisor) < 0.05, 1, divisor).astype(np.float32)])


def test_sqrt() -> None:
    m = Model()
    x = np.linspace(0, 50, 333, dtype=np.float32)
    m.input("x", x.shape, "float32")
    m.tensor("y", x.shape, "float32")
    m.op("SQRT", ["x"], "y")
    assert_same_as_reference(m, [x])


CASTS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float16", "float32", "float64", "complex64"]


@pytest.mark.parametrize("target", CASTS)
@pytest.mark.parametrize("source", CASTS)
def test_cast(source: str, target: str) -> None:
    """Values that fit: what becomes of others the reference leaves to the compiler."""
    low = 0 if {source, target} & {"uint8", "uint16", "uint32", "bool"} else -100
    x = np.linspace(low, 100, 333) if np.dtype(source).kind in "fc" else np.arange(low, 101)
    if np.dtype(source).itemsize >= 4 and np.dtype(target).kind in "fc":  # values that are rounded
        x = np.concatenate([x, x * 1.001 * 2**14 if target != "float16" else x * 7.77])
    x = x.astype(source) * (1 + 2j if source == "complex64" else 1)
    b = Builder()
    i, o = b.main.input(x.shape, source), b.main.tensor(x.shape, target)
    b.main.op("CAST", [i], [o])
    b.main.outputs(o)
    assert reference(b.bytes(), [x.astype(source)]) is not None
    assert_same_as_reference(b.bytes(), [x.astype(source)], exact=True)


@pytest.mark.parametrize("source", ["float32", "float64", "int32"])
def test_cast_to_half(source: str) -> None:
    """All that rounds: ties, the smallest and the largest numbers, and what is too large."""
    bits = np.arange(0, 0x7C00, 7, dtype=np.uint16).view(np.float16).astype(np.float64)
    x = np.concatenate([bits, bits[:-1] + np.diff(bits) / 2, [65519.9, 65520, 1e6, 2.0**-25, 2.0**-26, 3e-8]])
    x = np.concatenate([x, -x]).astype(source)
    m = Builder()
    i, o = m.main.input(x.shape, source), m.main.tensor(x.shape, "float16")
    m.main.op("CAST", [i], [o])
    m.main.outputs(o)
    (expected,), (got,) = reference(m.bytes(), [x]) or [None], run(Interpreter(model_content=m.bytes()), [x])
    np.testing.assert_array_equal(got.view(np.uint16), expected.view(np.uint16))


@pytest.mark.parametrize(
    ("source", "target", "most"),
    [
        ("float32", "float32", None),
        ("float64", "float32", None),
        ("float32", "complex64", None),
        ("int32", "float32", 2e9),
        ("int64", "float32", 2e18),
        ("float32", "int32", 2e9),
        ("float16", "float32", 6e4),
        ("float32", "float16", 6e4),
        ("bool", "bool", 1),
    ],
)
def test_cast_by_bfloat16(source: str, target: str, most: float | None) -> None:
    """There and back, since numpy has no such numbers: all that rounds, and of types that hold less, up to `most`."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32)
    bits[:10_000] &= 0xFFFF8000  # ties
    x = np.concatenate([bits.view(np.float32), np.array([0, -0.0, 1e-40, 3.3895313e38, 3.3961776e38, np.inf, -np.inf, np.nan], np.float32)])  # fmt: skip
    with np.errstate(invalid="ignore"):  # signalling NaNs
        x = (x if most is None else np.clip(np.nan_to_num(x), -most, most)).astype(source)
    m = Builder()
    i, between, o = m.main.input(x.shape, source), m.main.tensor(x.shape, "bfloat16"), m.main.tensor(x.shape, target)
    m.main.op("CAST", [i], [between])
    m.main.op("CAST", [between], [o])
    m.main.outputs(o)
    expected = reference(m.bytes(), [x])
    assert expected is not None
    np.testing.assert_array_equal(run(Interpreter(model_content=m.bytes()), [x])[0], expected[0])


def test_cast_of_what_does_not_fit() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 300.7, -300.7], np.float32)
    m = Model()
    m.input("x", x.shape, "float32")
    m.tensor("y", x.shape, "uint8")
    m.op("CAST", ["x"], "y", in_data_type=0, out_data_type=3)
    assert run(Interpreter(model_content=m.bytes()), [x])[0].tolist() == [0, 255, 0, 255, 0, 255, 0]


@pytest.mark.parametrize("dtype", ["int8", "int32", "float32"])
@examples(20)
@given(data=st.data())
def test_pack_and_unpack(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape, n = draw(shapes(1, 3, 5)), draw(st.integers(1, 4))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    q: dict[str, Any] = draw(quantization("int8")) if dtype == "int8" else {}
    m = Model()
    xs = [
        draw(values(shape, dtype)) if dtype != "int32" else np.arange(np.prod(shape), dtype=np.int32).reshape(shape) + i
        for i in range(n)
    ]
    for i in range(n):
        m.input(f"x{i}", shape, dtype, **q)
    m.tensor("y", (1,), dtype, None, **q)
    m.op("PACK", [f"x{i}" for i in range(n)], "y", values_count=n, axis=axis)
    assert_same_as_reference(m, xs)

    m = Model()
    whole = np.stack(xs, axis)
    m.input("x", whole.shape, dtype, **q)
    for i in range(n):
        m.tensor(f"y{i}", shape, dtype, None, **q)
    m.op("UNPACK", ["x"], "y0", num=n, axis=axis)
    m.graph.nodes[0].outputs.extend(f"y{i}" for i in range(1, n))
    m.graph.outputs.extend(f"y{i}" for i in range(1, n))
    assert_same_as_reference(m, [whole])


@pytest.mark.parametrize("dtype", ["int8", "int32", "float32"])
@examples(25)
@given(data=st.data())
def test_gather_nd(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = draw(shapes(1, 4, 5))
    depth = draw(st.integers(1, len(shape)))
    rows = draw(shapes(0, 2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    indices = np.stack([rng.integers(0, shape[d], rows) for d in range(depth)], -1).astype(
        draw(st.sampled_from(["int32", "int64"]))
    )
    q: dict[str, Any] = draw(quantization("int8")) if dtype == "int8" else {}
    m = Model()
    m.input("x", shape, dtype, **q)
    m.input("i", indices.shape, str(indices.dtype))
    m.tensor("y", (1,), dtype, None, **q)
    m.op("GATHER_ND", ["x", "i"], "y")
    x = draw(values(shape, dtype)) if dtype != "int32" else rng.integers(-9, 9, shape).astype(np.int32)
    assert_same_as_reference(m, [x, indices])


def test_values_that_cannot_be_computed_with() -> None:
    """The reference fails the invoke too. The next one, with good values, works."""
    m = Model()
    m.input("a", (3,), "int32")
    m.input("b", (3,), "int32")
    m.tensor("y", (3,), "int32")
    m.op("FLOOR_DIV", ["a", "b"], "y")
    a, b = np.array([7, -7, 7], np.int32), np.array([2, 2, 0], np.int32)
    assert reference(m.bytes(), [a, b]) is None
    it = Interpreter(model_content=m.bytes())
    with pytest.raises(RuntimeError, match='op 0 FLOOR_DIV "y": it divides by 0'):
        run(it, [a, b])
    assert run(it, [a, np.array([2, 2, -2], np.int32)])[0].tolist() == [3, -4, -4]

    m = Model()
    m.input("x", (2, 3), "float32")
    m.input("i", (1, 2), "int32")
    m.tensor("y", (1,), "float32")
    m.op("GATHER_ND", ["x", "i"], "y")
    x = np.ones((2, 3), np.float32)
    for bad in ([[0, 3]], [[-1, 0]], [[2, 0]], [[2**31 - 1, -(2**31)]]):
        index = np.array(bad, np.int64).astype(np.int32)
        assert reference(m.bytes(), [x, index]) is None
        with pytest.raises(RuntimeError, match="an index lies outside of its input"):
            run(Interpreter(model_content=m.bytes()), [x, index])
