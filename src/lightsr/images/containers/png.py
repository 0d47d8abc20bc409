"""PNG: frames of APNG, completeness, EXIF and XMP wherever they stand, and putting them in."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from lightsr.images.containers.facts import (
    Facts,
    UnreadableError,
    require_pixels,
    require_plausible,
    require_usual_range,
)

_XMP = b"XML:com.adobe.xmp"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_METADATA_LIMIT = 16 << 20
DEFLATE_RATIO = 1032
"""Deflate makes at most this many bytes of one."""


def inspect(stream: BinaryIO, size: int) -> Facts:
    """Walk the chunks of a PNG file of `size` bytes.

    Raises `UnreadableError` where a chunk or the end is missing, the picture has no pixels, or
    its data cannot hold as many as it declares, or it is HDR.
    """
    stream.seek(8)
    head = stream.read(25)
    if len(head) < 25 or head[4:8] != b"IHDR":
        raise UnreadableError("is cut short or damaged: its PNG header is missing")
    width, height, depth, colour = struct.unpack(">IIBB", head[8:18])
    require_pixels(width, height)
    frames, data, exif, xmp = 1, 0, None, None
    position = 33
    while True:
        stream.seek(position)
        length, kind = _chunk_head(stream, position, size)
        if kind == b"IDAT":
            data += length
        elif kind == b"acTL" and length >= 4:
            frames = int.from_bytes(stream.read(4), "big")
        elif kind == b"cICP" and length == 4:
            require_usual_range(stream.read(4)[1])
        elif kind == b"eXIf" and length <= _METADATA_LIMIT:
            exif = stream.read(length)
        elif kind in (b"iTXt", b"zTXt", b"tEXt") and length <= _METADATA_LIMIT:
            xmp = _xmp_text(kind, stream.read(length)) or xmp
        elif kind == b"IEND":
            break
        position += 12 + length
    row = (width * _CHANNELS.get(colour, 1) * depth + 7) // 8 + 1
    require_plausible(width, height, row * height // DEFLATE_RATIO, data)
    return Facts(frames=frames, exif=exif, xmp=xmp)


def _chunk_head(stream: BinaryIO, position: int, size: int) -> tuple[int, bytes]:
    head = stream.read(8)
    length = int.from_bytes(head[:4], "big")
    if len(head) < 8 or position + 12 + length > size:
        raise UnreadableError(f"is cut short: it ends after {size:,} bytes, inside the picture")
    return length, head[4:]


def _xmp_text(kind: bytes, body: bytes) -> bytes | None:
    """Return the XMP that a text chunk holds, if it holds one."""
    keyword, _, rest = body.partition(b"\0")
    if keyword != _XMP:
        return None
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflate(rest[1:])
    compressed = rest[:1] == b"\1"
    # Behind two flag bytes come a language and a translated keyword, each ended by a zero.
    text = rest[2:].split(b"\0", 2)[-1]
    return _inflate(text) if compressed else text


def _inflate(data: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(data, _METADATA_LIMIT)
    except zlib.error:
        return None


def insert(head: bytes, exif: bytes | None, xmp: bytes | None) -> bytes | None:
    """Return the beginning of a PNG file with EXIF and XMP put behind its header.

    None where `head` is still too short to tell.
    """
    if len(head) < 33:
        return None
    chunks = b""
    if exif is not None:
        chunks += _chunk(b"eXIf", exif)
    if xmp is not None:
        chunks += _chunk(b"iTXt", _XMP + b"\0\0\0\0\0" + xmp)
    return head[:33] + chunks + head[33:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return len(body).to_bytes(4, "big") + kind + body + check.to_bytes(4, "big")
