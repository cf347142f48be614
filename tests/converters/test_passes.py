"""Each pass: the graph before and after computes the same, and has the form that the pass promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from edgert.converters import passes
from edgert.converters.convert import convert
from edgert.converters.importers import load
from edgert.converters.ir import Graph, Quantization, Tensor
from edgert.converters.passes.fold_batch_norm import fold_batch_norm
from edgert.converters.passes.fold_constants import fold_constants
from edgert.converters.passes.fold_scale_forward import fold_scale_forward
from edgert.converters.passes.fuse_activation import fuse_activation
from edgert.converters.passes.fuse_pad import fuse_pad
from edgert.converters.passes.remove_identity import remove_identity
from edgert.converters.passes.square_as_product import square_as_product

from ..support import run_graph
from .keras_models import keras, layers, randomize

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


def test_fold_quantized_constants() -> None:
    g = start(1, 4)
    values = Tensor("h", (4,), "int8", np.array([1, 2, 3, 4], np.int8), Quantization.per_tensor(0.5, 2))
    real = g.add("DEQUANTIZE", [g.add_tensor(values)], (4,))
    g.outputs = [g.add("ADD", ["x", real], (1, 4))]
    assert fold_constants(g) and [n.op for n in g.nodes] == ["ADD"]
    assert np.array_equal(g.data(real), np.array([-0.5, 0, 0.5, 1], np.float32))


def test_equalization_keeps_what_is_computed_and_helps(tmp_path: Path) -> None:
    """Channels of 300 times the others' size, which the next layer takes back: in int8 all others are lost without it."""
    x = inp = layers.Input((10, 10, 3))
    for i in range(2):
        x = layers.Conv2D(6, 3, activation="relu", name=f"conv{i}")(x)
        x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu" if i else "relu6", name=f"depth{i}")(x)
    model = randomize(keras.Model(inp, layers.Dense(4)(layers.GlobalAveragePooling2D()(x))))
    kernel, bias = (np.array(w) for w in model.get_layer("conv0").get_weights())
    kernel[..., 0] *= 300
    bias[0] *= 300
    model.get_layer("conv0").set_weights([kernel, bias])
    kernel, bias = (np.array(w) for w in model.get_layer("depth0").get_weights())
    kernel[:, :, 0] /= 300
    model.get_layer("depth0").set_weights([kernel, bias])
    model.save(tmp_path / "m.keras")
    data = np.random.default_rng(0).uniform(-2, 2, (30, 10, 10, 3)).astype(np.float32)
    plain, equal = (passes.run(load(tmp_path / "m.keras")) for _ in range(2))
    assert passes.equalize(equal)
    for a, b in zip(run_graph(plain, [data[:1]]), run_graph(equal, [data[:1]])):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    without, helped = (
        convert(tmp_path / "m.keras", list(data), rounding="nearest", observer="min-max", equalize=on).quality
        for on in (False, True)
    )
    assert without is not None and helped is not None and helped.sqnr > without.sqnr + 10


def test_square_as_product() -> None:
    g = start(1, 4, 4, 3)
    g.outputs = [g.add("SQUARE", ["x"], (1, 4, 4, 3))]
    check(g, square_as_product, ["MUL"])
    check(g, square_as_product, ["MUL"], changes=False)
