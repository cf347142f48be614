"""RFFT2D, what makes real numbers of its results, and what moves or multiplies complex ones, against the reference and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder, single
from ..support import assert_same_as_reference, examples, keep, numbers, reference, run


@pytest.mark.parametrize("op", ["REAL", "IMAG", "COMPLEX_ABS"])
@examples(20)
@given(data=st.data())
def test_spectrum(op: str, data: st.DataObject) -> None:
    draw = data.draw
    shape = (*(draw(st.integers(1, 2)) for _ in range(draw(st.integers(0, 2)))), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    lengths = [2 ** draw(st.integers(0, 4)), 2 ** draw(st.integers(1, 4))]
    x = np.random.default_rng(draw(st.integers(0, 1000))).standard_normal(shape).astype(np.float32)
    b = Builder()
    i = b.main.input(shape, "float32")
    n = b.main.constant(lengths, "int32")
    out_shape = (*shape[:-2], lengths[0], lengths[1] // 2 + 1)
    z, y = b.main.tensor(out_shape, "complex64"), b.main.tensor(out_shape, "float32")
    b.main.op("RFFT2D", [i, n], [z])
    b.main.op(op, [z], [y])
    b.main.outputs(y, z)
    keep(b.bytes())
    got = run(Interpreter(model_content=b.bytes()), [x])
    spectrum = np.fft.rfft2(x, lengths)
    part = {"REAL": np.real, "IMAG": np.imag, "COMPLEX_ABS": np.abs}[op](spectrum)
    largest = np.abs(spectrum).max()
    np.testing.assert_allclose(got[0], part, rtol=0, atol=1e-5 * largest)
    np.testing.assert_allclose(got[1], spectrum, rtol=0, atol=1e-5 * largest)
    expected = reference(b.bytes(), [x]) if lengths[0] > 1 else None  # the reference reads outside of its memory for one row
    if expected is not None:
        np.testing.assert_allclose(got[0], expected[0], rtol=0, atol=1e-5 * largest)


@examples(20)
@given(data=st.data())
def test_spectrum_of_a_line(data: st.DataObject) -> None:
    """As TensorFlow writes tf.signal.rfft and stft: a dimension more around the transform."""
    frames, length = data.draw(st.integers(1, 4)), 2 ** data.draw(st.integers(1, 6))
    x = numbers(data, (frames, length), "float32")
    b = Builder()
    m = b.main
    i, wide = m.input(x.shape, "float32"), m.tensor((frames, 1, length), "float32")
    m.op("EXPAND_DIMS", [i, m.constant(np.array([-2], np.int32))], [wide])
    z, narrow = m.tensor((frames, 1, length // 2 + 1), "complex64"), m.tensor((frames, length // 2 + 1), "complex64")
    m.op("RFFT2D", [wide, m.constant(np.array([1, length], np.int32))], [z])
    m.op("SQUEEZE", [z], [narrow], squeezeDims=[-2])
    y = m.tensor((frames, length // 2 + 1), "float32")
    m.op("COMPLEX_ABS", [narrow], [y])
    m.outputs(y)
    spectrum = np.abs(np.fft.rfft(x))
    np.testing.assert_allclose(run(Interpreter(model_content=b.bytes()), [x])[0], spectrum, rtol=0, atol=1e-5 * spectrum.max())


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


# By operator: its constants, and its options, for an input of 2 x 3 x 4. What is not int32 takes the input's type.
MOVES = {
    "RESHAPE": ([ints(4, 6)], {}), "SQUEEZE": ([], {}), "EXPAND_DIMS": ([ints(1)], {}), "TRANSPOSE": ([ints(2, 0, 1)], {}), "SLICE": ([ints(0, 1, 1), ints(2, 2, 3)], {}),
    "STRIDED_SLICE": ([ints(0, 0, 3), ints(2, 3, 0), ints(1, 2, -1)], {}), "TILE": ([ints(1, 2, 2)], {}), "BROADCAST_TO": ([ints(3, 2, 3, 4)], {}), "MIRROR_PAD": ([ints(1, 0, 0, 1, 2, 1).reshape(3, 2)], {}),
    "SHAPE": ([], {"outType": 2}), "RANK": ([], {}), "SPACE_TO_BATCH_ND": ([ints(3), ints(0, 0).reshape(1, 2)], {}), "BATCH_TO_SPACE_ND": ([ints(2), ints(0, 1).reshape(1, 2)], {}),
    "DYNAMIC_UPDATE_SLICE": ([np.ones((1, 2, 3)), ints(1, 1, 1)], {}),
}  # fmt: skip


def moved(op: str, x: np.ndarray, constants: list[np.ndarray], options: dict[str, int]) -> bytes:
    b = Builder()
    t = [
        b.main.input(x.shape, str(x.dtype)),
        *(b.main.constant(c if c.dtype == np.int32 else c.astype(x.dtype)) for c in constants),
    ]
    # Of a SLICE by constants the reference wants the shape right.
    y = b.main.tensor((2, 2, 3) if op == "SLICE" else (1, 1, 1), "int32" if op in ("SHAPE", "RANK") else str(x.dtype))
    b.main.op(op, t, [y], **options)
    b.main.outputs(y)
    return b.bytes()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("op", MOVES)
@examples(2)
@given(data=st.data())
def test_moves(op: str, dtype: str, data: st.DataObject) -> None:
    x = numbers(data, (2, 3, 4), dtype)
    content = moved(op, x, *MOVES[op])
    keep(content)
    (got,) = run(Interpreter(model_content=content), [x])
    expected = reference(content, [x])
    if expected is None:  # where it has no complex128: their halves move alike
        assert dtype == "complex128"
        halves = [half(x).copy() for half in (np.real, np.imag)]
        re, im = (reference(moved(op, half, *MOVES[op]), [half]) or [None] for half in halves)
        assert re[0] is not None and im[0] is not None
        expected = [re[0] + 1j * im[0]]
    np.testing.assert_array_equal(got, expected[0])


@pytest.mark.parametrize("dtype", ["complex64", "uint32"])
@examples(20)
@given(data=st.data())
def test_products(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(5,), (3, 4), (2, 3, 4)]))
    other = data.draw(st.sampled_from([shape, shape[-1:], (1,), (*shape[:-1], 1)]))
    assert_same_as_reference(*single("MUL", [numbers(data, shape, dtype), numbers(data, other, dtype)], [dtype]), exact=True)
