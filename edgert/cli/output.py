"""Printing that the commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table


def console() -> Console:
    """Standard output; wide where it is no terminal, so that tables in files are not cut."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=160)


def table(title: str, columns: list[tuple[str, str]], rows: list[list[Any]]) -> Table:
    """columns: (heading, "left" or "right")."""
    t = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for heading, justify in columns:
        t.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    for row in rows:
        t.add_row(*(str(x) for x in row))
    return t


def size(n: float) -> str:
    """Bytes in words: 3.5 MB."""
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on standard error, or nothing where that is no terminal. The function takes (what, done, in all)."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def numbers(text: str, name: str) -> tuple[float, ...]:
    """ "127.5" or "123.7,116.3,103.5" """
    try:
        return tuple(float(x) for x in text.split(","))
    except ValueError:
        raise ValueError(f'--{name} is one number, or one a channel with commas between, not "{text}"') from None
