"""The graph of a Keras model: layers in the order in which they can run, models within models, layers that are used several times."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgert.errors import ConversionError, EdgertError, ModelError

from ...ir import Graph, Tensor
from ..emit import Emitter, UnsupportedUseError
from ..windows import to_first, to_last
from . import activations, attention, basic, keras1, masks, operations, products, recurrent, spatial
from .files import File, Weights, read_file
from .layer import Handler, Layer

LAYERS: dict[str, Handler] = {
    "Masking": masks.masking, **activations.HANDLERS, **attention.HANDLERS, **basic.HANDLERS, **products.HANDLERS, **recurrent.HANDLERS, **spatial.HANDLERS,
}  # fmt: skip
_MODELS = ("Functional", "Model", "Sequential")
# Why layers that Keras has are refused.
_REASONS = {
    "Lambda": "Python code of its own, which is not run; make it layers, or export the model as ONNX",
}
_HAS_CHANNELS = {**spatial.HANDLERS, **{k: v for k, v in products.HANDLERS.items() if "Conv" in k}, "Flatten": basic.flatten}


@dataclass
class Call:
    """One use of a layer: where its inputs come from, (layer, call, index), its other arguments by name, and all by place as they are in the file."""

    layer: str
    inputs: list[tuple[str, int, int]] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)
    args: list[Any] = field(default_factory=list)

    def needs(self) -> list[tuple[str, int, int]]:
        return [*self.inputs, *(r for v in self.named.values() for r in _references(v))]


def read_keras(path: Path) -> Graph:
    """The float graph of a Keras model. Batch size is 1.

    Raises:
      ModelError: the file is no Keras model.
      ConversionError: it has layers that edgert does not know; all of them are named.
    """
    file = read_file(path)
    try:
        if file.version == 1:
            keras1.modernize(file)
        return _Builder(file, path).build()
    except EdgertError as e:
        raise e if str(path) in str(e) else type(e)(f"{path}: {e}") from None
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, AssertionError) as e:
        raise ModelError(f"{path}: the configuration of this Keras model has an unexpected form ({type(e).__name__}: {e})") from e


def _body(model: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The layers of a model, and the rest of its configuration."""
    body = model["config"]
    return (body, {}) if isinstance(body, list) else (body["layers"], body)


class _Builder:
    def __init__(self, file: File, path: Path) -> None:
        self.file, self.path = file, path
        self.graph = Graph()
        self.emitter = Emitter(self.graph)
        self.masks: dict[str, str] = {}

    def build(self) -> Graph:
        config = self.file.config
        if config["class_name"] not in _MODELS:
            raise ConversionError(
                f"{self.path}: the model is a {config['class_name']}; only Sequential and functional models hold their layers in the file"
            )
        layers, rest = _body(config)
        self._check(layers)
        self.graph.name = str(rest.get("name", ""))
        weights = self.file.children(layers)
        if config["class_name"] == "Sequential":
            name, shape, dtype = self._first(layers, rest)
            outputs = self._sequential(layers, weights, [self._input(name, shape, dtype)])
            names = [str(layers[-1]["config"]["name"])]
        else:
            inputs, by_name = [], {x["config"]["name"]: x for x in layers}
            for name, _, _ in _references(rest["input_layers"]):
                c = by_name[name]["config"]
                shape = c.get("batch_shape") or c.get("batch_input_shape") or ([None, *c["shape"]] if c.get("shape") else None)
                inputs.append(self._input(name, shape, c.get("dtype")))
            outputs = self._functional(layers, rest, weights, inputs)
            names = [n for n, _, _ in _references(rest["output_layers"])]
        self.graph.outputs, self.graph.output_names = outputs, names
        for i, name in enumerate(outputs):
            if name in self.graph.inputs or self.graph.data(name) is not None or name in outputs[:i]:
                raise ConversionError(f'{self.path}: output "{names[i]}" is an input, a constant, or given twice')
        self.graph.check()
        return self.graph

    def _check(self, layers: list[dict[str, Any]]) -> None:
        unknown: list[str] = []

        def visit(layers: list[dict[str, Any]]) -> None:
            for x in layers:
                kind = x["class_name"]
                if operations.is_operation(x, self.file.version):
                    if operations.name_of(x) not in operations.OPERATIONS:
                        unknown.append(f'"{x["config"].get("name", "?")}" (the operation {x["config"].get("function", kind)})')
                elif kind in _MODELS:
                    visit(_body(x)[0])
                elif kind == "TimeDistributed":
                    visit([x["config"]["layer"]])
                elif kind not in LAYERS:
                    why = f": {_REASONS[kind]}" if kind in _REASONS else ""
                    unknown.append(f'"{x["config"].get("name", "?")}" ({kind}{why})')

        visit(layers)
        if unknown:
            raise ConversionError(f"{self.path}: no converter for the layers {', '.join(unknown)}")

    # ---- inputs

    def _first(self, layers: list[dict[str, Any]], rest: dict[str, Any]) -> tuple[str, Any, Any]:
        if not layers:
            raise ConversionError(f"{self.path}: the model has no layers")
        c, is_input = layers[0]["config"], layers[0]["class_name"] == "InputLayer"
        shape = c.get("batch_input_shape") or c.get("batch_shape") or rest.get("build_input_shape")
        if shape is None and layers[0]["class_name"] in _MODELS:  # a model that begins with a model
            inner, about = _body(layers[0])
            _, shape, dtype = self._first(inner, about)
            return f"{c.get('name', 'input')}_input", shape, dtype
        return (
            (c["name"] if is_input else f"{c['name']}_input"),
            shape,
            c.get("dtype") if is_input or layers[0]["class_name"] == "Embedding" else None,
        )

    def _input(self, name: str, shape: Any, dtype: Any) -> str:
        if shape is None or any(n is None for n in shape[1:]):
            raise ConversionError(
                f'{self.path}: input "{name}" has the open shape {shape}; edgert needs fixed sizes but for the batch'
            )
        kind = str(dtype.get("config", {}).get("name", "") if isinstance(dtype, dict) else dtype or "")
        tensor = Tensor(name, (1, *(int(n) for n in shape[1:])), "int32" if kind in ("int32", "int64", "uint8") else "float32")
        added = self.graph.add_tensor(tensor)
        self.graph.inputs.append(added)
        self.graph.input_names.append(name)
        return added

    # ---- models

    def _sequential(self, layers: list[dict[str, Any]], weights: dict[str, Weights], values: list[str]) -> list[str]:
        for layer in layers:
            if layer["class_name"] != "InputLayer":
                values = self._apply(layer, values, {}, weights.get(layer["config"]["name"], Weights()))
        return values

    def _functional(
        self, layers: list[dict[str, Any]], rest: dict[str, Any], weights: dict[str, Weights], inputs: list[str]
    ) -> list[str]:
        by_name = {layer["config"]["name"]: layer for layer in layers}
        values: dict[tuple[str, int], list[str]] = {}
        made: dict[str, int] = {}
        for (name, _, _), value in zip(_references(rest["input_layers"]), inputs):
            values[name, 0] = [value]
            made[name] = 1
        # Of a model within the model, Keras 2 counts the call that made it.
        used = [r for layer in layers for r in _references(layer.get("inbound_nodes", []))] + _references(rest["output_layers"])
        for name, layer in by_name.items():
            if layer["class_name"] in _MODELS and self.file.version == 2 and (indices := [k for n, k, _ in used if n == name]):
                made[name] = min(indices)
        version = self.file.version
        pending = [c for n, layer in by_name.items() if layer["class_name"] != "InputLayer" for c in _calls(n, layer, version)]
        while pending:
            call = next((c for c in pending if all((n, node) in values for n, node, _ in c.needs())), None)
            if call is None:
                raise ModelError(f'{self.path}: layer "{pending[0].layer}" takes an input that no layer makes')
            pending.remove(call)
            node = made.get(call.layer, 0)
            made[call.layer] = node + 1
            taken = [values[n, k][i] for n, k, i in call.inputs]
            named = {key: _resolve(v, values) for key, v in call.named.items()}
            layer = by_name[call.layer]
            if operations.is_operation(layer, version):
                values[call.layer, node] = self._operate(layer, _operands(call.args, values), _operands(call.named, values))
            else:
                values[call.layer, node] = self._apply(layer, taken, named, weights.get(call.layer, Weights()))
        return [values[n, k][i] for n, k, i in _references(rest["output_layers"])]

    # ---- layers

    def _apply(self, layer: dict[str, Any], inputs: list[str], named: dict[str, Any], weights: Weights) -> list[str]:
        kind, c = layer["class_name"], layer["config"]
        if kind in _MODELS:
            layers, rest = _body(layer)
            children = weights.children(layers)
            return (
                self._sequential(layers, children, inputs)
                if kind == "Sequential"
                else self._functional(layers, rest, children, inputs)
            )
        name = str(c.get("name", kind))
        first = c.get("data_format") == "channels_first" and kind in _HAS_CHANNELS
        self.emitter.prefix = name

        def inner(config: dict[str, Any], x: list[str], part: str) -> list[str]:
            within = self._apply(config, x, {}, weights.inner(part))
            self.emitter.prefix = name
            return within

        arrays = weights.arrays()
        if self.file.version == 2 and self.file.backend == "theano":
            arrays = keras1.turn_kernel(kind, arrays)
        here = Layer(
            kind, name, {**c, "data_format": "channels_last"}, list(inputs), arrays, self.emitter, self.file.version, named, inner, self.masks
        )  # fmt: skip
        try:
            if first:
                self.graph.channels_first = True
                here.inputs = [to_last(self.emitter, x) if self.emitter.rank(x) > 2 else x for x in inputs]
                self.masks.update({y: self.masks[x] for x, y in zip(inputs, here.inputs) if x in self.masks})
            result = LAYERS[kind](here)
            results = [result] if isinstance(result, str) else result
            for y, mask in zip(results, masks.of_outputs(here, results)):
                if y in inputs and mask != self.masks.get(y, ""):
                    raise UnsupportedUseError("a layer that does nothing but end a mask is not supported")
                if mask:
                    self.masks[y] = mask
            if first:
                results = [to_first(self.emitter, y) if self.emitter.rank(y) > 2 else y for y in results]
            return results
        except UnsupportedUseError as e:
            raise ConversionError(f'{self.path}: layer "{name}" ({kind}): {e}') from None
        except (IndexError, KeyError) as e:
            raise ModelError(f'{self.path}: layer "{name}" ({kind}) lacks a weight or attribute ({e})') from None

    def _operate(self, layer: dict[str, Any], args: Any, named: Any) -> list[str]:
        self.emitter.prefix = name = str(layer["config"].get("name", layer["class_name"]))
        try:
            return operations.run(layer, self.emitter, args, named)
        except UnsupportedUseError as e:
            raise ConversionError(f'{self.path}: the operation "{name}" ({layer["class_name"]}): {e}') from None


# ---- how layers refer to each other


def _references(value: Any) -> list[tuple[str, int, int]]:
    """Output references in any of the nestings that Keras has used: [name, call, index], lists of them, dicts of them."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            n, k, i = value["config"]["keras_history"]
            return [(n, int(k), int(i))]
        return [r for v in value.values() for r in _references(v)]
    if isinstance(value, (list, tuple)):
        if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int) and not isinstance(value[1], bool):
            return [(value[0], value[1], int(value[2]))]
        return [r for v in value for r in _references(v)]
    return []


def _resolve(value: Any, values: dict[tuple[str, int], list[str]]) -> Any:
    """An argument with its references made tensors."""
    found = _references(value)
    if not found:
        return value
    tensors = [values[n, k][i] for n, k, i in found]
    single = isinstance(value, dict) or (isinstance(value, (list, tuple)) and isinstance(value[0], str))
    return tensors[0] if single and len(tensors) == 1 else tensors


def _operands(value: Any, values: dict[tuple[str, int], list[str]]) -> Any:
    """Arguments of an operation, with each reference in them made the tensor that it stands for."""
    if isinstance(value, dict) and value.get("class_name") != "__keras_tensor__":
        return {k: _operands(v, values) for k, v in value.items()}
    single = isinstance(value, dict) or (isinstance(value, list) and 3 <= len(value) <= 4 and isinstance(value[0], str))
    if single and (found := _references(value)):
        n, k, i = found[0]
        return operations.Value(values[n, k][i])
    return [_operands(v, values) for v in value] if isinstance(value, (list, tuple)) else value


def _calls(name: str, layer: dict[str, Any], version: int) -> list[Call]:
    """The uses of a layer."""
    calls = []
    for node in layer.get("inbound_nodes", []):
        if isinstance(node, dict):  # Keras 3
            args = list(node.get("args", []))
            calls.append(Call(name, _references(args), dict(node.get("kwargs", {})), args))
            continue
        # Keras 1 and 2: a list of [name, call, index], from 2 on with the other arguments as a dict at the end
        entries = node if node and isinstance(node[0], (list, tuple)) else [node]
        named = {k: v for e in entries if len(e) > 3 and isinstance(e[3], dict) for k, v in e[3].items()}
        if operations.is_operation(layer, version):
            first = [e[2] if e[0] == "_CONSTANT_VALUE" else e for e in entries]
            # The first argument; a list of several tensors is one argument.
            several = node is entries and len(node) > 1
            calls.append(Call(name, [r for e in first for r in _references(e)], named, [first] if several else first))
            continue
        calls.append(Call(name, [r for e in entries for r in _references(e)], named))
    return calls
