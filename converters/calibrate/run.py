"""Calibration: the float graph runs in edgert's own core, and observers watch every tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from edgert.errors import ConversionError, DataError
from edgert.interpreter import Interpreter

from ..export import to_tflite
from ..ir import Graph, lstm
from ..ir.layers import MOVES
from .masks import only_softmax, raised, that_matter
from .observers import MinMax, Observer

Ranges = dict[str, tuple[float, float]]
# What is lower stands for no value: the padding of a maximum.
_PADDING = -1e38


def _padded(graph: Graph) -> set[str]:
    """Tensors with values that stand for none: the padding of a maximum, wherever it is moved before that is taken."""
    found: set[str] = set()
    for n in graph.nodes:
        pads = n.op == "PADV2" and (graph.data(n.inputs[2]) or 0) < _PADDING
        if pads or (n.op in MOVES and n.inputs[0] in found) or (n.op == "MAXIMUM" and found.intersection(n.inputs)):
            found.update(n.outputs)
    return found


def calibrate(
    graph: Graph,
    samples: Iterable[tuple[NDArray[np.float32], ...]],
    observer: Callable[[], Observer] = MinMax,
    progress: Callable[[int], None] | None = None,
) -> Ranges:
    """The range of every float tensor.

    Args:
      graph: the float graph, after all passes.
      samples: for each sample one float array an input, in the shape of that input.
      observer: makes one observer a tensor.
      progress: called with the number of samples done.

    Raises:
      DataError: a sample does not fit the inputs, or there is none.
      ConversionError: a tensor takes values that are not finite.
    """
    it = Interpreter(model_content=to_tflite(graph), experimental_preserve_all_tensors=True)
    it.allocate_tensors()
    details = it.get_input_details()
    index = {d["name"]: d["index"] for d in it.get_tensor_details()}
    watched = {name: observer() for name, t in graph.tensors.items() if t.data is None and t.dtype == "float32"}
    # Of states only the last values are there: what a cell goes through is computed.
    recurrent = [n for n in graph.nodes if n.op == lstm.OP and lstm.is_plain(graph, n)]
    cells = {n.inputs[lstm.CELL]: MinMax() for n in recurrent}
    for n in recurrent:
        watched.pop(n.inputs[lstm.STATE])
        watched.pop(n.inputs[lstm.CELL])
    padded = _padded(graph)
    scores = only_softmax(graph)
    done = 0
    for sample in samples:
        if len(sample) != len(details):
            raise DataError(f"sample {done} has {len(sample)} arrays, the model has {len(details)} inputs")
        for d, value in zip(details, sample):
            if value.shape != tuple(d["shape"]):
                raise DataError(
                    f'sample {done} has the shape {list(value.shape)}, input "{d["name"]}" expects {d["shape"].tolist()}'
                )
            it.set_tensor(d["index"], np.ascontiguousarray(value, d["dtype"]))
        it.reset_all_variables()
        try:
            it.invoke()
        except RuntimeError as e:
            raise DataError(f"the model cannot run sample {done}: {e}") from None
        for name, o in watched.items():
            values = it.tensor(index[name])()
            if name in scores:
                values = that_matter(values)
            elif name in padded:
                values = values[values > _PADDING]
            else:
                values = raised(values)
            if not np.isfinite(values).all():
                raise ConversionError(
                    f'tensor "{name}" takes values that are not finite on sample {done}: check the model and the preprocessing'
                )
            o.update(values)
            del values
        for n in recurrent:
            cells[n.inputs[lstm.CELL]].update(lstm.cell_values(graph, n, it.get_tensor(index[n.inputs[0]])))
        done += 1
        if progress:
            progress(done)
    if not done:
        raise DataError("there are no calibration samples")
    return {name: o.range() for name, o in (*watched.items(), *cells.items())}
