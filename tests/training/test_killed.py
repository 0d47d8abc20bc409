"""Runs that are killed at any moment and resumed end as those that were not."""

from __future__ import annotations

import csv
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from training.children import dying_at, finish, kill_after, start
from training.making import data_of, folder_of

from lightsr.training.recipe import Optimiser, Recipe, Validation
from lightsr.training.run import resume, train
from lightsr.training.stopping import Stopped
from lightsr.weights.files import load_tensors

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ITERATIONS = 60


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    pictures = folder_of(tmp_path_factory.mktemp("killed") / "pictures", (24, 30), (33, 20))
    return Recipe(
        network="fsrcnn-s",
        scale=2,
        iterations=ITERATIONS,
        data=data_of(pictures, batch=2),
        optimiser=Optimiser(schedule="cosine", ema=0.9, clip=50.0),
        validation=Validation(folders={"Own": pictures}, every=11, samples=0),
        checkpoint_every=4,
        tensorboard=False,
    )


@pytest.fixture(scope="module")
def whole(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run that nothing happened to, and how long it took."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    begun = time.monotonic()
    assert finish(start(lambda: train(recipe, folder))) == 0
    return folder, time.monotonic() - begun


def go_on(recipe: Recipe, folder: Path) -> None:
    if (folder / "recipe.yaml").exists():
        resume(folder)
    else:
        train(recipe, folder)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_equal(one: Path, other: Path) -> None:
    for name in ("weights.safetensors", "best.safetensors"):
        kept, same = (load_tensors(folder / name)[0] for folder in (one, other))
        assert kept.keys() == same.keys()
        assert all(np.array_equal(kept[key], same[key]) for key in kept)
    states = [torch.load(f / "last.ckpt", weights_only=True)["state_dict"] for f in (one, other)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert rows(one) == rows(other)
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}


def test_killed_at_random_moments(
    recipe: Recipe, whole: tuple[Path, float], tmp_path: Path
) -> None:
    chance, folder = random.Random(7), tmp_path / "run"
    unhurt, seconds = whole
    killed = 0
    for _ in range(5):
        pid = start(lambda: go_on(recipe, folder))
        killed += kill_after(pid, chance.uniform(0.2, 0.8) * seconds) == -signal.SIGKILL
    assert killed
    assert finish(start(lambda: go_on(recipe, folder))) == 0
    assert_equal(unhurt, folder)


def test_killed_while_writing(recipe: Recipe, whole: tuple[Path, float], tmp_path: Path) -> None:
    """Killed before any of the steps by which files come to be: at each restart a later one."""
    folder, killed = tmp_path / "run", 0

    def dying(moment: int) -> Callable[[], None]:
        def run() -> None:
            dying_at(moment, "fsync", "replace", "link")
            go_on(recipe, folder)

        return run

    moments = iter((3, 5, 6, 7, 8, 9, 10, 11, 12, 17))
    while (status := finish(start(dying(next(moments, 10_000))))) == -signal.SIGKILL:
        killed += 1
    assert status == 0
    assert killed > 5
    assert_equal(whole[0], folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal(
    number: int, recipe: Recipe, whole: tuple[Path, float], tmp_path: Path
) -> None:
    folder, heard = tmp_path / "run", tmp_path / "heard"

    def run() -> None:
        try:
            train(recipe, folder)
        except Stopped as stopped:
            heard.write_text(str(stopped.signal_number))

    pid = start(run)
    while not (folder / "last.ckpt").exists():
        time.sleep(0.005)
    assert kill_after(pid, 0, number) == 0
    assert heard.read_text() == str(int(number))
    reached = torch.load(folder / "last.ckpt", weights_only=True)["global_step"]
    assert 0 < reached < ITERATIONS
    assert finish(start(lambda: resume(folder))) == 0
    assert_equal(whole[0], folder)
