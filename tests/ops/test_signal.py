"""The audio frontend of TensorFlow Lite Micro, against its own interpreter; where there is none for this Python, only what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st

from edgert import EdgertError, Interpreter

from ..build import Builder
from ..support import examples, keep, run

Array = np.ndarray


def options_of(options: dict[str, Any]) -> bytes:
    f = flexbuffers.Builder()
    with f.Map():
        for key, value in options.items():
            f.Key(key)
            {bool: f.Bool, int: f.Int, float: f.Float}[type(value)](value)
    return bytes(f.Finish())


def model(
    op: str, options: dict[str, int], inputs: list[Array], constants: list[Array], outputs: list[tuple[tuple[int, ...], str]]
) -> bytes:
    b = Builder()
    ins = [b.main.input(x.shape, str(x.dtype)) for x in inputs] + [b.main.constant(c) for c in constants]
    outs = [b.main.tensor(shape, dtype) for shape, dtype in outputs]
    b.main.op(op, ins, outs, custom=options_of(options))
    b.main.outputs(*outs)
    keep(b.bytes())
    return b.bytes()


def assert_same_as_micro(content: bytes, frames: list[list[Array]], close: float = 0.0) -> None:
    """Frame after frame: some operators remember."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")
    micro, ours = runtime.Interpreter.from_bytes(content, arena_size=1 << 20), Interpreter(model_content=content)
    for frame in frames:
        for i, x in enumerate(frame):
            micro.set_input(x, i)
        micro.invoke()
        for i, got in enumerate(run(ours, frame)):
            expected = micro.get_output(i)
            assert got.dtype == expected.dtype and got.shape == expected.shape
            if close:
                np.testing.assert_allclose(got, expected, rtol=0, atol=close * float(np.abs(expected).max(initial=1)))
            else:
                np.testing.assert_array_equal(got, expected)


def numbers(draw: Any, shape: Any, dtype: str) -> Array:
    """Of all sizes: uniform bits, some of them shifted away."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype == "float32":
        return rng.standard_normal(shape).astype(np.float32)
    bits = np.dtype(dtype).itemsize * 8
    x = rng.integers(0, 2**bits, shape, np.uint64) if bits < 64 else rng.integers(0, 2**64 - 1, shape, np.uint64, endpoint=True)
    shift = rng.integers(0, bits, shape) if draw(st.booleans()) else np.asarray(draw(st.integers(0, bits - 1)))
    return np.asarray(x.astype(dtype) >> shift.astype(dtype), dtype)


def extremes(draw: Any, x: Array) -> Array:
    i = np.iinfo(x.dtype)
    if x.size and draw(st.booleans()):
        x.reshape(-1)[draw(st.integers(0, x.size - 1))] = draw(st.sampled_from([i.min, i.max, 0, 1]))
    return x


@examples(40)
@given(data=st.data())
def test_window(data: st.DataObject) -> None:
    draw = data.draw
    n, frames = draw(st.integers(1, 50)), draw(st.integers(1, 3))
    x, w = numbers(draw, (frames, n), "int16"), extremes(draw, numbers(draw, (n,), "int16"))
    content = model("SignalWindow", {"shift": draw(st.integers(0, 31))}, [x], [w], [(x.shape, "int16")])
    assert_same_as_micro(content, [[x], [extremes(draw, numbers(draw, x.shape, "int16"))]])


@examples(60)
@given(data=st.data())
def test_auto_scale(data: st.DataObject) -> None:
    draw = data.draw
    n = draw(st.integers(1, 30))
    content = model("SignalFftAutoScale", {}, [np.zeros(n, np.int16)], [], [((n,), "int16"), ((), "int32")])
    assert_same_as_micro(content, [[extremes(draw, numbers(draw, (n,), "int16"))] for _ in range(3)])


@pytest.mark.parametrize("op", ["SignalRfft", "SignalIrfft"])
@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
@examples(25)
@given(data=st.data())
def test_transforms(op: str, dtype: str, data: st.DataObject) -> None:
    draw = data.draw
    points, frames = 2 ** draw(st.integers(2, 11)), draw(st.integers(1, 2))
    full, out = (points, points + 2) if op == "SignalRfft" else (points + 2, points)
    n = draw(st.integers(max(1, full // 2), full)) if op == "SignalRfft" else full
    number = {"int16": 7, "int32": 2, "float32": 0}[dtype]
    content = model(op, {"T": number, "fft_length": points}, [np.zeros((frames, n), dtype)], [], [((frames, out), dtype)])
    x = [numbers(draw, (frames, n), dtype) for _ in range(2)]
    if op == "SignalIrfft" and dtype != "float32":  # sums of larger ones overflow, which the reference leaves to the compiler
        x = [v // 4 for v in x]
    if op == "SignalRfft" and dtype == "int32":
        x = [v // 2 for v in x]
    assert_same_as_micro(content, [[v] for v in x], close=1e-5 if dtype == "float32" else 0)


@examples(30)
@given(data=st.data())
def test_energy(data: st.DataObject) -> None:
    draw = data.draw
    n = draw(st.integers(1, 40))
    end = draw(st.integers(1, n))
    begin = draw(st.integers(0, end - 1))
    x = numbers(draw, (2 * n,), "int16")
    content = model("SignalEnergy", {"start_index": begin, "end_index": end}, [x], [], [((n,), "uint32")])
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    micro = runtime.Interpreter.from_bytes(content, arena_size=1 << 20)
    micro.set_input(x, 0)
    micro.invoke()
    (got,) = run(Interpreter(model_content=content), [x])
    np.testing.assert_array_equal(got[begin:end], micro.get_output(0)[begin:end])  # what it leaves alone is zero here
    assert not got[:begin].any() and not got[end:].any()


@examples(40)
@given(data=st.data())
def test_filter_bank(data: st.DataObject) -> None:
    draw = data.draw
    channels, spectrum = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    widths = np.array([draw(st.integers(0, spectrum)) for _ in range(channels + 1)], np.int16)
    frequencies = np.array([draw(st.integers(0, spectrum - int(w))) for w in widths], np.int16)
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int16)
    weights = [numbers(draw, (max(1, int(widths.sum())),), "int16") for _ in range(2)]
    x = numbers(draw, (spectrum,), "uint32")
    content = model(
        "SignalFilterBank", {"num_channels": channels}, [x], [*weights, frequencies, starts, widths], [((channels,), "uint64")]
    )
    assert_same_as_micro(content, [[x], [extremes(draw, numbers(draw, (spectrum,), "uint32"))]])


@examples(60)
@given(data=st.data())
def test_square_root(data: st.DataObject) -> None:
    draw = data.draw
    x = numbers(draw, (20,), "uint64")
    if draw(st.booleans()):  # next to squares
        root = numbers(draw, (20,), "uint32").astype(np.uint64)
        x = root * root + root + np.uint64(draw(st.integers(0, 1)))
    content = model("SignalFilterBankSquareRoot", {}, [x, np.zeros((), np.int32)], [], [((20,), "uint32")])
    assert_same_as_micro(content, [[x, np.array(draw(st.integers(0, 31)), np.int32)]])


@examples(40)
@given(data=st.data())
def test_spectral_subtraction(data: st.DataObject) -> None:
    draw = data.draw
    n, bits = draw(st.integers(1, 12)), draw(st.integers(8, 16))
    part = st.integers(0, 2**bits)
    a, b = draw(part), draw(part)
    options = {
        "smoothing": a, "one_minus_smoothing": 2**bits - a, "alternate_smoothing": b, "alternate_one_minus_smoothing": 2**bits - b,
        "min_signal_remaining": draw(part), "smoothing_bits": draw(st.integers(0, 12)), "spectral_subtraction_bits": bits,
        "clamping": draw(st.booleans()), "num_channels": n,
    }  # fmt: skip
    content = model("SignalFilterBankSpectralSubtraction", options, [np.zeros(n, np.uint32)], [], [((n,), "uint32")] * 2)
    frames = [[numbers(draw, (n,), "uint32")] for _ in range(4)]
    assert_same_as_micro(content, frames)
    ours = Interpreter(model_content=content)
    first = run(ours, frames[0])
    run(ours, frames[1])
    ours.reset_all_variables()
    for again, before in zip(run(ours, frames[0]), first):
        np.testing.assert_array_equal(again, before)


@examples(60)
@given(data=st.data())
def test_pcan(data: st.DataObject) -> None:
    draw = data.draw
    n = draw(st.integers(1, 12))
    x, noise, table = (numbers(draw, s, t) for s, t in (((n,), "uint32"), ((n,), "uint32"), ((125,), "int16")))
    content = model("SignalPCAN", {"snr_shift": draw(st.integers(0, 40))}, [x, noise], [table], [((n,), "uint32")])
    assert_same_as_micro(content, [[x, extremes(draw, noise)]])


@examples(60)
@given(data=st.data())
def test_log(data: st.DataObject) -> None:
    draw = data.draw
    options = {"input_correction_bits": draw(st.integers(0, 12)), "output_scale": draw(st.integers(1, 2000))}
    x = extremes(draw, numbers(draw, (30,), "uint32"))
    content = model("SignalFilterBankLog", options, [x], [], [((30,), "int16")])
    assert_same_as_micro(content, [[x]])


@pytest.mark.parametrize(
    ("op", "options", "inputs", "constants", "outputs", "expected"),
    [
        ("SignalWindow", {"shift": 40}, [np.zeros(4, np.int16)], [np.zeros(4, np.int16)], [((4,), "int16")], "option shift is 40"),
        ("SignalWindow", {"other": 1}, [np.zeros(4, np.int16)], [np.zeros(4, np.int16)], [((4,), "int16")], 'no option "shift"'),
        ("SignalWindow", {"shift": 4}, [np.zeros(5, np.int16)], [np.zeros(4, np.int16)], [((5,), "int16")], "multiple of the 4"),
        ("SignalRfft", {"T": 7, "fft_length": 12}, [np.zeros(12, np.int16)], [], [((14,), "int16")], "power of two"),
        ("SignalRfft", {"T": 7, "fft_length": 8}, [np.zeros(9, np.int16)], [], [((10,), "int16")], "frames have 9"),
        ("SignalRfft", {"T": 7, "fft_length": 8}, [np.zeros(8, np.int16)], [], [((9,), "int16")], "expected 10"),
        ("SignalEnergy", {"start_index": 0, "end_index": 5}, [np.zeros(8, np.int16)], [], [((5,), "uint32")], "end_index is 5"),
        ("SignalPCAN", {"snr_shift": 6}, [np.zeros(3, np.uint32)] * 2, [np.zeros(124, np.int16)], [((3,), "uint32")], "at least 125"),
        ("SignalFilterBankLog", {"input_correction_bits": 3}, [np.zeros(3, np.uint32)], [], [((3,), "int16")], "output_scale"),
    ],
)  # fmt: skip
def test_refused(
    op: str, options: dict[str, int], inputs: list[Array], constants: list[Array], outputs: Any, expected: str
) -> None:
    with pytest.raises(EdgertError, match=expected):
        Interpreter(model_content=model(op, options, inputs, constants, outputs)).allocate_tensors()


def test_filter_bank_outside_its_spectrum() -> None:
    lists = [np.array([0, 3], np.int16), np.array([0, 2], np.int16), np.array([2, 2], np.int16)]
    x = np.ones(4, np.uint32)
    content = model("SignalFilterBank", {"num_channels": 1}, [x], [np.ones(4, np.int16)] * 2 + lists, [((1,), "uint64")])
    with pytest.raises(RuntimeError, match="outside its spectrum"):
        run(Interpreter(model_content=content), [x])
