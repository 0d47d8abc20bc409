"""AVIF and HEIC: frames of a sequence, and putting EXIF into a finished file.

The file is a tree of boxes (ISO/IEC 14496-12); metadata are items named in the `meta` box
(ISO/IEC 23008-12), whose places in the file stand in its `iloc` box.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lightsr.images.containers.facts import Facts, UnreadableError, require_usual_range

_BOX_LIMIT = 64 << 20


def inspect(stream: BinaryIO, size: int) -> Facts:
    """Look at the top-level boxes of a file of `size` bytes.

    Raises `UnreadableError` where one reaches beyond the end, and for HDR.
    """
    position, frames = 0, 1
    while position < size:
        stream.seek(position)
        head = stream.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 0:
            length = size - position
        elif length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or position + length > size:
            raise UnreadableError(f"is cut short: it ends after {size:,} bytes, inside the picture")
        if kind in (b"moov", b"meta") and length <= _BOX_LIMIT:
            stream.seek(position)
            box = stream.read(length)
            if kind == b"moov":
                frames = max(frames, _most_samples(box))
            else:
                _require_usual_colours(box)
        position += length
    # Turning is a property of the picture here, which the decoder applies; EXIF's does not count.
    return Facts(frames=frames, orientation=1)


def _most_samples(movie: bytes) -> int:
    """Return the number of frames of the longest picture track."""
    most = 0
    for track in _inside(movie, _Box(b"moov", 0, 8, len(movie))):
        if track.kind != b"trak":
            continue
        boxes = {box.kind: box for box in _descend(movie, track, (b"mdia", b"minf", b"stbl"))}
        handler, sizes = boxes.get(b"hdlr"), boxes.get(b"stsz")
        if handler is None or sizes is None:
            continue
        if movie[handler.body + 8 : handler.body + 12] in (b"pict", b"vide"):
            most = max(most, int.from_bytes(movie[sizes.body + 8 : sizes.body + 12], "big"))
    return most


def _require_usual_colours(meta: bytes) -> None:
    children = _inside(meta, _Box(b"meta", 0, 8, len(meta)), skip=4)
    for properties in (box for box in children if box.kind == b"iprp"):
        for box in _descend(meta, properties, (b"ipco",)):
            if box.kind == b"colr" and meta[box.body : box.body + 4] == b"nclx":
                require_usual_range(int.from_bytes(meta[box.body + 6 : box.body + 8], "big"))


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    body: int
    end: int


def _inside(data: bytes, parent: _Box, skip: int = 0) -> Iterator[_Box]:
    """Yield the boxes in `parent`, `skip` bytes behind the beginning of its body."""
    position = parent.body + skip
    while position + 8 <= parent.end:
        length, kind = (
            int.from_bytes(data[position : position + 4], "big"),
            data[position + 4 :][:4],
        )
        body = position + 8
        if length == 1:
            length, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        end = position + length if length else parent.end
        if end < body or end > parent.end:
            return
        yield _Box(kind, position, body, end)
        position = end


def _descend(data: bytes, parent: _Box, into: tuple[bytes, ...]) -> Iterator[_Box]:
    for box in _inside(data, parent):
        yield box
        if box.kind in into:
            yield from _descend(data, box, into)


def with_exif(data: bytes, exif: bytes) -> bytes:
    """Return the AVIF file `data` with EXIF added as an item that describes the primary one.

    Returns it unchanged where its structure is not one that our encoder writes.
    """
    whole = _Box(b"", 0, 0, len(data))
    meta = next((box for box in _inside(data, whole) if box.kind == b"meta"), None)
    if meta is None:
        return data
    boxes = {box.kind: box for box in _inside(data, meta, skip=4)}
    if not {b"pitm", b"iloc", b"iinf"} <= boxes.keys():
        return data
    places = _Places.read(data, boxes[b"iloc"])
    primary = _number(data, boxes[b"pitm"])
    item = max(places.items, default=0) + 1
    payload = b"\0\0\0\0" + exif

    def rebuilt(moved: int) -> bytes:
        """Return the meta box, for a file whose bytes behind it have moved by so many."""
        place = _Place(item, 0, 0, [(len(data) + moved + 8, len(payload))])
        parts: list[bytes] = []
        for box in _inside(data, meta, skip=4):
            if box.kind == b"iloc":
                parts.append(places.written(moved, place))
            elif box.kind == b"iinf":
                parts.append(_with_entry(data, box, item))
            elif box.kind != b"iref":
                parts.append(data[box.start : box.end])
        parts.append(_with_reference(data, boxes.get(b"iref"), item, primary))
        return _box(b"meta", data[meta.body : meta.body + 4] + b"".join(parts))

    moved = len(rebuilt(0)) - (meta.end - meta.start)
    mdat = _box(b"mdat", payload)
    return data[: meta.start] + rebuilt(moved) + data[meta.end :] + mdat


def _number(data: bytes, pitm: _Box) -> int:
    width = 2 if data[pitm.body] == 0 else 4
    return int.from_bytes(data[pitm.body + 4 : pitm.body + 4 + width], "big")


def _with_entry(data: bytes, iinf: _Box, item: int) -> bytes:
    """Return the item list with an entry of type Exif more."""
    width = 2 if data[iinf.body] == 0 else 4
    behind = iinf.body + 4 + width
    count = int.from_bytes(data[iinf.body + 4 : behind], "big") + 1
    entry = _box(b"infe", b"\2\0\0\1" + struct.pack(">HH", item, 0) + b"Exif\0")
    head = data[iinf.body : iinf.body + 4] + count.to_bytes(width, "big")
    return _box(b"iinf", head + data[behind : iinf.end] + entry)


def _with_reference(data: bytes, iref: _Box | None, item: int, primary: int) -> bytes:
    """Return the references with "this item describes the primary one" more."""
    head = b"\0\0\0\0" if iref is None else data[iref.body : iref.body + 4]
    known = b"" if iref is None else data[iref.body + 4 : iref.end]
    layout = ">HHH" if head[0] == 0 else ">IHI"
    return _box(b"iref", head + known + _box(b"cdsc", struct.pack(layout, item, 1, primary)))


def _box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an item lies: extents of (offset, length) from `base`."""

    item: int
    method: int
    base: int
    extents: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Places:
    """The iloc box."""

    version: int
    offset_size: int
    length_size: int
    base_size: int
    index_size: int
    items: dict[int, _Place]

    @classmethod
    def read(cls, data: bytes, box: _Box) -> _Places:
        position = box.body

        def take(width: int) -> int:
            nonlocal position
            position += width
            return int.from_bytes(data[position - width : position], "big")

        version = take(4) >> 24
        sizes = take(2)
        offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_size = sizes & 15 if version else 0
        items: dict[int, _Place] = {}
        for _ in range(take(4 if version == 2 else 2)):
            item = take(4 if version == 2 else 2)
            method = take(2) & 15 if version else 0
            take(2)
            base, extents = take(base_size), list[tuple[int, int]]()
            for _ in range(take(2)):
                take(index_size)
                extents.append((take(offset_size), take(length_size)))
            items[item] = _Place(item, method, base, extents)
        return cls(version, offset_size, length_size, base_size, index_size, items)

    def written(self, moved: int, more: _Place) -> bytes:
        """Return the box, with places in the file moved by so many bytes, and one item more."""
        wide = 4 if self.version == 2 else 2
        sizes = self.offset_size << 12 | self.length_size << 8 | self.base_size << 4
        out = bytearray((self.version << 24).to_bytes(4, "big"))
        out += (sizes | self.index_size).to_bytes(2, "big")
        out += (len(self.items) + 1).to_bytes(wide, "big")
        for place in self.items.values():
            # Method 0 counts from the beginning of the file, the others from inside the meta box.
            in_file = place.method == 0
            base = place.base + moved if in_file and self.base_size else place.base
            shift = moved if in_file and not self.base_size else 0
            extents = [(offset + shift, length) for offset, length in place.extents]
            out += self._entry(_Place(place.item, place.method, base, extents), wide)
        if self.base_size and not self.offset_size:
            ((offset, length),) = more.extents
            more = _Place(more.item, 0, offset, [(0, length)])
        out += self._entry(more, wide)
        return _box(b"iloc", bytes(out))

    def _entry(self, place: _Place, wide: int) -> bytes:
        out = bytearray(place.item.to_bytes(wide, "big"))
        if self.version:
            out += place.method.to_bytes(2, "big")
        out += b"\0\0" + place.base.to_bytes(self.base_size, "big")
        out += len(place.extents).to_bytes(2, "big")
        for offset, length in place.extents:
            out += bytes(self.index_size)
            out += offset.to_bytes(self.offset_size, "big")
            out += length.to_bytes(self.length_size, "big")
        return bytes(out)
