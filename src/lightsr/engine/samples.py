"""Samples as pictures store them, and as networks see them: float32 in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.base import Pixels

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""BT.601's weights of red, green and blue. They turn an enlarged grey picture, which the network
returns as three channels that differ a little, into one: the same luma that quality is measured
on, and a weighted mean, so that equal channels stay what they are."""


def to_float(rows: Pixels) -> NDArray[np.float32]:
    """Return samples as float32 in [0, 1]: integers divided by the largest of their type."""
    if rows.dtype.kind == "u":
        return rows.astype(np.float32) / np.float32(np.iinfo(rows.dtype).max)
    return rows.astype(np.float32, copy=False)


def from_float(rows: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Return float32 samples as `dtype`: clipped to [0, 1], and for integers rounded half up."""
    clipped = np.clip(rows, 0, 1)
    if dtype.kind != "u":
        return clipped.astype(dtype, copy=False)
    clipped *= np.float32(np.iinfo(dtype).max)
    clipped += np.float32(0.5)
    return clipped.astype(dtype)


def to_grey(colour: Pixels) -> Pixels:
    """Return [..., 3] as [..., 1]; three equal samples give that very sample."""
    red, green, blue = colour[..., :1], colour[..., 1:2], colour[..., 2:]
    return red + (green - red) * LUMA[1] + (blue - red) * LUMA[2]
