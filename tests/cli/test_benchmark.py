"""`lightsr benchmark` in a process of its own: interrupted, killed, and taken up again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from evaluation.pictures import noise, write
from process import mistake, run_lightsr

from lightsr.cli.app import run

Graph = Callable[..., Path]

PICTURES = 24


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in range(PICTURES):
        write(tmp_path / "Noise" / f"{number}.png", noise(120, 110, 3, seed=number))
    return tmp_path / "Noise"


@pytest.fixture
def weights(tmp_path: Path, graph: Graph) -> Path:
    (tmp_path / "weights").mkdir()
    shutil.copy(graph(2, network="vdsr"), tmp_path / "weights" / "tiny.onnx")
    (tmp_path / "weights" / "broken.pth").write_bytes(b"PK\x03\x04 no more")
    return tmp_path / "weights"


def command(data: Path, weights: Path, output: Path) -> list[str]:
    return [
        *("benchmark", "--data", str(data), "--weights-dir", str(weights), "-o", str(output)),
        *("--scale", "2", "--model", "vdsr", "--no-latency", "--no-plots", "--no-visual"),
    ]


def stopped_midway(arguments: list[str], output: Path, by: signal.Signals) -> tuple[int, str]:
    """Start the command, send it a signal when it has measured something, and see it end."""
    before = len(list(output.rglob("*.json")))
    started = subprocess.Popen(
        [sys.executable, "-m", "lightsr", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = time.monotonic() + 120
    while len(list(output.rglob("*.json"))) < before + 3 and time.monotonic() < give_up:
        time.sleep(0.01)
    started.send_signal(by)
    _, said = started.communicate(timeout=120)
    return started.returncode, said


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_an_interrupted_run_goes_on_where_it_was(data: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = command(data, weights, output)
    status, said = stopped_midway(arguments, output, signal.SIGINT)
    assert (status, said.splitlines()[-1]) == (
        130,
        "lightsr: stopped; nothing half-written was left behind",
    )
    status, _ = stopped_midway(arguments, output, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert not (output / "index.html").exists()
    kept = len(list((output / "cache").rglob("*.json")))
    assert 6 <= kept < 2 * PICTURES

    done = run_lightsr(*arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert "broken.pth is skipped" in lines[0]
    assert (
        f"{kept} measurements are kept from before, {2 * PICTURES - kept} are to be made"
        in (lines[1])
    )
    assert len(lines) == 2 + 2 * PICTURES - kept
    assert lines[-1].endswith("left")
    assert "Written to" in done.stdout
    assert run(command(data, weights, tmp_path / "other")) == 0
    results = [
        json.loads((folder / "results.json").read_text()) for folder in (output, tmp_path / "other")
    ]
    assert results[0] == results[1]
    assert results[0]["skipped"][0]["file"] == "broken.pth"


def test_latency_and_memory_are_measured_in_a_fresh_process(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    write(tmp_path / "one" / "noise.png", noise(40, 40, 3))
    done = run_lightsr(
        *("benchmark", "--data", tmp_path / "one", "-o", tmp_path / "out", "--scales", "4"),
        *("--models", "ecbsr-m4c8", "--repeats", "1", "--no-plots", "--no-visual", "--quiet"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    for row in told["rows"]:
        assert 0 < row["latency"]["seconds"] < 60
        assert 0 < row["latency"]["core_seconds"] < 60
        if sys.platform == "linux":
            assert 20e6 < row["peak_bytes"] < 4e9


def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "one" / "noise.png", noise(40, 40, 3))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()

    def said(*options: str | Path, output: str = "out") -> str:
        given: list[str | Path] = [*options]
        if "--data" not in given:
            given += ["--data", tmp_path / "one"]
        return mistake(capsys, "benchmark", "--no-latency", "-o", tmp_path / output, *given)

    assert "did you mean 'fdiwn'" in said("--model", "srcnn,fdiwnn")
    assert "there is no scale '5'" in said("--scale", "2,5")
    assert "does not exist" in said("--data", tmp_path / "none")
    assert "holds no pictures" in said("--data", tmp_path / "empty")
    assert "same name" in said("--data", tmp_path / "one", "--data", f"one={tmp_path / 'empty'}")
    assert "does not exist" in said("--weights-dir", tmp_path / "none")
    assert "must be NAME=DIR" in said("--lr-dir", tmp_path / "empty")
    assert "no test set is named 'two'" in said("--lr-dir", f"two={tmp_path / 'empty'}")
    assert "is no crop" in said("--crop", "noise:1,2,3")
    assert "no picture is named 'noice'" in said("--crop", "noice:1,2,30,30")
    assert "is no folder" in said(output="file")
    assert "cannot be written" in said(output="file/in")
    assert "did you mean 'torch'" in said("--backend", "torsh")
    monkeypatch.setattr("lightsr.evaluation.benchmark.write.find_spec", lambda _: None)
    assert "pip install 'lightsr[benchmark]'" in said()
    assert not (tmp_path / "out" / "results.json").exists()
