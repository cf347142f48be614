"""Single-operator models from our own exporter, and the comparison with LiteRT's reference kernels."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as LiteRT
from ai_edge_litert.interpreter import OpResolverType
from edgert.converters.export import to_tflite
from edgert.converters.ir import Graph, Quantization, Tensor
from hypothesis import assume, currently_in_test_context, settings
from hypothesis import strategies as st

from edgert import Interpreter
from edgert.binding import library_path

EXAMPLES = int(os.environ.get("EDGERT_EXAMPLES", "1"))
CORPUS = os.environ.get("EDGERT_CORPUS")  # a folder that gets the models of the tests, as seeds of a fuzzer


ROOT = Path(__file__).resolve().parent.parent
COMPILER = shutil.which("cc") or shutil.which("gcc")
needs_compiler = pytest.mark.skipif(sys.platform != "linux" or not COMPILER, reason="needs a C compiler")


def build_example(name: str, folder: Path) -> Path:
    """The program of examples/NAME/NAME.c, with the installed library; `with_library()` is the environment that it runs in."""
    assert COMPILER
    program = folder / name
    source, include = ROOT / f"examples/{name}/{name}.c", ROOT / "native/include"
    command = [COMPILER, "-Wall", "-Wextra", "-Werror", source, "-I", include, library_path(), "-lm", "-lpthread", "-o", program]
    subprocess.run(command, check=True)
    return program


def with_library() -> dict[str, str]:
    return dict(os.environ, LD_LIBRARY_PATH=str(library_path().parent))


def examples(n: int) -> settings:
    return settings(max_examples=n * EXAMPLES)


@contextmanager
def fuse(value: str) -> Iterator[None]:
    """EDGERT_FUSE while models are planned: "all" also shares every loop among all threads."""
    before = os.environ.get("EDGERT_FUSE")
    os.environ["EDGERT_FUSE"] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ["EDGERT_FUSE"]
        else:
            os.environ["EDGERT_FUSE"] = before


class Model:
    """Builds a model with one operator."""

    def __init__(self) -> None:
        self.graph = Graph("test")

    def tensor(
        self, name: str, shape: tuple[int, ...], dtype: str, data: Any = None, scale: Any = None, zero: Any = 0, axis: int = 0
    ) -> str:
        q = None
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            q = Quantization(scales, np.broadcast_to(np.atleast_1d(np.asarray(zero, np.int64)), scales.shape).copy(), axis)
        return self.graph.add_tensor(Tensor(name, tuple(shape), dtype, data, q))

    def input(self, name: str, shape: tuple[int, ...], dtype: str, scale: Any = None, zero: int = 0) -> str:
        self.graph.inputs.append(self.tensor(name, shape, dtype, None, scale, zero))
        return name

    def op(self, op: str, inputs: list[str], output: str, **attrs: Any) -> None:
        from edgert.converters.ir import Node

        self.graph.nodes.append(Node(op, inputs, [output], attrs, output))
        self.graph.outputs.append(output)

    def bytes(self) -> bytes:
        return to_tflite(self.graph)


def keep(content: bytes) -> None:
    """Puts a model into the corpus, where there is one."""
    if CORPUS:
        Path(CORPUS, hashlib.sha256(content).hexdigest()[:16] + ".tflite").write_bytes(content)


def run(interpreter: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    interpreter.allocate_tensors()
    for d, x in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(d["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def reference(model: bytes, inputs: list[np.ndarray], builtin: bool = False) -> list[np.ndarray] | None:
    """The reference's answers, None where it refuses the model. `builtin`: LiteRT's other kernels, where the reference lacks the operator or
    is wrong (docs/numerics.md)."""
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin else OpResolverType.BUILTIN_REF
    try:
        return run(LiteRT(model_content=model, experimental_op_resolver_type=resolver), inputs)
    except (RuntimeError, ValueError):
        return None


def assert_same_as_reference(
    model: Model | bytes,
    inputs: list[np.ndarray],
    threads: int = 1,
    magnitude: float = 0.0,
    builtin: bool = False,
    exact: bool = False,
) -> None:
    """Integers equal, and floats where they are asked to be `exact`; else floats within 1e-5 of the largest reference magnitude, or of `magnitude`
    where sums go through larger values than their results. What the reference refuses is no example."""
    content = model if isinstance(model, bytes) else model.bytes()
    keep(content)
    expected = reference(content, inputs, builtin)
    if currently_in_test_context():
        assume(expected is not None)
    assert expected is not None
    got = run(Interpreter(model_content=content, num_threads=threads), inputs)
    for g, e in zip(got, expected):
        assert g.shape == e.shape and g.dtype == e.dtype
        if e.dtype.kind == "f" and not exact:
            largest = max(magnitude, float(np.abs(e).max(initial=1e-6, where=np.isfinite(e))))
            np.testing.assert_allclose(g, e, rtol=0, atol=1e-5 * largest)
        else:
            np.testing.assert_array_equal(g, e)


# ---- what is drawn

ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])


def limits(dtype: str) -> tuple[int, int]:
    i = np.iinfo(dtype)
    return int(i.min), int(i.max)


@st.composite
def scales(draw: Any, low: float = 1e-3, high: float = 1.0) -> float:
    return float(np.float32(np.exp(draw(st.floats(np.log(low), np.log(high))))))


def zeros(dtype: str) -> st.SearchStrategy[int]:
    low, high = limits(dtype)
    return st.one_of(st.integers(low, high), st.sampled_from([low, high, 0 if low else 128]))


@st.composite
def quantization(draw: Any, dtype: str) -> dict[str, Any]:
    """Keyword arguments scale and zero for a tensor; empty for float32."""
    return {} if dtype == "float32" else {"scale": draw(scales()), "zero": draw(zeros(dtype))}


@st.composite
def values(draw: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Random values; sometimes all at an end of the type's range, or the two ends in turn."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype == "float32":
        return (rng.standard_normal(shape) * draw(st.sampled_from([0.1, 1.0, 10.0]))).astype(np.float32)
    low, high = limits(dtype)
    kind = draw(st.sampled_from(["random", "random", "random", "low", "high", "ends"]))
    if kind == "random":
        return rng.integers(low, high + 1, shape).astype(dtype)
    if kind == "ends":
        return np.where(rng.random(shape) < 0.5, low, high).astype(dtype)
    return np.full(shape, low if kind == "low" else high, dtype)


def shapes(min_rank: int = 1, max_rank: int = 4, max_size: int = 9) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(1, max_size), min_size=min_rank, max_size=max_rank).map(tuple)


def numbers(data: st.DataObject, shape: tuple[int, ...], dtype: str, low: int = -50, high: int = 50) -> np.ndarray:
    """Small numbers of any type: normal ones for floats and complex ones, else from low to below high."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    if dtype.startswith("float"):
        return (rng.standard_normal(shape) * 3).astype(dtype)
    if dtype.startswith("complex"):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    return rng.integers(max(low, np.iinfo(dtype).min), min(high, np.iinfo(dtype).max), shape).astype(dtype)


def run_graph(graph: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a converter's float graph."""
    from edgert.converters.export import to_tflite

    it = Interpreter(model_content=to_tflite(graph))
    it.allocate_tensors()
    for d, x in zip(it.get_input_details(), inputs):
        it.set_tensor(d["index"], x.astype(d["dtype"]))
    it.invoke()
    return [it.get_tensor(d["index"]) for d in it.get_output_details()]
