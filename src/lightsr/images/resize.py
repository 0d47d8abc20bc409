"""Resizing that gives, to the last sample, what MATLAB's `imresize(..., 'bicubic')` gives.

The literature's low-resolution pictures and bicubic baselines were made with that function, so
published figures can only be met by following it exactly. Of the two axes, MATLAB resizes the one
with the smaller scale first, at equal scales the vertical one; integer samples are rounded half up
and clipped to their type after *each* pass. Beyond its edge the picture goes on mirrored, the edge
sample repeated ("symmetric": newer MATLAB versions), or as its edge sample ("replicate": older
ones). The kernel is described in `lightsr.images.bicubic`.

A picture is HW or HWC with any number of channels, of uint8, uint16, float32 or float64. Floating
point samples may have any range and are neither rounded nor clipped; they are computed in float64
and returned in their own type, and NaN or infinity spreads to the samples it takes part in.
"""

from __future__ import annotations

import math
import operator
from fractions import Fraction
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import UserError, unknown_name
from lightsr.images.bicubic import Axis, Border, bicubic_axis, resample

__all__ = ["Border", "RowResizer", "degrade", "imresize", "mod_crop"]

Sample = TypeVar("Sample", bound=np.generic)

_SAMPLE_TYPES = ("uint8", "uint16", "float32", "float64")

_LONGEST_SIDE = 10_000_000
"""A longer side is a slip, not a picture."""

_BAND = 1 << 18
"""Samples of the bands that a whole picture is resized in."""


def imresize(
    image: NDArray[Sample],
    *,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    border: Border = "symmetric",
) -> NDArray[Sample]:
    """Resize a picture by `scale`, or to `size` = (height, width).

    A `scale` gives ceil(scale * length) samples along each axis, a product in floating point as
    in MATLAB; a `size` gives each axis the scale new / old. Pictures and sample types are as the
    module describes; the result is a new array.

    Raises `UserError` for anything else than a picture, for a scale that is not positive and
    finite or leaves far less than a pixel, for an empty or absurd size, and for an unknown border.
    """
    height, width = _check_picture(image)
    if scale is not None and size is None:
        scale = float(scale)
        ratio = _check_scale(scale, max(height, width))
        rows, columns = _check_size((math.ceil(scale * height), math.ceil(scale * width)))
        ratios = ratio, ratio
    elif size is not None and scale is None:
        rows, columns = _check_size(size)
        ratios = Fraction(rows, height), Fraction(columns, width)
    else:
        raise UserError("imresize takes either a scale or a size")
    _check_border(border)
    return _resize(
        image,
        bicubic_axis(height, rows, ratios[0], border),
        bicubic_axis(width, columns, ratios[1], border),
    )


def mod_crop(image: NDArray[Sample], scale: int) -> NDArray[Sample]:
    """Crop a picture, from its top left, to multiples of `scale`: a view, not a copy.

    Raises `UserError` where nothing would be left, or the scale is no positive whole number.
    """
    height, width = _check_picture(image)
    factor = _whole(scale, "scale")
    if factor < 1 or factor > min(height, width):
        raise UserError(
            f"a picture of {width}x{height} cannot be cropped to multiples of {factor}; "
            "the scale must be at least 1 and at most the shorter side"
        )
    return image[: height - height % factor, : width - width % factor]


def degrade(image: NDArray[Sample], scale: int, border: Border = "symmetric") -> NDArray[Sample]:
    """Make the low-resolution picture that the literature tests with: `mod_crop`, then 1/`scale`.

    Raises `UserError` as `mod_crop` and `imresize` do.
    """
    cropped = mod_crop(image, scale)
    factor = _whole(scale, "scale")
    _check_border(border)
    height, width = cropped.shape[:2]
    return _resize(
        cropped,
        bicubic_axis(height, height // factor, Fraction(1, factor), border),
        bicubic_axis(width, width // factor, Fraction(1, factor), border),
    )


class RowResizer:
    """`imresize(image, size=size)` for a picture that arrives in bands of rows, top to bottom.

    The output rows, one after the other, equal those of the whole picture bit for bit, however
    the rows are cut into bands. Between the bands it keeps the rows that further output rows
    need: about four, or 4/scale where the picture shrinks.
    """

    def __init__(
        self, height: int, width: int, size: tuple[int, int], border: Border = "symmetric"
    ) -> None:
        """Take the size of the picture to come and the `size` = (height, width) it is to get."""
        self._height, self._width = _check_size((height, width))
        rows, columns = _check_size(size)
        _check_border(border)
        self._bands = _Bands(
            bicubic_axis(self._height, rows, Fraction(rows, self._height), border),
            bicubic_axis(self._width, columns, Fraction(columns, self._width), border),
        )
        self._pushed = 0
        self._kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None

    def push(self, rows: NDArray[Sample]) -> NDArray[Sample]:
        """Take the next rows (HW or HWC) and return the output rows, maybe none, now complete.

        The array is not needed after the call. Raises `UserError` for rows that do not continue
        the picture: another width, number of channels or sample type, or too many of them.
        """
        _check_samples(rows)
        kind = rows.shape[1:], rows.dtype
        expected = self._kind or ((self._width, *rows.shape[2:]), rows.dtype)
        if kind != expected:
            raise UserError(
                f"rows of shape {kind[0]} and type {kind[1]} do not continue a picture "
                f"with rows of shape {expected[0]} and type {expected[1]}"
            )
        if self._pushed + len(rows) > self._height:
            raise UserError(
                f"{self._pushed + len(rows)} rows were pushed of a picture of {self._height}"
            )
        self._kind = kind
        self._pushed += len(rows)
        return self._bands.push(rows)


class _Bands:
    """A resize along both axes of rows that arrive in bands."""

    def __init__(self, vertical: Axis, horizontal: Axis) -> None:
        self._vertical = vertical
        self._horizontal = horizontal
        self._vertical_first = vertical.scale <= horizontal.scale
        # Output row o needs the input rows below complete[o], and no row from o on needs one
        # above needed[o].
        self._complete = np.maximum.accumulate(vertical.indices.max(axis=1)) + 1
        self._needed = np.minimum.accumulate(vertical.indices.min(axis=1)[::-1])[::-1]
        self._kept: list[NDArray[Any]] = []
        self._kept_from = 0
        self._pushed = 0
        self._done = 0

    def push(self, rows: NDArray[Any]) -> NDArray[Any]:
        dtype = rows.dtype.newbyteorder("=")
        channels = rows.shape[2:]
        band = rows.reshape(len(rows), rows.shape[1], math.prod(channels))
        between = dtype if dtype.kind == "u" else np.dtype(np.float64)
        if self._vertical_first:
            resized = self._across(self._down(band, between), dtype)
        else:
            resized = self._down(self._across(band, between), dtype)
        return resized.reshape(*resized.shape[:2], *channels)

    def _across(self, band: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Resize along the width."""
        height, width, channels = band.shape
        columns = band.transpose(1, 2, 0).reshape(width, channels * height)
        resized = resample(columns, self._horizontal.indices, self._horizontal.weights, dtype)
        rows = resized.reshape(len(resized), channels, height).transpose(2, 0, 1)
        return np.ascontiguousarray(rows)

    def _down(self, band: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Resize along the height as far as the rows pushed so far reach."""
        self._kept.append(band.copy())
        self._pushed += len(band)
        block = slice(self._done, int(np.searchsorted(self._complete, self._pushed, "right")))
        if block.start == block.stop:
            return np.empty((0, *band.shape[1:]), dtype)
        kept = np.concatenate(self._kept)
        resized = resample(
            kept.reshape(len(kept), -1),
            self._vertical.indices[block] - self._kept_from,
            self._vertical.weights[block],
            dtype,
        )
        self._forget_rows(kept, block.stop)
        return resized.reshape(len(resized), *band.shape[1:])

    def _forget_rows(self, kept: NDArray[Any], done: int) -> None:
        self._done = done
        first = int(self._needed[done]) if done < len(self._needed) else self._pushed
        self._kept = [kept[first - self._kept_from :].copy()]
        self._kept_from = first


def _resize(image: NDArray[Any], vertical: Axis, horizontal: Axis) -> NDArray[Any]:
    channels = image.shape[2:]
    rows, columns = len(vertical.indices), len(horizontal.indices)
    resized = np.empty((rows, columns, *channels), image.dtype.newbyteorder("="))
    width = max(columns, horizontal.length) * math.prod(channels)
    band = math.ceil(max(16, _BAND // width) / vertical.scale)
    bands = _Bands(vertical, horizontal)
    done = 0
    for top in range(0, len(image), band):
        part = bands.push(image[top : top + band])
        resized[done : done + len(part)] = part
        done += len(part)
    return resized


def _check_samples(array: NDArray[Any]) -> None:
    if array.ndim not in (2, 3):
        raise UserError(f"a picture is an array HW or HWC, not one of {array.ndim} axes")
    if array.dtype.newbyteorder("=").name not in _SAMPLE_TYPES:
        raise UserError(
            f"pictures of {array.dtype} cannot be resized; convert to {', '.join(_SAMPLE_TYPES)}"
        )


def _check_picture(image: NDArray[Any]) -> tuple[int, int]:
    _check_samples(image)
    if not image.size:
        raise UserError(f"a picture of shape {image.shape} has no samples")
    return image.shape[0], image.shape[1]


def _check_size(size: tuple[int, int]) -> tuple[int, int]:
    if len(size) != 2:
        raise UserError(f"a picture's size is (height, width), not {size}")
    height, width = _whole(size[0], "height"), _whole(size[1], "width")
    if not (1 <= height <= _LONGEST_SIDE and 1 <= width <= _LONGEST_SIDE):
        raise UserError(
            f"a picture cannot have {width}x{height} pixels; each side needs at least 1 "
            f"and at most {_LONGEST_SIDE}"
        )
    return height, width


def _check_scale(scale: float, longer_side: int) -> Fraction:
    """Return the scale as the simple fraction it stands for (1/3), or exactly as it is."""
    if not (math.isfinite(scale) and scale > 0):
        raise UserError(f"a picture cannot be resized by {scale}; the scale must be above 0")
    # MATLAB leaves a pixel at any scale; but the taps of a very small one fill the memory.
    if scale * max(longer_side, 1000) < 1:
        raise UserError(f"scale {scale} leaves less than a pixel of {longer_side}")
    simple = Fraction(scale).limit_denominator(1000)
    return simple if float(simple) == scale else Fraction(scale)


def _check_border(border: str) -> None:
    if border not in get_args(Border):
        raise unknown_name("border", border, get_args(Border))


def _whole(value: int, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise UserError(f"the {what} must be a whole number, not {value!r}") from None
