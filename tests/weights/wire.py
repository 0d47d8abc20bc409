"""Writers of the formats that lightsr only reads: enough of each to make files for tests.

Made after the formats' documentation; no file of another program's making is among the tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def part(number: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(tensor: NDArray[Any], *, packed: bool = True, old: bool = False) -> bytes:
    """A BlobProto."""
    values = tensor.astype("<f4")
    if packed:
        data = part(5, values.tobytes())
    else:
        data = b"".join(varint(5 << 3 | 5) + value.tobytes() for value in values.ravel())
    if old:
        sides = (1,) * (4 - tensor.ndim) + tensor.shape
        return b"".join(whole(i, side) for i, side in enumerate(sides, 1)) + data
    return data + part(7, part(1, b"".join(map(varint, tensor.shape))))


def caffemodel(
    layers: Mapping[str, tuple[NDArray[Any], ...]], *, v1: bool = False, **how: bool
) -> bytes:
    """A NetParameter; every layer in today's form or in that before it."""
    content = part(1, "net")
    for name, tensors in layers.items():
        blobs = [blob(tensor, **how) for tensor in tensors]
        if v1:
            layer = part(2, "data") + part(3, name) + part(4, name) + whole(5, 4)
            content += part(2, layer + b"".join(part(6, b) for b in blobs))
        else:
            layer = part(1, name) + part(2, "Convolution") + part(3, "data") + part(4, name)
            content += part(100, layer + b"".join(part(7, b) for b in blobs))
    return content


def plain_crc32c(data: bytes) -> int:
    """CRC-32C bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = plain_crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")


TYPES = {"<f4": 1, "<f8": 2, "<i4": 3, "<i8": 9, "<f2": 19}


def entry(
    tensor: NDArray[Any], offset: int, kind: int | None = None, shard: int = 0, more: bytes = b""
) -> bytes:
    """A BundleEntryProto; zeros are left out, as they are in proto3."""
    data = tensor.tobytes()
    shape = b"".join(part(2, whole(1, side)) for side in tensor.shape)
    return (
        whole(1, TYPES[tensor.dtype.str] if kind is None else kind)
        + part(2, shape)
        + (whole(3, shard) if shard else b"")
        + (whole(4, offset) if offset else b"")
        + whole(5, len(data))
        + varint(6 << 3 | 5)
        + masked(data)
        + more
    )


def block(entries: Mapping[bytes, bytes], compression: int = 0) -> bytes:
    """A block of a table, with keys that leave out what they share, and its trailer."""
    out, before = bytearray(), b""
    starts: list[int] = []
    for i, (key, value) in enumerate(entries.items()):
        shared = 0
        if i % 16:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        else:
            starts.append(len(out))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        before = key
    starts = starts or [0]
    out += b"".join(start.to_bytes(4, "little") for start in (*starts, len(starts)))
    out.append(compression)
    return bytes(out) + masked(bytes(out))


def table(entries: Mapping[bytes, bytes], per_block: int = 20, compression: int = 0) -> bytes:
    """A table of blocks, a block without entries, the index, and the footer."""
    keys, content = sorted(entries), b""
    handles: dict[bytes, bytes] = {}
    for first in range(0, len(keys), per_block):
        chunk = keys[first : first + per_block]
        made = block({key: entries[key] for key in chunk}, compression)
        handles[chunk[-1]] = varint(len(content)) + varint(len(made) - 5)
        content += made
    meta, index = block({}), block(handles)
    footer = varint(len(content)) + varint(len(meta) - 5)
    footer += varint(len(content) + len(meta)) + varint(len(index) - 5)
    return (
        content + meta + index + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")
    )


HEADER = whole(1, 1) + part(3, whole(1, 1))
"""A BundleHeaderProto: one file of values, little-endian."""


def bundle(folder: Path, tensors: Mapping[str, NDArray[Any]], prefix: str = "model.ckpt") -> Path:
    """Write a bundle into a folder; return its index."""
    entries, values = {b"": HEADER}, b""
    for name in sorted(tensors):
        entries[name.encode()] = entry(tensors[name], len(values))
        values += tensors[name].tobytes()
        assert math.prod(tensors[name].shape) == tensors[name].size
    (folder / f"{prefix}.data-00000-of-00001").write_bytes(values)
    (folder / f"{prefix}.meta").write_bytes(b"a graph")
    index = folder / f"{prefix}.index"
    index.write_bytes(table(entries))
    return index


def small(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(shape, np.float32)
