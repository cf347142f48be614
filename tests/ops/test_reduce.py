"""Reductions, searches and normalizations against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder
from ..support import assert_same_as_reference, examples, numbers, quantization, reference, run, scales, shapes, values


def reduction(op: str, x: np.ndarray, axes: list[int], keep: bool, qx: dict[str, Any], qy: dict[str, Any]) -> bytes:
    b = Builder()
    i, a = b.main.input(x.shape, str(x.dtype), **qx), b.main.constant(np.array(axes, np.int32))
    o = b.main.tensor([1], str(x.dtype), **qy)
    b.main.op(op, [i, a], [o], keepDims=keep)
    b.main.outputs(o)
    return b.bytes()


SHAPES = st.one_of(shapes(1, 4, 5), shapes(1, 3, 40))  # in lanes, too

CASES = [(op, t) for op in ("SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN", "MEAN") for t in ("float32", "int32", "int64")] + [
    ("REDUCE_ANY", "bool"), ("REDUCE_ALL", "bool"), ("REDUCE_MAX", "bool"), ("REDUCE_MIN", "bool"), ("REDUCE_PROD", "bool"), ("SUM", "bool"), ("REDUCE_MAX", "int8"), ("REDUCE_MAX", "uint8"), ("REDUCE_MAX", "int16"), ("REDUCE_MIN", "int8"),
    ("REDUCE_MIN", "uint8"), ("REDUCE_MIN", "int16"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "dtype"), CASES)
@examples(8)
@given(data=st.data())
def test_plain(op: str, dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 5) if op == "REDUCE_PROD" else SHAPES)
    axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=len(shape)))
    x = numbers(data, shape, dtype, -3, 4)
    q = {"scale": 0.5, "zero": 0} if dtype in ("int8", "uint8", "int16") else {}
    assert_same_as_reference(
        reduction(op, x, axes, data.draw(st.booleans()), q, q), [x], magnitude=10 if dtype == "float32" else 0
    )


@pytest.mark.parametrize(
    ("op", "dtype"), [("SUM", "uint8"), ("MEAN", "int16"), ("REDUCE_PROD", "int8"), ("REDUCE_PROD", "int16")]
)
@examples(15)
@given(data=st.data())
def test_quantized(op: str, dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 5) if op == "REDUCE_PROD" else SHAPES)
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape), unique=True))
    x = data.draw(values(shape, dtype))
    qx, qy = (dict(data.draw(quantization(dtype)), **({"zero": 0} if dtype == "int16" else {})) for _ in range(2))
    if op == "REDUCE_PROD":  # products that overflow 32 bits are the compiler's
        x, qx["zero"] = numbers(data, shape, dtype, -3, 4), 0
        qx["scale"] = min(qx["scale"], 0.5)
    assert_same_as_reference(reduction(op, x, axes, data.draw(st.booleans()), qx, qy), [x])


@examples(15)
@given(data=st.data())
def test_sum_of_int8_is_that_of_uint8(data: st.DataObject) -> None:
    """The reference reads the int8 values of SUM as uint8. Its answer for the same numbers as uint8 is right."""
    shape = data.draw(SHAPES)
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape), unique=True))
    x = data.draw(values(shape, "int8"))
    qx, qy = (data.draw(quantization("int8")) for _ in range(2))
    if qx == qy:
        return  # unscaled sums wrap in the reference
    unsigned = [dict(q, zero=q["zero"] + 128) for q in (qx, qy)]
    twin = (x.astype(np.int16) + 128).astype(np.uint8)
    expected = reference(reduction("SUM", twin, axes, False, *unsigned), [twin])
    assert expected is not None
    (got,) = run(Interpreter(model_content=reduction("SUM", x, axes, False, qx, qy)), [x])
    np.testing.assert_array_equal(got.astype(np.int16) + 128, expected[0])


@examples(10)
@given(data=st.data())
def test_sum_of_int16(data: st.DataObject) -> None:
    """The reference has none that works; LiteRT's other kernel goes through float32."""
    shape = data.draw(shapes(1, 3, 5))
    x = data.draw(values(shape, "int16"))
    qx, qy = ({"scale": data.draw(scales()), "zero": 0} for _ in range(2))
    (got,) = run(Interpreter(model_content=reduction("SUM", x, [0], False, qx, qy)), [x])
    exact = x.astype(np.float64).sum(0) * qx["scale"] / qy["scale"]
    assert (np.abs(got - np.clip(exact, -32768, 32767)) <= 0.501).all()


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int32"])
@examples(10)
@given(data=st.data())
def test_arg_min(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 5))
    x = numbers(data, shape, dtype, -3, 3)
    b = Builder()
    q = {"scale": 0.5, "zero": 0} if dtype in ("int8", "uint8") else {}
    i, a, o = (
        b.main.input(shape, dtype, **q),
        b.main.constant(np.int32(data.draw(st.integers(-len(shape), len(shape) - 1)))),
        b.main.tensor([1], "int32"),
    )
    b.main.op("ARG_MIN", [i, a], [o], outputType=2)
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int16", "int32", "int64"])
@examples(10)
@given(data=st.data())
def test_topk(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3, 9))
    x = numbers(data, shape, dtype, -3, 3)
    b = Builder()
    i, k = b.main.input(shape, dtype), b.main.constant(np.int32(data.draw(st.integers(1, shape[-1]))))
    o, n = b.main.tensor([1], dtype), b.main.tensor([1], "int32")
    b.main.op("TOPK_V2", [i, k], [o, n])
    b.main.outputs(o, n)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@examples(10)
@given(data=st.data())
def test_cumsum(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 5))
    x = numbers(data, shape, dtype)
    b = Builder()
    i, a, o = (
        b.main.input(shape, dtype),
        b.main.constant(np.int32(data.draw(st.integers(-len(shape), len(shape) - 1)))),
        b.main.tensor(shape, dtype),
    )
    b.main.op("CUMSUM", [i, a], [o], exclusive=data.draw(st.booleans()), reverse=data.draw(st.booleans()))
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
@examples(15)
@given(data=st.data())
def test_l2_normalization(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 8))
    x = data.draw(values(shape, dtype))
    qx = data.draw(quantization(dtype))
    qy = {} if dtype == "float32" else {"scale": 1 / 128, "zero": 0 if dtype == "int8" else 128}
    b = Builder()
    i, o = b.main.input(shape, dtype, **qx), b.main.tensor(shape, dtype, **qy)
    b.main.op("L2_NORMALIZATION", [i], [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
@examples(20)
@given(data=st.data())
def test_log_softmax(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3, 12))
    x = data.draw(values(shape, dtype))
    qx = {} if dtype == "float32" else {"scale": data.draw(scales(1e-2, 1.0)), "zero": 3}
    qy = {} if dtype == "float32" else {"scale": 1 / 16, "zero": 127 if dtype == "int8" else 255}
    b = Builder()
    i, o = b.main.input(shape, dtype, **qx), b.main.tensor(shape, dtype, **qy)
    b.main.op("LOG_SOFTMAX", [i], [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@examples(20)
@given(data=st.data())
def test_softmax_int16(data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3, 12))
    x = data.draw(values(shape, "int16"))
    b = Builder()
    i, o = (
        b.main.input(shape, "int16", scale=data.draw(scales(1e-5, 1e-2)), zero=0),
        b.main.tensor(shape, "int16", scale=2.0**-15, zero=0),
    )
    b.main.op("SOFTMAX", [i], [o], beta=data.draw(st.sampled_from([1.0, 0.5, 2.0])))
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@examples(8)
@given(data=st.data())
def test_local_response_normalization(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 6)] * 4))
    x = numbers(data, shape, "float32")
    b = Builder()
    i, o = b.main.input(shape, "float32"), b.main.tensor(shape, "float32")
    b.main.op(
        "LOCAL_RESPONSE_NORMALIZATION",
        [i],
        [o],
        radius=data.draw(st.integers(0, 4)),
        bias=1.0,
        alpha=0.3,
        beta=data.draw(st.sampled_from([0.5, 0.75, 1.0])),
    )
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize(
    "op", ["SEGMENT_SUM", "UNSORTED_SEGMENT_SUM", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_MIN"]
)
@examples(8)
@given(data=st.data())
def test_segments(op: str, dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3, 5))
    x = numbers(data, shape, dtype, -3, 4)
    ids = np.array([data.draw(st.integers(0, 3)) for _ in range(shape[0])], np.int32)
    if op == "SEGMENT_SUM":
        ids = np.sort(ids) - ids.min()
    b = Builder()
    t = [b.main.input(shape, dtype), b.main.input(ids.shape, "int32")]
    if op != "SEGMENT_SUM":
        t.append(b.main.constant(np.array(4, np.int32)))
    o = b.main.tensor([1], dtype)
    b.main.op(op, t, [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x, ids], builtin=op == "SEGMENT_SUM")
