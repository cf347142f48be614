"""Writes docs/onnx.md: the operators that the ONNX importer knows, and what of ONNX's own backend tests it refuses.

usage: onnx_page.py [--check]

`--check` writes nothing and runs no tests: the exit status is 1 where the table of operators is not up to date.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/onnx.md"

HEAD = """# ONNX

`edgert convert model.onnx` reads opset 7 and later: float models, and quantized ones (QDQ and QOperator). Models are NCHW in ONNX and
NHWC in TFLite: convolutions are put between transposes, which then sink through the graph until they cancel; inputs and outputs
of four and five dimensions have their channels last in the result, unless `--keep-layout` is given. An open first dimension is 1; other open
dimensions are given as `--shape input=1,3,224,224`. Inputs that decide shapes (an output size, say) become constants: `--constant
size=320,320`. Types are those of TFLite: float16, bfloat16 and double are computed in float32. `If` is followed where its condition is
constant. Everything that is unknown is named in one message.

"""


def operators() -> str:
    from edgert.converters.importers.onnx import OPERATORS

    names = sorted([*OPERATORS, "If"], key=str.lower)
    return f"## The {len(names)} operators it knows\n\n{', '.join(names)}.\n\n"


def refused() -> str:
    sys.path.insert(0, str(ROOT))
    from tests.converters.onnx_nodes import cases, failure, in_the_table

    every = cases()
    known = [c for c in every if in_the_table(c.model)]
    why = defaultdict(list)
    for c in known:
        reason = failure(c)
        if reason:
            reason = re.sub(r'"[^"]*"|\(\S*\)|\d+', "", re.sub(r"^the ONNX model: ", "", reason)).split(";")[0]
            why[re.sub(r"\s+", " ", reason)[:100].strip()].append(c.name.removeprefix("test_"))
    failed = sum(map(len, why.values()))
    lines = [
        "## ONNX's own tests of operators",
        "",
        f"Of the {len(every)} node tests in the package `onnx`, {len(known)} have only operators of this table: {len(known) - failed} of them",
        f"({100 * (len(known) - failed) / len(known):.1f}%) are imported, run in float32 and agree. These are not (`python scripts/onnx_page.py` made the list):",
        "",
        "| why | tests |",
        "| --- | --- |",
    ]
    for reason, names in sorted(why.items(), key=lambda item: -len(item[1])):
        lines.append(f"| {reason.replace('|', '/')} | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    if "--check" in sys.argv:
        fresh = HEAD + operators()
        if not PAGE.exists() or not PAGE.read_text().startswith(fresh):
            print(f"{PAGE}: not up to date; run python scripts/onnx_page.py")
            return 1
        return 0
    PAGE.write_text(HEAD + operators() + refused())
    return 0


if __name__ == "__main__":
    sys.exit(main())
