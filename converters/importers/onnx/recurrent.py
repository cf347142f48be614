"""LSTM, GRU and RNN. Semantics: onnx.ai/onnx/operators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import functions
from .. import recurrent as cells
from ..emit import Emitter, UnsupportedUseError
from .node import Handler, OnnxNode


def _activation(name: str, alpha: float | None, beta: float | None) -> cells.Activation:
    known: dict[str, cells.Activation] = {
        "sigmoid": cells.sigmoid,
        "tanh": cells.tanh,
        "relu": lambda e, x: e.unary("RELU", x),
        "affine": lambda e, x: e.binary("ADD", e.binary("MUL", x, 1.0 if alpha is None else alpha), beta or 0.0),
        "hardsigmoid": lambda e, x: functions.hard_sigmoid(e, x, alpha or 0.2, 0.5 if beta is None else beta),
        "leakyrelu": lambda e, x: e.unary("LEAKY_RELU", x, alpha=alpha or 0.01),
        "elu": lambda e, x: e.unary("ELU", x),
    }
    if name.lower() not in known:
        raise UnsupportedUseError(f'the activation "{name}" is not supported')
    return known[name.lower()]


def _apply(e: Emitter, n: OnnxNode, gates: str, defaults: tuple[str, ...]) -> list[str]:
    x, layout = n.get(0), int(n.attr("layout", 0))
    w, r = n.constant(1, "weights"), n.constant(2, "recurrent weights")
    units, count = int(n.attr("hidden_size", r.shape[2])), len(gates)
    b = n.constant(3, "bias") if n.has(3) else np.zeros((len(w), 2 * count * units), np.float32)
    if float(n.attr("clip", 0.0)):
        raise UnsupportedUseError("clipping of the gates is not supported")
    if not layout:
        x = e.transpose(x, (1, 0, 2))
    batch, time, _ = e.shape(x)
    if n.has(4) and np.any(n.constant(4, "sequence lengths") != time):
        raise UnsupportedUseError("sequences of different lengths are not supported")
    direction = n.attr("direction", "forward")
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    names = list(n.attr("activations") or list(defaults) * len(ways))
    alphas, betas = (list(n.attr(k) or []) for k in ("activation_alpha", "activation_beta"))
    needing = ("affine", "hardsigmoid", "leakyrelu", "elu", "thresholdedrelu", "scaledtanh")
    functions = []
    for name in names:
        takes = name.lower() in needing
        functions.append(
            _activation(name, alphas.pop(0) if takes and alphas else None, betas.pop(0) if takes and betas else None)
        )
    results = []
    for d, backwards in enumerate(ways):

        def by_gate(a: NDArray[Any]) -> dict[str, NDArray[Any]]:
            return {g: a[k * units : (k + 1) * units] for k, g in enumerate(gates)}

        def state(i: int, d: int = d) -> str:
            if not n.has(i):
                return ""
            value = e.value(n.inputs[i])
            if value is not None and not value.any():
                return ""
            part = e.slice(n.inputs[i], 1 if layout else 0, d, 1)
            return e.reshape(part, (batch, units))

        source = cells.reverse_time(e, x) if backwards else x
        bias, recurrent_bias = by_gate(b[d][: count * units]), by_gate(b[d][count * units :])
        f = functions[d * len(defaults) : (d + 1) * len(defaults)]
        if gates == "iofc":
            peephole = None
            if n.has(7):
                p = n.constant(7, "peepholes")[d]
                peephole = {g: p[k * units : (k + 1) * units] for k, g in enumerate("iof")} if p.any() else None
            total = {g: bias[g] + recurrent_bias[g] for g in gates}
            made = cells.lstm(
                e, source, by_gate(w[d]), by_gate(r[d]), total, peephole=peephole, h0=state(5), c0=state(6),
                gate=f[0], cell=f[1], hidden=f[2], need_cell=n.outputs > 2, coupled=bool(n.attr("input_forget", 0)),
            )  # fmt: skip
        elif gates == "zrh":
            made = cells.gru(
                e, source, by_gate(w[d]), by_gate(r[d]), bias, recurrent_bias, h0=state(5),
                reset_after=bool(n.attr("linear_before_reset", 0)), gate=f[0], hidden=f[1],
            )  # fmt: skip
        else:
            made = cells.rnn(e, source, w[d], r[d], bias["h"] + recurrent_bias["h"], h0=state(5), activation=f[0])
        results.append((cells.reverse_time(e, made.outputs) if backwards else made.outputs, made.state, made.cell))
    # Y is [time, directions, batch, units], or with the other layout [batch, time, directions, units].
    if layout:
        y = e.concat([e.reshape(y, (batch, time, 1, units)) for y, _, _ in results], 2)
        last = [e.concat([e.reshape(v, (batch, 1, units)) for v in vs], 1) for vs in zip(*[r[1:] for r in results]) if vs[0]]
    else:
        y = e.concat([e.reshape(e.transpose(y, (1, 0, 2)), (time, 1, batch, units)) for y, _, _ in results], 1)
        last = [e.concat([e.reshape(v, (1, batch, units)) for v in vs], 0) for vs in zip(*[r[1:] for r in results]) if vs[0]]
    return [y, *last][: n.outputs]


def lstm(e: Emitter, n: OnnxNode) -> list[str]:
    return _apply(e, n, "iofc", ("Sigmoid", "Tanh", "Tanh"))


def gru(e: Emitter, n: OnnxNode) -> list[str]:
    return _apply(e, n, "zrh", ("Sigmoid", "Tanh"))


def rnn(e: Emitter, n: OnnxNode) -> list[str]:
    return _apply(e, n, "h", ("Tanh",))


HANDLERS: dict[str, Handler] = {"LSTM": lstm, "GRU": gru, "RNN": rnn}
