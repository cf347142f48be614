"""NON_MAX_SUPPRESSION_V4 and V5 against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import EdgertError, Interpreter

from ..build import single
from ..support import assert_same_as_reference, examples


@pytest.mark.parametrize("soft", [False, True])
@examples(60)
@given(data=st.data())
def test_suppression(soft: bool, data: st.DataObject) -> None:
    """Boxes with swapped corners, of no area, and with equal scores too."""
    draw = data.draw
    n, seed = draw(st.integers(1, 40)), draw(st.integers(0, 10000))
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 1, (n, 2)), rng.uniform(0, 0.6, (n, 2)) * (rng.uniform(size=(n, 1)) > 0.1)
    boxes = np.hstack([corner, corner + size]).astype(np.float32)
    swapped = rng.uniform(size=n) > 0.8
    boxes[swapped] = boxes[swapped][:, [2, 1, 0, 3]]
    scores = rng.uniform(0, 1, n).astype(np.float32)
    if draw(st.booleans()):
        scores = np.round(scores * 6) / 6
    sigma = [np.float32(draw(st.sampled_from([0.0, 0.3, 0.7])))] if soft else []
    limits = [
        np.int32(draw(st.integers(0, n + 3))),
        np.float32(draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))),
        np.float32(draw(st.sampled_from([-1.0, 0.1, 0.5]))),
    ]
    inputs = [boxes, scores.astype(np.float32), *limits, *sigma]
    constant = tuple(range(2, len(inputs))) if draw(st.booleans()) else ()
    outputs = ["int32", "float32", "int32"] if soft else ["int32", "int32"]
    content, given_inputs = single("NON_MAX_SUPPRESSION_V5" if soft else "NON_MAX_SUPPRESSION_V4", inputs, outputs, constant)
    assert_same_as_reference(content, given_inputs, draw(st.sampled_from([1, 2])))


def test_boxes_that_do_not_go_with_scores() -> None:
    inputs = [np.zeros((3, 4), np.float32), np.zeros(2, np.float32), np.int32(1), np.float32(0.5), np.float32(0)]
    content, _ = single("NON_MAX_SUPPRESSION_V4", inputs, ["int32", "int32"])
    with pytest.raises((EdgertError, RuntimeError, ValueError), match="2 scores"):
        Interpreter(model_content=content).allocate_tensors()
