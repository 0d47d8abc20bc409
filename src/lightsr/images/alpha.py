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

_ROWS = 128
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
    result = samples.copy()
    _fill_gaps(result[..., :-1], hidden, _filled(_half_of_samples(samples)))
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
    """Turn a grid into colours: its own means, and what coarser grids know where it has none."""
    unknown = grid[..., -1] == 0
    coarse = _filled(_halved(grid)) if unknown.any() else None
    colours = grid[..., :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        colours /= grid[..., -1:]
    if coarse is not None:
        _fill_gaps(colours, unknown, coarse)
    return colours


def _fill_gaps(colours: NDArray[Any], gaps: NDArray[np.bool_], coarse: NDArray[np.float32]) -> None:
    """Put into the gaps of a grid what the next coarser one says, interpolated linearly."""
    height, width = gaps.shape
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        here = gaps[top:bottom]
        if here.any():
            # The cells that these rows lie in, and one more on either side.
            cells = np.arange(top // 2 - 1, (bottom - 1) // 2 + 2).clip(0, len(coarse) - 1)
            rows = _between(coarse[cells])[: bottom - top]
            columns = np.pad(rows, ((0, 0), (1, 1), (0, 0)), "edge").swapaxes(0, 1)
            known = _between(columns).swapaxes(0, 1)[:, :width][here]
            if colours.dtype.kind == "u":
                known += np.float32(0.5)
            colours[top:bottom][here] = known.astype(colours.dtype)


def _between(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return two rows for each inner cell: three quarters of it, one quarter of its neighbour."""
    cells = cells * np.float32(0.25)
    own = cells[1:-1] * np.float32(3)
    rows = np.empty((2 * len(own), *own.shape[1:]), np.float32)
    np.add(own, cells[:-2], out=rows[::2])
    np.add(own, cells[2:], out=rows[1::2])
    return rows
