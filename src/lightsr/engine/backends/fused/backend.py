"""The fused backend: a network's ONNX graph as machine code made for this processor.

It does the work of a level row by row while the rows are in the processor's caches, where others
run layer after layer over whole maps. Needs llvmlite and onnx (`pip install 'lightsr[fast]'`), and
a graph of the operations that it knows.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lightsr.engine.backends.base import Batch
from lightsr.engine.backends.fused.graph import (
    Convolution,
    Graph,
    Node,
    pack_convolutions,
    read_graph,
    sources,
)
from lightsr.engine.backends.fused.plan import make_plan
from lightsr.engine.backends.fused.program import Frame, Program, host_machine
from lightsr.engine.machine import available_cores
from lightsr.networks.registry import network_spec


class FusedBackend:
    """A network as machine code; any number of threads may share it."""

    name = "fused"
    device = "cpu"

    def __init__(self, path: Path, network: str, scale: int, precision: str) -> None:
        """Make the code for the graph in `path`, a network at a scale, in "fp32" or "bf16".

        Raises `Unsupported` where graph or processor are not for this backend.
        """
        self.network, self.scale, self.precision = network, scale, precision
        self.radius = network_spec(network).receptive_radius
        graph = read_graph(path)
        if precision == "bf16":
            ends = _last_convolutions(graph)
            # The picture itself and the last sums stay exact: all else only adds to them.
            pack_convolutions(graph, lambda c: len(c.source) > 4 and c not in ends)
        self._program = Program(make_plan(graph), host_machine())
        self._threads = available_cores()
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        self._frames: list[Frame] = []
        self._lock = threading.Lock()

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        n, _, height, width = batch.shape
        result = np.empty((n, 3, self.scale * height, self.scale * width), np.float32)
        frame = self._frame(height, width)
        try:
            for picture, target in zip(batch, result, strict=True):
                frame.run(np.asarray(picture, np.float32), target, self._pool)
        finally:
            with self._lock:
                # One frame is kept: the next picture or tile is likely to have the same size.
                self._frames[:] = [frame]
        return result

    def _frame(self, height: int, width: int) -> Frame:
        with self._lock:
            kept = self._frames.pop() if self._frames else None
        if kept is not None and (kept.height, kept.width) == (height, width):
            return kept
        del kept
        return Frame(self._program, height, width, self._threads)

    def peak_bytes(self, batch: int, height: int, width: int) -> int:
        """See `Backend.peak_bytes`."""
        pixels = 4 * 3 * batch * height * width
        around = pixels * (1 + 2 * self.scale**2)
        return self._program.frame_bytes(height, width, self._threads) + around

    def free_bytes(self) -> int | None:
        """See `Backend.free_bytes`."""
        return None


def _last_convolutions(graph: Graph) -> set[Node]:
    """Return the convolutions behind which only arithmetic is left."""
    found: set[Node] = set()
    waiting = [node for node, _ in graph.output]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Convolution):
            found.add(node)
        else:
            waiting += [part for view in sources(node) for part, _ in view]
    return found
