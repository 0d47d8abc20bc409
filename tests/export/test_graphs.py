"""Exported graphs equal their networks, for every network that has no such test of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from networks.tester import noise, perturbed

from lightsr.export.onnx import export_onnx
from lightsr.networks.build import create_network


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    "name",
    [
        *("imdn", "carn", "carn-m", "rfdn", "e-rfdn", "ecbsr-m4c8", "ecbsr-m10c32"),
        *("idn-rgb", "idn-tf"),
    ],
)
def test_graph_equals_the_network(name: str, scale: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = perturbed(create_network(name, scale)).eval()
    path = tmp_path / "network.onnx"
    export_onnx(network, path, name=name, scale=scale)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in ((1, 3, 1, 1), (2, 3, 7, 20), (1, 3, 15, 16), (1, 3, 33, 18)):
        lr = noise(*size)
        with torch.no_grad():
            wanted = network(lr).numpy()
        sr = np.asarray(session.run(["sr"], {"lr": lr.numpy()})[0])
        np.testing.assert_allclose(sr, wanted, atol=2e-4 * np.abs(wanted).max())
