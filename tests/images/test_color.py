"""BT.601 against scikit-image, and there and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2ycbcr

from lightsr.errors import UserError
from lightsr.images.color import rgb_to_luma, rgb_to_ycbcr, ycbcr_to_rgb

NOISE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_equals_scikit_image(dtype: str) -> None:
    expected = rgb2ycbcr(NOISE)
    np.testing.assert_allclose(rgb_to_ycbcr(NOISE.astype(dtype)), expected, atol=1e-10)
    np.testing.assert_allclose(rgb_to_luma(NOISE.astype(dtype)), expected[..., 0], atol=1e-10)


def test_ends_of_the_range() -> None:
    black_white = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(rgb_to_luma(black_white), [[16, 235]], atol=1e-12)
    np.testing.assert_allclose(
        rgb_to_ycbcr(black_white), [[[16, 128, 128], [235, 128, 128]]], atol=1e-12
    )
    blue_red = np.array([[[0, 0, 255], [255, 0, 0]]], np.uint8)
    assert rgb_to_ycbcr(blue_red)[0, 0, 1] == rgb_to_ycbcr(blue_red)[0, 1, 2] == 240


def test_luma_is_not_rounded() -> None:
    assert rgb_to_luma(NOISE).dtype == np.float64
    assert (rgb_to_luma(NOISE) % 1 != 0).any()


def test_there_and_back() -> None:
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(NOISE)), NOISE, atol=1e-10)
    outside = np.array([[[300.0, -20.0, 40.0]]])
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(outside)), outside, atol=1e-10)


@pytest.mark.parametrize("convert", [rgb_to_luma, rgb_to_ycbcr, ycbcr_to_rgb])
@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 4), (1, 4, 4, 3)])
def test_other_shapes_are_refused(
    convert: Callable[[NDArray[Any]], NDArray[np.float64]], shape: tuple[int, ...]
) -> None:
    with pytest.raises(UserError, match="3 channels"):
        convert(np.zeros(shape))
