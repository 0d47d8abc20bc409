"""A network as the fused backend sees it: maps, arithmetic on them, and vectors between.

A *map* is [channels, height, width], its height and width a multiple of the picture's; a *vector*
has one number per channel, and comes from means over whole maps. Whatever depends on a vector has
to wait until a map is complete, so every node has a *level*: how many such waits lie before it.
Splits, concatenations and shuffles of channels are no work at all: a `View` says which channels of
which nodes are meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Expression = tuple[Any, ...]
"""("map", i), ("vector", i) or (operator, operand, ...); a slope is a float."""


class UnsupportedError(Exception):
    """The graph, or the processor, has something that this backend does not do; others do."""


@dataclass(eq=False, slots=True)
class Node:
    """What makes a map."""

    level: int
    size: int
    """How many times higher and wider than the picture its map is."""
    channels: int

    @property
    def loop_size(self) -> int:
        """The size of the maps that it reads, whose rows it goes through."""
        return self.size

    @property
    def rows(self) -> int:
        """Rows that it looks up and down."""
        return 0

    @property
    def columns(self) -> int:
        """Columns that it looks left and right."""
        return 0

    @property
    def ready(self) -> int:
        """The level from which others can read it."""
        return self.level


View = tuple[tuple[Node, int], ...]
"""A map by its channels: each the channel of a node."""


@dataclass(eq=False, slots=True)
class Input(Node):
    """The picture."""


@dataclass(eq=False, slots=True)
class Convolution(Node):
    """A convolution of odd height and width that keeps those of the map."""

    source: View
    weight: Floats
    """[channels, inputs per group, rows, columns]."""
    bias: Floats
    groups: int = 1
    repeat: bool = False
    """Outside the map: its edge; otherwise zeros."""
    activation: str = "none"
    slopes: Floats | None = None
    packed: bool = False
    """Its source is in pairs of channels, as bfloat16."""
    tiled: bool = False
    """Its source is `Tiles`."""

    @property
    def rows(self) -> int:
        """See `Node`."""
        return self.weight.shape[2] // 2

    @property
    def columns(self) -> int:
        """See `Node`; whoever makes tiles has looked already."""
        return 0 if self.tiled else self.weight.shape[3] // 2


@dataclass(eq=False, slots=True)
class Arithmetic(Node):
    """An expression of maps, vectors and numbers, channel by channel."""

    tree: Expression
    maps: list[View]
    vectors: list[str]


@dataclass(eq=False, slots=True)
class Pack(Node):
    """A map in pairs of channels, as bfloat16."""

    source: View


TILE = 4
"""Neighbouring pixels that a convolution on tiles makes at once."""


@dataclass(eq=False, slots=True)
class Tiles(Node):
    """A map as `winograd` multiplies it: 6 numbers for each 4 pixels of a row.

    Its channels are only as many as its numbers take; how they lie, its kernels know.
    """

    source: View
    repeat: bool
    """As that of the convolution."""
    packed: bool
    """In pairs of channels, as bfloat16."""

    @property
    def columns(self) -> int:
        """See `Node`."""
        return 1

    @property
    def inputs(self) -> int:
        """Channels of the source, or pairs of them."""
        return len(self.source) // (2 if self.packed else 1)


@dataclass(eq=False, slots=True)
class Shuffle(Node):
    """Channels to pixels: [channel][row][column] of a block, `block` times as high and wide."""

    source: View
    block: int

    @property
    def loop_size(self) -> int:
        """See `Node`."""
        return self.size // self.block

    @property
    def ready(self) -> int:
        """See `Node`; those who read it go through other rows."""
        return self.level + 1


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean and variance of a map over height and width, by the names of the results."""

    source: View
    level: int
    mean: str
    variance: str | None

    @property
    def size(self) -> int:
        """See `Node`."""
        return self.source[0][0].size


@dataclass(frozen=True, slots=True)
class VectorStep:
    """An operation on vectors, done before a level."""

    level: int
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(slots=True)
class Graph:
    """The whole network."""

    picture: Input
    nodes: list[Node]
    """In an order in which each comes after those it needs."""
    means: list[Mean]
    vector_steps: list[VectorStep]
    constants: dict[str, NDArray[Any]]
    """Vectors, numbers, and matrices of vector steps."""
    result: Shuffle
    """Makes the enlarged picture; the last of the nodes."""

    @property
    def scale(self) -> int:
        """How many times larger the result is."""
        return self.result.size


def whole(node: Node) -> View:
    """Return all channels of a node."""
    return tuple((node, channel) for channel in range(node.channels))


def ready(view: View) -> int:
    """Return the level from which all of a view can be read."""
    return max(node.ready for node, _ in view)


def sources(node: Node) -> list[View]:
    """Return the views that a node reads."""
    if isinstance(node, Arithmetic):
        return node.maps
    if isinstance(node, (Convolution, Pack, Tiles, Shuffle)):
        return [node.source]
    return []


def pack_convolutions(graph: Graph, chosen: Callable[[Convolution], bool]) -> None:
    """Let the chosen convolutions read bfloat16, each map packed once for a level."""
    packs: dict[tuple[int, View], Pack] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Convolution) and not node.tiled and chosen(node):
            per_group = len(node.source) // node.groups
            if per_group % 2 and node.groups > 1:
                nodes.append(node)
                continue
            # What makes an odd count even is multiplied by zero.
            view = node.source + node.source[:1] * (per_group % 2)
            pack = packs.get((node.level, view))
            if pack is None:
                pack = packs[node.level, view] = Pack(node.level, node.size, len(view) // 2, view)
                nodes.append(pack)
            node.source, node.packed = whole(pack), True
        nodes.append(node)
    graph.nodes = nodes


def tile_convolutions(
    graph: Graph, chosen: Callable[[Convolution], bool], packed: Callable[[Convolution], bool]
) -> None:
    """Let the chosen convolutions read tiles, in bfloat16 those that are to be packed.

    They must have three columns and, if packed, an even number of inputs or a single group. Each
    map's tiles are made once for a level.
    """
    made: dict[tuple[int, View, bool, bool], Tiles] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Convolution) and chosen(node):
            node.tiled, node.packed = True, packed(node)
            odd = node.packed and len(node.source) % 2
            # What makes an odd count even is multiplied by zero.
            view = node.source + node.source[:1] * odd
            key = (node.level, view, node.repeat, node.packed)
            tiles = made.get(key)
            if tiles is None:
                tiles = Tiles(node.level, node.size, 0, view, node.repeat, node.packed)
                tiles.channels = -(-tiles.inputs * (TILE + 2) // TILE)
                made[key] = tiles
                nodes.append(tiles)
            node.source = whole(tiles)
        nodes.append(node)
    graph.nodes = nodes


def last_convolutions(graph: Graph) -> set[Node]:
    """Return the convolutions behind which only arithmetic is left."""
    found: set[Node] = set()
    waiting: list[Node] = [graph.result]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Convolution):
            found.add(node)
        else:
            waiting += {part for view in sources(node) for part, _ in view}
    return found


def _convolved(v: Floats, weight: Floats, bias: Floats | None = None) -> Floats:
    product: Floats = weight @ v
    return product if bias is None else product + bias


def _inverse(v: Floats) -> Floats:
    return np.float32(1) / v


def _rectified(v: Floats) -> Floats:
    return np.maximum(v, np.float32(0))


def _sigmoid(v: Floats) -> Floats:
    return np.float32(1) / (np.float32(1) + np.exp(-v))


def _joined(*parts: Floats) -> Floats:
    return np.concatenate(parts)


def _gathered(v: Floats, order: NDArray[Any]) -> Floats:
    return v[order]


def _same(v: Floats) -> Floats:
    return v


VECTOR_OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Sqrt": np.sqrt,
    "Reciprocal": _inverse,
    "Relu": _rectified,
    "Sigmoid": _sigmoid,
    "Conv": _convolved,
    "Concat": _joined,
    "Gather": _gathered,
    "Identity": _same,
}
"""Arithmetic on vectors; a `VectorStep` may also be a "Split" into equal parts."""


def run_vector_step(step: VectorStep, values: dict[str, NDArray[Any]]) -> None:
    """Do one operation, from and into `values`."""
    inputs = [values[name] for name in step.inputs]
    if step.operator == "Split":
        results = np.split(inputs[0], len(step.outputs))
    else:
        results = [VECTOR_OPERATORS[step.operator](*inputs)]
    values.update(zip(step.outputs, results, strict=True))
