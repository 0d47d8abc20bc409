"""Planes to RGB and back, against colours that the standards and FFmpeg's scaler give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsr.engine.video.colour import (
    BT601,
    BT709,
    RGB,
    Coding,
    Planes,
    from_rgb,
    guessed_matrix,
    to_rgb,
)

RED, GREEN, BLUE, WHITE, BLACK, GREY = (
    *((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0, 0, 0), (0.5, 0.5, 0.5)),
)


def _flat(colour: tuple[float, ...], coding: Coding) -> list[int]:
    planes = from_rgb(np.full((8, 8, 3), colour, np.float32), coding)
    for plane in planes:
        assert (plane == plane.flat[0]).all()
    return [int(plane.flat[0]) for plane in planes]


@pytest.mark.parametrize(
    ("matrix", "full", "depth", "colour", "codes"),
    [
        # 75 and 100 % bars as the standards print them.
        (BT601, False, 8, RED, [81, 90, 240]),
        (BT601, False, 8, GREEN, [145, 54, 34]),
        (BT601, False, 8, BLUE, [41, 240, 110]),
        (BT709, False, 8, RED, [63, 102, 240]),
        (BT709, False, 8, GREEN, [173, 42, 26]),
        (BT709, False, 8, BLUE, [32, 240, 118]),
        (BT709, False, 8, WHITE, [235, 128, 128]),
        (BT709, False, 8, BLACK, [16, 128, 128]),
        (BT709, True, 8, WHITE, [255, 128, 128]),
        (BT709, True, 8, BLACK, [0, 128, 128]),
        (BT601, True, 8, RED, [76, 85, 255]),
        (9, False, 10, WHITE, [940, 512, 512]),
        (9, False, 10, RED, [294, 387, 960]),
        (BT709, False, 10, GREY, [502, 512, 512]),
        (BT709, True, 10, WHITE, [1023, 512, 512]),
    ],
)
def test_known_colours(
    matrix: int, full: bool, depth: int, colour: tuple[float, ...], codes: list[int]
) -> None:
    coding = Coding(matrix, full, depth, (2, 2))
    assert _flat(colour, coding) == codes
    kind = np.uint8 if depth == 8 else np.uint16
    sizes = ((6, 6), (3, 3), (3, 3))
    planes = tuple(np.full(size, code, kind) for size, code in zip(sizes, codes, strict=True))
    np.testing.assert_allclose(to_rgb(planes, coding)[2, 2], colour, atol=1.2 / 2 ** (depth - 1))


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    subsampling=st.sampled_from([(1, 1), (2, 1), (2, 2)]),
    depth=st.sampled_from([8, 10, 12]),
    matrix=st.sampled_from([BT601, BT709, 9]),
    full=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_what_is_inside_the_gamut_comes_back(
    height: int,
    width: int,
    subsampling: tuple[int, int],
    depth: int,
    matrix: int,
    full: bool,
    seed: int,
) -> None:
    """Luma always, within a code; chroma too where it is not subsampled."""
    coding = Coding(matrix, full, depth, subsampling)
    rgb = np.random.default_rng(seed).random((height, width, 3), np.float32)
    planes = from_rgb(rgb, coding)
    across, down = subsampling
    assert planes[1].shape == (-(-height // down), -(-width // across))
    back = to_rgb(planes, coding)
    assert back.shape == rgb.shape
    if subsampling == (1, 1):
        np.testing.assert_allclose(back, rgb, atol=2.5 / 2 ** (depth - 1))
        for plane, again in zip(planes, from_rgb(back, coding), strict=True):
            assert np.abs(plane.astype(int) - again).max() <= 1


def test_chroma_stays_where_it_lies() -> None:
    """A ramp across keeps its place: the left sample of a pair has the chroma as stored."""
    ramp = np.linspace(0.3, 0.7, 64, dtype=np.float32)
    rgb = np.stack((ramp, np.full_like(ramp, 0.5), 1 - ramp), -1)[np.newaxis].repeat(8, 0)
    for centred in (False, True):
        coding = Coding(BT709, False, 12, (2, 2), centred=centred)
        back = to_rgb(from_rgb(rgb, coding), coding)
        np.testing.assert_allclose(back[:, 2:-2], rgb[:, 2:-2], atol=2e-3)
    left = Coding(BT709, False, 12, (2, 2))
    middle = Coding(BT709, False, 12, (2, 2), centred=True)
    shifted = to_rgb(from_rgb(rgb, left), middle)
    assert np.abs(shifted[:, 2:-2] - rgb[:, 2:-2]).max() > 2e-3


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 130])
def test_bands_leave_no_trace(rows: int) -> None:
    rgb = np.random.default_rng(0).random((rows, 6, 3), np.float32)
    coding = Coding(BT709, False, 8, (2, 2))
    planes = from_rgb(rgb, coding)
    for top in range(0, rows, 2):
        part = from_rgb(rgb[top : top + 2], coding)
        for plane, piece, step in zip(planes, part, (1, 2, 2), strict=True):
            start = top // step
            np.testing.assert_array_equal(plane[start : start + len(piece)], piece)


def test_grey_and_rgb_planes() -> None:
    luma: Planes = (np.array([[16, 126, 235]], np.uint8),)
    grey = to_rgb(luma, Coding(BT709, False, 8, grey=True))
    np.testing.assert_allclose(grey[..., 0], [[0, 110 / 219, 1]], atol=1e-6)
    assert from_rgb(grey, Coding(BT709, False, 8, grey=True))[0].tolist() == [[16, 126, 235]]
    neutral = from_rgb(grey, Coding(BT709, False, 8, (2, 2)))
    assert [plane.tolist() for plane in neutral[1:]] == [[[128, 128]], [[128, 128]]]
    gbr = tuple(np.full((2, 2), code, np.uint8) for code in (10, 20, 30))
    np.testing.assert_allclose(
        to_rgb(gbr, Coding(RGB, True, 8))[0, 0] * 255, [30, 10, 20], atol=1e-4
    )


def test_untagged_videos_are_taken_as_players_take_them() -> None:
    assert guessed_matrix(720, 576) == guessed_matrix(640, 480) == BT601
    assert guessed_matrix(1280, 720) == guessed_matrix(720, 1280) == BT709
