"""Operators that put elements in other places, and that make tensors out of shapes, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..build import Builder, single
from ..support import assert_same_as_reference, examples, numbers, shapes

ANY = pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int32", "int64"])


@ANY
@examples(8)
@given(data=st.data())
def test_tile(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 4))
    times = np.array([data.draw(st.integers(1, 3)) for _ in shape], np.int32)
    constant = (1,) if data.draw(st.booleans()) else ()
    assert_same_as_reference(*single("TILE", [numbers(data, shape, dtype), times], [dtype], constant))


@ANY
@examples(8)
@given(data=st.data())
def test_broadcast_to(dtype: str, data: st.DataObject) -> None:
    full = data.draw(shapes(1, 5, 4))
    cut = data.draw(st.integers(0, len(full) - 1))
    shape = tuple(data.draw(st.sampled_from([1, n])) for n in full)[cut:]
    constant = (1,) if data.draw(st.booleans()) else ()
    assert_same_as_reference(*single("BROADCAST_TO", [numbers(data, shape, dtype), np.array(full, np.int32)], [dtype], constant))


@ANY
@examples(8)
@given(data=st.data())
def test_reverse(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 4))
    axes = np.array([data.draw(st.integers(0, len(shape) - 1))], np.int32)
    assert_same_as_reference(*single("REVERSE_V2", [numbers(data, shape, dtype), axes], [dtype], (1,)))


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32", "int64"])
@examples(8)
@given(data=st.data())
def test_reverse_sequence(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(2, 4, 4))
    along, batch = data.draw(st.permutations(range(len(shape))))[:2]
    if along == 0 and batch == 0:
        return
    lengths = np.array([data.draw(st.integers(1, shape[along])) for _ in range(shape[batch])], np.int32)
    assert_same_as_reference(
        *single("REVERSE_SEQUENCE", [numbers(data, shape, dtype), lengths], [dtype], (1,), seqDim=along, batchDim=batch)
    )


@pytest.mark.parametrize("op", ["DEPTH_TO_SPACE", "SPACE_TO_DEPTH"])
@ANY
@examples(5)
@given(data=st.data())
def test_blocks(op: str, dtype: str, data: st.DataObject) -> None:
    n, h, w, c, b = (data.draw(st.integers(1, 3)) for _ in range(5))
    shape = (n, h, w, c * b * b) if op == "DEPTH_TO_SPACE" else (n, h * b, w * b, c)
    assert_same_as_reference(*single(op, [numbers(data, shape, dtype)], [dtype], blockSize=b))


@ANY
@examples(8)
@given(data=st.data())
def test_space_to_batch(dtype: str, data: st.DataObject) -> None:
    spatial = data.draw(st.integers(1, 2))
    block = [data.draw(st.integers(1, 3)) for _ in range(spatial)]
    size = [data.draw(st.integers(1, 5)) for _ in range(spatial)]
    before = [data.draw(st.integers(0, 2)) for _ in range(spatial)]
    pads = [[p, -(n + p) % b] for n, p, b in zip(size, before, block)]
    x = numbers(data, (data.draw(st.integers(1, 2)), *size, data.draw(st.integers(1, 3))), dtype)
    assert_same_as_reference(
        *single("SPACE_TO_BATCH_ND", [x, np.array(block, np.int32), np.array(pads, np.int32)], [dtype], (1, 2))
    )


@ANY
@examples(8)
@given(data=st.data())
def test_batch_to_space(dtype: str, data: st.DataObject) -> None:
    spatial = data.draw(st.integers(1, 2))
    block = [data.draw(st.integers(1, 3)) for _ in range(spatial)]
    size = [data.draw(st.integers(1, 4)) for _ in range(spatial)]
    crops = [[data.draw(st.integers(0, b - 1)), 0] for b in block]
    x = numbers(data, (data.draw(st.integers(1, 2)) * int(np.prod(block)), *size, data.draw(st.integers(1, 3))), dtype)
    assert_same_as_reference(
        *single("BATCH_TO_SPACE_ND", [x, np.array(block, np.int32), np.array(crops, np.int32)], [dtype], (1, 2))
    )


@ANY
@examples(6)
@given(data=st.data())
def test_split(dtype: str, data: st.DataObject) -> None:
    shape = list(data.draw(shapes(1, 4, 4)))
    axis, n = data.draw(st.integers(-len(shape), len(shape) - 1)), data.draw(st.integers(1, 3))
    shape[axis] *= n
    assert_same_as_reference(
        *single("SPLIT", [np.array(axis, np.int32), numbers(data, tuple(shape), dtype)], [dtype] * n, (0,), numSplits=n)
    )


@ANY
@examples(6)
@given(data=st.data())
def test_split_v(dtype: str, data: st.DataObject) -> None:
    shape = list(data.draw(shapes(1, 4, 4)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    shape[axis] = sum(sizes)
    if data.draw(st.booleans()):
        sizes[0] = -1
    x = numbers(data, tuple(shape), dtype)
    assert_same_as_reference(
        *single(
            "SPLIT_V",
            [x, np.array(sizes, np.int32), np.array(axis, np.int32)],
            [dtype] * len(sizes),
            (1, 2),
            numSplits=len(sizes),
        )
    )


@ANY
@examples(8)
@given(data=st.data())
def test_mirror_pad(dtype: str, data: st.DataObject) -> None:
    shape, mode = data.draw(shapes(1, 4, 4)), data.draw(st.integers(0, 1))
    pads = np.array([[data.draw(st.integers(0, n - 1 + mode)) for _ in range(2)] for n in shape], np.int32)
    constant = (1,) if data.draw(st.booleans()) else ()
    assert_same_as_reference(*single("MIRROR_PAD", [numbers(data, shape, dtype), pads], [dtype], constant, mode=mode))


@ANY
@examples(5)
@given(data=st.data())
def test_diagonals(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3, 4))
    assert_same_as_reference(*single("MATRIX_DIAG", [numbers(data, shape, dtype)], [dtype]))
    matrix = (*shape, data.draw(st.integers(1, 4)))
    if len(matrix) >= 2:
        diagonal = (*matrix[:-2], min(matrix[-2:]))
        assert_same_as_reference(
            *single("MATRIX_SET_DIAG", [numbers(data, matrix, dtype), numbers(data, diagonal, dtype)], [dtype])
        )


@pytest.mark.parametrize(
    ("dtype", "to"), [("float32", "int32"), ("int32", "uint8"), ("uint8", "int16"), ("int16", "uint16"), ("int64", "int32")]
)
@examples(4)
@given(data=st.data())
def test_bitcast(dtype: str, to: str, data: st.DataObject) -> None:
    shape = (*data.draw(shapes(1, 3, 3)), max(1, np.dtype(to).itemsize // np.dtype(dtype).itemsize))
    x = numbers(data, shape, dtype)
    b = Builder()
    i, o = b.main.input(shape, dtype), b.main.tensor([1], to)
    b.main.op("BITCAST", [i], [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@ANY
@examples(5)
@given(data=st.data())
def test_shapes_and_fills(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 4))
    x = numbers(data, shape, dtype)
    assert_same_as_reference(*single("SHAPE", [x], ["int32"], outType=2))
    assert_same_as_reference(*single("SHAPE", [x], ["int64"], outType=4))
    assert_same_as_reference(*single("RANK", [x], ["int32"]))
    if dtype in ("float32", "int32", "int64"):
        assert_same_as_reference(*single("ZEROS_LIKE", [x], [dtype]))
    constant = (0,) if data.draw(st.booleans()) else ()
    value = x.reshape(-1)[0]
    assert_same_as_reference(*single("FILL", [np.array(shape, np.int32), np.array(value)], [dtype], constant))


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@examples(8)
@given(data=st.data())
def test_range(dtype: str, data: st.DataObject) -> None:
    start, step, n = data.draw(st.integers(-5, 5)), data.draw(st.sampled_from([-3, -1, 1, 2])), data.draw(st.integers(1, 9))
    values = [np.array(v, dtype) for v in (start, start + step * n, step)]
    constant = (0, 1, 2) if data.draw(st.booleans()) else ()
    b, inputs = single("RANGE", values, [dtype], constant)
    if inputs:  # all constant: the reference has the answer before it runs, and it is the same
        assert_same_as_reference(b, inputs)


@examples(8)
@given(data=st.data())
def test_broadcast_args(data: st.DataObject) -> None:
    full = data.draw(shapes(1, 4, 4))
    a, b = (np.array([data.draw(st.sampled_from([1, n])) for n in full], np.int32) for _ in range(2))
    assert_same_as_reference(*single("BROADCAST_ARGS", [a, b[data.draw(st.integers(0, len(full) - 1)) :]], ["int32"]))


@ANY
@examples(8)
@given(data=st.data())
def test_one_hot(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3, 4))
    indices = numbers(data, shape, "int32", -1, 5)
    depth = data.draw(st.integers(1, 5))
    on, off = np.array(3, dtype), np.array(1, dtype)
    axis = data.draw(st.integers(-1, len(shape)))
    constant = (1, 2, 3) if data.draw(st.booleans()) else (2, 3)
    assert_same_as_reference(*single("ONE_HOT", [indices, np.array(depth, np.int32), on, off], [dtype], constant, axis=axis))
