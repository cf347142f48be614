"""The command `edgert`. One file a command; each parses, calls the API, and prints.

The files of commands do not postpone annotations: on Python 3.9 typer reads them as they are.
"""

from __future__ import annotations

import sys

import typer

from ..errors import EdgertError
from .bench import bench
from .compare import compare
from .convert import convert
from .demo import demo
from .doctor import doctor
from .golden import golden
from .inspect import inspect
from .run import run

app = typer.Typer(
    name="edgert",
    help="Quantized neural networks on edge devices: convert, inspect, run, measure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (convert, compare, inspect, run, bench, golden, demo, doctor):
    app.command()(command)


def main() -> None:
    """Entry point: errors of edgert become one line on standard error and exit code 1."""
    try:
        app()
    except (EdgertError, ValueError, OSError) as e:
        print(f"edgert: {e}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


__all__ = ["app", "main"]
