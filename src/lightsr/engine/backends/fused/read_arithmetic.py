"""Reading arithmetic on maps: what only one reads becomes part of that one's expression."""

# Expressions are trees of tuples, which strict checking has no name for.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.fused.draft import Draft, Map, Operation
from lightsr.engine.backends.fused.graph import (
    Arithmetic,
    Convolution,
    Expression,
    UnsupportedError,
    View,
    ready,
    whole,
)

_ACTIVATIONS = {"Relu": "relu", "LeakyRelu": "slope", "PRelu": "slope"}
"""Operators that a convolution can do itself, and what it calls them."""


def read_arithmetic(draft: Draft, operation: Operation) -> None:
    """Read one of `arithmetic.OPERATORS`."""
    inputs = operation.inputs
    _note_centred(draft, operation)
    if operation.kind in _ACTIVATIONS and _activated(draft, operation):
        return
    names = [name for name in inputs if name in draft.maps]
    if any(name in draft.vectors for name in inputs):
        for name in names:
            draft.maps[name] = draft.full(name)
    found = _of_equal_channels(dict(zip(names, draft.alike(names), strict=True)))
    first = found[names[0]]
    level = max(
        *(ready(part.view) for part in found.values()),
        *(draft.vectors.get(name, 0) for name in inputs),
    )
    maps: list[View] = []
    vectors: list[str] = []
    parts: list[Any] = []
    for name in inputs:
        if name in found:
            parts.append(_operand(draft, name, found[name], level, maps, vectors))
        else:
            parts.append(("vector", _place(vectors, _vector(draft, name, first.block))))
    if operation.kind == "LeakyRelu":
        parts.append(_slope(operation))
    size, count = first.view[0][0].size, len(first.view)
    node = Arithmetic(level, size, count, (operation.kind, *parts), maps, vectors)
    draft.add(node, operation.output)
    draft.maps[operation.output] = Map(whole(node), first.block)


def _note_centred(draft: Draft, operation: Operation) -> None:
    """Remember a map less its mean, and the square of that: the mean of it is a variance."""
    first, *others = operation.inputs
    if operation.kind == "Sub" and draft.mean_of.get(others[0]) == first:
        draft.centred[operation.output] = first
    if operation.kind == "Mul" and others[0] == first and first in draft.centred:
        draft.centred[operation.output] = draft.centred[first]


def _of_equal_channels(found: dict[str, Map]) -> dict[str, Map]:
    """Return maps of which those of one channel have it repeated as often as others need."""
    channels = max(part.channels for part in found.values())
    if any(part.channels not in (1, channels) for part in found.values()):
        raise UnsupportedError("maps of different channels together")
    return {
        name: part if part.channels == channels else part.picked([0] * channels)
        for name, part in found.items()
    }


def _activated(draft: Draft, operation: Operation) -> bool:
    """Let the convolution in front do the activation, if nobody else reads it."""
    name = operation.inputs[0]
    found = draft.plain(name)
    node = draft.only_for(name, found)
    if not isinstance(node, Convolution) or node.activation != "none":
        return False
    node.activation = _ACTIVATIONS[operation.kind]
    if node.activation == "slope":
        if operation.kind == "PRelu":
            slopes = _in_blocks(draft.constants[operation.inputs[1]], found.block)
        else:
            slopes = np.float32(_slope(operation))
        node.slopes = np.broadcast_to(slopes, node.channels).astype(np.float32)
    draft.maps[operation.output] = found
    return True


def _slope(operation: Operation) -> float:
    return float(operation.attributes.get("alpha", 0.01))


def _vector(draft: Draft, name: str, block: int) -> str:
    """Return the name of a vector with a number for each channel before the shuffle."""
    if name not in draft.constants:
        return name
    value = _in_blocks(draft.constants[name], block)
    name = f"{name} in blocks of {block}"
    draft.numbers[name] = value
    return name


def _operand(
    draft: Draft, name: str, found: Map, level: int, maps: list[View], vectors: list[str]
) -> Expression:
    node = draft.only_for(name, found)
    # What only this one reads is written out here; where that would keep two maps for a
    # later level instead of their sum, it is not.
    if isinstance(node, Arithmetic) and (len(node.maps) == 1 or node.level == level):
        draft.nodes.remove(node)
        maps_there = [_place(maps, known) for known in node.maps]
        vectors_there = [_place(vectors, known) for known in node.vectors]
        return _renumbered(node.tree, maps_there, vectors_there)
    return ("map", _place(maps, found.view))


def _in_blocks(value: NDArray[Any], block: int) -> NDArray[Any]:
    """Return a vector for maps before their shuffle."""
    flat = value.reshape(-1)
    return np.repeat(flat, block**2) if flat.size > 1 else flat


def _place(known: list[Any], item: Any) -> int:
    if item not in known:
        known.append(item)
    return known.index(item)


def _renumbered(tree: Expression, maps: list[int], vectors: list[int]) -> Expression:
    if tree[0] == "map":
        return ("map", maps[tree[1]])
    if tree[0] == "vector":
        return ("vector", vectors[tree[1]])
    parts = (_renumbered(p, maps, vectors) if isinstance(p, tuple) else p for p in tree[1:])
    return (tree[0], *parts)
