"""`Interpreter` beside LiteRT's own: the same names, values, types and exceptions."""

from __future__ import annotations

import enum
import gc
import inspect
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

import edgert
from edgert import Interpreter, ModelError, UnsupportedError

from .build import TYPES, Builder
from .support import Model

MODELS = Path(__file__).resolve().parent.parent / "native/tests/data"
INT8 = MODELS / "int8.tflite"
LiteRT, REFERENCE = litert.Interpreter, litert.OpResolverType.BUILTIN_REF


def both(**kwargs: object) -> list:
    return [Interpreter(model_path=str(INT8), **kwargs), LiteRT(model_path=str(INT8), **kwargs)]


def same(a: object, b: object) -> None:
    """Equal, in type too, deep inside."""
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape, (a, b)
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        b = {k: v for k, v in b.items() if k != "block_size"}  # newer than tflite_runtime
        assert isinstance(b, dict) and list(a) == list(b)
        for k in a:
            same(a[k], b[k])
    elif isinstance(a, (list, tuple)):
        assert type(a) is type(b) and len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    else:
        assert a == b and type(a) is type(b), (a, b)


def test_details_are_those_of_litert() -> None:
    a, b = both()
    for it in (a, b):
        it.allocate_tensors()
    same(a.get_input_details(), b.get_input_details())
    same(a.get_output_details(), b.get_output_details())
    theirs = {d["index"]: d for d in b.get_tensor_details()}
    for d in a.get_tensor_details():
        same(d, theirs[d["index"]])
    same(a.get_signature_list(), b.get_signature_list())
    ours, ref = a._get_ops_details(), b._get_ops_details()
    assert [o["op_name"] for o in ours] == [o["op_name"] for o in ref][: len(ours)]
    for o, r in zip(ours, ref):
        same(o["inputs"], r["inputs"])
        same(o["outputs"], r["outputs"])


def test_runs_as_litert_does() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1, 12, 12, 3)).astype(np.uint8)
    results = []
    for it in (Interpreter(model_path=str(INT8)), LiteRT(model_path=str(INT8), experimental_op_resolver_type=REFERENCE)):
        it.allocate_tensors()
        it.set_tensor(it.get_input_details()[0]["index"], x)
        it.invoke()
        results.append([it.get_tensor(d["index"]) for d in it.get_output_details()])
    same(results[0], results[1])


def test_model_content_and_path_objects() -> None:
    content = INT8.read_bytes()
    for it in (Interpreter(model_content=content), Interpreter(model_path=INT8), Interpreter(model_content=bytearray(content))):  # type: ignore[arg-type]
        it.allocate_tensors()
        it.invoke()


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (lambda it: it.set_tensor(it.get_input_details()[0]["index"], np.zeros((1, 12, 12, 3), np.uint8)), ValueError),
        (
            lambda it: (
                it.allocate_tensors(),
                it.set_tensor(it.get_input_details()[0]["index"], np.zeros((1, 12, 12, 3), np.float32)),
            ),
            ValueError,
        ),
        (
            lambda it: (
                it.allocate_tensors(),
                it.set_tensor(it.get_input_details()[0]["index"], np.zeros((1, 12, 12), np.uint8)),
            ),
            ValueError,
        ),
        (
            lambda it: (
                it.allocate_tensors(),
                it.set_tensor(it.get_input_details()[0]["index"], np.zeros((1, 12, 13, 3), np.uint8)),
            ),
            ValueError,
        ),
        (lambda it: (it.allocate_tensors(), it.set_tensor(100000, np.zeros(1, np.uint8))), ValueError),
        (lambda it: (it.allocate_tensors(), it.set_tensor(-1, np.zeros(1, np.uint8))), ValueError),
        (lambda it: (it.allocate_tensors(), it.get_tensor(100000)), ValueError),
        (lambda it: it.get_tensor(it.get_output_details()[0]["index"]), ValueError),
        (lambda it: it.get_signature_runner("nothing"), ValueError),
        (lambda it: it.resize_tensor_input(100000, [1]), RuntimeError),
        (lambda it: it.invoke(), RuntimeError),
        (lambda it: it.tensor(100000)(), ValueError),
        (lambda it: (it.allocate_tensors(), it.get_tensor("x")), TypeError),
        (lambda it: it.resize_tensor_input(it.get_input_details()[0]["index"], [2, 12, 12, 3], strict=True), RuntimeError),
        (lambda it: it.resize_tensor_input(it.get_input_details()[0]["index"], [12, 12, 3], strict=True), RuntimeError),
        (
            lambda it: (it.resize_tensor_input(it.get_input_details()[0]["index"], [-2, 12, 12, 3]), it.allocate_tensors()),
            RuntimeError,
        ),
    ],
)
def test_misuse_raises_what_litert_raises(action, kind: type[Exception]) -> None:  # type: ignore[no-untyped-def]
    for it in both():
        with pytest.raises(kind) as e:
            action(it)
        assert len(str(e.value)) > 10


def test_arguments() -> None:
    for kind in (Interpreter, LiteRT):
        with pytest.raises(ValueError):
            kind()
        with pytest.raises(ValueError):
            kind(model_path=str(INT8), num_threads=0)
        with pytest.raises(ValueError):
            kind(model_path=str(INT8), num_threads="2")
    with pytest.raises(ValueError, match="not both"):
        Interpreter(model_path=str(INT8), model_content=b"x")


def test_tensor_views_are_live_and_guarded() -> None:
    for it in both():
        it.allocate_tensors()
        view = it.tensor(it.get_input_details()[0]["index"])
        view()[...] = 7
        assert (it.get_tensor(it.get_input_details()[0]["index"]) == 7).all()
        it.invoke()
        held = view()
        with pytest.raises(RuntimeError, match="reference"):
            it.invoke()
        with pytest.raises(RuntimeError):
            it.allocate_tensors()
        part = held[0, 0]
        del held
        with pytest.raises(RuntimeError):
            it.invoke()
        del part
        gc.collect()
        it.invoke()
    # A view keeps the interpreter's memory alive.
    it = Interpreter(model_path=INT8)
    it.allocate_tensors()
    view = it.tensor(it.get_input_details()[0]["index"])()
    del it
    gc.collect()
    view[...] = 1
    assert view.sum() == view.size


def test_get_tensor_is_a_copy() -> None:
    it = Interpreter(model_path=INT8)
    it.allocate_tensors()
    index = it.get_input_details()[0]["index"]
    a = it.get_tensor(index)
    a[...] = 9
    assert not (it.get_tensor(index) == 9).any()


def test_middle_tensors() -> None:
    it = Interpreter(model_path=INT8)
    it.allocate_tensors()
    it.invoke()
    first = int(it._get_ops_details()[0]["outputs"][0])
    with pytest.raises(ValueError, match="experimental_preserve_all_tensors"):
        it.get_tensor(first)
    keep = Interpreter(model_path=INT8, experimental_preserve_all_tensors=True)
    theirs = LiteRT(model_path=str(INT8), experimental_preserve_all_tensors=True)
    x = np.random.default_rng(1).integers(0, 256, (1, 12, 12, 3)).astype(np.uint8)
    for i in (keep, theirs):
        i.allocate_tensors()
        i.set_tensor(i.get_input_details()[0]["index"], x)
        i.invoke()
    same(keep.get_tensor(first), theirs.get_tensor(first))


def test_resize() -> None:
    m = Model()
    m.input("x", (1, 6), "float32")
    m.tensor("shape", (2,), "int32", np.array([2, 3], np.int32))
    m.tensor("y", (2, 3), "float32")
    m.op("RESHAPE", ["x", "shape"], "y", new_shape=(2, 3))
    m.tensor("z", (1, 6), "float32")
    m.op("RELU", ["x"], "z")
    it = Interpreter(model_content=m.bytes())
    index = it.get_input_details()[0]["index"]
    it.resize_tensor_input(index, [2, 6])
    assert it.get_input_details()[0]["shape"].tolist() == [2, 6]
    with pytest.raises(ModelError, match=r'op 0 RESHAPE "y": its input has 12 values'):
        it.allocate_tensors()
    with pytest.raises(RuntimeError, match="allocate"):
        it.invoke()
    it.resize_tensor_input(index, np.array([6, 1]))
    it.allocate_tensors()
    it.set_tensor(index, np.arange(-3, 3, dtype=np.float32)[:, None])
    it.invoke()
    assert it.get_tensor(it.get_output_details()[1]["index"]).tolist() == [[0], [0], [0], [0], [1], [2]]


def test_signature_runner() -> None:
    x = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 3)).astype(np.uint8)
    ours, theirs = (i.get_signature_runner() for i in both())
    a, b = ours(x=x), theirs(x=x)
    assert list(a) == list(b)
    same({k: v.shape for k, v in a.items()}, {k: v.shape for k, v in b.items()})
    for runner in (ours, theirs):
        with pytest.raises(ValueError):
            runner(wrong=x)
        with pytest.raises(ValueError):
            runner()


def test_interpreters_share_a_model_across_threads() -> None:
    x = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 3)).astype(np.uint8)
    it = Interpreter(model_path=INT8)
    it.allocate_tensors()
    it.set_tensor(it.get_input_details()[0]["index"], x)
    it.invoke()
    expected = it.get_tensor(it.get_output_details()[0]["index"])
    wrong: list[int] = []

    def work() -> None:
        own = Interpreter(model_path=INT8, num_threads=2)
        own.allocate_tensors()
        for _ in range(200):
            own.set_tensor(own.get_input_details()[0]["index"], x)
            own.invoke()
            if not np.array_equal(own.get_tensor(own.get_output_details()[0]["index"]), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_import_pulls_in_numpy_and_cffi_only() -> None:
    code = """
import sys, numpy, _cffi_backend
before = set(sys.modules)
import edgert
extra = {m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names) - {'edgert', '_cffi_backend', 'cffi', 'numpy'}
print(sorted(extra))
"""
    r = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert r.stdout.strip() == "[]"


def test_unknown_isa_is_an_error() -> None:
    code = f"import edgert; edgert.Interpreter(model_path={str(INT8)!r})"
    r = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"EDGERT_ISA": "mmx", "PATH": "", "PYTHONPATH": ":".join(sys.path)},
    )
    assert r.returncode == 1 and "EDGERT_ISA=mmx cannot be used" in r.stderr


def test_exports() -> None:
    assert all(hasattr(edgert, name) for name in edgert.__all__)


def test_every_call_of_litert_is_there() -> None:
    """Methods and arguments, in LiteRT's order, with its defaults; what a newer LiteRT brings is missed here."""
    calls = [
        (getattr(Interpreter, name), getattr(LiteRT, name))
        for name in dir(LiteRT)
        if inspect.isfunction(getattr(LiteRT, name)) and (not name.startswith("_") or name.startswith("_get") or name == "__init__")
        # A getter of the argument of that name, which is about how LiteRT stores zero points.
        if name != "experimental_compress_quantization_zero_points"
    ] + [(edgert.interpreter.load_delegate, litert.load_delegate)]  # fmt: skip
    assert len(calls) > 15
    for ours, theirs in calls:
        a, b = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
        assert list(a)[: len(b)] == list(b), ours
        for name, p in b.items():
            default = a[name].default
            if p.default is not p.empty:
                assert (default.name == p.default.name) if isinstance(default, enum.Enum) else default == p.default, (ours, name)


def test_details_of_every_model(shared: Path) -> None:
    models = 0
    for path in sorted((shared / "zoo").glob("*.tflite")):
        try:
            a, b = (kind(model_path=str(path), experimental_op_resolver_type=REFERENCE) for kind in (Interpreter, LiteRT))
        except ValueError:
            continue  # one of them cannot run it
        models += 1
        same(a._get_full_signature_list(), b._get_full_signature_list())
        assert a.num_subgraphs() == b.num_subgraphs()
        for subgraph in range(a.num_subgraphs()):
            ours, theirs = a.get_tensor_details(subgraph), b.get_tensor_details(subgraph)
            for d in theirs:  # those that LiteRT has appended for its own use are not among ours
                if d["index"] >= len(ours):
                    break
                mine = ours[d["index"]]
                if d["quantization_parameters"]["block_size"]:  # newer than tflite_runtime
                    d["quantization_parameters"] = mine["quantization_parameters"]
                if d["dtype"] == np.float32 and d["quantization"][0]:  # LiteRT finds out in allocate_tensors that it is quantized
                    d["dtype"] = mine["dtype"]
                same(mine, d)
    assert models > 150


@pytest.mark.parametrize("dtype", [t for t in TYPES if t != "bfloat16"])  # LiteRT has no dtype for it
def test_details_of_every_type(dtype: str) -> None:
    m = Builder()
    i, o = m.main.input((2, 3), "float32"), m.main.tensor((2, 3), dtype)
    m.main.op("CAST", [i], [o])
    m.main.outputs(o)
    expected = LiteRT(model_content=m.bytes()).get_output_details()
    try:
        same(Interpreter(model_content=m.bytes()).get_output_details(), expected)
    except UnsupportedError as e:
        assert "CAST" in str(e)


def test_shape_signature_of_a_shape_that_is_not_declared() -> None:
    """It is the present shape, then."""
    m = Model()
    m.input("x", (), "float32")
    m.tensor("y", (), "float32")
    m.op("EXP", ["x"], "y")
    for it in (Interpreter(model_content=m.bytes()), LiteRT(model_content=m.bytes())):
        it.resize_tensor_input(it.get_input_details()[0]["index"], [2, 3])
        it.allocate_tensors()
        assert it.get_output_details()[0]["shape_signature"].tolist() == [2, 3]


def test_operators_without_an_optional_input() -> None:
    m = Builder()
    x, w = m.main.input((1, 4), "float32"), m.main.constant(np.ones((2, 4), np.float32))
    y = m.main.tensor((1, 2), "float32")
    m.main.op("FULLY_CONNECTED", [x, w, -1], [y])
    m.main.outputs(y)
    ours, theirs = (kind(model_content=m.bytes(), experimental_op_resolver_type=REFERENCE) for kind in (Interpreter, LiteRT))
    same(ours._get_ops_details(), theirs._get_ops_details())


def test_delegates() -> None:
    """A program that tries a delegate first goes on without: ValueError is what LiteRT's documentation has it catch."""
    with pytest.raises(ValueError, match=r"Failed to load delegate from libedgetpu\.so\.1"):
        edgert.interpreter.load_delegate("libedgetpu.so.1", {"device": "usb"})
    with pytest.raises(ValueError, match="no delegates"):
        Interpreter(model_path=INT8, experimental_delegates=[object()])


def test_resolvers() -> None:
    for kind in (edgert.interpreter.OpResolverType, litert.OpResolverType):
        for resolver in kind:
            Interpreter(model_path=INT8, experimental_op_resolver_type=resolver)
    for it in (Interpreter, LiteRT):
        with pytest.raises(ValueError, match="resolver"):
            it(model_path=str(INT8), experimental_op_resolver_type="fast")


def test_clone_shares_packed_weights(shared: Path) -> None:
    first = Interpreter(shared / "zoo/mobilenet_v2_1.0_224_quant.tflite")
    first.allocate_tensors()
    packed = first._memory()["packed"]
    second = first.clone(num_threads=2)
    second.allocate_tensors()
    assert second._memory()["packed"] < packed * 1.1
    x = np.random.default_rng(0).integers(0, 256, first.get_input_details()[0]["shape"]).astype(np.uint8)
    results = []
    for it in (first, second):
        it.set_tensor(it.get_input_details()[0]["index"], x)
        it.invoke()
        results.append(it.get_tensor(it.get_output_details()[0]["index"]))
    np.testing.assert_array_equal(*results)
    with pytest.raises(ValueError):
        first.clone(num_threads=0)
