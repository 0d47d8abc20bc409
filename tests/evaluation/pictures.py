"""Pictures on disk for the tests of evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def noise(height: int, width: int, *channels: int, seed: int = 0, bits: int = 8) -> NDArray[Any]:
    random = np.random.default_rng(seed)
    dtype = np.uint8 if bits == 8 else np.uint16
    return random.integers(0, 2**bits, (height, width, *channels), dtype)


def write(path: Path, samples: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(samples).save(path)
    return path


def read(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)
