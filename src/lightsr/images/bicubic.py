"""The arithmetic of MATLAB's bicubic `imresize`, one axis at a time.

Keys' cubic convolution with a = -0.5 (R. Keys, "Cubic Convolution Interpolation for Digital Image
Processing", IEEE Trans. ASSP 29(6), 1981). Where an axis shrinks, kernel and support are widened
by 1/scale against aliasing; the taps of each output sample are then normalised to sum 1.

Two things are stricter than plain floating point, so that results do not hang on its noise: the
positions of the taps are worked out in whole numbers, and a sample that lies on .5 but for noise
is rounded up as one that lies on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Border = Literal["symmetric", "replicate"]
"""What lies beyond the edge: the mirrored picture (edge sample repeated) or the edge sample."""

_HALF = 0.5 + 1e-9
"""Added before cutting off the fraction. Noise on 16-bit samples is below 1e-9."""

_BLOCK = 1 << 16
"""Samples resampled at a time: few enough for the cache, enough to make numpy's calls cheap."""


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """How the samples along one axis are made: each a weighted sum of a few old ones."""

    length: int
    """Samples before."""
    scale: Fraction
    indices: NDArray[np.intp]
    """(samples after, taps): which old samples."""
    weights: NDArray[np.float64]
    """(samples after, taps): how much of each; a row sums to 1."""


def bicubic_axis(length: int, new_length: int, scale: Fraction, border: Border) -> Axis:
    """Work out how to resize an axis of `length` samples by `scale` to `new_length` samples.

    `scale` is new / old as asked for, not necessarily `new_length / length`: MATLAB rounds the
    length up and lets the last samples look beyond the edge.
    """
    step = 1 / scale
    # Output sample o looks at position (o + 1/2) step - 1/2: whole part and rest, exactly.
    denominator = 2 * step.denominator
    positions = [
        divmod((2 * o + 1) * step.numerator - step.denominator, denominator)
        for o in range(new_length)
    ]
    whole = np.array([position for position, _ in positions])[:, None]
    rest = np.array([remainder / denominator for _, remainder in positions])[:, None]

    stretch = float(max(step, 1))
    reach = math.ceil(2 * stretch)
    offsets = np.arange(-reach, reach + 2)
    weights = _cubic((offsets - rest) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights.any(axis=0)
    weights = weights[:, used]
    # A tap without weight may look anywhere; let it not ask for samples nobody needs.
    taps = np.where(weights == 0, whole, whole + offsets[used])

    if border == "symmetric":
        taps %= 2 * length
        taps = np.where(taps < length, taps, 2 * length - 1 - taps)
    else:
        taps = taps.clip(0, length - 1)
    return Axis(length, scale, taps.astype(np.intp), weights)


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -0.5, of support [-2, 2]."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def resample(
    samples: NDArray[Any],
    indices: NDArray[np.intp],
    weights: NDArray[np.float64],
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Resize 2-D `samples` along their first axis; `indices` and `weights` are as in `Axis`.

    The sums are in float64, added tap by tap, so that a sample comes out the same however the
    picture is cut. An unsigned `dtype` rounds half up and clips; a float one does neither.
    """
    rows, columns = len(indices), samples.shape[1]
    resized = np.empty((rows, columns), dtype)
    # Shrinking reads more rows than it writes; a block counts whichever are more.
    read = int(np.ptp(indices)) + 1
    wide = max(1, min(columns, _BLOCK // indices.shape[1]))
    tall = max(1, _BLOCK // wide * rows // max(rows, read))
    for left in range(0, columns, wide):
        strip = samples[:, left : left + wide]
        for top in range(0, rows, tall):
            block = slice(top, top + tall)
            sums = _weighted_sums(strip, indices[block], weights[block])
            if dtype.kind == "u":
                sums += _HALF
                np.floor(sums, out=sums)
                np.clip(sums, 0, np.iinfo(dtype).max, out=sums)
            resized[block, left : left + wide] = sums
    return resized


def _weighted_sums(
    samples: NDArray[Any], indices: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    first = int(indices.min())
    needed = samples[first : int(indices.max()) + 1].astype(np.float64)
    shape = (len(indices), samples.shape[1])
    sums, term = np.zeros(shape), np.empty(shape)
    for taps, shares in zip(indices.T - first, weights.T, strict=True):
        needed.take(taps, axis=0, out=term, mode="clip")
        term *= shares[:, None]
        sums += term
    return sums
