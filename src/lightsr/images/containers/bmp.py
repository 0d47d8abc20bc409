"""BMP: completeness of the pixel data, told from the header."""

from __future__ import annotations

import struct
from typing import BinaryIO

from lightsr.images.containers.facts import (
    Facts,
    UnreadableError,
    require_pixels,
    require_plausible,
)

_UNCOMPRESSED = (0, 3, 6)


def inspect(stream: BinaryIO, size: int) -> Facts:
    """Read the header of a BMP file of `size` bytes.

    Raises `UnreadableError` where it is cut short or the picture has no pixels.
    """
    stream.seek(0)
    head = stream.read(54)
    if len(head) < 26:
        raise UnreadableError("is cut short or damaged: its BMP header is missing")
    pixels, header = struct.unpack("<II", head[10:18])
    if header == 12:
        width, height, _, bits = struct.unpack("<HHHH", head[18:26])
        compression = 0
    elif header >= 40 and len(head) == 54:
        width, height, _, bits, compression = struct.unpack("<iiHHI", head[18:34])
        # A negative height says that the rows run from top to bottom.
        height = abs(height)
    else:
        raise UnreadableError("is damaged: its BMP header is of no known kind")
    require_pixels(width, height)
    if compression in _UNCOMPRESSED:
        row = (width * bits + 31) // 32 * 4
        require_plausible(width, height, row * height, size - pixels)
    return Facts()
