"""`lightsr evaluate` in a process of its own."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation.pictures import noise, read, write
from process import mistake, run_lightsr

Graph = Callable[..., Path]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "Noise" / "HR" / "colour.png", noise(40, 36, 3))
    write(tmp_path / "Noise" / "HR" / "grey.png", noise(36, 40))
    return tmp_path / "Noise" / "HR"


def test_table_progress_json_and_pictures(data: Path, graph: Graph, tmp_path: Path) -> None:
    target, saved = tmp_path / "e.json", tmp_path / "saved"
    done = run_lightsr(
        *("evaluate", "fdiwn", "--scale", "2", "--data", data),
        *("--weights", graph(2, kind="nearest"), "--forward", "chop", "--border", "replicate"),
        *("--json", target, "--save-images", saved),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(target.read_text())
    assert (told["model"], told["scale"], told["dataset"]) == ("fdiwn", 2, "Noise")
    assert told["protocol"]["forward"] == "chop"
    assert told["protocol"]["border"] == "replicate"
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["picture", "PSNR", "SSIM", "seconds"]
    for line, image in zip(lines[2:4], told["images"], strict=True):
        assert line.split()[:3] == [image["name"], f"{image['psnr']:.4f}", f"{image['ssim']:.4f}"]
    mean = told["mean"]
    assert lines[4].split()[:3] == ["mean", f"{mean['psnr']:.4f}", f"{mean['ssim']:.4f}"]
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["[1/2]", "[2/2]"]
    assert read(saved / "colour.png").shape == (40, 36, 3)
    np.testing.assert_array_equal(read(saved / "grey.png")[::2], read(saved / "grey.png")[1::2])


def test_the_baseline_needs_no_weights_and_no_torch(data: Path) -> None:
    done = run_lightsr("evaluate", "bicubic", "--scale", "3", "--data", data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("bicubic x3 on Noise")


def test_a_file_tells_its_network_and_its_paper_the_protocol(
    data: Path, graph: Graph, tmp_path: Path
) -> None:
    target, weights = tmp_path / "e.json", graph(2, kind="nearest")
    given = ("--weights", weights, "--data", data, "--protocol", "own", "--json", target)
    done = run_lightsr("evaluate", *given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"fdiwn x2 ({weights}) on Noise: own protocol (chopped), LR made")
    told = json.loads(target.read_text())
    assert (told["model"], told["scale"]) == ("fdiwn", 2)
    assert (told["protocol"]["name"], told["protocol"]["forward"]) == ("own", "chop")
    done = run_lightsr("evaluate", "bicubic", "--scale", "2", "--data", data)
    assert "common protocol" in done.stdout.splitlines()[0]


def test_mistakes_are_one_line(
    data: Path, graph: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, empty, trap = graph(2, kind="nearest"), tmp_path / "empty", tmp_path / "trap.pth"
    empty.mkdir()
    trap.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))

    def said(option: str = "--scale", value: str | Path = "2", model: str = "fdiwn") -> str:
        given = {"--scale": "2", "--data": data, "--weights": weights, option: value}
        return mistake(
            capsys, "evaluate", model, *(word for pair in given.items() for word in pair)
        )

    assert "did you mean 'fdiwn-m'" in said(model="fdiwnm")
    assert "holds fdiwn x2, not fdiwn x4" in said("--scale", "4")
    assert "is not one of 'common', 'own'" in said("--protocol", "mine")
    assert "name a network" in mistake(capsys, "evaluate", "--scale", "2", "--data", data)
    assert "give a scale" in mistake(capsys, "evaluate", "fdiwn", "--data", data)
    assert "holds no pictures" in said("--data", empty)
    assert "does not exist" in said("--data", tmp_path / "none")
    assert "none.pt does not exist" in said("--weights", tmp_path / "none.pt")
    assert "nothing of it was run" in said("--weights", trap)
    assert not (tmp_path / "sprung").exists()
    assert "holds no pictures" in said("--lr-dir", empty)
    assert "is a folder" in said("--json", empty)
    assert "--save-images" in said("--save-images", data)
    assert "--save-images" in said("--save-images", data.parent)
    write(data / "tiny.png", noise(12, 30, 3))
    assert "tiny.png has 30x12 pixels" in said()
    (data / "tiny.png").write_bytes(b"")
    assert "tiny.png is empty" in said()


class Trap:
    """Pickles into a call that writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, (f"open({str(self.path)!r}, 'w')",))
