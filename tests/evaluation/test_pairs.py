"""Which LR picture belongs to which original, and every way in which that can be unclear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from errors import one_line
from evaluation.pictures import noise, write

from lightsr.errors import LightsrError, UserError
from lightsr.evaluation.pairs import find_pairs
from lightsr.images.resize import degrade


def test_originals_come_sorted_and_make_their_own_lr(tmp_path: Path) -> None:
    pictures = {name: noise(33, 30, 3, seed=i) for i, name in enumerate(("b", "a", "c/d"))}
    for name, samples in pictures.items():
        write(tmp_path / f"{name}.png", samples)
    (tmp_path / "notes.txt").write_text("no picture")
    pairs = find_pairs(tmp_path, 2)
    assert [pair.name for pair in pairs] == ["a", "b", "c/d"]
    for pair in pairs:
        lr, hr = pair.load(2, "replicate")
        np.testing.assert_array_equal(hr, pictures[pair.name][:32, :30], strict=True)
        np.testing.assert_array_equal(lr, degrade(hr, 2, "replicate"), strict=True)


def test_grey_pictures_become_three_equal_channels(tmp_path: Path) -> None:
    grey = noise(24, 24)
    write(tmp_path / "grey.png", grey)
    lr, hr = find_pairs(tmp_path, 2)[0].load(2, "symmetric")
    for channel in range(3):
        np.testing.assert_array_equal(hr[..., channel], grey)
        np.testing.assert_array_equal(lr[..., channel], degrade(grey, 2))


@pytest.mark.parametrize("named", ["{}", "{}x2", "{}_x2", "{}-X2", "{}_LRBI_x2", "{}LRx2"])
def test_lr_pictures_are_found_by_name(named: str, tmp_path: Path) -> None:
    lr = {}
    for i, name in enumerate(("baby", "babyx", "sub/bird")):
        write(tmp_path / "HR" / f"{name}.png", noise(31, 24, 3, seed=i))
        lr[name] = noise(15, 12, 3, seed=9 + i)
        write(tmp_path / "LR" / f"{named.format(name)}.png", lr[name])
    pairs = find_pairs(tmp_path / "HR", 2, tmp_path / "LR")
    assert [pair.name for pair in pairs] == list(lr)
    for pair in pairs:
        got, hr = pair.load(2, "symmetric")
        np.testing.assert_array_equal(got, lr[pair.name])
        assert hr.shape == (30, 24, 3)


def fail(data: Path, lr_dir: Path | None = None) -> str:
    def load_all() -> None:
        for pair in find_pairs(data, 2, lr_dir):
            pair.load(2, "symmetric")

    with one_line(LightsrError) as caught:
        load_all()
    return str(caught.value)


def test_what_is_missing_or_ambiguous_is_named(tmp_path: Path) -> None:
    hr, lr = tmp_path / "HR", tmp_path / "LR"
    for name in "abcdefg":
        write(hr / f"{name}.png", noise(24, 24, 3))
    write(lr / "a.png", noise(12, 12, 3))
    message = fail(hr, lr)
    assert "lacks 6 of 7 LR pictures: b, c, d, e, f, ..." in message
    assert str(lr) in message
    for name in "bcdefg":
        write(lr / f"{name}x2.png", noise(12, 12, 3))
    write(lr / "b_x2.png", noise(12, 12, 3))
    assert "several pictures for b: b_x2, bx2" in fail(hr, lr)
    write(hr / "a.bmp", noise(24, 24, 3))
    assert "differ only in their suffix" in fail(hr)


def test_a_scale_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 1, not 0"):
        find_pairs(tmp_path, 0)


def test_folders_that_hold_nothing(tmp_path: Path) -> None:
    assert "does not exist" in fail(tmp_path / "none")
    assert "no pictures" in fail(tmp_path)
    assert "is no folder" in fail(write(tmp_path / "a.png", noise(24, 24, 3)))


def test_pictures_that_do_not_fit_are_named(tmp_path: Path) -> None:
    hr, lr = tmp_path / "HR" / "a.png", tmp_path / "LR" / "a.png"
    write(hr, noise(24, 25, 3))
    write(lr, noise(12, 13, 3))
    assert fail(hr.parent, lr.parent).startswith(f"{lr} has 13x12 pixels")
    write(hr, noise(15, 40, 3))
    assert "40x15 pixels; measuring at x2 needs at least 16x16" in fail(hr.parent)
    write(hr, noise(40, 40, bits=16))
    assert f"{hr} has uint16 samples" in fail(hr.parent)
    hr.write_bytes(hr.read_bytes()[:300])
    assert str(hr) in fail(hr.parent)
    hr.write_bytes(b"")
    assert f"{hr} is empty" in fail(hr.parent)
