"""What ends an operator before it is done, or before it begins: limits of turns, time and memory, and cancelling."""

from __future__ import annotations

import numpy as np
import pytest

from edgert import Interpreter

from ..build import Builder
from ..support import run
from .test_control import counting_loop


def test_loops_end() -> None:
    endless = [np.array([0], np.int32), np.array([2**31 - 1], np.int32), np.ones(2, np.float32)]
    it = Interpreter(model_content=counting_loop(), max_iterations=1000)
    with pytest.raises(RuntimeError, match=r"WHILE.*more than 1000 times"):
        run(it, endless)
    it = Interpreter(model_content=counting_loop(), time_limit=0.05)
    with pytest.raises(RuntimeError, match=r"time limit of 0.05 s"):
        run(it, endless)


def test_an_invoke_is_cancelled_from_another_thread() -> None:
    import threading

    it = Interpreter(model_content=counting_loop())
    it.allocate_tensors()
    for d, x in zip(it.get_input_details(), [np.array([0], np.int32), np.array([2**31 - 1], np.int32), np.ones(2, np.float32)]):
        it.set_tensor(d["index"], x)
    timer = threading.Timer(0.05, it.cancel)
    timer.start()
    with pytest.raises(RuntimeError, match="cancelled"):
        it.invoke()
    timer.join()
    it.set_tensor(it.get_input_details()[1]["index"], np.array([3], np.int32))
    it.invoke()  # the next one runs
    assert it.get_tensor(it.get_output_details()[0]["index"])[0] == 3


def long_lstm(steps: int) -> bytes:
    rng = np.random.default_rng(0)
    b = Builder()
    m = b.main
    x = m.input((1, steps, 1), "float32")
    weights = [m.constant(rng.standard_normal((2, n)).astype(np.float32)) for n in (1, 1, 1, 1, 2, 2, 2, 2)]
    bias = [m.constant(np.ones(2, np.float32)) for _ in range(4)]
    states = [m.tensor((1, 2), "float32", variable=True) for _ in range(2)]
    y = m.tensor((1, steps, 2), "float32")
    m.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [x, *weights, -1, -1, -1, *bias, -1, -1, *states, -1, -1, -1, -1],
        [y],
        fusedActivationFunction="TANH",
    )
    m.outputs(y)
    return b.bytes()


def large_product(n: int) -> bytes:
    b = Builder()
    t = [b.main.input((n, n), "int8", scale=1.0) for _ in range(2)]
    y = b.main.tensor((n, n), "int8", scale=1.0)
    b.main.op("BATCH_MATMUL", t, [y])
    b.main.outputs(y)
    return b.bytes()


def wide_pool(n: int) -> bytes:
    """One row, each pixel of which is the mean of up to all others."""
    b = Builder()
    x, y = b.main.input((1, 1, n, 1), "float32"), b.main.tensor((1, 1, n, 1), "float32")
    b.main.op("AVERAGE_POOL_2D", [x], [y], padding=0, strideW=1, strideH=1, filterWidth=n, filterHeight=1)
    b.main.outputs(y)
    return b.bytes()


def many_in_order(n: int) -> bytes:
    """All elements, sorted."""
    b = Builder()
    x, k = b.main.input((n,), "int32"), b.main.constant(np.array([n], np.int32))
    y, places = b.main.tensor((n,), "int32"), b.main.tensor((n,), "int32")
    b.main.op("TOPK_V2", [x, k], [y, places])
    b.main.outputs(y, places)
    return b.bytes()


def one_operator(
    op: str,
    x: tuple[int, ...],
    y: tuple[int, ...],
    dtype: str,
    more: list[tuple[object, str]],
    first: bool = True,
    **options: object,
) -> bytes:
    """An operator on one row of a picture and constants, which come after it, or before; 8 and 16 bits have scale 1."""

    def scale(kind: str) -> float | None:
        return 1.0 if kind in ("int8", "int16") else None

    b = Builder()
    image, out = b.main.input(x, dtype, scale=scale(dtype)), b.main.tensor(y, dtype, scale=scale(dtype))
    rest = [b.main.constant(np.asarray(v, kind), scale=scale(kind)) for v, kind in more]
    b.main.op(op, [image, *rest] if first else [*rest, image], [out], **options)
    b.main.outputs(out)
    return b.bytes()


def long_lines(pixels: int, taps: int) -> dict[str, bytes]:
    """Operators with a filter that is one long line."""
    weights, x = np.ones((1, 1, taps, 1)), (1, 1, pixels, 1)
    one = {"padding": 0, "strideW": 1, "strideH": 1, "depthMultiplier": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    turned = {"padding": 0, "strideW": 1, "strideH": 1}
    solid = {
        "padding": 0,
        **{f"{a}{d}": 1 for a, rest in (("stride", ""), ("dilation", "Factor")) for d in (f"{k}{rest}" for k in "DHW")},
    }
    return {
        "depthwise int8": one_operator("DEPTHWISE_CONV_2D", x, x, "int8", [(weights, "int8")], **one),
        "depthwise float32": one_operator("DEPTHWISE_CONV_2D", x, x, "float32", [(weights, "float32")], **one),
        "depthwise int16": one_operator("DEPTHWISE_CONV_2D", x, x, "int16", [(weights, "int8")], **one),
        "transpose int8": one_operator("TRANSPOSE_CONV", x, x, "int8", [(x, "int32"), (weights, "int8")], first=False, **turned),
        "transpose int16": one_operator(
            "TRANSPOSE_CONV", x, x, "int16", [(x, "int32"), (weights, "int8")], first=False, **turned
        ),
        "solid transpose": one_operator(
            "CONV_3D_TRANSPOSE",
            (1, *x),
            (1, *x),
            "float32",
            [((1, *x), "int32"), (weights[0, :, None, :, :, None], "float32")],
            first=False,
            **solid,
        ),
    }


def many_rows(n: int) -> dict[str, bytes]:
    ones, zeros = np.ones((n, n)), np.zeros(n)
    b = Builder()
    x, y = b.main.input((n * n,), "int32"), b.main.tensor((n * n,), "int32")
    b.main.op("ADD_N", [x] * n, [y])
    b.main.outputs(y)
    svdf = Builder()
    m = svdf.main
    t = [
        m.input((n, n), "float32"),
        m.constant(ones.astype(np.float32)),
        m.constant(np.ones((n, 1), np.float32)),
        -1,
        m.tensor((n, n), "float32", variable=True),
    ]
    out = m.tensor((n, n), "float32")
    m.op("SVDF", t, [out], rank=1)
    m.outputs(out)
    return {
        "product int8": one_operator("FULLY_CONNECTED", (n, n), (n, n), "int8", [(ones, "int8"), (zeros, "int32")]),
        "product float32": one_operator("FULLY_CONNECTED", (n, n), (n, n), "float32", [(ones, "float32"), (zeros, "float32")]),
        "batch float32": one_operator("BATCH_MATMUL", (n, n), (n, n), "float32", [(ones, "float32")]),
        "sums": b.bytes(),
        "svdf": svdf.bytes(),
        "response": one_operator(
            "LOCAL_RESPONSE_NORMALIZATION",
            (1, 1, 1, n * 32),
            (1, 1, 1, n * 32),
            "float32",
            [],
            radius=n * 32,
            bias=1.0,
            alpha=1.0,
            beta=0.5,
        ),
    }


LONG = {
    "lstm": long_lstm(3_000_000),
    "batch int8": large_product(2500),
    "pool": wide_pool(20_000),
    "sorted": many_in_order(1_000_000),
    **long_lines(1 << 19, 1 << 14),
    **many_rows(2000),
}


@pytest.mark.parametrize("name", LONG)
def test_a_time_limit_ends_an_operator(name: str) -> None:
    """It takes far longer than its limit; its last output shows that it did not run to the end."""
    content, value = LONG[name], 1
    it = Interpreter(model_content=content, time_limit=0.001)
    it.allocate_tensors()
    for d in it.get_input_details():
        it.set_tensor(d["index"], np.full(d["shape"], value, d["dtype"]))
    with pytest.raises(RuntimeError, match=r"time limit of 0.001 s"):
        it.invoke()
    assert it.get_tensor(it.get_output_details()[0]["index"]).ravel()[-1] == 0


def test_a_time_limit_ends_planning() -> None:
    """What depends on constants alone is computed then, and constants may be large in a small file."""
    n, b = 1 << 18, Builder()
    x, y, z = (
        b.main.tensor((1, 1, n, 1), "float32"),
        b.main.tensor((1, 1, n, 1), "float32"),
        b.main.tensor((1, 1, n, 1), "float32"),
    )
    b.main.op("FILL", [b.main.constant(np.array([1, 1, n, 1], np.int32)), b.main.constant(np.float32(1))], [x])
    b.main.op("AVERAGE_POOL_2D", [x], [y], padding=0, strideW=1, strideH=1, filterWidth=n, filterHeight=1)
    b.main.op("ADD", [y, b.main.input((1,), "float32")], [z])
    b.main.outputs(z)
    with pytest.raises(RuntimeError, match=r"op 1 AVERAGE_POOL_2D.*time limit of 0.001 s"):
        Interpreter(model_content=b.bytes(), time_limit=0.001).allocate_tensors()


def test_plans_are_made_to_the_end_whatever_was_cancelled() -> None:
    rng = np.random.default_rng(0)
    a, c = (rng.standard_normal((4, 4)).astype(np.float32) for _ in range(2))
    b = Builder()
    product, y = b.main.tensor((4, 4), "float32"), b.main.tensor((4, 4), "float32")
    b.main.op("BATCH_MATMUL", [b.main.constant(a), b.main.constant(c)], [product])
    b.main.op("ADD", [product, b.main.input((4, 4), "float32")], [y])
    b.main.outputs(y)
    it = Interpreter(model_content=b.bytes())
    it.allocate_tensors()
    it.cancel()
    it.resize_tensor_input(it.get_input_details()[0]["index"], [4, 4])
    np.testing.assert_allclose(run(it, [np.zeros((4, 4), np.float32)])[0], a @ c, rtol=1e-5)


def test_memory_limit_names_the_tensor() -> None:
    b = Builder()
    m = b.main
    x, y = m.input((1,), "float32"), m.tensor((1,), "float32", name="huge")
    m.op("TILE", [x, m.constant(np.array([100_000_000], np.int32))], [y])
    m.outputs(y)
    it = Interpreter(model_content=b.bytes(), memory_limit=50_000_000)
    with pytest.raises(Exception, match=r'TILE "huge".*381 MiB, over the memory limit of 47 MiB'):
        it.allocate_tensors()
