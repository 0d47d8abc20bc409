"""A network on a GPU, recorded once for each shape that comes again (CUDA graphs).

A lightweight network on a small picture or tile is hundreds of short kernels, and starting them
takes longer than what they do. A recorded graph is started at once.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger("lightsr")

Network = Callable[[Tensor], Tensor]
_SIGHTINGS = 3
"""Of a shape, from which on it is recorded: recording takes as long as three runs."""
_MOST = 4
"""Graphs that are kept: each holds its memory."""


class Graphs:
    """A network that is recorded for the shapes it meets. Any number of threads may share it."""

    def __init__(self, network: Network, record: Callable[[Network, Tensor], Network]) -> None:
        """`record` makes the graph of a network for inputs like one that it is given."""
        self._network = network
        self._record: Callable[[Network, Tensor], Network] | None = record
        self._seen: Counter[torch.Size] = Counter()
        self._kept: OrderedDict[torch.Size, Network] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, x: Tensor) -> Tensor:
        """Return what the network makes of `x`."""
        with self._lock:
            graph = self._graph(x)
            if graph is not None:
                return graph(x)
        return self._network(x)

    def clear(self) -> None:
        """Let go of all graphs and their memory, and make none any more."""
        with self._lock:
            self._record = None
            self._kept.clear()

    def _graph(self, x: Tensor) -> Network | None:
        if x.shape in self._kept:
            self._kept.move_to_end(x.shape)
            return self._kept[x.shape]
        self._seen[x.shape] += 1
        if self._record is None or self._seen[x.shape] < _SIGHTINGS:
            return None
        del self._seen[x.shape]
        while len(self._kept) >= _MOST:
            self._kept.popitem(last=False)
        try:
            self._kept[x.shape] = self._record(self._network, x)
        except RuntimeError as error:  # lack of memory is one, too
            log.info("no graph of the network on the GPU: %s", str(error).partition("\n")[0])
            self._record = None
            return None
        return self._kept[x.shape]


def recorded(network: Network, like: Tensor) -> Network:
    """Record what a network does on CUDA with inputs of one shape. Raises `RuntimeError`."""
    fixed = like.clone()
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):  # libraries choose and allocate before they are recorded
        for _ in range(2):
            network(fixed)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    # Other threads may go on as they like.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = network(fixed)

    def replay(x: Tensor) -> Tensor:
        fixed.copy_(x)
        graph.replay()
        return result.clone()

    return replay
