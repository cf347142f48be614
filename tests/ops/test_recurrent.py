"""LSTM, RNN and SVDF in their forms, over several invokes so that state carries over, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as LiteRT
from ai_edge_litert.interpreter import OpResolverType
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder, Subgraph
from ..support import examples, keep, run, scales

HYBRID = pytest.mark.parametrize("weights", ["float32", "int8"])


def assert_same_steps(content: bytes, steps: list[list[np.ndarray]], tolerance: float = 2e-5) -> None:
    keep(content)
    ours = Interpreter(model_content=content)
    theirs = LiteRT(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    for step, inputs in enumerate(steps):
        for g, e in zip(run(ours, inputs), run(theirs, inputs)):
            assert g.shape == e.shape and g.dtype == e.dtype
            if e.dtype.kind == "f":
                np.testing.assert_allclose(
                    g, e, rtol=0, atol=tolerance * max(1.0, float(np.abs(e).max())), err_msg=f"step {step}"
                )
            else:
                np.testing.assert_array_equal(g, e, err_msg=f"step {step}")


class Weights:
    """Constants of a recurrent operator, drawn at random."""

    def __init__(self, graph: Subgraph, seed: int, dtype: str) -> None:
        self.graph, self.rng, self.dtype = graph, np.random.default_rng(seed), dtype

    def matrix(self, *shape: int) -> int:
        if self.dtype == "float32":
            return self.graph.constant((self.rng.standard_normal(shape) * 0.5).astype(np.float32))
        return self.graph.constant(
            self.rng.integers(-127, 128, shape).astype(np.int8), scale=float(self.rng.uniform(0.003, 0.01))
        )

    def vector(self, n: int) -> int:
        return self.graph.constant((self.rng.standard_normal(n) * 0.5).astype(np.float32))

    def state(self, *shape: int) -> int:
        return self.graph.tensor(shape, "float32", variable=True)


def lstm_weights(w: Weights, n_in: int, cells: int, out: int, cifg: bool, peephole: bool, project: bool) -> list[int]:
    gates = [-1 if cifg else w.matrix(cells, n_in), *(w.matrix(cells, n_in) for _ in range(3))]
    recurrent = [-1 if cifg else w.matrix(cells, out), *(w.matrix(cells, out) for _ in range(3))]
    cell = [-1 if cifg else w.matrix(cells), w.matrix(cells), w.matrix(cells)] if peephole else [-1] * 3
    bias = [-1 if cifg else w.vector(cells), *(w.vector(cells) for _ in range(3))]
    return [*gates, *recurrent, *cell, *bias, *([w.matrix(out, cells), w.vector(out)] if project else [-1, -1])]


def options(data: st.DataObject) -> dict[str, bool]:
    return {k: data.draw(st.booleans()) for k in ("cifg", "peephole", "project")}


@HYBRID
@pytest.mark.parametrize("op", ["LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"])
@examples(15)
@given(data=st.data())
def test_lstm(op: str, weights: str, data: st.DataObject) -> None:
    batch, time, n_in, cells = (data.draw(st.integers(1, m)) for m in (3, 4, 5, 6))
    o = options(data)
    out = data.draw(st.integers(1, 6)) if o["project"] else cells
    norm, time_major = data.draw(st.booleans()), data.draw(st.booleans())
    b = Builder()
    w = Weights(b.main, data.draw(st.integers(0, 2**32 - 1)), weights)
    sequence = op != "LSTM"
    shape = ((time, batch, n_in) if time_major else (batch, time, n_in)) if sequence else (batch, n_in)
    x = b.main.input(shape, "float32")
    t = [x, *lstm_weights(w, n_in, cells, out, **o), w.state(batch, out), w.state(batch, cells)]
    t += [-1 if o["cifg"] else w.vector(cells), *(w.vector(cells) for _ in range(3))] if norm else [-1] * 4
    y = b.main.tensor([1], "float32")
    attrs: dict[str, Any] = {"timeMajor": time_major} if sequence else {}
    b.main.op(op, t, [y], fusedActivationFunction="TANH", cellClip=data.draw(st.sampled_from([0.0, 0.7])), projClip=data.draw(st.sampled_from([0.0, 0.6])),
              asymmetricQuantizeInputs=data.draw(st.booleans()) and weights == "int8", **attrs)  # fmt: skip
    b.main.outputs(y)
    rng = np.random.default_rng(1)
    assert_same_steps(
        b.bytes(),
        [[rng.standard_normal(shape).astype(np.float32)] for _ in range(3)],
        1e-5 if weights == "float32" and not norm else 2e-3,
    )


@pytest.mark.parametrize("half", ["float16", "int8"])
def test_states_that_begin_with_a_constant(half: str) -> None:
    """TensorFlow's converter writes the zeros that states begin with as weights: a DEQUANTIZE makes them, once, and resetting sets states to 0."""
    batch, time, n_in, cells = 2, 3, 4, 5
    b = Builder()
    w = Weights(b.main, 7, "float32")
    x = b.main.input((batch, time, n_in), "float32")
    states = [w.state(batch, cells), w.state(batch, cells)]
    for state, value in zip(states, (3, -2)):
        q = {"scale": 0.1} if half == "int8" else {}
        b.main.op("DEQUANTIZE", [b.main.constant(np.full((batch, cells), value).astype(half), **q)], [state])
    t = [x, *lstm_weights(w, n_in, cells, cells, False, False, False), *states, *[-1] * 4]
    y = b.main.tensor([1], "float32")
    b.main.op("UNIDIRECTIONAL_SEQUENCE_LSTM", t, [y], fusedActivationFunction="TANH")
    b.main.outputs(y)
    content = b.bytes()
    keep(content)
    both = (
        Interpreter(model_content=content),
        LiteRT(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF),
    )
    rng, seen = np.random.default_rng(2), []
    for step in range(4):
        data = [rng.standard_normal((batch, time, n_in)).astype(np.float32)]
        if step == 2:
            for it in both:
                it.reset_all_variables()
        (got,), (expected,) = (run(it, data) for it in both)
        np.testing.assert_allclose(got, expected, atol=1e-6, err_msg=f"step {step}")
        seen.append(expected)
    assert np.abs(seen[0] - seen[1]).max() > 0.05


@HYBRID
@examples(10)
@given(data=st.data())
def test_bidirectional_lstm(weights: str, data: st.DataObject) -> None:
    batch, time, n_in, cells = (data.draw(st.integers(1, m)) for m in (3, 4, 5, 6))
    o = options(data)
    out = data.draw(st.integers(1, 6)) if o["project"] else cells
    merge, time_major = data.draw(st.booleans()), data.draw(st.booleans())
    if merge and not time_major:
        batch = 1  # the reference takes the state of the next batch from outside of the tensor
    b = Builder()
    w = Weights(b.main, data.draw(st.integers(0, 2**32 - 1)), weights)
    shape = (time, batch, n_in) if time_major else (batch, time, n_in)
    x = b.main.input(shape, "float32")
    t = [x, *lstm_weights(w, n_in, cells, out, **o), *lstm_weights(w, n_in, cells, out, **o)]
    t += [w.state(batch, out), w.state(batch, cells), w.state(batch, out), w.state(batch, cells), *[-1] * 9]
    ys = [b.main.tensor([1], "float32") for _ in range(1 if merge else 2)]
    b.main.op("BIDIRECTIONAL_SEQUENCE_LSTM", t, ys, fusedActivationFunction="TANH", mergeOutputs=merge, timeMajor=time_major)
    b.main.outputs(*ys)
    rng = np.random.default_rng(1)
    assert_same_steps(
        b.bytes(), [[rng.standard_normal(shape).astype(np.float32)] for _ in range(2)], 1e-5 if weights == "float32" else 2e-3
    )


def lstm_int8(
    rng: Any,
    shape: tuple[int, ...],
    cells: int,
    out: int,
    o: dict[str, bool],
    norm: bool,
    exponent: int,
    size: int = 127,
    **attrs: Any,
) -> bytes:
    """int8 in and out, int16 cell state of scale 2^exponent: all in integers. Weights of up to `size` steps, biases of 40 times as many."""
    batch, _, n_in = shape
    b = Builder()
    g = b.main

    def matrix(*shape: int) -> int:
        return g.constant(rng.integers(-size, size + 1, shape).astype(np.int8), scale=float(rng.uniform(0.003, 0.02)))

    def vector16() -> int:
        return g.constant(rng.integers(-20000, 20000, cells).astype(np.int16), scale=float(rng.uniform(1e-5, 1e-4)))

    def bias(n: int) -> int:
        return g.constant(rng.integers(-40 * size, 40 * size, n).astype(np.int32), scale=1e-4)

    x_zero, y_zero = int(rng.integers(-100, 100)), int(rng.integers(-50, 50))
    x = g.input(shape, "int8", scale=0.02, zero=x_zero)
    first = -1 if o["cifg"] else None
    t = [
        x,
        first or matrix(cells, n_in),
        *(matrix(cells, n_in) for _ in range(3)),
        first or matrix(cells, out),
        *(matrix(cells, out) for _ in range(3)),
    ]
    t += [first or vector16(), vector16(), vector16()] if o["peephole"] else [-1] * 3
    t += [first or bias(cells), *(bias(cells) for _ in range(3))]
    t += [matrix(out, cells), bias(out)] if o["project"] else [-1, -1]
    state_scale = 0.008
    t += [
        g.tensor((batch, out), "int8", scale=state_scale, zero=y_zero, variable=True),
        g.tensor((batch, cells), "int16", scale=2.0**exponent, zero=0, variable=True),
    ]
    t += [first or vector16(), *(vector16() for _ in range(3))] if norm else [-1] * 4
    inner = [g.tensor([0], "int16", scale=float(rng.uniform(1e-4, 1e-3)), zero=0) for _ in range(4)]
    inner.append(
        g.tensor(
            [0],
            "int8",
            scale=0.008 if not o["project"] else 0.006,
            zero=y_zero if not o["project"] else int(rng.integers(-20, 20)),
        )
    )
    y = g.tensor([1], "int8", scale=state_scale, zero=y_zero)
    b.main.op("UNIDIRECTIONAL_SEQUENCE_LSTM", t, [y], intermediates=inner, fusedActivationFunction="TANH", **attrs)
    b.main.outputs(y)
    return b.bytes()


@examples(25)
@given(data=st.data())
def test_lstm_int8(data: st.DataObject) -> None:
    batch, time, n_in, cells = (data.draw(st.integers(1, m)) for m in (3, 4, 6, 8))
    o = options(data)
    norm = data.draw(st.booleans())
    out = data.draw(st.integers(1, 6)) if o["project"] else cells
    if o["peephole"] and out != cells:
        o["peephole"] = False  # the reference takes the number of outputs for that of cells
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = (batch, time, n_in)
    clips = {"cellClip": data.draw(st.sampled_from([0.0, 1.0])), "projClip": data.draw(st.sampled_from([0.0, 0.5]))}
    content = lstm_int8(rng, shape, cells, out, o, norm, data.draw(st.integers(-15, -10)), **clips)
    assert_same_steps(content, [[rng.integers(-128, 128, shape).astype(np.int8)] for _ in range(3)])


@pytest.mark.parametrize(("exponent", "steps"), [(-16, 2), (-17, 1)])  # so that states stay in range
def test_lstm_int8_with_a_finer_cell_state(exponent: int, steps: int) -> None:
    """As TensorFlow's converter writes where all states are small. The reference's answers are saturated then: here they are those of a coarser state."""
    o = {"cifg": False, "peephole": False, "project": False}
    shape = (2, steps, 6)
    fine, coarse = (lstm_int8(np.random.default_rng(4), shape, 8, 8, o, False, e, size=10) for e in (exponent, -15))
    x = np.random.default_rng(1).integers(-40, 40, shape).astype(np.int8)
    keep(fine)
    (got,), (expected,) = (run(Interpreter(model_content=c), [x]) for c in (fine, coarse))
    assert len(np.unique(expected)) > 8
    assert np.abs(got.astype(int) - expected).max() <= 1


# LiteRT crashes on the bidirectional one with int8 weights.
@pytest.mark.parametrize(
    ("op", "weights"),
    [
        ("RNN", "float32"),
        ("RNN", "int8"),
        ("UNIDIRECTIONAL_SEQUENCE_RNN", "float32"),
        ("UNIDIRECTIONAL_SEQUENCE_RNN", "int8"),
        ("BIDIRECTIONAL_SEQUENCE_RNN", "float32"),
    ],
)
@examples(8)
@given(data=st.data())
def test_rnn(op: str, weights: str, data: st.DataObject) -> None:
    batch, time, n_in, units = (data.draw(st.integers(1, m)) for m in (3, 4, 5, 6))
    time_major, merge = data.draw(st.booleans()), data.draw(st.booleans())
    b = Builder()
    w = Weights(b.main, data.draw(st.integers(0, 2**32 - 1)), weights)
    shape = (batch, n_in) if op == "RNN" else (time, batch, n_in) if time_major else (batch, time, n_in)
    x = b.main.input(shape, "float32")

    def layer() -> list[int]:
        return [w.matrix(units, n_in), w.matrix(units, units), w.vector(units), w.state(batch, units)]

    attrs: dict[str, Any] = {
        "fusedActivationFunction": data.draw(st.sampled_from(["TANH", "RELU", "NONE"])),
        "asymmetricQuantizeInputs": weights == "int8" and data.draw(st.booleans()),
    }
    t, n = [x, *layer()], 1
    if op != "RNN":
        attrs["timeMajor"] = time_major
    if op.startswith("BI"):
        t, n, attrs["mergeOutputs"] = [*t, *layer(), -1, -1, -1], 1 if merge else 2, merge
    ys = [b.main.tensor([1], "float32") for _ in range(n)]
    b.main.op(op, t, ys, **attrs)
    b.main.outputs(*ys)
    rng = np.random.default_rng(1)
    assert_same_steps(
        b.bytes(), [[rng.standard_normal(shape).astype(np.float32)] for _ in range(2)], 1e-5 if weights == "float32" else 2e-3
    )


@HYBRID
@examples(10)
@given(data=st.data())
def test_svdf(weights: str, data: st.DataObject) -> None:
    batch, n_in, units, rank, memory = (data.draw(st.integers(1, m)) for m in (3, 5, 4, 2, 4))
    b = Builder()
    w = Weights(b.main, data.draw(st.integers(0, 2**32 - 1)), weights)
    x = b.main.input((batch, n_in), "float32")
    t = [
        x,
        w.matrix(units * rank, n_in),
        w.matrix(units * rank, memory),
        w.vector(units) if data.draw(st.booleans()) else -1,
        w.state(batch, memory * units * rank),
    ]
    y = b.main.tensor([1], "float32")
    b.main.op(
        "SVDF",
        t,
        [y],
        rank=rank,
        fusedActivationFunction=data.draw(st.sampled_from(["RELU", "NONE"])),
        asymmetricQuantizeInputs=weights == "int8" and data.draw(st.booleans()),
    )
    b.main.outputs(y)
    rng = np.random.default_rng(1)
    assert_same_steps(
        b.bytes(),
        [[rng.standard_normal((batch, n_in)).astype(np.float32)] for _ in range(3)],
        1e-5 if weights == "float32" else 2e-3,
    )


@examples(15)
@given(data=st.data())
def test_svdf_int8(data: st.DataObject) -> None:
    batch, n_in, units, rank, memory = (data.draw(st.integers(1, m)) for m in (3, 5, 4, 2, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    b = Builder()
    g = b.main
    n = units * rank
    x = g.input((batch, n_in), "int8", scale=0.05, zero=int(rng.integers(-100, 100)))
    t = [
        x,
        g.constant(rng.integers(-127, 128, (n, n_in)).astype(np.int8), scale=0.01),
        g.constant(rng.integers(-3000, 3000, (n, memory)).astype(np.int16), scale=1e-4),
    ]
    t += [
        g.constant(rng.integers(-9999, 9999, units).astype(np.int32), scale=1e-6),
        g.tensor((batch, memory * n), "int16", scale=1e-3, zero=0, variable=True),
    ]
    y = g.tensor([1], "int8", scale=float(rng.uniform(0.01, 0.1)), zero=int(rng.integers(-100, 100)))
    b.main.op("SVDF", t, [y], rank=rank, fusedActivationFunction="RELU")
    b.main.outputs(y)
    assert_same_steps(b.bytes(), [[rng.integers(-128, 128, (batch, n_in)).astype(np.int8)] for _ in range(3)])


@pytest.mark.parametrize("variables", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@examples(15)
@given(data=st.data())
def test_basic_lstm(dtype: str, variables: bool, data: st.DataObject) -> None:
    """The form with five inputs, of which two are what was before: variables, or inputs of the model."""
    draw = data.draw
    batches, inputs, cells = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    b = Builder()
    byte = dtype == "uint8"
    state_type = "int16" if byte else "float32"
    q = {"scale": 1 / 128, "zero": 128} if byte else {}
    q_state = {"scale": 1 / 2048, "zero": 0} if byte else {}
    q_sums = {"scale": 1 / 4096, "zero": 0} if byte else {}

    def before(columns: int, type_: str, quantization: dict[str, Any]) -> int:
        if variables:
            return b.main.tensor((batches, columns), type_, variable=True, **quantization)
        return b.main.input((batches, columns), type_, **quantization)

    weight_scale, zero = draw(scales(2e-3, 3e-2)), draw(st.integers(0, 255))
    shape = (4 * cells, inputs + cells)
    x = b.main.input((batches, inputs), dtype, **q)
    previous = before(cells, dtype, q)
    if byte:
        weights = b.main.constant(rng.integers(0, 256, shape).astype(np.uint8), scale=weight_scale, zero=zero)
        bias = b.main.constant(rng.integers(-9000, 9000, 4 * cells).astype(np.int32), scale=weight_scale / 128)
    else:
        weights = b.main.constant(rng.standard_normal(shape).astype(np.float32))
        bias = b.main.constant(rng.standard_normal(4 * cells).astype(np.float32))
    state = before(cells, state_type, q_state)
    outs = [
        b.main.tensor((batches, cells), dtype, **q), b.main.tensor((batches, cells), state_type, **q_state),
        b.main.tensor((batches, inputs + cells), dtype, **q), b.main.tensor((batches, 4 * cells), state_type, **q_sums),
    ]  # fmt: skip
    b.main.op("LSTM", [x, previous, weights, bias, state], outs, kernelType=1, fusedActivationFunction="TANH")
    b.main.outputs(outs[0], outs[1])
    steps = []
    for _ in range(3):
        frame = [rng.integers(0, 256, (batches, inputs)) if byte else rng.standard_normal((batches, inputs))]
        if not variables:
            frame.append(rng.integers(0, 256, (batches, cells)) if byte else rng.standard_normal((batches, cells)))
            frame.append(rng.integers(-9000, 9000, (batches, cells)) if byte else rng.standard_normal((batches, cells)))
        types = [dtype, dtype, state_type]
        steps.append([v.astype(t) for v, t in zip(frame, types)])
    assert_same_steps(b.bytes(), steps)
