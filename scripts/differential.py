"""Changes the operators' models (native/fuzz/seeds) at random, and compares edgert's answers with those of LiteRT's reference kernels.

usage: differential.py [--each N] [--seed S]        N changed models of each seed (default 20), drawn from S

Options, shapes, scales, zero points and constants are changed. Prints how many models both run and how often they differ, by operator, and what
is known of it (`known`, docs/numerics.md); exit status 1 where they differ in another way, and the models lie in build/differential then. LiteRT
crashes on some models: those are counted and left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from answers import answers, difference

from edgert import Interpreter

ROOT = Path(__file__).resolve().parent.parent
SEEDS = sorted((ROOT / "native/fuzz/seeds").iterdir())
FOUND = ROOT / "build/differential"
MOST_BYTES = 20_000


# ---- changes


def change(model: Any, rng: np.random.Generator) -> None:
    graph = model.subgraphs[0]
    tensor = graph.tensors[rng.integers(len(graph.tensors))]
    [shape, quantization, constant, option][rng.choice(4, p=[0.3, 0.1, 0.1, 0.5])](model, graph, tensor, rng)


def shape(model: Any, graph: Any, tensor: Any, rng: np.random.Generator) -> None:
    if tensor.shape is None or not len(tensor.shape):
        return
    sizes = np.array(tensor.shape, np.int32)
    before = max(int(np.prod(sizes)), 1)
    sizes[rng.integers(len(sizes))] = rng.integers(1, 10)
    data = model.buffers[tensor.buffer].data
    if data is not None and len(data):
        model.buffers[tensor.buffer].data = np.resize(np.array(data, np.uint8), len(data) // before * int(np.prod(sizes)))
    tensor.shape = sizes


def quantization(model: Any, graph: Any, tensor: Any, rng: np.random.Generator) -> None:
    q = tensor.quantization
    if q is None or q.scale is None or not len(q.scale):
        return
    q.scale = (np.array(q.scale) * rng.choice([0.25, 0.5, 0.9, 1.1, 2, 4, 16])).astype(np.float32)
    if q.zeroPoint is not None and rng.random() < 0.5:
        q.zeroPoint = np.full(len(q.zeroPoint), rng.choice([0, -128, 127, 3, -5, 128, 255, 100]), np.int64)


def constant(model: Any, graph: Any, tensor: Any, rng: np.random.Generator) -> None:
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data):
        return
    values = np.array(data, np.uint8)
    if tensor.type == schema.TensorType.INT32 and len(values) % 4 == 0:  # axes, sizes, indices
        values.view(np.int32)[rng.integers(len(values) // 4)] = rng.integers(-2, 5)
    else:
        values[rng.integers(len(values))] = rng.integers(256)
    model.buffers[tensor.buffer].data = values


def option(model: Any, graph: Any, tensor: Any, rng: np.random.Generator) -> None:
    options = graph.operators[rng.integers(len(graph.operators))].builtinOptions
    fields = [k for k, v in vars(options).items() if isinstance(v, (bool, int, float))] if options is not None else []
    if not fields:
        return
    name = fields[rng.integers(len(fields))]
    value = getattr(options, name)
    whole, real = int(rng.integers(0, 5)), float(rng.choice([0.0, 0.5, 1.0, 2.0, -1.0, 6.0]))
    setattr(options, name, not value if isinstance(value, bool) else real if isinstance(value, float) else whole)


def changed(index: int, each: int, seed: int) -> bytes | None:
    """Model `index` of all; None where the changes cannot be written."""
    content = SEEDS[index // each].read_bytes()
    rng = np.random.default_rng((seed, index))
    if len(content) > MOST_BYTES:
        return None
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if model.subgraphs is None or not model.subgraphs or not model.subgraphs[0].operators or not model.subgraphs[0].tensors:
        return None
    try:
        for _ in range(rng.integers(1, 5)):
            change(model, rng)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
    except (ValueError, TypeError, ZeroDivisionError):  # of the schema classes: a value that does not fit its field
        return None
    return bytes(builder.Output())


# ---- inputs, and what is known


def drawn(detail: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    size, dtype = tuple(int(n) for n in detail["shape"]), np.dtype(detail["dtype"])
    if dtype.kind in "fc":
        return np.asarray(rng.uniform(-3, 3, size)).astype(dtype)
    if dtype == np.bool_ or dtype.itemsize > 2:
        return np.asarray(rng.integers(0, 2 if dtype == np.bool_ else 3, size)).astype(dtype)
    return np.asarray(rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, size)).astype(dtype)


def known(content: bytes, ops: list[dict[str, Any]], details: list[dict[str, Any]], what: str) -> str:
    """Why the reference's answer is not to be had, of the first operator but DEQUANTIZE (docs/numerics.md); "" where it is."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    first = next((i for i, o in enumerate(ops) if o["op_name"] != "DEQUANTIZE"), 0)
    op, options, name = graph.operators[first], graph.operators[first].builtinOptions, ops[first]["op_name"]
    types = [details[i]["dtype"] for i in op.inputs if i >= 0]
    scales = [details[i]["quantization"][0] for i in op.inputs if i >= 0]
    output = details[op.outputs[0]]
    floats = [model.buffers[t.buffer].data for t in graph.tensors if t.type == schema.TensorType.FLOAT32]
    if any(
        np.isnan(np.array(data, np.uint8).view(np.float32)).any() for data in floats if data is not None and len(data) % 4 == 0
    ):
        return "a constant that is no number"
    if "LSTM" in name and types[0] == np.float32 and options.fusedActivationFunction == 0:
        return "NONE leaves the reference's memory as it was"
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM" and types[0] == np.int8 and options.projClip:
        return "the state has another scale than the output"
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM" and types[0] == np.int8 and details[op.inputs[19]]["quantization"][0] < 2**-15:
        return "a cell state finer than 2^-15"
    if name == "DIV" and types[0] != np.float32:
        return "shifts by more than 31 bits"
    if name in ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL") and max(scales) >= 1:
        return "scales of 1 and more"
    if name == "ATAN2":
        return "the reference does not broadcast"
    if name in ("ARG_MAX", "ARG_MIN", "SHAPE") and ", not int" in what:
        return "the output has another type than the option says"
    if name in ("ADD", "SUB", "MUL") and output["dtype"] != types[0]:
        return "the output has another type than the inputs"
    if name == "STRIDED_SLICE" and (options.shrinkAxisMask or options.newAxisMask or options.ellipsisMask or options.offset):
        return "mask bits for dimensions that are not there, or an element taken with a stride below 0"
    if name == "SUM" and types[0] in (np.int8, np.int16):
        return "the reference reads bytes as unsigned"
    if name == "RFFT2D":
        return "one row"
    narrow = len(types) > 2 and types[2] == np.int32
    if (
        name in ("CONV_2D", "FULLY_CONNECTED")
        and types[0] == np.int16
        and narrow != (options.quantizedBiasType == schema.TensorType.INT32)
    ):
        return "a bias of another type than the option says"
    if name == "FULLY_CONNECTED" and (output["dtype"] == np.int16 or types[0] == np.float32):
        return "int4 in blocks, shuffled weights, or weights of -128"
    if name == "TFLite_Detection_PostProcess":
        return "nothing detected: the reference's outputs are not written"
    if name in ("SELECT", "SELECT_V2") and ", not " in what and output["shape"].prod() == 1:
        return "one value: another rank"
    return ""


def worker(each: int, seed: int, start: int) -> None:
    """Writes a line a model: its number, and what came of it, which is missing for the one that LiteRT crashed on."""
    from ai_edge_litert.interpreter import Interpreter as LiteRT
    from ai_edge_litert.interpreter import OpResolverType

    for i in range(start, each * len(SEEDS)):
        content = changed(i, each, seed)
        if content is None:
            continue
        rng = np.random.default_rng((seed, i))
        try:
            ours = Interpreter(model_content=content, memory_limit=1 << 26, time_limit=2.0, max_iterations=200)
            ours.allocate_tensors()
            inputs = [drawn(d, rng) for d in ours.get_input_details()]
            got = answers(ours, inputs)
        except (RuntimeError, ValueError, TypeError):
            continue
        ops = ours._get_ops_details()
        print(i, end=" ", flush=True)
        try:
            theirs = LiteRT(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
            theirs.allocate_tensors()
            what = difference(got, answers(theirs, inputs), 1e-4, 2e-5, 1e-3, 1e30)
        except (RuntimeError, ValueError):
            print("refused", flush=True)
            continue
        why = known(content, ops, ours.get_tensor_details(), what) if what else ""
        print(f"differs\t{ops[0]['op_name']}\t{what}\t{why}" if what else "same", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.worker is not None:
        warnings.simplefilter("ignore")
        worker(a.each, a.seed, a.worker)
        return 0
    start, counts, unknown = 0, Counter[str](), []
    while start < a.each * len(SEEDS):
        command = [sys.executable, __file__, "--each", str(a.each), "--seed", str(a.seed), "--worker", str(start)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        for line in done.stdout.splitlines():
            number, _, what = line.partition(" ")
            start = int(number) + 1
            kind, *rest = what.split("\t")
            counts[kind or "LiteRT crashed"] += 1
            if rest and not rest[2]:
                unknown.append(int(number))
                print(f"model {number}: {rest[0]} differs in {rest[1]}")
            elif rest:
                counts[f"  {rest[0]}: {rest[2]}"] += 1
        if done.returncode == 0:
            break
    for what, n in counts.most_common():
        print(f"{n:7} {what}")
    for number in unknown:
        FOUND.mkdir(parents=True, exist_ok=True)
        (FOUND / f"{a.seed}-{number}.tflite").write_bytes(changed(number, a.each, a.seed) or b"")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
