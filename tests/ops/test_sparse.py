"""Sparse constants, read directly and through DENSIFY, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from edgert import EdgertError, Interpreter

from ..build import Builder
from ..support import assert_same_as_reference, examples, keep


def index_vector(values: list[int], kind: int) -> Any:
    cls, dtype = [(schema.Int32VectorT, np.int32), (schema.Uint16VectorT, np.uint16), (schema.Uint8VectorT, np.uint8)][kind - 1]
    v = cls()
    v.values = np.array(values, dtype)
    return v


def sparsity(dense: np.ndarray, kind: int, block: int, transposed: bool) -> tuple[Any, np.ndarray]:
    """Of a matrix: rows (or columns) dense, the others listed; with `block`, in blocks of so many columns."""
    p = schema.SparsityParametersT()
    p.traversalOrder = [1, 0] if transposed else [0, 1]
    p.blockMap = []
    grid = dense.T if transposed else dense
    levels, values, segments, indices = [], [], [0], []
    for row in grid:
        cells = row.reshape(-1, block)
        for i, cell in enumerate(cells):
            if cell.any():
                indices.append(i)
                values.append(cell)
        segments.append(len(indices))
    first, second = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    first.format, first.denseSize = 0, grid.shape[0]
    second.format = 1
    second.arraySegmentsType = second.arrayIndicesType = kind
    second.arraySegments, second.arrayIndices = index_vector(segments, kind), index_vector(indices, kind)
    levels += [first, second]
    if block > 1:
        last = schema.DimensionMetadataT()
        last.format, last.denseSize = 0, block
        levels.append(last)
        p.traversalOrder.append(2)
        p.blockMap = [1]
    p.dimMetadata = levels
    return p, np.array(values, dense.dtype).reshape(-1)


def model(w: np.ndarray, kind: int, block: int, transposed: bool, densify: bool) -> Builder:
    b = Builder()
    x = b.main.input((2, w.shape[1]), "float32")
    s, values = sparsity(w, kind, block, transposed)
    sparse = b.main.tensor(w.shape, "float32", values)
    b.main.t.tensors[sparse].sparsity = s
    y = b.main.tensor((2, w.shape[0]), "float32")
    weights = sparse
    if densify:
        weights = b.main.tensor(w.shape, "float32")
        b.main.op("DENSIFY", [sparse], [weights])
    b.main.op("FULLY_CONNECTED", [x, weights], [y])
    b.main.outputs(y)
    return b


@pytest.mark.parametrize("densify", [False, True])
@examples(40)
@given(data=st.data())
def test_sparse_weights(densify: bool, data: st.DataObject) -> None:
    draw = data.draw
    block, transposed = draw(st.sampled_from([1, 4])), draw(st.booleans())
    rows, columns = draw(st.integers(1, 9)), 4 * draw(st.integers(1, 5))
    if transposed:
        block = 1
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    w = (rng.standard_normal((rows, columns)) * np.repeat(rng.uniform(size=(rows, columns // 4)) > 0.6, 4, 1)).astype(np.float32)
    if not w.any():
        w[0, 0] = 1
    x = rng.standard_normal((2, columns)).astype(np.float32)
    b = model(w, draw(st.integers(1, 3)), block, transposed, densify)
    keep(b.bytes())
    it = Interpreter(model_content=b.bytes())
    it.allocate_tensors()
    it.set_tensor(it.get_input_details()[0]["index"], x)
    it.invoke()
    np.testing.assert_allclose(
        it.get_tensor(it.get_output_details()[0]["index"]), x @ w.T, atol=1e-5 * max(1.0, float(np.abs(x @ w.T).max()))
    )
    if densify:  # the reference's FULLY_CONNECTED takes only some forms of sparse weights
        assert_same_as_reference(b.bytes(), [x], magnitude=float((np.abs(x) @ np.abs(w.T)).max()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: setattr(p.dimMetadata[1].arrayIndices, "values", np.array([0, 99], np.int32)), "index outside"),
        (lambda p: setattr(p.dimMetadata[1].arraySegments, "values", np.array([0, 1, 9], np.int32)), "segments outside"),
        (lambda p: setattr(p.dimMetadata[1].arraySegments, "values", np.array([0], np.int32)), "too few segments"),
        (lambda p: setattr(p.dimMetadata[1].arraySegments, "values", np.array([0, 1, 1], np.int32)), "more values"),
        (lambda p: setattr(p, "traversalOrder", [0, 0]), "twice"),
        (lambda p: setattr(p, "traversalOrder", [0]), "rank"),
        (lambda p: setattr(p.dimMetadata[0], "denseSize", 7), "another size"),
    ],
)
def test_broken_sparsity(change: Any, message: str) -> None:
    b = model(np.array([[1, 0, 0, 0], [0, 0, 2, 0]], np.float32), 1, 1, False, True)
    change(b.main.t.tensors[1].sparsity)
    with pytest.raises((EdgertError, ValueError), match=message):
        Interpreter(model_content=b.bytes()).allocate_tensors()
