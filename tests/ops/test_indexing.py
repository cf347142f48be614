"""Operators that read and write at places that indices name, against the reference; and indices outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder, single
from ..support import assert_same_as_reference, examples, numbers, run, shapes
from .test_rearrange import ANY


@ANY
@examples(10)
@given(data=st.data())
def test_gather(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    batch = data.draw(st.integers(0, axis))
    indices = numbers(
        data,
        (*shape[:batch], *data.draw(shapes(0 if batch else 1, 2, 3))),
        data.draw(st.sampled_from(["int32", "int64"])),
        0,
        shape[axis],
    )
    assert_same_as_reference(*single("GATHER", [numbers(data, shape, dtype), indices], [dtype], axis=axis, batchDims=batch))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@examples(8)
@given(data=st.data())
def test_embedding_lookup(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(2, 3, 5))
    indices = numbers(data, (data.draw(st.integers(1, 5)),), "int32", 0, shape[0])
    b = Builder()
    table = numbers(data, shape, dtype)
    i, t = b.main.input(indices.shape, "int32"), b.main.constant(table, **({"scale": 0.25, "zero": 0} if dtype == "int8" else {}))
    o = b.main.tensor([1], "float32")
    b.main.op("EMBEDDING_LOOKUP", [i, t], [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [indices])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int32", "int64", "bool"])
@examples(10)
@given(data=st.data())
def test_scatter_nd(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3, 4))
    depth = data.draw(st.integers(1, len(shape)))
    n = data.draw(st.integers(1, 5))
    indices = np.stack([numbers(data, (n,), "int32", 0, s) for s in shape[:depth]], -1)
    updates = numbers(data, (n, *shape[depth:]), dtype, 0, 5)
    assert_same_as_reference(*single("SCATTER_ND", [indices, updates, np.array(shape, np.int32)], [dtype], (2,)))


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int32", "int64"])
@examples(8)
@given(data=st.data())
def test_sparse_to_dense(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 3, 4))
    flat = data.draw(st.lists(st.integers(0, int(np.prod(shape)) - 1), min_size=1, max_size=4, unique=True).map(sorted))
    indices = np.stack(np.unravel_index(flat, shape), -1).astype(np.int32)
    values = numbers(data, (len(flat),), dtype, 0, 5)
    b = Builder()
    q = {"scale": 0.5, "zero": 0} if dtype in ("int8", "uint8") else {}
    t = [
        b.main.input(indices.shape, "int32"),
        b.main.constant(np.array(shape, np.int32)),
        b.main.input(values.shape, dtype, **q),
        b.main.constant(np.array(7, dtype), **q),
    ]
    o = b.main.tensor(shape, dtype, **q)
    b.main.op("SPARSE_TO_DENSE", t, [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [indices, values])


@ANY
@examples(8)
@given(data=st.data())
def test_dynamic_update_slice(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 4))
    part = tuple(data.draw(st.integers(1, n)) for n in shape)
    start = np.array([data.draw(st.integers(-2, n + 1)) for n in shape], data.draw(st.sampled_from([np.int32, np.int64])))
    assert_same_as_reference(
        *single("DYNAMIC_UPDATE_SLICE", [numbers(data, shape, dtype), numbers(data, part, dtype), start], [dtype])
    )


@pytest.mark.parametrize("dtype", ["bool", "float32", "int32", "int64", "int8", "uint8", "uint32"])
@examples(8)
@given(data=st.data())
def test_where(dtype: str, data: st.DataObject) -> None:
    """The shape of the output depends on the values of the input."""
    x = numbers(data, data.draw(shapes(1, 3, 4)), dtype, 0, 2)
    x = np.round(x) if dtype == "float32" else x
    b = Builder()
    i, o = b.main.input(x.shape, dtype), b.main.tensor([1, 1], "int64")
    b.main.op("WHERE", [i], [o])
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int16", "int32", "int64"])
@pytest.mark.parametrize("index", ["int32", "int64"])
@examples(4)
@given(data=st.data())
def test_unique(dtype: str, index: str, data: st.DataObject) -> None:
    x = numbers(data, (data.draw(st.integers(1, 12)),), dtype, 0, 5)
    x = np.round(x) + np.float32(0) if dtype == "float32" else x
    b = Builder()
    i, o, n = b.main.input(x.shape, dtype), b.main.tensor([1], dtype), b.main.tensor([1], index)
    b.main.op("UNIQUE", [i], [o, n], idxOutType={"int32": 2, "int64": 4}[index])
    b.main.outputs(o, n)
    assert_same_as_reference(b.bytes(), [x])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@examples(6)
@given(data=st.data())
def test_bucketize(dtype: str, data: st.DataObject) -> None:
    x = numbers(data, data.draw(shapes(1, 3, 4)), dtype)
    b = Builder()
    i, o = b.main.input(x.shape, dtype), b.main.tensor(x.shape, "int32")
    b.main.op("BUCKETIZE", [i], [o], boundaries=sorted(data.draw(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=5))))
    b.main.outputs(o)
    assert_same_as_reference(b.bytes(), [x], builtin=True)


@pytest.mark.parametrize(
    ("op", "inputs", "attrs"),
    [
        ("GATHER", [np.zeros((3, 2), np.float32), np.array([0, 3], np.int32)], {"axis": 0}),
        ("GATHER", [np.zeros((3, 2), np.float32), np.array([-1], np.int32)], {"axis": 0}),
        ("SCATTER_ND", [np.array([[4]], np.int32), np.ones((1,), np.float32), np.array([4], np.int32)], {}),
    ],
)
def test_an_index_outside_is_an_error(op: str, inputs: list[np.ndarray], attrs: dict[str, int]) -> None:
    content, arrays = single(op, inputs, ["float32"], (), **attrs)
    with pytest.raises(RuntimeError, match=f"{op}.*outside"):
        run(Interpreter(model_content=content), arrays)
