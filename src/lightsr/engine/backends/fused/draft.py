"""What is known of an ONNX graph while it is read: maps, vectors, and the nodes made so far.

A map's shuffle is put off, and so is the padding around it, until it is known what reads it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from lightsr.engine.backends.fused.graph import (
    Mean,
    Node,
    Shuffle,
    UnsupportedError,
    VectorStep,
    View,
    ready,
    whole,
)

INSIDE = (0, 0, 0, 0)
"""No padding."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A node of the ONNX graph."""

    kind: str
    """ONNX's name of the operator."""
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    @property
    def output(self) -> str:
        """The only result, of most."""
        return self.outputs[0]


@dataclass(frozen=True, slots=True)
class Map:
    """A value of the ONNX graph that is a map."""

    view: View
    block: int = 1
    """Its channels have still to be shuffled to maps this many times as high and wide."""
    pads: tuple[int, ...] = INSIDE
    """Edge repeated above, left, below, right."""
    excess: int = 0
    """Rows below and columns on the right that are there too many."""

    @property
    def channels(self) -> int:
        """How many it has once it is shuffled."""
        return len(self.view) // self.block**2

    @property
    def size(self) -> int:
        """How many times higher and wider than the picture it is once it is shuffled."""
        return self.view[0][0].size * self.block

    def picked(self, channels: list[int]) -> Map:
        """Return some channels."""
        each = self.block**2
        parts = (self.view[c * each : (c + 1) * each] for c in channels)
        return replace(self, view=tuple(part for some in parts for part in some))


@dataclass(slots=True)
class Draft:
    """What is known so far, by the names that values have in the ONNX graph."""

    constants: dict[str, NDArray[Any]]
    uses: Counter[str]
    """How often each value is read."""
    maps: dict[str, Map] = field(default_factory=dict[str, Map])
    vectors: dict[str, int] = field(default_factory=dict[str, int])
    """Level of each vector."""
    numbers: dict[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    """The constants that are needed when pictures are enlarged, in the shape for that."""
    nodes: list[Node] = field(default_factory=list[Node])
    means: list[Mean] = field(default_factory=list[Mean])
    steps: list[VectorStep] = field(default_factory=list[VectorStep])
    centred: dict[str, str] = field(default_factory=dict[str, str])
    """Names of a map less its mean, and of the square of that, to the map's name."""
    mean_of: dict[str, str] = field(default_factory=dict[str, str])
    shuffled: dict[tuple[View, int], View] = field(default_factory=dict[tuple[View, int], View])

    def add(self, node: Node, output: str) -> None:
        """Add a node that makes all of a map."""
        self.nodes.append(node)
        self.maps[output] = Map(whole(node))

    def plain(self, name: str) -> Map:
        """Return a map that nothing was put around."""
        found = self.maps[name]
        if found.pads != INSIDE or found.excess:
            raise UnsupportedError("padding for other things than a convolution")
        return found

    def full(self, name: str) -> Map:
        """Return a map with its shuffle, if there is one, done."""
        found = self.maps[name]
        if found.block == 1:
            return found
        key = (found.view, found.block)
        view = self.shuffled.get(key)
        if view is None:
            made = Shuffle(ready(found.view), found.size, found.channels, *key)
            self.nodes.append(made)
            view = self.shuffled[key] = whole(made)
        return replace(found, view=view, block=1)

    def alike(self, names: list[str]) -> list[Map]:
        """Return maps of the same size, all shuffled or none."""
        found = [self.plain(name) for name in names]
        if len({part.block for part in found}) > 1:
            found = [self.full(name) for name in names]
        if len({part.size for part in found}) > 1:
            raise UnsupportedError("maps of different sizes together")
        return found

    def only_for(self, name: str, found: Map) -> Node | None:
        """Return the node that makes a map, whole, for one reader; None where others read it."""
        node = found.view[0][0]
        return node if found.view == whole(node) and self.uses[name] == 1 else None
