"""Arm's kernels, whole models and wheels under qemu-user: the same bytes as everywhere.

Needs what `python scripts/build_wheels.py` makes, and qemu-user; EDGERT_ARM_ALL=1 runs every model of the zoo on every level.
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgert import Interpreter
from edgert.golden import steps_of, write_golden

from ..test_zoo import ENTRIES
from .emulation import LEVELS, Level, built, foreign_python, run, user_space

pytestmark = pytest.mark.arm
ALL = bool(os.environ.get("EDGERT_ARM_ALL"))
# Small ones, of all kinds of kernels, and one that is large.
SOME = ["vww_96_int8", "pretrainedResnet_quant", "kws_ref_model", "ad01_int8", "mobilenet_v1_0.25_128_quant", "hello_world_int8", "vww_96_float",
        "add_quantized_int8"]  # fmt: skip
LARGE = ["tf2_mobilenet_v2_1.0_224_ptq", "mobilenet_v2_1.0_224_quant", "movenet_single_pose_lightning_ptq"]


def level_name(level: Level) -> str:
    return f"{level.processor}-{level.cpu}"


@pytest.mark.parametrize("level", [x for x in LEVELS if x.isa != "generic"], ids=level_name)
def test_kernels(level: Level) -> None:
    """Every kernel against plain C, as on this machine."""
    out = run([*level.qemu, built(f"check_kernels-linux-{level.processor}"), level.isa])
    assert f"{level.isa}: equal" in out


def chosen(level: Level) -> list[str]:
    """Names of models that this machine runs with the reference's answers."""
    if not ALL:
        return SOME + (LARGE if level.processor == "aarch64" else [])
    return [name for name, entry in ENTRIES.items() if "golden" in entry]


@pytest.mark.parametrize("level", LEVELS, ids=level_name)
def test_zoo(shared: Path, tmp_path: Path, level: Level) -> None:
    """Whole models on the static program: the reference's answers."""
    program = built(f"edgert-bench-linux-{level.processor}")
    ran = 0
    for name in chosen(level):
        model = shared / "zoo" / ENTRIES[name]["file"]
        try:
            it = Interpreter(model_path=model)
            it.allocate_tensors()
        except ValueError:  # what this version does not know yet
            assert ALL, name
            continue
        if not it.get_output_details():
            continue
        steps = steps_of(shared / "zoo" / ENTRIES[name]["golden"], len(it.get_input_details()), len(it.get_output_details()))
        write_golden(tmp_path / "answers", steps if ALL else steps[:1])
        out = run([*level.qemu, program, model, "--golden", tmp_path / "answers", "--runs", "0"])
        assert ": equal: " in out and out.endswith(f", {level.isa}\n"), out
        ran += 1
    assert ran >= (70 if ALL else len(SOME))


WHEELS = [
    ("manylinux_2_17_aarch64", Level("aarch64", "cortex-a72", "neon")),
    ("manylinux2014_armv7l", Level("armv7l", "cortex-a15", "neon")),
]


@pytest.mark.parametrize(("tag", "level"), WHEELS, ids=[tag for tag, _ in WHEELS])
def test_wheel(shared: Path, tmp_path: Path, tag: str, level: Level) -> None:
    """pip takes the wheel for the platform, and that platform's own Python and numpy run the zoo with it."""
    python = foreign_python(tmp_path, built(f"edgert-0.1.0-py3-none-{tag}.whl"), level)
    code = f"""
import platform, numpy as np, edgert
from edgert.binding import lib, ffi
for name in {SOME!r}:
    golden = np.load({str(shared / "zoo")!r} + "/" + name + ".golden.npz")
    it = edgert.Interpreter(model_path={str(shared / "zoo")!r} + "/" + name + ".tflite", num_threads=2)
    it.allocate_tensors()
    for j, d in enumerate(it.get_input_details()):
        it.set_tensor(d["index"], golden[f"in{{j}}_0"])
    it.invoke()
    got, want = it.get_tensor(it.get_output_details()[0]["index"]), golden["out0_0"]
    assert got.dtype == want.dtype and (np.array_equal(got, want) if want.dtype.kind != "f" else np.allclose(got, want, rtol=0, atol=2e-5 * abs(want).max())), name
print(platform.machine(), ffi.string(lib.edgert_isa(ffi.NULL)).decode())
"""
    machine, isa = python(code).split()
    assert isa == level.isa and (machine.startswith("armv7") or machine == level.processor)


@pytest.mark.parametrize(("processor", "architecture"), [("x86_64", "amd64"), ("aarch64", "arm64")])
def test_wheel_of_musl(shared: Path, tmp_path: Path, processor: str, architecture: str) -> None:
    """The library in the musllinux wheel, loaded by musl's own loader, gives the reference's answers."""
    musl = user_space(tmp_path / "root", architecture, ["musl"]) / f"lib/{processor}-linux-musl/libc.so"
    (tmp_path / f"libc.musl-{processor}.so.1").symlink_to(musl)  # as Alpine names it
    with zipfile.ZipFile(built(f"edgert-0.1.0-py3-none-musllinux_1_2_{processor}.whl")) as z:
        library = Path(z.extract("edgert/binding/libedgert.so", tmp_path))
    model = shared / "zoo/vww_96_int8.tflite"
    write_golden(tmp_path / "answers", steps_of(shared / "zoo/vww_96_int8.golden.npz", 1, 1))
    emulator = ["qemu-aarch64", "-cpu", "cortex-a53"] if processor == "aarch64" else []
    program = built(f"edgert-bench-shared-linux-musl-{processor}")
    where = f"{library.parent}:{tmp_path}"
    out = run([*emulator, musl, "--library-path", where, program, model, "--golden", tmp_path / "answers", "--runs", "0"])
    assert ": equal: 2 outputs" in out


def test_armv6_has_no_later_instruction(tmp_path: Path) -> None:
    """The library in the wheel for ARMv6 says so itself: no NEON, nothing of ARMv7. (It runs as edgert-bench does, in test_zoo: there is no
    ARMv6 user space among Debian's.)"""
    with zipfile.ZipFile(built("edgert-0.1.0-py3-none-linux_armv6l.whl")) as z:
        library = z.extract("edgert/binding/libedgert.so", tmp_path)
    said = run(["readelf", "-A", library])
    assert "Tag_CPU_arch: v6" in said and "Advanced_SIMD" not in said and "Tag_ABI_VFP_args: VFP registers" in said


def test_golden_file_of_another_model(tmp_path: Path, shared: Path) -> None:
    """Bad input is one sentence, on Arm as well."""
    write_golden(tmp_path / "answers", [([np.zeros(3, np.int8)], [np.zeros(3, np.int8)])])
    program = built("edgert-bench-linux-aarch64")
    done = subprocess.run(
        ["qemu-aarch64", program, shared / "zoo/vww_96_int8.tflite", "--golden", tmp_path / "answers"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "another size" in done.stderr and done.stderr.count("\n") == 1
