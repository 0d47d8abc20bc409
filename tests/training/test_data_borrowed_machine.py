"""Training where there is torch, Lightning and Pillow, but hardly anything else of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from training.making import smooth

PRESENT = {"torch", "lightning", "numpy", "pillow", "pyyaml", "pydantic", "safetensors"}
PRESENT |= {"fsspec", "rich"}
"""The last two come with Lightning, which needs one and looks for the other's metadata."""

ALONE = """
import sys
from importlib.machinery import PathFinder

absent = set(sys.argv[3].split(","))

class Partial(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        found = name.split(".")[0] not in absent
        return super().find_spec(name, path, target) if found else None

sys.meta_path = [Partial if finder is PathFinder else finder for finder in sys.meta_path]

from pathlib import Path
from lightsr.training.library import find_recipe
from lightsr.training.recipe import read_recipe
from lightsr.training.run import train

pictures, run = Path(sys.argv[1]), Path(sys.argv[2])
changes = ["scale=2", "iterations=2", f"data.folders=[{pictures}]", f"data.cache={run}-cache"]
changes += ["data.patch=12", "data.batch=2", f"validation.folders.Own={pictures}"]
weights = train(read_recipe(find_recipe("ecbsr-m4c8"), changes), run)
assert weights.exists()
loaded = {name.split(".")[0] for name in sys.modules} & absent
assert not loaded, loaded
"""


@cache
def _absent() -> set[str]:
    """Return the modules of every package that lightsr may need, but those that are present."""
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in requires("lightsr") or []}
    # torchmetrics imports matplotlib wherever that is installed.
    own = {"lightsr", "pytest", "pytest-timeout", "hypothesis", "psutil", "ruff", "pyright"}
    own.add("matplotlib")
    unwanted = {name.lower() for name in names} - PRESENT - own
    return {
        module
        for module, distributions in packages_distributions().items()
        if unwanted & {distribution.lower() for distribution in distributions}
    }


def test_what_is_absent_is_known() -> None:
    assert {"pyvips", "onnxruntime", "typer", "skimage"} <= _absent()
    assert not {"torch", "lightning", "numpy", "PIL", "yaml", "pydantic"} & _absent()


def test_training_from_a_folder_of_jpegs_needs_little(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(2):
        smooth(48, 40, index).save(folder / f"{index}.jpg", quality=91)
    arguments = [str(folder), str(tmp_path / "run"), ",".join(sorted(_absent()))]
    done = subprocess.run([sys.executable, "-c", ALONE, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
