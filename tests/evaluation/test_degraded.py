"""LR pictures on disk: exact, of the same kind, and whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation.pictures import noise, read, write
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsr.errors import PictureError
from lightsr.evaluation.degraded import degrade_file
from lightsr.images.resize import degrade


@settings(deadline=None, max_examples=15)
@given(
    st.integers(4, 40),
    st.integers(4, 40),
    st.sampled_from([(), (3,)]),
    st.integers(1, 4),
    st.sampled_from(["symmetric", "replicate"]),
)
def test_the_file_holds_what_degrade_gives(
    tmp_path_factory: pytest.TempPathFactory, height, width, channels, scale, border
) -> None:
    folder = tmp_path_factory.mktemp("degrade")
    original = noise(height, width, *channels)
    source = write(folder / "hr.bmp", original)
    size = degrade_file(source, folder / "lr.png", scale, border)
    assert size == (height // scale, width // scale)
    expected = degrade(original, scale, border)
    np.testing.assert_array_equal(read(folder / "lr.png"), expected, strict=True)


def test_pictures_of_many_bands_are_the_same_as_in_one(tmp_path: Path) -> None:
    original = noise(1030, 20, 3)
    degrade_file(write(tmp_path / "hr.png", original), tmp_path / "lr.png", 3)
    np.testing.assert_array_equal(read(tmp_path / "lr.png"), degrade(original, 3))


def test_sixteen_bit_grey_stays_so(tmp_path: Path) -> None:
    original = noise(22, 20, bits=16)
    degrade_file(write(tmp_path / "hr.png", original), tmp_path / "lr.png", 2)
    np.testing.assert_array_equal(read(tmp_path / "lr.png"), degrade(original, 2), strict=True)


def test_what_cannot_be_done_leaves_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "hr.png", noise(3, 30, 3))
    target = tmp_path / "out" / "lr.png"
    with pytest.raises(PictureError, match=rf"{source} has 30x3 pixels, too few .* 4 times"):
        degrade_file(source, target, 4)
    assert not target.parent.exists()
    degrade_file(source, target, 2)
    with pytest.raises(PictureError, match="exists already"):
        degrade_file(source, target, 3)
    degrade_file(source, target, 3, overwrite=True)
    assert read(target).shape == (1, 10, 3)
    with pytest.raises(PictureError, match="is the input itself"):
        degrade_file(source, source, 2, overwrite=True)
