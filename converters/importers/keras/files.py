"""Keras files: `.h5` (Keras 1, 2 and 3) and `.keras` (3), read without a framework.

A `.h5` has the configuration as JSON in the attribute `model_config` and weights under `model_weights/<layer>`, a list for each layer
of the model, in the order of the attribute `weight_names`; that of a model within the model has all of its layers' weights. A
`.keras` is a zip of `config.json`, `metadata.json` and `model.weights.h5`, a tree in which layers are called by class and number ("conv2d",
"conv2d_1", ...), in the order of their model.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgert.errors import ModelError
from edgert.files import reading

from .hdf5 import Group, read_hdf5
from .layer import Arrays
from .operations import is_of_ops

# Of all parts of a .keras file: no model for a small computer is as large, and a zip can say that it holds anything.
_MOST_BYTES = 8 << 30


@dataclass
class Weights:
    """Variables of a layer: a list with their names (`.h5`), or a tree (`.keras`)."""

    entries: list[tuple[str, NDArray[Any]]] = field(default_factory=list)
    tree: dict[str, Weights] | None = None

    # Within a layer's tree: parts that hold variables, in the order of the layer's own list.
    PARTS = (
        "cell", "layer", "forward_layer", "backward_layer", "query_dense", "key_dense", "value_dense", "output_dense",
        "_query_dense", "_key_dense", "_value_dense", "_output_dense",  # as tf_keras calls them
    )  # fmt: skip

    def arrays(self) -> Arrays:
        own = [a for _, a in self.entries]
        for part in self.PARTS:
            if self.tree and part in self.tree:
                own += self.tree[part].arrays()
        return own

    def inner(self, part: str) -> Weights:
        """Those of a layer within a wrapper."""
        return self.tree.get(part, Weights()) if self.tree else self

    def children(self, layers: Sequence[dict[str, Any]]) -> dict[str, Weights]:
        """Those of the layers of a model, by name."""
        if self.tree is None:
            # Paths may or may not have the names of the models that the layer is in.
            named = {str(x["config"]["name"]): Weights() for x in layers}
            owners = {n: str(x["config"]["name"]) for x in layers for n in _names(x)}
            for path, array in self.entries:
                owner = next((owners[p] for p in path.split("/")[:-1] if p in owners), None)
                if owner is None:
                    raise ModelError(f'the weight "{path}" belongs to none of the layers {", ".join(named)}')
                named[owner].entries.append((path, array))
            return named
        tree = self.tree.get("layers") or self.tree.get("_layer_checkpoint_dependencies") or Weights()
        used: dict[str, int] = {}
        found = {}
        for x in layers:
            if is_of_ops(x):
                continue  # an operation, not counted among the layers
            base = _snake_case(x["class_name"])
            used[base] = used.get(base, -1) + 1
            found[str(x["config"]["name"])] = (
                tree.inner(base if used[base] == 0 else f"{base}_{used[base]}") if tree.tree else Weights()
            )
        return found


def _names(layer: dict[str, Any]) -> list[str]:
    """A layer's name, and those of the layers within it."""
    body = layer["config"]
    inner = body if isinstance(body, list) else body.get("layers", [body["layer"]] if isinstance(body.get("layer"), dict) else [])
    own = [] if isinstance(body, list) else [str(body.get("name", ""))]
    return [*own, *(n for x in inner for n in _names(x))]


@dataclass
class File:
    """What a file holds. version: of the Keras that wrote it; backend: what it ran on."""

    config: dict[str, Any]
    layers: dict[str, Weights] | None  # by layer (`.h5`)
    root: Weights  # (`.keras`)
    version: int
    backend: str = ""

    def children(self, layers: Sequence[dict[str, Any]]) -> dict[str, Weights]:
        return self.root.children(layers) if self.layers is None else self.layers


def read_file(path: Path) -> File:
    return _read_zip(path) if path.suffix.lower() == ".keras" else _read_h5(path)


def _read_h5(path: Path) -> File:
    root = read_hdf5(path)
    text = root.text("model_config")
    if text is None:
        raise ModelError(f"{path}: has weights but no model; save the whole model with model.save(), not save_weights()")
    groups = root.groups.get("model_weights", root)
    with reading(path, "a Keras model", ModelError):
        config = json.loads(text)
        layers = {
            layer: Weights([(name, group.array(name)) for name in group.texts("weight_names")])
            for layer, group in groups.groups.items()
        }
    version = root.text("keras_version") or groups.text("keras_version") or "1"
    backend = root.text("backend") or groups.text("backend") or ""
    return File(config, layers, Weights(), _major(version), backend)


def _major(version: str) -> int:
    match = re.match(r"\d+", version)
    return int(match[0]) if match else 1


def _snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _read_zip(path: Path) -> File:
    with reading(path, "a .keras file", ModelError), zipfile.ZipFile(path) as z:
        parts = {info.filename: info.file_size for info in z.infolist()}
        missing = [name for name in ("config.json", "model.weights.h5") if name not in parts]
        if missing:
            raise ModelError(f"{path}: a zip file, but not of a Keras model (it has no {missing[0]})")
        if sum(parts.values()) > _MOST_BYTES:
            raise ModelError(f"{path}: its parts are {sum(parts.values())} bytes when unpacked, at most {_MOST_BYTES} are read")
        config = json.loads(z.read("config.json"))
        metadata = json.loads(z.read("metadata.json")) if "metadata.json" in parts else {}
        weights = _tree(read_hdf5(path, z.read("model.weights.h5")))
        return File(config, None, weights, _major(str(metadata.get("keras_version", "3"))))


def _tree(group: Group) -> Weights:
    own = group.groups.get("vars", Group()).arrays
    return Weights([(k, own[k]) for k in sorted(own, key=int)], {k: _tree(v) for k, v in group.groups.items() if k != "vars"})
