"""The real networks: both backends give the same picture, in the memory that was foretold."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import lightsr
from lightsr.engine.backends.footprints import MEASURED, footprint
from lightsr.errors import BackendError, WeightsError
from lightsr.metrics import psnr
from lightsr.networks.registry import list_networks, network_spec
from lightsr.weights.catalogue import Shipped, shipped

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.png"))


def _differ(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """FDIWN-M x2 as safetensors, and as a graph, with random weights."""
    from lightsr.export.onnx import onnx_model
    from lightsr.weights.create import create_network
    from lightsr.weights.files import save_tensors

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    network = create_network("fdiwn-m", 2, None)
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    save_tensors(folder / "w.safetensors", tensors, {"network": "fdiwn-m", "scale": "2"})
    model = onnx_model(cast("Any", network).deploy().eval(), name="fdiwn-m", scale=2)
    (folder / "w.onnx").write_bytes(model.SerializeToString())
    return folder / "w.safetensors", folder / "w.onnx"


def test_files_of_tensors_run_in_torch_and_agree_with_the_graph(
    random_weights: tuple[Path, Path],
) -> None:
    tensors, graph = random_weights
    in_torch = lightsr.Upscaler(scale=None, weights=tensors)
    in_onnxruntime = lightsr.Upscaler(scale=None, weights=graph, backend="onnxruntime")
    backend = in_torch.backend
    assert (backend.name, backend.network, backend.scale) == ("torch", "fdiwn-m", 2)
    assert backend.radius is None
    picture = np.asarray(Image.open(SAMPLES[0]).convert("RGB"))[:33, :40]
    assert _differ(in_torch(picture), in_onnxruntime(picture)) <= 1
    for device in ("cuda", "mps"):
        if device not in {str(torch.accelerator.current_accelerator())}:
            with pytest.raises(BackendError, match=f"no {device} device"):
                lightsr.Upscaler(scale=2, weights=tensors, device=device)


def test_tensors_of_another_network_are_refused(random_weights: tuple[Path, Path]) -> None:
    tensors, _ = random_weights
    for model, scale in (("fdiwn", 2), ("fdiwn-m", 4)):
        with pytest.raises(WeightsError, match=r"w\.safetensors"):
            lightsr.Upscaler(model, scale, weights=tensors)


def test_files_of_tensors_say_what_they_hold(tmp_path: Path) -> None:
    """Without a word of model and scale, and without metadata."""
    from lightsr.weights.create import create_network

    torch.manual_seed(0)
    torch.save(create_network("imdn", 2, None).state_dict(), tmp_path / "w.pth")
    backend = lightsr.Upscaler(weights=tmp_path / "w.pth").backend
    assert (backend.name, backend.network, backend.scale) == ("torch", "imdn", 2)
    torch.save(create_network("srcnn", 3, None).state_dict(), tmp_path / "s.pth")
    with pytest.raises(WeightsError, match=r"s\.pth fits srcnn x2, srcnn x3 and srcnn x4 alike"):
        lightsr.Upscaler(weights=tmp_path / "s.pth")
    with pytest.raises(WeightsError, match="once and for all with `lightsr convert`"):
        lightsr.upscale(np.zeros((4, 4, 3)), width=10, weights=tmp_path / "s.pth")
    picture = np.zeros((4, 5, 3), np.uint8)
    assert lightsr.upscale(picture, 3, weights=tmp_path / "s.pth").shape == (12, 15, 3)


def test_lapsrn_runs_at_x8_whole_and_in_tiles(tmp_path: Path) -> None:
    from lightsr.weights.create import create_network
    from lightsr.weights.files import save_tensors

    torch.manual_seed(0)
    network: Any = create_network("lapsrn", 8, None)
    for name, parameter in network.named_parameters():
        if name.endswith("residual.weight"):  # so that it does more than to smooth
            parameter.data.mul_(0.1)
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    path = tmp_path / "w.safetensors"
    save_tensors(path, tensors, {"network": "lapsrn", "scale": "8"})
    picture = np.asarray(Image.open(SAMPLES[0]).convert("RGB"))[20:68, 20:60]
    whole = lightsr.Upscaler("lapsrn", 8, weights=path, tile="off")(picture)
    assert whole.shape == (48 * 8, 40 * 8, 3)
    with torch.inference_mode():
        batch = torch.from_numpy(picture.transpose(2, 0, 1)[None] / np.float32(255))
        expected = network(batch).clip(0, 1)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(whole - expected).max() <= 0.51
    tiled = lightsr.Upscaler("lapsrn", 8, weights=path, tile=44)(picture)
    assert _differ(tiled, whole) <= 1


@pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)
def test_shipped_weights_agree_on_a_corner_of_every_sample(entry: Shipped) -> None:
    _compare(entry, 48)


@pytest.mark.slow
@pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)
def test_shipped_weights_agree_on_every_sample(entry: Shipped) -> None:
    _compare(entry, 10_000)


def _compare(entry: Shipped, longest: int) -> None:
    options: dict[str, Any] = {"weights": entry.tag, "tile": "off"}
    in_torch = lightsr.Upscaler(entry.network, entry.scale, backend="torch", **options)
    in_onnxruntime = lightsr.Upscaler(entry.network, entry.scale, backend="onnxruntime", **options)
    in_float32 = lightsr.Upscaler(entry.network, entry.scale, precision="fp32", **options)
    by_default = lightsr.Upscaler(entry.network, entry.scale, **options)
    for path in SAMPLES:
        picture = np.asarray(Image.open(path).convert("RGB"))[:longest, :longest]
        assert _differ(in_torch(picture), in_onnxruntime(picture)) <= 1, path
        assert _differ(in_torch(picture), in_float32(picture)) <= 1, path
        assert psnr(in_torch(picture), by_default(picture)) >= 55, path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")
@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
@pytest.mark.parametrize(
    ("network", "scale"),
    [
        (name, scale)
        for name in list_networks()
        if network_spec(name).trained
        for scale in network_spec(name).scales
    ],
)
def test_memory_models_hold(backend: str, network: str, scale: int, tmp_path: Path) -> None:
    """At a size that was not measured, the peak is below the model's.

    It is not far below either, where the network was measured and is not merely guessed:
    arenas are rounded, and DRCN under torch was seen to take 0.53 to 0.90 of it.
    """
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "memory.py"))
    weights = benchmark["random_weights"](tmp_path, backend, network, scale)
    # DRCN takes a hundred times as long as the others.
    height, width = (64, 80) if network == "drcn" else (160, 256)
    peak = benchmark["peak_in_new_process"](backend, network, scale, weights, height, width)
    foretold = footprint(backend, network, scale).bytes(1, height, width)
    assert peak <= foretold
    if (backend, network, scale) in MEASURED:
        assert peak >= 0.4 * foretold
