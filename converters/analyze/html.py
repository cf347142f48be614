"""A comparison as a page: one file, no scripts from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from .compare import Comparison, LayerReport

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #3b82f6; --range: #f59e0b; --bad: #dc2626; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 3px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { cursor: pointer; position: sticky; top: 0; background: Canvas; }
td:nth-child(-n+3), th:nth-child(-n+3) { text-align: left; }
td:nth-child(2) { max-width: 24rem; overflow: hidden; text-overflow: ellipsis; }
details { margin: .6rem 0; } summary { cursor: pointer; }
svg { display: block; } figure { display: inline-block; margin: .5rem 1rem .5rem 0; } figcaption { font-size: 12px; opacity: .8; }
.bad { color: var(--bad); font-weight: 600; }
"""
# Sorts a column by its numbers when its heading is clicked.
_SCRIPT = """
for (const th of document.querySelectorAll('th')) th.onclick = () => {
  const body = th.closest('table').tBodies[0], i = th.cellIndex, down = th.dataset.down = th.dataset.down === '1' ? '0' : '1';
  const key = r => { const t = r.cells[i].textContent, n = parseFloat(t); return isNaN(n) ? t : n; };
  [...body.rows].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (down === '1' ? 1 : -1)).forEach(r => body.append(r));
};
"""
_W, _H = 360, 110


def _bars(counts: Any, ends: tuple[float, float], marks: Sequence[tuple[float, str]], caption: str) -> str:
    """A histogram, by the logarithm of its counts, with lines at some values."""
    low, high = ends
    for at, _ in marks:
        low, high = min(low, at), max(high, at)
    span = high - low or 1.0
    tall = np.log1p(np.asarray(counts, np.float64))
    tall = tall / max(tall.max(), 1e-9) * (_H - 10)
    width = (ends[1] - ends[0]) / span * _W / len(tall)
    left = (ends[0] - low) / span * _W
    rects = "".join(
        f'<rect x="{left + i * width:.1f}" y="{_H - t:.1f}" width="{max(width, 0.4):.2f}" height="{t:.1f}" fill="var(--bar)"/>'
        for i, t in enumerate(tall)
        if t > 0
    )
    lines = "".join(
        f'<line x1="{(at - low) / span * _W:.1f}" x2="{(at - low) / span * _W:.1f}" y1="0" y2="{_H}" stroke="var(--range)" stroke-width="1.5">'
        f"<title>{escape(what)}: {at:.4g}</title></line>"
        for at, what in marks
    )
    return (
        f'<figure><svg width="{_W}" height="{_H}" viewBox="0 0 {_W} {_H}" role="img">{rects}{lines}</svg>'
        f"<figcaption>{escape(caption)}: {ends[0]:.4g} to {ends[1]:.4g}</figcaption></figure>"
    )


def _channels(values: Any) -> str:
    tall = np.asarray(values, np.float64)
    order = tall / max(tall.max(), 1e-12) * (_H - 10)
    width = _W / len(order)
    rects = "".join(
        f'<rect x="{i * width:.2f}" y="{_H - t:.1f}" width="{max(width - 0.2, 0.3):.2f}" height="{t:.1f}" fill="var(--bar)"/>'
        for i, t in enumerate(order)
    )
    return (
        f'<figure><svg width="{_W}" height="{_H}" viewBox="0 0 {_W} {_H}" role="img">{rects}</svg>'
        f"<figcaption>largest weight of each of {len(order)} channels, up to {tall.max():.4g}</figcaption></figure>"
    )


def _number(x: float | None, form: str = ".1f") -> str:
    return "" if x is None else format(x, form)


def _row(i: int, r: LayerReport) -> str:
    cells = [
        str(i), escape(r.name), escape(r.op), r.kind, _number(r.sqnr), f"{r.cosine:.5f}", f"{r.error:+.2f}", f"{100 * r.saturation:.2f}%",
        _number(r.own), _number(r.others), f"{100 * r.share:.1f}%",
    ]  # fmt: skip
    return (
        "<tr>"
        + "".join(f'<td title="{escape(r.name)}">{c}</td>' if k == 1 else f"<td>{c}</td>" for k, c in enumerate(cells))
        + "</tr>"
    )


def _plots(r: LayerReport) -> str:
    parts = []
    if r.values is not None:
        marks = [(v, what) for v, what in zip(r.range, ("lowest", "highest")) if np.isfinite(v)]
        parts.append(_bars(r.values, r.seen, marks, "values in the float model; lines: what the type can hold"))
    if r.weights is not None:
        parts.append(_bars(r.weights, r.weight_ends, (), "weights"))
    if r.channels is not None and len(r.channels) > 1:
        parts.append(_channels(r.channels))
    advice = f"<p>{escape(r.advice)}</p>" if r.advice else ""
    return (
        f"<details><summary>{escape(r.name)} ({escape(r.op)}, {_number(r.sqnr)} dB)</summary>{advice}{''.join(parts)}</details>"
    )


def page(c: Comparison, title: str) -> str:
    """The page."""
    q = c.quality
    head = "".join(
        f"<th>{h}</th>"
        for h in (
            "#",
            "layer",
            "operator",
            "type",
            "SQNR dB",
            "cosine",
            "error, steps",
            "saturated",
            "alone dB",
            "all but it dB",
            "time",
        )
    )
    hints = "".join(f"<li>{escape(s)}</li>" for s in c.suggestions) or "<li>No layer stands out.</li>"
    unmatched = f"<p>Not matched by name, and left out: {escape(', '.join(c.unmatched))}</p>" if c.unmatched else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>'
        f"<p>Outputs on {c.samples} samples: signal to noise <b>{q.sqnr:.1f} dB</b>, same largest value {100 * q.agreement:.1f}%{q.accuracies}.</p>"
        f"<h2>What would help</h2><ul>{hints}</ul><h2>Layers</h2><table><thead><tr>{head}</tr></thead><tbody>"
        f"{''.join(_row(i, r) for i, r in enumerate(c.layers))}</tbody></table>{unmatched}"
        f"<h2>Values and weights against the grid</h2>{''.join(map(_plots, c.layers))}<script>{_SCRIPT}</script></html>\n"
    )
