"""`lightsr convert` in a process of its own, and what it writes used by the next command."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from process import mistake, run_lightsr

from lightsr.cli.app import run
from lightsr.weights.files import load_weights_of


@pytest.fixture
def official(assets: Path) -> Path:
    return assets / "checkpoints" / "fdiwn" / "FDIWNx4.pt"


def test_the_authors_weights_convert(
    official: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = tmp_path / "ours.safetensors"
    convert = ("convert", official, "--model", "fdiwn", "--scale", "4", "-o", ours)
    done = run_lightsr(*convert)
    assert done.returncode == 0, done.stderr
    assert "1591 tensors, 663,848 values" in done.stdout
    assert "exists already; give --overwrite" in mistake(capsys, *convert)
    assert load_weights_of(ours, "fdiwn", 4)["head.weight"].shape == (24, 3, 3, 3)


def test_network_and_scale_are_found(
    official: Path, assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = tmp_path / "ours.safetensors"
    assert run(["convert", str(official), "-o", str(ours)]) == 0
    assert capsys.readouterr().out.startswith(f"{ours}: fdiwn x4, 1591 tensors")
    assert load_weights_of(ours, "fdiwn", 4)
    vdsr, target = assets / "checkpoints" / "vdsr" / "VDSR_Official.mat", tmp_path / "3.safetensors"
    said = mistake(capsys, "convert", vdsr, "-o", target)
    assert "fits vdsr x2, vdsr x3 and vdsr x4 alike; choose with --scale" in said
    assert run(["convert", str(vdsr), "--scale", "3", "-o", str(target)]) == 0
    assert "vdsr x3, 40 tensors" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_was_converted_measures_as_published(
    official: Path, assets: Path, tmp_path: Path
) -> None:
    ours, told = tmp_path / "ours.safetensors", tmp_path / "e.json"
    data = assets / "data" / "test" / "Set5" / "HR"
    convert = ("convert", official, "--model", "fdiwn", "--scale", "4", "-o", ours)
    assert run_lightsr(*convert).returncode == 0
    measured = run_lightsr(
        *("evaluate", "fdiwn", "--scale", "4", "--data", data, "--weights", ours),
        *("--border", "replicate", "--forward", "chop", "--json", told),
        timeout=1800,
    )
    assert measured.returncode == 0, measured.stderr
    mean = json.loads(told.read_text())["mean"]
    assert mean["psnr"] == pytest.approx(32.2267, abs=0.002)
    assert mean["ssim"] == pytest.approx(0.8955, abs=0.0001)


def test_mistakes_are_one_line(
    official: Path, assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = tmp_path / "ours.safetensors"

    def said(checkpoint: Path, model: str = "fdiwn", scale: int = 4, target: Path = ours) -> str:
        given = ("--model", model, "--scale", str(scale), "-o", target)
        return mistake(capsys, "convert", checkpoint, *given)

    assert "holds fdiwn x4, not fdiwn x2" in said(official, scale=2)
    assert "holds fdiwn x4, not fdiwn-m x4" in said(official, "fdiwn-m")
    assert "did you mean 'fdiwn'" in said(official, "fdwin")
    assert "no scale x8" in said(official, scale=8)
    assert "must end in .safetensors" in said(official, target=tmp_path / "w.pt")
    assert "holds imdn x4, not fdiwn x4" in said(assets / "checkpoints" / "imdn" / "IMDN_x4.pth")
    (tmp_path / "in the way").write_text("")
    assert "cannot be written" in said(official, target=tmp_path / "in the way" / "w.safetensors")
    assert not ours.exists()


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    checkpoint, ours = tmp_path / "best.safetensors", tmp_path / "ours.safetensors"
    checkpoint.write_bytes(pickle.dumps({"head.weight": Trap(tmp_path / "sprung")}))
    done = run_lightsr("convert", checkpoint, "--model", "fdiwn", "--scale", "4", "-o", ours)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"{checkpoint} wants to call builtins.exec" in done.stderr
    assert sorted(tmp_path.iterdir()) == [checkpoint]


class Trap:
    """Pickles into a call that writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, (f"open({str(self.path)!r}, 'w')",))
