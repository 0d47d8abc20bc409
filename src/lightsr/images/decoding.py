"""From the pixels of a file to grey or RGB samples of a plain type, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.images import exif
from lightsr.images.containers.facts import UnreadableError
from lightsr.images.formats import FORMATS
from lightsr.images.vips import DTYPES, VIPS_ERRORS, VipsImage, field, load, reason, strips

_PLAIN = ("b-w", "grey16", "srgb", "rgb16", "rgb", "scrgb", "multiband")
"""libvips's names for grey and RGB, whose samples are taken as they are."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file that has been opened; `strips` decodes it once, from top to bottom."""

    width: int
    height: int
    channels: int
    """1 to 4, alpha included where `has_alpha`."""
    dtype: np.dtype[Any]
    strips: Iterator[NDArray[Any]]
    """Blocks of rows. Raises `UnreadableError` where the file turns out to be damaged."""
    frames: int = 1
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: tuple[float, float] | None = None
    interlaced: bool = False
    """Whether its rows come in several passes (a progressive JPEG too)."""
    maybe_grey: bool = False
    """Whether the file may have been made from a grey picture and could not say so."""

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.channels in (2, 4)


def decode(format_name: str, source: Path | bytes) -> Decoded:
    """Open a picture, whose format the content told, with libvips. Raises `UnreadableError`."""
    try:
        image = load(format_name, source)
        converted = _as_grey_or_rgb(image)
        bits = field(image, "bits-per-sample") or 8
        deep = format_name in ("avif", "heic") and converted.format == "ushort"
        return Decoded(
            image.width,
            image.height,
            converted.bands,
            DTYPES[converted.format],
            _samples(format_name, converted, bits if deep else None),
            frames=field(image, "n-pages") or 1 if format_name in ("gif", "webp") else 1,
            icc=_fitting(field(converted, "icc-profile-data"), converted.bands),
            exif=exif.stripped(field(image, "exif-data")),
            xmp=field(image, "xmp-data"),
            resolution=_resolution(image),
            interlaced=bool(field(image, "interlaced")),
            maybe_grey=converted.bands >= 3
            and (not FORMATS[format_name].grey or bool(field(image, "palette"))),
        )
    except VIPS_ERRORS as error:
        raise _explained(format_name, error) from None


def _as_grey_or_rgb(image: VipsImage) -> VipsImage:
    """Convert other colour spaces to sRGB, and refuse what is neither grey nor colour."""
    space = image.interpretation
    converted = image
    if space == "cmyk":
        # The embedded profile is used where there is a sound one, else libvips's own for print.
        converted = image.icc_transform(
            "srgb",
            embedded=True,
            input_profile="cmyk",
            intent="relative",
            black_point_compensation=True,
            depth=8 if image.format == "uchar" else 16,
        )
    elif space not in _PLAIN:
        converted = image.colourspace("srgb" if image.format == "uchar" else "rgb16")
    if converted.format not in DTYPES:
        raise UnreadableError(
            f"has samples of a type lightsr does not take ({converted.format}); save it with 8 or"
            f" 16 bits, or as 32-bit float"
        )
    if converted.bands > 4:
        raise UnreadableError(
            f"has {converted.bands} channels; lightsr takes grey or colour with at most one alpha"
            f" channel"
        )
    return converted


def _samples(format_name: str, image: VipsImage, bits: int | None) -> Iterator[NDArray[Any]]:
    # libvips puts samples of 10 and 12 bits at the top of 16, which leaves white below white.
    table = None if bits is None else _spread(bits)
    try:
        for rows in strips(image):
            yield rows if table is None or bits is None else table[rows >> (16 - bits)]
    except VIPS_ERRORS as error:
        raise _explained(format_name, error) from None


def _spread(bits: int) -> NDArray[np.uint16]:
    """Return the 16-bit sample nearest to each sample of so many bits."""
    most = (1 << bits) - 1
    values = (np.arange(most + 1, dtype=np.int64) * 65535 + most // 2) // most
    return values.astype(np.uint16)


def _fitting(profile: bytes | None, bands: int) -> bytes | None:
    """Return a colour profile if it describes as many channels as there are."""
    if profile is None or len(profile) < 128 or profile[36:40] != b"acsp":
        return None
    return profile if profile[16:20] == (b"GRAY" if bands < 3 else b"RGB ") else None


def _resolution(image: VipsImage) -> tuple[float, float] | None:
    """Return pixels per millimetre; None for the 72 dpi or 1 that libvips assumes."""
    pair = (float(image.xres), float(image.yres))
    assumed = all(abs(value - 72 / 25.4) < 0.002 or value == 1 for value in pair)
    return None if assumed else pair


def _explained(format_name: str, error: Exception) -> UnreadableError:
    if format_name == "heic":
        return UnreadableError(
            f"is HEIC, which the installed libvips cannot decode ({reason(error)}); save it as"
            f" JPEG, PNG or AVIF first"
        )
    return UnreadableError(
        f"cannot be decoded: it is damaged, cut short, or of an unusual kind ({reason(error)})"
    )
