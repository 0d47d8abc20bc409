"""A picture resized band by band: the samples are those of the whole, in little memory."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from math import floor
from typing import Any

import numpy as np
import pytest
from errors import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from images.making import DTYPES, random_picture
from numpy.typing import NDArray

from lightsr.errors import UserError
from lightsr.images.resize import Border, RowResizer, imresize

PICTURE = np.zeros((8, 6, 3), np.uint8)


@st.composite
def banded(draw: st.DrawFn) -> tuple[NDArray[Any], tuple[int, int], Border, list[int]]:
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 12))
    channels = draw(st.sampled_from([(), (1,), (3,), (4,)]))
    size = draw(st.tuples(st.integers(1, 90), st.integers(1, 20)))
    image = random_picture(
        (height, width, *channels), draw(st.sampled_from(DTYPES)), draw(st.integers(0, 2**32))
    )
    cuts = draw(st.lists(st.integers(0, height), max_size=height))
    return (
        image,
        size,
        draw(st.sampled_from(["symmetric", "replicate"])),
        sorted([0, *cuts, height]),
    )


@settings(max_examples=200, deadline=None)
@given(banded())
def test_bands_of_rows_give_the_whole_picture_bit_for_bit(
    case: tuple[NDArray[Any], tuple[int, int], Border, list[int]],
) -> None:
    image, size, border, cuts = case
    resizer = RowResizer(image.shape[0], image.shape[1], size, border)
    parts: list[NDArray[Any]] = []
    for top, bottom in pairwise(cuts):
        band = image[top:bottom].copy()
        parts.append(resizer.push(band))
        band.fill(1)  # the caller may use the array again
    whole = np.concatenate(parts)
    expected = imresize(image, size=size, border=border)
    assert whole.dtype == expected.dtype
    np.testing.assert_array_equal(whole, expected)


def test_large_picture_in_bands_of_one_row() -> None:
    image = random_picture((700, 500, 3), "float32")
    for size in ((233, 167), (900, 1100), (900, 400)):
        resizer = RowResizer(700, 500, size)
        whole = np.concatenate([resizer.push(image[i : i + 1]) for i in range(700)])
        np.testing.assert_array_equal(whole, imresize(image, size=size))


@pytest.mark.parametrize(("size", "delay"), [((400, 80), 2), ((25, 10), 8), ((100, 20), 0)])
def test_rows_come_out_as_soon_as_their_taps_are_in(size: tuple[int, int], delay: int) -> None:
    resizer = RowResizer(100, 20, size)
    image = random_picture((100, 20), "uint8")
    done = 0
    for pushed in range(1, 100):
        done += len(resizer.push(image[pushed - 1 : pushed]))
        assert done >= floor((pushed - delay) * size[0] / 100) - 1


@pytest.mark.parametrize("size", [(80_000, 10), (5_000, 100), (20_000, 30)])
def test_bands_need_memory_for_the_taps_alone(size: tuple[int, int]) -> None:
    resizer = RowResizer(20_000, 50, size)
    band = random_picture((40, 50, 3), "uint8")
    tracemalloc.start()
    for _ in range(500):
        resizer.push(band)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The picture has 3 MB. What a band makes, and its share of the work, is below 2.
    assert most < 2_000_000


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (lambda: RowResizer(0, 5, (5, 5)), "5x0"),
        (lambda: RowResizer(5, 5, (5, 0)), "0x5"),
        (lambda: RowResizer(5, 5, (5, 5), "edge"), "border"),  # pyright: ignore[reportArgumentType]
        (lambda: RowResizer(8, 5, (5, 5)).push(PICTURE), "do not continue"),
        (lambda: RowResizer(5, 6, (5, 5)).push(PICTURE), "8 rows were pushed of a picture of 5"),
        (lambda: RowResizer(8, 6, (5, 5)).push(PICTURE.astype(np.int8)), "int8"),
    ],
)
def test_what_cannot_be_resized_is_said_in_one_line(
    action: Callable[[], object], says: str
) -> None:
    with one_line(UserError, re.escape(says)):
        action()


def test_bands_must_stay_of_one_kind() -> None:
    resizer = RowResizer(8, 6, (4, 3))
    resizer.push(PICTURE[:2])
    for other in (PICTURE[:2, :, :1], PICTURE[:2].astype(np.uint16)):
        with pytest.raises(UserError, match="do not continue"):
            resizer.push(other)
