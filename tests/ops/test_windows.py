"""Pooling, means, resizing, maxima against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..support import ACTIVATIONS, Model, assert_same_as_reference, examples, quantization, run, shapes, values

DTYPES = pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@DTYPES
@examples(50)
@given(data=st.data())
def test_pool(op: str, dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    fh, fw, sh, sw = (draw(st.integers(1, n)) for n in (5, 5, 3, 3))
    h, w, c = draw(st.integers(fh, 14)), draw(st.integers(fw, 14)), draw(st.integers(1, 70))
    shape = (draw(st.integers(1, 2)), h, w, c)
    m = Model()
    q = draw(quantization(dtype))
    m.input("x", shape, dtype, **q)
    m.tensor("y", (1, 1, 1, 1), dtype, **q)
    m.op(
        op, ["x"], "y", padding=draw(st.sampled_from(["SAME", "VALID"])), stride_h=sh, stride_w=sw, filter_height=fh, filter_width=fw,
        fused_activation_function=draw(ACTIVATIONS),
    )  # fmt: skip
    assert_same_as_reference(m, [draw(values(shape, dtype))], draw(st.sampled_from([1, 2])))


@DTYPES
@examples(80)
@given(data=st.data())
def test_mean(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = draw(shapes(1, 4))
    axes = draw(
        st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=len(shape), unique_by=lambda a: a % len(shape))
    )
    m = Model()
    m.input("x", shape, dtype, **draw(quantization(dtype)))
    m.tensor("axes", (len(axes),), "int32", np.array(axes, np.int32))
    m.tensor("y", (1,), dtype, **draw(quantization(dtype)))
    m.op("MEAN", ["x", "axes"], "y", keep_dims=draw(st.booleans()))
    assert_same_as_reference(m, [draw(values(shape, dtype))])


@pytest.mark.parametrize("op", ["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "float32"])
@examples(60)
@given(data=st.data())
def test_resize(op: str, dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 5)))
    size = (draw(st.integers(1, 25)), draw(st.integers(1, 25)))
    align, half = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    m = Model()
    q = dict(draw(quantization(dtype)), **({"zero": 0} if dtype == "int16" else {}))
    m.input("x", shape, dtype, **q)
    m.tensor("size", (2,), "int32", np.array(size, np.int32))
    m.tensor("y", (1, 1, 1, 1), dtype, **q)
    m.op(op, ["x", "size"], "y", align_corners=align, half_pixel_centers=half)
    assert_same_as_reference(m, [draw(values(shape, dtype))], draw(st.sampled_from([1, 2])))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
@pytest.mark.parametrize(("size", "out"), [(2, 3000), (3, 2049), (7, 2500), (1, 4000)])
def test_resize_stays_inside(dtype: str, size: int, out: int) -> None:
    """Many more columns than there were: with int8 the reference's rounded scale points past the end. A flat picture stays flat."""
    for half in (False, True):
        m = Model()
        q = {} if dtype == "float32" else {"scale": 0.1, "zero": 0}
        m.input("x", (1, size, size, 1), dtype, **q)
        m.tensor("size", (2,), "int32", np.array([2, out], np.int32))
        m.tensor("y", (1, 2, out, 1), dtype, **q)
        m.op("RESIZE_BILINEAR", ["x", "size"], "y", half_pixel_centers=half)
        (y,) = run(Interpreter(model_content=m.bytes()), [np.full((1, size, size, 1), 100, dtype)])
        np.testing.assert_allclose(y, 100, rtol=1e-5 if dtype == "float32" else 0)


@DTYPES
@examples(40)
@given(data=st.data())
def test_arg_max(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = draw(shapes(1, 4))
    index = draw(st.sampled_from(["int32", "int64"]))
    m = Model()
    m.input("x", shape, dtype, **draw(quantization(dtype)))
    m.tensor(
        "axis",
        (1,) if draw(st.booleans()) else (),
        "int32",
        np.array(draw(st.integers(-len(shape), len(shape) - 1)), np.int32).reshape(-1),
    )
    m.graph.tensors["axis"].data = m.graph.tensors["axis"].data.reshape(m.graph.tensors["axis"].shape)
    m.tensor("y", (1,), index)
    m.op("ARG_MAX", ["x", "axis"], "y", output_type={"int32": 2, "int64": 4}[index])
    x = draw(values(shape, dtype))
    assert_same_as_reference(m, [np.round(x) if dtype == "float32" else x])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@examples(20)
@given(n=st.integers(1, 300), inner=st.integers(2, 70), span=st.integers(1, 256), seed=st.integers(0, 2**32 - 1))
def test_arg_max_of_many_rows(dtype: str, n: int, inner: int, span: int, seed: int) -> None:
    """Of equal values the first wins, wherever rows are looked at together."""
    m = Model()
    m.input("x", (2, n, inner), dtype, 1.0)
    m.tensor("axis", (1,), "int32", np.array([1], np.int32))
    m.tensor("y", (1,), "int32")
    m.op("ARG_MAX", ["x", "axis"], "y", output_type=2)
    low = np.iinfo(dtype).min
    assert_same_as_reference(m, [np.random.default_rng(seed).integers(low, low + span, (2, n, inner)).astype(dtype)])
