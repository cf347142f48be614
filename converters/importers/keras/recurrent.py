"""LSTM, GRU, SimpleRNN and what wraps them. Gates are in Keras' order: i, f, c, o; z, r, h.

Semantics: keras.io/api/layers/recurrent_layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import recurrent as cells
from ..emit import UnsupportedUseError
from .activations import activation
from .layer import Arrays, Handler, Layer

_KINDS = {"LSTM": "ifco", "LSTMCell": "ifco", "GRU": "zrh", "GRUCell": "zrh", "SimpleRNN": "h", "SimpleRNNCell": "h"}


def _by_gate(gates: str, values: Any) -> dict[str, Any]:
    """[..., gates * units] → by gate [units, ...]"""
    return dict(zip(gates, np.split(np.asarray(values, np.float32).T, len(gates))))


def _function(layer: Layer, config: dict[str, Any], key: str, default: str) -> cells.Activation:
    spec = config.get(key, default)
    name = spec if isinstance(spec, str) else None
    # The two that a fused LSTM has must be told from others.
    return {"sigmoid": cells.sigmoid, "tanh": cells.tanh}.get(name or "") or activation(spec, layer.version)


def run(
    layer: Layer, kind: str, config: dict[str, Any], weights: Arrays, states: list[str], reverse: bool, zeros: bool
) -> tuple[cells.Run, list[str]]:
    """What the layer gives, all outputs in the order in which they are made, and its last states. zeros: outputs of steps that do not count."""
    x = layer.x
    e, gates = layer.emitter, _KINDS[kind]
    if config.get("stateful"):
        raise UnsupportedUseError("a stateful layer is not supported: each inference begins with states of zero")
    use_bias = config.get("use_bias", True)
    if len(weights) < 2 + bool(use_bias):
        raise UnsupportedUseError("the file does not have all of its weights")
    if e.rank(x) != 3:
        raise UnsupportedUseError(f"its input is {list(e.shape(x))}, expected [batch, time, features]")
    units = weights[1].shape[0]
    w, r = _by_gate(gates, weights[0]), _by_gate(gates, weights[1])
    bias = np.asarray(weights[2] if use_bias else np.zeros(len(gates) * units), np.float32)
    x = cells.reverse_time(e, x) if reverse else x
    # Keras 3 does not look for masks of its own accord where states are given, too.
    steps = layer.mask if layer.version < 3 or not states or isinstance(layer.named.get("mask"), str) else ""
    mask = cells.Mask(steps, zeros) if steps else None
    mask = mask.reversed(e) if mask and reverse else mask
    state = [*states, "", ""]
    if kind.startswith("LSTM"):
        made = cells.lstm(
            e, x, w, r, _by_gate(gates, bias), h0=state[0], c0=state[1],
            gate=_function(layer, config, "recurrent_activation", "sigmoid"), cell=_function(layer, config, "activation", "tanh"),
            hidden=_function(layer, config, "activation", "tanh"), need_cell=bool(config.get("return_state")), mask=mask,
        )  # fmt: skip
        return made, [made.state, made.cell]
    if kind.startswith("GRU"):
        after = bool(config.get("reset_after", layer.version > 2))
        own, recurrent = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
        made = cells.gru(
            e, x, w, r, _by_gate(gates, own), _by_gate(gates, recurrent), h0=state[0], reset_after=after,
            gate=_function(layer, config, "recurrent_activation", "sigmoid"), hidden=_function(layer, config, "activation", "tanh"), mask=mask,
        )  # fmt: skip
        return made, [made.state]
    function = _function(layer, config, "activation", "tanh")
    made = cells.rnn(e, x, w["h"], r["h"], bias, h0=state[0], activation=function, mask=mask)
    return made, [made.state]


def recurrent(layer: Layer) -> list[str]:
    config, kind = layer.config, layer.kind
    if kind == "RNN":
        cell = config["cell"]
        if not isinstance(cell, dict) or cell.get("class_name") not in _KINDS:
            raise UnsupportedUseError(
                f"a cell {cell.get('class_name') if isinstance(cell, dict) else '(several)'} is not supported"
            )
        kind, config = cell["class_name"], {**config, **cell["config"]}
    states = [*layer.inputs[1:], *_list(layer.named.get("initial_state"))]
    made, last = run(
        layer, kind, config, layer.weights, states, bool(config.get("go_backwards")), bool(config.get("zero_output_for_mask"))
    )
    first = made.outputs if config.get("return_sequences") else made.last
    return [first, *last] if config.get("return_state") else [first]


def _list(value: Any) -> list[str]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def bidirectional(layer: Layer) -> list[str]:
    e, forward = layer.emitter, layer.config["layer"]
    kind, config = forward["class_name"], forward["config"]
    if kind not in _KINDS:
        raise UnsupportedUseError(f"{kind} both ways is not supported")
    other = (layer.config.get("backward_layer") or forward)["config"]
    half = len(layer.weights) // 2
    states = [*layer.inputs[1:], *_list(layer.named.get("initial_state"))]
    parts = []
    for backwards, c, weights in ((False, config, layer.weights[:half]), (True, other, layer.weights[half:])):
        own = states[: len(states) // 2] if not backwards else states[len(states) // 2 :]
        # Two ways that are joined step by step would not agree on which output to hold.
        made, last = run(layer, kind, c, weights, own, backwards, bool(config.get("return_sequences")))
        if config.get("return_sequences"):
            first = cells.reverse_time(e, made.outputs) if backwards else made.outputs
        else:
            first = made.last
        parts.append((first, last))
    a, b = parts[0][0], parts[1][0]
    mode = layer.config.get("merge_mode", "concat")
    if mode is None:
        merged = [a, b]
    elif mode == "concat":
        merged = [e.concat([a, b], -1)]
    elif mode in ("sum", "ave", "mul"):
        y = e.binary("MUL" if mode == "mul" else "ADD", a, b)
        merged = [e.binary("MUL", y, 0.5) if mode == "ave" else y]
    else:
        raise UnsupportedUseError(f'merge_mode "{mode}" does not exist')
    if config.get("return_state"):
        merged += [s for _, last in parts for s in last]
    return merged


def time_distributed(layer: Layer) -> list[str]:
    """The layer within sees all steps as a batch."""
    assert layer.inner is not None
    e = layer.emitter
    batch, time, *rest = e.shape(layer.x)
    x = e.reshape(layer.x, (batch * time, *rest))
    if layer.mask and layer.config["layer"]["class_name"] in ("LSTM", "GRU", "SimpleRNN", "RNN", "Softmax"):
        raise UnsupportedUseError(f"a mask within {layer.config['layer']['class_name']} is not supported")
    results = layer.inner(layer.config["layer"], [x], "layer")
    return [e.reshape(y, (batch, time, *e.shape(y)[1:])) for y in results]


HANDLERS: dict[str, Handler] = {
    "LSTM": recurrent, "GRU": recurrent, "SimpleRNN": recurrent, "RNN": recurrent, "Bidirectional": bidirectional,
    "TimeDistributed": time_distributed,
}  # fmt: skip
