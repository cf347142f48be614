"""Every command through the installed entry point: output, exit code, and one sentence for every error."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

INT8 = Path(__file__).resolve().parents[2] / "native/tests/data/int8.tflite"
COMMAND = Path(sys.executable).with_name("edgert")


def edgert(
    *args: object, code: int = 0, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    r = subprocess.run(
        [str(COMMAND), *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        env={**os.environ, **(env or {}), "TERM": "dumb"},
    )
    assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
    return r


def error(*args: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """The message of a command that fails: one line, no traceback, nothing on standard output."""
    r = edgert(*args, code=1, cwd=cwd, env=env)
    assert r.stdout == "" and r.stderr.startswith("edgert: ") and r.stderr.count("\n") == 1 and "Traceback" not in r.stderr, (
        r.stderr
    )
    return r.stderr


def test_help_and_usage() -> None:
    r = edgert("--help")
    for command in ("convert", "inspect", "run", "bench", "golden", "demo", "doctor"):
        assert command in r.stdout
    edgert("bench", code=2)
    edgert("nonsense", code=2)
    edgert("bench", INT8, "--runs", "0", code=2)


def test_options_work_on_python_3_9() -> None:
    """There typer does not evaluate postponed annotations, and short options would be lost."""
    from edgert import cli

    for name in ("convert", "inspect", "run", "bench", "golden", "demo", "doctor"):
        source = (Path(cli.__file__).parent / f"{name}.py").read_text()
        assert "from __future__ import annotations" not in source and "| None" not in source


def test_inspect() -> None:
    r = edgert("inspect", INT8)
    assert "CONV_2D" in r.stdout and "per channel" in r.stdout and "multiply-adds" in r.stdout and "arena" in r.stdout
    info = json.loads(edgert("inspect", INT8, "--json").stdout)
    assert info["bytes"] == INT8.stat().st_size and info["inputs"][0]["type"] == "uint8" and info["macs"] > 0
    assert info["operators"][0]["op"] == "QUANTIZE" and info["memory"]["arena"] > 0


def test_inspect_names_types_that_numpy_does_not_have(shared: Path) -> None:
    r = edgert("inspect", shared / "zoo/qwen_fc_blockwise_quantized.tflite")
    assert "1024x1024 int4" in r.stdout and "\n1 operator," in r.stdout
    assert "resource" in edgert("inspect", shared / "zoo/okay_nabu.tflite").stdout


def test_run_on_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 12, 12, 3), np.float32))
    assert "class" in edgert("run", INT8, tmp_path / "x.npy", "--top", "3").stdout
    edgert("run", INT8, tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    y = np.load(tmp_path / "y.npy")
    assert y.shape == (7,) and abs(float(y.sum()) - 1) < 0.1


def test_run_on_a_picture_with_labels(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "p.png")
    (tmp_path / "labels.txt").write_text("\n".join(f"thing {i}" for i in range(7)))
    r = edgert(
        "run",
        INT8,
        tmp_path / "p.png",
        "--labels",
        tmp_path / "labels.txt",
        "--mean",
        "127.5",
        "--std",
        "127.5",
        "--rotate",
        "90",
        "--bgr",
    )
    assert r.stdout.count("thing") == 5


def test_bench() -> None:
    r = edgert("bench", INT8, "--runs", "5", "--warmup", "1", "--threads", "2", "--profile")
    assert (
        "median" in r.stdout
        and "p95" in r.stdout
        and "first" in r.stdout
        and "by operator" in r.stdout
        and "2 threads" in r.stdout
    )
    data = json.loads(edgert("bench", INT8, "--runs", "5", "--json", "--profile").stdout)
    assert (
        data["minimum"] <= data["median"] <= data["p95"]
        and data["runs"] == 5
        and data["arena"] > 0
        and len(data["operators"]) > 20
    )


def test_golden(tmp_path: Path) -> None:
    """The file has the layout that edgert-bench reads, and says what the model answers; the same each time."""
    from edgert import Interpreter

    answers = tmp_path / "answers"
    assert "3 steps" in edgert("golden", INT8, "-o", answers, "--steps", "3", "--seed", "7").stdout
    content = answers.read_bytes()
    it = Interpreter(model_path=INT8)
    it.allocate_tensors()
    ins, outs = it.get_input_details(), it.get_output_details()
    assert content[:8] == b"edgertG1" and struct.unpack_from("<III", content, 8) == (3, len(ins), len(outs))
    at = 20
    for _ in range(3):
        for d in ins:
            (n,) = struct.unpack_from("<Q", content, at)
            it.set_tensor(d["index"], np.frombuffer(content, d["dtype"], offset=at + 8, count=n).reshape(d["shape"]))
            at += 8 + n
        it.invoke()
        for d in outs:
            is_float, n = struct.unpack_from("<IQ", content, at)
            assert (
                is_float == (d["dtype"] == np.float32) and content[at + 12 : at + 12 + n] == it.get_tensor(d["index"]).tobytes()
            )
            at += 12 + n
    assert at == len(content)
    edgert("golden", INT8, "-o", tmp_path / "again", "--steps", "3", "--seed", "7")
    assert (tmp_path / "again").read_bytes() == content


def test_golden_from_arrays(tmp_path: Path) -> None:
    """Answers from elsewhere go into the file as they are; without them the model's own."""
    from edgert import Interpreter

    it = Interpreter(model_path=INT8)
    it.allocate_tensors()
    (d,), outs = it.get_input_details(), it.get_output_details()
    x = np.ones(d["shape"], d["dtype"])
    y = {f"out{j}_0": np.full(o["shape"], 99, o["dtype"]) for j, o in enumerate(outs)}
    np.savez(tmp_path / "with.npz", in0_0=x, **y)
    np.savez(tmp_path / "without.npz", in0_0=x, in0_1=x)
    edgert("golden", INT8, "-o", tmp_path / "with", "--arrays", tmp_path / "with.npz")
    assert (tmp_path / "with").read_bytes().endswith(list(y.values())[-1].tobytes())
    assert "2 steps" in edgert("golden", INT8, "-o", tmp_path / "without", "--arrays", tmp_path / "without.npz").stdout
    np.savez(tmp_path / "other.npz", x=x)
    assert "in0_0" in error("golden", INT8, "-o", tmp_path / "out", "--arrays", tmp_path / "other.npz")
    np.savez(tmp_path / "some.npz", in0_0=x, in0_1=x, **y)
    assert "out0_1" in error("golden", INT8, "-o", tmp_path / "out", "--arrays", tmp_path / "some.npz")
    (tmp_path / "text.npz").write_text("no arrays")
    assert "text.npz" in error("golden", INT8, "-o", tmp_path / "out", "--arrays", tmp_path / "text.npz")
    assert not (tmp_path / "out").exists()


def test_doctor() -> None:
    d = json.loads(edgert("doctor", "--json").stdout)
    assert d["library"] == d["edgert"] and "generic" in d["isas_built"] and d["isa_used"] in d["isas_built"] and d["cpu"]
    assert json.loads(edgert("doctor", "--json", env={"EDGERT_ISA": "generic"}).stdout)["isa_used"] == "generic"
    assert "instruction sets" in edgert("doctor").stdout
    assert "EDGERT_ISA=nothing cannot be used" in error("doctor", env={"EDGERT_ISA": "nothing"})


def test_convert_and_run(tmp_path: Path) -> None:
    from ..converters.keras_models import MODELS, randomize

    randomize(MODELS["sequential"]()).save(tmp_path / "m.h5")
    np.savez(tmp_path / "c.npz", images=np.random.default_rng(0).integers(0, 256, (10, 12, 12, 3)), other=np.zeros(1))
    r = edgert("convert", tmp_path / "m.h5", "--calibrate", f"{tmp_path / 'c.npz'}:images", "-o", tmp_path / "r.tflite")
    assert "calibrated on 10 samples" in r.stdout and r.stderr == ""
    assert json.loads(edgert("inspect", tmp_path / "r.tflite", "--json").stdout)["inputs"][0]["type"] == "int8"
    edgert(
        "convert",
        tmp_path / "m.h5",
        "--calibrate",
        f"{tmp_path / 'c.npz'}:images",
        "--input-type",
        "uint8",
        "--output-type",
        "float32",
        "--limit",
        "4",
        cwd=tmp_path,
    )
    assert (tmp_path / "m_int8.tflite").exists()


def test_demo(tmp_path: Path) -> None:
    r = edgert("demo", "-o", tmp_path / "out")
    lines = {line.split("  ")[0]: line.split() for line in r.stdout.splitlines()}
    real, int8 = (float(v.rstrip("%")) for v in lines["top-1 accuracy"][-2:])
    assert real > 90 and abs(real - int8) <= 1.0
    report = (tmp_path / "out/report.html").read_text()
    assert report.count("<figure>") == 48 and report.count("<svg") == 2 and "http" not in report.replace("http://www.w3.org", "")
    assert (tmp_path / "out/fashion_mnist_int8.tflite").stat().st_size < 150_000


# ---- errors


def test_errors_about_models(tmp_path: Path) -> None:
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "cut.tflite").write_bytes(INT8.read_bytes()[:3000])
    (tmp_path / "text.tflite").write_text("this is no model, it is a text")
    mutated = bytearray(INT8.read_bytes())
    mutated[0:4] = b"\xff\xff\xff\x7f"
    (tmp_path / "mutated.tflite").write_bytes(mutated)
    for command in ("inspect", "bench"):
        assert "empty.tflite: the file is empty" in error(command, tmp_path / "empty.tflite")
        assert "cut.tflite: malformed FlatBuffer" in error(command, tmp_path / "cut.tflite")
        assert "mutated.tflite: malformed FlatBuffer" in error(command, tmp_path / "mutated.tflite")
        assert "text.tflite: not a .tflite file" in error(command, tmp_path / "text.tflite")
        assert "this is a directory, not a model file" in error(command, tmp_path)
        assert "cannot open the file: No such file" in error(command, tmp_path / "nothing.tflite")


def test_errors_about_inputs(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"nonsense")
    np.save(tmp_path / "x.npy", np.zeros((3, 4), np.float32))
    np.save(tmp_path / "t.npy", np.array(["a", "b"]))
    (tmp_path / "bad.npy").write_bytes(b"nonsense")
    assert "p.png: not a picture" in error("run", INT8, tmp_path / "p.png")
    assert "has the shape [1, 12, 12, 3], a value of shape [3, 4] was given" in error("run", INT8, tmp_path / "x.npy")
    assert "takes numbers" in error("run", INT8, tmp_path / "t.npy")
    assert "bad.npy: not a .npy file" in error("run", INT8, tmp_path / "bad.npy")
    assert "1 inputs, 2 were given" in error("run", INT8, tmp_path / "x.npy", tmp_path / "x.npy")
    assert "--mean and --std go together" in error("run", INT8, tmp_path / "x.npy", "--mean", "1")
    assert "--mean is one number" in error("run", INT8, tmp_path / "x.npy", "--mean", "a", "--std", "1")
    np.save(tmp_path / "good.npy", np.zeros((1, 12, 12, 3), np.float32))
    assert "cannot be written" in error("run", INT8, tmp_path / "good.npy", "-o", tmp_path / "nowhere/y.npy")


def test_errors_about_conversion(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(b"nonsense")
    assert "not an HDF5 file" in error("convert", tmp_path / "m.h5", "--calibrate", "c.npy")
    assert "there is no such file" in error("convert", tmp_path / "n.h5", "--calibrate", "c.npy")
    assert "no importer reads" in error("convert", INT8.parent / "../test_base.c", "--calibrate", "c.npy")
    assert "quantized already" in error("convert", INT8, "--calibrate", "c.npy", "-o", tmp_path / "o.tflite")
    edgert("convert", code=2)


def test_missing_extra(tmp_path: Path) -> None:
    """A package of an extra that is not there: its name and what to install."""
    hide = tmp_path / "hide"
    for package in ("h5py", "PIL"):
        (hide / package).mkdir(parents=True)
        (hide / package / "__init__.py").write_text(f"raise ImportError('hidden', name={package!r})")
    (tmp_path / "m.h5").write_bytes(b"x")
    env = {"PYTHONPATH": str(hide)}
    assert 'needs the package h5py, which is not installed: pip install "edgert[convert]"' in error(
        "convert", tmp_path / "m.h5", "--calibrate", "c.npy", env=env
    )
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(tmp_path / "p.png")
    assert 'needs the package Pillow, which is not installed: pip install "edgert[image]"' in error(
        "run", INT8, tmp_path / "p.png", env=env
    )


@pytest.mark.parametrize("command", ["inspect", "bench"])
def test_no_escape_codes_in_files(command: str) -> None:
    assert "\x1b" not in edgert(command, INT8, *(["--runs", "2"] if command == "bench" else [])).stdout


def test_bench_profile_says_what_is_fused(shared: Path) -> None:
    model = shared / "zoo/vww_96_int8.tflite"
    operators = json.loads(edgert("bench", str(model), "--profile", "--json", "--runs", "3").stdout)["operators"]
    depthwise = operators[1]
    assert depthwise["op"] == "DEPTHWISE_CONV_2D" and depthwise["fused_into"] is None and "line by line" in depthwise["kernel"]
    assert (
        operators[2]["fused_into"] == 1 and operators[2]["macs"] == 0 and operators[2]["microseconds"] < depthwise["microseconds"]
    )
    assert depthwise["macs"] > 48 * 48 * 8 * 9


def test_bench_compares_with_a_peer(shared: Path) -> None:
    model = str(shared / "zoo/hello_world_int8.tflite")
    found = json.loads(edgert("bench", model, "--compare", "litert", "--seconds", "0.1", "--runs", "3", "--json").stdout)[
        "compare"
    ]
    assert found["peer"] == "litert" and found["ratio"] == pytest.approx(found["other"] / found["edgert"])
    assert "LiteRT + XNNPACK in turns" in edgert("bench", model, "--compare", "litert", "--seconds", "0.1", "--runs", "3").stdout
    wrong = edgert("bench", model, "--compare", "tvm", code=2)
    assert "litert, openvino" in wrong.stderr
