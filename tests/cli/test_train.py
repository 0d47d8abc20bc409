from __future__ import annotations

from pathlib import Path

import pytest
from process import mistake
from training.making import folder_of

RECIPE = """\
network: fsrcnn-s
scale: 2
iterations: 3
tensorboard: false
data: {{folders: [{pictures}], cache: {cache}, patch: 8, batch: 2}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    pictures = folder_of(tmp_path / "pictures", (24, 30))
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE.format(pictures=pictures, cache=tmp_path / "cache"))
    return path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--device", "gpu"], "'gpu' is none; choose auto"),
        (["--set", "precision=fp16", "--device", "cpu"], "fp16 needs a CUDA GPU"),
    ],
)
def test_mistakes_leave_no_run_behind(
    arguments: list[str],
    told: str,
    recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told in mistake(capsys, "train", recipe, "-o", tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()
