"""Whoever meets a stand-in is told that it is one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation.pictures import noise, write
from process import mistake, run_lightsr

from lightsr.networks.build import create_network
from lightsr.weights.files import save_tensors

SAYS = "madnet (reconstruction) is a stand-in of our own design"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    torch.manual_seed(0)
    tensors = {n: t.numpy() for n, t in create_network("madnet", 2).state_dict().items()}
    save_tensors(path, tensors, {"network": "madnet", "scale": "2"})
    return path


def test_in_lists_and_counts() -> None:
    listed = run_lightsr("models")
    assert "madnet (reconstruction)" in listed.stdout
    assert "bicubic" in listed.stdout
    told = json.loads(run_lightsr("models", "--json").stdout)
    stand_ins = {entry["name"] for entry in told if entry["reconstruction"] is not None}
    assert stand_ins == {"madnet"}
    counted = run_lightsr("complexity", "madnet", "--scale", "4").stdout
    assert counted.startswith("MADNet (reconstruction) x4:")
    assert "This is a stand-in of our own design" in counted


@pytest.mark.parametrize("model", [("--model", "madnet"), ()])
def test_when_it_enlarges(model: tuple[str, ...], weights: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.png", noise(6, 5, 3))
    done = run_lightsr(
        *("upscale", tmp_path / "a.png", "--weights", weights, "-o", tmp_path / "b.png", *model),
        *("--scale", "2"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"lightsr: {SAYS}")


def test_when_it_is_measured_or_has_no_weights(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "HR" / "a.png", noise(40, 36, 3))
    done = run_lightsr(
        *("evaluate", "madnet", "--scale", "2", "--data", tmp_path / "HR", "--weights", weights)
    )
    assert done.stdout.startswith("madnet (reconstruction) x2 (")
    assert SAYS in done.stderr
    assert done.stderr.count(SAYS) == 1
    message = mistake(capsys, "upscale", tmp_path / "HR" / "a.png", "--model", "madnet")
    assert "no weights are shipped for madnet (reconstruction) x4" in message


def test_the_baseline_enlarges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.png", np.full((4, 5, 3), 77, np.uint8))
    done = run_lightsr("upscale", tmp_path / "a.png", "--model", "bicubic", "--scale", "8")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a_x8.png").is_file()
    message = mistake(
        capsys, "upscale", tmp_path / "a.png", "--model", "bicubic", "--weights", "x.pth"
    )
    assert message == "lightsr: bicubic has nothing to learn and takes no weights; leave them out\n"
