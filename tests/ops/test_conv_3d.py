"""CONV_3D and CONV_3D_TRANSPOSE against the reference."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ..build import single
from ..support import assert_same_as_reference, examples

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


@examples(40)
@given(data=st.data())
def test_conv_3d(data: st.DataObject) -> None:
    draw = data.draw
    batch, in_c, out_c = draw(st.integers(1, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 9))
    filters, strides = draw(SIZES), draw(SIZES)
    dilations = draw(SIZES) if strides == (1, 1, 1) else (1, 1, 1)
    shape = tuple(draw(st.integers(3, 8)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((batch, *shape, in_c), (*filters, in_c, out_c)))
    b = [rng.standard_normal(out_c).astype(np.float32)] if draw(st.booleans()) else []
    attrs = {f"stride{d}": n for d, n in zip("DHW", strides)} | {f"dilation{d}Factor": n for d, n in zip("DHW", dilations)}
    content, inputs = single(
        "CONV_3D", [x, w, *b], ["float32"], (1, 2),
        padding=draw(st.integers(0, 1)), fusedActivationFunction=draw(st.sampled_from(["NONE", "RELU6"])), **attrs,
    )  # fmt: skip
    assert_same_as_reference(content, inputs, draw(st.sampled_from([1, 3])))


@examples(40)
@given(data=st.data())
def test_conv_3d_transpose(data: st.DataObject) -> None:
    draw = data.draw
    batch, in_c, out_c, same = draw(st.integers(1, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.booleans())
    filters, strides = draw(SIZES), draw(SIZES)
    out = tuple(draw(st.integers(3, 7)) for _ in range(3))
    size = tuple((n + s - 1) // s if same else (n - f) // s + 1 for n, f, s in zip(out, filters, strides))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((batch, *size, in_c), (*filters, out_c, in_c)))
    b = [rng.standard_normal(out_c).astype(np.float32)] if draw(st.booleans()) else []
    content, inputs = single(
        "CONV_3D_TRANSPOSE", [np.array([batch, *out, out_c], np.int32), w, x, *b], ["float32"], (0, 1, 3),
        padding=0 if same else 1, **{f"stride{d}": n for d, n in zip("DHW", strides)}, **{f"dilation{d}Factor": 1 for d in "DHW"},
    )  # fmt: skip
    assert_same_as_reference(content, inputs)
