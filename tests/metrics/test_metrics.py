"""PSNR and SSIM against scikit-image, and the protocol against published figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lightsr.errors import UserError
from lightsr.images.color import rgb_to_luma
from lightsr.images.resize import degrade, imresize, mod_crop
from lightsr.metrics import Score, compare, psnr, ssim

BICUBIC = {2: (33.66, 0.9299), 3: (30.39, 0.8682), 4: (28.42, 0.8104)}
"""The row "Bicubic" of the literature's tables on Set5."""


def noisy_pair(
    height: int, width: int, seed: int, noise: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    smooth = imresize(rng.uniform(0, 255, (8, 8)), size=(height, width))
    return smooth, smooth + rng.normal(0, noise, smooth.shape)


def skimage_ssim(a: NDArray[Any], b: NDArray[Any], peak: float) -> float:
    result: Any = structural_similarity(
        a,
        b,
        win_size=11,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=peak,
        full=True,
    )
    return float(result[1][5:-5, 5:-5].mean())


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(11, 150),
    width=st.integers(11, 60),
    seed=st.integers(0, 2**32),
    noise=st.sampled_from([0.1, 5, 60]),
)
def test_equal_to_scikit_image(height: int, width: int, seed: int, noise: float) -> None:
    a, b = noisy_pair(height, width, seed, noise)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-10)
    assert ssim(a, b) == pytest.approx(skimage_ssim(a, b, 255), abs=1e-10)
    a, b = a / 255, b / 255
    assert psnr(a, b, peak=1) == pytest.approx(
        peak_signal_noise_ratio(a, b, data_range=1), abs=1e-10
    )
    assert ssim(a, b, peak=1) == pytest.approx(skimage_ssim(a, b, 1), abs=1e-10)


def test_integers_do_not_wrap_around() -> None:
    a, b = np.zeros((16, 16), np.uint8), np.full((16, 16), 255, np.uint8)
    assert psnr(a, b) == 0
    assert ssim(a, b) == pytest.approx(0, abs=1e-3)


def test_equal_pictures() -> None:
    a, _ = noisy_pair(30, 30, 0, 1)
    assert psnr(a, a) == math.inf
    assert ssim(a, a) == pytest.approx(1, abs=1e-12)
    picture = a.clip(0, 255).astype(np.uint8)
    assert compare(picture, picture, 4) == Score(math.inf, pytest.approx(1, abs=1e-12))  # pyright: ignore[reportArgumentType]


def test_nan_gives_nan() -> None:
    a, b = noisy_pair(20, 20, 0, 1)
    b[10, 10] = math.nan
    assert math.isnan(psnr(a, b))
    assert math.isnan(ssim(a, b))


def test_protocol_is_luma_inside_the_border() -> None:
    rng = np.random.default_rng(0)
    sr, hr = (rng.integers(0, 256, (30, 40, 3), dtype=np.uint8) for _ in range(2))
    luma_sr, luma_hr = (rgb_to_luma(picture)[3:-3, 3:-3] for picture in (sr, hr))
    assert compare(sr, hr, 3) == Score(psnr(luma_sr, luma_hr), ssim(luma_sr, luma_hr))
    changed = sr.copy()
    changed[:3] = changed[:, -3:] = 0
    assert compare(changed, hr, 3) == compare(sr, hr, 3) != compare(changed, hr, 2)


def test_grey_is_three_equal_channels() -> None:
    rng = np.random.default_rng(0)
    sr, hr = (rng.integers(0, 256, (20, 20), dtype=np.uint8) for _ in range(2))
    expected = compare(np.stack([sr] * 3, axis=-1), np.stack([hr] * 3, axis=-1), 2)
    assert compare(sr, hr, 2) == expected
    assert compare(sr[..., None], hr, 2) == expected
    assert compare(np.stack([sr] * 3, axis=-1), hr, 2) == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_on_set5_gives_the_published_figures(assets: Path, scale: int) -> None:
    """Those were made on luma rounded to 8 bits, resized in floating point, and rounded again."""
    scores: list[Score] = []
    rgb_scores: list[Score] = []
    for file in sorted((assets / "data" / "test" / "Set5" / "HR").glob("*.png")):
        hr = mod_crop(np.asarray(Image.open(file)), scale)
        luma = np.floor(rgb_to_luma(hr) + 0.5)
        sr = imresize(degrade(luma / 255, scale), scale=scale) * 255
        inner = slice(scale, -scale), slice(scale, -scale)
        a, b = np.floor(sr.clip(0, 255) + 0.5)[inner], luma[inner]
        scores.append(Score(psnr(a, b), ssim(a, b)))
        rgb_scores.append(compare(imresize(degrade(hr, scale), scale=scale), hr, scale))
    assert len(scores) == 5
    mean_psnr, mean_ssim = np.mean(scores, axis=0)
    published_psnr, published_ssim = BICUBIC[scale]
    assert mean_psnr == pytest.approx(published_psnr, abs=0.005)
    assert mean_ssim == pytest.approx(published_ssim, abs=0.0001)
    # Resized as RGB of 8 bits, as the networks' inputs are, and on luma not rounded: a hair more.
    rgb_psnr, rgb_ssim = np.mean(rgb_scores, axis=0)
    assert rgb_psnr == pytest.approx(published_psnr, abs=0.015)
    assert rgb_ssim == pytest.approx(published_ssim, abs=0.001)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_shapes_that_differ_are_refused(metric: Any) -> None:
    with pytest.raises(UserError, match=r"\(20, 20\) and \(20, 21\)"):
        metric(np.zeros((20, 20)), np.zeros((20, 21)))


def test_what_cannot_be_measured_is_refused() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(UserError, match="one shape"):
        psnr(np.zeros((0, 4)), np.zeros((0, 4)))
    with pytest.raises(UserError, match="HW of one shape"):
        ssim(picture, picture)
    with pytest.raises(UserError, match="11x11, not 11x10"):
        ssim(np.zeros((10, 11)), np.zeros((10, 11)))
    with pytest.raises(UserError, match="30x20 and 30x19"):
        compare(picture, picture[:19], 2)
    with pytest.raises(UserError, match="30x20 less a border of 5"):
        compare(picture, picture, 5)
    with pytest.raises(UserError, match="border of -1"):
        compare(picture, picture, -1)
    with pytest.raises(UserError, match="float64"):
        compare(picture.astype(np.float64), picture, 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match=r"\(20, 30, 4\)"):
        compare(np.zeros((20, 30, 4), np.uint8), picture, 2)
