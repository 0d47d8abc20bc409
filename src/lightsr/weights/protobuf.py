"""Reading Protocol Buffers' wire format, with bounds checked and nothing allocated on trust.

After "Encoding" in the Protocol Buffers documentation: a message is a run of fields, each a tag
(its number and how its value is written) and a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How a value is written; groups, long given up, are not read."""

_FIXED = {FIXED64: 8, FIXED32: 4}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    number: int
    wire: int
    """One of `VARINT`, `FIXED64`, `BYTES` and `FIXED32`."""
    whole: int
    """The value of a varint; 0 for anything else."""
    data: memoryview
    """The value as it stands in the file; empty for a varint."""


def fields(message: memoryview | bytes) -> Iterator[Field]:
    """Yield the fields of a message in the order of the file.

    Raises `ValueError` where the message is malformed or a value reaches beyond its end.
    """
    message = memoryview(message)
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ValueError("a field without a number")
        if wire == VARINT:
            whole, at = varint(message, at)
            yield Field(number, wire, whole, message[:0])
            continue
        if wire == BYTES:
            size, at = varint(message, at)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise ValueError("a value written in no known way")
        if size > len(message) - at:
            raise ValueError("a value reaches beyond its end")
        yield Field(number, wire, 0, message[at : at + size])
        at += size


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the whole number, of at most 64 bits, that starts at `at`, and where it ends.

    Raises `ValueError` where it has no end.
    """
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number has no end")


def varints(data: memoryview) -> list[int]:
    """Return the whole numbers of a packed field; `ValueError` where the last is cut off."""
    values: list[int] = []
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values
