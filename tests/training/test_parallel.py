"""Several processes on one run, started by torchrun as users do."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from training.children import finish, kill_after, start
from training.making import data_of, folder_of

from lightsr.errors import LightsrError
from lightsr.training.recipe import Optimiser, Recipe, Validation, write_recipe
from lightsr.training.run import resume, train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="torchrun is tried on Linux")


def recipe_in(folder: Path, **changes: object) -> Recipe:
    pictures = folder_of(folder / "pictures", (24, 30), (33, 20))
    recipe = Recipe(
        network="fsrcnn-s",
        scale=2,
        iterations=100,
        data=data_of(pictures, batch=4),
        optimiser=Optimiser(learning_rate=1e-4, ema=0.9),
        validation=Validation(folders={"Own": pictures}, every=40, samples=0),
        checkpoint_every=10,
        tensorboard=False,
    ).model_copy(update=changes)
    write_recipe(recipe, folder / "recipe.yaml")
    return recipe


def torchrun(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start two processes."""
    # The rendezvous takes any free port.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return subprocess.Popen(
        [*command, "-m", "lightsr", "train", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def losses(folder: Path) -> list[float]:
    with (folder / "log.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def start_two(function: Callable[[], object]) -> list[int]:
    """Call a function in two processes that were forked, their places told as torchrun does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def placed(rank: int) -> Callable[[], object]:
        def run() -> None:
            os.environ |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1"}
            os.environ |= {"MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            function()

        return run

    return [start(placed(rank)) for rank in range(2)]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    # Forked too: what ran torch before the fork must not run it after.
    assert finish(start(lambda: train(recipe, tmp_path / "one"))) == 0
    pids = start_two(lambda: train(recipe, tmp_path / "two"))
    assert [finish(pid) for pid in pids] == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, two = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    for key, weight in one.items():
        torch.testing.assert_close(two[key], weight, rtol=1e-3, atol=1e-5)


def test_a_lost_process_is_told(tmp_path: Path) -> None:
    recipe, run, told = recipe_in(tmp_path, iterations=1_000_000), tmp_path / "run", tmp_path / "t"

    def tell() -> None:
        try:
            train(recipe, run)
        except LightsrError as error:
            told.write_text(str(error))

    pids = start_two(tell)
    until = time.monotonic() + 100
    while not (run / "last.ckpt").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert kill_after(pids[1], 0) == -signal.SIGKILL
    assert finish(pids[0]) == 0
    assert "a process of this run was lost" in told.read_text()
    assert f"--resume {run} to go on from iteration" in told.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_lost_process_ends_the_run_resumably(rank: str, tmp_path: Path) -> None:
    recipe_in(tmp_path, iterations=1_000_000)
    run = tmp_path / "run"
    process = torchrun(tmp_path / "recipe.yaml", "-o", run)
    until = time.monotonic() + 200
    while not (run / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.1)
    workers = {
        child.environ()["RANK"]: child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "RANK" in child.environ()
    }
    assert workers.keys() == {"0", "1"}
    workers[rank].send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert not any(worker.is_running() for worker in workers.values())
    if rank == "1":
        assert f"--resume {run}" in err

    reached = torch.load(run / "last.ckpt", weights_only=True)["global_step"]
    recipe = recipe_in(tmp_path, iterations=reached + 5)
    write_recipe(recipe, run / "recipe.yaml")
    resume(run)
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == reached + 5


@pytest.mark.slow
def test_torchrun_starts_a_run_and_one_process_speaks(tmp_path: Path) -> None:
    recipe_in(tmp_path, iterations=10)
    process = torchrun(tmp_path / "recipe.yaml", "-o", tmp_path / "two")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert out.splitlines() == [str(tmp_path / "two" / "weights.safetensors")]
    assert err.count("10  loss") == 1


@pytest.mark.slow
def test_told_to_stop_all_processes_stop_together(tmp_path: Path) -> None:
    recipe_in(tmp_path, iterations=1_000_000, checkpoint_every=1_000_000)
    run = tmp_path / "run"
    process = torchrun(tmp_path / "recipe.yaml", "-o", run)
    until = time.monotonic() + 200
    while not (run / "log.csv").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert f"lightsr train --resume {run}" in err
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] > 0
