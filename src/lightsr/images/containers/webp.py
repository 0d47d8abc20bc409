"""WebP: putting EXIF into a finished file."""

from __future__ import annotations

_EXIF_FLAG = 0x08
_ALPHA_FLAG = 0x10


def with_exif(data: bytes, exif: bytes, width: int, height: int, alpha: bool) -> bytes:
    """Return the WebP file `data` (a picture of `width` x `height`) with EXIF added.

    A file of the simple kind becomes one of the extended kind, whose header names the size.
    """
    chunks = _chunks(data)
    if chunks[0][0] != b"VP8X":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        flags = _ALPHA_FLAG if alpha else 0
        chunks.insert(0, (b"VP8X", bytes((flags, 0, 0, 0)) + size))
    header = chunks[0][1]
    chunks[0] = (b"VP8X", bytes((header[0] | _EXIF_FLAG,)) + header[1:])
    # EXIF stands before XMP and behind everything else.
    place = next((i for i, (kind, _) in enumerate(chunks) if kind == b"XMP "), len(chunks))
    chunks.insert(place, (b"EXIF", exif))
    body = b"WEBP" + b"".join(_chunk(kind, content) for kind, content in chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks: list[tuple[bytes, bytes]] = []
    position = 12
    while position + 8 <= len(data):
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        chunks.append((data[position : position + 4], data[position + 8 : position + 8 + length]))
        position += 8 + length + length % 2
    return chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)
