"""The table and plot of the README: edgert beside its peers on a set of models, in turns in one process on one core.

usage: suite.py MODEL.tflite ... [--peers litert,openvino] [--threads N] [--seconds S] [--json FILE] [--markdown FILE] [--svg FILE]

Needs: pip install "edgert[litert]", and openvino to compare with that; a peer that is not installed is left out. ONNX Runtime does not
read .tflite files. Each ratio is peer / edgert, medians over bursts of 10 ms: above 1, edgert is faster.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
from dataclasses import asdict
from pathlib import Path
from statistics import geometric_mean

from edgert.bench import PEERS, Comparison, compare
from edgert.binding import lib, new_error, text
from edgert.errors import EdgertError


def machine() -> str:
    """The CPU's name, the instruction set in use, and the date."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        family = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("cpu family"))
        name += f" (family {family})"
    except (OSError, StopIteration):
        pass
    return f"{name}, {text(lib.edgert_isa(new_error()))}, {datetime.date.today().isoformat()}"


def markdown(rows: dict[str, dict[str, Comparison]], peers: list[str]) -> str:
    lines = ["| model | edgert ms | " + " | ".join(f"{PEERS[p]} ms | ratio" for p in peers) + " |"]
    lines.append("| --- " * (2 + 2 * len(peers)) + "|")
    for model, found in rows.items():
        ours = next(iter(found.values())).edgert
        cells = [f"{found[p].other:.3f} | **{found[p].ratio:.2f}**" if p in found else "| " for p in peers]
        lines.append(f"| {model} | {ours:.3f} | " + " | ".join(cells) + " |")
    means = [geometric_mean([f[p].ratio for f in rows.values() if p in f]) for p in peers]
    lines.append("| geometric mean | | " + " | ".join(f"| **{m:.2f}**" for m in means) + " |")
    return "\n".join(lines)


def svg(rows: dict[str, dict[str, Comparison]], peers: list[str], caption: str) -> str:
    """Horizontal bars of ratios, one colour a peer, with a line at 1."""
    colours, bar, left, unit = ["#2a6f97", "#e07a5f"], 11, 270, 90
    group = bar * len(peers) + 10
    most = max(f[p].ratio for f in rows.values() for p in f)
    width, height = int(left + unit * most + 60), 50 + group * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">']
    out.append(f'<rect width="{width}" height="{height}" fill="#fff"/>')
    for k, p in enumerate(peers):
        out.append(f'<rect x="{left + 190 * k}" y="8" width="10" height="10" fill="{colours[k]}"/>')
        out.append(f'<text x="{left + 190 * k + 15}" y="17">times faster than {PEERS[p]}</text>')
    for i, (model, found) in enumerate(rows.items()):
        y = 30 + group * i
        out.append(f'<text x="{left - 8}" y="{y + group / 2}" text-anchor="end">{model}</text>')
        for k, p in enumerate(peers):
            if p in found:
                r = found[p].ratio
                out.append(f'<rect x="{left}" y="{y + bar * k}" width="{unit * r:.1f}" height="{bar - 1}" fill="{colours[k]}"/>')
                out.append(f'<text x="{left + unit * r + 4:.1f}" y="{y + bar * k + 9}">{r:.2f}</text>')
    out.append(f'<line x1="{left + unit}" x2="{left + unit}" y1="26" y2="{height - 20}" stroke="#333" stroke-dasharray="3 3"/>')
    out.append(f'<text x="{left}" y="{height - 6}" fill="#555">{caption}</text></svg>')
    return "\n".join(out) + "\n"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="+", type=Path)
    p.add_argument("--peers", default=",".join(PEERS))
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seconds", type=float, default=4.0, help="for each model and peer")
    p.add_argument("--json", type=Path)
    p.add_argument("--markdown", type=Path)
    p.add_argument("--svg", type=Path)
    a = p.parse_args()
    wanted = a.peers.split(",")
    rows: dict[str, dict[str, Comparison]] = {}
    for model in a.models:
        for peer in wanted:
            try:
                c = compare(model, peer, threads=a.threads, seconds=a.seconds)
            except EdgertError as e:
                print(f"{model.stem:40} {peer}: {e}", flush=True)
                continue
            rows.setdefault(model.stem, {})[peer] = c
            print(
                f"{model.stem:40} edgert {c.edgert:8.3f} ms   {PEERS[peer]:17} {c.other:8.3f} ms   {c.ratio:5.2f}x ({c.ratio_of_minima:.2f}x)",
                flush=True,
            )
    if not rows:
        raise SystemExit("nothing was compared")
    peers = [peer for peer in wanted if any(peer in f for f in rows.values())]
    caption = f"{machine()}, {a.threads} thread{'s' if a.threads > 1 else ''}"
    print(f"\n{caption}\n\n{markdown(rows, peers)}")
    if a.json:
        a.json.write_text(
            json.dumps({"machine": caption, "rows": [asdict(c) for f in rows.values() for c in f.values()]}, indent=1)
        )
    if a.markdown:
        a.markdown.write_text(f"{caption}\n\n{markdown(rows, peers)}\n")
    if a.svg:
        a.svg.write_text(svg(rows, peers, caption))


if __name__ == "__main__":
    main()
