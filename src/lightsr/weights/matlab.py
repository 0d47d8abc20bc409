"""Reading MATLAB's MAT files, version 5 (what `save -v6` and `-v7` write), with NumPy alone.

After "MAT-File Format" of The MathWorks. Numbers are all that is taken from a file: arrays, also
within cells and structures, nested as MATLAB nests them; everything else in it is passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.files import Tensors

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_STORED = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
"""How a data element's values are stored, by its type."""
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
"""What an array's values are, by its class; they may be stored in a smaller type."""
_DEEPEST = 16
_LARGEST = 1 << 30
"""More than any network here holds, unpacked: what claims more is damaged or hostile."""


def is_mat5(content: bytes) -> bool:
    """Tell a MAT file of version 5 by its header."""
    return content.startswith(b"MATLAB 5.0 MAT-file") and len(content) >= _HEADER


def parse_mat5(content: bytes, path: Path) -> tuple[Tensors, dict[str, str]]:
    """Return every array of numbers in a MAT file that is not empty, and no metadata.

    Parts of a name are joined by full stops: the third entry of cell array `w` is "w.3" (entries
    count from 1, in MATLAB's order), field `f` of structure `s` is "s.f". Entries of an array of
    structures that hold a `name`, as MatConvNet's do, go by it. Shapes are MATLAB's. Raises
    `WeightsError` naming `path` for a file that is damaged.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise WeightsError(f"{path} is a damaged MATLAB file: its header has no byte order")
    tensors: Tensors = {}
    try:
        for kind, data in _elements(content[_HEADER:], order):
            if kind == _COMPRESSED:
                ((kind, data),) = _elements(_inflated(data), order)
            if kind == _MATRIX:
                name, value = _matrix(data, order, 0)
                tensors.update(_named(name, value))
    except (ValueError, LookupError, TypeError, StopIteration, zlib.error) as error:
        raise WeightsError(f"{path} is a damaged or truncated MATLAB file") from error
    return tensors, {}


@dataclass(frozen=True, slots=True)
class _Collection:
    """A cell array (without fields) or an array of structures, its entries in MATLAB's order."""

    entries: list[Any]
    """Of a cell array, values; of structures, mappings of fields to values."""


def _inflated(data: bytes) -> bytes:
    inflating = zlib.decompressobj()
    inflated = inflating.decompress(data, _LARGEST)
    if not inflating.eof:
        raise ValueError("truncated, or too large")
    return inflated


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of one data element after the other."""
    at = 0
    while at < len(data):
        first = int(np.frombuffer(data, f"{order}u4", 1, at)[0])
        if first >> 16:  # the short form: size, type and at most 4 bytes in 8
            kind, size, start, end = first & 0xFFFF, first >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError("a short element with a long content")
        else:
            kind, size = first, int(np.frombuffer(data, f"{order}u4", 1, at + 4)[0])
            start = at + 8
            # Compressed ones alone are not filled up to 8 bytes.
            end = start + size + (-size % 8 if kind != _COMPRESSED else 0)
        if start + size > len(data):
            raise ValueError("an element reaches beyond its end")
        yield kind, data[start : start + size]
        at = end


def _matrix(data: bytes, order: str, depth: int) -> tuple[str, Any]:
    """Return name and value: an array, a string, a `_Collection`, or None for anything else."""
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    if not data:
        return "", None
    parts = _elements(data, order)
    flags = int(_values(*next(parts), order)[0])
    kind, is_complex = flags & 0xFF, bool(flags & 0x0800)
    if kind not in (_CELL, _STRUCT, _CHAR, *_NUMERIC):
        return "", None
    shape = tuple(int(length) for length in _values(*next(parts), order))
    name = next(parts)[1].decode("ascii")
    if kind == _CELL:
        return name, _Collection([_matrix(part, order, depth + 1)[1] for _, part in parts])
    if kind == _STRUCT:
        return name, _structures(parts, order, depth)
    if is_complex:
        return name, None
    stored = next(parts)
    if kind == _CHAR:
        return name, _text(*stored, order)
    values = _values(*stored, order).astype(_NUMERIC[kind])
    return name, values.reshape(shape, order="F")


def _structures(parts: Iterator[tuple[int, bytes]], order: str, depth: int) -> _Collection:
    width = int(_values(*next(parts), order)[0])
    names = next(parts)[1]
    fields = [
        names[start : start + width].split(b"\0")[0].decode("ascii")
        for start in range(0, len(names), width)
    ]
    values = [_matrix(part, order, depth + 1)[1] for _, part in parts]
    return _Collection(
        [
            dict(zip(fields, values[start : start + len(fields)], strict=True))
            for start in range(0, len(values), len(fields) or 1)
        ]
    )


def _values(kind: int, data: bytes, order: str) -> NDArray[Any]:
    return np.frombuffer(data, order + _STORED[kind])


def _text(kind: int, data: bytes, order: str) -> str | None:
    if kind in _STORED:
        return "".join(map(chr, _values(kind, data, order).tolist()))
    encoding = {16: "utf-8", 17: "utf-16", 18: "utf-32"}.get(kind)
    return data.decode(encoding) if encoding else None


def _named(name: str, value: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(value, np.ndarray):
        if value.size:
            yield name, value
    elif isinstance(value, _Collection):
        for number, entry in enumerate(value.entries, 1):
            if not isinstance(entry, dict):
                yield from _named(f"{name}.{number}", entry)
                continue
            fields = cast("dict[str, Any]", entry)
            own = fields.get("name")
            only = len(value.entries) == 1 and not isinstance(own, str)
            inside = name if only else f"{name}.{own if isinstance(own, str) else number}"
            for field, held in fields.items():
                yield from _named(f"{inside}.{field}", held)
