"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import UserError


def psnr(a: NDArray[Any], b: NDArray[Any], *, peak: float = 255.0) -> float:
    """Return the PSNR of two arrays of equal shape in dB, 10 log10(peak² / mean squared error).

    Samples of any type are compared in float64; equal arrays give infinity, NaN gives NaN.
    Raises `UserError` for empty arrays and for shapes that differ.
    """
    if a.shape != b.shape or not a.size:
        raise UserError(f"PSNR needs two arrays of one shape, not {a.shape} and {b.shape}")
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)
