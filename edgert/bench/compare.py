"""edgert beside a peer on the same model: alternating bursts in one process, on the same cores, and the ratio of times."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..errors import EdgertError
from ..interpreter import Interpreter
from .measure import random_inputs

# What they are called on the command line, and in tables.
PEERS = {"litert": "LiteRT + XNNPACK", "openvino": "OpenVINO"}


@dataclass(frozen=True)
class Comparison:
    """Milliseconds of one inference, median over bursts and minimum, on both sides. `ratio` above 1: edgert is faster."""

    model: str
    peer: str
    threads: int
    edgert: float
    edgert_minimum: float
    other: float
    other_minimum: float

    @property
    def ratio(self) -> float:
        return self.other / self.edgert

    @property
    def ratio_of_minima(self) -> float:
        return self.other_minimum / self.edgert_minimum


def _missing(peer: str, package: str) -> EdgertError:
    return EdgertError(f"{peer} is not installed, there is nothing to compare with; type: pip install {package}")


def _litert(path: Path, threads: int) -> Callable[[], Any]:
    try:
        from ai_edge_litert.interpreter import Interpreter as LiteRT
    except ImportError:
        raise _missing("LiteRT", "ai-edge-litert") from None
    it = LiteRT(model_path=str(path), num_threads=threads)
    it.allocate_tensors()
    random_inputs(it)
    return it.invoke  # type: ignore[no-any-return]


def _openvino(path: Path, threads: int) -> Callable[[], Any]:
    try:
        import openvino as ov
    except ImportError:
        raise _missing("OpenVINO", "openvino") from None
    core = ov.Core()
    model = core.read_model(str(path))
    model.reshape({i: [1 if d.is_dynamic else d.get_length() for d in i.partial_shape] for i in model.inputs})
    request = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}).create_infer_request()
    rng = np.random.default_rng(0)
    for i in model.inputs:
        dtype, shape = np.dtype(i.element_type.to_dtype()), [int(n) for n in i.shape]
        value = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 100, shape)
        request.set_tensor(i, ov.Tensor(value.astype(dtype)))
    return request.infer  # type: ignore[no-any-return]


def _burst(invoke: Callable[[], Any], repeats: int) -> float:
    begin = time.perf_counter()
    for _ in range(repeats):
        invoke()
    return (time.perf_counter() - begin) / repeats


def compare(path: str | Path, peer: str = "litert", *, threads: int = 1, seconds: float = 4.0) -> Comparison:
    """Runs the model in edgert and in `peer` ("litert" with XNNPACK, or "openvino") in turns of about 10 ms for `seconds`, this
    process bound to `threads` cores.

    Raises:
      ModelError: the model cannot be read or run by edgert.
      EdgertError: the peer is not installed, or cannot run the model.
    """
    prepare = {"litert": _litert, "openvino": _openvino}[peer]
    it = Interpreter(model_path=path, num_threads=threads)
    it.allocate_tensors()
    random_inputs(it)
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if affinity:
        os.sched_setaffinity(0, sorted(affinity)[:threads])
    try:
        try:
            other = prepare(Path(path), threads)
            other()
        except (RuntimeError, ValueError) as e:
            raise EdgertError(f"{peer} cannot run {path}: {str(e).splitlines()[0] if str(e) else type(e).__name__}") from None
        sides: list[Callable[[], Any]] = [it.invoke, other]
        repeats = [max(1, int(0.01 / max(_burst(side, 2), 1e-9))) for side in sides]
        times: list[list[float]] = [[], []]
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for side, n, record in zip(sides, repeats, times):
                record.append(_burst(side, n))
    finally:
        if affinity:
            os.sched_setaffinity(0, affinity)
    ours, theirs = times
    return Comparison(Path(path).stem, peer, threads, *(1e3 * v for v in (median(ours), min(ours), median(theirs), min(theirs))))
