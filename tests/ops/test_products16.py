"""int16 activations with int8 weights, transposed convolutions, batched products, pools on int16, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder
from ..support import ACTIVATIONS, assert_same_as_reference, examples, quantization, run, scales, shapes, values


def weights(data: st.DataObject, shape: tuple[int, ...], channels: int, axis: int) -> tuple[np.ndarray, dict[str, Any]]:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    w = rng.integers(-127, 128, shape).astype(np.int8)
    scale = np.exp(rng.uniform(-7, -3, channels)).astype(np.float32)
    return w, {"scale": scale, "zero": np.zeros(channels, np.int64), "axis": axis}


def bias(data: st.DataObject, n: int, dtype: str) -> np.ndarray:
    return np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).integers(-100000, 100000, n).astype(dtype)


# The reference takes a bias of 32 bits only where an option says so, which DEPTHWISE_CONV_2D has not; and a convolution has a bias.
@pytest.mark.parametrize(("op", "wide"), [("CONV_2D", "int64"), ("CONV_2D", "int32"), ("DEPTHWISE_CONV_2D", "int64")])
@examples(40)
@given(data=st.data())
def test_convolutions(op: str, wide: str, data: st.DataObject) -> None:
    n, h, w, c = (data.draw(st.integers(1, m)) for m in (2, 7, 7, 5))
    kh, kw, out = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    depthwise = op == "DEPTHWISE_CONV_2D"
    groups = 1 if depthwise else data.draw(st.sampled_from([1, 1, 2, 3]))
    shape = (1, kh, kw, c * out) if depthwise else (out * groups, kh, kw, c)
    c *= groups
    channels = shape[3] if depthwise else shape[0]
    k, q = weights(data, shape, channels, 3 if depthwise else 0)
    x = data.draw(values((n, h, w, c), "int16"))
    b = Builder()
    t = [b.main.input(x.shape, "int16", scale=data.draw(scales(1e-4, 1e-2)), zero=0), b.main.constant(k, **q)]
    if wide != "none":
        t.append(b.main.constant(bias(data, channels, wide)))
    o = b.main.tensor([1, 1, 1, 1], "int16", scale=data.draw(scales(1e-3, 1e-1)), zero=0)
    attrs = {
        "padding": data.draw(st.integers(0, 1)),
        "strideW": data.draw(st.integers(1, 2)),
        "strideH": data.draw(st.integers(1, 2)),
        "fusedActivationFunction": data.draw(ACTIVATIONS),
        "dilationWFactor": data.draw(st.integers(1, 2)),
        "dilationHFactor": data.draw(st.integers(1, 2)),
    }
    if attrs["padding"] == 1 and ((kh - 1) * attrs["dilationHFactor"] >= h or (kw - 1) * attrs["dilationWFactor"] >= w):
        attrs["padding"] = 0
    if depthwise:
        attrs["depthMultiplier"] = out
    else:
        attrs["quantizedBiasType"] = {"int64": 4, "int32": 2}[wide]
    b.main.op(op, t, [o], **attrs)
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x], data.draw(st.sampled_from([1, 2])))


@pytest.mark.parametrize("wide", ["int64", "int32", "none"])
@examples(12)
@given(data=st.data())
def test_fully_connected(wide: str, data: st.DataObject) -> None:
    rows, k, n = (data.draw(st.integers(1, m)) for m in (3, 40, 7))
    w, q = weights(data, (n, k), 1, 0)
    x = data.draw(values((rows, k), "int16"))
    b = Builder()
    t = [b.main.input(x.shape, "int16", scale=data.draw(scales(1e-4, 1e-2)), zero=0), b.main.constant(w, **q)]
    if wide != "none":
        t.append(b.main.constant(bias(data, n, wide)))
    o = b.main.tensor([rows, n], "int16", scale=data.draw(scales(1e-3, 1e-1)), zero=0)
    b.main.op(
        "FULLY_CONNECTED",
        t,
        [o],
        fusedActivationFunction=data.draw(ACTIVATIONS),
        quantizedBiasType={"int64": 4, "int32": 2, "none": 0}[wide],
    )
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "hybrid", "int8", "uint8", "int16"])
@examples(25)
@given(data=st.data())
def test_transpose_conv(dtype: str, data: st.DataObject) -> None:
    hybrid, dtype = dtype == "hybrid", "float32" if dtype == "hybrid" else dtype
    n, h, w, c = (data.draw(st.integers(1, m)) for m in (2, 5, 5, 4))
    kh, kw, out, sh, sw = (data.draw(st.integers(1, m)) for m in (4, 4, 4, 3, 3))
    if data.draw(st.booleans()):  # several blocks of pixels, several panels of channels
        w, c, out = 37, 17, 19
    same = data.draw(st.booleans())
    oh, ow = (h * sh, w * sw) if same else ((h - 1) * sh + max(kh, sh), (w - 1) * sw + max(kw, sw))
    x = data.draw(values((n, h, w, c), dtype))
    b = Builder()
    qx, qy = (dict(data.draw(quantization(dtype)), **({"zero": 0} if dtype == "int16" else {})) for _ in range(2))
    if qy:
        qy["scale"] = float(np.float32(qx["scale"] * 0.5))
    if hybrid:
        k, q = weights(data, (out, kh, kw, c), data.draw(st.sampled_from([1, out])), 0)
    elif dtype == "float32":
        k, q = np.random.default_rng(1).standard_normal((out, kh, kw, c)).astype(np.float32), {}
    elif dtype == "uint8":
        k, q = data.draw(values((out, kh, kw, c), "uint8")), {"scale": 0.01, "zero": data.draw(st.integers(0, 255))}
    else:
        k, q = weights(data, (out, kh, kw, c), out, 0)
    constant = data.draw(st.booleans())
    shape = np.array([n, oh, ow, out], np.int32)
    t = [
        b.main.constant(shape) if constant else b.main.input((4,), "int32"),
        b.main.constant(k, **q),
        b.main.input(x.shape, dtype, **qx),
    ]
    # A bias of floats may come while the model runs.
    given = np.arange(out, dtype=np.float32) if dtype == "float32" and data.draw(st.booleans()) else None
    if given is not None:
        t.append(b.main.input((out,), "float32"))
    elif data.draw(st.booleans()):
        t.append(
            b.main.constant(
                np.arange(out, dtype=np.float32)
                if dtype == "float32"
                else bias(data, out, "int64" if dtype == "int16" else "int32")
            )
        )
    o = b.main.tensor([1, 1, 1, 1], dtype, **qy)
    # Without a bias the option alone says that sums have 32 bits.
    narrow = {"quantizedBiasType": 2} if dtype == "int16" and len(t) == 3 and data.draw(st.booleans()) else {}
    b.main.op(
        "TRANSPOSE_CONV",
        t,
        [o],
        padding=0 if same else 1,
        strideW=sw,
        strideH=sh,
        fusedActivationFunction=data.draw(ACTIVATIONS),
        **narrow,
    )
    b.main.outputs(o)
    inputs = [*([] if constant else [shape]), x, *([] if given is None else [given])]
    # The reference scales each product of a quantized input, and adds floats.
    largest = 127 * float(np.max(q["scale"])) * float(np.abs(x).max(initial=0)) if hybrid else 40
    assert_same_as_reference(b.bytes(), inputs, magnitude=largest if dtype == "float32" else 0)
    one, three = (run(Interpreter(model_content=b.bytes(), num_threads=n), inputs)[0] for n in (1, 3))
    np.testing.assert_array_equal(one, three)


MATRIX_SIZES = st.one_of(st.integers(1, 6), st.sampled_from([16, 33, 70]))  # several blocks of rows, several panels


@pytest.mark.parametrize(
    ("x_type", "z_type", "out"),
    [("float32", "float32", "float32"), ("int8", "int8", "int8"), ("int16", "int16", "int16"), ("int8", "int8", "int32")],
)
@examples(12)
@given(data=st.data())
def test_batch_matmul(x_type: str, z_type: str, out: str, data: st.DataObject) -> None:
    m, k, n = (data.draw(MATRIX_SIZES) for _ in range(3))
    full = data.draw(shapes(0, 3, 3))
    bx, bz = (tuple(data.draw(st.sampled_from([1, d])) for d in full) for _ in range(2))
    ax, az = data.draw(st.booleans()), data.draw(st.booleans())
    x = data.draw(values(bx + ((k, m) if ax else (m, k)), x_type))
    z = data.draw(values(bz + ((n, k) if az else (k, n)), z_type))
    qx, qz, qy = (
        dict(data.draw(quantization(t)), **({"zero": 0} if t == "int16" else {})) if t != "int32" else {}
        for t in (x_type, z_type, out)
    )
    if out == "int32":
        qx["zero"] = qz["zero"] = 0
        qy = {"scale": 1.0, "zero": 0}
    b = Builder()
    t = [b.main.input(x.shape, x_type, **qx), b.main.input(z.shape, z_type, **qz)]
    o = b.main.tensor([1, 1], out, **qy)
    b.main.op("BATCH_MATMUL", t, [o], adjX=ax, adjY=az)
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x, z], magnitude=20 if out == "float32" else 0)


@examples(20)
@given(data=st.data())
def test_batch_matmul_of_float_by_int8(data: st.DataObject) -> None:
    """Rows of the input are quantized as it runs."""
    m, k, n = (data.draw(MATRIX_SIZES) for _ in range(3))
    ax, az = data.draw(st.booleans()), data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal((k, m) if ax else (m, k)).astype(np.float32)
    z = rng.integers(-127, 128, (n, k) if az else (k, n)).astype(np.int8)
    b = Builder()
    t = [b.main.input(x.shape, "float32"), b.main.constant(z, scale=0.02, zero=0)]
    o = b.main.tensor([1, 1], "float32")
    b.main.op("BATCH_MATMUL", t, [o], adjX=ax, adjY=az, asymmetricQuantizeInputs=data.draw(st.booleans()))
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x], magnitude=5)


@pytest.mark.parametrize(("op", "dtype"), [("AVERAGE_POOL_2D", "int16"), ("MAX_POOL_2D", "int16"), ("L2_POOL_2D", "float32")])
@examples(12)
@given(data=st.data())
def test_pools(op: str, dtype: str, data: st.DataObject) -> None:
    n, h, w, c = (data.draw(st.integers(1, m)) for m in (2, 6, 6, 4))
    x = data.draw(values((n, h, w, c), dtype))
    b = Builder()
    q = {"scale": data.draw(scales(1e-4, 1e-2)), "zero": 0} if dtype == "int16" else {}
    i, o = b.main.input(x.shape, dtype, **q), b.main.tensor([1, 1, 1, 1], dtype, **q)
    b.main.op(op, [i], [o], padding=data.draw(st.integers(0, 1)), strideW=data.draw(st.integers(1, 2)), strideH=data.draw(st.integers(1, 2)),
              filterWidth=data.draw(st.integers(1, w)), filterHeight=data.draw(st.integers(1, h)), fusedActivationFunction=data.draw(ACTIVATIONS))  # fmt: skip
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("op", ["FULLY_CONNECTED", "CONV_2D"])
@examples(8)
@given(data=st.data())
def test_int4_weights(op: str, data: st.DataObject) -> None:
    """Two weights in a byte give what the same weights as int8 give; float activations as well."""
    from edgert import Interpreter

    from ..support import run

    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n, k = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 9))
    w = rng.integers(-7, 8, (n, k) if op == "FULLY_CONNECTED" else (n, 1, 1, k)).astype(np.int8)
    flat = np.append(w.reshape(-1), np.int8(0))[: (w.size + 1) // 2 * 2].astype(np.uint8) & 15
    packed = (flat[0::2] | flat[1::2] << 4).astype(np.uint8)
    dtype = data.draw(st.sampled_from(["int8", "float32"]))
    x = data.draw(values((2, k) if op == "FULLY_CONNECTED" else (1, 2, 2, k), dtype))
    answers = []
    for kind in ("int8", "int4"):
        b = Builder()
        q = {"scale": 0.05, "zero": 3} if dtype == "int8" else {}
        t = [b.main.input(x.shape, dtype, **q), b.main.tensor(w.shape, kind, w if kind == "int8" else packed, scale=0.1, zero=0)]
        o = b.main.tensor([1] * x.ndim, dtype, **({"scale": 0.1, "zero": -4} if dtype == "int8" else {}))
        b.main.op(op, t, [o], **({} if op == "FULLY_CONNECTED" else {"padding": 1, "strideW": 1, "strideH": 1}))
        b.main.outputs(o)
        answers.append(run(Interpreter(model_content=b.bytes()), [x])[0])
    np.testing.assert_array_equal(*answers)
