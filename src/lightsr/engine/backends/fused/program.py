"""A planned network with its machine code, run on pictures of any size."""

# llvmlite has no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false

from __future__ import annotations

import ctypes
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from llvmlite import binding as llvm
from numpy.typing import NDArray

from lightsr.engine.backends.fused.code import machine_code
from lightsr.engine.backends.fused.driver import Group, Phase, Row, Step, write_driver
from lightsr.engine.backends.fused.graph import (
    Arithmetic,
    Convolution,
    Floats,
    Mean,
    Node,
    Pack,
    View,
    run_vector_step,
    sources,
)
from lightsr.engine.backends.fused.kernels import (
    BLOCK,
    Machine,
    Writer,
    write_convolution,
    write_expression,
    write_pack,
    write_padding,
    write_statistics,
)
from lightsr.engine.backends.fused.plan import Level, Plan, Work

Addresses = NDArray[np.int64]
_NONE = np.zeros((0, len(Row)), np.int64)


def host_machine() -> Machine:
    """Return what the kernels of this processor look like."""
    features = llvm.get_host_cpu_features()
    return Machine.of(frozenset(name for name, there in features.items() if there))


class Program:
    """The machine code of a plan; any number of threads may share it."""

    def __init__(self, plan: Plan, machine: Machine) -> None:
        self.plan = plan
        self.machine = machine
        self.names: dict[Any, str] = {}
        self._spans: dict[View, list[tuple[Node, Any]]] = {}
        for level in plan.levels:
            for work in level.work:
                key = self.key(level, work)
                self.names.setdefault(key, f"kernel{len(self.names)}")
        about = f"{machine} {list(self.names)}"
        self._engine = machine_code(about, self._assembly)
        self.run_phase = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
            self._engine.get_function_address("run")
        )

    def frame_bytes(self, height: int, width: int, threads: int) -> int:
        """Return the memory of a `Frame`, but for its small tables."""
        pixels = 4 * _row_pixels(self.machine, width)
        held: dict[int, int] = defaultdict(int)
        most: dict[int, int] = defaultdict(int)
        whole = set(self.plan.maps)
        per_thread = 0
        for level in self.plan.levels:
            for node, place in level.places.items():
                if node in whole:
                    held[node.channels] += 1
                    most[node.channels] = max(most[node.channels], held[node.channels])
                if place.keeping == "ring":
                    per_thread += place.rows * node.channels * pixels
            per_thread += level.scratch * 4 * self.machine.chunk
            for node in level.freed:
                held[node.channels] -= 1
        channels = sum(count * width_of for width_of, count in most.items())
        return channels * height * pixels + per_thread * _bands(height, threads)

    def spans(self, view: View) -> list[tuple[Node, Any]]:
        """Return a view as runs of one node's channels each."""
        known = self._spans.get(view)
        if known is None:
            runs: list[tuple[Node, list[int]]] = []
            for node, channel in view:
                if not runs or runs[-1][0] is not node:
                    runs.append((node, []))
                runs[-1][1].append(channel)
            known = self._spans[view] = [(node, np.array(channels)) for node, channels in runs]
        return known

    def address(self, level: Level, work: Work) -> int:
        """Return the address of the kernel that does a step."""
        return self._engine.get_function_address(self.names[self.key(level, work)])

    def key(self, level: Level, work: Work) -> Any:
        """Return what tells a kernel from others."""
        node = work.node
        if work.mean is not None:
            return ("statistics",)
        if work.margin_of is not None:
            return ("margin", self.plan.repeats[work.margin_of])
        if work.copy_of is not None:
            in_chunks = level.places[work.copy_of].keeping == "chunk"
            return ("arithmetic", ("map", 0), (in_chunks,), False)
        assert node is not None
        if isinstance(node, Convolution):
            return ("convolution", node.weight.shape[2], node.activation, node.packed)
        if isinstance(node, Pack):
            return ("pack",)
        assert isinstance(node, Arithmetic)
        read = tuple(_in_chunks(level, view) for view in node.maps)
        return ("arithmetic", node.tree, read, level.places[node].keeping == "chunk")

    def _assembly(self) -> str:
        writer = Writer(self.machine, "lightsr")
        for key, name in self.names.items():
            _write(writer, name, key)
        write_driver(writer)
        return str(writer.module)


def _write(writer: Writer, name: str, key: Any) -> None:
    kind, *about = key
    if kind == "convolution":
        width, activation, packed = about
        write_convolution(writer, name, width, activation, bf16=packed)
    elif kind == "pack":
        write_pack(writer, name)
    elif kind == "statistics":
        write_statistics(writer, name)
    elif kind == "margin":
        write_padding(writer, name, repeat=about[0])
    else:
        tree, in_chunks, into_chunk = about
        write_expression(writer, name, tree, in_chunks, into_chunk)


def _in_chunks(level: Level, view: View) -> bool:
    """Whether a view is kept in chunks; the plan sees to it that all of it is, or nothing."""
    place = level.places.get(view[0][0])
    return place is not None and place.keeping == "chunk"


class Frame:
    """The memory and the tables of a program for pictures of one size."""

    def __init__(self, program: Program, height: int, width: int, threads: int) -> None:
        self.program, self.height, self.width = program, height, width
        plan, machine = program.plan, program.machine
        self.threads = _bands(height, threads)
        self.margin = machine.lanes
        self.pixels = _row_pixels(machine, width)
        self.held: list[Any] = []
        self.zeros = self._floats(self.pixels)
        self.waste = self._floats(self.pixels)
        """Where outputs go that a block has too many."""
        self.maps: dict[Node, Floats] = {}
        free: dict[int, list[Floats]] = defaultdict(list)
        self.vectors: dict[str, Floats] = {}
        self.sums: dict[str, Floats] = {}
        self.tables: list[list[Addresses]] = []
        made = set(plan.maps)
        for level in plan.levels:
            for node in level.places:
                if node in made:
                    there = free[node.channels]
                    self.maps[node] = there.pop() if there else self._map(node.channels)
            self.tables.append([self._phase(level, thread) for thread in range(self.threads)])
            for node in level.freed:
                free[node.channels].append(self.maps[node])

    def _floats(self, *shape: int, kind: Any = np.float32) -> Any:
        count = int(np.prod(shape)) * np.dtype(kind).itemsize
        raw = np.zeros(count + 64, np.uint8)
        start = -raw.ctypes.data % 64
        return raw[start : start + count].view(kind).reshape(shape)

    def _map(self, channels: int) -> Floats:
        return self._floats(self.height, channels, self.pixels)

    def _keep(self, values: list[Any] | Addresses) -> int:
        array = np.ascontiguousarray(values, np.int64)
        self.held.append(array)
        return array.ctypes.data

    def _phase(self, level: Level, thread: int) -> Addresses:
        scratch = self._floats(max(1, level.scratch), self.program.machine.chunk)
        rings = {
            node: self._floats(place.rows, node.channels, self.pixels)
            for node, place in level.places.items()
            if place.keeping == "ring"
        }
        self.held += [scratch, rings]
        memory = _Memory(self, level, scratch, rings)
        groups: list[list[int]] = []
        for delay in level.delays:
            steps = [memory.step(work, thread) for work in level.work if work.delay == delay]
            groups.append([delay, len(steps), self._keep(steps)])
        phase = [0] * len(Phase)
        phase[Phase.HEIGHT], phase[Phase.WIDTH] = self.height, self.width
        phase[Phase.GROUPS] = len(groups)
        phase[Phase.GROUP_TABLE] = self._keep(groups) if groups else 0
        phase[Phase.BEFORE] = max((work.halo for work in level.work), default=0)
        phase[Phase.AFTER] = max((work.halo + work.delay for work in level.work), default=0)
        phase[Phase.ZEROS] = self.zeros.ctypes.data + 4 * self.margin
        return np.array(phase, np.int64)

    def vector(self, name: str, channels: int) -> Floats:
        """Return where the numbers of a vector are found by the kernels."""
        known = self.vectors.get(name)
        if known is None:
            known = self.vectors[name] = self._floats(channels)
            value = self.program.plan.graph.constants.get(name)
            if value is not None:
                known[:] = value
        return known

    def run(self, picture: Floats, target: Floats, pool: ThreadPoolExecutor | None) -> None:
        """Enlarge a picture, [3, h, w], into `target`, [3, scale * h, scale * w]."""
        plan, graph = self.program.plan, self.program.plan.graph
        inside = slice(self.margin, self.margin + self.width)
        lr = self.maps[graph.picture]
        lr[:, :, inside] = picture.transpose(1, 0, 2)
        if plan.repeats.get(graph.picture):
            lr[:, :, : self.margin] = lr[:, :, self.margin, None]
            lr[:, :, inside.stop :] = lr[:, :, inside.stop - 1, None]
        values: dict[str, Floats] = dict(graph.constants)
        bounds = [self.height * i // self.threads for i in range(self.threads + 1)]
        run = self.program.run_phase
        for level, tables in zip(plan.levels, self.tables, strict=True):
            for step in level.vectors:
                run_vector_step(step, values)
                for name in step.outputs:
                    if name in self.vectors:
                        self.vectors[name][:] = values[name]
            for mean in level.means:
                self.sums[mean.mean].fill(0)
            if pool is None or self.threads == 1:
                run(tables[0].ctypes.data, 0, self.height)
            else:
                waiting = [
                    pool.submit(run, table.ctypes.data, bounds[i], bounds[i + 1])
                    for i, table in enumerate(tables)
                ]
                for done in waiting:
                    done.result()
            for mean in level.means:
                self._finish(mean, values)
        self._shuffle(target)

    def _finish(self, mean: Mean, values: dict[str, Floats]) -> None:
        count = self.height * self.width
        total, squares = self.sums[mean.mean].sum(axis=(0, 3)).T / count
        values[mean.mean] = total.astype(np.float32)
        if mean.mean in self.vectors:
            self.vectors[mean.mean][:] = total
        if mean.variance is not None:
            values[mean.variance] = np.maximum(squares - total * total, 0).astype(np.float32)
            if mean.variance in self.vectors:
                self.vectors[mean.variance][:] = values[mean.variance]

    def _shuffle(self, target: Floats) -> None:
        graph = self.program.plan.graph
        s = graph.scale
        ((node, channels),) = self.program.spans(graph.output)
        result = self.maps[node][:, :, self.margin : self.margin + self.width]
        if channels.tolist() != list(range(node.channels)):
            result = result[:, channels]
        # By rows, so that the parts of a row come from the cache.
        rows = result.reshape(self.height, 3, s, s, self.width).transpose(1, 0, 2, 4, 3)
        target.reshape(3, self.height, s, self.width, s)[:] = rows


def _bands(height: int, threads: int) -> int:
    """Return how many threads share a picture: each has at least a few rows."""
    return max(1, min(threads, height // 4))


def _row_pixels(machine: Machine, width: int) -> int:
    """Return the length of a row with its margins, a vector on each side."""
    return -(-width // machine.chunk) * machine.chunk + 2 * machine.lanes


class _Memory:
    """Where the values of one level lie for one thread."""

    def __init__(
        self, frame: Frame, level: Level, scratch: Floats, rings: dict[Node, Floats]
    ) -> None:
        self.frame, self.level, self.scratch, self.rings = frame, level, scratch, rings
        self.tables: dict[tuple[Node, bool], Addresses] = {}

    def step(self, work: Work, thread: int) -> list[int]:
        """Return the fields of a step."""
        frame, level = self.frame, self.level
        inputs, outputs, arguments = self._parts(work, thread)
        step = [0] * len(Step)
        step[Step.KERNEL] = frame.program.address(level, work)
        step[Step.INPUTS], step[Step.OUTPUTS] = len(inputs), len(outputs)
        step[Step.INPUT_TABLE] = frame._keep(inputs)
        step[Step.OUTPUT_TABLE] = frame._keep(outputs)
        step[Step.INPUT_ROWS] = frame._keep([0] * max(1, len(inputs)))
        step[Step.OUTPUT_ROWS] = frame._keep([0] * max(1, len(outputs)))
        step[Step.ARGUMENTS] = frame._keep(arguments)
        step[Step.HALO] = work.halo
        step[Step.WHOLE] = int(work.margin_of is not None)
        return step

    def _parts(self, work: Work, thread: int) -> tuple[Addresses, Addresses, list[int]]:
        frame, level, node = self.frame, self.level, work.node
        if work.mean is not None:
            view = work.mean.source
            lanes = frame.program.machine.lanes
            if thread == 0:
                frame.sums[work.mean.mean] = frame._floats(
                    frame.threads, len(view), 2, lanes, kind=np.float64
                )
            sums = frame.sums[work.mean.mean][thread]
            mask = 0 if _in_chunks(level, view) else -1
            return self._rows(view), _NONE, [len(view), mask, frame.width, sums.ctypes.data]
        if work.margin_of is not None:
            of = work.margin_of
            rows = self._own(of, in_map=work.in_map)
            return _NONE, rows, [of.channels, frame.width]
        if work.copy_of is not None:
            of = work.copy_of
            return self._own(of), self._own(of, in_map=True), [of.channels]
        assert node is not None
        if isinstance(node, Convolution):
            return self._convolution(node)
        written = 0 if level.places[node].keeping == "chunk" else -1
        rows = np.concatenate([self._rows(view) for view in sources(node)])
        if isinstance(node, Pack):
            read = 0 if _in_chunks(level, node.source) else -1
            return rows, self._own(node), [node.channels, read, written]
        assert isinstance(node, Arithmetic)
        vectors = [frame.vector(name, node.channels).ctypes.data for name in node.vectors]
        return rows, self._own(node), [node.channels, *vectors]

    def _convolution(self, node: Convolution) -> tuple[Addresses, Addresses, list[int]]:
        frame, level = self.frame, self.level
        reach = node.reach
        weights, firsts = blocked_weights(node)
        blocks = len(weights)
        # For each channel the rows above to below.
        rows = np.repeat(self._rows(node.source), 2 * reach + 1, axis=0)
        shifts = np.tile(np.arange(-reach, reach + 1), len(node.source))
        in_chunks = _in_chunks(level, node.source)
        if not in_chunks:
            rows[:, Row.SHIFT], rows[:, Row.REPEAT] = shifts, int(node.repeat)
        outputs = self._own(node)
        spare = np.zeros((blocks * BLOCK - node.channels, len(Row)), np.int64)
        spare[:, Row.BASE] = frame.waste.ctypes.data + 4 * frame.margin
        outputs = np.concatenate((outputs, spare))
        bias = np.zeros(blocks * BLOCK, np.float32)
        bias[: node.channels] = node.bias
        slopes = np.ones(blocks * BLOCK, np.float32)
        if node.slopes is not None:
            slopes[: node.channels] = node.slopes
        frame.held += [weights, bias, slopes]
        read = 0 if in_chunks else -1
        written = 0 if level.places[node].keeping == "chunk" else -1
        arguments = [
            weights.ctypes.data,
            bias.ctypes.data,
            blocks,
            weights.shape[1],
            frame._keep(firsts),
            read,
            written,
            slopes.ctypes.data,
        ]
        return rows, outputs, arguments

    def _rows(self, view: View) -> Addresses:
        spans = self.frame.program.spans(view)
        return np.concatenate([self._own(node)[channels] for node, channels in spans])

    def _own(self, node: Node, *, in_map: bool = False) -> Addresses:
        """Return the table of a node's own rows, [channels, fields]."""
        known = self.tables.get((node, in_map))
        if known is None:
            known = self.tables[node, in_map] = self._table(node, in_map=in_map)
        return known

    def _table(self, node: Node, *, in_map: bool) -> Addresses:
        frame, place = self.frame, self.level.places.get(node)
        table = np.zeros((node.channels, len(Row)), np.int64)
        channels = np.arange(node.channels)
        if place is not None and place.keeping == "chunk" and not in_map:
            apart = self.scratch.strides[0]
            table[:, Row.BASE] = self.scratch.ctypes.data + (place.start + channels) * apart
            table[:, Row.REPEAT] = 1
            return table
        if place is not None and place.keeping == "ring" and not in_map:
            memory, table[:, Row.MASK] = self.rings[node], place.rows - 1
        else:
            memory, table[:, Row.MASK] = frame.maps[node], -1
        first = memory.ctypes.data + 4 * frame.margin
        table[:, Row.STRIDE] = memory.strides[0]
        table[:, Row.BASE] = first + channels * memory.strides[1]
        return table


def blocked_weights(node: Convolution) -> tuple[Any, list[int]]:
    """Return weights as [block][input row][tap][BLOCK], and each block's first input row.

    A block whose outputs are of one group runs through that group's inputs; one that has outputs
    of several would need the inputs of all, so the weights are then spread out with zeros.
    """
    weight, groups = node.weight, node.groups
    outputs, inputs, k, _ = weight.shape
    blocks = -(-outputs // BLOCK)
    apart = groups > 1 and (outputs // groups) % BLOCK == 0
    if groups > 1 and not apart:
        spread = np.zeros((outputs, groups * inputs, k, k), np.float32)
        per = outputs // groups
        for g in range(groups):
            spread[g * per : (g + 1) * per, g * inputs : (g + 1) * inputs] = weight[
                g * per : (g + 1) * per
            ]
        weight, inputs = spread, groups * inputs
    if inputs % 2 and node.packed:
        weight = np.concatenate((weight, np.zeros_like(weight[:, :1])), 1)
        inputs += 1
    full = np.zeros((blocks * BLOCK, inputs, k, k), np.float32)
    full[:outputs] = weight
    if node.packed:
        bits = _to_bfloat(full)
        full = (bits[:, 0::2] | (bits[:, 1::2] << np.uint32(16))).view(np.float32)
    arranged = full.reshape(blocks, BLOCK, -1, k, k).transpose(0, 2, 3, 4, 1)
    rows = arranged.shape[1] * k
    arranged = np.ascontiguousarray(arranged).reshape(blocks, rows, k, BLOCK)
    per_group = blocks // groups if apart else blocks
    return arranged, [block // per_group * rows for block in range(blocks)]


def _to_bfloat(values: Floats) -> NDArray[np.uint32]:
    bits = values.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
