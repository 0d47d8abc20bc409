"""MATLAB's bicubic: against its own output, an exact slow implementation, and its properties."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors import one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from images.making import DTYPES, random_picture
from numpy.typing import NDArray
from PIL import Image

from lightsr.errors import UserError
from lightsr.images.resize import Border, degrade, imresize, mod_crop

BORDERS: list[Border] = ["symmetric", "replicate"]


# The slow implementation: the kernel's definition in exact fractions, as dense matrices.


def kernel(x: Fraction) -> Fraction:
    x = abs(x)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    if x <= 2:
        return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2
    return Fraction(0)


def beyond_edge(j: int, length: int, border: Border) -> int:
    while not 0 <= j < length:
        if border == "replicate":
            j = 0 if j < 0 else length - 1
        else:
            j = -1 - j if j < 0 else 2 * length - 1 - j
    return j


def exact_matrix(length: int, new: int, scale: Fraction, border: Border) -> NDArray[np.object_]:
    matrix = np.full((new, length), Fraction(0), dtype=object)
    narrow = min(scale, Fraction(1))
    for o in range(new):
        centre = (o + Fraction(1, 2)) / scale - Fraction(1, 2)
        reach = range(floor(centre - 2 / narrow), ceil(centre + 2 / narrow) + 1)
        taps = {j: kernel((centre - j) * narrow) for j in reach}
        total = sum(taps.values())
        for j, weight in taps.items():
            matrix[o, beyond_edge(j, length, border)] += weight / total
    return matrix


def exact_resize(
    image: NDArray[Any],
    size: tuple[int, int],
    border: Border,
    scales: tuple[Fraction, Fraction] | None = None,
) -> NDArray[Any]:
    height, width = image.shape
    scales = scales or (Fraction(size[0], height), Fraction(size[1], width))
    down = exact_matrix(height, size[0], scales[0], border)
    across = exact_matrix(width, size[1], scales[1], border)
    samples = np.vectorize(Fraction, otypes=[object])(image.astype(object))

    def to_type(values: NDArray[Any]) -> NDArray[Any]:
        if image.dtype.kind == "f":
            return values
        top = np.iinfo(image.dtype).max
        half_up = [min(max(floor(v + Fraction(1, 2)), 0), top) for v in values.ravel()]
        return np.array(half_up, dtype=object).reshape(values.shape)

    if scales[0] <= scales[1]:
        samples = to_type(to_type(down @ samples) @ across.T)
    else:
        samples = to_type(down @ to_type(samples @ across.T))
    return samples.astype(np.float64).astype(image.dtype)


# Against MATLAB.


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    ("dataset", "border"), [("Set5", "symmetric"), ("Set5", "replicate"), ("Set14", "replicate")]
)
def test_degrade_reproduces_matlab_files(
    assets: Path, dataset: str, border: Border, scale: int
) -> None:
    folder = assets / "data" / "test" / dataset
    references = sorted((folder / f"LR_{border}" / f"x{scale}").glob("*.png"))
    assert len(references) == {"Set5": 5, "Set14": 14}[dataset]
    for reference in references:
        made = degrade(np.asarray(Image.open(folder / "HR" / reference.name)), scale, border)
        np.testing.assert_array_equal(made, np.asarray(Image.open(reference)), reference.name)


# Against the slow implementation.

lengths = st.integers(1, 9)
new_lengths = st.integers(1, 13)


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(lengths, lengths),
    size=st.tuples(new_lengths, new_lengths),
    dtype=st.sampled_from(DTYPES),
    border=st.sampled_from(BORDERS),
    seed=st.integers(0, 2**32),
    harsh=st.booleans(),
)
def test_any_size_equals_exact_arithmetic(
    shape: tuple[int, int],
    size: tuple[int, int],
    dtype: str,
    border: Border,
    seed: int,
    harsh: bool,
) -> None:
    image = random_picture(shape, dtype, seed, harsh=harsh)
    made = imresize(image, size=size, border=border)
    expected = exact_resize(image, size, border)
    assert made.dtype == image.dtype
    if image.dtype.kind == "u":
        np.testing.assert_array_equal(made, expected)
    else:
        tolerance = 1e-4 if dtype == "float32" else 1e-10
        np.testing.assert_allclose(made, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(
    ("scale", "exact"),
    [
        (2, Fraction(2)),
        (4, Fraction(4)),
        (1 / 3, Fraction(1, 3)),
        (0.25, Fraction(1, 4)),
        (2.5, Fraction(5, 2)),
        (0.7, Fraction(7, 10)),
        (np.pi / 4, Fraction(np.pi / 4)),
    ],
)
def test_scale_rounds_the_size_up_and_keeps_its_own_step(
    scale: float, exact: Fraction, border: Border
) -> None:
    for dtype in ("uint8", "float64"):
        image = random_picture((11, 7), dtype)
        made = imresize(image, scale=scale, border=border)
        size = (ceil(11 * exact), ceil(7 * exact))
        expected = exact_resize(image, size, border, (exact, exact))
        np.testing.assert_allclose(made, expected, rtol=0, atol=1e-10)


def test_axis_with_the_smaller_scale_goes_first() -> None:
    image = random_picture((24, 24), "uint8", harsh=True)
    for size in ((12, 48), (48, 12), (23, 22), (30, 31)):
        down = (size[0], 24), size
        across = (24, size[1]), size
        results = [
            imresize(imresize(image, size=first), size=then) for first, then in (down, across)
        ]
        assert (results[0] != results[1]).any(), "the order must matter for this test to say much"
        expected = results[0] if size[0] < size[1] else results[1]
        np.testing.assert_array_equal(imresize(image, size=size), expected)


def test_vertical_goes_first_at_equal_scales() -> None:
    image = random_picture((24, 24), "uint8", harsh=True)
    expected = imresize(imresize(image, size=(12, 24)), size=(12, 12))
    np.testing.assert_array_equal(imresize(image, size=(12, 12)), expected)
    horizontal_first = imresize(image.T, size=(12, 12)).T
    assert (horizontal_first != expected).any(), "the order must matter"


# Properties.


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    dtype=st.sampled_from(DTYPES),
    border=st.sampled_from(BORDERS),
    level=st.sampled_from([0, 1, 127, 254, 255]),
)
def test_constant_stays_constant(
    shape: tuple[int, int], size: tuple[int, int], dtype: str, border: Border, level: int
) -> None:
    value = 257 * level if dtype == "uint16" else level
    made = imresize(np.full(shape, value, dtype), size=size, border=border)
    assert made.shape == size
    np.testing.assert_allclose(made, value, rtol=0 if made.dtype.kind == "u" else 1e-6)


@pytest.mark.parametrize("scale", [Fraction(3), Fraction(5, 4), Fraction(1, 2), Fraction(1, 3)])
def test_linear_ramp_is_reproduced_inside(scale: Fraction) -> None:
    length = 60
    new = int(length * scale)
    ramp = np.add.outer(2.0 * np.arange(length), 0.5 * np.arange(length))
    position = (np.arange(new) + 0.5) / float(scale) - 0.5
    expected = np.add.outer(2 * position, 0.5 * position)
    inside = slice(new // 4, -(new // 4))
    made = imresize(ramp, size=(new, new))
    np.testing.assert_allclose(made[inside, inside], expected[inside, inside], atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    dtype=st.sampled_from(["uint8", "uint16"]),
    border=st.sampled_from(BORDERS),
    seed=st.integers(0, 2**32),
)
def test_turned_upside_down_or_mirrored_the_samples_are_the_same(
    shape: tuple[int, int], size: tuple[int, int], dtype: str, border: Border, seed: int
) -> None:
    image = random_picture(shape, dtype, seed)
    made = imresize(image, size=size, border=border)
    for turn in (np.flipud, np.fliplr):
        np.testing.assert_array_equal(turn(imresize(turn(image), size=size, border=border)), made)


@pytest.mark.parametrize("dtype", DTYPES)
def test_size_unchanged_is_a_copy(dtype: str) -> None:
    image = random_picture((9, 13, 3), dtype)
    made = imresize(image, size=(9, 13))
    np.testing.assert_array_equal(made, image)
    assert not np.shares_memory(made, image)


def test_float_is_not_clipped_and_integers_are() -> None:
    edge = np.repeat([0, 1], 8)[None].repeat(16, axis=0)
    assert imresize(edge.astype(np.float32), scale=4).max() > 1.05
    assert imresize(edge.astype(np.float32), scale=4).min() < -0.05
    for dtype in ("uint8", "uint16"):
        top = np.iinfo(dtype).max
        made = imresize((edge * top).astype(dtype), scale=4)
        assert (np.diff(made[0].astype(int)) >= 0).all(), "a sample wrapped around"


def test_float32_is_computed_in_float64() -> None:
    image = random_picture((16, 16), "float32")
    wide = imresize(image.astype(np.float64), size=(7, 50))
    np.testing.assert_array_equal(imresize(image, size=(7, 50)), wide.astype(np.float32))


def test_nan_spreads_only_to_the_samples_it_takes_part_in() -> None:
    image = np.zeros((20, 20))
    image[10, 10] = np.nan
    rows, columns = np.nonzero(np.isnan(imresize(image, scale=2)))
    # Sample 10 lies at output position 20.5; the kernel reaches 2 * 2 to either side.
    assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (17, 24)
    # At three times the size it lies on 31, and the kernel is 0 one and two samples, 3 and 6, away.
    row = imresize(image, size=(20, 60))[10]
    assert np.flatnonzero(np.isnan(row)).tolist() == [26, 27, 29, 30, 31, 32, 33, 35, 36]


def test_channels_are_independent_and_layout_does_not_matter() -> None:
    image = random_picture((15, 10, 4), "uint8")
    made = imresize(image, size=(31, 7))
    assert made.shape == (31, 7, 4)
    assert made.flags.c_contiguous
    for channel in range(4):
        np.testing.assert_array_equal(
            made[..., channel], imresize(image[..., channel], size=(31, 7))
        )
    np.testing.assert_array_equal(made, imresize(np.asfortranarray(image), size=(31, 7)))
    np.testing.assert_array_equal(
        imresize(random_picture((8, 8), "uint16").astype(">u2"), scale=3),
        imresize(random_picture((8, 8), "uint16"), scale=3),
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (1, 30, 3)])
def test_pictures_one_pixel_high_or_wide(shape: tuple[int, ...]) -> None:
    image = random_picture(shape, "uint8")
    for scale in (4, 1 / 4):
        made = imresize(image, scale=scale)
        assert made.shape == (ceil(shape[0] * scale), ceil(shape[1] * scale), *shape[2:])
    corner = image[:1, :1]
    np.testing.assert_array_equal(
        imresize(corner, size=(5, 6)), np.broadcast_to(corner, (5, 6, *shape[2:]))
    )


def test_mod_crop_keeps_the_top_left() -> None:
    image = random_picture((11, 14, 3), "uint8")
    np.testing.assert_array_equal(mod_crop(image, 3), image[:9, :12])
    np.testing.assert_array_equal(mod_crop(image[..., 0], 1), image[..., 0])
    assert degrade(image, 3).shape == (3, 4, 3)


# Time and memory.


def test_whole_picture_needs_little_more_than_the_result() -> None:
    image = np.zeros((1500, 1500, 3), np.float32)
    tracemalloc.start()
    made = imresize(image, scale=2)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < made.nbytes + 30_000_000


@pytest.mark.parametrize(
    ("shape", "scale"), [((1000, 1400, 3), 1 / 4), ((512, 512, 3), 4), ((150_000, 1, 3), 1 / 3)]
)
def test_speed(shape: tuple[int, ...], scale: float) -> None:
    """Far above what it takes (0.03 to 0.1 s), far below what a loop over pixels would."""
    image = random_picture(shape, "uint8")
    seconds: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        imresize(image, scale=scale)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


# What cannot be resized.

PICTURE = np.zeros((8, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (lambda: imresize(PICTURE), "either a scale or a size"),
        (lambda: imresize(PICTURE, scale=2, size=(2, 2)), "either a scale or a size"),
        (lambda: imresize(PICTURE, scale=0), "by 0"),
        (lambda: imresize(PICTURE, scale=-1), "by -1"),
        (lambda: imresize(PICTURE, scale=float("nan")), "by nan"),
        (lambda: imresize(PICTURE, scale=float("inf")), "by inf"),
        (lambda: imresize(PICTURE, scale=1e-300), "less than a pixel"),
        (lambda: imresize(PICTURE, scale=1e300), "pixels"),
        (lambda: imresize(PICTURE, size=(0, 5)), "5x0 pixels"),
        (lambda: imresize(PICTURE, size=(5, -1)), "-1x5 pixels"),
        (lambda: imresize(PICTURE, size=(2.5, 5)), "height must be a whole number"),  # pyright: ignore[reportArgumentType]
        (lambda: imresize(PICTURE, size=(1, 2, 3)), "(height, width)"),  # pyright: ignore[reportArgumentType]
        (lambda: imresize(PICTURE, scale=2, border="symetric"), "did you mean 'symmetric'"),  # pyright: ignore[reportArgumentType]
        (lambda: imresize(PICTURE[0, 0], scale=2), "1 axes"),
        (lambda: imresize(PICTURE[None], scale=2), "4 axes"),
        (lambda: imresize(PICTURE[:0], scale=2), "no samples"),
        (lambda: imresize(PICTURE[..., :0], scale=2), "no samples"),
        (lambda: imresize(PICTURE.astype(np.int64), scale=2), "int64"),
        (lambda: imresize(PICTURE.astype(bool), scale=2), "bool"),
        (lambda: imresize(PICTURE.astype(np.float16), scale=2), "float16"),
        (lambda: mod_crop(PICTURE, 7), "6x8"),
        (lambda: mod_crop(PICTURE, 0), "multiples of 0"),
        (lambda: degrade(PICTURE, -2), "multiples of -2"),
        (lambda: degrade(PICTURE, 1.5), "whole number"),  # pyright: ignore[reportArgumentType]
        (lambda: degrade(PICTURE, 2, "edge"), "border"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_cannot_be_resized_is_said_in_one_line(
    action: Callable[[], object], says: str
) -> None:
    with one_line(UserError, re.escape(says)):
        action()
