from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightsr.errors import UserError
from lightsr.images.resize import degrade
from lightsr.training.data import Patches, load_pairs
from lightsr.training.module import SuperResolution, started_network
from lightsr.training.recipe import Data, Optimiser, Recipe, Validation
from lightsr.training.run import resume, train
from lightsr.weights.files import load_tensors


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index, size in enumerate([(41, 50), (64, 33)]):
        smooth = Image.fromarray(random.integers(256, size=(6, 7, 3), dtype=np.uint8))
        smooth.resize((size[1], size[0]), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def recipe_for(pictures: Path, **changes: object) -> Recipe:
    data = Data(folders=(pictures,), cache=pictures.parent / "cache", patch=8, batch=2)
    recipe = Recipe(
        network="fdiwn-m",
        scale=2,
        iterations=4,
        start="bicubic",
        data=data,
        optimiser=Optimiser(schedule="cosine", ema=0.9),
        validation=Validation(folders={"Own": pictures}, every=2),
        checkpoint_every=2,
    )
    return recipe.model_copy(update=changes)


def weights(path: Path) -> dict[str, np.ndarray]:
    return load_tensors(path)[0]


def test_resumed_run_equals_an_uninterrupted_one(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_for(pictures)
    whole = weights(train(recipe, tmp_path / "whole"))

    def stop(self: SuperResolution, *_: object) -> None:
        if self.global_step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SuperResolution, "on_train_batch_start", stop)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train(recipe, tmp_path / "halved")
    halved = weights(resume(tmp_path / "halved"))
    assert whole.keys() == halved.keys()
    assert all(np.array_equal(whole[name], halved[name]) for name in whole)
    started = started_network(recipe).state_dict()
    assert any(not np.array_equal(whole[name], started[name].numpy()) for name in whole)


def test_run_folder_tells_the_run(pictures: Path, tmp_path: Path) -> None:
    train(recipe_for(pictures, iterations=2), tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"recipe.yaml", "last.ckpt", "log.csv", "weights.safetensors"}
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["iteration"] == "2"
    assert 15 < float(row["Own"]) < 70
    with pytest.raises(UserError, match="holds a run already"):
        train(recipe_for(pictures), tmp_path / "run")


def test_resuming_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run to resume"):
        resume(tmp_path)


def test_patches_are_pairs(pictures: Path) -> None:
    """Each LR patch is the exact bicubic of its HR patch, away from the patch's border."""
    recipe = recipe_for(pictures)
    patches = Patches(load_pairs(recipe.data, 2), recipe.data, 2, seed=3, first=0)
    for iteration in range(6):
        lr, hr = patches.batch(iteration)
        assert lr.shape == (2, 3, 8, 8)
        assert hr.shape == (2, 3, 16, 16)
        for one, other in zip(lr, hr, strict=True):
            pixels = (other.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
            wanted = degrade(np.ascontiguousarray(pixels), 2).astype(float)
            got = (one.permute(1, 2, 0) * 255).numpy()
            # Transposing swaps the passes, between which MATLAB rounds: a level or so.
            assert np.abs(wanted - got)[2:-2, 2:-2].max() <= 1.5


def test_patches_depend_on_seed_and_iteration_alone(pictures: Path) -> None:
    recipe = recipe_for(pictures)
    pairs = load_pairs(recipe.data, 2)
    one = Patches(pairs, recipe.data, 2, seed=3, first=0)
    stream = iter(Patches(pairs, recipe.data, 2, seed=3, first=5))
    assert torch.equal(next(stream)[0], one.batch(5)[0])
    assert torch.equal(next(stream)[1], one.batch(6)[1])
    assert not torch.equal(one.batch(5)[0], one.batch(6)[0])
    other = Patches(pairs, recipe.data, 2, seed=4, first=0)
    assert not torch.equal(one.batch(5)[0], other.batch(5)[0])


def test_unusable_pictures_are_named_and_left_out(
    pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (9, 9)).save(pictures / "tiny.png")
    Image.new("L", (40, 40), 7).save(pictures / "grey.png")
    with caplog.at_level(logging.WARNING):
        pairs = load_pairs(recipe_for(pictures).data, 2)
    assert len(pairs) == 3
    assert "broken.png" in caplog.text
    assert "tiny.png" in caplog.text


def test_a_changed_picture_is_read_again(pictures: Path) -> None:
    data = recipe_for(pictures).data
    before = load_pairs(data, 2)[0].hr.copy()
    Image.new("RGB", (50, 41), (1, 2, 3)).save(pictures / "0.png")
    after = load_pairs(data, 2)[0].hr
    assert before.shape == (40, 50, 3)
    assert (after == (1, 2, 3)).all()


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no usable training pictures"):
        load_pairs(Data(folders=(tmp_path,), cache=tmp_path / "cache"), 2)
    with pytest.raises(UserError, match="no such folder"):
        load_pairs(Data(folders=(tmp_path / "none",)), 2)


def test_warm_start_takes_what_fits(pictures: Path, tmp_path: Path) -> None:
    path = train(recipe_for(pictures, iterations=1), tmp_path / "x2")
    wide = recipe_for(pictures, network="fdiwn-m", scale=4, warm_start=path)
    own, taken = started_network(wide).state_dict(), weights(path)
    fits = [name for name in own if own[name].shape == taken[name].shape]
    assert "head.weight" in fits
    assert "main2.weight" not in fits
    assert all(np.array_equal(own[name].numpy(), taken[name]) for name in fits)
