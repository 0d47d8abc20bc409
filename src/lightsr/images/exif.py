"""EXIF blocks: what a change of size and orientation makes wrong, put right in place.

A block is corrected byte by byte where it stands instead of being taken apart and written anew,
because maker notes hold offsets into it that nobody but the maker can adjust.
"""

from __future__ import annotations

import io
import re
import struct

from lightsr.images.containers.directories import (
    LONG,
    LONG8,
    SHORT,
    Directory,
    Entry,
    Layout,
    directory_bytes,
    read_directory,
    read_header,
)
from lightsr.images.containers.facts import UnreadableError

ORIENTATION = 0x0112
_IMAGE_WIDTH, _IMAGE_LENGTH = 0x0100, 0x0101
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_THUMBNAIL_START, _THUMBNAIL_LENGTH = 0x0201, 0x0202
EXIF_POINTER, GPS_POINTER, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005

DESCRIPTIVE = frozenset(
    # Description, make, model, software, date, artist, host, copyright, ratings, Windows' texts.
    (270, 271, 272, 305, 306, 315, 316, 33432, 18246, 18249, *range(40091, 40096))
)
"""Tags of a TIFF file's first directory that describe the picture and not its encoding."""
_DESCRIPTION = 270
_MACHINE_WRITTEN = (b'{"shape"', b"ImageJ=", b"<?xml")
"""Beginnings of descriptions in which scientific programs note the size of the samples."""


def stripped(block: bytes | None) -> bytes | None:
    """Return the block without the "Exif" marker that some containers put first.

    None for a block that does not begin with a TIFF header then.
    """
    if block is None:
        return None
    bare = block[6:] if block[:6] == b"Exif\0\0" else block
    return bare if bare[:4] in (b"II*\0", b"MM\0*") else None


def orientation(block: bytes | None) -> int:
    """Return the orientation, 1 to 8, that a block names; 1 where it names none."""
    if block is None:
        return 1
    try:
        stream = io.BytesIO(block)
        layout, start = read_header(stream)
        entries, _ = read_directory(stream, layout, start)
    except UnreadableError:
        return 1
    value = entries[ORIENTATION].numbers(layout.order) if ORIENTATION in entries else ()
    return value[0] if value and 1 <= value[0] <= 8 else 1


def corrected(block: bytes, width: int, height: int) -> bytes | None:
    """Return the block for an upright picture of `width` x `height` pixels.

    Orientation becomes 1, size tags that are there become the new size, and the thumbnail, which
    shows the picture of the old orientation, goes. None for a block too damaged to correct.
    """
    data = bytearray(block)
    order = "<" if block[:2] == b"II" else ">"
    sizes = {_IMAGE_WIDTH: width, _IMAGE_LENGTH: height, _PIXEL_X: width, _PIXEL_Y: height}
    try:
        (first,) = struct.unpack_from(order + "I", data, 4)
        places, following = _places(data, order, first)
        _set_numbers(data, order, places, {ORIENTATION: 1, **sizes})
        if EXIF_POINTER in places:
            (start,) = struct.unpack_from(order + "I", data, places[EXIF_POINTER] + 8)
            _set_numbers(data, order, _places(data, order, start)[0], sizes)
        return bytes(_without_thumbnail(data, order, following))
    except (struct.error, IndexError):
        return None


def _places(data: bytearray, order: str, start: int) -> tuple[dict[int, int], int]:
    """Where the entries of the directory at `start` stand by tag, and where its link does."""
    (count,) = struct.unpack_from(order + "H", data, start)
    tags: dict[int, int] = {}
    for i in range(count):
        place = start + 2 + 12 * i
        (tag,) = struct.unpack_from(order + "H", data, place)
        tags[tag] = place
    return tags, start + 2 + 12 * count


def _set_numbers(
    data: bytearray, order: str, places: dict[int, int], values: dict[int, int]
) -> None:
    for tag, value in values.items():
        if tag not in places:
            continue
        _, type_, count = struct.unpack_from(order + "HHI", data, places[tag])
        if type_ not in (SHORT, LONG) or count != 1:
            continue
        if type_ == LONG or value > 0xFFFF:
            struct.pack_into(order + "HHII", data, places[tag], tag, LONG, 1, value)
        else:
            struct.pack_into(order + "HHIHH", data, places[tag], tag, SHORT, 1, value, 0)


def _without_thumbnail(data: bytearray, order: str, link: int) -> bytearray:
    if link + 4 > len(data):
        # Some writers leave out the link of the last directory.
        return data
    (start,) = struct.unpack_from(order + "I", data, link)
    if not start:
        return data
    struct.pack_into(order + "I", data, link, 0)
    try:
        places, _ = _places(data, order, start)
        if {_THUMBNAIL_START, _THUMBNAIL_LENGTH} <= places.keys():
            (begin,) = struct.unpack_from(order + "I", data, places[_THUMBNAIL_START] + 8)
            (length,) = struct.unpack_from(order + "I", data, places[_THUMBNAIL_LENGTH] + 8)
            end = min(begin + length, len(data))
            data[begin:end] = bytes(max(end - begin, 0))
            if end == len(data) and start < begin:
                del data[begin:]
    except (struct.error, IndexError):
        pass
    return data


def assembled(
    layout: Layout, first: Directory, exif: Directory | None, gps: Directory | None
) -> bytes | None:
    """Return a block made of a TIFF file's descriptive tags, its EXIF and its GPS directory.

    None where there are none.
    """
    entries = {tag: entry for tag, entry in first.items() if tag in DESCRIPTIVE}
    if _DESCRIPTION in entries and entries[_DESCRIPTION].data.startswith(_MACHINE_WRITTEN):
        del entries[_DESCRIPTION]
    parts = {EXIF_POINTER: exif, GPS_POINTER: gps}
    present = {tag: _portable(part) for tag, part in parts.items() if part}
    if not entries and not present:
        return None
    plain = Layout(layout.order)
    return struct.pack(
        plain.order + "2sHI", b"II" if plain.order == "<" else b"MM", 42, 8
    ) + joined(plain, entries, present, 8)


def joined(layout: Layout, first: Directory, parts: dict[int, Directory], start: int) -> bytes:
    """Return directory `first`, to stand at `start`, and behind it `parts`, which it points to."""

    def pointing(at: int) -> dict[int, Entry]:
        entries, place = dict(first), at
        for tag, part in parts.items():
            entries[tag] = Entry(LONG8 if layout.big else LONG, 1, layout.offset.pack(place))
            place += len(directory_bytes(part, layout, place))
        return entries

    behind = start + len(directory_bytes(pointing(0), layout, start))
    out = bytearray(directory_bytes(pointing(behind), layout, start))
    for part in parts.values():
        out += directory_bytes(part, layout, start + len(out))
    return bytes(out)


def taken_apart(block: bytes) -> tuple[Layout, Directory, dict[int, Directory]] | None:
    """Return the descriptive tags and the directories below of a block; None if damaged."""
    stream = io.BytesIO(block)
    try:
        layout, start = read_header(stream)
        first, _ = read_directory(stream, layout, start)
        parts: dict[int, Directory] = {}
        for tag in (EXIF_POINTER, GPS_POINTER):
            numbers = first[tag].numbers(layout.order) if tag in first else ()
            if numbers:
                parts[tag] = _portable(read_directory(stream, layout, numbers[0])[0])
    except UnreadableError:
        return None
    return layout, {t: e for t, e in first.items() if t in DESCRIPTIVE}, parts


def _portable(directory: Directory) -> Directory:
    """Return the directory without what points elsewhere or does not exist outside BigTIFF."""
    return {
        tag: entry
        for tag, entry in directory.items()
        if tag != _INTEROPERABILITY and entry.type <= 13
    }


_XMP_NUMBERS = {
    b"tiff:ImageWidth": 0,
    b"exif:PixelXDimension": 0,
    b"tiff:ImageLength": 1,
    b"exif:PixelYDimension": 1,
    b"tiff:Orientation": 2,
}
# Bounded repetitions: packets may be megabytes of blanks, which must not cost quadratic time.
_XMP_NUMBER = re.compile(
    rb"(<?)("
    + b"|".join(_XMP_NUMBERS)
    + rb")(\s{0,9}=\s{0,9}[\"']|>)\s{0,9}\d{1,19}\s{0,9}(?=[\"']|</)"
)
_XMP_EXTENSION = re.compile(rb"\s?xmpNote:HasExtendedXMP\s{0,9}=\s{0,9}([\"'])[0-9A-Fa-f]{0,64}\1")


def corrected_xmp(block: bytes, width: int, height: int) -> bytes:
    """Return an XMP packet for an upright picture of `width` x `height` pixels.

    Numbers that are there are replaced, as attributes and as elements alike. A link to an extended
    packet, which is not carried over, goes.
    """
    values = (width, height, 1)

    def put(match: re.Match[bytes]) -> bytes:
        bracket, name, before = match.groups()
        return bracket + name + before + str(values[_XMP_NUMBERS[name]]).encode()

    return _XMP_EXTENSION.sub(b"", _XMP_NUMBER.sub(put, block))
