from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from lightsr.errors import LightsrError
from lightsr.export.onnx import export_onnx, onnx_model
from lightsr.networks.build import create_network


def test_graph_tells_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export_onnx(create_network("fdiwn-m", 2), path, name="fdiwn-m", scale=2)
    model = onnx.load(path)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told == {"lightsr.network": "fdiwn-m", "lightsr.scale": "2"}
    assert [value.name for value in model.graph.input] == ["lr"]
    assert [value.name for value in model.graph.output] == ["sr"]


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft2(x).real


def test_unknown_operators_are_named() -> None:
    with pytest.raises(LightsrError, match="fft"):
        onnx_model(Unknown(), name="unknown", scale=2)


class Wrong(nn.Module):
    """Computes something else each time, as no graph can."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(LightsrError, match="differs from torch"):
        export_onnx(Wrong(), tmp_path / "wrong.onnx", name="wrong", scale=1)
    assert not list(tmp_path.iterdir())
