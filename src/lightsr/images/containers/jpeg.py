"""JPEG: putting the JFIF density and EXIF in."""

from __future__ import annotations

import struct

_LONGEST_SEGMENT = 65_533
LONGEST_XMP = _LONGEST_SEGMENT - len(b"http://ns.adobe.com/xap/1.0/\0")


def insert(head: bytes, exif: bytes | None, dots_per_inch: tuple[int, int]) -> bytes | None:
    """Return the beginning of a JPEG file with a JFIF and an EXIF segment put first.

    EXIF longer than a segment holds (64 kB) is left out. None where `head` is still too short.
    """
    if len(head) < 2:
        return None
    across, down = (min(max(dots, 1), 65_535) for dots in dots_per_inch)
    segments = _segment(0xE0, b"JFIF\0\1\1\1" + struct.pack(">HHBB", across, down, 0, 0))
    if exif is not None and len(exif) + 6 <= _LONGEST_SEGMENT:
        segments += _segment(0xE1, b"Exif\0\0" + exif)
    return head[:2] + segments + head[2:]


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body
