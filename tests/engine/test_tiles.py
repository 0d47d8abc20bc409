from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lightsr.engine.tiles import blend, cut_axis, enlarge, largest_tile, plan_tiles, whole
from lightsr.errors import UserError

Pixels = NDArray[Any]
sizes = st.integers(1, 90)


def _picture(height: int, width: int, channels: int = 2) -> Pixels:
    return np.random.default_rng(1).random((height, width, channels)).astype(np.float32)


def _local(radius: int, scale: int) -> Callable[[Pixels], Pixels]:
    """A network that sums (2r+1)^2 pixels around each, zero outside; integers, so exact."""

    def run(tile: Pixels) -> Pixels:
        padded = np.pad(np.round(tile * 255), [(radius, radius), (radius, radius), (0, 0)])
        high, wide, _ = tile.shape
        total = sum(
            padded[y : y + high, x : x + wide] * (1 + 3 * y + x)
            for y in range(2 * radius + 1)
            for x in range(2 * radius + 1)
        )
        return np.asarray(total, np.float32).repeat(scale, 0).repeat(scale, 1)

    return run


def _run(
    picture: Pixels, plan: Any, scale: int, run: Callable[[Pixels], Pixels]
) -> tuple[Pixels, list[tuple[int, int]]]:
    steps: list[tuple[int, int]] = []
    bands = enlarge(
        lambda top, bottom: picture[top:bottom],
        plan,
        scale,
        run,
        lambda done, count: steps.append((done, count)),
    )
    return np.concatenate([band.copy() for band in bands]), steps


@settings(max_examples=150, deadline=None)
@given(
    height=sizes, width=sizes, tile=st.integers(16, 70), radius=st.integers(0, 4),
    scale=st.integers(1, 3),
)  # fmt: skip
def test_tiles_of_a_local_network_equal_the_whole_exactly(
    height: int, width: int, tile: int, radius: int, scale: int
) -> None:
    picture, run = _picture(height, width), _local(radius, scale)
    plan = plan_tiles(height, width, tile, radius)
    result, steps = _run(picture, plan, scale, run)
    np.testing.assert_array_equal(result, run(picture))
    assert steps == [(i + 1, plan.tiles) for i in range(plan.tiles)]
    assert max(plan.tile_size) <= tile


@settings(max_examples=150, deadline=None)
@given(height=sizes, width=sizes, tile=st.integers(16, 70), scale=st.integers(1, 3))
def test_blended_tiles_keep_what_all_tiles_agree_on(
    height: int, width: int, tile: int, scale: int
) -> None:
    picture = _picture(height, width)

    def nearest(part: Pixels) -> Pixels:
        return part.repeat(scale, 0).repeat(scale, 1)

    plan = plan_tiles(height, width, tile, None)
    result, _ = _run(picture, plan, scale, nearest)
    np.testing.assert_array_equal(result, nearest(picture))


@settings(max_examples=100, deadline=None)
@given(
    size=st.integers(1, 500), tile=st.integers(16, 200), margin=st.integers(0, 7),
    ramp=st.integers(0, 7),
)  # fmt: skip
def test_cuts_cover_the_axis_with_margin_and_ramp(
    size: int, tile: int, margin: int, ramp: int
) -> None:
    tile = max(tile, 2 * margin + ramp + 1)
    cuts = cut_axis(size, tile, margin, ramp)
    assert len({cut.stop - cut.start for cut in cuts}) == 1
    assert (cuts[0].start, cuts[0].first, cuts[-1].last, cuts[-1].stop) == (0, 0, size, size)
    for cut in cuts:
        assert cut.stop - cut.start <= tile
        assert cut.first == 0 or cut.first - cut.start >= margin
        assert cut.last == size or cut.stop - cut.last >= margin
    for before, after in pairwise(cuts):
        assert before.last - after.first >= ramp
        assert after.first >= before.first


def test_blended_tiles_change_gradually() -> None:
    """Two tiles that disagree meet in a ramp, not in a step."""
    picture = np.linspace(0, 1, 200, dtype=np.float32).reshape(1, 200, 1).repeat(40, 0)

    def mean(part: Pixels) -> Pixels:
        return np.full_like(part, part.mean())

    plan = plan_tiles(40, 200, 128, None)
    assert plan.tiles == 2
    result, _ = _run(picture, plan, 1, mean)
    steps = np.diff(result[0, :, 0])
    apart = float(result[0, -1, 0] - result[0, 0, 0])
    assert apart > 0.3
    assert steps.min() >= 0
    assert steps.max() <= apart / 16 * 1.001


def test_weights_of_a_blend_sum_to_one() -> None:
    ones, zeros = np.ones((5, 8, 1), np.float32), np.zeros((5, 8, 1), np.float32)
    falling, rising = zeros.copy(), ones.copy()
    blend(ones, falling, axis=1)
    blend(zeros, rising, axis=1)
    np.testing.assert_allclose(falling + rising, 1, atol=1e-6)
    assert (np.diff(rising[0, :, 0]) > 0).all()


def test_only_one_row_of_tiles_is_read_at_a_time() -> None:
    picture = _picture(300, 20)
    asked: list[int] = []

    def rows(top: int, bottom: int) -> Pixels:
        asked.append(bottom - top)
        return picture[top:bottom]

    plan = plan_tiles(300, 20, 32, 1)
    heights = [len(band) for band in enlarge(rows, plan, 1, lambda tile: tile.copy())]
    assert max(asked) <= 32
    assert max(heights) <= 32
    assert sum(heights) == 300


def test_too_small_tiles_are_refused() -> None:
    with pytest.raises(UserError, match="at least 16"):
        plan_tiles(100, 100, 15, None)
    with pytest.raises(UserError, match="at least 41"):
        plan_tiles(100, 100, 40, 20)


def test_largest_tile_is_the_largest_that_fits() -> None:
    def peak(height: int, width: int) -> int:
        return height * width

    assert largest_tile(1000, 1000, None, peak, 200 * 200) == 200
    assert largest_tile(1000, 1000, None, peak, 201 * 201 - 1) == 200
    assert largest_tile(50, 1000, None, peak, 50 * 400) == 400
    assert largest_tile(1000, 1000, None, peak, 100) is None


def test_the_whole_is_one_tile() -> None:
    assert whole(7, 9).tiles == 1
    assert whole(7, 9).tile_size == (7, 9)
    assert plan_tiles(7, 9, 512, None) == whole(7, 9)
