"""Pictures for benchmarks that need many of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def make_pictures(folder: Path, count: int, width: int, height: int) -> None:
    """Write pictures that differ, with the smoothness and noise of photographs."""
    folder.mkdir()
    for seed in range(count):
        chance = np.random.default_rng(seed)
        coarse = Image.fromarray(chance.integers(0, 256, (9, 12, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        noisy = smooth + chance.integers(-8, 9, smooth.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{seed:06}.png")
