"""Colour under transparent pixels: whatever hides there must not show after enlarging."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images.making import noise, smooth
from numpy.typing import NDArray

from lightsr.images.alpha import fill_transparent
from lightsr.images.resize import imresize


def disc(size: int, colour: tuple[int, int, int], hidden: NDArray[Any]) -> NDArray[Any]:
    """A disc of one colour in the middle, with soft edges; `hidden` lies around it."""
    y, x = np.mgrid[0:size, 0:size]
    distance = np.hypot(y - size / 2 + 0.5, x - size / 2 + 0.5)
    alpha = np.clip(size / 4 - distance + 0.5, 0, 1)
    samples = np.empty((size, size, 4), np.uint8)
    samples[..., :3] = np.where(alpha[..., None] > 0, np.array(colour), hidden)
    samples[..., 3] = np.rint(alpha * 255)
    samples[..., :3][samples[..., 3] == 0] = hidden[samples[..., 3] == 0]
    return samples


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 40, 90)])
@pytest.mark.parametrize("garbage", ["black", "white", "noise"])
def test_no_fringe_around_what_is_visible(colour: tuple[int, int, int], garbage: str) -> None:
    hidden = {
        "black": np.zeros((64, 64, 3), np.uint8),
        "white": np.full((64, 64, 3), 255, np.uint8),
        "noise": noise(64, 64),
    }[garbage]
    samples = disc(64, colour, hidden)
    naive = imresize(samples, scale=4)
    filled = imresize(fill_transparent(samples), scale=4)
    seen = filled[..., 3] > 0
    assert np.abs(filled[seen][:, :3].astype(int) - colour).max() == 0
    if garbage == "noise" or (garbage == "black") != (colour == (0, 0, 0)):
        assert np.abs(naive[seen][:, :3].astype(int) - colour).max() > 20, "the test can tell"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 4])
def test_visible_samples_and_alpha_stay_as_they_are(dtype: str, channels: int) -> None:
    samples = noise(70, 41, channels, dtype)
    samples[10:60, 5:30, -1] = 0
    before = samples.copy()
    filled = fill_transparent(samples)
    assert (samples == before).all(), "the input is not changed"
    assert filled.dtype == samples.dtype
    seen = samples[..., -1] > 0
    assert (filled[seen] == samples[seen]).all()
    assert (filled[..., -1] == samples[..., -1]).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_hole_continues_what_is_around_it(dtype: str) -> None:
    truth = smooth(300, 400, 4, dtype)
    most = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    truth[..., 3] = most
    samples = truth.copy()
    samples[100:180, 150:230] = 0
    filled = fill_transparent(samples)
    wrong = np.abs(filled[..., :3].astype(float) - truth[..., :3]).max() / most
    assert wrong < 0.12, "a hole of 80 pixels in slopes over 300 and 400"


def test_one_visible_pixel_colours_everything() -> None:
    samples = noise(33, 65, 4)
    samples[..., 3] = 0
    samples[20, 7] = (10, 20, 30, 1)
    assert (fill_transparent(samples)[..., :3] == (10, 20, 30)).all()


def test_nearly_transparent_pixels_weigh_little() -> None:
    samples = np.zeros((2, 4, 4), np.uint8)
    samples[:, 0] = (255, 0, 0, 1)
    samples[:, 1] = (0, 0, 100, 255)
    filled = fill_transparent(samples)
    assert (filled[:, 2:, 0] <= 2).all()
    assert (filled[:, 2:, 2] >= 98).all()


def test_nothing_to_do() -> None:
    opaque = noise(5, 5, 4)
    opaque[..., 3] = 255
    assert fill_transparent(opaque) is opaque
    invisible = noise(5, 5, 4)
    invisible[..., 3] = 0
    assert fill_transparent(invisible) is invisible


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([2, 4]),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    share=st.floats(0, 1),
)
def test_any_shape_stays_between_the_visible_extremes(
    height: int, width: int, channels: int, dtype: str, share: float
) -> None:
    samples = noise(height, width, channels, dtype)
    mask = np.random.default_rng(1).random((height, width)) < share
    samples[mask, -1] = 0
    filled = fill_transparent(samples)
    seen = samples[..., -1] > 0
    if seen.any():
        for channel in range(channels - 1):
            visible = samples[seen][:, channel].astype(float)
            slack = 1e-5 if dtype == "float32" else 1
            assert filled[..., channel].min() >= visible.min() - slack
            assert filled[..., channel].max() <= visible.max() + slack


def test_the_work_in_strips_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(90, 50, 4)
    samples[20:70, 10:40, 3] = 0
    whole = fill_transparent(samples)
    monkeypatch.setattr("lightsr.images.alpha._ROWS", 8)
    assert (fill_transparent(samples) == whole).all()
