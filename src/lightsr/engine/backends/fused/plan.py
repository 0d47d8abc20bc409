"""What is computed when, and where it is kept, before any picture's size is known.

The nodes of a level run together, row by row. A result is kept as a whole map only if a later
level reads it; as a ring of the last few rows if a convolution of its own level looks at the rows
around; and otherwise as one chunk of a row, which stays in the nearest cache.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from lightsr.engine.backends.fused.graph import (
    Convolution,
    Graph,
    Input,
    Mean,
    Node,
    VectorStep,
    View,
    sources,
)

Keeping = Literal["map", "ring", "chunk"]


@dataclass(slots=True)
class Place:
    """Where a node's result is kept while its level runs, and afterwards."""

    keeping: Keeping
    rows: int = 1
    """Of a ring: a power of two."""
    start: int = 0
    """Of a chunk: the first of its channels in the level's scratch memory."""


@dataclass(slots=True)
class Work:
    """One step of a level."""

    node: Node | None
    """None: see the other fields."""
    delay: int
    halo: int
    mean: Mean | None = None
    margin_of: Node | None = None
    """Fill the margins of this node's rows."""
    copy_of: Node | None = None
    """Copy this node's row to its map, from where it is kept while the level runs."""
    in_map: bool = False
    """The margins are those of the map, where there is a ring as well."""


@dataclass(slots=True)
class Level:
    """Everything between two waits."""

    vectors: list[VectorStep] = field(default_factory=list[VectorStep])
    """Done before."""
    work: list[Work] = field(default_factory=list[Work])
    means: list[Mean] = field(default_factory=list[Mean])
    places: dict[Node, Place] = field(default_factory=dict[Node, Place])
    """Of the nodes that this level makes."""
    scratch: int = 0
    """Channels of scratch memory for chunks."""
    freed: list[Node] = field(default_factory=list[Node])
    """Maps that nobody reads after this level."""

    @property
    def delays(self) -> list[int]:
        """The delays that occur, ascending."""
        return sorted({work.delay for work in self.work})


@dataclass(slots=True)
class Plan:
    """The whole network."""

    graph: Graph
    levels: list[Level]
    maps: list[Node]
    """The nodes that are kept as maps."""
    repeats: dict[Node, bool]
    """The nodes whose margins are read, and whether they repeat the edge."""


def make_plan(graph: Graph) -> Plan:
    """Plan a graph."""
    readers: dict[Node, list[tuple[Node, View]]] = defaultdict(list)
    for node in graph.nodes:
        for view in sources(node):
            for source in {part for part, _ in view}:
                readers[source].append((node, view))
    last_level = max(node.level for node in graph.nodes)
    results = {node for node, _ in graph.output}
    means: dict[int, list[Mean]] = defaultdict(list)
    for mean in graph.means:
        means[mean.level].append(mean)
    last_read = {
        node: max((reader.level for reader, _ in readers[node]), default=node.level)
        for node in graph.nodes
    }
    for mean in graph.means:
        for node, _ in mean.source:
            last_read[node] = max(last_read[node], mean.level)
    for node in results:
        last_read[node] = last_level + 1
    levels: list[Level] = []
    for index in range(last_level + 1):
        nodes = [node for node in graph.nodes if node.level == index]
        levels.append(_level(nodes, means[index], readers, last_read))
        levels[-1].vectors = [step for step in graph.vector_steps if step.level == index]
        levels[-1].freed = [
            node for node, last in last_read.items() if last == index and last > node.level
        ]
    maps = [
        node
        for level in levels
        for node in level.places
        if last_read[node] > node.level or isinstance(node, Input)
    ]
    return Plan(graph, levels, maps, _repeats(graph))


def _level(
    nodes: list[Node],
    means: list[Mean],
    readers: dict[Node, list[tuple[Node, View]]],
    last_read: dict[Node, int],
) -> Level:
    level = Level(means=means)
    here = set(nodes)
    delay: dict[Node, int] = {}
    halo: dict[Node, int] = {}
    for node in nodes:
        made_here = [part for view in sources(node) for part, _ in view if part in here]
        delay[node] = max((delay[part] + _reach(node) for part in made_here), default=0)
    for node in reversed(nodes):
        halo[node] = max(
            (halo[reader] + _reach(reader) for reader, _ in readers[node] if reader in here),
            default=0,
        )
    mean_delay = [
        max((delay[part] for part, _ in mean.source if part in here), default=0) for mean in means
    ]
    steps: list[Work] = []
    for node in nodes:
        if isinstance(node, Input):
            level.places[node] = Place("map")
            continue
        near = [reader for reader, _ in readers[node] if reader in here]
        later = last_read[node] > node.level
        latest = max(
            [delay[reader] + _reach(reader) for reader in near]
            + [
                mean_delay[i]
                for i, mean in enumerate(means)
                if any(part is node for part, _ in mean.source)
            ],
            default=delay[node],
        )
        wait = latest - delay[node]
        if later and halo[node] == 0:
            level.places[node] = Place("map")
        elif wait:
            level.places[node] = Place("ring", 1 << wait.bit_length())
        else:
            level.places[node] = Place("chunk", start=level.scratch)
            level.scratch += node.channels + node.channels % 2
        steps.append(Work(node, delay[node], halo[node]))
        margins = any(_reach(reader) for reader, _ in readers[node])
        if margins:
            steps.append(Work(None, delay[node], halo[node], margin_of=node))
        if later and level.places[node].keeping != "map":
            steps.append(Work(None, delay[node], 0, copy_of=node))
            if margins:
                steps.append(Work(None, delay[node], 0, margin_of=node, in_map=True))
    views = [view for node in nodes for view in sources(node)] + [mean.source for mean in means]
    for view in views:
        _keep_alike(level, view)
    for mean, at in zip(means, mean_delay, strict=True):
        steps.append(Work(None, at, 0, mean=mean))
    level.work = sorted(steps, key=lambda work: work.delay)
    return level


def _keep_alike(level: Level, view: View) -> None:
    """Keep the nodes of a view in rows if one of them is: a kernel reads all in one way."""
    places = {node: level.places.get(node) for node, _ in view}
    if any(place is None or place.keeping != "chunk" for place in places.values()):
        for place in places.values():
            if place is not None and place.keeping == "chunk":
                place.keeping = "ring"


def _reach(node: Node) -> int:
    return node.reach if isinstance(node, Convolution) else 0


def _repeats(graph: Graph) -> dict[Node, bool]:
    repeats: dict[Node, bool] = {}
    for node in graph.nodes:
        if isinstance(node, Convolution) and node.reach:
            for part, _ in node.source:
                if repeats.setdefault(part, node.repeat) != node.repeat:
                    raise NotImplementedError
    return repeats
