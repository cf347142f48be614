"""Chains of operators that the plan rewrites: the reference's bytes with every rewrite, with none, and with those that pay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from edgert.converters.ir import Node
from hypothesis import assume, given
from hypothesis import strategies as st

from edgert import Interpreter

from ..support import Model, examples, fuse, limits, reference, run, scales, values, zeros

DTYPES = pytest.mark.parametrize("dtype", ["int8", "uint8"])


class Chain:
    """A graph of several operators on drawn, quantized tensors."""

    def __init__(self, draw: Any, dtype: str, shape: tuple[int, ...]) -> None:
        self.draw, self.dtype, self.m, self.n = draw, dtype, Model(), 0
        self.scale = {"x": draw(scales(0.01, 0.1))}
        self.m.input("x", shape, dtype, self.scale["x"], draw(zeros(dtype)))

    def output(self, scale: float) -> str:
        self.n += 1
        name = f"t{self.n}"
        self.scale[name] = float(np.float32(scale))
        self.m.tensor(name, (1, 1, 1, 1), self.dtype, None, self.scale[name], self.draw(zeros(self.dtype)))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attrs: Any) -> str:
        self.m.graph.nodes.append(Node(op, inputs, [output], attrs, output))
        return output

    def weights(self, x: str, shape: tuple[int, ...], axis: int, products: int) -> tuple[list[str], float]:
        draw, channels = self.draw, shape[axis]
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        low, high = limits(self.dtype)
        w = rng.integers(low, high + 1, shape).astype(self.dtype)
        if self.dtype == "int8":
            ws, zero = (rng.random(channels) * 0.05 + 0.001).astype(np.float32), 0
        else:  # mostly so that most weights less their zero point fit 8 bits
            ws, zero = np.array([0.02], np.float32), draw(st.one_of(st.integers(100, 156), zeros("uint8")))
        name = f"w{self.n}"
        self.m.tensor(name, shape, self.dtype, w, ws, zero, axis if len(ws) > 1 else 0)
        bias = rng.integers(-3000, 3000, channels).astype(np.int32)
        self.m.tensor(f"b{self.n}", (channels,), "int32", bias, np.float32(self.scale[x]) * ws)
        return [x, name, f"b{self.n}"], self.scale[x] * float(ws.max()) * np.sqrt(products) * 60 * draw(
            st.sampled_from([0.3, 1, 3])
        )

    def conv(self, x: str, in_c: int, out_c: int, k: int = 1, stride: int = 1, padding: str = "SAME") -> str:
        # The reference has no groups on uint8.
        groups = self.draw(st.sampled_from([1, 1, 1, math.gcd(in_c, out_c)])) if self.dtype == "int8" else 1
        inputs, scale = self.weights(x, (out_c, k, k, in_c // groups), 0, k * k * in_c // groups)
        return self.node("CONV_2D", inputs, self.output(scale), padding=padding, stride_h=stride, stride_w=stride,
                         dilation_h_factor=1, dilation_w_factor=1, fused_activation_function=self.draw(st.sampled_from(["NONE", "RELU6"])))  # fmt: skip

    def depthwise(self, x: str, c: int, k: int, stride: int, padding: str, dilation: int = 1) -> str:
        inputs, scale = self.weights(x, (1, k, k, c), 3, k * k)
        return self.node("DEPTHWISE_CONV_2D", inputs, self.output(scale), padding=padding, stride_h=stride, stride_w=stride, depth_multiplier=1,
                         dilation_h_factor=dilation, dilation_w_factor=dilation, fused_activation_function=self.draw(st.sampled_from(["NONE", "RELU"])))  # fmt: skip

    def pad(self, x: str, amounts: list[list[int]]) -> str:
        q = self.m.graph.tensors[x].quantization
        assert q
        y = self.output(self.scale[x])
        self.m.graph.tensors[y].quantization = q
        self.m.tensor(f"p{self.n}", (4, 2), "int32", np.array(amounts, np.int32))
        return self.node("PAD", [x, f"p{self.n}"], y)

    def add(self, a: str, b: str, op: str = "ADD") -> str:
        activation = self.draw(st.sampled_from(["NONE", "NONE", "RELU"]))
        return self.node(op, [a, b], self.output(self.scale[a] + self.scale[b]), fused_activation_function=activation)

    def check(self, outputs: list[str], x: np.ndarray) -> None:
        self.m.graph.outputs.extend(outputs)
        content = self.m.bytes()
        expected = reference(content, [x])
        assume(expected is not None)
        assert expected is not None
        for value in ("all", "0", "1"):
            with fuse(value):
                got = run(Interpreter(model_content=content, num_threads=self.draw(st.integers(1, 3))), [x])
            for g, e in zip(got, expected):
                np.testing.assert_array_equal(g, e, f"EDGERT_FUSE={value}")


@DTYPES
@examples(40)
@given(data=st.data())
def test_bottleneck(dtype: str, data: st.DataObject) -> None:
    """Convolution, depthwise, pointwise, with and without the outer two, and with what else may read the tensors in between."""
    draw = data.draw
    batch, h, w, in_c = draw(st.integers(1, 2)), draw(st.integers(3, 15)), draw(st.integers(3, 15)), draw(st.integers(1, 20))
    c, out_c = draw(st.one_of(st.integers(1, 40), st.sampled_from([8, 16, 32, 64, 80, 130]))), draw(st.integers(1, 70))
    chain = Chain(draw, dtype, (batch, h, w, in_c))
    t, channels = "x", in_c
    first = draw(st.sampled_from(["none", "1x1", "3x3", "3x3 /2"]))
    if first != "none":
        t = chain.conv(t, in_c, c, 1 if first == "1x1" else 3, 2 if first == "3x3 /2" else 1)
        channels = c
    before = t
    k, padding, dilation = (
        draw(st.sampled_from([3, 3, 3, 5, 2])),
        draw(st.sampled_from(["SAME", "SAME", "VALID"])),
        draw(st.sampled_from([1, 1, 1, 2])),
    )
    if padding == "VALID":
        size = min(h, w) if first != "3x3 /2" else (min(h, w) + 1) // 2
        assume(size > (k - 1) * dilation)
    t = middle = chain.depthwise(t, channels, k, 1 if dilation == 2 else draw(st.integers(1, 2)), padding, dilation)
    if draw(st.booleans()):
        t = chain.conv(t, channels, out_c)
        if draw(st.booleans()):
            t = chain.add(t, chain.conv(middle, channels, out_c))
    outputs = [t]
    if before != "x" and draw(st.integers(0, 3)) == 0:
        outputs.append(before)  # cannot be left out
    if middle != t and draw(st.integers(0, 3)) == 0:
        outputs.append(middle)
    chain.check(outputs, draw(values((batch, h, w, in_c), dtype)))


@DTYPES
@examples(50)
@given(data=st.data())
def test_padding_of_its_own(dtype: str, data: st.DataObject) -> None:
    """PAD before convolutions, also with more of it than a filter, of other dimensions, and read elsewhere."""
    draw = data.draw
    batch, h, w, c = draw(st.integers(1, 2)), draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 24))
    shape = (batch, h, w, c)
    chain = Chain(draw, dtype, shape)
    t = chain.conv("x", c, c) if draw(st.booleans()) else "x"
    outputs: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        pads = st.lists(st.sampled_from([0, 0, 1, 1, 2, 5]), min_size=2, max_size=2)
        amounts = [[0, 0], draw(pads), draw(pads), [0, 0]]
        if draw(st.integers(0, 7)) == 0:
            amounts[0 if draw(st.booleans()) else 3] = [1, 0]
        batch, h, w, c = (size + sum(amount) for size, amount in zip((batch, h, w, c), amounts))
        t = chain.pad(t, amounts)
        if draw(st.integers(0, 5)) == 0:
            outputs.append(t)
        k, stride, padding = (
            draw(st.sampled_from([1, 2, 3, 3, 5])),
            draw(st.integers(1, 3)),
            draw(st.sampled_from(["VALID", "VALID", "SAME"])),
        )
        assume(padding == "SAME" or min(h, w) >= k)
        h, w = ((size + stride - 1 if padding == "SAME" else size + stride - k) // stride for size in (h, w))
        if draw(st.booleans()):
            t = chain.depthwise(t, c, k, stride, padding)
            if draw(st.booleans()):
                t = chain.conv(t, c, c)
        else:
            t = chain.conv(t, c, c, k, stride, padding)
    chain.check([*outputs, t], draw(values(shape, dtype)))


@DTYPES
@examples(40)
@given(data=st.data())
def test_joined(dtype: str, data: st.DataObject) -> None:
    """Concatenations of what operators write, of inputs and constants, through RESHAPE, nested, of one tensor twice, and read again."""
    draw = data.draw
    c = draw(st.integers(1, 9))
    shape = (1, draw(st.integers(1, 6)), draw(st.integers(1, 6)), c)
    chain = Chain(draw, dtype, shape)
    head = chain.conv("x", c, c)
    q = chain.m.graph.tensors[head].quantization

    def like() -> str:
        y = chain.output(chain.scale[head])
        chain.m.graph.tensors[y].quantization = q
        return y

    def flat(t: str) -> str:
        chain.m.tensor(f"s{chain.n}", (2,), "int32", np.array([-1, c], np.int32))
        return chain.node("RESHAPE", [t, f"s{chain.n}"], like())

    parts, outputs = [flat(head)], []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv", "sum", "join", "again", "constant", "wide", "kept"]))
        if kind == "conv":
            y = chain.conv("x", c, c)
            chain.m.graph.tensors[y].quantization = q
            chain.scale[y] = chain.scale[head]
            parts.append(flat(y))
        elif kind == "sum":
            parts.append(chain.node("ADD", [parts[0], parts[0]], like(), fused_activation_function="NONE"))
        elif kind == "join":
            parts.append(
                chain.node(
                    "CONCATENATION", [draw(st.sampled_from(parts)), parts[-1]], like(), axis=0, fused_activation_function="NONE"
                )
            )
        elif kind == "again":
            parts.append(parts[draw(st.integers(0, len(parts) - 1))])
        elif kind == "constant":
            n = draw(st.integers(1, 3))
            y = chain.m.tensor(f"c{chain.n}", (n, c), dtype, draw(values((n, c), dtype)))
            chain.n += 1
            chain.m.graph.tensors[y].quantization = q
            parts.append(y)
        elif kind == "wide":
            outputs.append(chain.node("RELU", [parts[-1]], like()))
        else:
            outputs.append(parts[0])
    order = draw(st.permutations(parts))
    outputs.append(chain.node("CONCATENATION", list(order), like(), axis=0, fused_activation_function="NONE"))
    if draw(st.booleans()):
        outputs.append(chain.node("RELU", [outputs.pop()], like()))
    if draw(st.booleans()):
        outputs.append(chain.node("RELU", [parts[-1]], like()))
    chain.check(list(dict.fromkeys(outputs)), draw(values(shape, dtype)))


@DTYPES
@examples(40)
@given(data=st.data())
def test_residual(dtype: str, data: st.DataObject) -> None:
    """Sums of what a convolution writes and of a tensor from before it, from after it, or from another one, read once or more often."""
    draw = data.draw
    batch, h, w, c = draw(st.integers(1, 2)), draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 40))
    chain = Chain(draw, dtype, (batch, h, w, c))
    before: list[str] = ["x"]
    for _ in range(draw(st.integers(1, 4))):
        kind, t = draw(st.sampled_from(["1x1", "3x3", "separable", "late", "wide"])), before[-1]
        late = chain.conv(t, c, c) if kind == "late" and draw(st.booleans()) else None
        if kind == "separable":
            y = chain.conv(chain.depthwise(t, c, 3, 1, "SAME"), c, c)
        else:
            y = chain.conv(t, c, c, 3 if kind == "3x3" else 1)
        if kind == "late" and late is None:
            late = chain.conv(t, c, c)
        if kind == "wide":  # another shape: a constant for each channel
            chain.m.tensor(f"c{chain.n}", (c,), dtype, draw(values((c,), dtype)), chain.scale[y], draw(zeros(dtype)))
            other = f"c{chain.n}"
            chain.scale[other] = chain.scale[y]
        else:
            other = late or draw(st.sampled_from([*before, y]))
        terms = [y, other] if draw(st.booleans()) else [other, y]
        before.append(chain.add(terms[0], terms[1], draw(st.sampled_from(["ADD", "ADD", "SUB"]))))
        if draw(st.integers(0, 5)) == 0:
            before.insert(0, y)  # read again
    outputs = [before[-1]]
    if draw(st.integers(0, 3)) == 0 and before[-2] != "x":
        outputs.append(before[-2])
    chain.check(outputs, draw(values((batch, h, w, c), dtype)))


@DTYPES
@examples(30)
@given(data=st.data())
def test_storage_between_operators(dtype: str, data: st.DataObject) -> None:
    """Convolutions with operators in between that may or may not do with flipped bytes."""
    draw = data.draw
    h, c = draw(st.integers(2, 8)), draw(st.integers(1, 24))
    chain = Chain(draw, dtype, (1, h, h, c))
    t = chain.conv("x", c, c)
    tensors = [t]
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "add", "pool", "max", "concat", "relu", "reshape"]))
        q = chain.m.graph.tensors[t].quantization
        same = {"scale": float(q.scale[0]), "zero": int(q.zero_point[0])} if q else {}
        if kind == "conv":
            t = chain.conv(t, c, c)
        elif kind == "add":
            t = chain.add(t, draw(st.sampled_from(tensors)))
        else:
            chain.n += 1
            y = chain.m.tensor(f"t{chain.n}", (1, 1, 1, 1), dtype, None, **same)
            chain.scale[y] = chain.scale[t]
            if kind in ("pool", "max"):
                t = chain.node("AVERAGE_POOL_2D" if kind == "pool" else "MAX_POOL_2D", [t], y, padding="SAME", stride_w=1, stride_h=1,
                               filter_width=2, filter_height=2, fused_activation_function="NONE")  # fmt: skip
            elif kind == "concat":
                t = chain.node("CONCATENATION", [t, t], y, axis=1, fused_activation_function="NONE")
                h *= 2
                tensors = []
            elif kind == "relu":
                t = chain.node("RELU", [t], y)
            else:
                shape = chain.m.tensor(f"s{chain.n}", (4,), "int32", np.array([1, -1, 1, c], np.int32))
                t = chain.node("RESHAPE", [t, shape], y)
                tensors = []
        tensors.append(t)
    chain.check([t], draw(values((1, chain.m.graph.tensors["x"].shape[1], chain.m.graph.tensors["x"].shape[2], c), dtype)))


@DTYPES
@examples(40)
@given(data=st.data())
def test_functions_of_one_byte(dtype: str, data: st.DataObject) -> None:
    """Chains that become a table, on bytes and through floats, with constants that are one value and some that are not."""
    draw = data.draw
    shape = (1, draw(st.integers(1, 5)), draw(st.integers(1, 70)), draw(st.integers(1, 7)))
    chain = Chain(draw, dtype, shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = limits(dtype)
    t, outputs = "x", []
    for _ in range(draw(st.integers(1, 5))):
        before, kind = t, draw(st.sampled_from(["ADD", "SUB", "MUL", "RELU", "QUANTIZE", "DIV", "CAST"]))
        n = chain.n
        if kind in ("ADD", "SUB", "MUL"):
            size = draw(st.sampled_from([(), (1,), (1, 1, 1, shape[3])]))
            value = rng.integers(low, high + 1, size if draw(st.booleans()) else ()).astype(dtype)
            scale = draw(scales(0.01, 0.1))
            chain.m.tensor(f"c{n}", size, dtype, np.broadcast_to(value, size).copy(), scale, draw(zeros(dtype)))
            y = chain.output(max(chain.scale[t], scale) if kind != "MUL" else chain.scale[t] * scale * 50)
            both = [t, f"c{n}"] if draw(st.booleans()) else [f"c{n}", t]
            t = chain.node(kind, both, y, fused_activation_function=draw(st.sampled_from(["NONE", "RELU"])))
        elif kind in ("RELU", "QUANTIZE"):
            t = chain.node(kind, [t], chain.output(chain.scale[t] * draw(st.sampled_from([1, 0.7, 1.9]))))
        else:
            chain.m.tensor(f"f{n}", (1, 1, 1, 1), "float32")
            chain.node("DEQUANTIZE" if kind == "DIV" else "CAST", [t], f"f{n}")
            floats = f"f{n}"
            if kind == "DIV":
                chain.m.tensor(f"d{n}", (1,), "float32", np.array([draw(st.sampled_from([0.3, 2.0, 7.1]))], np.float32))
                chain.m.tensor(f"g{n}", (1, 1, 1, 1), "float32")
                floats = chain.node("DIV", [floats, f"d{n}"], f"g{n}", fused_activation_function="NONE")
            t = chain.node("QUANTIZE", [floats], chain.output(chain.scale[t] if kind == "DIV" else draw(st.sampled_from([0.9, 1.0]))))  # fmt: skip
        if draw(st.integers(0, 5)) == 0 and before != "x":
            outputs.append(before)  # needs memory of its own
    chain.check([*outputs, t], draw(values(shape, dtype)))


def test_rows_far_apart_need_no_memory_for_those_between() -> None:
    """Three taps, 50 million rows from each other."""
    m = Model()
    m.input("x", (1, 64, 1, 1), "int8", 0.05, 0)
    m.tensor("w", (1, 3, 1, 1), "int8", np.ones((1, 3, 1, 1), np.int8), np.float32(0.01), 0)
    m.tensor("y", (1, 1, 1, 1), "int8", None, 0.05, 0)
    attrs = {
        "padding": "SAME",
        "stride_h": 1,
        "stride_w": 1,
        "depth_multiplier": 1,
        "dilation_w_factor": 1,
        "fused_activation_function": "NONE",
    }
    m.graph.nodes.append(Node("DEPTHWISE_CONV_2D", ["x", "w"], ["y"], {**attrs, "dilation_h_factor": 50_000_000}, "y"))
    m.graph.outputs.append("y")
    it = Interpreter(model_content=m.bytes())
    it.allocate_tensors()
    assert it._memory()["arena"] < 1 << 20
    it.invoke()
