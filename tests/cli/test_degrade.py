"""`lightsr degrade` in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation.pictures import noise, read, write
from process import mistake, run_lightsr

from lightsr.images.resize import degrade


@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_set5_is_matlabs_to_the_sample(
    scale: int, border: str, assets: Path, tmp_path: Path
) -> None:
    set5 = assets / "data" / "test" / "Set5"
    done = run_lightsr(
        *("degrade", set5 / "HR", "-o", tmp_path, "--scale", str(scale), "--border", border)
    )
    assert done.returncode == 0, done.stderr
    expected = sorted((set5 / f"LR_{border}" / f"x{scale}").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in expected]
    for path in expected:
        assert np.count_nonzero(read(tmp_path / path.name) != read(path)) == 0


def test_folders_are_mirrored_and_the_bad_picture_is_passed_over(tmp_path: Path) -> None:
    deep = write(tmp_path / "in" / "a" / "ü b.png", noise(20, 21))
    write(tmp_path / "in" / "c.bmp", noise(20, 21, 3))
    (tmp_path / "in" / "broken.png").write_bytes(deep.read_bytes()[:100])
    out = tmp_path / "out"
    done = run_lightsr("degrade", "in", "-o", "out", "--scale", "4", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 of 3 pictures failed" in done.stderr
    assert "broken.png" in done.stderr
    assert sorted(p.relative_to(out) for p in out.rglob("*.png")) == [
        Path("a") / "ü b.png",
        Path("c.png"),
    ]
    np.testing.assert_array_equal(read(out / "a" / "ü b.png"), degrade(read(deep), 4), strict=True)

    (out / "c.png").unlink()
    kept = (out / "a" / "ü b.png").stat().st_mtime_ns
    again = run_lightsr("degrade", "in", "-o", "out", "--scale", "4", cwd=tmp_path)
    assert again.returncode == 1
    assert (out / "c.png").exists()
    assert (out / "a" / "ü b.png").stat().st_mtime_ns == kept


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = write(tmp_path / "a.png", noise(9, 9, 3))
    bad, empty, out = tmp_path / "bad.png", tmp_path / "empty", tmp_path / "out"
    bad.write_bytes(b"not a picture")
    empty.mkdir()

    def said(source: Path, *options: str, scale: int = 2, to: Path = out) -> str:
        return mistake(capsys, "degrade", source, "-o", to, "--scale", str(scale), *options)

    assert "none.png does not exist" in said(tmp_path / "none.png")
    assert "holds no pictures" in said(empty)
    assert str(bad) in said(bad)
    assert "too few" in said(picture, scale=10)
    assert "at least 1" in said(picture, scale=0)
    assert "'mirror'" in said(picture, "--border", "mirror")
    assert "over an input" in said(picture, "--overwrite", to=tmp_path)
    assert "is a file" in said(picture, to=picture)
    assert not out.exists()
    write(out / "a.png", noise(3, 3, 3))
    assert "exists already" in said(picture)
