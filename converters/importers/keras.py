"""Keras models: legacy `.h5` (Keras 2 and 3) and `.keras` (Keras 3), read with h5py and json; no framework needed.

Formats: a `.h5` has the configuration as JSON in the attribute `model_config` and weights under `model_weights/<layer>`,
in the order of the attribute `weight_names`. A `.keras` is a zip of `config.json` and `model.weights.h5`, where layers
are called by class and number ("conv2d", "conv2d_1", ...), in the order of the model.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError, MissingExtraError, ModelError

from ..ir import Graph, Tensor
from . import keras_layers
from .emit import UnsupportedUseError

Weights = dict[str, list[NDArray[Any]]]


@dataclass
class Call:
    """One use of a layer: which outputs (layer, call, index) it takes."""

    layer: str
    inputs: list[tuple[str, int, int]] = field(default_factory=list)


def read_keras(path: Path) -> Graph:
    """The float graph of a Keras model. Batch size is 1.

    Raises:
      ModelError: the file is no Keras model.
      ConversionError: it has layers that edgert does not know; all of them are named.
    """
    config, weights = _read_zip(path) if path.suffix.lower() == ".keras" else _read_h5(path)
    try:
        return _build(config, weights, path)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as e:
        if isinstance(e, (ConversionError, ModelError)):
            raise
        raise ModelError(f"{path}: the configuration of this Keras model has an unexpected form ({type(e).__name__}: {e})") from e


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "convert", "reading a Keras model") from None
    return h5py


def _read_h5(path: Path) -> tuple[dict[str, Any], Weights]:
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as f:
            text = f.attrs.get("model_config")
            if text is None:
                raise ModelError(f"{path}: has weights but no model; save the whole model with model.save(), not save_weights()")
            config = json.loads(text if isinstance(text, str) else bytes(text).decode())
            groups = f["model_weights"]
            weights = {}
            for layer in groups:
                names = [n if isinstance(n, str) else n.decode() for n in groups[layer].attrs.get("weight_names", [])]
                weights[layer] = [np.asarray(groups[layer][n]) for n in names]
            return config, weights
    except OSError as e:
        raise ModelError(f"{path}: not an HDF5 file, or a damaged one ({e})") from None
    except (KeyError, json.JSONDecodeError) as e:
        raise ModelError(f"{path}: an HDF5 file, but not of a Keras model ({e})") from None


def _snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _read_zip(path: Path) -> tuple[dict[str, Any], Weights]:
    h5py = _h5py()
    try:
        with zipfile.ZipFile(path) as z:
            config = json.loads(z.read("config.json"))
            blob = BytesIO(z.read("model.weights.h5"))
        weights: Weights = {}
        used: dict[str, int] = {}
        with h5py.File(blob, "r") as f:
            for layer in config["config"]["layers"]:
                base = _snake_case(layer["class_name"])
                used[base] = used.get(base, -1) + 1
                key = base if used[base] == 0 else f"{base}_{used[base]}"
                group = f.get(f"layers/{key}") or f.get(f"_layer_checkpoint_dependencies/{key}")
                weights[layer["config"]["name"]] = _vars(group) if group is not None else []
        return config, weights
    except (zipfile.BadZipFile, OSError) as e:
        raise ModelError(f"{path}: not a .keras file, or a damaged one ({e})") from None
    except (KeyError, json.JSONDecodeError) as e:
        raise ModelError(f"{path}: a zip file, but not of a Keras model ({e})") from None


def _vars(group: Any) -> list[NDArray[Any]]:
    """Variables of a layer in order of number; of layers inside it (separable convolutions have none) after its own."""
    own = group.get("vars")
    return [np.asarray(own[k]) for k in sorted(own, key=int)] if own is not None else []


# ---- the graph


def _build(config: dict[str, Any], weights: Weights, path: Path) -> Graph:
    kind = config["class_name"]
    if kind not in ("Functional", "Model", "Sequential"):
        raise ConversionError(
            f"{path}: the model is a {kind}; only Sequential and functional models hold their layers in the file"
        )
    body = config["config"]
    layers = body if isinstance(body, list) else body["layers"]
    unknown = [
        f'"{x["config"].get("name", "?")}" ({x["class_name"]})' for x in layers if x["class_name"] not in keras_layers.LAYERS
    ]
    if unknown:
        raise ConversionError(f"{path}: no converter for the layers {', '.join(unknown)}")
    name = "" if isinstance(body, list) else str(body.get("name", ""))
    graph = Graph(name)
    if kind == "Sequential":
        _sequential(graph, layers, weights, path, body if isinstance(body, dict) else {})
    else:
        _functional(graph, layers, weights, path, body)
    graph.check()
    return graph


def _input(graph: Graph, layer: dict[str, Any], path: Path) -> str:
    c = layer["config"]
    shape = c.get("batch_shape") or c.get("batch_input_shape") or ([None, *c["shape"]] if c.get("shape") else None)
    if shape is None or any(n is None for n in shape[1:]):
        raise ConversionError(
            f'{path}: input "{c["name"]}" has the open shape {shape}; edgert needs fixed sizes but for the batch'
        )
    name = graph.add_tensor(Tensor(c["name"], (1, *(int(n) for n in shape[1:]))))
    graph.inputs.append(name)
    graph.input_names.append(c["name"])
    return name


def _sequential(graph: Graph, layers: list[dict[str, Any]], weights: Weights, path: Path, body: dict[str, Any]) -> None:
    current = None
    for layer in layers:
        c = layer["config"]
        if current is None:
            shape = c.get("batch_input_shape") or c.get("batch_shape") or body.get("build_input_shape")
            name = c["name"] if layer["class_name"] == "InputLayer" else f"{c['name']}_input"
            current = _input(graph, {"config": {"name": name, "batch_shape": shape}}, path)
        if layer["class_name"] == "InputLayer":
            continue
        current = _apply(graph, layer, [current], weights, path)
    if current is None:
        raise ConversionError(f"{path}: the model has no layers")
    graph.outputs, graph.output_names = [current], [layers[-1]["config"]["name"]]


def _functional(graph: Graph, layers: list[dict[str, Any]], weights: Weights, path: Path, body: dict[str, Any]) -> None:
    by_name = {layer["config"]["name"]: layer for layer in layers}
    pending = [Call(n, inputs) for n, layer in by_name.items() for inputs in _calls(layer)]
    values: dict[tuple[str, int], str] = {}
    made: dict[str, int] = {}
    inputs = [n for n, _, _ in _references(body["input_layers"])]
    for n in inputs:
        values[(n, 0)] = _input(graph, by_name[n], path)
        made[n] = 1
    pending = [c for c in pending if by_name[c.layer]["class_name"] != "InputLayer"]
    while pending:
        ready = [c for c in pending if all((n, node) in values for n, node, _ in c.inputs)]
        if not ready:
            raise ModelError(f'{path}: layer "{pending[0].layer}" takes an input that no layer makes')
        call = ready[0]
        pending.remove(call)
        node = made.get(call.layer, 0)
        values[(call.layer, node)] = _apply(
            graph, by_name[call.layer], [values[(n, k)] for n, k, _ in call.inputs], weights, path
        )
        made[call.layer] = node + 1
    outputs = _references(body["output_layers"])
    graph.outputs = [values[(n, k)] for n, k, _ in outputs]
    graph.output_names = [n for n, _, _ in outputs]


def _references(value: Any) -> list[tuple[str, int, int]]:
    """Output references in any of the nestings that Keras has used: [name, call, index], lists of them, dicts of them."""
    if isinstance(value, dict):
        return [r for v in value.values() for r in _references(v)]
    if isinstance(value, (list, tuple)):
        if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
            return [(value[0], value[1], int(value[2]))]
        return [r for v in value for r in _references(v)]
    return []


def _calls(layer: dict[str, Any]) -> list[list[tuple[str, int, int]]]:
    """What each call of the layer takes."""
    calls = []
    for node in layer.get("inbound_nodes", []):
        if isinstance(node, dict):  # Keras 3
            calls.append([t for a in (node.get("args", []), node.get("kwargs", {})) for t in _history(a)])
        else:
            calls.append(_references(node))
    return calls


def _history(value: Any) -> list[tuple[str, int, int]]:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            n, k, i = value["config"]["keras_history"]
            return [(n, int(k), int(i))]
        return [t for v in value.values() for t in _history(v)]
    if isinstance(value, list):
        return [t for v in value for t in _history(v)]
    return []


def _apply(graph: Graph, layer: dict[str, Any], inputs: list[str], weights: Weights, path: Path) -> str:
    c = layer["config"]
    if c.get("data_format") == "channels_first":
        raise ConversionError(f'{path}: layer "{c["name"]}" has channels first; only channels_last is supported')
    try:
        return keras_layers.LAYERS[layer["class_name"]](graph, c, inputs, weights.get(c["name"], []))
    except UnsupportedUseError as e:
        raise ConversionError(f'{path}: layer "{c["name"]}" ({layer["class_name"]}): {e}') from None
    except (IndexError, KeyError) as e:
        raise ModelError(f'{path}: layer "{c["name"]}" ({layer["class_name"]}) lacks a weight or attribute ({e})') from None
