"""The tables that a program runs by, before addresses are known.

What a picture's size and a thread change in them are a few bases and strides, so that making a
`Frame` takes milliseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.fused.driver import TOGETHER, Group, Phase, Step
from lightsr.engine.backends.fused.graph import (
    TILE,
    Arithmetic,
    Convolution,
    Node,
    Pack,
    Shuffle,
    Tiles,
    View,
    sources,
    whole,
)
from lightsr.engine.backends.fused.plan import Level, Plan, Work
from lightsr.engine.backends.fused.weights import blocked_numbers, blocked_weights, tiled_weights
from lightsr.engine.backends.fused.writer import BLOCK, Machine

Table = NDArray[np.int64]


class Entry(IntEnum):
    """Fields of a row before addresses are known; see `driver.Row`."""

    MEMORY = 0
    CHANNEL = 1
    ROW = 2
    """Rows to add."""
    APART = 3
    """Rows of the memory for one of the loop."""
    MASK = 4
    SHIFT = 5
    REPEAT = 6


class Base(IntEnum):
    """What is added to an argument; behind these, the width of the maps of each size."""

    NOTHING = 0
    VECTORS = 1
    SUMS = 2
    WIDTH = 3


@dataclass(frozen=True, slots=True)
class Memory:
    """A piece of memory that rows lie in, of one size or another."""

    kind: Literal["map", "ring", "chunk", "waste", "target"]
    size: int
    channels: int
    start: int = 0
    """Map: its number. Ring: rows of the arena before it. Chunk: channels before it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Memory for maps that do not live at the same time."""

    size: int
    channels: int


Kernels = Callable[[Level, Work], tuple[int, int]]
"""The addresses of the kernels that do a step: for full chunks, and for half ones."""


@dataclass(slots=True)
class Layout:
    """All tables of a program."""

    plan: Plan
    machine: Machine
    kernels: Kernels
    memories: list[Memory] = field(default_factory=list[Memory])
    slots: list[Slot] = field(default_factory=list[Slot])
    slot_of: dict[Node, int] = field(default_factory=dict[Node, int])
    arena: dict[int, int] = field(default_factory=dict[int, int])
    """Most rows that the rings of a level of each size take."""
    scratch: int = 1
    """Most channels of chunks that a level has."""
    longest: int = 1
    """Most channels of a row that is read as one."""
    vectors: dict[str, slice] = field(default_factory=dict[str, slice])
    """Where the numbers of a vector lie among those of all."""
    vector_count: int = 0
    sums: dict[str, slice] = field(default_factory=dict[str, slice])
    """Where the channels of a mean's sums lie among those of all, by the mean's name."""
    sum_count: int = 0
    phases: list[list[int]] = field(default_factory=list[list[int]])
    entries: Table = field(init=False)
    steps: Table = field(init=False)
    groups: Table = field(init=False)
    arguments: Table = field(init=False)
    bases: Table = field(init=False)
    """Which `Base` is to be added to each argument."""
    held: list[Any] = field(default_factory=list[Any])
    """Weights, whose addresses are among the arguments."""

    def __post_init__(self) -> None:
        building = _Building(self)
        for level in self.plan.levels:
            building.add(level)
        self.entries = np.concatenate(building.entries)
        self.steps = np.array(building.steps, np.int64).reshape(-1, len(Step))
        self.groups = np.array(building.groups, np.int64).reshape(-1, len(Group))
        self.arguments = np.array(building.arguments, np.int64)
        self.bases = np.array(building.bases, np.int64)


class _Building:
    """The tables of a layout, growing."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.entries: list[Table] = []
        self.count = 0
        self.steps: list[list[int]] = []
        self.groups: list[list[int]] = []
        self.arguments: list[int] = []
        self.bases: list[int] = []
        self.free: dict[Slot, list[int]] = defaultdict(list)
        self.own: dict[Any, Table] = {}
        self.ring_rows = 0

    def add(self, level: Level) -> None:
        """Add the tables of a level."""
        layout = self.layout
        for node in level.made:
            slot = Slot(node.size, node.channels)
            if not self.free[slot]:
                self.free[slot].append(len(layout.slots))
                layout.slots.append(slot)
            layout.slot_of[node] = self.free[slot].pop()
        self.own, self.ring_rows = {}, 0
        phase = [0] * len(Phase)
        delays = level.delays
        phase[Phase.GROUPS], phase[Phase.GROUP_TABLE] = len(delays), len(self.groups)
        phase[Phase.BEFORE] = max((work.halo for work in level.work), default=0)
        phase[Phase.AFTER] = max((work.halo + work.delay for work in level.work), default=0)
        for delay in delays:
            first = len(self.steps)
            for work in level.work:
                if work.delay == delay:
                    self._step(level, work)
            self.groups.append([delay, len(self.steps) - first, first])
        layout.phases.append(phase)
        layout.arena[level.size] = max(layout.arena.get(level.size, 0), self.ring_rows)
        layout.scratch = max(layout.scratch, level.scratch)
        for node in level.freed:
            self.free[Slot(node.size, node.channels)].append(layout.slot_of[node])

    def _step(self, level: Level, work: Work) -> None:
        step = [0] * len(Step)
        step[Step.KERNEL], step[Step.NARROW] = self.layout.kernels(level, work)
        step[Step.ARGUMENTS] = len(self.arguments)
        inputs, outputs = self._rows(level, work)
        step[Step.INPUTS], step[Step.INPUT_TABLE] = self._placed(inputs)
        step[Step.OUTPUTS], step[Step.OUTPUT_TABLE] = self._placed(outputs)
        step[Step.HALO] = work.halo
        step[Step.WHOLE] = int(work.margin_of is not None)
        self.steps.append(step)

    def _placed(self, rows: Table) -> tuple[int, int]:
        """Add rows to the table, and return how many groups they are and where they begin."""
        groups = -(-len(rows) // TOGETHER)
        missing = groups * TOGETHER - len(rows)
        self.entries += [rows, np.zeros((missing, len(Entry)), np.int64)]
        first = self.count
        self.count += groups * TOGETHER
        return groups, first

    def _argue(self, *values: int, base: int = Base.NOTHING) -> None:
        self.arguments += values
        self.bases += [base] * len(values)

    def _width(self, size: int) -> None:
        self._argue(0, base=Base.WIDTH + size)

    def _rows(self, level: Level, work: Work) -> tuple[Table, Table]:
        """Return the rows that a step reads and writes, and add its arguments."""
        none = np.zeros((0, len(Entry)), np.int64)
        node = work.node
        if work.mean is not None:
            mean = work.mean
            self._argue(len(mean.source), _mask(level, mean.source))
            self._width(mean.size)
            self._argue(self._sums(mean.mean, len(mean.source)), base=Base.SUMS)
            return self._of(level, mean.source), none
        if work.margin_of is not None:
            of = work.margin_of
            rows = (
                self._made(level, of)
                if isinstance(of, Shuffle)
                else self._own(level, of, in_map=work.in_map)
            )
            self._argue(len(rows))
            self._width(of.size)
            return none, rows
        if work.copy_of is not None:
            self._argue(work.copy_of.channels)
            return self._own(level, work.copy_of), self._own(level, work.copy_of, in_map=True)
        assert node is not None
        if isinstance(node, Convolution):
            return (self._tiled if node.tiled else self._convolution)(level, node)
        if isinstance(node, Tiles):
            self.layout.longest = max(self.layout.longest, node.channels)
            self._argue(node.inputs, _mask(level, node.source), self._tile_bytes(level, node))
            return self._of(level, node.source), self._own(level, node)[:1]
        rows = np.concatenate([self._of(level, view) for view in sources(node)])
        if isinstance(node, Shuffle):
            made = self._made(level, node)
            self._argue(len(made), _mask(level, node.source))
            self._width(node.size)
            return rows, made
        self._argue(node.channels)
        if isinstance(node, Pack):
            self._argue(_mask(level, node.source), _mask(level, ((node, 0),)))
        if isinstance(node, Arithmetic):
            for name in node.vectors:
                self._argue(self._vector(name, node.channels), base=Base.VECTORS)
        return rows, self._own(level, node)

    def _convolution(self, level: Level, node: Convolution) -> tuple[Table, Table]:
        weights, firsts = blocked_weights(node)
        blocks = len(weights)
        outputs = blocks * BLOCK
        high = 2 * node.rows + 1
        # For each channel the rows above to below.
        rows = np.repeat(self._of(level, node.source), high, axis=0)
        rows[:, Entry.SHIFT] = np.tile(np.arange(-node.rows, node.rows + 1), len(node.source))
        if high > 1:
            rows[:, Entry.REPEAT] = int(node.repeat)
        self._argue(
            self._address(weights),
            self._address(blocked_numbers(node.bias, outputs)),
            blocks,
            weights.shape[1],
            self._address(np.array(firsts, np.int64)),
            _mask(level, node.source),
            _mask(level, ((node, 0),)),
            self._slopes(node, outputs),
        )
        return rows, self._outputs(level, node, outputs)

    def _tiled(self, level: Level, node: Convolution) -> tuple[Table, Table]:
        weights, tiles = tiled_weights(node, self.layout.machine), node.source[0][0]
        assert isinstance(tiles, Tiles)
        blocks, parts, _, high, points, at_once = weights.values.shape
        rows = np.repeat(self._own(level, tiles)[:1], high, axis=0)
        rows[:, Entry.SHIFT] = np.arange(-node.rows, node.rows + 1)
        if high > 1:
            rows[:, Entry.REPEAT] = int(node.repeat)
        # The products take the place of chunks.
        room = np.zeros((1, len(Entry)), np.int64)
        room[:, Entry.REPEAT] = 1
        room[:, Entry.MEMORY] = self._memory(Memory("chunk", level.size, 1, level.scratch))
        taken = level.scratch + -(-parts * points * at_once // self.layout.machine.vectors)
        self.layout.scratch = max(self.layout.scratch, taken)
        self._argue(
            self._address(weights.values),
            self._address(blocked_numbers(node.bias, blocks * at_once)),
            blocks,
            tiles.inputs,
            weights.inputs,
            self._address(np.array(weights.firsts, np.int64)),
            self._tile_bytes(level, tiles),
            _mask(level, ((node, 0),)),
            self._slopes(node, blocks * at_once),
        )
        return rows, np.concatenate((self._outputs(level, node, blocks * at_once), room))

    def _slopes(self, node: Convolution, count: int) -> int:
        return 0 if node.slopes is None else self._address(blocked_numbers(node.slopes, count))

    def _outputs(self, level: Level, node: Convolution, count: int) -> Table:
        """Return the rows that blocks of outputs are written to, `count` in all."""
        spare = np.zeros((count - node.channels, len(Entry)), np.int64)
        spare[:, Entry.MEMORY] = self._memory(Memory("waste", level.size, 1))
        return np.concatenate((self._own(level, node), spare))

    def _tile_bytes(self, level: Level, node: Tiles) -> int:
        """Return the bytes of a row of tiles for a pixel; 0 where they are in chunks."""
        if level.in_chunks(whole(node)):
            return 0
        return 4 * node.inputs * (TILE + 2) // TILE

    def _address(self, values: NDArray[Any]) -> int:
        self.layout.held.append(values)
        return values.ctypes.data

    def _vector(self, name: str, channels: int) -> int:
        """Return where the numbers of a vector begin, in bytes."""
        layout = self.layout
        if name not in layout.vectors:
            layout.vectors[name] = slice(layout.vector_count, layout.vector_count + channels)
            layout.vector_count += channels
        return 4 * layout.vectors[name].start

    def _sums(self, name: str, channels: int) -> int:
        """Return where the sums of a mean begin, in bytes."""
        layout = self.layout
        layout.sums[name] = slice(layout.sum_count, layout.sum_count + channels)
        layout.sum_count += channels
        return 2 * 8 * layout.machine.lanes * layout.sums[name].start

    def _memory(self, memory: Memory) -> int:
        self.layout.memories.append(memory)
        return len(self.layout.memories) - 1

    def _of(self, level: Level, view: View) -> Table:
        """Return the rows of a view."""
        runs: list[tuple[Node, list[int]]] = []
        for node, channel in view:
            if not runs or runs[-1][0] is not node:
                runs.append((node, []))
            runs[-1][1].append(channel)
        return np.concatenate([self._own(level, node)[channels] for node, channels in runs])

    def _own(self, level: Level, node: Node, *, in_map: bool = False) -> Table:
        """Return a node's own rows, one for each channel."""
        known = self.own.get((node, in_map))
        if known is None:
            known = self.own[node, in_map] = self._table(level, node, in_map=in_map)
        return known

    def _made(self, level: Level, node: Shuffle) -> Table:
        """Return the rows that a shuffle makes of one: for each channel, those of a block."""
        rows = np.repeat(self._own(level, node), node.block, axis=0)
        rows[:, Entry.ROW] = np.tile(np.arange(node.block), node.channels)
        rows[:, Entry.APART] = node.block
        return rows

    def _table(self, level: Level, node: Node, *, in_map: bool) -> Table:
        layout, place = self.layout, level.places.get(node)
        table = np.zeros((node.channels, len(Entry)), np.int64)
        table[:, Entry.CHANNEL] = np.arange(node.channels)
        table[:, Entry.APART] = 1
        if node is layout.plan.graph.result:
            table[:, Entry.MASK] = -1
            memory = Memory("target", node.size, node.channels)
        elif in_map or place is None or place.keeping == "map":
            table[:, Entry.MASK] = -1
            memory = Memory("map", node.size, node.channels, layout.slot_of[node])
        elif place.keeping == "ring":
            table[:, Entry.MASK] = place.rows - 1
            memory = Memory("ring", node.size, node.channels, self.ring_rows)
            self.ring_rows += place.rows * node.channels
        else:
            # There is one row only, and it is there for every row of the picture.
            table[:, Entry.REPEAT] = 1
            memory = Memory("chunk", node.size, node.channels, place.start)
        table[:, Entry.MEMORY] = self._memory(memory)
        return table


def _mask(level: Level, view: View) -> int:
    """Return the mask of x for rows of a view: chunks begin at their own first pixel."""
    return 0 if level.in_chunks(view) else -1
