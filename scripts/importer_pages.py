"""Writes docs/importers.md, what each importer knows, and docs/onnx.md, with what of ONNX's own backend tests is refused.

usage: importer_pages.py [--check]

`--check` writes nothing and runs no tests: the exit status is 1 where the table of operators is not up to date.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/onnx.md"
ALL = ROOT / "docs/importers.md"

HEAD = """# ONNX

`edgert convert model.onnx` reads opset 7 and later (what is older is raised by `onnx.version_converter` first): float models, and quantized ones (QDQ and QOperator). Models are NCHW in ONNX and
NHWC in TFLite: convolutions are put between transposes, which then sink through the graph until they cancel; inputs and outputs
of four and five dimensions have their channels last in the result, unless `--keep-layout` is given. An open first dimension is 1; other open
dimensions are given as `--shape input=1,3,224,224`. Inputs that decide shapes (an output size, say) become constants: `--constant
size=320,320`. Types are those of TFLite: float16, bfloat16 and double are computed in float32. `If` is followed where its condition is
constant. Everything that is unknown is named in one message.

"""


IMPORTERS = """# What can be converted

`edgert convert MODEL` reads the kinds of files below, each without the framework that wrote it unless that is said. What is not known is an error that
names all of it at once, with the layers' names. Models in memory go through `edgert.converters.convert.convert`. (`python scripts/importer_pages.py`
makes this page from the importers' own tables.)

## ONNX, PyTorch

[onnx.md](onnx.md) has the operators of ONNX (`pip install "edgert[onnx]"`). A `torch.nn.Module`, an exported program or a `.pt2` file goes through `torch.onnx`
(`pip install "edgert[torch]"`). Pickles (`.pt`, `.pth`) are not loaded: they can run any code; export the module instead.
A `.pt2` of a stranger is not safe either: [SECURITY.md](../SECURITY.md).

## TensorFlow

The folder of a SavedModel, or a frozen graph (`.pb`), goes through the converter of your own TensorFlow (`pip install "edgert[tensorflow]"`), which makes a float `.tflite` of it.
The default signature is taken; an open batch becomes 1, other open sizes are given as `--shape input=1,224,224,3`.

## TFLite

Float32 models; models with weights of float16, int8 or int4 and float activations (those become float32 again). What has integer activations is quantized already.

"""


def importers() -> str:
    from edgert.converters.importers.caffe import LAYERS as CAFFE
    from edgert.converters.importers.keras import LAYERS as KERAS
    from edgert.converters.importers.keras.operations import OPERATIONS

    operations = ", ".join(sorted(OPERATIONS))
    keras, caffe = (", ".join(sorted(names, key=str.lower)) for names in (KERAS, (*CAFFE, "Input")))
    return (
        IMPORTERS
        + "## Keras\n\n`.h5` of Keras 1, 2 and 3 (saved on any backend; Theano's kernels are turned), `.keras` of Keras 3 and tf_keras. Sequential and functional\n"
        + "models, models within models, layers that are used several times, several inputs and outputs, channels first as well. Masks (`mask_zero`,\n"
        + "`Masking`, `mask=`) go where Keras hands them on; recurrent layers, attention and averages obey them, step by step. Lambda and subclassed models are not supported.\n\n"
        + f"{len(KERAS)} layers: {keras}.\n\n"
        + "What is written between layers (`x + 1`, `x[:, 0]`, `keras.ops` of Keras 3, `tf.` functions of Keras 2) is a node of its own in a functional model.\n\n"
        + f"{len(OPERATIONS)} of them, by their names in `keras.ops`: {operations}.\n\n"
        + "## Caffe\n\n`.prototxt` with its `.caffemodel` beside it (or `--weights FILE`), also as written before 2015. Layers that feed or judge a training are left out.\n\n"
        + f"{len(CAFFE) + 1} layers: {caffe}.\n"
    )


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
        f"({100 * (len(known) - failed) / len(known):.1f}%) are imported, run in float32 and agree. These are not (`python scripts/importer_pages.py` made the list):",
        "",
        "| why | tests |",
        "| --- | --- |",
    ]
    for reason, names in sorted(why.items(), key=lambda item: -len(item[1])):
        lines.append(f"| {reason.replace('|', '/')} | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    if "--check" in sys.argv:
        fresh = {PAGE: HEAD + operators(), ALL: importers()}
        for page, text in fresh.items():
            if not page.exists() or not page.read_text().startswith(text):
                print(f"{page}: not up to date; run python scripts/importer_pages.py")
                return 1
        return 0
    ALL.write_text(importers())
    PAGE.write_text(HEAD + operators() + refused())
    return 0


if __name__ == "__main__":
    sys.exit(main())
