"""Whole models that exporters of their time wrote, from the package `onnx`: PyTorch's of 2017 (opset 6), and Caffe2's of the model zoo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgert.converters import passes
from edgert.converters.importers import load
from onnx import numpy_helper

from edgert import ConversionError

from ..support import run_graph

DATA = Path(onnx.__file__).parent / "backend/test/data"
OLD = sorted(DATA.glob("pytorch-*/*/model.onnx"))
# Grouped in three dimensions; and values of a double's size that are no numbers of 32 bits.
REFUSED = {"test_Conv3d_groups"}
NO_FLOATS = {
    "test_operator_add_broadcast", "test_operator_add_size1_right_broadcast", "test_operator_add_size1_singleton_broadcast",
    "test_operator_addconstant",
}  # fmt: skip


def values(folder: Path, what: str) -> list[np.ndarray]:
    files = sorted(folder.glob(f"test_data_set_0/{what}_*.pb"), key=lambda p: int(p.stem.split("_")[-1]))
    return [numpy_helper.to_array(onnx.load_tensor(str(p))) for p in files]


def test_what_pytorch_wrote_before_opset_7() -> None:
    assert len(OLD) > 100
    for path in OLD:
        name = path.parent.name
        if name in REFUSED:
            with pytest.raises(ConversionError, match="not supported"):
                load(path)
            continue
        found = run_graph(passes.run(load(path)), values(path.parent, "input"))
        for f, e in zip(found, values(path.parent, "output")):
            if name not in NO_FLOATS:
                np.testing.assert_allclose(f.reshape(e.shape), e, atol=1e-4 * max(1e-9, float(np.abs(e).max())), err_msg=name)


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1", "resnet50"])
def test_what_caffe2_wrote(name: str, tmp_path: Path) -> None:
    """The package has these without their weights, which are drawn here; OpenCV runs the same file."""
    cv2 = pytest.importorskip("cv2")
    model, rng = onnx.load(DATA / f"light/light_{name}.onnx"), np.random.default_rng(0)
    assert model.producer_name == "onnx-caffe2"
    shapes = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            kept.append(node)
            continue
        shape = [int(n) for n in shapes[node.input[0]]]
        drawn = (
            np.abs(rng.standard_normal(shape)) * 0.3 + 0.5
            if len(shape) == 1
            else rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        )
        model.graph.initializer.append(numpy_helper.from_array(drawn.astype(np.float32), node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    # All values of the network, up to what the last operator (a softmax) makes of them, to be compared.
    last = model.graph.node[-1]
    if last.op_type == "Softmax":
        model.graph.output[0].name = last.input[0]
        del model.graph.node[-1]
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    x = rng.uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(x)
    expected = np.asarray(net.forward())
    (found,) = run_graph(passes.run(load(path)), [x])
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-4 * float(np.abs(expected).max()))
    assert float(np.std(expected)) > 1e-3 * float(np.abs(expected).max())
