"""Many jobs: the same results as one by one, whatever fails, is stopped, or is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import Graph
from PIL import Image

from lightsr.engine import crew
from lightsr.engine.crew import run_jobs
from lightsr.engine.fit import Fit
from lightsr.engine.jobs import Job
from lightsr.engine.machine import keeps_to_one_core
from lightsr.engine.run import Done, WriteSettings, run_job
from lightsr.errors import LightsrError, PictureError

SETTINGS = WriteSettings()


def _picture(path: Path, height: int, width: int, seed: int = 0, mode: str = "RGB") -> None:
    random = np.random.default_rng(seed)
    samples = random.integers(0, 256, (height, width, 4), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(samples).convert(mode).save(path)


def _jobs(folder: Path) -> list[Job]:
    """Pictures of several sizes and kinds, a large one among them, and two that fail."""
    for number in range(12):
        _picture(folder / f"in/{number:02}.png", 20 + number // 5, 30, number)
    _picture(folder / "in/03.png", 20, 30, 3, "LA")
    _picture(folder / "in/07.png", 20, 30, 7, "RGBA")
    _picture(folder / "in/08.png", 120, 200, 8)
    (folder / "in/02.png").write_bytes((folder / "in/02.png").read_bytes()[:200])
    (folder / "in/09.png").write_text("no picture")
    sources = sorted((folder / "in").iterdir())
    return [Job(source, folder / "out" / "deep" / source.name) for source in sources]


@pytest.fixture
def fit(graph: Graph) -> Fit:
    return Fit(2, None, None, {"weights": graph(2, kind="global")})


@pytest.mark.parametrize("count", [1, 3])
def test_pictures_share_the_cores_only_with_one_another(
    tmp_path: Path, fit: Fit, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    upscaler, _ = fit.for_size((20, 30), "any")
    run = upscaler.backend.run
    kept: list[bool] = []
    monkeypatch.setattr(
        upscaler.backend, "run", lambda batch: kept.append(keeps_to_one_core()) or run(batch)
    )
    jobs = [Job(tmp_path / f"in/{i}.png", tmp_path / f"out/{i}.png") for i in range(count)]
    for job in jobs:
        assert job.source is not None
        _picture(job.source, 20, 30)
    for result in run_jobs(jobs, fit, SETTINGS, lambda job: run_job(job, fit, SETTINGS)):
        assert isinstance(result.outcome, Done)
    assert kept == [count > 1] * count
    assert not keeps_to_one_core()


@pytest.mark.parametrize("width", [None, 240])
@pytest.mark.parametrize("device", ["cpu", "like a gpu"])
def test_results_are_those_of_one_by_one(
    tmp_path: Path, graph: Graph, monkeypatch: pytest.MonkeyPatch, device: str, width: int | None
) -> None:
    fit = Fit(None if width else 2, width, None, {"weights": graph(2, kind="global")})
    upscaler, _ = fit.for_size((20, 30), "any")
    monkeypatch.setattr(crew, "_SMALL", 5000)
    monkeypatch.setattr(upscaler.backend, "device", device)
    batches: list[int] = []
    run = upscaler.backend.run
    monkeypatch.setattr(
        upscaler.backend, "run", lambda batch: batches.append(len(batch)) or run(batch)
    )
    alone: list[str] = []

    def one(job: Job) -> Done:
        alone.append(job.name)
        return run_job(job, fit, SETTINGS)

    jobs = _jobs(tmp_path)
    results = list(run_jobs(jobs, fit, SETTINGS, one))
    assert [result.job for result in results] == jobs
    for result in results:
        job, outcome = result.job, result.outcome
        assert job.source is not None
        assert job.target is not None
        if job.source.stem in ("02", "09"):
            assert isinstance(outcome, PictureError)
            assert job.source.name in str(outcome)
            assert not job.target.exists()
            continue
        expected = tmp_path / "expected" / job.source.name
        done = run_job(Job(job.source, expected), fit, SETTINGS)
        assert expected.read_bytes() == job.target.read_bytes()
        assert isinstance(outcome, Done)
        assert (outcome.before, outcome.after) == (done.before, done.after)
    # The large one, and the one whose size cannot be told.
    assert [Path(name).stem for name in alone] == ["08", "09"]
    if device != "cpu" and width is None:
        assert max(batches) > 1


def test_a_network_that_fails_fails_for_one_picture(
    tmp_path: Path, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among pictures done together too."""
    backend = fit.for_size((20, 30), "any")[0].backend
    monkeypatch.setattr(backend, "device", "like a gpu")
    run = backend.run

    def failing(batch: Any) -> Any:
        if (batch[:, :, 0, 0] == [1, 0, 0]).all(1).any():
            raise LightsrError("it broke")
        return run(batch)

    monkeypatch.setattr(backend, "run", failing)
    for number in range(4):
        _picture(tmp_path / f"{number}.png", 20, 30, number)
    image = Image.open(tmp_path / "2.png").convert("RGB")
    image.putpixel((0, 0), (255, 0, 0))
    image.save(tmp_path / "2.png")
    jobs = [Job(tmp_path / f"{n}.png", tmp_path / f"out/{n}.png") for n in range(4)]
    results = list(run_jobs(jobs, fit, SETTINGS, lambda job: run_job(job, fit, SETTINGS)))
    broken = [result for result in results if isinstance(result.outcome, Exception)]
    assert [str(result.outcome) for result in broken] == [f"{jobs[2].source}: it broke"]
    assert not broken[0].job.target.exists()  # type: ignore[union-attr]


def test_nothing_is_left_of_what_failed(tmp_path: Path, fit: Fit) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    jobs = [Job(tmp_path / f"{n}.png", tmp_path / f"out/deep/{n}.png") for n in range(3)]
    results = list(run_jobs(jobs, fit, SETTINGS, lambda job: run_job(job, fit, SETTINGS)))
    assert all(isinstance(result.outcome, PictureError) for result in results)
    assert not (tmp_path / "out").exists()


def test_leaving_early_drops_what_has_not_begun(tmp_path: Path, fit: Fit) -> None:
    for number in range(40):
        _picture(tmp_path / f"in/{number:02}.png", 60, 60, number)
    sources = sorted((tmp_path / "in").iterdir())
    jobs = [Job(source, tmp_path / "out" / source.name) for source in sources]
    results = run_jobs(jobs, fit, SETTINGS, lambda job: run_job(job, fit, SETTINGS))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not [one for one in threading.enumerate() if one.name.startswith("lightsr-picture")]
    assert 1 <= len(list((tmp_path / "out").iterdir())) < 20


def test_more_than_the_memory_holds_is_done_alone(tmp_path: Path, graph: Graph) -> None:
    from lightsr.engine.machine import used_memory

    memory = used_memory() + 250 * 2**20
    fit = Fit(2, None, None, {"weights": graph(2), "backend": "onnxruntime", "memory": memory})
    _picture(tmp_path / "a.png", 200, 300)
    _picture(tmp_path / "b.png", 20, 30)
    alone: list[str] = []

    def one(job: Job) -> Done:
        alone.append(job.name)
        return run_job(job, fit, SETTINGS)

    jobs = [Job(tmp_path / f"{n}.png", tmp_path / f"out/{n}.png") for n in "ab"]
    results = list(run_jobs(jobs, fit, SETTINGS, one))
    assert all(isinstance(result.outcome, Done) for result in results)
    assert alone[0] == str(tmp_path / "a.png")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_folder_goes_on_where_it_was(tmp_path: Path, graph: Graph, how: signal.Signals) -> None:
    """Stopped in the middle: whole pictures only; the next run makes the others, and no more."""
    for number in range(60):
        _picture(tmp_path / f"in/{number:02}.png", 160, 160, number)
    command = [sys.executable, "-m", "lightsr", "upscale", "in", "-o", "out"]
    command += ["--weights", str(graph(2))]
    out = tmp_path / "out"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while len(_made(out)) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, how)
        process.communicate(timeout=60)
    made = {path: path.stat().st_mtime_ns for path in _made(out)}
    assert 5 <= len(made) < 60
    for path in made:
        assert Image.open(path).size == (320, 320)
        Image.open(path).load()
    if how == signal.SIGINT:
        assert process.returncode in (130, -signal.SIGINT)
        assert set(out.iterdir()) == set(made)  # nothing half made lies about
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"{len(made)} of 60 pictures have their output already" in again.stderr
    assert len(_made(out)) == 60
    assert {path: path.stat().st_mtime_ns for path in made} == made


def _made(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*")) if folder.exists() else []
