"""PyTorch models: a module, an exported program, a `.pt2` file. Torch is too large for every test environment: skipped without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgert.converters import passes
from edgert.converters.importers import load

from edgert import ConversionError

from ..support import run_graph


def test_modules_programs_and_files(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.norm = torch.nn.BatchNorm2d(8)
            self.head = torch.nn.Linear(8, 4)
            self.memory = torch.nn.GRU(8, 5, batch_first=True)

        def forward(self, x):  # type: ignore[no-untyped-def]
            y = torch.relu(self.norm(self.conv(x)))
            steps, _ = self.memory(y.flatten(2).transpose(1, 2)[:, :6])
            return self.head(y.mean((2, 3))), steps

    model, x = Network().eval(), torch.randn(1, 3, 16, 16)
    program = torch.export.export(model, (x,))
    torch.export.save(program, tmp_path / "m.pt2")
    expected = [v.detach().numpy() for v in model(x)]
    for source, shapes in ((tmp_path / "m.pt2", None), (program, None), (model, {"x": [1, 3, 16, 16]})):
        graph = passes.run(load(source, shapes=shapes))
        for a, b in zip(run_graph(graph, [x.numpy()]), expected):
            np.testing.assert_allclose(a.reshape(b.shape), b, rtol=1e-4, atol=1e-5)


def test_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(b"\x80\x02.")
    with pytest.raises(ConversionError, match=r"m\.pt"):
        load(tmp_path / "m.pt")
