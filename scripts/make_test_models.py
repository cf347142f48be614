"""Writes the models of the C tests, native/tests/data/*.tflite: random weights, every operator that this version has.

usage: python scripts/make_test_models.py        (the same bytes every time)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from edgert.converters import passes
from edgert.converters.calibrate import calibrate
from edgert.converters.export import to_tflite
from edgert.converters.ir import Graph, Node, Quantization, Tensor
from edgert.converters.quantize import quantize_static

OUT = Path(__file__).resolve().parent.parent / "native/tests/data"


def build() -> Graph:
    rng = np.random.default_rng(0)
    g = Graph("test")

    def const(name: str, *shape: int) -> str:
        return g.constant(name, (rng.standard_normal(shape) * 0.3).astype(np.float32))

    def ints(name: str, values: list[int] | list[list[int]]) -> str:
        return g.constant(name, np.array(values, np.int32))

    x = g.add_tensor(Tensor("x", (1, 12, 12, 3)))
    g.inputs, g.input_names = [x], ["x"]
    y = g.add(
        "CONV_2D",
        [x, const("w0", 10, 3, 3, 3), const("b0", 10)],
        (1, 12, 12, 10),
        "conv",
        padding="SAME",
        fused_activation_function="RELU6",
    )
    d = g.add(
        "DEPTHWISE_CONV_2D",
        [y, const("w1", 1, 3, 3, 10), const("b1", 10)],
        (1, 6, 6, 10),
        "depthwise",
        padding="SAME",
        stride_h=2,
        stride_w=2,
    )
    p = g.add("CONV_2D", [d, const("w2", 10, 1, 1, 10), const("b2", 10)], (1, 6, 6, 10), "pointwise", padding="VALID")
    a = g.add("ADD", [p, d], (1, 6, 6, 10), "add")
    s = g.add("SUB", [a, const("c0", 10)], (1, 6, 6, 10), "sub")
    gate = g.add("LOGISTIC", [s], (1, 6, 6, 10), "gate")
    m = g.add("MUL", [s, gate], (1, 6, 6, 10), "mul")
    h = g.add("HARD_SWISH", [m], (1, 6, 6, 10), "hard_swish")
    t = g.add("TANH", [g.add("LEAKY_RELU", [h], (1, 6, 6, 10), "leaky", alpha=0.1)], (1, 6, 6, 10), "tanh")
    r = g.add("RESIZE_NEAREST_NEIGHBOR", [t, ints("size0", [8, 8])], (1, 8, 8, 10), "nearest")
    b = g.add("RESIZE_BILINEAR", [t, ints("size1", [8, 8])], (1, 8, 8, 10), "bilinear", half_pixel_centers=True)
    c = g.add("CONCATENATION", [r, b], (1, 8, 8, 20), "concat", axis=3)
    pad = g.add("PAD", [c, ints("pads", [[0, 0], [1, 0], [0, 1], [0, 0]])], (1, 9, 9, 20), "pad")
    pool = g.add(
        "MAX_POOL_2D", [pad], (1, 4, 4, 20), "max_pool", padding="VALID", filter_height=2, filter_width=2, stride_h=2, stride_w=2
    )
    avg = g.add(
        "AVERAGE_POOL_2D",
        [pool],
        (1, 4, 4, 20),
        "average_pool",
        padding="SAME",
        filter_height=3,
        filter_width=3,
        stride_h=1,
        stride_w=1,
    )
    sl = g.add("SLICE", [avg, ints("begin", [0, 1, 0, 0]), ints("slice", [1, 3, -1, 20])], (1, 3, 4, 20), "slice")
    st = g.add(
        "STRIDED_SLICE",
        [sl, ints("b", [0, 0, 3, 0]), ints("e", [1, 3, 0, 20]), ints("s", [1, 1, -1, 2])],
        (1, 3, 3, 10),
        "strided_slice",
    )
    tr = g.add("TRANSPOSE", [st, ints("perm", [0, 3, 1, 2])], (1, 10, 3, 3), "transpose")
    mean = g.add("MEAN", [tr, ints("axes", [2, 3])], (1, 10), "mean", keep_dims=False)
    e = g.add("EXPAND_DIMS", [mean, ints("axis", [1])], (1, 1, 10), "expand")
    q = g.add("SQUEEZE", [e], (1, 10), "squeeze", squeeze_dims=(1,))
    fc = g.add("FULLY_CONNECTED", [q, const("w3", 7, 10), const("b3", 7)], (1, 7), "dense")
    soft = g.add("SOFTMAX", [g.add("RELU", [fc], (1, 7), "relu")], (1, 7), "softmax", beta=1.0)
    best = g.add("ARG_MAX", [soft, ints("last", [1])], (1,), "arg_max", dtype="int32", output_type=2)
    g.outputs = [g.add("RESHAPE", [soft, ints("shape", [7])], (7,), "scores", new_shape=(7,)), best, mean]
    g.output_names = ["scores", "best", "mean"]
    return g


def build_chains(dtype: str) -> Graph:
    """Convolutions that the plan fuses, and arithmetic on indices, as it follows heat maps."""
    rng = np.random.default_rng(2)
    g = Graph("chains")
    low, high = (-128, 127) if dtype == "int8" else (0, 255)

    def tensor(name: str, shape: tuple[int, ...], kind: str = dtype, data: np.ndarray | None = None, scale: float = 0.05) -> str:
        q = Quantization.per_tensor(scale, low + 100) if kind == dtype else None
        return g.add_tensor(Tensor(name, shape, kind, data, q))

    def node(op: str, inputs: list[str], outputs: list[str], **attrs: object) -> str:
        g.nodes.append(Node(op, inputs, outputs, attrs, outputs[0]))
        return outputs[0]

    def conv(
        x: str, name: str, shape: tuple[int, ...], weights: tuple[int, ...], stride: int = 1, depthwise: bool = False
    ) -> str:
        channels = weights[3] if depthwise else weights[0]
        q = Quantization.per_tensor(0.01, 0 if dtype == "int8" else 120)
        w = g.add_tensor(Tensor(name + "_w", weights, dtype, rng.integers(low, high + 1, weights).astype(dtype), q))
        b = g.add_tensor(Tensor(name + "_b", (channels,), "int32", rng.integers(-900, 900, channels).astype(np.int32)))
        return node("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, w, b], [tensor(name, shape, scale=0.4)], padding="SAME",
                    stride_h=stride, stride_w=stride, dilation_h_factor=1, dilation_w_factor=1, depth_multiplier=1)  # fmt: skip

    def ints(name: str, *values: object) -> str:
        return g.add_tensor(Tensor(name, np.shape(values), "int32", np.array(values, np.int32)))

    g.inputs.append(tensor("x", (1, 9, 9, 5)))
    y = conv("x", "conv", (1, 9, 9, 19), (19, 3, 3, 5))
    y = conv(y, "wide", (1, 9, 9, 19), (1, 5, 5, 19), 1, True)
    first = conv(y, "pointwise", (1, 9, 9, 7), (7, 1, 1, 19))
    y = conv(first, "expand", (1, 9, 9, 70), (70, 1, 1, 7))
    y = conv(y, "depthwise", (1, 5, 5, 70), (1, 3, 3, 70), 2, True)
    y = conv(y, "project", (1, 5, 5, 7), (7, 1, 1, 70))
    y = node("ADD", [y, conv(first, "shortcut", (1, 5, 5, 7), (7, 1, 1, 7), 2)], [tensor("sum", (1, 5, 5, 7))])
    places = node("RESHAPE", [y, ints("places_shape", 25, 7)], [tensor("places", (25, 7))], new_shape=(25, 7))
    best = node("ARG_MAX", [places, ints("axis", 0)], [tensor("best", (7,), "int32")], output_type=2)
    row = node("FLOOR_DIV", [best, ints("five", 5)], [tensor("row", (7,), "int32")])
    full = node("MUL", [row, "five"], [tensor("full", (7,), "int32")])
    column = node("SUB", [best, full], [tensor("column", (7,), "int32")])
    at = node("PACK", [row, column], [tensor("at", (7, 2), "int32")], values_count=2, axis=1)
    heat = node("RESHAPE", [y, ints("heat_shape", 5, 5, 7)], [tensor("heat", (5, 5, 7))], new_shape=(5, 5, 7))
    found = node("GATHER_ND", [heat, at], [tensor("found", (7, 7))])
    node("UNPACK", [found], [tensor(f"part{i}", (7,)) for i in range(7)], num=7, axis=0)
    product = node("MUL", ["part0", "part1"], [tensor("product", (7,))])
    real = node("DEQUANTIZE", [product], [tensor("real", (7,), "float32")])
    root = node("SQRT", [real], [tensor("root", (7,), "float32")])
    place = node("CAST", [column], [tensor("place", (7,), "float32")], in_data_type=2, out_data_type=0)
    ratio = node("DIV", [place, root], [tensor("ratio", (7,), "float32")])
    g.outputs = [found, ratio, best]
    return g


def main() -> None:
    rng = np.random.default_rng(1)
    g = passes.run(build())
    ranges = calibrate(g, [(rng.standard_normal((1, 12, 12, 3)).astype(np.float32),) for _ in range(8)])
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "float32.tflite").write_bytes(to_tflite(g, "edgert test"))
    (OUT / "int8.tflite").write_bytes(to_tflite(quantize_static(g, ranges, "uint8", "float32"), "edgert test"))
    for dtype in ("int8", "uint8"):
        (OUT / f"chains_{dtype}.tflite").write_bytes(to_tflite(build_chains(dtype), "edgert test"))


if __name__ == "__main__":
    main()
