"""GIF: frames, and sizes that decoders replace by a guess (GIF89a specification)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from lightsr.images.containers.facts import Facts, UnreadableError, require_pixels

_EXTENSION, _FRAME, _END = b"!", b",", b";"


def inspect(stream: BinaryIO, size: int) -> Facts:
    """Walk the blocks of a GIF file of `size` bytes.

    Raises `UnreadableError` where the picture has no pixels or the file ends inside a block. The
    block that says "end" may be missing.
    """
    stream.seek(6)
    width, height, flags, _, _ = struct.unpack("<HHBBB", _exactly(stream, 7, size))
    require_pixels(width, height)
    _skip_palette(stream, flags)
    frames = 0
    while (kind := stream.read(1)) in (_EXTENSION, _FRAME):
        if kind == _EXTENSION:
            stream.seek(1, 1)
        else:
            frames += 1
            _, _, width, height, flags = struct.unpack("<HHHHB", _exactly(stream, 9, size))
            require_pixels(width, height)
            _skip_palette(stream, flags)
            stream.seek(1, 1)
        while length := _exactly(stream, 1, size)[0]:
            stream.seek(length, 1)
    if frames == 0 or kind not in (_END, b""):
        raise UnreadableError("is cut short or damaged: a GIF without a whole frame")
    return Facts(frames=frames)


def _skip_palette(stream: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        stream.seek(3 * (2 << (flags & 7)), 1)


def _exactly(stream: BinaryIO, count: int, size: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise UnreadableError(f"is cut short: it ends after {size:,} bytes, inside the picture")
    return data
