"""Directories of tags: the structure of TIFF files and EXIF blocks alike (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from lightsr.images.containers.facts import UnreadableError

SHORT, LONG, LONG8 = 3, 4, 16
_WIDTHS = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
"""Bytes of one value, by type."""
_LONGEST_VALUE = 256 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file writes its directories."""

    order: str
    """Byte order as `struct` writes it, "<" or ">"."""
    big: bool = False
    """BigTIFF: 64-bit counts and offsets."""

    @property
    def entry(self) -> struct.Struct:
        """Tag, type and count; the value or its offset follows."""
        return struct.Struct(self.order + ("HHQ" if self.big else "HHI"))

    @property
    def count(self) -> struct.Struct:
        """The number of entries."""
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def offset(self) -> struct.Struct:
        """A place in the file; a value that is no longer stands there itself."""
        return struct.Struct(self.order + ("Q" if self.big else "I"))


@dataclass(frozen=True, slots=True)
class Entry:
    """The value of a tag: so many of a type, as bytes in the file's order."""

    type: int
    count: int
    data: bytes

    def numbers(self, order: str) -> tuple[int, ...]:
        """Return whole numbers (types BYTE, SHORT, LONG, LONG8); none for other types."""
        code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(self.type)
        if code is None:
            return ()
        return struct.unpack(f"{order}{self.count}{code}", self.data)

    def swapped(self) -> Entry:
        """Return the same value in the other byte order."""
        width = _WIDTHS.get(self.type, 1)
        if self.type in (5, 10):
            width = 4
        pieces = (self.data[i : i + width][::-1] for i in range(0, len(self.data), width))
        return Entry(self.type, self.count, b"".join(pieces))


Directory = dict[int, Entry]


def read_header(stream: BinaryIO) -> tuple[Layout, int]:
    """Return the layout and the offset of the first directory. Raises `UnreadableError`."""
    stream.seek(0)
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise UnreadableError("is damaged: it does not begin with a TIFF header")
    (version,) = struct.unpack(order + "H", head[2:4])
    if version == 42:
        return Layout(order), struct.unpack(order + "I", head[4:8])[0]
    if version == 43 and len(head) == 16:
        return Layout(order, big=True), struct.unpack(order + "Q", head[8:16])[0]
    raise UnreadableError("is damaged: it does not begin with a TIFF header")


def read_directory(stream: BinaryIO, layout: Layout, start: int) -> tuple[Directory, int]:
    """Return the directory at `start` and the offset of the next one (0: none).

    Entries of unknown type, and those whose values are not there, are left out. Raises
    `UnreadableError` where the directory itself is cut short.
    """
    _seek(stream, start)
    (count,) = layout.count.unpack(_exactly(stream, layout.count.size))
    width = layout.entry.size + layout.offset.size
    if count * width > _LONGEST_VALUE:
        raise UnreadableError("is damaged: a directory of tags has too many entries")
    table = _exactly(stream, count * width)
    (following,) = layout.offset.unpack(_exactly(stream, layout.offset.size))
    entries: Directory = {}
    for i in range(0, len(table), width):
        tag, type_, number = layout.entry.unpack(table[i : i + layout.entry.size])
        value = table[i + layout.entry.size : i + width]
        size = number * _WIDTHS.get(type_, 0)
        if size > _LONGEST_VALUE or type_ not in _WIDTHS:
            continue
        if size > layout.offset.size:
            _seek(stream, layout.offset.unpack(value)[0])
            value = stream.read(size)
            if len(value) < size:
                continue
        entries[tag] = Entry(type_, number, value[:size])
    return entries, following


def _seek(stream: BinaryIO, place: int) -> None:
    # Places beyond any file would not fit the system's offsets.
    stream.seek(min(place, 1 << 42))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise UnreadableError("is cut short or damaged: a directory of tags reaches beyond the end")
    return data


def directory_bytes(entries: Mapping[int, Entry], layout: Layout, start: int) -> bytes:
    """Return a directory that stands at `start` (even), with the long values behind it.

    It is the last one of its chain; its length is even and depends on the sizes alone, not on
    the values.
    """
    ordered = sorted(entries.items())
    width = layout.entry.size + layout.offset.size
    place = start + layout.count.size + len(ordered) * width + layout.offset.size
    table, values = bytearray(layout.count.pack(len(ordered))), bytearray()
    for tag, entry in ordered:
        table += layout.entry.pack(tag, entry.type, entry.count)
        if len(entry.data) <= layout.offset.size:
            table += entry.data.ljust(layout.offset.size, b"\0")
        else:
            table += layout.offset.pack(place + len(values))
            values += entry.data + b"\0" * (len(entry.data) % 2)
    table += bytes(layout.offset.size)
    return bytes(table + values)
