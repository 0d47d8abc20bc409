"""Reading TensorFlow's checkpoints (bundles, "V2") without TensorFlow.

A bundle is a file `PREFIX.index`, a table as LevelDB's that maps names to entries, and files
`PREFIX.data-00000-of-00001` and so on with the values that the entries tell of (tensor_bundle.proto
in TensorFlow; "LevelDB table format" in LevelDB). Checksums are held against what is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.crc32c import masked_crc32c
from lightsr.weights.files import Tensors, read_bytes
from lightsr.weights.protobuf import BYTES, FIXED32, VARINT, fields, varint

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER = 48
_TRAILER = 5
"""Behind every block: how it is compressed, and its checksum."""
_LONGEST_NAME = 4096
_BFLOAT16 = 14
_TYPES = {
    **{1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?"},
    **{_BFLOAT16: "<u2", 17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8"},
}
"""NumPy's types by TensorFlow's numbers; entries of other types are no numbers, and passed over."""
_PART = re.compile(r"(.+)\.(?:index|meta|data-\d{5}-of-\d{5})")
_NO_WEIGHT = re.compile(
    r"(?:^|[/.])(?:beta[12]_power(?:_\d+)?|global_step)$"
    r"|[/.](?:Adam|Momentum|RMSProp|Adagrad|Adadelta|Ftrl)(?:_\d+)?$"
)
"""What training keeps beside the weights: counters, and what optimisers remember."""


def index_of(path: Path) -> Path:
    """Return the index of the bundle that `path` is a file or the prefix of, else `path` itself."""
    part = _PART.fullmatch(path.name)
    try:
        if part is None and path.exists():
            return path
        index = path.with_name(f"{part[1] if part else path.name}.index")
        return index if index.is_file() else path
    except OSError:
        # A name too long, or a folder that may not be entered: whoever reads it will say so.
        return path


def weights_alone(tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Return `tensors` without what only training needs, names with full stops for slashes."""
    return {
        name.replace("/", "."): tensor
        for name, tensor in tensors.items()
        if not _NO_WEIGHT.search(name)
    }


def is_bundle(content: bytes) -> bool:
    """Tell the index of a bundle by its end."""
    return len(content) >= _FOOTER and content.endswith(_MAGIC)


def parse_bundle(content: bytes, path: Path) -> tuple[Tensors, dict[str, str]]:
    """Return every tensor of numbers of the bundle with the index `path`, and no metadata.

    Reads the files of values that lie beside the index. Raises `WeightsError` naming the file that
    is missing, damaged or truncated, or holds what is not read: compressed blocks, big-endian
    values, and variables in slices.
    """
    try:
        entries = dict(_table(content))
        header, entries = _header(entries.pop(b"", b"")), entries
        if header.big_endian:
            raise WeightsError(f"{path} is of a big-endian machine, which lightsr does not read")
        values = _Values(path, header.shards)
        tensors = {name.decode(): values.read(_entry(entry)) for name, entry in entries.items()}
    except _UnsupportedError as error:
        raise WeightsError(f"{path} {error}, which lightsr does not read") from error
    except (ValueError, IndexError, OverflowError) as error:
        raise WeightsError(f"{path} is a damaged TensorFlow checkpoint ({error})") from error
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}, {}


class _UnsupportedError(Exception):
    """Says what a file has that is not read."""


@dataclass(frozen=True, slots=True)
class _Header:
    shards: int
    big_endian: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a tensor's values lie, and what they are."""

    type: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int


@dataclass(slots=True)
class _Values:
    """The files of values of one bundle."""

    index: Path
    shards: int
    _read: dict[int, memoryview] = field(default_factory=dict[int, memoryview])
    _claimed: dict[int, int] = field(default_factory=dict[int, int])

    def read(self, entry: _Entry) -> NDArray[Any] | None:
        """Return an entry's tensor, or None where it is not one of numbers."""
        kind = _TYPES.get(entry.type)
        if kind is None:
            return None
        path, content = self._shard(entry.shard)
        self._claimed[entry.shard] = self._claimed.get(entry.shard, 0) + entry.size
        if max(entry.offset + entry.size, self._claimed[entry.shard]) > len(content):
            raise WeightsError(f"{path} is truncated, or belongs to another index")
        if math.prod(entry.shape) * np.dtype(kind).itemsize != entry.size:
            raise ValueError("a tensor's shape is not that of its values")
        data = content[entry.offset : entry.offset + entry.size]
        if masked_crc32c(bytes(data)) != entry.checksum:
            raise WeightsError(f"{path} is damaged, or belongs to another index: a checksum is off")
        values = np.frombuffer(data, kind).reshape(entry.shape)
        # bfloat16 is the upper half of a float32.
        return _widened(values) if entry.type == _BFLOAT16 else values

    def _shard(self, number: int) -> tuple[Path, memoryview]:
        if not 0 <= number < self.shards:
            raise ValueError("a tensor lies in a file that there is none of")
        prefix = self.index.name.removesuffix(".index")
        path = self.index.with_name(f"{prefix}.data-{number:05}-of-{self.shards:05}")
        if number not in self._read:
            self._read[number] = memoryview(read_bytes(path))
        return path, self._read[number]


def _widened(values: NDArray[Any]) -> NDArray[Any]:
    return (values.astype(np.uint32) << 16).view(np.float32)


def _header(message: bytes) -> _Header:
    shards, big_endian = 0, False
    for part in fields(message):
        if part.number == 1:
            shards = part.whole
        elif part.number == 2:
            big_endian = bool(part.whole)
    return _Header(shards, big_endian)


def _entry(message: bytes) -> _Entry:
    whole = {1: 0, 3: 0, 4: 0, 5: 0}
    shape: tuple[int, ...] = ()
    checksum = 0
    for part in fields(message):
        if part.number in whole and part.wire == VARINT:
            whole[part.number] = part.whole
        elif part.number == 2 and part.wire == BYTES:
            shape = tuple(_shape(part.data))
        elif part.number == 6 and part.wire == FIXED32:
            checksum = int.from_bytes(part.data, "little")
        elif part.number == 7:
            raise _UnsupportedError("holds a variable in slices")
    return _Entry(whole[1], shape, whole[3], whole[4], whole[5], checksum)


def _shape(message: memoryview) -> Iterator[int]:
    for dimension in fields(message):
        if dimension.number == 2 and dimension.wire == BYTES:
            yield sum(part.whole for part in fields(dimension.data) if part.number == 1)


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table."""
    data = memoryview(content)
    footer = data[-_FOOTER:]
    _, at = _handle(footer, 0)
    (start, size), _ = _handle(footer, at)
    end = 0
    for _, value in _block(data, start, size):
        (start, size), _ = _handle(memoryview(value), 0)
        if start < end:
            raise ValueError("blocks overlap")
        end = start + size + _TRAILER
        yield from _block(data, start, size)


def _handle(data: memoryview, at: int) -> tuple[tuple[int, int], int]:
    start, at = varint(data, at)
    size, at = varint(data, at)
    return (start, size), at


def _block(data: memoryview, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; a key leaves out what it shares with the one before."""
    if start + size + _TRAILER > len(data) or size < 4:
        raise ValueError("a block reaches beyond the end")
    block, trailer = data[start : start + size], data[start + size : start + size + _TRAILER]
    if trailer[0]:
        raise _UnsupportedError("is compressed")
    if masked_crc32c(bytes(data[start : start + size + 1])) != int.from_bytes(
        trailer[1:], "little"
    ):
        raise ValueError("a checksum is off")
    # At the end of a block, places to start from when looking a key up; their number last.
    starts = int.from_bytes(block[-4:], "little")
    block = block[: max(0, size - 4 - 4 * starts)]
    key, at = b"", 0
    while at < len(block):
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or own + length > len(block) - at or shared + own > _LONGEST_NAME:
            raise ValueError("an entry reaches beyond its block")
        key = key[:shared] + bytes(block[at : at + own])
        yield key, bytes(block[at + own : at + own + length])
        at += own + length
