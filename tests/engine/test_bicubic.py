"""The baseline through the engine: without weights, and without torch."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lightsr
from lightsr.engine.backends.bicubic import BicubicBackend
from lightsr.errors import BackendError, UserError, WeightsError
from lightsr.images.resize import imresize


def picture(height: int, width: int, channels: int = 3) -> np.ndarray[Any, np.dtype[np.uint8]]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_it_is_matlabs_on_floats(scale: int) -> None:
    image = picture(9, 14).astype(np.float64) / 255
    wanted = imresize(image, scale=scale).clip(0, 1)
    np.testing.assert_allclose(lightsr.upscale(image, scale, model="bicubic"), wanted, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_matlabs_on_integers_to_the_last_sample(scale: int, kind: Any, channels: int) -> None:
    image = np.random.default_rng(1).integers(0, np.iinfo(kind).max + 1, (31, 24, channels), kind)
    wanted = imresize(image, scale=scale)
    assert np.array_equal(lightsr.upscale(image, scale, model="bicubic"), wanted)
    upscaler = lightsr.Upscaler("bicubic", scale, tile=16)
    assert np.array_equal(upscaler(image), wanted)
    floats = np.asarray(image / np.iinfo(kind).max, np.float32)
    together = upscaler.batch([image, image[::-1], floats, image])
    assert np.array_equal(together[1], imresize(image[::-1], scale=scale))
    assert np.array_equal(together[3], wanted)
    assert together[2].dtype == np.float32
    once = (together[2].astype(np.float64) * np.iinfo(kind).max + 0.5).astype(kind)
    assert (once != wanted).any()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiles_and_torch_agree(channels: int) -> None:
    image = picture(41, 50, channels)
    whole = lightsr.upscale(image, 3, model="bicubic")
    assert whole.shape == (123, 150, channels)
    assert np.array_equal(lightsr.upscale(image, 3, model="bicubic", tile=16), whole)
    floats = image.astype(np.float32) / np.float32(255)
    unrounded = lightsr.upscale(floats, 3, model="bicubic")
    by_torch = lightsr.upscale(floats, 3, model="bicubic", backend="torch")
    np.testing.assert_allclose(by_torch, unrounded, atol=2e-6)


def test_sizes_and_the_scale_left_out() -> None:
    image = picture(10, 20)
    assert lightsr.upscale(image, model="bicubic").shape == (40, 80, 3)
    assert lightsr.upscale(image, model="bicubic", width=50).shape == (25, 50, 3)
    assert lightsr.upscale(image, model="bicubic", height=75).shape == (75, 150, 3)


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy, lightsr\n"
        "print(lightsr.Upscaler('bicubic', 2)(numpy.zeros((4, 5), numpy.uint8)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(8, 10)", done.stderr


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_memory_is_as_foretold(kind: Any) -> None:
    backend = BicubicBackend("bicubic", 4).for_samples(np.dtype(kind))
    batch = np.zeros((2, 3, 200, 300), np.float32)
    tracemalloc.start()
    backend.run(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * backend.peak_bytes(2, 200, 300) < peak <= backend.peak_bytes(2, 200, 300)


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bicubic has no scale x5; it comes in x2, x3, x4, x8"):
        lightsr.Upscaler("bicubic", 5)
    for weights in ("psnr", tmp_path / "w.pth"):
        with pytest.raises(WeightsError, match="bicubic has nothing to learn and takes no weights"):
            lightsr.Upscaler("bicubic", 2, weights=weights)
        with pytest.raises(WeightsError, match="bicubic has nothing to learn and takes no weights"):
            lightsr.create_network("bicubic", 2, weights)
    with pytest.raises(BackendError, match="by numpy or torch; use --backend auto or torch"):
        lightsr.Upscaler("bicubic", 2, backend="onnxruntime")
    with pytest.raises(BackendError, match="in fp32, not in bf16"):
        lightsr.Upscaler("bicubic", 2, precision="bf16")
