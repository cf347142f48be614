"""Recurrent layers, for every importer: an LSTM of the usual form as UNIDIRECTIONAL_SEQUENCE_LSTM, all others step by step.

Formulas: onnx.ai/onnx/operators (LSTM, GRU, RNN) and keras.io/api/layers/recurrent_layers; the gates are called i (input),
f (forget), c (cell), o (output), z (update), r (reset) and h (hidden).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ir import Node, Tensor
from .emit import Emitter, UnsupportedUseError
from .functions import choose

Arrays = Mapping[str, NDArray[Any]]
Activation = Callable[[Emitter, str], str]


class Run(NamedTuple):
    """What a layer gives: the outputs of all steps [batch, time, units], the last of them, and the states after it, [batch, units].

    cell: of an LSTM, "" where it is not known.
    """

    outputs: str
    last: str
    state: str
    cell: str = ""


@dataclass
class Mask:
    """Steps [batch, time] of booleans that count. Where one does not, states stay as they are, and so does the output, or it is zeros."""

    steps: str
    zeros: bool = False
    _shown: str = field(default="", init=False)

    def reversed(self, e: Emitter) -> Mask:
        return Mask(reverse_time(e, self.steps), self.zeros)

    def at(self, e: Emitter, t: int) -> str:
        return e.slice(self.steps, 1, t, 1)

    def show(self, e: Emitter, t: int, new: str) -> str:
        """The output of a step. Before the first that counts it is zeros, whatever the state."""
        zeros = e.const(np.zeros(e.shape(new), np.float32))
        self._shown = choose(e, self.at(e, t), new, zeros if self.zeros else self._shown or zeros)
        return self._shown


# Steps are operators of their own; more of them than this is a model that nobody would want.
_MOST_STEPS = 1024


def sigmoid(e: Emitter, x: str) -> str:
    return e.unary("LOGISTIC", x)


def tanh(e: Emitter, x: str) -> str:
    return e.unary("TANH", x)


def lstm(
    e: Emitter,
    x: str,
    w: Arrays,
    r: Arrays,
    b: Arrays,
    *,
    peephole: Arrays | None = None,
    h0: str = "",
    c0: str = "",
    gate: Activation = sigmoid,
    cell: Activation = tanh,
    hidden: Activation = tanh,
    need_cell: bool = False,
    coupled: bool = False,
    mask: Mask | None = None,
) -> Run:
    """A long short-term memory.

    Args:
      x: [batch, time, features].
      w, r, b: by gate "ifco": weights [units, features], recurrent weights [units, units], bias [units].
      peephole: by gate "ifo": [units].
      h0, c0: output and cell before the first step, [batch, units]; "" are zeros.
      gate, cell, hidden: the activations of the gates, of the new cell value, and of the cell on its way out.
      need_cell: whether the last cell value is wanted; TFLite's operator does not give it.
      coupled: the input gate is one minus the forget gate.
    """
    batch, time, _ = e.shape(x)
    units = len(b["f"])
    usual = gate is sigmoid and cell is tanh and hidden is tanh
    if usual and not h0 and not c0 and not need_cell and mask is None:
        names = [x]
        for part, kind in ((w, "input"), (r, "recurrent")):
            names += ["" if coupled and g == "i" else e.const(part[g], "float32", f"{kind}_to_{g}") for g in "ifco"]
        names += [
            e.const(peephole[g], "float32", f"cell_to_{g}") if peephole and not (coupled and g == "i") else "" for g in "ifo"
        ]
        names += ["" if coupled and g == "i" else e.const(b[g], "float32", f"bias_{g}") for g in "ifco"]
        names += ["", ""]
        for state in ("output_state", "cell_state"):
            names.append(e.graph.add_tensor(Tensor(f"{e.prefix}/{state}", (batch, units), variable=True)))
        names += [""] * 4
        y = e.graph.add_tensor(Tensor(f"{e.prefix}/lstm", (batch, time, units)))
        attrs = {"fused_activation_function": "TANH", "time_major": False}
        e.graph.nodes.append(Node("UNIDIRECTIONAL_SEQUENCE_LSTM", names, [y], attrs, e.prefix))
        last = _step(e, y, time - 1)
        return Run(y, last, last)
    order = "fco" if coupled else "ifco"
    inputs = _project(e, x, w, b, order)
    recurrent = e.const(np.concatenate([r[g] for g in order]), "float32", "recurrent")
    h = h0 or e.const(np.zeros((batch, units), np.float32))
    c = c0 or e.const(np.zeros((batch, units), np.float32))
    peep = {g: e.const(v, "float32", f"peephole_{g}") for g, v in (peephole or {}).items()}
    outputs: list[str] = []
    for t in range(time):
        sums = e.binary("ADD", _step(e, inputs, t), _dense(e, h, recurrent))
        parts = {g: e.slice(sums, 1, k * units, units) for k, g in enumerate(order)}

        def opened(g: str, state: str, part: dict[str, str] = parts) -> str:
            return gate(e, e.binary("ADD", part[g], e.binary("MUL", state, peep[g])) if g in peep else part[g])

        forget = opened("f", c)
        let_in = e.op("SUB", [e.like(1, forget), forget], shape=(batch, units)) if coupled else opened("i", c)
        new = e.binary("MUL", let_in, cell(e, parts["c"]))
        began = e.value(c)
        if began is None or began.any():  # nothing is forgotten where there is nothing yet
            new = e.binary("ADD", e.binary("MUL", forget, c), new)
        out = e.binary("MUL", opened("o", new), hidden(e, new))
        c = choose(e, mask.at(e, t), new, c) if mask else new
        h = _next(e, mask, t, out, h, outputs)
    return Run(_stack(e, outputs), outputs[-1], h, c)


def gru(
    e: Emitter,
    x: str,
    w: Arrays,
    r: Arrays,
    b: Arrays,
    rb: Arrays,
    *,
    h0: str = "",
    reset_after: bool = True,
    gate: Activation = sigmoid,
    hidden: Activation = tanh,
    mask: Mask | None = None,
) -> Run:
    """A gated recurrent unit.

    Args:
      x: [batch, time, features].
      w, r, b, rb: by gate "zrh": weights, recurrent weights, bias, recurrent bias.
      reset_after: the reset gate acts on the recurrent product (cuDNN's form), not on what goes into it.
    """
    batch, time, _ = e.shape(x)
    units = len(b["h"])
    merged = {"z": b["z"] + rb["z"], "r": b["r"] + rb["r"], "h": b["h"] + (0 if reset_after else rb["h"])}
    inputs = _project(e, x, w, merged, "zrh")
    gates = e.const(np.concatenate([r["z"], r["r"]]), "float32", "recurrent_gates")
    candidate = e.const(r["h"], "float32", "recurrent_h")
    candidate_bias = e.const(rb["h"], "float32", "recurrent_bias")
    h = h0 or e.const(np.zeros((batch, units), np.float32))
    outputs: list[str] = []
    for t in range(time):
        now = _step(e, inputs, t)
        opened = gate(e, e.binary("ADD", e.slice(now, 1, 0, 2 * units), _dense(e, h, gates)))
        z, reset = e.slice(opened, 1, 0, units), e.slice(opened, 1, units, units)
        if reset_after:
            past = e.binary("MUL", reset, _dense(e, h, candidate, candidate_bias))
        else:
            past = _dense(e, e.binary("MUL", reset, h), candidate)
        new = hidden(e, e.binary("ADD", e.slice(now, 1, 2 * units, units), past))
        # z h + (1 - z) new, with one product
        out = e.binary("ADD", new, e.binary("MUL", z, e.binary("SUB", h, new)))
        h = _next(e, mask, t, out, h, outputs)
    return Run(_stack(e, outputs), outputs[-1], h)


def rnn(
    e: Emitter,
    x: str,
    w: NDArray[Any],
    r: NDArray[Any],
    b: NDArray[Any],
    *,
    h0: str = "",
    activation: Activation = tanh,
    mask: Mask | None = None,
) -> Run:
    """h = f(x w + h r + b)"""
    batch, time, _ = e.shape(x)
    inputs = _project(e, x, {"h": w}, {"h": b}, "h")
    recurrent = e.const(r, "float32", "recurrent")
    h = h0 or e.const(np.zeros((batch, len(b)), np.float32))
    outputs: list[str] = []
    for t in range(time):
        new = activation(e, e.binary("ADD", _step(e, inputs, t), _dense(e, h, recurrent)))
        h = _next(e, mask, t, new, h, outputs)
    return Run(_stack(e, outputs), outputs[-1], h)


def reverse_time(e: Emitter, x: str) -> str:
    return e.op("REVERSE_V2", [x, e.ints([1], "axes")], shape=e.shape(x))


def _project(e: Emitter, x: str, w: Arrays, b: Arrays, order: str) -> str:
    """The products of all steps' inputs, in one: [batch, time, gates * units]."""
    time = e.shape(x)[1]
    if time > _MOST_STEPS:
        raise UnsupportedUseError(f"{time} steps are too many to be laid out one by one (at most {_MOST_STEPS})")
    weights = e.const(np.concatenate([w[g] for g in order]), "float32", "weights")
    return e.dense(x, weights, e.const(np.concatenate([b[g] for g in order]), "float32", "bias"))


def _step(e: Emitter, x: str, t: int) -> str:
    batch, _, units = e.shape(x)
    return e.reshape(e.slice(x, 1, t, 1), (batch, units))


def _next(e: Emitter, mask: Mask | None, t: int, new: str, old: str, outputs: list[str]) -> str:
    """The state after step t, whose output is appended."""
    state = choose(e, mask.at(e, t), new, old) if mask else new
    began = e.value(old)
    # States that began as zeros are what the outputs are held at.
    held = outputs[-1] == old if outputs else mask is None or (not mask.zeros and began is not None and not began.any())
    outputs.append(state if mask is None or held else mask.show(e, t, new))
    return state


def _dense(e: Emitter, h: str, weights: str, bias: str = "") -> str:
    return e.dense(h, weights, bias or e.const(np.zeros(e.shape(weights)[0], np.float32), name="zeros"))


def _stack(e: Emitter, outputs: list[str]) -> str:
    batch, units = e.shape(outputs[0])
    return e.concat([e.reshape(h, (batch, 1, units)) for h in outputs], 1)
