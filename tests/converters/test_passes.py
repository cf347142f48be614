"""Each pass: the graph before and after computes the same, and has the form that the pass promises."""

from __future__ import annotations

import numpy as np
from edgert.converters.ir import Graph, Tensor
from edgert.converters.passes.fold_batch_norm import fold_batch_norm
from edgert.converters.passes.fold_constants import fold_constants
from edgert.converters.passes.fold_scale_forward import fold_scale_forward
from edgert.converters.passes.fuse_activation import fuse_activation
from edgert.converters.passes.fuse_pad import fuse_pad
from edgert.converters.passes.remove_identity import remove_identity

from ..support import run_graph

RNG = np.random.default_rng(0)


def start(*shape: int) -> Graph:
    g = Graph("test")
    g.inputs = [g.add_tensor(Tensor("x", shape))]
    g.input_names = ["x"]
    return g


def const(g: Graph, *shape: int) -> str:
    return g.constant("c", RNG.standard_normal(shape).astype(np.float32))


def conv(g: Graph, x: str, channels: int, **attrs: object) -> str:
    n, h, w, c = g.tensors[x].shape
    return g.add("CONV_2D", [x, const(g, channels, 3, 3, c), const(g, channels)], (n, h, w, channels), padding="SAME", **attrs)


def check(g: Graph, rewrite, kinds: list[str], changes: bool = True) -> None:  # type: ignore[no-untyped-def]
    x = RNG.standard_normal(g.tensors[g.inputs[0]].shape).astype(np.float32)
    before = run_graph(g, [x])
    assert rewrite(g) is changes
    g.remove_dead()
    g.check()
    for b, a in zip(before, run_graph(g, [x])):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert [n.op for n in g.nodes] == kinds


def test_fold_batch_norm() -> None:
    g = start(1, 6, 6, 3)
    y = g.add("MUL", [conv(g, "x", 4), const(g, 4)], (1, 6, 6, 4))
    g.outputs = [g.add("ADD", [y, const(g, 4)], (1, 6, 6, 4), fused_activation_function="RELU")]
    check(g, lambda g: fold_batch_norm(g) | fold_batch_norm(g), ["CONV_2D"])
    assert g.nodes[0].attrs["fused_activation_function"] == "RELU"


def test_fold_batch_norm_leaves_what_others_read() -> None:
    g = start(1, 6, 6, 3)
    y = conv(g, "x", 4)
    g.outputs = [g.add("MUL", [y, const(g, 4)], (1, 6, 6, 4)), y]
    check(g, fold_batch_norm, ["CONV_2D", "MUL"], changes=False)
    g = start(1, 6, 6, 3)
    g.outputs = [g.add("MUL", [conv(g, "x", 4, fused_activation_function="RELU"), const(g, 4)], (1, 6, 6, 4))]
    check(g, fold_batch_norm, ["CONV_2D", "MUL"], changes=False)
    g = start(1, 4, 6, 3)  # along the width, not the channels
    g.outputs = [g.add("MUL", [conv(g, "x", 4), const(g, 6, 1)], (1, 4, 6, 4))]
    check(g, fold_batch_norm, ["CONV_2D", "MUL"], changes=False)


def test_fold_scale_forward() -> None:
    g = start(1, 6, 6, 3)
    y = g.add("MUL", ["x", g.constant("s", np.float32(1 / 255))], (1, 6, 6, 3))
    g.outputs = [conv(g, y, 4), conv(g, y, 2)]
    check(g, fold_scale_forward, ["CONV_2D", "CONV_2D"])


def test_fuse_activation() -> None:
    g = start(1, 6, 6, 3)
    y = g.add("RELU6", [conv(g, "x", 4)], (1, 6, 6, 4))
    g.outputs = [g.add("RELU", [g.add("TANH", [y], (1, 6, 6, 4))], (1, 6, 6, 4))]
    check(g, fuse_activation, ["CONV_2D", "TANH", "RELU"])


def test_fuse_pad() -> None:
    for pads, fused in (
        ([[0, 0], [0, 1], [0, 1], [0, 0]], True),
        ([[0, 0], [1, 1], [1, 1], [0, 0]], False),
        ([[0, 0], [1, 0], [1, 0], [0, 0]], False),
    ):
        g = start(1, 8, 8, 3)
        after = tuple(8 + sum(p) for p in pads[1:3])
        y = g.add("PAD", ["x", g.constant("p", np.array(pads, np.int32))], (1, *after, 3))
        out = tuple((n - 3) // 2 + 1 for n in after)
        g.outputs = [
            g.add("CONV_2D", [y, const(g, 4, 3, 3, 3), const(g, 4)], (1, *out, 4), padding="VALID", stride_h=2, stride_w=2)
        ]
        check(g, fuse_pad, ["CONV_2D"] if fused else ["PAD", "CONV_2D"], changes=fused)


def test_remove_identity() -> None:
    g = start(1, 12)
    y = g.add("RESHAPE", ["x", g.constant("a", np.array([3, 4], np.int32))], (3, 4), new_shape=(3, 4))
    z = g.add("RESHAPE", [y, g.constant("b", np.array([1, 12], np.int32))], (1, 12), new_shape=(1, 12))
    g.outputs = [g.add("TANH", [z], (1, 12))]
    check(g, lambda g: remove_identity(g) | remove_identity(g), ["TANH"])


def test_fold_constants() -> None:
    g = start(1, 4)
    half = g.add_tensor(Tensor("h", (4,), "float16", np.array([1, 2, 3, 4], np.float16)))
    full = g.add("DEQUANTIZE", [half], (4,))
    g.outputs = [g.add("ADD", ["x", full], (1, 4))]
    check(g, fold_constants, ["ADD"])
    assert g.tensors[full].data is not None
