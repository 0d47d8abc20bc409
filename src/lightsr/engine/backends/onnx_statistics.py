"""Two variants of an ONNX graph with which the parts of one picture share their statistics.

A statistic is what a ReduceMean over height and width gives: a mean, or the mean square of what
was left of it, per channel. In the variant "pooling" each is the mean over the whole batch, and an
output too: parts of a picture that go through it together are treated as one picture, level by
level. In the variant "told" each is an input, and nothing of the picture has a say beyond its
place. The graph is rewritten as it is stored, in Protocol Buffers, so that no further package is
needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lightsr.weights.protobuf import BYTES, VARINT, Field, fields, varints

# Numbers of fields in onnx.proto.
_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5
_NAME, _INT, _INTS = 1, 3, 8
_DIMS, _DATA_TYPE, _INT64_DATA, _TENSOR_NAME, _RAW_DATA = 1, 2, 7, 8, 9
_FLOAT, _INT64 = 1, 7

_BATCH_AXIS = "lightsr.batch_axis"
_OWN = ".own"
"""Put behind the name of a statistic for what it is in each picture of a batch."""


@dataclass(frozen=True, slots=True)
class Variants:
    """The variants of a graph as the bytes of ONNX files."""

    statistics: tuple[str, ...]
    """The names of the statistics: outputs of `pooling` beside "sr", inputs of `told` beside
    "lr". Each is float32 [1, channels, 1, 1]."""
    pooling: bytes
    told: bytes


@dataclass(frozen=True, slots=True)
class _Node:
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    content: bytes

    @classmethod
    def read(cls, message: memoryview) -> _Node:
        parts = list(fields(message))
        return cls(
            "".join(_texts(parts, _OPERATOR)),
            tuple(_texts(parts, _NODE_INPUT)),
            tuple(_texts(parts, _NODE_OUTPUT)),
            bytes(message),
        )

    def with_output(self, name: str) -> _Node:
        kept = (part for part in fields(self.content) if part.number != _NODE_OUTPUT)
        content = b"".join(_written(part) for part in kept) + _text(_NODE_OUTPUT, name)
        return _Node(self.operator, self.inputs, (name,), content)


def variants(content: bytes) -> Variants | None:
    """Return the variants of a graph; None for one without statistics.

    Raises `ValueError` for bytes that are no ONNX model.
    """
    model = list(fields(content))
    graph = [part for field in model if field.number == _GRAPH for part in fields(field.data)]
    nodes = [_Node.read(part.data) for part in graph if part.number == _NODE]
    constants = dict(_whole_constants(graph))
    found = {
        node.outputs[0]: node
        for node in nodes
        if node.operator == "ReduceMean" and _is_spatial(node, constants)
    }
    if not found:
        return None
    around = b"".join(_written(field) for field in model if field.number != _GRAPH)
    rest = b"".join(_written(part) for part in graph if part.number != _NODE)

    def model_of(nodes: Iterable[_Node], more: bytes) -> bytes:
        written = b"".join(_bytes(_NODE, node.content) for node in nodes)
        return around + _bytes(_GRAPH, written + rest + more)

    outputs = b"".join(_bytes(_OUTPUT, _value(name)) for name in found)
    inputs = b"".join(_bytes(_INPUT, _value(name)) for name in found)
    pooled = (part for node in nodes for part in _pooled(node, found))
    told = _needed([node for node in nodes if node.outputs[0] not in found])
    return Variants(tuple(found), model_of(pooled, outputs + _axis()), model_of(told, inputs))


def _pooled(node: _Node, found: dict[str, _Node]) -> list[_Node]:
    """Return a node as it is; for a statistic, itself and the mean of it over the batch."""
    name = node.outputs[0]
    if name not in found:
        return [node]
    own = name + _OWN
    content = _text(_NODE_INPUT, own)
    if len(node.inputs) > 1:
        content += _text(_NODE_INPUT, _BATCH_AXIS)
    else:  # as before opset 18
        content += _bytes(_ATTRIBUTE, _text(_NAME, "axes") + _whole(_INTS, 0) + _whole(20, 7))
    content += _text(_NODE_OUTPUT, name) + _text(_OPERATOR, "ReduceMean")
    return [node.with_output(own), _Node("ReduceMean", (own,), (name,), content)]


def _needed(nodes: list[_Node]) -> list[_Node]:
    """Leave out nodes whose results nothing uses any more."""
    used, kept = {"sr"}, list[_Node]()
    for node in reversed(nodes):
        if used.intersection(node.outputs):
            used.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _is_spatial(node: _Node, constants: dict[str, list[int]]) -> bool:
    """Return whether a reduction goes over height and width, and keeps four axes."""
    said = dict(_attribute(part.data) for part in fields(node.content) if part.number == _ATTRIBUTE)
    axes = constants.get(node.inputs[1]) if len(node.inputs) > 1 else said.get("axes")
    return axes is not None and sorted(axes) == [2, 3] and said.get("keepdims", [1]) == [1]


def _attribute(message: memoryview) -> tuple[str, list[int]]:
    """Return the name and the whole numbers of an attribute."""
    name, values = "", list[int]()
    for part in fields(message):
        if part.number == _NAME:
            name = str(part.data, "utf-8")
        elif part.number in (_INT, _INTS):
            values += [part.whole] if part.wire == VARINT else varints(part.data)
    return name, values


def _whole_constants(graph: Iterable[Field]) -> Iterator[tuple[str, list[int]]]:
    """Yield the constants of 64-bit whole numbers, as reductions have their axes in."""
    for part in graph:
        if part.number != _INITIALIZER:
            continue
        tensor = list(fields(part.data))
        if any(field.number == _DATA_TYPE and field.whole == _INT64 for field in tensor):
            values = list[int]()
            for field in tensor:
                if field.number == _RAW_DATA:
                    values += np.frombuffer(field.data, "<i8").tolist()
                elif field.number == _INT64_DATA:
                    values += [field.whole] if field.wire == VARINT else varints(field.data)
            yield "".join(_texts(tensor, _TENSOR_NAME)), values


def _axis() -> bytes:
    """Return the constant [0]."""
    tensor = _whole(_DIMS, 1) + _whole(_DATA_TYPE, _INT64) + _text(_TENSOR_NAME, _BATCH_AXIS)
    return _bytes(_INITIALIZER, tensor + _bytes(_RAW_DATA, bytes(8)))


def _value(name: str) -> bytes:
    """Return what describes an input or output: float32 [1, any, 1, 1]."""
    one, any_length = _bytes(1, _whole(1, 1)), _bytes(1, b"")
    tensor = _whole(1, _FLOAT) + _bytes(2, one + any_length + one + one)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _texts(parts: Iterable[Field], number: int) -> Iterator[str]:
    return (str(part.data, "utf-8") for part in parts if part.number == number)


def _written(field: Field) -> bytes:
    """Return a field as it stood in its message."""
    if field.wire == VARINT:
        return _whole(field.number, field.whole)
    tag = _varint(field.number << 3 | field.wire)
    size = _varint(len(field.data)) if field.wire == BYTES else b""
    return tag + size + bytes(field.data)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(value)) + value


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
