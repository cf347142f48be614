import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..bench import PEERS, Comparison, OpTime, compare, measure
from ..bench import profile as run_profile
from .output import console, progress, size, table


def _by_operator(times: list[OpTime]) -> list[list[object]]:
    total = sum(t.microseconds for t in times) or 1.0
    groups: dict[str, list[OpTime]] = {}
    for t in times:
        groups.setdefault(t.op, []).append(t)
    rows: list[list[object]] = []
    for op, members in sorted(groups.items(), key=lambda g: -sum(t.microseconds for t in g[1])):
        us, macs = sum(t.microseconds for t in members), sum(t.macs for t in members)
        rows.append([op, len(members), f"{us:.1f}", f"{100 * us / total:.1f}%", f"{macs / us / 1e3:.1f}" if macs and us else ""])
    return rows


def _ms(ms: float) -> str:
    return f"{ms:.3f} ms" if ms >= 0.1 else f"{ms:.5f} ms"  # to 10 nanoseconds, where models take microseconds


def _sentence(c: Comparison) -> str:
    name = PEERS[c.peer]
    return (
        f"{name} in turns on the same core{'s' if c.threads > 1 else ''}: {_ms(c.other)}, edgert {_ms(c.edgert)}: "
        f"{c.ratio:.2f}x ({c.ratio_of_minima:.2f}x by minima; above 1 edgert is faster)"
    )


def bench(
    model: Annotated[Path, typer.Argument(help=".tflite model")],
    runs: Annotated[int, typer.Option(min=1, help="inferences to time")] = 100,
    warmup: Annotated[int, typer.Option(min=0, help="inferences before that")] = 10,
    threads: Annotated[int, typer.Option(min=1, help="threads")] = 1,
    profile: Annotated[
        bool, typer.Option("--profile", help="show the time of each kind of operator, and of each operator")
    ] = False,
    peer: Annotated[
        Optional[str],
        typer.Option("--compare", metavar="PEER", help=f"run a peer in turns and show the ratio: {', '.join(PEERS)}"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="how long --compare measures")] = 4.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure latency and memory of a model on this machine."""
    if peer is not None and peer not in PEERS:
        raise typer.BadParameter(f"{peer!r} is none of {', '.join(PEERS)}", param_hint="--compare")
    with progress("measuring") as bar:
        m, it = measure(model, threads=threads, warmup=warmup, runs=runs, progress=lambda n: bar("measuring", n, runs))
    times = run_profile(it, max(1, min(runs, 50))) if profile else []
    compared = compare(model, peer, threads=threads, seconds=seconds) if peer else None
    if as_json:
        data = {"model": str(model), **m.as_dict()}
        if profile:
            data["operators"] = [
                {
                    "index": t.index,
                    "op": t.op,
                    "output": t.output,
                    "microseconds": t.microseconds,
                    "macs": t.macs,
                    "kernel": t.kernel,
                    "fused_into": t.fused_into if t.fused_into >= 0 else None,
                }
                for t in times
            ]
        if compared:
            data["compare"] = {**asdict(compared), "ratio": compared.ratio, "ratio_of_minima": compared.ratio_of_minima}
        print(json.dumps(data, indent=1))
        return
    out = console()
    out.print(
        f"{model}: {m.threads} thread{'s' if m.threads > 1 else ''}, {m.runs} runs after {m.warmup}", soft_wrap=True, markup=False
    )
    out.print(f"median {_ms(m.median)}   p95 {_ms(m.p95)}   min {_ms(m.minimum)}   first {_ms(m.first)}   load {_ms(m.load)}")
    resident = f"   process grew by {size(m.resident)}" if m.resident is not None else ""
    out.print(f"arena {size(m.arena)}   packed weights {size(m.packed)}{resident}")
    if profile:
        columns = [("operator", "left"), ("count", "right"), ("us", "right"), ("share", "right"), ("G multiply-adds/s", "right")]
        out.print(table("\nby kind", columns, _by_operator(times)))
        total = sum(t.microseconds for t in times) or 1.0
        rows = [
            [
                t.index,
                t.op,
                "x".join(map(str, t.shape)),
                f"{t.microseconds:.1f}" if t.fused_into < 0 else "",
                f"{100 * t.microseconds / total:.1f}%" if t.fused_into < 0 else "",
                f"{t.macs / t.microseconds / 1e3:.1f}" if t.macs and t.microseconds else "",
                f"in {t.fused_into}" if t.fused_into >= 0 else t.kernel,
            ]
            for t in times
        ]
        columns = [("#", "right"), ("operator", "left"), ("output", "left"), ("us", "right"), ("share", "right")]
        out.print(table("\nby operator", [*columns, ("G multiply-adds/s", "right"), ("kernel", "left")], rows))
    if compared:
        out.print(_sentence(compared), soft_wrap=True, markup=False)
