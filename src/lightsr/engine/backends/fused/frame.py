"""The memory of a program for pictures of one size, and the running of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsr.engine.backends.fused.driver import TOGETHER, Group, Phase, Row, Step
from lightsr.engine.backends.fused.graph import Floats, Mean, run_vector_step
from lightsr.engine.backends.fused.layout import Entry, Layout, Memory, Table
from lightsr.engine.backends.fused.program import Program
from lightsr.engine.backends.fused.writer import Machine

_LINE = 64
"""Bytes of a cache line, and of the widest vector."""
_LEAST_ROWS = 4
"""Of a thread's share of a picture."""


Statistics = Mapping[str, NDArray[Any]]
"""Means and variances by their names in the graph."""


class Frame:
    """The memory and the tables of a program for pictures of one size; for one thread at a time.

    A picture is cut into bands of rows, one for each of its own `threads`.
    """

    def __init__(self, program: Program, height: int, width: int, threads: int) -> None:
        self.program, self.height, self.width = program, height, width
        self.threads = _bands(height, threads)
        layout, machine = program.layout, program.machine
        self._margin = machine.lanes
        largest = max(memory.size for memory in layout.memories)
        self._pixels = [_row_pixels(machine, width * size) for size in range(largest + 1)]
        self._zeros = _floats(layout.longest * self._pixels[-1])
        self._zeros.fill(0)
        self._maps = [
            _floats(height * slot.size, slot.channels, self._pixels[slot.size])
            for slot in layout.slots
        ]
        self._vectors = np.zeros(layout.vector_count, np.float32)
        self._sums = _floats(
            self.threads, layout.sum_count, 2, machine.lanes, kind=np.dtype(np.float64)
        )
        for name, place in layout.vectors.items():
            value = program.plan.graph.constants.get(name)
            if value is not None:
                self._vectors[place] = value
        self._bands = [_Band(self, layout, thread) for thread in range(self.threads)]

    def is_for(self, height: int, width: int, threads: int) -> bool:
        """Return whether it is what the arguments of its making would give."""
        size = (self.height, self.width)
        return (*size, self.threads) == (height, width, _bands(height, threads))

    def run(
        self,
        picture: Floats,
        target: Floats,
        pool: Executor | None,
        statistics: Statistics | None = None,
    ) -> None:
        """Enlarge a picture, [3, h, w], into `target`, [3, scale * h, scale * w] in one piece.

        Bands run in the pool's threads, if there is one. `statistics`, as `pooled` returns them,
        are taken for the picture's own.
        """
        self.take(picture, target)
        run_together([self], pool, statistics)

    def take(self, picture: Floats, target: Floats) -> None:
        """Get ready to enlarge a picture into `target`."""
        self._take(picture)
        address = target.ctypes.data
        for band in self._bands:
            band.aim(address)

    def _take(self, picture: Floats) -> None:
        graph = self.program.plan.graph
        lr = self._maps[self.program.layout.slot_of[graph.picture]]
        inside = slice(self._margin, self._margin + self.width)
        lr[:, :, inside] = picture.transpose(1, 0, 2)
        repeats = self.program.plan.repeats.get(graph.picture)
        lr[:, :, : inside.start] = lr[:, :, inside.start, None] if repeats else 0
        lr[:, :, inside.stop :] = lr[:, :, inside.stop - 1, None] if repeats else 0

    def tasks(self, number: int) -> list[tuple[int, int, int]]:
        """Return what a level is made of: for each band its phase, first and end row."""
        self._sums[:] = 0
        height = self.height * self.program.plan.levels[number].size
        bounds = [height * i // self.threads for i in range(self.threads + 1)]
        return [
            (band.phases[number].ctypes.data, bounds[i], bounds[i + 1])
            for i, band in enumerate(self._bands)
        ]

    def hand_on(self, name: str, value: NDArray[Any]) -> None:
        """Put a vector where the kernels find it, if they need it."""
        place = self.program.layout.vectors.get(name)
        if place is not None:
            self._vectors[place] = value

    def moments(self, mean: Mean) -> tuple[NDArray[np.float64], int]:
        """Return the sums of a map's values and of their squares, [2, channels], and how many."""
        place = self.program.layout.sums[mean.mean]
        return self._sums[:, place].sum(axis=(0, 3)).T, self.height * self.width * mean.size**2

    def strides(self, memory: Memory) -> tuple[int, int]:
        """Return the bytes from a channel of a memory to the next, and from row to row."""
        if memory.kind == "target":
            scale = memory.size
            return 4 * self.width * self.height * scale**2, 4 * self.width * scale
        if memory.kind == "chunk":
            return 4 * self.program.machine.chunk, 0
        row = 4 * self._pixels[memory.size]
        return row, row * memory.channels

    def map_address(self, memory: Memory) -> int:
        """Return the address of the first pixel of a map."""
        return self._maps[memory.start].ctypes.data + 4 * self._margin

    def added(self, thread: int) -> Table:
        """Return what is added to arguments, by `Base`."""
        widths = [self.width * size for size in range(len(self._pixels))]
        sums = self._sums[thread].ctypes.data if self._sums.size else 0
        return np.array([0, self._vectors.ctypes.data, sums, *widths], np.int64)

    @property
    def zeros(self) -> int:
        """The address of a row of zeros."""
        return self._zeros.ctypes.data + 4 * self._margin


def pooled(program: Program, pictures: Floats, pool: Executor | None) -> Statistics:
    """Return the statistics of pictures, [n, 3, h, w], together: as if they lay in one picture."""
    n, _, height, width = pictures.shape
    scale = program.plan.graph.scale
    unwanted = np.empty((n, 3, scale * height, scale * width), np.float32)
    frames = [Frame(program, height, width, 1) for _ in range(n)]
    for frame, picture, target in zip(frames, pictures, unwanted, strict=True):
        frame.take(np.asarray(picture, np.float32), target)
    return run_together(frames, pool, None)


def run_together(
    frames: Sequence[Frame], pool: Executor | None, statistics: Statistics | None
) -> Statistics:
    """Take frames of one program through its levels side by side, their statistics pooled.

    Those that are given are taken instead; either are returned.
    """
    program = frames[0].program
    values: dict[str, NDArray[Any]] = dict(program.plan.graph.constants)
    found: dict[str, NDArray[Any]] = {}
    for number, level in enumerate(program.plan.levels):
        made: dict[str, NDArray[Any]] = {}
        for step in level.vectors:
            run_vector_step(step, values)
            made.update((name, values[name]) for name in step.outputs)
        for name, value in made.items():
            for frame in frames:
                frame.hand_on(name, value)
        if level.work:
            _run_all(program, [task for frame in frames for task in frame.tasks(number)], pool)
        for mean in level.means:
            known = _statistics(mean, frames) if statistics is None else statistics
            for name in (mean.mean, mean.variance):
                if name is not None:
                    values[name] = found[name] = known[name]
                    for frame in frames:
                        frame.hand_on(name, known[name])
    return found


def _statistics(mean: Mean, frames: Sequence[Frame]) -> Statistics:
    moments = [frame.moments(mean) for frame in frames]
    count = sum(pixels for _, pixels in moments)
    total, squares = sum((sums for sums, _ in moments), np.zeros(())) / count
    found = {mean.mean: total.astype(np.float32)}
    if mean.variance is not None:
        found[mean.variance] = np.maximum(squares - total * total, 0).astype(np.float32)
    return found


def _run_all(
    program: Program, tasks: Sequence[tuple[int, int, int]], pool: Executor | None
) -> None:
    if pool is None or len(tasks) == 1:
        for task in tasks:
            program.run_phase(*task)
        return
    waiting: list[Future[Any]] = []
    try:
        for task in tasks:  # One after the other, so that those begun are known if one fails.
            waiting.append(pool.submit(program.run_phase, *task))
        for done in waiting:
            done.result()
    finally:
        # Nobody may work in this memory when it is given up, after Ctrl-C for instance.
        wait(waiting)


class _Band:
    """The tables and the memory of one of a frame's threads."""

    def __init__(self, frame: Frame, layout: Layout, thread: int) -> None:
        machine = frame.program.machine
        row = {size: 4 * _row_pixels(machine, frame.width * size) for size in layout.arena}
        rings, chunks, waste = _band_bytes(layout, machine, frame.width)
        # The levels follow each other in the same memory, which so stays in the caches.
        self._memory = _floats((rings + chunks + waste) // 4)
        margin = 4 * machine.lanes
        start = self._memory.ctypes.data
        addresses = {
            "ring": start + margin,
            "chunk": start + rings,
            "waste": start + rings + chunks + margin,
            "target": 0,
        }
        first: list[int] = []
        strides: list[tuple[int, int]] = []
        for memory in layout.memories:
            if memory.kind == "map":
                first.append(frame.map_address(memory))
            elif memory.kind == "ring":
                first.append(addresses["ring"] + memory.start * row[memory.size])
            else:
                apart = 4 * machine.chunk if memory.kind == "chunk" else 0
                first.append(addresses[memory.kind] + memory.start * apart)
            strides.append(frame.strides(memory) if memory.kind != "waste" else (0, 0))
        self._write_rows(layout, np.array(first, np.int64), np.array(strides, np.int64))
        self._write_steps(frame, layout, thread)

    def _write_rows(self, layout: Layout, first: Table, strides: Table) -> None:
        entries = layout.entries
        memory = entries[:, Entry.MEMORY]
        channel, row = strides[memory].T
        rows = np.empty((len(entries), len(Row)), np.int64)
        rows[:, Row.BASE] = (
            first[memory] + entries[:, Entry.CHANNEL] * channel + entries[:, Entry.ROW] * row
        )
        rows[:, Row.STRIDE] = row * entries[:, Entry.APART]
        for field in (Row.MASK, Row.SHIFT, Row.REPEAT):
            rows[:, field] = entries[:, Entry[field.name]]
        grouped = rows.reshape(-1, TOGETHER, len(Row)).transpose(0, 2, 1)
        self._rows = np.ascontiguousarray(grouped)
        self._found = np.zeros(len(rows), np.int64)
        targets = np.array([memory.kind == "target" for memory in layout.memories])
        (aimed,) = np.nonzero(targets[memory])
        self._aimed = (aimed // TOGETHER, int(Row.BASE), aimed % TOGETHER)
        self._aim_at = rows[aimed, Row.BASE]

    def _write_steps(self, frame: Frame, layout: Layout, thread: int) -> None:
        self._arguments = layout.arguments + frame.added(thread)[layout.bases]
        steps = layout.steps.copy()
        for table, found in (
            (Step.INPUT_TABLE, Step.INPUT_ROWS),
            (Step.OUTPUT_TABLE, Step.OUTPUT_ROWS),
        ):
            steps[:, found] = self._found.ctypes.data + 8 * steps[:, table]
            steps[:, table] = self._rows.ctypes.data + 8 * len(Row) * steps[:, table]
        steps[:, Step.ARGUMENTS] = self._arguments.ctypes.data + 8 * steps[:, Step.ARGUMENTS]
        groups = layout.groups.copy()
        groups[:, Group.STEP_TABLE] *= steps.strides[0]
        groups[:, Group.STEP_TABLE] += steps.ctypes.data
        self._steps, self._groups = steps, groups
        self.phases: list[Table] = []
        for level, fields in zip(frame.program.plan.levels, layout.phases, strict=True):
            phase = np.array(fields, np.int64)
            phase[Phase.HEIGHT], phase[Phase.WIDTH] = (
                frame.height * level.size,
                frame.width * level.size,
            )
            phase[Phase.GROUP_TABLE] *= groups.strides[0]
            phase[Phase.GROUP_TABLE] += groups.ctypes.data
            phase[Phase.ZEROS] = frame.zeros
            self.phases.append(phase)

    def aim(self, address: int) -> None:
        """Let the result be written to an address."""
        self._rows[self._aimed] = self._aim_at + address


def frame_bytes(program: Program, height: int, width: int, threads: int) -> int:
    """Return the memory of a `Frame`."""
    layout, machine = program.layout, program.machine
    maps = sum(
        4 * slot.channels * height * slot.size * _row_pixels(machine, width * slot.size)
        for slot in layout.slots
    )
    tables = layout.steps.nbytes + layout.arguments.nbytes
    tables += len(layout.entries) * 8 * (len(Row) + 1)
    sums = layout.sum_count * 2 * machine.lanes * 8
    band = sum(_band_bytes(layout, machine, width)) + tables + sums
    largest = max(memory.size for memory in layout.memories)
    zeros = 4 * layout.longest * _row_pixels(machine, width * largest)
    return maps + zeros + band * _bands(height, threads)


def _band_bytes(layout: Layout, machine: Machine, width: int) -> tuple[int, int, int]:
    """Return the memory of a band: rings, chunks, and a row for what is not wanted."""
    rows = {size: 4 * _row_pixels(machine, width * size) for size in layout.arena}
    rings = max(count * rows[size] for size, count in layout.arena.items())
    return rings, layout.scratch * 4 * machine.chunk, max(rows.values())


def _bands(height: int, threads: int) -> int:
    """Return how many threads share a picture: each has at least a few rows."""
    return max(1, min(threads, height // _LEAST_ROWS))


def _row_pixels(machine: Machine, width: int) -> int:
    """Return the length of a row with its margins, a vector on each side."""
    return -(-width // machine.chunk) * machine.chunk + 2 * machine.lanes


def _floats(*shape: int, kind: np.dtype[Any] | None = None) -> Any:
    """Return an array that begins at a cache line."""
    kind = kind or np.dtype(np.float32)
    count = int(np.prod(shape)) * kind.itemsize
    raw = np.empty(count + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + count].view(kind).reshape(shape)
