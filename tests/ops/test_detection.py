"""TFLite_Detection_PostProcess against LiteRT's."""

from __future__ import annotations

import numpy as np
import pytest
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder
from ..support import examples, keep, reference, run


@pytest.mark.parametrize("regular", [False, True])
@examples(40)
@given(data=st.data())
def test_detection(regular: bool, data: st.DataObject) -> None:
    draw = data.draw
    boxes, classes, background = draw(st.integers(1, 30)), draw(st.integers(1, 5)), draw(st.integers(0, 1))
    most, a_box = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    options = {
        "max_detections": most, "max_classes_per_detection": a_box, "num_classes": classes, "use_regular_nms": regular,
        "detections_per_class": draw(st.integers(1, 12)), "nms_score_threshold": draw(st.sampled_from([0.0, 0.2, 0.5])), "nms_iou_threshold": draw(st.sampled_from([0.3, 0.6, 1.0])),
        "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": draw(st.sampled_from([5.0, 4.0])),
    }  # fmt: skip
    f = flexbuffers.Builder()
    with f.Map():
        for key, value in options.items():
            f.Key(key)
            {bool: f.Bool, int: f.Int, float: f.Float}[type(value)](value)
    rng = np.random.default_rng(draw(st.integers(0, 10000)))
    x = rng.standard_normal((1, boxes, 4)).astype(np.float32)
    scores = rng.permutation(boxes * (classes + background)).reshape(1, boxes, -1).astype(np.float32) / (
        boxes * (classes + background)
    )
    anchors = np.hstack([rng.uniform(0.2, 0.8, (boxes, 2)), rng.uniform(0.1, 0.6, (boxes, 2))]).astype(np.float32)
    b = Builder()
    t = [b.main.input(x.shape, "float32"), b.main.input(scores.shape, "float32"), b.main.constant(anchors)]
    out = [b.main.tensor(s, "float32") for s in ((1, most * a_box, 4), (1, most * a_box), (1, most * a_box), (1,))]
    b.main.op("TFLite_Detection_PostProcess", t, out, custom=bytes(f.Finish()))
    b.main.outputs(*out)
    keep(b.bytes())
    expected, got = reference(b.bytes(), [x, scores]), run(Interpreter(model_content=b.bytes()), [x, scores])
    assert expected is not None
    n = int(expected[3][0])
    assert got[3][0] == n
    each = 1 if regular else a_box
    there = np.arange(n * each) % each < min(a_box, classes)  # places of a box that has fewer classes stay empty
    for g, e in zip(got[:3], expected[:3]):  # what the reference has behind the last is left from before; edgert has zeros
        np.testing.assert_allclose(g[0, : n * each][there], e[0, : n * each][there], rtol=1e-5, atol=1e-5)
        assert not g[:, n * each :].any()
