"""What is computed when, and where it is kept, before any picture's size is known.

The nodes of a level that go through maps of one size run together, row by row. A result is kept as
a whole map only if something later reads it; as a ring of the last few rows if a convolution that
runs together with it looks at the rows or columns around; and otherwise as one chunk of a row,
which stays in the nearest cache.
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
    Shuffle,
    Tiles,
    UnsupportedError,
    VectorStep,
    View,
    sources,
)

Keeping = Literal["map", "ring", "chunk"]


@dataclass(slots=True)
class Place:
    """Where a node's result is kept while its level runs."""

    keeping: Keeping
    rows: int = 1
    """Of a ring: a power of two."""
    start: int = 0
    """Of a chunk: the first of its channels in the scratch memory."""


@dataclass(slots=True)
class Work:
    """One step of a level."""

    delay: int
    halo: int = 0
    """Rows beyond those wanted that it has to make."""
    node: Node | None = None
    """Compute this node; else one of the following."""
    mean: Mean | None = None
    """Add to the sums behind this mean."""
    margin_of: Node | None = None
    """Fill the margins of this node's rows."""
    copy_of: Node | None = None
    """Copy this node's row to its map, from where it is kept while the level runs."""
    in_map: bool = False
    """The margins are those of the map, where there is a ring as well."""


@dataclass(slots=True)
class Level:
    """Everything between two waits, on maps of one size."""

    size: int
    vectors: list[VectorStep] = field(default_factory=list[VectorStep])
    """Done before."""
    work: list[Work] = field(default_factory=list[Work])
    means: list[Mean] = field(default_factory=list[Mean])
    places: dict[Node, Place] = field(default_factory=dict[Node, Place])
    """Of the nodes that this level makes."""
    scratch: int = 0
    """Channels of scratch memory for chunks."""
    made: list[Node] = field(default_factory=list[Node])
    """The nodes of this level that are kept as maps."""
    freed: list[Node] = field(default_factory=list[Node])
    """Maps that nobody reads after this level."""

    @property
    def delays(self) -> list[int]:
        """The delays that occur, ascending."""
        return sorted({work.delay for work in self.work})

    def in_chunks(self, view: View) -> bool:
        """Whether a view is kept in chunks: all of it is, or nothing."""
        place = self.places.get(view[0][0])
        return place is not None and place.keeping == "chunk"


@dataclass(slots=True)
class Plan:
    """The whole network."""

    graph: Graph
    levels: list[Level]
    repeats: dict[Node, bool]
    """The nodes whose margins are read, and whether they repeat the edge."""


Readers = dict[Node, list[Node]]


def make_plan(graph: Graph) -> Plan:
    """Plan a graph. Raises `UnsupportedError` where margins would have to be two things at once."""
    readers: Readers = defaultdict(list)
    for node in graph.nodes:
        for source in {part for view in sources(node) for part, _ in view}:
            readers[source].append(node)
    places = {(node.level, node.loop_size) for node in graph.nodes}
    places |= {(mean.level, mean.size) for mean in graph.means}
    order = {place: index for index, place in enumerate(sorted(places))}
    at = {node: order[node.level, node.loop_size] for node in graph.nodes}
    last_read = {
        node: max((at[reader] for reader in readers[node]), default=at[node])
        for node in graph.nodes
    }
    means: dict[int, list[Mean]] = defaultdict(list)
    for mean in graph.means:
        index = order[mean.level, mean.size]
        means[index].append(mean)
        for node, _ in mean.source:
            last_read[node] = max(last_read[node], index)
    repeats = _repeats(graph)
    steps = sorted(graph.vector_steps, key=lambda step: step.level)
    levels: list[Level] = []
    for (number, size), index in order.items():
        nodes = [node for node in graph.nodes if at[node] == index]
        later = {node for node in nodes if last_read[node] > index}
        level = _Planning(Level(size, means=means[index]), nodes, readers, later, repeats).planned()
        while steps and steps[0].level <= number:
            level.vectors.append(steps.pop(0))
        level.freed = [node for node in at if last_read[node] == index > at[node]]
        levels.append(level)
    return Plan(graph, levels, repeats)


@dataclass(slots=True)
class _Planning:
    """The planning of one level."""

    level: Level
    nodes: list[Node]
    readers: Readers
    later: set[Node]
    """The nodes that are read after this level as well."""
    repeats: dict[Node, bool]
    delay: dict[Node, int] = field(default_factory=dict[Node, int])
    halo: dict[Node, int] = field(default_factory=dict[Node, int])

    def planned(self) -> Level:
        here = set(self.nodes)
        for node in self.nodes:
            made_here = {part for view in sources(node) for part, _ in view if part in here}
            wait = _wait(node)
            self.delay[node] = max((self.delay[part] + wait for part in made_here), default=0)
        for node in reversed(self.nodes):
            near = [reader for reader in self.readers[node] if reader in here]
            self.halo[node] = max((self.halo[r] + r.rows for r in near), default=0)
        mean_delay = [
            max((self.delay[part] for part, _ in mean.source if part in here), default=0)
            for mean in self.level.means
        ]
        steps: list[Work] = []
        for node in self.nodes:
            latest = [self.delay[r] + _wait(r) for r in self.readers[node] if r in here]
            for mean, at in zip(self.level.means, mean_delay, strict=True):
                if any(part is node for part, _ in mean.source):
                    latest.append(at)
            steps += self._kept(node, max(latest, default=self.delay[node]))
        steps += [
            Work(at, mean=mean) for mean, at in zip(self.level.means, mean_delay, strict=True)
        ]
        self._keep_alike()
        self.level.work = sorted(steps, key=lambda work: work.delay)
        return self.level

    def _kept(self, node: Node, latest: int) -> list[Work]:
        """Choose where a node is kept until `latest`, and return the steps that make it."""
        level, delay, halo = self.level, self.delay[node], self.halo[node]
        later, margins = node in self.later, node in self.repeats
        wait = latest - delay
        # At the seams of bands two of them make the same rows. They may do so in the same map,
        # the samples being the same, but for margins, which are right only when they are filled.
        shared = halo > 0 and margins
        if isinstance(node, (Input, Shuffle)) or (later and not shared):
            level.places[node] = Place("map")
        elif wait:
            level.places[node] = Place("ring", 1 << wait.bit_length())
        else:
            level.places[node] = Place("chunk", start=level.scratch)
            level.scratch += node.channels
        if later or isinstance(node, Input):
            level.made.append(node)
        if isinstance(node, Input):
            return []
        steps = [Work(delay, halo, node)]
        if margins:
            steps.append(Work(delay, halo, margin_of=node))
        if later and level.places[node].keeping != "map":
            steps.append(Work(delay, copy_of=node))
            if margins:
                steps.append(Work(delay, margin_of=node, in_map=True))
        return steps

    def _keep_alike(self) -> None:
        """Keep the nodes of a view in rows if one of them is: a kernel reads all in one way."""
        places = self.level.places
        views = [view for node in self.nodes for view in sources(node)]
        views += [mean.source for mean in self.level.means]
        kept = [[places.get(node) for node in {part for part, _ in view}] for view in views]
        changed = True
        while changed:
            changed = False
            for parts in kept:
                chunks = [place for place in parts if place and place.keeping == "chunk"]
                if chunks and len(chunks) < len(parts):
                    changed = True
                    for place in chunks:
                        place.keeping = "ring"


def _wait(node: Node) -> int:
    """Return by how many rows a node runs behind what it reads.

    Looking at columns alone needs whole rows as well.
    """
    return max(node.rows, min(node.columns, 1))


def _repeats(graph: Graph) -> dict[Node, bool]:
    repeats: dict[Node, bool] = {}
    for node in graph.nodes:
        if isinstance(node, (Convolution, Tiles)) and node.columns:
            for part, _ in node.source:
                if repeats.setdefault(part, node.repeat) != node.repeat:
                    raise UnsupportedError("a map that is continued in two ways")
    return repeats
