"""Pictures of noise in every type of sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ["uint8", "uint16", "float32", "float64"]


def random_picture(
    shape: tuple[int, ...], dtype: str, seed: int = 0, *, harsh: bool = False
) -> NDArray[Any]:
    """Noise over the type's whole range; `harsh` has only the ends of it, to overshoot."""
    rng = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return rng.uniform(-1000, 1000, shape).astype(dtype)
    top = int(np.iinfo(dtype).max)
    picture = rng.integers(0, 2, shape) * top if harsh else rng.integers(0, top + 1, shape)
    return picture.astype(dtype)
