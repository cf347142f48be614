"""Where the time of an inference goes, operator by operator."""

from __future__ import annotations

from dataclasses import dataclass

from ..interpreter import Interpreter


@dataclass(frozen=True)
class OpTime:
    """One operator: microseconds of one inference (mean), multiply-adds, and what runs it. One that is fused into another has no
    time of its own: `fused_into` is that one's index (else -1), whose time and `macs` are those of all that it does."""

    index: int
    op: str
    output: str
    shape: tuple[int, ...]
    microseconds: float
    macs: int
    kernel: str
    fused_into: int


def profile(interpreter: Interpreter, runs: int = 50) -> list[OpTime]:
    """Mean times over `runs` inferences on the present inputs; tensors must be allocated."""
    interpreter.invoke()
    interpreter._profile(True)
    try:
        for _ in range(runs):
            interpreter.invoke()
        times = interpreter._profile_times()
    finally:
        interpreter._profile(False)
    plan, own = interpreter._plan(), interpreter._macs()
    macs = list(own)
    for i, (_, into) in enumerate(plan):
        if into >= 0:
            macs[into] += own[i]
            macs[i] = 0
    result = []
    for i, (op, ns) in enumerate(zip(interpreter._get_ops_details(), times)):
        out = interpreter._get_tensor_details(int(op["outputs"][0])) if len(op["outputs"]) else None
        name, shape = (str(out["name"]), tuple(int(n) for n in out["shape"])) if out else ("", ())
        result.append(OpTime(op["index"], op["op_name"], name, shape, ns / 1e3 / runs, macs[i], *plan[i]))
    return result
