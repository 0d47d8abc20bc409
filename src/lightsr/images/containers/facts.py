"""What a look at a picture file's structure finds, before any pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass


class UnreadableError(Exception):
    """The file cannot be read; the message is the reason, and `read_picture` adds the name."""


class OversizedError(UnreadableError):
    """The file has more pixels than was allowed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Findings about one file."""

    frames: int = 1
    """Frames of an animation, or pages."""
    exif: bytes | None = None
    """Beginning with the TIFF header, "II*\\0" or "MM\\0*"."""
    xmp: bytes | None = None
    orientation: int | None = None
    """As EXIF counts, 1 to 8, where something other than EXIF tells it."""


def require_usual_range(transfer: int) -> None:
    """Raise `UnreadableError` for HDR, told by a code point of ITU-T H.273 for the transfer.

    Its samples mean another light than those of every other picture, and lightsr's formats and
    networks would take them for the usual ones.
    """
    kind = {16: "PQ", 18: "HLG"}.get(transfer)
    if kind is not None:
        raise UnreadableError(f"is an HDR picture ({kind}); convert it to SDR first")


def require_pixels(width: int, height: int) -> None:
    """Raise `UnreadableError` for a picture without pixels."""
    if width < 1 or height < 1:
        raise UnreadableError(f"has no pixels ({width} x {height})")


def require_plausible(width: int, height: int, at_least: int, present: int) -> None:
    """Raise `UnreadableError` where `present` bytes are too few for a picture of that size."""
    if present < at_least:
        raise UnreadableError(
            f"is cut short or forged: {width} x {height} pixels need at least {at_least:,} bytes"
            f" of data, it has {present:,}"
        )
