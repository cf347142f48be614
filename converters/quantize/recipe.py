"""Recipes: what is to be done with which layer, in a TOML file.

    scheme = "int8"                 # any option of `convert` by its name
    observer = "mse"

    [[layer]]
    name = "block_1*"               # a pattern for the name of the layer's output; or
    op = "FULLY_CONNECTED"          # of a kind
    precision = "int16"             # "int8", "int16" or "float32"

Of several entries that fit a layer the last one counts.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edgert.errors import DataError, MissingExtraError

from ..ir import Graph

PRECISIONS = ("int8", "int16", "float32")
OPTIONS = (
    "scheme",
    "input_type",
    "output_type",
    "observer",
    "rounding",
    "bias_correction",
    "equalize",
    "refine",
    "shift",
    "mean",
    "std",
    "min_sqnr",
    "max_drop",
    "limit",
    "target",
)
_KEYS = ("name", "op", "precision")


@dataclass(frozen=True)
class Entry:
    """Layers whose output's name and operator fit the patterns have this precision."""

    name: str
    op: str
    precision: str

    def fits(self, name: str, op: str) -> bool:
        return fnmatchcase(name, self.name) and fnmatchcase(op, self.op)


@dataclass(frozen=True)
class Recipe:
    options: dict[str, Any] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()

    def kinds(self, graph: Graph) -> dict[str, str]:
        """The precisions that are asked for, by the name of the layer's output.

        Raises:
          DataError: an entry fits no layer.
        """
        found: dict[str, str] = {}
        for entry in self.entries:
            fitting = [n.outputs[0] for n in graph.nodes if entry.fits(n.outputs[0], n.op)]
            if not fitting:
                near = ", ".join(f"{n.outputs[0]} ({n.op})" for n in graph.nodes[:5])
                raise DataError(
                    f'the recipe\'s layer name="{entry.name}" op="{entry.op}" fits none of the model\'s; they are {near}, ...'
                )
            found.update(dict.fromkeys(fitting, entry.precision))
        return found


def _toml() -> Any:
    try:
        return importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError:
        raise MissingExtraError("tomli", "convert", "reading a recipe") from None


def load_recipe(path: Path) -> Recipe:
    """Reads a recipe.

    Raises:
      DataError: it is no TOML, or has keys or values that there are not.
    """
    toml = _toml()
    try:
        with open(path, "rb") as f:
            data = toml.load(f)
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from None
    except (toml.TOMLDecodeError, UnicodeDecodeError) as e:
        raise DataError(f"{path}: not a TOML file ({e})") from None
    entries = data.pop("layer", [])
    unknown = [k for k in data if k not in OPTIONS]
    if unknown:
        raise DataError(f'{path}: there is no option "{unknown[0]}"; known are {", ".join(OPTIONS)}, and [[layer]]')
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise DataError(f"{path}: layers are tables, each of which begins with [[layer]]")
    made = []
    for entry in entries:
        wrong = [k for k in entry if k not in _KEYS or not isinstance(entry[k], str)]
        if wrong or "precision" not in entry or not ("name" in entry or "op" in entry):
            raise DataError(f"{path}: a [[layer]] has name or op, and precision, all of them texts; one has {dict(entry)}")
        if entry["precision"] not in PRECISIONS:
            raise DataError(f'{path}: the precision "{entry["precision"]}" does not exist; known are {", ".join(PRECISIONS)}')
        made.append(Entry(entry.get("name", "*"), entry.get("op", "*"), entry["precision"]))
    return Recipe(data, tuple(made))
