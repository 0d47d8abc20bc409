from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from training.making import data_of, folder_of, smooth

from lightsr.errors import UserError
from lightsr.images.resize import degrade
from lightsr.training.data import Patches, load_pairs
from lightsr.training.drawing import Drawing
from lightsr.training.inventory import take_stock
from lightsr.training.recipe import Stage
from lightsr.training.resident import ResidentPatches, choose_patches


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "pictures", (41, 50), (64, 33), (24, 90))


def test_lr_is_the_exact_bicubic(folder: Path) -> None:
    for scale in (2, 3):
        for pair in load_pairs(data_of(folder), scale):
            whole = np.asarray(Image.open(pair.path))
            np.testing.assert_array_equal(pair.lr, degrade(whole, scale, "replicate"))
            assert pair.hr.shape == (*(scale * side for side in pair.lr.shape[:2]), 3)


def test_scales_share_the_decoded_pictures(folder: Path) -> None:
    data = data_of(folder)
    load_pairs(data, 2)
    before = {path: path.stat().st_mtime_ns for path in data.cache.glob("*.hr")}
    load_pairs(data, 4)
    assert before == {path: path.stat().st_mtime_ns for path in data.cache.glob("*.hr")}
    assert len(before) == 3
    assert len(list(data.cache.glob("*.lr"))) == 6


def test_every_kind_of_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = folder_of(tmp_path / "pictures", (40, 40))
    whole = smooth(40, 40)
    whole.convert("P").save(folder / "palette.png")
    whole.convert("CMYK").save(folder / "cmyk.jpg")
    whole.convert("L").save(folder / "grey.png")
    deep = np.asarray(whole.convert("L"), np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    clear = whole.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((40, 40)))
    clear.save(folder / "alpha.png")
    turned = smooth(40, 30)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    whole.save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:-400])
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    (folder / "empty.webp").touch()
    (folder / "notes.txt").write_text("no picture")
    Image.new("RGB", (9, 9)).save(folder / "tiny.png")
    Image.new("RGB", (90, 1)).save(folder / "line.png")
    with caplog.at_level(logging.WARNING):
        pairs = {pair.path.name: pair for pair in load_pairs(data_of(folder), 2)}
    assert pairs.keys() == {
        *("0.png", "palette.png", "cmyk.jpg", "grey.png", "deep.png", "alpha.png"),
        *("turned.jpg", "whole.jpg"),
    }
    for name in ("cut.jpg", "broken.png", "empty.webp", "tiny.png", "line.png"):
        assert sum(name in line for line in caplog.messages) == 1, name
    for pair in pairs.values():
        assert pair.hr.shape[2] == 3
    assert pairs["turned.jpg"].hr.shape == (30, 40, 3)
    np.testing.assert_array_equal(pairs["deep.png"].hr, pairs["grey.png"].hr)
    close = np.abs(pairs["alpha.png"].hr.astype(int) - np.asarray(whole))[10:]
    assert close.max() == 0


@pytest.mark.parametrize("resident", ["no", "auto", "yes"])
def test_patches_are_pairs(folder: Path, resident: str) -> None:
    """Each LR patch is the exact bicubic of its HR patch, away from the patch's border."""
    data = data_of(folder, resident=resident)
    pairs = load_pairs(data, 2)
    patches = choose_patches(pairs, data, 2, 3, 0, torch.device("cpu"))
    assert isinstance(patches, ResidentPatches if resident == "yes" else Patches)
    for iteration in range(6):
        lr, hr = patches.batch(iteration)
        assert lr.shape == (4, 3, 8, 8)
        assert hr.shape == (4, 3, 16, 16)
        for one, other in zip(lr, hr, strict=True):
            pixels = (other.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
            wanted = degrade(np.ascontiguousarray(pixels), 2).astype(float)
            got = (one.permute(1, 2, 0) * 255).numpy()
            # Transposing swaps the passes, between which MATLAB rounds: a level or so.
            assert np.abs(wanted - got)[2:-2, 2:-2].max() <= 1.5


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("augment", [True, False])
def test_resident_patches_equal_the_memory_mapped_ones(
    folder: Path, scale: int, augment: bool
) -> None:
    stages = (Stage(after=2, patch=5, batch=6), Stage(after=70, patch=3, batch=2))
    data = data_of(folder, patch=4, stages=stages, augment=augment)
    pairs = load_pairs(data, scale)
    mapped = Patches(pairs, data, scale, 7, 0)
    held = ResidentPatches(pairs, data, scale, 7, 0, torch.device("cpu"))
    for iteration in (0, 1, 2, 63, 64, 65, 71, 3):
        for one, other in zip(mapped.batch(iteration), held.batch(iteration), strict=True):
            assert torch.equal(one, other)
    assert held.batch(2)[1].shape == (6, 3, 5 * scale, 5 * scale)


def test_patches_depend_on_seed_and_iteration_alone(folder: Path) -> None:
    data = data_of(folder)
    pairs = load_pairs(data, 2)
    one = Patches(pairs, data, 2, seed=3, first=0)
    stream = iter(Patches(pairs, data, 2, seed=3, first=5))
    assert torch.equal(next(stream)[0], one.batch(5)[0])
    assert torch.equal(next(stream)[1], one.batch(6)[1])
    assert not torch.equal(one.batch(5)[0], one.batch(6)[0])
    assert not torch.equal(one.batch(5)[0], Patches(pairs, data, 2, 4, 0).batch(5)[0])


def test_workers_of_a_loader_take_turns(folder: Path) -> None:
    data = data_of(folder)
    patches = Patches(load_pairs(data, 2), data, 2, seed=3, first=4)
    loader = iter(DataLoader(patches, batch_size=None, num_workers=2))
    for iteration in range(4, 9):
        assert torch.equal(next(loader)[0], patches.batch(iteration)[0])


def test_processes_share_a_batch(folder: Path) -> None:
    data = data_of(folder)
    pairs = load_pairs(data, 2)
    whole = Patches(pairs, data, 2, 3, 0).batch(5)[0]
    parts = [Patches(pairs, data, 2, 3, 0, rank, 2).batch(5)[0] for rank in range(2)]
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), whole)
    with pytest.raises(UserError, match="3 processes cannot share 4 evenly"):
        Patches(pairs, data, 2, 3, 0, 0, 3)


def test_every_pixel_is_about_as_likely(tmp_path: Path) -> None:
    data = data_of(tmp_path, patch=4, batch=4000)
    drawing = Drawing([(20, 20), (40, 60), (4, 4)], data, 0)
    draws = drawing.draw(0)
    small, large, least = (draws[draws[:, 0] == picture] for picture in range(3))
    assert len(large) / len(small) == pytest.approx(6, rel=0.15)
    assert (least[:, 1:3] == 0).all()
    assert large[:, 1].min() == 0
    assert large[:, 1].max() == 36
    assert large[:, 2].max() == 56
    assert set(map(tuple, draws[:, 3:])) == {
        (a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)
    }


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no usable training pictures"):
        load_pairs(data_of(tmp_path / "empty"), 2)
    with pytest.raises(UserError, match=r"no such folder.*data\.folders"):
        load_pairs(data_of(tmp_path / "none"), 2)


def test_changed_and_new_pictures_are_taken_and_told(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, run = data_of(folder), tmp_path / "run"
    run.mkdir()
    take_stock(load_pairs(data, 2), run, 0)
    take_stock(load_pairs(data, 2), run, 5)
    assert not caplog.messages
    Image.new("RGB", (50, 41), (1, 2, 3)).save(folder / "0.png")
    (folder / "1.png").unlink()
    smooth(30, 30).save(folder / "new.png")
    pairs = load_pairs(data, 2)
    take_stock(pairs, run, 7)
    assert (pairs[0].hr == (1, 2, 3)).all()
    assert [pair.path.name for pair in pairs] == ["0.png", "2.png", "new.png"]
    (told,) = caplog.messages
    assert "1 new, 1 gone, 1 changed; from iteration 7" in told


def test_a_picture_with_the_time_of_another_is_told_apart(folder: Path) -> None:
    data = data_of(folder)
    before = (folder / "0.png").stat()
    load_pairs(data, 2)
    smooth(48, 48, 9).save(folder / "0.png")
    os.utime(folder / "0.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_pairs(data, 2)[0].hr.shape == (48, 48, 3)
