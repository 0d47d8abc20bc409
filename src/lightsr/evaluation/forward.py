"""Whole-picture and four-part passes of a network, on arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import LightsrError

Batch = NDArray[np.float32]
Run = Callable[[Batch], Batch]
"""Takes [n, 3, h, w] to [n, 3, scale*h, scale*w]."""

Forward = Literal["whole", "chop"]

_OVERLAP = 10
_LARGEST_PART = 160_000


def checked_pass(run: Run, scale: int, forward: Forward) -> Run:
    """Return the pass that is measured: over the whole picture or chopped.

    It raises `LightsrError` where a network gives samples that are not finite.
    """

    def run_checked(batch: Batch) -> Batch:
        output = run(batch) if forward == "whole" else chop(run, batch, scale)
        if not np.isfinite(output).all():
            raise LightsrError("the network gave samples that are not finite; use --precision fp32")
        return output

    return run_checked


def chop(run: Run, batch: Batch, scale: int) -> Batch:
    """Enlarge [n, 3, h, w] in four overlapping corner parts, as FDIWN's authors test.

    The parts reach 10 LR pixels beyond the middle; a part of 160,000 LR pixels or more is chopped
    again. Networks that read statistics of the whole picture give other results than in one piece,
    and the published figures of FDIWN were made like this.
    """
    height, width = batch.shape[2:]
    pixels = (height // 2 + _OVERLAP) * (width // 2 + _OVERLAP)

    def enlarge(part: Batch) -> Batch:
        return run(part) if pixels < _LARGEST_PART else chop(run, part, scale)

    output = np.empty((*batch.shape[:2], height * scale, width * scale), np.float32)
    for rows in _halves(height, scale):
        for columns in _halves(width, scale):
            part = enlarge(np.ascontiguousarray(batch[:, :, rows.read, columns.read]))
            output[:, :, rows.write, columns.write] = part[:, :, rows.kept, columns.kept]
    return output


@dataclass(frozen=True, slots=True)
class _Half:
    """One half of an axis."""

    read: slice
    """What of the LR picture goes through the network."""
    kept: slice
    """What of its output is kept."""
    write: slice
    """Where in the whole output that goes."""


def _halves(length: int, scale: int) -> list[_Half]:
    half = length // 2
    part = min(half + _OVERLAP, length)
    start = length - part
    first = _Half(slice(0, part), slice(0, half * scale), slice(0, half * scale))
    second = _Half(
        slice(start, length),
        slice((half - start) * scale, part * scale),
        slice(half * scale, length * scale),
    )
    # A single pixel has no first half.
    return [first, second] if half else [second]
