"""Caffe networks: what they compute, beside OpenCV, which reads them as well; and damaged ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgert.converters import passes
from edgert.converters.convert import convert
from edgert.converters.importers import load
from edgert.converters.importers.caffe.messages import FormatError, parse_text, read_weights
from hypothesis import given
from hypothesis import strategies as st

from edgert import ConversionError, ModelError

from ..support import examples, reference, run, run_graph
from .caffe_files import classifier, write

if not hasattr(cv2.dnn, "readNetFromCaffe"):
    pytest.skip("OpenCV 5 reads Caffe no more", allow_module_level=True)


def opencv(path: Path, x: np.ndarray, output: str = "") -> np.ndarray:
    net = cv2.dnn.readNetFromCaffe(str(path), str(path.with_suffix(".caffemodel")))
    net.setInput(x)
    return np.asarray(net.forward(output) if output else net.forward())


def small(folder: Path) -> Path:
    text, blobs = classifier(np.random.default_rng(0))
    return write(folder, text, blobs)


def test_a_classifier_equals_opencv(tmp_path: Path) -> None:
    path = small(tmp_path)
    graph = load(path)
    assert graph.channels_first and graph.tensors["data"].shape == (1, 3, 29, 27) and graph.output_names == ["prob"]
    x = np.random.default_rng(1).standard_normal((1, 3, 29, 27)).astype(np.float32)
    expected = opencv(path, x)
    (found,) = run_graph(graph, [x])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    passes.optimize(graph)
    assert sum(n.op == "TRANSPOSE" for n in graph.nodes) <= 1, "but for what flattens to rows of channels"
    (last,) = run_graph(graph, [x.transpose(0, 2, 3, 1)])
    np.testing.assert_allclose(last.reshape(-1), expected.reshape(-1), rtol=1e-4, atol=1e-6)
    text = path.read_text()
    path.write_text(
        text + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" include { phase: TRAIN } }'
    )
    assert load(path).output_names == ["prob"], "what only a training has is left out"
    assert np.allclose(run_graph(load(path.with_suffix(".caffemodel")), [x])[0], found), "either file will do"


def test_a_classifier_in_int8_has_the_bytes_of_litert(tmp_path: Path) -> None:
    path = small(tmp_path)
    rng = np.random.default_rng(1)
    r = convert(path, [rng.standard_normal((29, 27, 3)).astype(np.float32) for _ in range(20)])
    x = rng.integers(-128, 128, (1, 29, 27, 3)).astype(np.int8)
    from edgert import Interpreter

    expected = reference(r.model, [x])
    assert expected is not None and r.channels_last == ("data",)
    for a, b in zip(run(Interpreter(model_content=r.model), [x]), expected):
        np.testing.assert_array_equal(a, b)


LAYERS = {
    "max_ceil": 'type: "Pooling" pooling_param { pool: MAX kernel_size: 2 stride: 2 pad: 1 }',
    "average_ceil": 'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }',
    "global": 'type: "Pooling" pooling_param { pool: AVE global_pooling: true }',
    "dilated": 'type: "Convolution" convolution_param { num_output: 4 kernel_size: 3 dilation: 2 pad: 2 bias_term: false }',
    "elu": 'type: "ELU"',
    "leaky": 'type: "ReLU" relu_param { negative_slope: 0.1 }',
    "sigmoid": 'type: "Sigmoid"',
    "tanh": 'type: "TanH"',
    "abs": 'type: "AbsVal"',
    "bnll": 'type: "BNLL"',
    "square": 'type: "Power" power_param { power: 2 shift: 0.5 }',
    "exp": 'type: "Exp" exp_param { base: 2 scale: 0.5 shift: 1 }',
    "softmax": 'type: "Softmax" softmax_param { axis: 1 }',
    "flatten": 'type: "Flatten" flatten_param { axis: 1 end_axis: 2 }',
    "reshape": 'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 dim: 2 } }',
    "permute": 'type: "Permute" permute_param { order: 0 order: 2 order: 3 order: 1 }',
    "mvn": 'type: "MVN" mvn_param { across_channels: false eps: 1e-3 }',
    "shuffle": 'type: "ShuffleChannel" shuffle_channel_param { group: 3 }',
}


@pytest.mark.parametrize("name", list(LAYERS))
def test_single_layers(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape: {{ dim: [1, 6, 7, 8] }} }} }}\nlayer {{ name: "it" {LAYERS[name]} bottom: "data" top: "y" }}'
    path = write(tmp_path, text, {"it": [rng.standard_normal((4, 6, 3, 3)) / 7]} if "Convolution" in LAYERS[name] else {})
    x = rng.standard_normal((1, 6, 7, 8)).astype(np.float32)
    expected = opencv(path, x)
    (found,) = run_graph(load(path), [x])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


def test_old_files(tmp_path: Path) -> None:
    """`layers`, types in capitals, and blobs of four dimensions are those of today."""
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((5, 18)), rng.standard_normal(5)
    head = 'input: "data" input_shape { dim: 1 dim: 2 dim: 3 dim: 3 }\n'
    old = (
        head
        + 'layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 5 } blobs_lr: 1 }\nlayers { name: "r" type: RELU bottom: "fc" top: "fc" }'
    )
    new = (
        head
        + 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 5 } }\nlayer { name: "r" type: "ReLU" bottom: "fc" top: "fc" }'
    )
    x = rng.standard_normal((1, 2, 3, 3)).astype(np.float32)
    results = [
        run_graph(load(write(tmp_path, t, {"fc": [w, b]}, legacy, n)), [x])[0]
        for t, legacy, n in ((old, True, "o"), (new, False, "n"))
    ]
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], np.maximum(x.reshape(1, -1) @ w.T + b, 0), rtol=1e-4, atol=1e-5)


def test_bad_networks(tmp_path: Path) -> None:
    text, blobs = classifier(np.random.default_rng(0))

    def message(text: str, blobs: dict = blobs, error: type[Exception] = ConversionError, **options: object) -> str:  # type: ignore[type-arg]
        for f in tmp_path.iterdir():
            f.unlink()
        with pytest.raises(error) as e:
            load(write(tmp_path, text, blobs), **options)  # type: ignore[arg-type]
        return str(e.value)

    assert '"prob" (Reorg)' in message(text.replace('"Softmax" bottom: "fc"', '"Reorg" bottom: "fc"'))
    assert "feeds a training" in message('layer { name: "d" type: "Data" top: "data" top: "label" }' + text)
    assert 'layer "fc" (InnerProduct): the .caffemodel has no weights' in message(
        text, {k: v for k, v in blobs.items() if k != "fc"}
    )
    assert "nothing before it makes" in message(
        text.replace('bottom: "fc" top: "prob"', 'bottom: "fx" top: "prob"'), error=ModelError
    )
    assert "line 3" in message("\n\n!?", error=ModelError)
    path = write(tmp_path, text, blobs)
    path.with_suffix(".caffemodel").write_bytes(path.with_suffix(".caffemodel").read_bytes()[:-100])
    with pytest.raises(ModelError, match="longer than the file"):
        load(path)
    path.with_suffix(".caffemodel").unlink()
    with pytest.raises(ModelError, match="is two files"):
        load(path)
    with pytest.raises(ModelError, match=r"w\.caffemodel: there is no such file"):
        load(path, weights=tmp_path / "w.caffemodel")


@examples(200)
@given(st.data())
def test_damaged_messages(data: st.DataObject) -> None:
    """Any text and any bytes are a message, or an error that says so."""
    text, _ = classifier(np.random.default_rng(0))
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.text(alphabet='{}:"[]<>,.#\n a1-', max_size=3)) + text[at + data.draw(st.integers(0, 3)) :]
    try:
        parse_text(changed)
    except FormatError as e:
        assert str(e)
    raw = data.draw(st.binary(max_size=60))
    try:
        read_weights(raw)
    except FormatError as e:
        assert str(e)
