"""Small pictures to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lightsr.training.recipe import Data


def smooth(height: int, width: int, seed: int = 0) -> Image.Image:
    """Return a smooth picture of random colours."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(256, size=(6, 7, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def folder_of(path: Path, *sizes: tuple[int, int]) -> Path:
    """Make a folder of pictures of these heights and widths."""
    path.mkdir(parents=True, exist_ok=True)
    for index, (height, width) in enumerate(sizes):
        smooth(height, width, index).save(path / f"{index}.png")
    return path


def data_of(folder: Path, **changes: Any) -> Data:
    """Return the data of a recipe for a folder, its cache beside it."""
    settings = {"cache": folder.parent / "cache", "patch": 8, "batch": 4, **changes}
    return Data(folders=(folder,), **settings)
