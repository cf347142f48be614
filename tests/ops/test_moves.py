"""Operators that only move data, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..support import Model, assert_same_as_reference, examples, quantization, shapes, values

DTYPES = pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])


def simple(op: str, dtype: str, draw: Any, shape: tuple[int, ...], constants: list[np.ndarray], **attrs: Any) -> None:
    """An operator whose output has its input's quantization, and whose other inputs are constant integers."""
    m = Model()
    q = draw(quantization(dtype))
    m.input("x", shape, dtype, **q)
    names = [m.tensor(f"c{i}", c.shape, "int32", c.astype(np.int32)) for i, c in enumerate(constants)]
    m.tensor("y", (1,), dtype, **q)
    m.op(op, ["x", *names], "y", **attrs)
    assert_same_as_reference(m, [draw(values(shape, dtype))])


@DTYPES
@examples(40)
@given(data=st.data())
def test_pad(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 6))
    pads = np.array([[data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))] for _ in shape])
    simple("PAD", dtype, data.draw, shape, [pads])


@DTYPES
@examples(40)
@given(data=st.data())
def test_padv2(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = draw(shapes(1, 4, 6))
    pads = np.array([[draw(st.integers(0, 3)), draw(st.integers(0, 3))] for _ in shape], np.int32)
    m = Model()
    q = draw(quantization(dtype))
    m.input("x", shape, dtype, **q)
    m.tensor("pads", pads.shape, "int32", pads)
    m.tensor("value", (1,), dtype, draw(values((1,), dtype)), **q)
    m.tensor("y", (1,), dtype, **q)
    m.op("PADV2", ["x", "pads", "value"], "y")
    assert_same_as_reference(m, [draw(values(shape, dtype))])


@DTYPES
@examples(40)
@given(data=st.data())
def test_reshape(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4))
    target = list(data.draw(st.permutations(shape)))
    if data.draw(st.booleans()):
        target[data.draw(st.integers(0, len(target) - 1))] = -1
    if len(target) > 1 and target[0] > 0 and target[1] > 0 and data.draw(st.booleans()):
        target[:2] = [target[0] * target[1]]
    simple("RESHAPE", dtype, data.draw, shape, [np.array(target)], new_shape=target)


@DTYPES
@examples(30)
@given(data=st.data())
def test_squeeze(dtype: str, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 1, 3, 5]), min_size=1, max_size=4)))
    ones = [i for i, n in enumerate(shape) if n == 1]
    dims = data.draw(st.lists(st.sampled_from(ones), unique=True)) if ones else []
    simple("SQUEEZE", dtype, data.draw, shape, [], squeeze_dims=dims)


@DTYPES
@examples(30)
@given(data=st.data())
def test_expand_dims(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3))
    simple("EXPAND_DIMS", dtype, data.draw, shape, [np.array([data.draw(st.integers(-len(shape) - 1, len(shape)))])])


@DTYPES
@examples(40)
@given(data=st.data())
def test_transpose(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(st.one_of(shapes(1, 5, 6), shapes(2, 3, 30)))  # in tiles, too
    simple("TRANSPOSE", dtype, data.draw, shape, [np.array(data.draw(st.permutations(range(len(shape)))))])


@DTYPES
@examples(20)
@given(data=st.data())
def test_shuffled_channels(dtype: str, data: st.DataObject) -> None:
    """Of groups and channels, the two last, one becomes the other; there may be more around them."""
    groups, channels = data.draw(st.integers(2, 7)), data.draw(st.integers(3, 40))
    shape = [3, *data.draw(st.permutations([groups, channels])), *data.draw(st.sampled_from([[], [], [2]]))]
    simple("TRANSPOSE", dtype, data.draw, tuple(shape), [np.array([0, 2, 1, 3][: len(shape)])])


@DTYPES
@examples(40)
@given(data=st.data())
def test_slice(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4))
    begin = [data.draw(st.integers(0, n - 1)) for n in shape]
    size = [data.draw(st.sampled_from([-1, data.draw(st.integers(1, n - b))])) for n, b in zip(shape, begin)]
    simple("SLICE", dtype, data.draw, shape, [np.array(begin), np.array(size)])


@DTYPES
@examples(80)
@given(data=st.data())
def test_strided_slice(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = draw(shapes(1, 4, 7))
    named = draw(st.integers(1, len(shape)))
    begin = [draw(st.integers(-n - 2, n + 2)) for n in shape[:named]]
    end = [draw(st.integers(-n - 2, n + 2)) for n in shape[:named]]
    stride = [draw(st.sampled_from([1, 1, 2, 3, -1, -2])) for _ in range(named)]
    masks = {k: draw(st.integers(0, 2**named - 1)) if draw(st.booleans()) else 0 for k in ("begin_mask", "end_mask")}
    shrink = draw(st.integers(0, 2**named - 1)) if draw(st.booleans()) else 0
    for i in range(named):
        if shrink >> i & 1:  # an index, not a range
            begin[i] = draw(st.integers(-shape[i], shape[i] - 1))
            end[i], stride[i] = begin[i] + 1, 1
            masks = {k: v & ~(1 << i) for k, v in masks.items()}
    simple(
        "STRIDED_SLICE", dtype, draw, shape, [np.array(begin), np.array(end), np.array(stride)], shrink_axis_mask=shrink, **masks
    )


@pytest.mark.parametrize("mask", ["ellipsis_mask", "new_axis_mask"])
def test_strided_slice_with_ellipsis_and_new_axis(mask: str) -> None:
    m = Model()
    m.input("x", (2, 3, 4), "float32")
    for name, v in (("begin", [1, 0, 1]), ("end", [2, 0, 3]), ("strides", [1, 1, 1])):
        m.tensor(name, (3,), "int32", np.array(v, np.int32))
    m.tensor("y", (1,), "float32")
    m.op("STRIDED_SLICE", ["x", "begin", "end", "strides"], "y", **{mask: 2})
    assert_same_as_reference(m, [np.arange(24, dtype=np.float32).reshape(2, 3, 4)])


@DTYPES
@examples(50)
@given(data=st.data())
def test_concatenation(dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = draw(shapes(1, 4, 6))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    q = draw(quantization(dtype))
    m = Model()
    arrays = []
    for i in range(draw(st.integers(1, 4))):
        s = list(shape)
        s[axis] = draw(st.integers(1, 6))
        # uint8 inputs may have scales of their own.
        own = draw(quantization(dtype)) if dtype == "uint8" and draw(st.booleans()) else q
        m.input(f"x{i}", tuple(s), dtype, **own)
        arrays.append(draw(values(tuple(s), dtype)))
    m.tensor("y", (1,), dtype, **q)
    m.op("CONCATENATION", [f"x{i}" for i in range(len(arrays))], "y", axis=axis)
    assert_same_as_reference(m, arrays)
