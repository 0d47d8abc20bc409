"""The fused backend: a network's ONNX graph as machine code made for this processor.

It does the work of a level row by row while the rows are in the processor's caches, where others
run layer after layer over whole maps. Needs llvmlite and onnx (`pip install 'lightsr[fast]'`), and
a graph of the operations that it knows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isqrt
from pathlib import Path

import numpy as np

from lightsr.engine.backends.base import Batch, Run
from lightsr.engine.backends.fused.frame import Frame, Statistics, frame_bytes, pooled
from lightsr.engine.backends.fused.graph import (
    Convolution,
    UnsupportedError,
    last_convolutions,
    pack_convolutions,
    tile_convolutions,
)
from lightsr.engine.backends.fused.plan import Plan, make_plan
from lightsr.engine.backends.fused.program import Program, host_machine
from lightsr.engine.backends.fused.reading import read_graph
from lightsr.engine.backends.fused.weights import gains_by_tiles
from lightsr.engine.backends.fused.writer import Machine
from lightsr.engine.machine import available_cores, keeps_to_one_core
from lightsr.networks.registry import network_spec

_FEW = 4
"""Channels of a map that is worth no packing: the picture's, and one more."""


class FusedBackend:
    """A network as machine code; any number of threads may share it."""

    name = "fused"
    device = "cpu"

    def __init__(
        self, path: Path, network: str, scale: int, precision: str, threads: int | None = None
    ) -> None:
        """Make the code for the graph in `path`, a network at a scale, in "fp32" or "bf16".

        `threads` (None: as many as there are cores) share a picture. Raises `UnsupportedError`
        where the graph, the processor or the precision on it are not for this backend.
        """
        self.network, self.scale, self.precision = network, scale, precision
        self.radius = network_spec(network).receptive_radius
        machine, plan = planned(path, precision)
        if plan.graph.scale != scale:
            raise UnsupportedError(f"{path} enlarges by {plan.graph.scale}")
        self._program = Program(plan, machine)
        self._threads = threads or available_cores()
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        self._frames: list[Frame] = []
        self._lock = threading.Lock()

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        return self._run(batch, None)

    def tuned_to(self, samples: Sequence[Batch]) -> Run | None:
        """See `Tunable.tuned_to`."""
        if not self._program.plan.graph.means:
            return None
        found = [
            pooled(self._program, group, self._pool)
            for sample in samples
            for group in self._groups(sample)
        ]
        statistics = {
            name: np.stack([one[name] for one in found]).mean(0).astype(np.float32)
            for name in found[0]
        }
        return lambda batch: self._run(batch, statistics)

    def _groups(self, sample: Batch) -> list[Batch]:
        """Return parts of a picture in groups that the memory of a square as large suffices for.

        Every part has a frame of its own while it is pooled; what several groups give is averaged.
        """
        n, _, height, width = sample.shape
        each = frame_bytes(self._program, height, width, 1)
        each += 4 * 3 * height * width * self.scale**2
        side = isqrt(n * height * width)
        count = min(n, max(1, -(-n * each // self.peak_bytes(1, side, side))))
        return [sample[first::count] for first in range(count)]

    def _run(self, batch: Batch, statistics: Statistics | None) -> Batch:
        n, _, height, width = batch.shape
        result = np.empty((n, 3, self.scale * height, self.scale * width), np.float32)
        if not result.size:
            return result
        frame = self._frame(height, width, 1 if keeps_to_one_core() else self._threads)
        for picture, target in zip(batch, result, strict=True):
            frame.run(np.asarray(picture, np.float32), target, self._pool, statistics)
        with self._lock:
            # The next picture or tile is likely to have the same size.
            self._keep_those_for(height, width, frame.threads)
            self._frames.append(frame)
        return result

    def _frame(self, height: int, width: int, threads: int) -> Frame:
        with self._lock:
            self._keep_those_for(height, width, threads)
            if self._frames:
                return self._frames.pop()
        return Frame(self._program, height, width, threads)

    def _keep_those_for(self, height: int, width: int, threads: int) -> None:
        self._frames[:] = [one for one in self._frames if one.is_for(height, width, threads)]

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        """See `Backend.peak_bytes`; this one is computed, and takes no measuring."""
        around = 4 * 3 * batch * height * width * (1 + self.scale**2)
        return frame_bytes(self._program, height, width, self._threads) + around + _BESIDE

    def free_bytes(self) -> int | None:
        """See `Backend.free_bytes`."""
        return None


_BESIDE = 4_000_000
"""Bytes for Python's own objects and for vectors between the levels."""


def planned(path: Path, precision: str) -> tuple[Machine, Plan]:
    """Return this machine, and the plan for the graph in `path` in "fp32" or "bf16" on it.

    Raises what `FusedBackend` does.
    """
    machine = host_machine()
    graph = read_graph(path)
    if precision == "bf16" and not machine.bf16:
        raise UnsupportedError("this processor does not multiply bfloat16")
    # The picture itself and the last sums stay exact: all else only adds to them.
    exact = last_convolutions(graph)

    def packed(node: Convolution) -> bool:
        return precision == "bf16" and len(node.source) > _FEW and node not in exact

    def tiled(node: Convolution) -> bool:
        return gains_by_tiles(node, machine, packed=packed(node))

    tile_convolutions(graph, tiled, packed)
    pack_convolutions(graph, packed)
    return machine, make_plan(graph)
