"""A decoded picture: samples that need not be in memory, and everything else about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import PictureError

SAMPLE_TYPES = ("uint8", "uint16", "float32")
_BAND = 256
_SHAPES = "height x width, or height x width x 1 to 4 channels"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a picture file says beside its pixels; orientation has been applied and reset."""

    icc: bytes | None = field(default=None, repr=False)
    """Colour profile, one that fits the channels. None: sRGB, or grey like it."""
    exif: bytes | None = field(default=None, repr=False)
    """Beginning with the TIFF header ("II*\\0" or "MM\\0*"), without "Exif\\0\\0" before it."""
    xmp: bytes | None = field(default=None, repr=False)
    resolution: tuple[float, float] | None = None
    """Pixels per millimetre, across and down; None where the file gives none."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, upright.

    Samples are grey or RGB, with straight (unassociated) alpha last where `has_alpha`. They are
    uint8, uint16 using the whole range, or float32 in [0, 1].
    """

    samples: NDArray[Any] = field(repr=False)
    """(height, width, channels [+ 1]); read-only, maybe a view, maybe mapped from disk. Take
    `rows` from it unless a view of any layout will do."""
    has_alpha: bool = False
    source: str = "the picture"
    """Its name in messages."""
    format: str = "png"
    """The format it came in: "png", "jpg", "webp", "tiff", "avif", "heic", "gif" or "bmp"."""
    metadata: Metadata = field(default_factory=Metadata)
    path: Path | None = None
    """The file it was read from, if any."""
    forget: Callable[[], None] = field(default=lambda: None, repr=False)
    """Frees the memory that rows which were used hold; where they lie on disk, they stay there."""

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return self.samples.shape[0]

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self.samples.shape[1]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB; alpha is not counted."""
        return self.samples.shape[2] - self.has_alpha

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples: uint8, uint16 or float32."""
        return self.samples.dtype

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Return rows top to bottom - 1 as a contiguous array (rows, width, channels [+ 1]).

        Any rows, in any order, by several threads at a time. The array may be read-only.
        """
        return np.ascontiguousarray(self.samples[top:bottom])

    def pixels(self) -> NDArray[Any]:
        """Return the whole picture, as `rows` does."""
        return self.rows(0, self.height)

    @cached_property
    def opaque(self) -> bool:
        """Whether there is no alpha, or none that lets anything through."""
        if not self.has_alpha:
            return True
        full = 1.0 if self.dtype.kind == "f" else np.iinfo(self.dtype).max
        tops = range(0, self.height, _BAND)
        return all(bool((self.samples[top : top + _BAND, :, -1] == full).all()) for top in tops)

    @staticmethod
    def from_array(
        array: NDArray[Any], *, source: str = "the array", metadata: Metadata | None = None
    ) -> Picture:
        """Return an array as a picture.

        The array is (height, width) or (height, width, channels) with 1 channel (grey), 2 (grey
        and alpha), 3 (RGB) or 4 (RGB and alpha); uint8, uint16, or float32 or float64 in [0, 1]
        (float64 becomes float32). Its samples are not copied otherwise. Raises `PictureError`
        for anything else, and for float samples that are not finite or outside [0, 1].
        """
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        if native.ndim not in (2, 3) or (native.ndim == 3 and not 1 <= native.shape[2] <= 4):
            raise PictureError(f"{source} has the shape {native.shape}; it must be {_SHAPES}")
        if 0 in native.shape:
            raise PictureError(f"{source} has no pixels (shape {native.shape})")
        if native.dtype == np.float64:
            native = native.astype(np.float32)
        if native.dtype.name not in SAMPLE_TYPES:
            raise PictureError(
                f"{source} has samples of type {array.dtype}; they must be uint8, uint16, or float"
                f" in 0..1"
            )
        samples = native.reshape(*native.shape[:2], -1).view()
        for top in range(0, len(samples), _BAND):
            problem = unfit(samples[top : top + _BAND])
            if problem is not None:
                raise PictureError(f"{source} {problem}")
        samples.flags.writeable = False
        return Picture(samples, samples.shape[2] in (2, 4), source, metadata=metadata or Metadata())


def unfit(samples: NDArray[Any]) -> str | None:
    """Return why samples cannot be a picture's: floats that are not finite, or not in [0, 1]."""
    if samples.dtype.kind != "f":
        return None
    low, high = float(samples.min()), float(samples.max())
    if not np.isfinite([low, high]).all():
        return "has samples that are not finite (NaN or infinity)"
    if low < 0 or high > 1:
        return f"has float samples from {low:.6g} to {high:.6g}; they must lie in 0..1"
    return None
