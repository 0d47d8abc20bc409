from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import Graph
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import lightsr
from lightsr.engine import upscaler as upscaler_module
from lightsr.engine.fit import Fit
from lightsr.engine.sizes import covering_scale, wanted_size
from lightsr.errors import LightsrError, PictureError, UserError
from lightsr.images.picture import Picture
from lightsr.images.resize import imresize

SHAPES = [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1, 3), (1, 9, 3), (9, 1, 4)]
DTYPES = [np.uint8, np.uint16, np.float16, np.float32, np.float64]


def _picture(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> NDArray[Any]:
    floats = np.random.default_rng(seed).random(shape)
    if np.dtype(dtype).kind == "f":
        return floats.astype(dtype)
    return np.round(floats * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture
def nearest(graph: Graph) -> lightsr.Upscaler:
    return lightsr.Upscaler(scale=2, weights=graph(2, kind="nearest"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_arrays_keep_kind_and_samples(
    nearest: lightsr.Upscaler, shape: tuple[int, ...], dtype: Any
) -> None:
    array = _picture(shape, dtype)
    if len(shape) == 3 and shape[2] in (2, 4):
        array[..., -1] = np.maximum(array[..., -1], array.dtype.type(1) / 100 or 1)
    before = array.copy()
    result = nearest(array)
    assert result.dtype == array.dtype
    expected = array.repeat(2, 0).repeat(2, 1)
    assert result.shape == expected.shape
    # Half of the multiplications (see `fused/winograd.py`) is worth a float's last bits.
    np.testing.assert_allclose(result, expected, atol=5e-7, rtol=0)
    np.testing.assert_array_equal(array, before)


def test_sixteen_bits_are_real(graph: Graph) -> None:
    """Samples that 8 bits cannot tell apart stay apart."""
    array = np.linspace(30000, 30200, 64, dtype=np.uint16).reshape(8, 8, 1).repeat(3, 2)
    result = lightsr.upscale(array, 2, weights=graph(2))
    assert len(np.unique(result[2:-2, 2:-2])) > 50


def test_colour_under_nothing_does_not_show(graph: Graph) -> None:
    """A white disc on invisible black: every pixel that is seen at all stays white."""
    y, x = np.mgrid[-8:8, -8:8]
    array = np.zeros((16, 16, 4), np.uint8)
    array[y**2 + x**2 < 30] = 255
    result = lightsr.upscale(array, 2, weights=graph(2))
    seen = result[2:-2, 2:-2][result[2:-2, 2:-2, 3] > 0]
    assert seen[:, :3].min() >= 254
    assert result[16, 16, 3] == 255
    assert result[0, 0, 3] == 0


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 70), width=st.integers(1, 70), tile=st.integers(16, 40),
    channels=st.integers(1, 4),
)  # fmt: skip
def test_tiles_of_a_local_network_equal_the_whole(
    graph: Graph, height: int, width: int, tile: int, channels: int
) -> None:
    array = _picture((height, width, channels), np.uint16)
    backend = lightsr.Upscaler(scale=2, weights=graph(2)).backend
    backend.radius = 1  # fdiwn's, whose name the graph goes by, is unbounded
    whole = lightsr.Upscaler(backend=backend, tile="off")(array)
    tiled = lightsr.Upscaler(backend=backend, tile=tile)(array)
    # The runtime may sum in another order for another width.
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1


def test_memory_decides_between_whole_and_tiles(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upscaler_module, "available_memory", lambda: 2 * 10**9)
    array = _picture((300, 200, 3), np.uint8)
    steps: list[tuple[int, int]] = []

    def tiles_with(memory: str | None) -> int:
        steps.clear()
        caplog.clear()
        up = lightsr.Upscaler(scale=2, weights=graph(2), memory=memory)
        up.backend.peak_bytes = lambda batch, height, width: 10_000 * batch * height * width  # type: ignore[method-assign]
        picture = Picture.from_array(array, source="large.png")
        list(up.upscale_picture(picture, progress=lambda *step: steps.append(step)))
        return steps[-1][1]

    assert tiles_with(None) == 1
    assert not caplog.records
    monkeypatch.setattr(upscaler_module, "available_memory", lambda: 400 * 10**6)
    with caplog.at_level(logging.WARNING, "lightsr"):
        count = tiles_with(None)
    assert count > 4
    assert caplog.messages == [
        f"large.png: 200x300 does not fit into 191 MB whole; done in {count} tiles, which for a "
        f"network with global statistics differs slightly from whole-image inference"
    ]
    monkeypatch.setattr(upscaler_module, "used_memory", lambda: 10**9)
    assert tiles_with("2G") == 1
    assert tiles_with(str(10**9 + 200 * 10**6)) >= count
    with pytest.raises(UserError, match=r"large\.png: 954 MB of memory is too little"):
        tiles_with(str(10**9))


def test_memory_and_tiles_are_checked_first(graph: Graph) -> None:
    with pytest.raises(UserError, match="amount of memory"):
        lightsr.Upscaler(weights=graph(4), memory="much")
    for tile in ("some", 0, -5):
        with pytest.raises(UserError, match="tile must be"):
            lightsr.Upscaler(weights=graph(4), tile=tile)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="too small"):
        lightsr.Upscaler(weights=graph(4), tile=3)(_picture((9, 9), np.uint8))


def test_a_batch_equals_its_pictures_alone(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    up = lightsr.Upscaler(scale=2, weights=graph(2, kind="global"))
    shapes = [(9, 8, 3), (5, 6), (9, 8, 3), (9, 8, 3), (9, 8, 4), (9, 8, 3)]
    pictures = [_picture(shape, np.uint8, seed) for seed, shape in enumerate(shapes)]
    alone = [up(picture) for picture in pictures]
    batches: list[int] = []
    run = up.backend.run

    def counting(batch: Any) -> Any:
        batches.append(len(batch))
        return run(batch)

    monkeypatch.setattr(up.backend, "run", counting)
    for one, other in zip(alone, up.batch(pictures), strict=True):
        np.testing.assert_array_equal(one, other)
    assert sorted(batches) == [1, 1, 1, 4]
    assert up.batch([]) == []


@pytest.mark.parametrize("tile", ["auto", 20])
def test_eight_threads_share_an_upscaler(graph: Graph, tile: Any) -> None:
    """Whole and in tiles, whose statistics are each picture's own."""
    up = lightsr.Upscaler(scale=2, weights=graph(2, kind="global"), tile=tile)
    pictures = [
        _picture((40 + seed % 3, 39, 3), np.uint8, seed) // (1 + seed) for seed in range(24)
    ]
    alone = [up(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(up, pictures))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_ensemble_turns_and_averages(graph: Graph) -> None:
    options: dict[str, Any] = {"scale": 2, "weights": graph(2), "ensemble": True}
    up = lightsr.Upscaler(**options)
    array = _picture((6, 9, 3), np.float32)
    np.testing.assert_allclose(up(array[::-1]), up(array)[::-1], atol=1e-6)
    turned = array.swapaxes(0, 1)
    np.testing.assert_allclose(up(turned), up(array).swapaxes(0, 1), atol=1e-6)
    plain = lightsr.Upscaler(scale=2, weights=graph(2))
    assert np.abs(plain(array[::-1]) - plain(array)[::-1]).max() > 0.01


@pytest.mark.parametrize("size", [(11, 15), (14, 21), (10, 28), (40, 30)])
def test_sizes_between_scales_are_reached_by_bicubic(graph: Graph, size: tuple[int, int]) -> None:
    array = _picture((7, 10, 3), np.float32)
    up = lightsr.Upscaler(scale=2, weights=graph(2))
    expected = np.clip(imresize(up(array), size=size), 0, 1)
    result = lightsr.upscale(array, width=size[1], height=size[0], weights=graph(2))
    assert result.shape == (*size, 3)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_beyond_the_largest_scale_there_is_a_notice(
    graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    array = _picture((7, 10, 3), np.uint8)
    with caplog.at_level(logging.WARNING, "lightsr"):
        assert lightsr.upscale(array, width=20, weights=graph(2)).shape == (14, 20, 3)
        assert not caplog.messages
        assert lightsr.upscale(array, width=21, weights=graph(2)).shape == (15, 21, 3)
    assert caplog.messages == ["the array: 21x15 is beyond x2; bicubic does the rest"]


def test_sizes_that_make_no_sense(graph: Graph) -> None:
    array, weights = _picture((7, 10, 3), np.uint8), graph(2)
    with pytest.raises(UserError, match="only enlarges"):
        lightsr.upscale(array, width=9, weights=weights)
    with pytest.raises(UserError, match="10x7 already"):
        lightsr.upscale(array, width=40, height=6, weights=weights)
    with pytest.raises(UserError, match="exclude each other"):
        lightsr.upscale(array, 2, width=40, weights=weights)
    with pytest.raises(UserError, match="at least 1 pixel"):
        lightsr.upscale(array, width=0, weights=weights)


def test_sizes_keep_the_proportions() -> None:
    assert wanted_size((100, 200), 500, None, "x") == (250, 500)
    assert wanted_size((3, 1000), 1500, None, "x") == (5, 1500)  # 4.5 is rounded up
    assert wanted_size((100, 200), None, 101, "x") == (101, 202)
    assert wanted_size((100, 200), None, None, "x") is None
    assert covering_scale((10, 10), (20, 20), (2, 3, 4)) == 2
    assert covering_scale((10, 10), (20, 21), (2, 3, 4)) == 3
    assert covering_scale((10, 10), (90, 20), (2, 4)) == 4


def test_pil_images_give_pil_images(graph: Graph) -> None:
    image = Image.fromarray(_picture((6, 8, 3), np.uint8))
    image.info["icc_profile"] = b"profile"
    up = lightsr.Upscaler(scale=2, weights=graph(2, kind="nearest"))
    result = up(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size) == ("RGB", (16, 12))
    assert result.info["icc_profile"] == b"profile"
    np.testing.assert_array_equal(np.asarray(result), np.asarray(image).repeat(2, 0).repeat(2, 1))


def test_paths_give_pil_images_or_files(graph: Graph, tmp_path: Path) -> None:
    source, target = tmp_path / "bild ü.png", tmp_path / "out" / "big.webp"
    Image.fromarray(_picture((6, 8, 3), np.uint8)).save(source)
    result = lightsr.upscale(source, 2, weights=graph(2))
    assert isinstance(result, Image.Image)
    assert lightsr.upscale(str(source), weights=graph(2), output=target) == target
    assert Image.open(target).size == (16, 12)
    with pytest.raises(PictureError, match="exists already"):
        lightsr.upscale(source, weights=graph(2), output=target)
    lightsr.upscale(source, weights=graph(2), output=target, overwrite=True)


def test_sixteen_bit_colour_needs_a_file(graph: Graph, tmp_path: Path) -> None:
    array = _picture((6, 8, 3), np.uint16)
    source = tmp_path / "deep.png"
    lightsr.upscale(array, weights=graph(2, kind="nearest"), output=source)
    with pytest.raises(PictureError, match=r"deep\.png.*file"):
        lightsr.upscale(source, weights=graph(2))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        (np.zeros((5, 5, 5), np.uint8), "shape"),
        (np.zeros((5,), np.uint8), "shape"),
        (np.zeros((5, 5, 3), np.int64), "int64"),
        (np.zeros((5, 5, 3), bool), "bool"),
        (np.full((5, 5, 3), 255.0), "0..1"),
        (np.full((5, 5), np.nan), "not finite"),
        (b"bytes", "not bytes"),
        (None, "not NoneType"),
        (Path("no/such.png"), "no/such.png does not exist"),
    ],
)
def test_what_is_no_picture(nearest: lightsr.Upscaler, image: Any, message: str) -> None:
    with pytest.raises(PictureError, match=message):
        nearest(image)


def test_a_network_that_fails_names_the_picture(graph: Graph, tmp_path: Path) -> None:
    up = lightsr.Upscaler(scale=2, weights=graph(2, kind="nan"))
    picture = Picture.from_array(_picture((16, 16, 3), np.uint8), source="holiday.jpg")
    with pytest.raises(LightsrError, match=r"holiday\.jpg: .*not finite") as caught:
        up.enlarge(picture)
    assert not isinstance(caught.value, UserError)


def test_a_network_without_memory_says_so(
    nearest: lightsr.Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_batch: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(nearest.backend, "run", run)
    with pytest.raises(LightsrError, match="the array: memory ran out"):
        nearest(_picture((4, 4), np.uint8))


def test_a_width_takes_the_smallest_scale_that_covers_it(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With shipped weights of several scales, here two."""
    from lightsr.engine import fit

    made: list[int] = []

    def upscaler(scale: int, **options: Any) -> lightsr.Upscaler:
        made.append(scale)
        return lightsr.Upscaler(scale=scale, weights=graph(scale))

    monkeypatch.setattr(fit, "Upscaler", upscaler)
    monkeypatch.setattr(fit.Choice, "shipped_scales", lambda self: (2, 4))
    either = Fit(None, 30, None, {})
    assert either.scale is None
    small, medium = (Picture.from_array(_picture((5, w, 3), np.uint8)) for w in (10, 15))
    assert made == []
    up, size = either.for_picture(small)
    assert (up.scale, size) == (4, (15, 30))
    up, size = either.for_picture(medium)
    assert (up.scale, size) == (2, (10, 30))
    either.for_picture(small)
    assert made == [4, 2]


_BOUNDED = """
import re, sys
from pathlib import Path
import numpy as np
from lightsr import Upscaler
from lightsr.images.picture import Picture

class Cheap:
    name, network, device, precision, scale = "cheap", "none", "cpu", "fp32", 4
    radius = None
    def run(self, batch):
        return batch.repeat(4, 2).repeat(4, 3)
    def peak_bytes(self, batch, height, width):
        return batch * height * width * 12 * 21
    def free_bytes(self):
        return None

height, width, channels, memory = map(int, sys.argv[1:])
array = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
picture = Picture.from_array(array)
rows = 0
for band in Upscaler(backend=Cheap(), memory=memory).upscale_picture(picture):
    rows += len(band)
assert rows == 4 * height
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures as Linux does")
@pytest.mark.parametrize(
    ("height", "width", "channels", "memory"),
    [
        (700, 4000, 3, 500),
        pytest.param(5500, 7300, 3, 1000, marks=pytest.mark.slow),
        pytest.param(5500, 7300, 4, 1700, marks=pytest.mark.slow),
    ],
)
def test_large_pictures_keep_to_the_memory_given(
    height: int, width: int, channels: int, memory: int
) -> None:
    """Peak of a process, Python and the picture included; whole, it would take several times it."""
    command = [sys.executable, "-c", _BOUNDED, *map(str, (height, width, channels))]
    result = subprocess.run(
        [*command, str(memory * 2**20)], check=True, capture_output=True, text=True
    )
    assert "does not fit into" in result.stderr
    assert int(result.stdout) / 1024 < memory
