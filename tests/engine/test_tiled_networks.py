"""Tiles of every network of the library against the whole picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lightsr
from lightsr.engine.backends.precision import psnr
from lightsr.engine.samples import to_float
from lightsr.images.reading import read_picture
from lightsr.networks.registry import list_networks, network_spec

torch = pytest.importorskip("torch")

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "astronaut.png"
TILE = 64
LEAST_PSNR = 55
GREY_LEVEL = 1 / 255


SLOW = ("drcn", "drcn-f96d9", "fdiwn-m")
NETWORKS = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
    for name in list_networks()
    if network_spec(name).trained
]


def _random(name: str) -> tuple[Any, int]:
    """Return a network at its smallest scale with random weights, and that scale."""
    from lightsr.networks.build import create_network

    torch.manual_seed(0)
    scale = network_spec(name).scales[0]
    return create_network(name, scale), scale


def _picture(height: int, width: int) -> NDArray[np.float32]:
    samples = to_float(np.asarray(read_picture(SAMPLE).samples))
    return np.ascontiguousarray(samples[40 : 40 + height, 60 : 60 + width])


def _compare(weights: Path, backend: str) -> None:
    radius = lightsr.Upscaler(weights=weights, backend=backend).backend.radius
    if radius is None:
        tile, picture = TILE, _picture(72, 90)
    else:
        tile = max(2 * radius, 12) + 6
        picture = _picture(tile + 3, tile + 5)
    whole, tiled = (
        lightsr.Upscaler(weights=weights, backend=backend, precision="fp32", tile=cut)(picture)
        for cut in ("off", tile)
    )
    assert whole.std() > 1e-3
    if radius is None:
        assert psnr(tiled, whole) >= LEAST_PSNR
    else:
        assert np.abs(tiled - whole).max() <= GREY_LEVEL


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_agree_with_the_whole(name: str, tmp_path: Path) -> None:
    from lightsr.weights.files import save_tensors

    network, scale = _random(name)
    tensors = {key: value.numpy() for key, value in network.state_dict().items()}
    save_tensors(tmp_path / "w.safetensors", tensors, {"network": name, "scale": str(scale)})
    _compare(tmp_path / "w.safetensors", "torch")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_of_a_graph_agree_with_the_whole(name: str, tmp_path: Path) -> None:
    """On the backend that is taken by default, fused where it can run the network."""
    from lightsr.export.onnx import export_onnx

    network, scale = _random(name)
    export_onnx(network, tmp_path / "w.onnx", name=name, scale=scale)
    _compare(tmp_path / "w.onnx", "auto")
