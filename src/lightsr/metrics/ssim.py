"""Structural similarity, as its authors' reference implementation computes it.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image Quality Assessment: From Error
Visibility to Structural Similarity", IEEE Trans. Image Processing 13(4), 2004.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import UserError

WINDOW = 11
"""Width and height of the Gaussian window in pixels."""

_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03

_BAND = 64
"""Rows of the similarity map worked out at a time."""


def ssim(a: NDArray[Any], b: NDArray[Any], *, peak: float = 255.0) -> float:
    """Return the mean SSIM of two HW arrays of equal size; 1 says that they are equal.

    The window is an 11x11 Gaussian of sigma 1.5, the mean is over the positions where it lies
    wholly inside, K1 = 0.01, K2 = 0.03, L = `peak`. Samples of any type are compared in float64;
    NaN gives NaN. Raises `UserError` for arrays that are not HW, whose sizes differ, or that are
    smaller than the window.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise UserError(f"SSIM needs two arrays HW of one shape, not {a.shape} and {b.shape}")
    rows, columns = a.shape[0] - WINDOW + 1, a.shape[1] - WINDOW + 1
    if rows < 1 or columns < 1:
        raise UserError(
            f"SSIM needs pictures of at least {WINDOW}x{WINDOW}, not {a.shape[1]}x{a.shape[0]}"
        )
    total = 0.0
    for top in range(0, rows, _BAND):
        band = slice(top, min(top + _BAND, rows) + WINDOW - 1)
        similarity = _similarity(a[band].astype(np.float64), b[band].astype(np.float64), peak)
        total += float(similarity.sum())
    return total / (rows * columns)


def _similarity(a: NDArray[np.float64], b: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    variance_a = _window_mean(a * a) - mean_a**2
    variance_b = _window_mean(b * b) - mean_b**2
    covariance = _window_mean(a * b) - mean_a * mean_b
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance * (2 * covariance + c2) / (variance_a + variance_b + c2)


def _gaussian() -> list[float]:
    distance = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(distance**2) / (2 * _SIGMA**2))
    return (weights / weights.sum()).tolist()


_WEIGHTS = _gaussian()


def _window_mean(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh the window at every position wholly inside: WINDOW - 1 rows and columns fewer."""
    rows, columns = (length - WINDOW + 1 for length in samples.shape)
    down = np.zeros((rows, samples.shape[1]))
    for offset, weight in enumerate(_WEIGHTS):
        down += weight * samples[offset : offset + rows]
    across = np.zeros((rows, columns))
    for offset, weight in enumerate(_WEIGHTS):
        across += weight * down[:, offset : offset + columns]
    return across
