"""Measuring one picture by the protocol of the published tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lightsr.engine.backends.base import Pixels
from lightsr.engine.samples import from_float, to_float
from lightsr.evaluation.forward import Batch, Run
from lightsr.evaluation.pairs import Pair, Picture8
from lightsr.images.resize import Border
from lightsr.metrics import Score, compare

Enlarge = Callable[[Picture8], Picture8]
"""Takes an 8-bit RGB picture [h, w, 3] to [scale*h, scale*w, 3]."""


class Measured(NamedTuple):
    """What came of one picture."""

    score: Score
    enlarged: Picture8
    """The network's output as RGB."""
    seconds: float
    """The time of the network's pass."""


Measure = Callable[[Pair], Measured]


def common(enlarge: Enlarge, scale: int, border: Border) -> Measure:
    """Return the common protocol: from an LR picture of 8 bits to one of 8 bits, both RGB.

    It compares the luma of BT.601, not rounded, less a border of `scale` pixels.
    """

    def measure(pair: Pair) -> Measured:
        lr, hr = pair.load(scale, border)
        start = time.perf_counter()
        sr = enlarge(lr)
        seconds = time.perf_counter() - start
        return Measured(compare(sr, hr, border=scale), sr, seconds)

    return measure


def eight_bit(run: Run) -> Enlarge:
    """Return the pass of `run` on pictures of 8 bits; its output is clipped and rounded."""
    return lambda lr: picture_of(run(batch_of(to_float(lr))))


def batch_of(lr: Pixels) -> Batch:
    """Return RGB [h, w, 3] in [0, 1] as a network takes it, [1, 3, h, w]."""
    return np.ascontiguousarray(lr.astype(np.float32, copy=False).transpose(2, 0, 1)[np.newaxis])


def picture_of(batch: Batch) -> Picture8:
    """Return a network's output [1, 3, h, w] as RGB of 8 bits, clipped and rounded."""
    return from_float(batch[0].transpose(1, 2, 0), np.dtype(np.uint8))
