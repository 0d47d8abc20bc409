"""Tiles with one set of statistics, and smaller ones when memory runs out."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import Graph
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import lightsr
from lightsr.engine import pieces, tiles
from lightsr.engine.backends.base import Tunable
from lightsr.engine.backends.choose import at_hand
from lightsr.engine.backends.onnx_statistics import variants
from lightsr.engine.pieces import sample
from lightsr.errors import LightsrError
from lightsr.images.picture import Picture

ROOT = Path(__file__).resolve().parents[2]
Pixels = NDArray[Any]


def _uneven(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """A picture whose left half is dark and flat and whose right half is bright and rough."""
    random = np.random.default_rng(0)
    picture = random.integers(0, 40, (height, width, channels), np.uint8)
    picture[:, width // 2 :] = random.integers(100, 256, (height, width - width // 2, channels))
    return picture


def _psnr(one: Pixels, other: Pixels) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


class Failing:
    """A backend that repeats samples, and has memory for `most` LR pixels only."""

    name, network, device, precision, scale = "failing", "none", "cpu", "fp32", 2

    def __init__(self, most: int, radius: int | None = 1) -> None:
        self.most, self.radius = most, radius
        self.sizes: list[tuple[int, int]] = []

    def run(self, batch: Any) -> Any:
        self.sizes.append(batch.shape[2:])
        if batch[0, 0].size * len(batch) > self.most:
            raise MemoryError
        return batch.repeat(2, 2).repeat(2, 3)

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        return 0

    def free_bytes(self) -> int | None:
        return None


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 200), width=st.integers(1, 200), most=st.integers(1100, 30_000),
    radius=st.sampled_from([1, 4, None]), tile=st.sampled_from(["off", 100, 64]),
    channels=st.integers(1, 4),
)  # fmt: skip
def test_smaller_tiles_give_the_same_picture(
    height: int, width: int, most: int, radius: int | None, tile: Any, channels: int
) -> None:
    picture = _uneven(height, width, channels)
    picture[..., -1] |= 1  # what is invisible has no colour of its own
    up = lightsr.Upscaler(backend=Failing(most, radius), tile=tile)
    np.testing.assert_array_equal(up(picture), picture.repeat(2, 0).repeat(2, 1))


def test_finished_bands_are_kept_and_the_user_is_told(caplog: pytest.LogCaptureFixture) -> None:
    picture = Picture.from_array(_uneven(300, 100), source="large.png")
    backend = Failing(100_000)
    up = lightsr.Upscaler(backend=backend, tile=100)
    steps: list[tuple[int, int]] = []
    bands = up.upscale_picture(picture, progress=lambda *step: steps.append(step))
    with caplog.at_level(logging.WARNING, "lightsr"):
        rows = [next(bands)]
        backend.most = 3_000
        rows += list(bands)
    np.testing.assert_array_equal(np.concatenate(rows), picture.samples.repeat(2, 0).repeat(2, 1))
    # The first band was made once, the second tried once.
    assert backend.sizes[:2] == [(77, 100)] * 2
    assert all(max(size) <= 50 for size in backend.sizes[2:])
    assert caplog.messages == [
        "large.png: memory ran out; it goes on in tiles of at most 50x50",
    ]
    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert steps[-1][0] == steps[-1][1]


def test_a_few_halvings_are_enough(caplog: pytest.LogCaptureFixture) -> None:
    backend = Failing(10)
    with pytest.raises(LightsrError, match=r"the array: memory ran out, even in tiles of") as no:
        lightsr.Upscaler(backend=backend, tile="off")(_uneven(2000, 2000))
    assert len(backend.sizes) == pieces.HALVINGS + 1
    assert "\n" not in str(no.value)


def test_a_batch_without_memory_is_done_one_by_one() -> None:
    backend = Failing(1000)
    pictures = [_uneven(20, 30) for _ in range(4)]
    for result in lightsr.Upscaler(backend=backend).batch(pictures):
        np.testing.assert_array_equal(result, pictures[0].repeat(2, 0).repeat(2, 1))
    assert backend.sizes == [(20, 30)] * 5


_SCARCE = """
import resource, sys
import numpy as np, lightsr
network, pixels, megabytes, backend = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4]
up = lightsr.Upscaler(network, 2, tile="off", backend=backend)
up(np.zeros((16, 16, 3), np.uint8))
for line in open("/proc/self/status"):
    if line.startswith("VmSize"):
        held = int(line.split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (held + megabytes * 2**20,) * 2)
picture = np.random.default_rng(0).integers(0, 256, (pixels, pixels, 3), np.uint8)
print(up(picture).shape)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_AS")
@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_a_process_without_memory_goes_on(backend: str) -> None:
    """Whole, the picture would take 600 MB and more; there are 300.

    What torch's allocator and oneDNN keep may leave too little for any tile; that is one line.
    """
    command = [sys.executable, "-c", _SCARCE, "fdiwn", "512", "300", backend]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if backend == "torch" and result.returncode:
        assert "LightsrError: the array: memory ran out, even in tiles of" in result.stderr
    else:
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip() == "(1024, 1024, 3)"
    assert "memory ran out; it goes on in tiles of at most" in result.stderr


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("ensemble", [False, True])
def test_tiles_share_statistics(graph: Graph, channels: int, ensemble: bool) -> None:
    """The dark half must not be taken for a dark picture."""
    picture = _uneven(150, 400, channels)
    options: dict[str, Any] = {"weights": graph(2, kind="global"), "ensemble": ensemble}
    whole = lightsr.Upscaler(**options, tile="off")(picture)
    tiled = lightsr.Upscaler(**options, tile=128)
    shared = tiled(picture)
    assert _psnr(shared, whole) > 55
    tiled.backend.tuned_to = lambda samples: None  # type: ignore[attr-defined]
    assert _psnr(tiled(picture), whole) < 45


def test_the_whole_picture_keeps_its_own_statistics(graph: Graph) -> None:
    up = lightsr.Upscaler(weights=graph(2, kind="global"))
    up.backend.tuned_to = None  # type: ignore[attr-defined]
    assert up(_uneven(30, 40)).shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("name", "precision"), [("onnxruntime", "fp32"), ("fused", "fp32"), ("fused", "bf16")]
)
def test_what_is_pooled_is_that_of_one_picture(graph: Graph, name: str, precision: str) -> None:
    if precision not in at_hand().get(name, ()):
        pytest.skip(f"there is no {name} backend in {precision} here")
    path = graph(2, kind="global")
    backend = lightsr.Upscaler(weights=path, backend=name, precision=precision).backend
    assert isinstance(backend, Tunable)
    random = np.random.default_rng(0)
    whole = random.random((1, 3, 20, 30), np.float32) * np.linspace(0, 1, 30, dtype=np.float32)
    halves = np.concatenate([whole[..., :15], whole[..., 15:]])
    for samples in ([halves], [halves[:1], halves[1:]]):
        run = backend.tuned_to(samples)
        assert run is not None
        np.testing.assert_allclose(run(whole), backend.run(whole), atol=1e-6, rtol=1e-5)
    own = backend.tuned_to([halves[:1]])
    assert own is not None
    assert np.abs(own(whole) - backend.run(whole)).max() > 0.01


def test_graphs_without_statistics_have_no_variants(graph: Graph) -> None:
    assert variants(graph(2).read_bytes()) is None
    backend = lightsr.Upscaler(weights=graph(2)).backend
    assert isinstance(backend, Tunable)
    assert backend.tuned_to([np.zeros((1, 3, 8, 8), np.float32)]) is None
    with pytest.raises(ValueError, match="number"):
        variants(b"\xff\xff")


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 1000), width=st.integers(1, 1000), side=st.integers(32, 400))
def test_samples_are_spread_and_no_larger_than_a_tile(height: int, width: int, side: int) -> None:
    picture = np.broadcast_to(np.uint8(0), (height, width, 1))
    samples = sample(picture, side * side)
    patches = sum(len(one) for one in samples)
    area = samples[0].shape[1] * samples[0].shape[2]
    for one in samples:
        assert len(one) == 1 or one[..., 0].size <= side * side
    assert patches <= 2 * pieces.MOST_PATCHES
    assert patches * area >= min(height * width, pieces.LEAST_PATCHES * area) * 0.2


NETWORKS = ("imdn", "madnet", pytest.param("fdiwn-m", marks=pytest.mark.slow))


@pytest.fixture(scope="module", params=NETWORKS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A network with random weights in torch, and as a graph."""
    torch = pytest.importorskip("torch")
    from lightsr.export.onnx import onnx_model
    from lightsr.weights.create import create_network
    from lightsr.weights.files import save_tensors

    name = request.param
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    network: Any = create_network(name, 2, None)
    tensors = {key: value.numpy() for key, value in network.state_dict().items()}
    save_tensors(folder / "w.safetensors", tensors, {"network": name, "scale": "2"})
    model = onnx_model(network.deploy().eval(), name=name, scale=2)
    (folder / "w.onnx").write_bytes(model.SerializeToString())
    kinds = [("w.safetensors", "torch"), ("w.onnx", "onnxruntime")]
    if "fused" in at_hand() and name != "madnet":  # It has dilated convolutions.
        kinds.append(("w.onnx", "fused"))
    return [
        lightsr.Upscaler(weights=folder / file, backend=kind, precision="fp32").backend
        for file, kind in kinds
    ]


def test_all_backends_pool_alike(both: list[Any]) -> None:
    """Each level of a real network, whose first pooled statistic changes all that follow."""
    random = np.random.default_rng(1)
    parts = [random.random((2, 3, 12, 14), np.float32) * factor for factor in (0.3, 1)]
    picture = random.random((1, 3, 18, 20), np.float32)
    in_torch, *elsewhere = (backend.tuned_to(parts)(picture) for backend in both)
    for enlarged in elsewhere:
        np.testing.assert_allclose(enlarged, in_torch, atol=1e-4, rtol=0)
    assert np.abs(in_torch - both[0].run(picture)).max() > 1e-5
    # A picture that is its own sample is itself.
    for backend in both:
        alone = backend.tuned_to([picture])(picture)
        np.testing.assert_allclose(alone, backend.run(picture), atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("shard", [0, 1, 2])
def test_tiles_of_the_flagship_come_within_55_db(assets: Path, shard: int) -> None:
    """On photographs, too large to be sampled wholly, with the weights that are shipped."""
    from PIL import Image

    path = sorted((assets / "data" / "train" / f"shard{shard}").glob("*.jpg"))[7]
    picture = np.asarray(Image.open(path).convert("RGB"))[:600, :800]
    whole = lightsr.Upscaler("fdiwn", 2, tile="off")(picture)
    tiled = lightsr.Upscaler("fdiwn", 2, tile=256)(picture)
    assert _psnr(tiled, whole) >= 55


def test_tiles_of_a_row_share_the_plan_of_the_rest() -> None:
    """Whatever was finished, the rest begins there and ends where the picture does."""
    for height, first, side, radius in ((100, 33, 40, 3), (100, 99, 32, None), (50, 1, 64, 8)):
        rest = tiles.plan_rest(height, 70, side, radius, first)
        assert rest.rows[0].first == first
        assert rest.rows[-1].last == height
        assert rest.rows[0].start <= max(0, first - (1 if radius is None else radius))
        assert max(rest.tile_size) <= side
