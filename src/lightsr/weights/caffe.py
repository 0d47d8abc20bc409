"""Reading Caffe's models (.caffemodel) without Caffe.

A `NetParameter` of Caffe's caffe.proto: its layers, each with a name and blobs of values. Layers
in today's form and in the one before (V1) are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.files import Tensors
from lightsr.weights.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, fields, varint, varints

_NET = {1: BYTES, 2: BYTES, 3: BYTES, 4: VARINT, 5: VARINT, 6: BYTES, 7: VARINT, 8: BYTES}
"""How the fields of a net are written, but for its layers."""
_KINDS = {1: "weight", 2: "bias"}


@dataclass(frozen=True, slots=True)
class _Form:
    """The numbers of a layer's fields in one of the two forms."""

    name: int
    blobs: int
    first: bytes
    """What a layer may begin with."""


_LAYERS = {100: _Form(1, 7, b"\x0a\x12"), 2: _Form(4, 6, b"\x0a\x12\x1a\x22")}
"""By the field of the net that they stand in."""
_OLDEST = 1
"""The field in which a layer of the second form holds one of the oldest (V0)."""


def is_caffemodel(content: bytes) -> bool:
    """Tell a Caffe model, whole or not: fields of a net alone, up to something like a layer."""
    data, at = memoryview(content), 0
    try:
        while True:
            tag, at = varint(data, at)
            number, wire = tag >> 3, tag & 7
            known = BYTES if number in _LAYERS else _NET.get(number)
            if wire != known:
                return False
            size, at = varint(data, at)
            if number in _LAYERS and data[at] in _LAYERS[number].first:
                return True
            at += size if wire == BYTES else 0
    except (ValueError, IndexError):
        return False


def parse_caffemodel(content: bytes, path: Path) -> tuple[Tensors, dict[str, str]]:
    """Return the blobs of every layer of a Caffe model, and no metadata.

    Blobs of layer `l` are "l.weight" and "l.bias", and "l.3" and so on beyond them. Raises
    `WeightsError` naming `path` for a model that is damaged, in Caffe's oldest form, or has two
    layers of one name.
    """
    tensors: Tensors = {}
    try:
        for field in fields(content):
            form = _LAYERS.get(field.number)
            if form is not None and field.wire == BYTES:
                _take_layer(field.data, form, tensors, path)
    except (ValueError, OverflowError) as error:
        raise WeightsError(f"{path} is a damaged or truncated Caffe model") from error
    return tensors, {}


def _take_layer(layer: memoryview, form: _Form, tensors: Tensors, path: Path) -> None:
    name, blobs = "", list[NDArray[Any]]()
    for field in fields(layer):
        if field.wire != BYTES:
            continue
        if field.number == form.name:
            name = bytes(field.data).decode()
        elif field.number == form.blobs:
            blobs.append(_blob(field.data, vector=bool(blobs)))
        elif field.number == _OLDEST:
            raise WeightsError(
                f"{path} is a Caffe model in the oldest of Caffe's forms; bring it up to date with "
                f"Caffe's upgrade_net_proto_binary"
            )
    for number, blob in enumerate(blobs, 1):
        entry = f"{name}.{_KINDS.get(number, number)}"
        if entry in tensors:
            raise WeightsError(f"{path} has two layers named {name!r}")
        tensors[entry] = blob


def _blob(blob: memoryview, *, vector: bool) -> NDArray[Any]:
    """Return the values of a blob; those behind a layer's first are vectors, if old and 4-D."""
    shape: list[int] | None = None
    old = [0, 0, 0, 0]
    parts: list[NDArray[Any]] = []
    loose = bytearray()
    for field in fields(blob):
        if field.number in (1, 2, 3, 4) and field.wire == VARINT:
            old[field.number - 1] = field.whole
        elif field.number == 7 and field.wire == BYTES:
            shape = _shape(field.data)
        elif field.number == 5 and field.wire == BYTES:
            parts.append(np.frombuffer(field.data, "<f4"))
        elif field.number == 5 and field.wire == FIXED32:
            loose += field.data
        elif field.number == 8 and field.wire == BYTES:
            parts.append(np.frombuffer(field.data, "<f8"))
        elif field.number == 8 and field.wire == FIXED64:
            raise ValueError("doubles that are not packed, which Caffe does not write")
    parts.append(np.frombuffer(loose, "<f4"))
    values = np.concatenate(parts)
    if shape is None:
        shape = old
        while vector and len(shape) > 1 and shape[0] == 1:
            shape = shape[1:]
    if math.prod(shape) != values.size or len(shape) > 32:
        raise ValueError("a blob's shape is not that of its values")
    return values.reshape(shape)


def _shape(message: memoryview) -> list[int]:
    shape: list[int] = []
    for field in fields(message):
        if field.number == 1:
            shape += [field.whole] if field.wire == VARINT else _packed(field)
    return shape


def _packed(field: Field) -> list[int]:
    if field.wire != BYTES:
        raise ValueError("a length that is no whole number")
    return varints(field.data)
