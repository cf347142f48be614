"""Single operators beside LiteRT with XNNPACK, the slowest ratio first: where a model would lose time that the tables of whole models do not show.

usage: operators.py [PATTERN] [--threads N] [--seconds S] [--save DIR]

PATTERN is a part of a name. Each model has one operator on a common shape. Needs: pip install "edgert[litert]". The ratio is LiteRT / edgert, medians over
bursts of 10 ms in turns on one core: above 1, edgert is faster. XNNPACK rounds otherwise than the reference, edgert does not. `--save` only writes the
models, for benchmarks/arm/compare.py.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from edgert.converters.export import to_tflite
from edgert.converters.ir import Graph, Node, Quantization, Tensor

from edgert.bench import compare
from edgert.errors import EdgertError

RNG = np.random.default_rng(0)
IMAGE, TOKENS = (1, 56, 56, 32), (1, 197, 192)
DILATIONS = ("dilation_h_factor", "dilation_w_factor")
SAME = {"padding": "SAME", "stride_w": 1, "stride_h": 1}
PROBABILITY = (1 / 256, -128)
OTHER = (0.05, -4)


class Builder:
    """A graph with one operator: inputs and the output have `dtype`, 8-bit ones a scale."""

    def __init__(self, dtype: str) -> None:
        self.graph, self.dtype, self.names = Graph("operator"), dtype, list[str]()

    def _add(self, shape: tuple[int, ...], dtype: str, data: Any = None, scale: Any = None, zero: int = 0, axis: int = 0) -> str:
        q = None
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            q = Quantization(scales, np.full(scales.shape, zero, np.int64), axis)
        return self.graph.add_tensor(Tensor(f"t{len(self.graph.tensors)}", shape, dtype, data, q))

    def input(self, shape: tuple[int, ...], dtype: str = "", scale: float = 0.02, zero: int = 3) -> Builder:
        dtype = dtype or self.dtype
        name = self._add(shape, dtype, None, *((scale, zero) if dtype == "int8" else ()))
        self.graph.inputs.append(name)
        self.names.append(name)
        return self

    def ints(self, *values: Any) -> Builder:
        data = np.array(values, np.int32)
        self.names.append(self._add(data.shape, "int32", data))
        return self

    def constant(self, *shape: int, scale: Any = 0.02, zero: int = 0, axis: int = 0) -> Builder:
        if self.dtype == "float32":
            self.names.append(self._add(shape, "float32", RNG.standard_normal(shape).astype(np.float32)))
        else:
            self.names.append(self._add(shape, "int8", RNG.integers(-127, 128, shape).astype(np.int8), scale, zero, axis))
        return self

    def weights(self, *shape: int, axis: int = 0) -> Builder:
        """Per channel, and a bias."""
        scale = RNG.uniform(0.001, 0.004, shape[axis]).astype(np.float32)
        self.constant(*shape, scale=scale, axis=axis)
        kind = "float32" if self.dtype == "float32" else "int32"
        self.names.append(
            self._add((shape[axis],), kind, np.zeros(shape[axis], kind), None if kind == "float32" else scale * 0.02)
        )
        return self

    def op(
        self, op: str, out: str = "", quantization: tuple[float, int] = (0.02, 3), shape: tuple[int, ...] = (1,), **attrs: Any
    ) -> bytes:
        dtype = out or self.dtype
        name = self._add(shape, dtype, None, *(quantization if dtype == "int8" else ()))
        self.graph.nodes.append(Node(op, self.names, [name], attrs, name))
        self.graph.outputs.append(name)
        return to_tflite(self.graph)


def elementwise(dtype: str) -> dict[str, bytes]:
    found = {}
    for op in ("ADD", "SUB", "MUL"):
        found[f"{op} of equal shapes"] = Builder(dtype).input(IMAGE).input(IMAGE).op(op, quantization=OTHER)
        found[f"{op} by channel"] = Builder(dtype).input(IMAGE).constant(32, zero=3).op(op, quantization=OTHER)
        found[f"{op} by row"] = Builder(dtype).input(TOKENS).input((1, 197, 1)).op(op, quantization=OTHER)
    found["SQUARED_DIFFERENCE"] = Builder(dtype).input(TOKENS).input((1, 197, 1)).op("SQUARED_DIFFERENCE", quantization=OTHER)
    found["MAXIMUM"] = Builder(dtype).input(IMAGE).input(IMAGE).op("MAXIMUM")
    found["PRELU"] = Builder(dtype).input(IMAGE).constant(1, 1, 32).op("PRELU", quantization=OTHER)
    for op in ("RELU", "HARD_SWISH", "LEAKY_RELU", "GELU", "TANH"):
        found[op] = (
            Builder(dtype)
            .input(IMAGE)
            .op(op, quantization=(1 / 128, 0) if op == "TANH" else OTHER, **({"alpha": 0.1} if op == "LEAKY_RELU" else {}))
        )
    found["LOGISTIC"] = Builder(dtype).input(IMAGE).op("LOGISTIC", quantization=PROBABILITY)
    found["SOFTMAX of 197"] = Builder(dtype).input((3, 197, 197)).op("SOFTMAX", quantization=PROBABILITY)
    found["SOFTMAX of 16"] = Builder(dtype).input((1, 4096, 16)).op("SOFTMAX", quantization=PROBABILITY)
    found["SOFTMAX of 2"] = Builder(dtype).input((1, 1917, 2)).op("SOFTMAX", quantization=PROBABILITY)
    return found


def moves(dtype: str) -> dict[str, bytes]:
    found = {}
    for op in ("SUM", "MEAN", "REDUCE_MAX"):
        found[f"{op} of rows"] = (
            Builder(dtype).input(TOKENS).ints(2).op(op, quantization=(0.02, 3) if op == "REDUCE_MAX" else OTHER, keep_dims=True)
        )
        found[f"{op} of pixels"] = (
            Builder(dtype).input(IMAGE).ints(1, 2).op(op, quantization=(0.02, 3) if op == "REDUCE_MAX" else OTHER, keep_dims=True)
        )
    for perm in ((0, 2, 1), (0, 3, 1, 2), (0, 2, 1, 3)):
        x = TOKENS if len(perm) == 3 else IMAGE
        found[f"TRANSPOSE {perm}"] = Builder(dtype).input(x).ints(*perm).op("TRANSPOSE")
    found["TRANSPOSE of shuffled channels"] = Builder(dtype).input((1, 784, 2, 58)).ints(0, 1, 3, 2).op("TRANSPOSE")
    found["CONCATENATION"] = Builder(dtype).input(IMAGE).input(IMAGE).op("CONCATENATION", axis=3)
    found["PAD"] = Builder(dtype).input(IMAGE).ints([0, 0], [1, 1], [1, 1], [0, 0]).op("PAD")
    found["STRIDED_SLICE"] = Builder(dtype).input(IMAGE).ints(0, 0, 0, 0).ints(1, 56, 56, 32).ints(1, 2, 2, 1).op("STRIDED_SLICE")
    for op in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        found[op] = Builder(dtype).input((1, 28, 28, 32)).ints(56, 56).op(op, half_pixel_centers=True)
    for op in ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"):
        found[op] = Builder(dtype).input(IMAGE).op(op, block_size=2)
    return found


def products(dtype: str) -> dict[str, bytes]:
    found = {}
    for name, x, w, stride, *dilation in (
        ("3x3", IMAGE, (64, 3, 3, 32), 1),
        ("3x3 of 3 channels, stride 2", (1, 224, 224, 3), (32, 3, 3, 3), 2),
        ("1x1", (1, 14, 14, 576), (96, 1, 1, 576), 1),
        ("1x1 to 1 channel", (1, 96, 96, 32), (1, 1, 1, 32), 1),
        ("1x9 of a sequence", (1, 1, 1000, 16), (32, 1, 9, 16), 1),
        ("16x16, stride 16", (1, 224, 224, 3), (192, 16, 16, 3), 16),
        ("7x7 of a channel a group", (1, 14, 14, 192), (192, 7, 7, 1), 1),
        ("3x3 of 32 groups", (1, 28, 28, 128), (128, 3, 3, 4), 1),
        ("3x3 of 8 groups", (1, 28, 28, 128), (128, 3, 3, 16), 1),
        ("3x3, dilated", (1, 33, 33, 64), (64, 3, 3, 64), 1, 2, 2),
        ("1x3 of a sequence, dilated", (1, 1, 256, 32), (32, 1, 3, 32), 1, 1, 8),
    ):
        found[f"CONV_2D {name}"] = (
            Builder(dtype)
            .input(x)
            .weights(*w)
            .op(
                "CONV_2D",
                quantization=(0.2, -4),
                **{**SAME, "stride_w": stride, "stride_h": stride, **dict(zip(DILATIONS, dilation))},
            )
        )
    for name, x, k, m, stride in (
        ("3x3", (1, 112, 112, 32), 3, 1, 1),
        ("5x5", (1, 14, 14, 240), 5, 1, 1),
        ("3x3 of 8 channels", (1, 96, 96, 8), 3, 1, 1),
        ("10x8 of 1 channel to 8", (1, 49, 40, 1), 8, 8, 2),
        ("3x3 of 64 channels to 128", (1, 28, 28, 64), 3, 2, 1),
    ):
        c = x[3] * m
        found[f"DEPTHWISE_CONV_2D {name}"] = (
            Builder(dtype).input(x).weights(1, k, k, c, axis=3).op("DEPTHWISE_CONV_2D", quantization=(0.2, -4), **{**SAME, "stride_w": stride, "stride_h": stride, "depth_multiplier": m})
        )  # fmt: skip
    for rows, k, n in ((1, 1024, 1000), (1, 7104, 1), (197, 192, 768)):
        found[f"FULLY_CONNECTED {rows} x {k} x {n}"] = (
            Builder(dtype).input((rows, k)).weights(n, k).op("FULLY_CONNECTED", quantization=(0.2, -4))
        )
    for batch, m, k, n, adjoint in ((4, 64, 64, 64, True), (4, 64, 64, 64, False), (8, 1, 64, 128, True)):
        z = (batch, n, k) if adjoint else (batch, k, n)
        found[f"BATCH_MATMUL {batch} x {m} x {k} x {n}{', transposed' * adjoint}"] = (
            Builder(dtype).input((batch, m, k)).input(z).op("BATCH_MATMUL", quantization=(0.2, -4), adj_y=adjoint)
        )
    for side, c, out, k in ((16, 64, 32, 2), (32, 32, 16, 4)):
        b = (
            Builder(dtype)
            .ints(1, 2 * side, 2 * side, out)
            .constant(out, k, k, c, scale=RNG.uniform(0.001, 0.004, out))
            .input((1, side, side, c))
        )
        found[f"TRANSPOSE_CONV {k}x{k}"] = b.op(
            "TRANSPOSE_CONV", quantization=(0.2, -4), shape=(1, 2 * side, 2 * side, out), **{**SAME, "stride_w": 2, "stride_h": 2}
        )
    for op, k, stride in (("MAX_POOL_2D", 2, 2), ("AVERAGE_POOL_2D", 3, 1)):
        found[f"{op} {k}x{k}"] = (
            Builder(dtype)
            .input(IMAGE)
            .op(op, **{**SAME, "stride_w": stride, "stride_h": stride, "filter_width": k, "filter_height": k})
        )
    return found


def models() -> dict[str, bytes]:
    found = {}
    for dtype in ("int8", "float32"):
        for group in (elementwise, moves, products):
            found.update({f"{dtype} {name}": content for name, content in group(dtype).items()})
    found["QUANTIZE"] = Builder("int8").input(IMAGE, "float32").op("QUANTIZE")
    found["QUANTIZE int8 again"] = Builder("int8").input(IMAGE).op("QUANTIZE", quantization=OTHER)
    found["DEQUANTIZE"] = Builder("int8").input(IMAGE).op("DEQUANTIZE", "float32")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each operator")
    parser.add_argument("--save", type=Path, metavar="DIR")
    args = parser.parse_args()
    chosen = {name: content for name, content in models().items() if args.pattern.lower() in name.lower()}
    if args.save:
        args.save.mkdir(parents=True, exist_ok=True)
        for name, content in chosen.items():
            (args.save / (re.sub(r"\W+", "_", name) + ".tflite")).write_bytes(content)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "operator.tflite"
        for name, content in chosen.items():
            path.write_bytes(content)
            try:
                found = compare(path, threads=args.threads, seconds=args.seconds)
            except EdgertError as e:
                print(f"{name}: {e}")
                continue
            rows.append((found.ratio, name, found.edgert, found.other))
    print("| operator | edgert ms | LiteRT + XNNPACK ms | ratio |\n| --- | --- | --- | --- |")
    for ratio, name, ours, theirs in sorted(rows):
        print(f"| {name} | {ours:.4f} | {theirs:.4f} | **{ratio:.2f}** |")


if __name__ == "__main__":
    main()
