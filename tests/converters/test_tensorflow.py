"""SavedModels and frozen graphs. TensorFlow is too large for every test environment: what needs it is skipped without it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from edgert.converters import passes
from edgert.converters.importers import load

from edgert import ConversionError, MissingExtraError, ModelError

from ..support import run_graph


def test_without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(MissingExtraError, match="tensorflow"):
        load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no SavedModel either"):
        load(tmp_path / "empty")


def test_saved_models(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    w = tf.constant(rng.standard_normal((3, 3, 2, 4)).astype(np.float32))

    class Module(tf.Module):  # type: ignore[name-defined,misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 2], tf.float32, name="image")])  # type: ignore[untyped-decorator]
        def __call__(self, image):  # type: ignore[no-untyped-def]
            y = tf.nn.relu6(tf.nn.conv2d(image, w, 2, "SAME"))
            return {"scores": tf.nn.softmax(tf.reduce_mean(y, [1, 2]))}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "model"))
    x = rng.standard_normal((1, 8, 8, 2)).astype(np.float32)
    expected = module(tf.constant(x))["scores"].numpy()
    graph = passes.run(load(tmp_path / "model"))
    assert graph.input_names == ["image"] and graph.tensors[graph.inputs[0]].shape == (1, 8, 8, 2)
    np.testing.assert_allclose(run_graph(graph, [x])[0], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ModelError, match='no input "picture"'):
        load(tmp_path / "model", shapes={"picture": [1, 2, 3, 4]})

    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(module.__call__.get_concrete_function())
    (tmp_path / "f.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    np.testing.assert_allclose(run_graph(load(tmp_path / "f.pb"), [x])[0], expected, rtol=1e-5, atol=1e-6)
    (tmp_path / "bad.pb").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"bad\.pb: TensorFlow cannot read it"):
        load(tmp_path / "bad.pb")


def test_what_tflite_cannot_express(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")

    class Module(tf.Module):  # type: ignore[name-defined,misc]
        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def __call__(self, x):  # type: ignore[no-untyped-def]
            return tf.raw_ops.Betainc(a=x, b=x, x=x)

    tf.saved_model.save(Module(), str(tmp_path / "m"))
    with pytest.raises(ConversionError, match="cannot express it"):
        load(tmp_path / "m")
