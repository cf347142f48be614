"""CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED against the reference."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder
from ..support import (
    ACTIVATIONS,
    Model,
    assert_same_as_reference,
    examples,
    fuse,
    limits,
    quantization,
    reference,
    scales,
    values,
    zeros,
)

DTYPES = pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
THREADS = st.sampled_from([1, 1, 2, 3])


def add_weights(
    draw: Any, m: Model, dtype: str, shape: tuple[int, ...], axis: int, x_scale: float, products: int, bias: bool
) -> tuple[list[str], float]:
    """Weights and bias, and an output scale with which most outputs are inside the range, some are not."""
    channels = shape[axis]
    names = []
    if dtype == "float32":
        names.append(m.tensor("w", shape, dtype, draw(values(shape, dtype))))
        if bias:
            names.append(m.tensor("b", (channels,), dtype, draw(values((channels,), dtype))))
        return names, 0.0
    w = draw(values(shape, dtype))
    if dtype == "int8":
        if draw(st.booleans()):
            w = np.maximum(w, -127)
        per_channel = draw(st.booleans())
        ws = np.array([draw(scales(1e-3, 0.1)) for _ in range(min(channels, 5))] * channels, np.float32)[
            : channels if per_channel else 1
        ]
        names.append(m.tensor("w", shape, dtype, w, ws, 0, axis if per_channel else 0))
    else:
        ws = np.array([draw(scales(1e-3, 0.1))], np.float32)
        names.append(m.tensor("w", shape, dtype, w, ws, draw(zeros(dtype))))
    if bias:
        rng = np.random.default_rng(draw(st.integers(0, 1000)))
        b = rng.integers(-20000, 20000, channels).astype(np.int32)
        names.append(m.tensor("b", (channels,), "int32", b, np.float32(x_scale) * ws))
    spread = x_scale * float(ws.max()) * np.sqrt(products) * 60
    return names, float(np.float32(spread * draw(st.sampled_from([0.002, 0.3, 1.0, 1.0, 3.0, 200.0]))))


def check(m: Model, x: np.ndarray, products: int, threads: int) -> None:
    """Float sums are as good as the sum of their terms' magnitudes lets them be."""
    w = m.graph.tensors["w"].data
    scale = m.graph.tensors["w"].quantization.scale.max() if w.dtype == np.int8 else 1.0
    magnitude = float(np.abs(x).max() * np.abs(w).max() * scale * np.sqrt(products)) if x.dtype == np.float32 else 0.0
    with fuse("all") if threads > 1 else nullcontext():
        # What is summed in integers has no rounding that could go another way.
        assert_same_as_reference(m, [x], threads, magnitude, exact=x.dtype == np.float32 and w.dtype == np.int8)


@DTYPES
@examples(60)
@given(data=st.data())
def test_conv_2d(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    kh, kw, sh, sw, dh, dw = (draw(st.integers(1, n)) for n in (4, 4, 3, 3, 2, 2))
    h, w = draw(st.integers((kh - 1) * dh + 1, 13)), draw(st.integers((kw - 1) * dw + 1, 13))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3])) if dtype != "uint8" else 1
    ic, oc = draw(st.integers(1, 17)) * groups, draw(st.integers(1, 40)) * groups
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    batch = draw(st.integers(1, 2))
    m = Model()
    q = draw(quantization(dtype))
    m.input("x", (batch, h, w, ic), dtype, **q)
    names, y_scale = add_weights(
        draw,
        m,
        dtype,
        (oc, kh, kw, ic // groups),
        0,
        q.get("scale", 0.0),
        kh * kw * ic // groups,
        draw(st.booleans()) or dtype == "uint8",
    )
    m.tensor("y", (1, 1, 1, 1), dtype, **({} if dtype == "float32" else {"scale": y_scale, "zero": draw(zeros(dtype))}))
    m.op(
        "CONV_2D",
        ["x", *names],
        "y",
        padding=padding,
        stride_h=sh,
        stride_w=sw,
        dilation_h_factor=dh,
        dilation_w_factor=dw,
        fused_activation_function=draw(ACTIVATIONS),
    )
    check(m, draw(values((batch, h, w, ic), dtype)), kh * kw * ic // groups, draw(THREADS))


@pytest.mark.parametrize("dtype", ["int8", "float32"])  # the reference has no groups on uint8
@examples(60)
@given(data=st.data())
def test_conv_2d_of_many_groups(dtype: str, data: st.DataObject) -> None:
    """Groups of a channel each are a depthwise convolution; of a few, several are multiplied as one."""
    draw = data.draw
    kh, kw, sh, sw = (draw(st.integers(1, n)) for n in (4, 4, 2, 2))
    dh, dw = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (2, 2)]))
    h, w = draw(st.integers((kh - 1) * dh + 1, 12)), draw(st.integers((kw - 1) * dw + 1, 12))
    groups = draw(st.sampled_from([2, 3, 4, 6, 8, 15, 16, 24]))
    each, n = draw(st.integers(1, 6)), draw(st.sampled_from([1, 1, 2, 3, 4, 5, 8, 17]))
    m = Model()
    q = draw(quantization(dtype))
    x_shape = (draw(st.integers(1, 2)), h, w, groups * each)
    m.input("x", x_shape, dtype, **q)
    names, y_scale = add_weights(
        draw, m, dtype, (groups * n, kh, kw, each), 0, q.get("scale", 0.0), kh * kw * each, draw(st.booleans())
    )
    m.tensor("y", (1, 1, 1, 1), dtype, **({} if dtype == "float32" else {"scale": y_scale, "zero": draw(zeros(dtype))}))
    m.op(
        "CONV_2D", ["x", *names], "y", padding=draw(st.sampled_from(["SAME", "VALID"])), stride_h=sh, stride_w=sw,
        dilation_h_factor=dh, dilation_w_factor=dw, fused_activation_function=draw(ACTIVATIONS),
    )  # fmt: skip
    check(m, draw(values(x_shape, dtype)), kh * kw * each, draw(THREADS))


@DTYPES
@examples(60)
@given(data=st.data())
def test_depthwise_conv_2d(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    kh, kw, sh, sw, dh, dw, batch = (draw(st.integers(1, n)) for n in (5, 5, 3, 3, 2, 2, 2))
    if draw(st.booleans()):
        kh = kw = 3
        sw = sh
    h, w = draw(st.integers((kh - 1) * dh + 1, 14)), draw(st.integers((kw - 1) * dw + 1, 14))
    if draw(st.integers(0, 3)):
        ic, multiplier = draw(st.integers(1, 37)), draw(st.sampled_from([1, 1, 1, 2, 3]))
    else:  # one channel is multiplied as CONV_2D
        ic, multiplier = 1, draw(st.integers(1, 40))
    oc = ic * multiplier
    m = Model()
    q = draw(quantization(dtype))
    m.input("x", (batch, h, w, ic), dtype, **q)
    names, y_scale = add_weights(
        draw, m, dtype, (1, kh, kw, oc), 3, q.get("scale", 0.0), kh * kw, draw(st.booleans()) or dtype == "uint8"
    )
    m.tensor("y", (1, 1, 1, 1), dtype, **({} if dtype == "float32" else {"scale": y_scale, "zero": draw(zeros(dtype))}))
    m.op(
        "DEPTHWISE_CONV_2D", ["x", *names], "y", padding=draw(st.sampled_from(["SAME", "VALID"])), stride_h=sh, stride_w=sw, depth_multiplier=multiplier,
        dilation_h_factor=dh, dilation_w_factor=dw, fused_activation_function=draw(ACTIVATIONS),
    )  # fmt: skip
    check(m, draw(values((batch, h, w, ic), dtype)), kh * kw, draw(THREADS))


@DTYPES
@examples(60)
@given(data=st.data())
def test_fully_connected(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    k, n = draw(st.integers(1, 200)), draw(st.one_of(st.integers(1, 70), st.integers(1, 3)))  # few outputs are dot products
    keep = draw(st.booleans())
    lead = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2 if keep else 1))
    shape = (*lead, k)
    m = Model()
    q = draw(quantization(dtype))
    m.input("x", shape, dtype, **q)
    names, y_scale = add_weights(draw, m, dtype, (n, k), 0, q.get("scale", 0.0), k, draw(st.booleans()) or dtype == "uint8")
    m.tensor("y", (1, 1), dtype, **({} if dtype == "float32" else {"scale": y_scale, "zero": draw(zeros(dtype))}))
    m.op("FULLY_CONNECTED", ["x", *names], "y", keep_num_dims=keep, fused_activation_function=draw(ACTIVATIONS))
    check(m, draw(values(shape, dtype)), k, draw(THREADS))


def test_conv_2d_with_the_largest_strides() -> None:
    """Their product with 16 channels does not fit 64 bits."""
    m = Model()
    m.input("x", (1, 2, 2, 16), "int8", 0.05, 0)
    m.tensor("w", (1, 3, 3, 16), "int8", np.ones((1, 3, 3, 16), np.int8), np.float32(0.01), 0)
    m.tensor("y", (1, 1, 1, 1), "int8", None, 0.05, 0)
    stride = 1 << 30
    m.op("CONV_2D", ["x", "w"], "y", padding="SAME", stride_h=stride, stride_w=stride, fused_activation_function="NONE")
    it = Interpreter(model_content=m.bytes())
    it.allocate_tensors()
    it.invoke()
    assert it.get_tensor(it.get_output_details()[0]["index"]).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_conv_2d_with_the_largest_sums(dtype: str) -> None:
    """All values at the ends of their range, 3x3x256 products: the sums that saturating instructions would spoil."""
    low, high = limits(dtype)
    for x_value, w_value in ((low, max(low, -127)), (low, high), (high, high)):
        m = Model()
        m.input("x", (1, 6, 6, 256), dtype, 0.02, high)
        w = np.full((24, 3, 3, 256), w_value, dtype)
        m.tensor("w", w.shape, dtype, w, 0.01, 0 if dtype == "int8" else 5)
        m.tensor("b", (24,), "int32", np.arange(24, dtype=np.int32) * 1000, 0.0002)
        m.tensor("y", (1, 6, 6, 24), dtype, None, 8.0, 3)
        m.op("CONV_2D", ["x", "w", "b"], "y", padding="SAME")
        assert_same_as_reference(m, [np.full((1, 6, 6, 256), x_value, dtype)])


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
@examples(50)
@given(data=st.data())
def test_float_activations_and_int8_weights(op: str, data: st.DataObject) -> None:
    """Dynamic-range ("hybrid") models: the input is quantized while the model runs."""
    draw = data.draw
    kh, kw, stride = (draw(st.integers(1, 3)) for _ in range(3))
    batch, h, w, ic, oc = (
        draw(st.integers(1, 3)),
        draw(st.integers(5, 12)),
        draw(st.integers(5, 12)),
        draw(st.integers(1, 40)),
        draw(st.sampled_from([2, 5, 31, 70, 150])),
    )
    multiplier, dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2)) if stride == 1 else 1
    groups = draw(st.sampled_from([1, 1, 2, 3, 8])) if op == "CONV_2D" else 1
    if groups == 8:  # many groups, of a channel or two
        ic, oc = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    ic, oc = ic * groups, oc * groups
    m = Model()
    shapes = {
        "CONV_2D": (oc, kh, kw, ic // groups),
        "DEPTHWISE_CONV_2D": (1, kh, kw, ic * multiplier),
        "FULLY_CONNECTED": (oc, ic),
    }
    axis = 3 if op == "DEPTHWISE_CONV_2D" else 0
    shape, channels = shapes[op], shapes[op][axis]
    per_channel = op == "DEPTHWISE_CONV_2D" or groups > 1 or draw(st.booleans())
    ws = np.array([draw(scales(1e-3, 0.1)) for _ in range(channels if per_channel else 1)], np.float32)
    x_shape = (batch, ic) if op == "FULLY_CONNECTED" else (batch, h, w, ic)
    m.input("x", x_shape, "float32")
    # The specification has no weights of -128; the reference's vector code multiplies them wrongly.
    m.tensor("w", shape, "int8", np.maximum(draw(values(shape, "int8")), -127), ws, 0, axis)
    m.tensor("b", (channels,), "float32", draw(values((channels,), "float32")))
    m.tensor("y", (1, 1), "float32")
    attrs = {
        "padding": draw(st.sampled_from(["SAME", "VALID"])),
        "stride_h": stride,
        "stride_w": stride,
        "depth_multiplier": multiplier,
    }
    attrs |= {"dilation_h_factor": dilation, "dilation_w_factor": dilation}
    if op == "FULLY_CONNECTED":
        attrs = {"asymmetric_quantize_inputs": draw(st.booleans())}
    m.op(op, ["x", "w", "b"], "y", fused_activation_function=draw(ACTIVATIONS), **attrs)
    x = draw(values(x_shape, "float32")) * draw(st.sampled_from([0.0, 1.0, 1.0, 1.0]))
    if draw(st.booleans()):  # whole numbers, as pixels are: some lie halfway between two steps
        x = np.clip(np.rint(x * 40), *sorted(draw(st.sampled_from([(0, 250), (-50, 200), (-30, 0), (-20, 10), (0, 100)]))))
    check(m, x.astype(np.float32), kh * kw * ic, draw(THREADS))


@examples(25)
@given(data=st.data())
def test_shuffled_fully_connected(data: st.DataObject) -> None:
    """Weights in blocks of 4 x 16, as early kernels of TensorFlow Lite read them; int16 comes out."""
    draw = data.draw
    batches, k, n = draw(st.sampled_from([1, 4])), 16 * draw(st.integers(1, 5)), 4 * draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.integers(-128, 128, (n, k)).astype(np.int8)
    blocks = weights.reshape(n // 4, 4, k // 16, 16).transpose(0, 2, 1, 3).reshape(n, k).view(np.uint8)
    sx, sw, sy = (draw(scales(*limits)) for limits in ((5e-3, 2e-2), (5e-3, 2e-2), (1e-4, 1e-2)))
    b = Builder()
    t = [b.main.input((batches, k), "uint8", scale=sx, zero=128), b.main.constant(blocks, scale=sw, zero=128)]
    t.append(b.main.constant(rng.integers(-5000, 5000, n).astype(np.int32), scale=sx * sw))
    y, workspace = b.main.tensor((batches, n), "int16", scale=sy, zero=0), b.main.tensor((batches, k), "uint8")
    b.main.op(
        "FULLY_CONNECTED", t, [y, workspace], weightsFormat=1, fusedActivationFunction=draw(st.sampled_from(["NONE", "RELU"]))
    )
    b.main.outputs(y)
    x = rng.integers(0, 256, (batches, k)).astype(np.uint8)
    assert reference(b.bytes(), [x]) is not None
    assert_same_as_reference(b.bytes(), [x])


def blockwise_model(weights: np.ndarray, scales: np.ndarray, size: int, rows: int, bias: np.ndarray | None) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    n, k = weights.shape
    packed = (weights.reshape(-1, 2).astype(np.uint8) & 15) @ np.array([1, 16], np.uint8)
    b = Builder()
    x, s = b.main.input((rows, k), "float32"), b.main.constant(scales)
    w = b.main.tensor((n, k), "int4", packed.astype(np.uint8))
    q = b.main.t.tensors[w].quantization = schema.QuantizationParametersT()
    q.detailsType, q.details = schema.QuantizationDetails.BlockwiseQuantization, schema.BlockwiseQuantizationT()
    q.details.scales, q.details.zeroPoints, q.details.blockSize = s, -1, size
    t = [x, w] + ([b.main.constant(bias)] if bias is not None else [])
    y = b.main.tensor((rows, n), "float32")
    b.main.op("FULLY_CONNECTED", t, [y])
    b.main.outputs(y)
    return b.bytes()


@examples(25)
@given(data=st.data())
def test_blockwise_int4(data: st.DataObject) -> None:
    """LiteRT's other resolver has it (the reference one gives zeros); the same floats, to the bit."""
    draw = data.draw
    size = 32 * draw(st.integers(1, 2))
    n, k, rows = (
        draw(st.integers(4, 40)),
        size * draw(st.integers(1, 5)),
        draw(st.integers(1, 4)),
    )  # LiteRT gives zeros for less than four outputs
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.integers(-8, 8, (n, k)).astype(np.int8)
    scale = rng.uniform(0.001, 0.1, (n, k // size)).astype(np.float16)
    bias = rng.standard_normal(n).astype(np.float32) if draw(st.booleans()) else None
    content = blockwise_model(weights, scale, size, rows, bias)
    x = (rng.standard_normal((rows, k)) * draw(st.sampled_from([1.0, 100.0]))).astype(np.float32)
    assert reference(content, [x], builtin=True) is not None
    assert_same_as_reference(content, [x], draw(st.sampled_from([1, 2])), builtin=True, exact=True)


def test_blockwise_int4_that_does_not_fit() -> None:
    weights, scale = np.zeros((2, 64), np.int8), np.zeros((2, 2), np.float16)
    for content, expected in [
        (blockwise_model(weights, scale[:, :1], 32, 1, None), "blocks have 2 scales, expected 4"),
        (blockwise_model(weights, scale, 48, 1, None), "rows of 64 and blocks of 48"),
        (blockwise_model(weights, scale.astype(np.int32), 32, 1, None), "are int32 or no constant"),
    ]:
        with pytest.raises(Exception, match=expected):
            Interpreter(model_content=content).allocate_tensors()
