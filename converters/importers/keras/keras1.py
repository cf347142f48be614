"""Models that Keras 1 saved, made such as Keras 2 would have saved them. Those of any backend: Theano's convolutions turn their kernels.

Method: what keras/legacy and keras/engine/saving.py of Keras 2 say about the differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgert.errors import ConversionError

from .files import File, Weights

_CLASSES = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D", "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D", "Deconvolution2D": "Conv2DTranspose", "SeparableConvolution2D": "SeparableConv2D",
}  # fmt: skip
_RENAMED = {
    "nb_filter": "filters", "border_mode": "padding", "output_dim": "units", "bias": "use_bias", "subsample": "strides",
    "subsample_length": "strides", "filter_length": "kernel_size", "pool_length": "pool_size", "stride": "strides", "atrous_rate": "dilation_rate",
    "inner_activation": "recurrent_activation", "p": "rate", "length": "size",
}  # fmt: skip
_MERGES = {"sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum"}


def modernize(file: File) -> None:
    """Changes configuration and weights in place."""
    _model(file.config, file.layers or {}, file.backend == "theano")


def _model(model: dict[str, Any], weights: dict[str, Weights], theano: bool) -> None:
    body = model["config"]
    for layer in body if isinstance(body, list) else body["layers"]:
        _layer(layer, weights.get(layer["config"].get("name", ""), Weights()), theano)


def _layer(layer: dict[str, Any], weights: Weights, theano: bool) -> None:
    kind, c = layer["class_name"], layer["config"]
    if kind in ("Sequential", "Model"):
        if weights.entries:
            raise ConversionError(
                f'the model within the model "{c[0]["config"]["name"] if isinstance(c, list) else c.get("name")}": Keras 1 keeps its weights in a way that is not supported'
            )
        _model(layer, {}, theano)
        return
    if kind == "Merge":
        mode = c.get("mode", "sum")
        if mode not in _MERGES:
            raise ConversionError(f'layer "{c.get("name")}" (Merge): the mode "{mode}" is not supported')
        layer["class_name"] = _MERGES[mode]
        c["axis"] = c.get("concat_axis", -1)
        return
    if kind in ("Bidirectional", "TimeDistributed"):
        inner, half = c["layer"], len(weights.entries) // 2
        parts = [weights.entries[:half], weights.entries[half:]] if kind == "Bidirectional" else [weights.entries]
        name = inner["class_name"]
        done = []
        for part in parts:
            inner["class_name"] = name
            own = Weights(part)
            _layer(inner, own, theano)
            done += own.entries
        weights.entries[:] = done
        return
    if kind == "Embedding":  # output_dim is its own name there
        return
    for old, new in _RENAMED.items():
        if old in c and new not in c:
            c[new] = c.pop(old)
    if "nb_row" in c:
        c["kernel_size"] = [c.pop("nb_row"), c.pop("nb_col")]
    if c.get("padding") not in (None, "same", "valid", "causal") and isinstance(c.get("padding"), str):
        raise ConversionError(f'layer "{c.get("name")}" ({kind}): the border mode "{c["padding"]}" is not supported')
    ordering = c.pop("dim_ordering", None)
    if ordering is not None:
        c["data_format"] = "channels_first" if ordering == "th" else "channels_last"
    if kind == "BatchNormalization" and c.get("mode", 0) not in (0, 2):
        raise ConversionError(f'layer "{c.get("name")}" (BatchNormalization): the mode {c["mode"]} is not supported')
    layer["class_name"] = _CLASSES.get(kind, kind)
    weights.entries[:] = [
        (f"{i}", a) for i, a in enumerate(_arrays(layer["class_name"], c, [a for _, a in weights.entries], theano))
    ]


def _arrays(kind: str, c: dict[str, Any], w: list[np.ndarray], theano: bool) -> list[np.ndarray]:
    """Weights in the layout of Keras 2."""
    first = c.get("data_format") == "channels_first"
    if not w:
        return w
    kernel = w[0]
    if kind == "Conv1D":  # [taps, 1, in, out], or [out, in, taps, 1] before 1.1
        length, filters = int(c["kernel_size"]), int(c["filters"])
        kernel = kernel if kernel.shape[:2] == (length, 1) and kernel.shape[3] == filters else kernel.transpose(2, 3, 1, 0)
        kernel = kernel[:, 0]
    elif kind == "Conv2D" and first:
        kernel = kernel.transpose(2, 3, 1, 0)
    elif kind == "Conv2DTranspose":  # [rows, columns, in, out] → [rows, columns, out, in]
        kernel = kernel.transpose(2, 3, 0, 1) if first else kernel.transpose(0, 1, 3, 2)
    elif kind == "Conv3D" and first:
        kernel = kernel.transpose(2, 3, 4, 1, 0)
    w = turn_kernel(kind, [kernel, *w[1:]]) if theano else [kernel, *w[1:]]
    if kind == "LSTM" and len(w) == 12:  # three for each gate, in the order i, c, f, o
        gates = (0, 2, 1, 3)
        return [np.concatenate([w[3 * g + k] for g in gates], -1) for k in range(3)]
    if kind == "GRU" and len(w) == 9:
        c["reset_after"] = False
        return [np.concatenate([w[3 * g + k] for g in range(3)], -1) for k in range(3)]
    return w


def turn_kernel(kind: str, w: list[np.ndarray]) -> list[np.ndarray]:
    """What Theano convolved with, which turns kernels, as what others do."""
    if not w or kind not in ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"):
        return w
    return [np.flip(w[0], tuple(range(w[0].ndim - 2))), *w[1:]]
