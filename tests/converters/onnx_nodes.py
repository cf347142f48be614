"""The ONNX project's own backend tests of single operators, on edgert: import, passes, run in float, compare."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from edgert.converters import passes
from edgert.converters.export import to_tflite
from edgert.converters.importers.onnx import OPERATORS, read_onnx

from edgert import ConversionError, EdgertError, Interpreter


def cases() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return [c for c in collect_testcases(None) if c.model is not None and c.data_sets]


def in_the_table(model: Any) -> bool:
    nodes = list(_nodes(model.graph.node))
    return all(n.domain in ("", "ai.onnx") and n.op_type in OPERATORS for n in nodes)


def _nodes(nodes: Any) -> Iterator[Any]:
    for n in nodes:
        yield n
        for a in n.attribute:
            if a.HasField("g"):
                yield from _nodes(a.g.node)


def _array(value: Any) -> Any:
    return np.asarray(onnx.numpy_helper.to_array(value)) if isinstance(value, onnx.TensorProto) else value


def failure(case: Any) -> str:
    """Why a case does not pass; "" if it does. Inputs that must be constant become constants, as `--constant` makes them."""
    try:
        for inputs, outputs in case.data_sets:
            _run(case, [_array(i) for i in inputs], [_array(o) for o in outputs])
    except (EdgertError, ValueError, RuntimeError, TypeError, AttributeError) as e:
        return " ".join(str(e).split())
    except AssertionError as e:
        return "the result differs: " + " ".join(str(e).split())[:120]
    return ""


def _run(case: Any, inputs: list[Any], outputs: list[Any]) -> None:
    names = [i.name for i in case.model.graph.input]
    if any(not isinstance(v, (np.ndarray, np.generic)) for v in (*inputs, *outputs)):
        raise ValueError("sequences and optional values are not supported")
    feed = {n: np.asarray(v) for n, v in zip(names, inputs)}
    constants: dict[str, Any] = {}
    while True:
        try:
            graph = read_onnx(case.model, shapes={k: v.shape for k, v in feed.items() if k not in constants}, constants=constants)
            break
        except ConversionError as e:
            wanted = getattr(e, "tensor", None)
            if wanted not in feed or wanted in constants:
                raise
            constants[wanted] = feed[wanted]
    it = Interpreter(model_content=to_tflite(passes.run(graph)))
    it.allocate_tensors()
    for d, name in zip(it.get_input_details(), graph.input_names):
        it.set_tensor(d["index"], np.asarray(feed[name].astype(d["dtype"]), order="C").reshape(d["shape"]))
    it.invoke()
    for d, expected in zip(it.get_output_details(), outputs):
        got, expected = it.get_tensor(d["index"]), np.asarray(expected)
        assert got.shape == expected.shape, f"shape {got.shape}, not {expected.shape}"
        kind = bool if expected.dtype == bool else np.float64
        np.testing.assert_allclose(got.astype(kind), expected.astype(kind), rtol=max(case.rtol, 1e-3), atol=max(case.atol, 1e-6))
