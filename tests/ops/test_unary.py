"""Functions of one value against the reference, in every type that it has them on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..build import Builder
from ..support import assert_same_as_reference, examples, limits, quantization, reference, run, scales, shapes, zeros

FLOAT = [
    "SQUARE",
    "SQRT",
    "RSQRT",
    "EXP",
    "LOG",
    "SIN",
    "COS",
    "FLOOR",
    "CEIL",
    "ROUND",
    "ABS",
    "NEG",
    "SIGN",
    "ELU",
    "RELU_0_TO_1",
    "GELU",
]
# The resolver of the reference kernels does not register these; LiteRT's other one has them.
NOT_IN_REFERENCE = ("CEIL", "ROUND", "ELU")


def one(op: str, x: np.ndarray, dtype: str, qx: dict[str, Any], qy: dict[str, Any], **attrs: Any) -> bytes:
    b = Builder()
    i, o = b.main.input(x.shape, dtype, **qx), b.main.tensor(x.shape, dtype, **qy)
    b.main.op(op, [i], [o], **attrs)
    b.main.outputs(o)
    return b.bytes()


@pytest.mark.parametrize("op", FLOAT)
@examples(8)
@given(data=st.data())
def test_float(op: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = (rng.standard_normal(data.draw(shapes(0, 4))) * data.draw(st.sampled_from([0.5, 3.0]))).astype(np.float32)
    if op in ("SQRT", "RSQRT", "LOG"):
        x = np.abs(x) + 0.01
    if op == "ROUND":
        x = np.round(x * 4) / 4  # halves are among them
    attrs = {"approximate": data.draw(st.booleans())} if op == "GELU" else {}
    assert_same_as_reference(one(op, x, "float32", {}, {}, **attrs), [x], builtin=op in NOT_IN_REFERENCE)


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        ("NEG", "int32"),
        ("NEG", "int64"),
        ("NEG", "int8"),
        ("NEG", "int16"),
        ("ABS", "int32"),
        ("ABS", "int16"),
        ("SIGN", "int32"),
        ("LOGICAL_NOT", "bool"),
    ],
)
@examples(8)
@given(data=st.data())
def test_whole(op: str, dtype: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = (
        rng.integers(0, 2, data.draw(shapes(1, 3))).astype(bool)
        if dtype == "bool"
        else rng.integers(-1000, 1000, data.draw(shapes(1, 3))).astype(dtype)
    )
    assert_same_as_reference(one(op, x, dtype, {}, {}), [x])


def same_but_for_libm(op: str, content: bytes, x: np.ndarray) -> None:
    """The reference's tables come from the C library's expf, logf and so on, edgert's from double: one step where a value lies on a border."""
    from edgert import Interpreter

    expected = reference(content, [x], op in NOT_IN_REFERENCE)
    assert expected is not None
    (got,) = run(Interpreter(model_content=content), [x])
    difference = np.abs(got.astype(int) - expected[0].astype(int))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01, (op, difference.max(), (difference > 0).mean())


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        ("EXP", "int8"),
        ("LOG", "int8"),
        ("ELU", "int8"),
        ("GELU", "int8"),
        ("GELU", "uint8"),
        ("GELU", "int16"),
        ("EXP", "int16"),
        ("LOG", "int16"),
    ],
)
@examples(12)
@given(data=st.data())
def test_tables_of_functions(op: str, dtype: str, data: st.DataObject) -> None:
    info = np.iinfo(dtype)
    x = np.arange(info.min, info.max + 1).astype(dtype)
    symmetric = dtype == "int16"
    qx = {"scale": data.draw(scales(1e-5, 3e-4)), "zero": 0} if symmetric else data.draw(quantization(dtype))
    qy = {"scale": data.draw(scales(1e-4, 1e-2)), "zero": 0} if symmetric else data.draw(quantization(dtype))
    same_but_for_libm(op, one(op, x, dtype, qx, qy), x)


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        ("ABS", "int8"),
        ("ABS", "int16"),
        ("SQRT", "int8"),
        ("RSQRT", "int8"),
        ("RELU_0_TO_1", "int8"),
        ("RELU_0_TO_1", "uint8"),
    ],
)
@examples(20)
@given(data=st.data())
def test_tables_of_integers(op: str, dtype: str, data: st.DataObject) -> None:
    info = np.iinfo(dtype)
    x = np.arange(info.min, info.max + 1).astype(dtype)
    symmetric = dtype == "int16"
    qx, qy = (dict(data.draw(quantization(dtype)), **({"zero": 0} if symmetric else {})) for _ in range(2))
    if data.draw(st.booleans()):
        qy["scale"] = qx["scale"]
    if op in ("SQRT", "RSQRT"):
        x = x[x >= qx["zero"]]
    assert_same_as_reference(one(op, x, dtype, qx, qy), [x])


@pytest.mark.parametrize("op", ["SQRT", "RSQRT"])
@examples(12)
@given(data=st.data())
def test_roots_of_int16(op: str, data: st.DataObject) -> None:
    x = np.arange(0, 32768).astype(np.int16)
    qx, qy = ({"scale": data.draw(scales(1e-5, 1e-2)), "zero": 0} for _ in range(2))
    assert_same_as_reference(one(op, x, "int16", qx, qy), [x])


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("op", ["SQRT", "RSQRT"])
def test_roots_of_negative_values_are_an_error(op: str, dtype: str) -> None:
    from edgert import Interpreter

    x = np.array([-5, 3], dtype)
    content = one(op, x, dtype, {"scale": 0.1, "zero": 0}, {"scale": 0.1, "zero": 0})
    assert reference(content, [x]) is None
    it = Interpreter(model_content=content)
    with pytest.raises(RuntimeError, match="negative"):
        run(it, [x])


@pytest.mark.parametrize("op", ["LOGISTIC", "TANH"])
@examples(20)
@given(data=st.data())
def test_sigmoids_on_int16(op: str, data: st.DataObject) -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    scale = data.draw(
        st.one_of(
            scales(1e-5, 1e-2), st.sampled_from([2.0**-12, 2.0**-11, 2.0**-13, 2.0**-15, 1.0005 * 2.0**-12, 0.9995 * 2.0**-11])
        )
    )
    assert_same_as_reference(one(op, x, "int16", {"scale": scale, "zero": 0}, {"scale": 2.0**-15, "zero": 0}), [x])


@pytest.mark.parametrize("op", ["RELU", "RELU6", "LEAKY_RELU"])
@examples(12)
@given(data=st.data())
def test_relus_on_int16(op: str, data: st.DataObject) -> None:
    x = np.arange(-32768, 32768).astype(np.int16)
    qx, qy = ({"scale": data.draw(scales(1e-4, 1e-2)), "zero": 0} for _ in range(2))
    attrs = {"alpha": float(data.draw(st.floats(-1.5, 1.5, width=32)))} if op == "LEAKY_RELU" else {}
    assert_same_as_reference(one(op, x, "int16", qx, qy, **attrs), [x])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("alpha", [-2.0, -1.0, -0.5, 0.25])
@pytest.mark.parametrize("ratio", [8.0, 1.0, 0.5])
def test_leaky_relu_between_two_numbers(dtype: str, alpha: float, ratio: float) -> None:
    """Powers of two: results lie halfway."""
    low, high = limits(dtype)
    x = np.arange(low, high + 1).astype(dtype)
    zero = 128 if dtype == "uint8" else 0
    qx, qy = {"scale": 2.0**-10, "zero": zero}, {"scale": ratio * 2.0**-10, "zero": zero}
    assert_same_as_reference(one("LEAKY_RELU", x, dtype, qx, qy, alpha=alpha), [x])


@pytest.mark.parametrize(
    ("dtype", "to"),
    [
        ("int16", "int16"),
        ("float32", "int16"),
        ("int8", "int16"),
        ("int16", "int8"),
        ("int32", "int8"),
        ("int32", "int16"),
        ("int16", "int32"),
    ],
)
@examples(12)
@given(data=st.data())
def test_quantize(dtype: str, to: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = (
        (rng.standard_normal(300) * 3).astype(np.float32)
        if dtype == "float32"
        else rng.integers(-30000, 30000, 300).astype(dtype)
    )
    q = {
        t: {}
        if t == "float32"
        else {"scale": data.draw(scales(1e-3, 1.0)), "zero": data.draw(zeros("int8")) if t == "int8" else 0}
        for t in (dtype, to)
    }
    if dtype == to:
        q[to] = {"scale": data.draw(scales(1e-3, 1.0)), "zero": 0}
    b = Builder()
    i, o = b.main.input(x.shape, dtype, **q[dtype]), b.main.tensor(x.shape, to, **q[to])
    b.main.op("QUANTIZE", [i], [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@examples(8)
@given(data=st.data())
def test_dequantize_int16(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(-30000, 30000, 100).astype(np.int16)
    b = Builder()
    i, o = b.main.input(x.shape, "int16", scale=data.draw(scales()), zero=0), b.main.tensor(x.shape, "float32")
    b.main.op("DEQUANTIZE", [i], [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@examples(12)
@given(data=st.data())
def test_fake_quant(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = (rng.standard_normal(100) * 3).astype(np.float32)
    b = Builder()
    i, o = b.main.input(x.shape, "float32"), b.main.tensor(x.shape, "float32")
    low = data.draw(st.floats(-4, 0.5, width=32))
    b.main.op(
        "FAKE_QUANT",
        [i],
        [o],
        min=low,
        max=low + data.draw(st.floats(0.5, 5, width=32)),
        numBits=data.draw(st.sampled_from([4, 8, 16])),
        narrowRange=data.draw(st.booleans()),
    )
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])
