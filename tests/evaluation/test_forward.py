"""Chopping: the parts, how they are put together, and when a part is chopped again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsr.evaluation.forward import Batch, chop


def nearest(scale: int, sizes: list[tuple[int, int]] | None = None):
    def run(batch: Batch) -> Batch:
        if sizes is not None:
            sizes.append((batch.shape[2], batch.shape[3]))
        return batch.repeat(scale, 2).repeat(scale, 3)

    return run


def random_batch(height: int, width: int) -> Batch:
    return np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(2, 4))
def test_every_sample_comes_from_its_place(height: int, width: int, scale: int) -> None:
    batch = random_batch(height, width)
    np.testing.assert_array_equal(
        chop(nearest(scale), batch, scale), nearest(scale)(batch), strict=True
    )


def test_the_parts_are_the_corners_and_reach_ten_pixels_over_the_middle() -> None:
    batch, seen = random_batch(41, 60), []

    def run(part: Batch) -> Batch:
        seen.append(part)
        # Whatever depends on the part as a whole shows which part a sample came from.
        return np.full((1, 3, part.shape[2] * 2, part.shape[3] * 2), len(seen), np.float32)

    output = chop(run, batch, 2)
    for part, corner in zip(
        seen,
        (
            batch[:, :, :30, :40],
            batch[:, :, :30, 20:],
            batch[:, :, 11:, :40],
            batch[:, :, 11:, 20:],
        ),
        strict=True,
    ):
        np.testing.assert_array_equal(part, corner)
    expected = np.kron([[1, 2], [3, 4]], np.ones((1, 1))).repeat([40, 42], 0).repeat(60, 1)
    np.testing.assert_array_equal(output[0, 0], expected)


@pytest.mark.parametrize(
    ("height", "width", "parts"),
    [
        # 389 + 10 by 390 + 10 is just below 160,000, one more column just above.
        (779, 780, [(400, 400)] * 0 + [(399, 400)] * 4),
        (780, 780, [(210, 210)] * 16),
    ],
)
def test_large_parts_are_chopped_again(
    height: int, width: int, parts: list[tuple[int, int]]
) -> None:
    sizes: list[tuple[int, int]] = []
    batch = random_batch(height, width)
    output = chop(nearest(2, sizes), batch, 2)
    assert sizes == parts
    np.testing.assert_array_equal(output, nearest(2)(batch))
