"""What LiteRT accepts although its specification says otherwise: the same answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..build import Builder
from ..support import assert_same_as_reference, examples, quantization, values

MOVES: dict[str, tuple[tuple[int, ...], list[np.ndarray], dict[str, Any]]] = {
    "MAX_POOL_2D": ((1, 4, 4, 5), [], {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "fusedActivationFunction": 1}),
    "AVERAGE_POOL_2D": ((1, 4, 4, 5), [], {"filterHeight": 3, "filterWidth": 2, "strideH": 1, "strideW": 2, "fusedActivationFunction": 3}),
    "TRANSPOSE": ((2, 3, 4), [np.array([2, 0, 1], np.int32)], {}),
    "STRIDED_SLICE": ((4, 5), [np.array([v, v], np.int32) for v in (0, 4, 2)], {}),
    "PAD": ((2, 3), [np.array([[1, 2], [0, 1]], np.int32)], {}),
    "PADV2": ((2, 3), [np.array([[1, 2], [0, 1]], np.int32)], {}),
    "SPACE_TO_BATCH_ND": ((1, 3, 4, 2), [np.array([2, 2], np.int32), np.array([[0, 1], [1, 1]], np.int32)], {}),
    "BATCH_TO_SPACE_ND": ((4, 2, 3, 2), [np.array([2, 2], np.int32), np.array([[0, 1], [1, 1]], np.int32)], {}),
    "RESIZE_BILINEAR": ((1, 3, 4, 2), [np.array([5, 6], np.int32)], {}),
    "RESIZE_NEAREST_NEIGHBOR": ((1, 3, 4, 2), [np.array([5, 6], np.int32)], {}),
    "RESHAPE": ((2, 6), [np.array([3, 4], np.int32)], {}),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op", MOVES)
@examples(6)
@given(data=st.data())
def test_quantization_that_changes_where_values_only_move(op: str, dtype: str, data: st.DataObject) -> None:
    """The numbers stay what they are."""
    shape, others, options = MOVES[op]
    m = Builder()
    x = data.draw(values(shape, dtype))
    q = data.draw(quantization(dtype))
    inputs = [m.main.input(shape, dtype, **data.draw(quantization(dtype))), *(m.main.constant(v) for v in others)]
    if op == "PADV2":
        inputs.append(m.main.constant(np.array([7], dtype), **data.draw(quantization(dtype))))
    y = m.main.tensor((1,) * len(shape), dtype, **q)
    m.main.op(op, inputs, [y], **options)
    m.main.outputs(y)
    assert_same_as_reference(m.bytes(), [x], data.draw(st.sampled_from([1, 3])))


@examples(20)
@given(data=st.data())
def test_a_pad_that_changes_the_quantization_is_no_padding_of_the_convolution_behind_it(data: st.DataObject) -> None:
    m = Builder()
    x, k = data.draw(values((1, 5, 5, 3), "int8")), data.draw(values((4, 3, 3, 3), "int8"))
    i = m.main.input(x.shape, "int8", **data.draw(quantization("int8")))
    q = data.draw(quantization("int8"))
    padded = m.main.tensor((1, 7, 7, 3), "int8", **q)
    m.main.op("PAD", [i, m.main.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))], [padded])
    w = m.main.constant(np.maximum(k, -127), scale=0.01, zero=0)
    b = m.main.constant(np.arange(4, dtype=np.int32), scale=q["scale"] * 0.01, zero=0)
    y = m.main.tensor((1, 5, 5, 4), "int8", scale=float(q["scale"]), zero=3)
    m.main.op("CONV_2D", [padded, w, b], [y], padding=1, strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    m.main.outputs(y)
    assert_same_as_reference(m.bytes(), [x])


@pytest.mark.parametrize("multiplier", [0, 1, 5])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_depth_multiplier_is_what_the_shapes_say(dtype: str, multiplier: int) -> None:
    rng = np.random.default_rng(0)
    m = Builder()
    s = {"scale": 0.02, "zero": 0} if dtype == "int8" else {}
    x, k = ((rng.standard_normal(shape) * 40).astype(dtype) for shape in ((1, 5, 5, 3), (1, 3, 3, 6)))
    i, w, b = (
        m.main.input(x.shape, dtype, **s),
        m.main.constant(k, **s),
        np.zeros(6, np.float32 if dtype == "float32" else np.int32),
    )
    y = m.main.tensor((1, 1, 1, 1), dtype, **({"scale": 0.5, "zero": 3} if s else {}))
    bias = m.main.constant(b, **({"scale": 0.0004, "zero": 0} if s else {}))
    m.main.op(
        "DEPTHWISE_CONV_2D",
        [i, w, bias],
        [y],
        strideW=1,
        strideH=1,
        dilationWFactor=1,
        dilationHFactor=1,
        depthMultiplier=multiplier,
    )
    m.main.outputs(y)
    assert_same_as_reference(m.bytes(), [x], magnitude=40_000)


@examples(20)
@given(data=st.data())
def test_nearest_neighbour_by_corners_and_centers(data: st.DataObject) -> None:
    m = Builder()
    shape = (1, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), 2)
    size = np.array([data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))], np.int32)
    x = data.draw(values(shape, "float32"))
    i, y = m.main.input(shape, "float32"), m.main.tensor((1, 1, 1, 1), "float32")
    m.main.op("RESIZE_NEAREST_NEIGHBOR", [i, m.main.constant(size)], [y], alignCorners=True, halfPixelCenters=True)
    m.main.outputs(y)
    assert_same_as_reference(m.bytes(), [x], exact=True)
