"""TIFF: pages, completeness and EXIF of a file, and adding EXIF to a finished one."""

from __future__ import annotations

from typing import BinaryIO

from lightsr.images.containers.directories import (
    Directory,
    Entry,
    Layout,
    read_directory,
    read_header,
)
from lightsr.images.containers.facts import (
    Facts,
    UnreadableError,
    require_pixels,
    require_plausible,
)
from lightsr.images.containers.png import DEFLATE_RATIO
from lightsr.images.exif import (
    EXIF_POINTER,
    GPS_POINTER,
    assembled,
    joined,
    taken_apart,
)

_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255
_WIDTH, _LENGTH, _BITS, _COMPRESSION = 256, 257, 258, 259
_PHOTOMETRIC, _LAB = 262, 8
_STRIP_OFFSETS, _STRIP_LENGTHS = 273, 279
_TILE_OFFSETS, _TILE_LENGTHS = 324, 325
_ORIENTATION, _SAMPLES, _SAMPLE_FORMAT = 274, 277, 339
_RAW_TAGS = (50706, 33421)
"""DNG's version, and the colour filter of a sensor: not a picture yet."""
_RATIOS = {1: 1, 32773: 64, 5: 4096, 8: DEFLATE_RATIO, 32946: DEFLATE_RATIO}
"""Bytes that one byte can become at the most, by compression; others have no such bound."""
_MOST_PAGES = 10_000


def inspect(stream: BinaryIO, size: int) -> Facts:
    """Look at the directories of a TIFF file of `size` bytes.

    A page is a directory that is no smaller copy of another (thumbnail, pyramid) and no mask.
    Raises `UnreadableError` where strips or tiles reach beyond the end, the picture has no
    pixels, its samples are of a kind lightsr does not take, or it is a camera's raw file.
    """
    layout, start = read_header(stream)
    first, following = read_directory(stream, layout, start)
    _require_picture(first, layout)
    _require_data(first, layout, size)
    pages, seen = 1, {start}
    while following and following not in seen and len(seen) < _MOST_PAGES:
        seen.add(following)
        directory, following = read_directory(stream, layout, following)
        pages += not _is_extra(directory, layout)
    exif = _below(stream, layout, first, EXIF_POINTER)
    gps = _below(stream, layout, first, GPS_POINTER)
    turn = _number(first, layout, _ORIENTATION, 1)
    return Facts(
        frames=pages,
        exif=assembled(layout, first, exif, gps),
        orientation=turn if 1 <= turn <= 8 else 1,
    )


def _number(directory: Directory, layout: Layout, tag: int, default: int) -> int:
    values = directory[tag].numbers(layout.order) if tag in directory else ()
    return values[0] if values else default


def _is_extra(directory: Directory, layout: Layout) -> bool:
    kind = _number(directory, layout, _NEW_SUBFILE_TYPE, 0)
    return bool(kind & 0b101) or _number(directory, layout, _SUBFILE_TYPE, 1) == 2


def _require_picture(first: Directory, layout: Layout) -> None:
    if any(tag in first for tag in _RAW_TAGS) or _is_extra(first, layout):
        raise UnreadableError("is a camera raw file; develop it to TIFF, PNG or JPEG first")
    require_pixels(_number(first, layout, _WIDTH, 0), _number(first, layout, _LENGTH, 0))
    bits = _number(first, layout, _BITS, 1)
    kind = _number(first, layout, _SAMPLE_FORMAT, 1)
    if _number(first, layout, _PHOTOMETRIC, 1) == _LAB and kind == 2:
        return
    if bits > 32 or kind in (2, 5, 6) or (bits > 16 and kind != 3):
        names = {2: "signed integer", 3: "floating-point", 5: "complex", 6: "complex"}
        name = names.get(kind, "integer")
        raise UnreadableError(
            f"has {bits}-bit {name} samples; save it with 8 or 16 bits, or as 32-bit float"
        )


def _require_data(first: Directory, layout: Layout, size: int) -> None:
    tiled = _TILE_OFFSETS in first
    tags = (_TILE_OFFSETS, _TILE_LENGTHS) if tiled else (_STRIP_OFFSETS, _STRIP_LENGTHS)
    offsets, lengths = (first[tag].numbers(layout.order) if tag in first else () for tag in tags)
    # A damaged file may have more of one than of the other.
    ends = [offset + length for offset, length in zip(offsets, lengths, strict=False)]
    if max(ends, default=0) > size:
        raise UnreadableError(f"is cut short: it ends after {size:,} bytes, inside the picture")
    ratio = _RATIOS.get(_number(first, layout, _COMPRESSION, 1))
    if ratio is None or not lengths:
        return
    width, height = _number(first, layout, _WIDTH, 0), _number(first, layout, _LENGTH, 0)
    bits = _number(first, layout, _BITS, 1) * _number(first, layout, _SAMPLES, 1)
    require_plausible(width, height, (width * bits // 8) * height // ratio, sum(lengths))


def _below(stream: BinaryIO, layout: Layout, first: Directory, tag: int) -> Directory | None:
    start = _number(first, layout, tag, 0)
    if not start:
        return None
    try:
        return read_directory(stream, layout, start)[0]
    except UnreadableError:
        # Damaged EXIF is no reason to refuse the picture.
        return None


def add_exif(file: BinaryIO, block: bytes) -> None:
    """Add what an EXIF block says to a finished TIFF file, open for reading and writing.

    The first directory is written anew at the end, with the EXIF and GPS directories behind it.
    """
    parts = taken_apart(block)
    if parts is None:
        return
    source, descriptive, below = parts
    layout, start = read_header(file)
    first, _ = read_directory(file, layout, start)
    if source.order != layout.order:
        descriptive = _swapped(descriptive)
        below = {tag: _swapped(directory) for tag, directory in below.items()}
    end = file.seek(0, 2)
    file.write(b"\0" * (end % 2))
    end += end % 2
    file.write(joined(layout, {**first, **descriptive}, below, end))
    file.seek(8 if layout.big else 4)
    file.write(layout.offset.pack(end))


def _swapped(directory: Directory) -> dict[int, Entry]:
    return {tag: entry.swapped() for tag, entry in directory.items()}
