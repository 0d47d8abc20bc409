from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lightsr.errors import LightsrError, UserError
from lightsr.training.module import SuperResolution, started_network
from lightsr.training.recipe import Data, Optimiser, Recipe, Validation, write_recipe
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
        network="fsrcnn-s",
        scale=2,
        iterations=4,
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
    assert names == {
        *("recipe.yaml", "pictures.json", "log.csv", "samples", "tensorboard"),
        *("last.ckpt", "best.ckpt", "iteration-00000002.ckpt"),
        *("weights.safetensors", "best.safetensors"),
    }
    assert sorted(path.name for path in (tmp_path / "run" / "samples").iterdir()) == [
        "Own-0.png",
        "Own-1.png",
    ]
    assert any((tmp_path / "run" / "tensorboard").iterdir())
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["iteration"] == "2"
    assert 5 < float(row["Own"]) < 70
    with pytest.raises(UserError, match="holds a run already"):
        train(recipe_for(pictures), tmp_path / "run")


def test_resuming_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run to resume"):
        resume(tmp_path)


def test_warm_start_takes_what_fits(pictures: Path, tmp_path: Path) -> None:
    path = train(recipe_for(pictures, network="fdiwn-m", iterations=1), tmp_path / "x2")
    wide = recipe_for(pictures, network="fdiwn-m", scale=4, warm_start=path)
    own, taken = started_network(wide).state_dict(), weights(path)
    fits = [name for name in own if own[name].shape == taken[name].shape]
    assert "head.weight" in fits
    assert "main2.weight" not in fits
    assert all(np.array_equal(own[name].numpy(), taken[name]) for name in fits)


def test_only_the_newest_checkpoints_and_the_best_are_kept(pictures: Path, tmp_path: Path) -> None:
    recipe = recipe_for(pictures, iterations=9, checkpoint_every=1, keep=3)
    train(recipe, tmp_path / "run")
    kept = sorted(path.name for path in (tmp_path / "run").glob("*.ckpt"))
    assert kept == ["best.ckpt", *(f"iteration-0000000{i}.ckpt" for i in (7, 8, 9)), "last.ckpt"]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe, run = recipe_for(pictures), tmp_path / "run"
    whole = weights(train(recipe, run))
    content = (run / "last.ckpt").read_bytes()
    for name in ("last.ckpt", "iteration-00000004.ckpt"):
        (run / name).write_bytes(content[: len(content) // 2])
    resumed = weights(resume(run))
    assert "last.ckpt: damaged" in caplog.text
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    for path in run.glob("*.ckpt"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="no checkpoint can be read"):
        resume(run)


def test_a_loss_that_is_not_finite_stops_the_run_at_its_last_good_checkpoint(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = SuperResolution.training_step

    def poisoned(self: SuperResolution, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return compute(self, batch) * (float("nan") if self.global_step == 3 else 1)

    monkeypatch.setattr(SuperResolution, "training_step", poisoned)
    with pytest.raises(LightsrError, match=r"iteration 4 .*last\.ckpt of iteration 3: lower"):
        train(recipe_for(pictures, checkpoint_every=1, iterations=8), tmp_path / "run")
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == 3


def test_weights_that_are_not_finite_never_reach_a_checkpoint(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = SuperResolution.optimizer_step

    def overflowing(self: SuperResolution, *args: Any, **kwargs: Any) -> None:
        move(self, *args, **kwargs)
        if self.global_step == 3:  # counted once it is through
            torch.nn.init.constant_(next(iter(self.network.parameters())), float("inf"))

    monkeypatch.setattr(SuperResolution, "optimizer_step", overflowing)
    with pytest.raises(LightsrError, match="a weight at iteration 4 is not finite"):
        train(recipe_for(pictures, iterations=8), tmp_path / "run")
    kept = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 2


def test_a_learning_rate_changed_in_the_run_folder_counts(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run = recipe_for(pictures, optimiser=Optimiser(learning_rate=1e-3)), tmp_path / "run"
    train(recipe, run)
    changed = recipe.model_copy(
        update={"iterations": 6, "optimiser": Optimiser(learning_rate=5e-4)}
    )
    write_recipe(changed, run / "recipe.yaml")
    resume(run)
    state = torch.load(run / "last.ckpt", weights_only=True)
    assert state["optimizer_states"][0]["param_groups"][0]["lr"] == 5e-4


def test_a_full_disk_is_told(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightsr.training.checkpoints.torch.save", full)
    with pytest.raises(UserError, match=r"cannot be written: No space left.*--resume"):
        train(recipe_for(pictures, tensorboard=False), tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.part"))


def test_validation_folders_are_looked_at_before_training(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("none", "empty"):
        wrong = Validation(folders={"Set5": tmp_path / folder})
        with pytest.raises(UserError, match=r"validation\.folders\.Set5: .* no folder of pict"):
            train(recipe_for(pictures, validation=wrong), tmp_path / f"run-{folder}")
        assert not (tmp_path / f"run-{folder}").exists()
