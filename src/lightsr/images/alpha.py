"""Colour for pixels that nobody sees, so that none of it shows when a picture is enlarged.

What lies under fully transparent pixels is arbitrary, often black. An enlarger mixes neighbours,
and at the edge of what is visible it would mix that in: a dark or light fringe.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Weighted = NDArray[np.float32]
"""(height, width, channels + 1): colours times weight, and the weight last."""

_ROWS = 512
"""Even; rows that are worked on at a time at full size, to keep float copies small."""


def fill_transparent(samples: NDArray[Any]) -> NDArray[Any]:
    """Return the samples with colour from nearby visible pixels under alpha = 0.

    `samples` is (height, width, channels + 1) of any type, with straight alpha last. Pixels that
    are visible at all keep their colour, alpha keeps its values, and the input is not changed; it
    is returned as it is where nothing is transparent, or nothing visible.

    Push-pull interpolation (Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4): means of
    visible colours, weighted with alpha, on ever coarser grids, and back from coarse to fine
    wherever the finer grid knows nothing.
    """
    hidden = samples[..., -1] == 0
    if not hidden.any() or hidden.all():
        return samples
    coarse = _filled(_half_of_samples(samples))
    result = samples.copy()
    height, width = hidden.shape
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        gaps = hidden[top:bottom]
        if gaps.any():
            colours = _doubled(coarse, top, bottom, width)[gaps]
            if samples.dtype.kind == "u":
                colours += np.float32(0.5)
            result[top:bottom, :, :-1][gaps] = colours.astype(samples.dtype)
    return result


def _half_of_samples(samples: NDArray[Any]) -> Weighted:
    """Return the first coarser grid, made without a float copy of the whole picture."""
    most = 1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max
    parts: list[Weighted] = []
    for top in range(0, len(samples), _ROWS):
        block = samples[top : top + _ROWS].astype(np.float32)
        block[..., -1] /= most
        block[..., :-1] *= block[..., -1:]
        parts.append(_halved(block))
    return np.concatenate(parts)


def _halved(grid: Weighted) -> Weighted:
    """Return sums over blocks of 2 x 2; beyond an odd edge there is nothing to add."""
    rows = grid[::2].copy()
    rows[: len(grid) // 2] += grid[1::2]
    both = rows[:, ::2].copy()
    both[:, : grid.shape[1] // 2] += rows[:, 1::2]
    return both


def _filled(grid: Weighted) -> NDArray[np.float32]:
    """Return colours for every place of a grid: its own mean, or what coarser grids know."""
    weights = grid[..., -1:]
    unknown = weights[..., 0] == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        colours = grid[..., :-1] / weights
    if unknown.any():
        coarse = _filled(_halved(grid))
        height, width = unknown.shape
        colours[unknown] = _doubled(coarse, 0, height, width)[unknown]
    return colours


def _doubled(coarse: NDArray[np.float32], top: int, bottom: int, width: int) -> NDArray[np.float32]:
    """Rows top to bottom - 1 of a grid twice as fine, interpolated linearly."""
    rows = _mixed(coarse, np.arange(top, bottom), 0)
    return _mixed(rows, np.arange(width), 1)


def _mixed(grid: NDArray[np.float32], fine: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """Three quarters of the cell that a fine place lies in, one quarter of the next nearest."""
    cell = fine // 2
    beside = np.clip(cell + np.where(fine % 2, 1, -1), 0, grid.shape[axis] - 1)
    mixed = grid.take(cell, axis=axis)
    mixed *= np.float32(0.75)
    mixed += np.float32(0.25) * grid.take(beside, axis=axis)
    return mixed
