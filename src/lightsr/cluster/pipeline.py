"""One pass over an input as a Ray Data pipeline: a lister, then a pool of workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ray.data import ActorPoolStrategy, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lightsr.cluster.ledger import Ledger
from lightsr.cluster.listing import Listing
from lightsr.cluster.tasks import Outcome
from lightsr.cluster.worker import Order, Worker
from lightsr.errors import LightsrError

if TYPE_CHECKING:
    from ray.data.context import DataContext

# Neither says its types.
ray: Any = import_module("ray")
pyarrow: Any = import_module("pyarrow")

_IN_FLIGHT = 2
"""Bundles that a worker has at a time: one is computed, one fetched or put."""
_PATIENCE = 60
"""Seconds for the ledger to answer, on a machine that is busy."""


class Pass:
    """A pass in work. Outcomes are to be taken now and then until it `is_over`."""

    def __init__(self, listing: Listing, order: Order, *, gpus: int) -> None:
        """Begin. Takes `listing.workers` workers of `order.threads` cores, with a GPU each."""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._ledger = ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=here).remote()
        read = ray.data.read_datasource(
            _Bundles(listing.bundles),
            override_num_blocks=1,
            num_cpus=0,
            resources={f"node:{ray.util.get_node_ip_address()}": 0.001},  # this machine
        )
        self._done = read.map_batches(
            Worker,
            fn_constructor_args=(order, self._ledger),
            batch_size=1,
            compute=ActorPoolStrategy(
                size=listing.workers,
                max_tasks_in_flight_per_actor=_IN_FLIGHT,
                max_concurrent_calls_per_actor=_IN_FLIGHT,
                enable_true_multi_threading=True,
            ),
            num_cpus=order.threads,
            num_gpus=gpus,
        )
        self._error: Exception | None = None
        # Not in this thread, which is to hear Ctrl-C and to tell how far the work is.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come. Raises what ended the pass, if anything did."""
        if self._thread.is_alive():
            return False
        if self._error is not None:
            cause = getattr(self._error, "cause", None)
            raise cause if isinstance(cause, LightsrError) else self._error
        return True

    def wait(self, seconds: float) -> None:
        """Wait until it is over, but not for longer than that."""
        self._thread.join(seconds)

    def take(self) -> list[Outcome]:
        """Return what became of pictures since this was last asked."""
        return ray.get(self._ledger.take.remote(), timeout=_PATIENCE)

    def _run(self) -> None:
        try:
            for _ in self._done.iter_batches(batch_size=None, prefetch_batches=0):
                pass
        except Exception as error:
            self._error = error


class _Bundles(Datasource):
    """Bundles as they come out of a listing, one a block, so that Ray hands them out singly."""

    def __init__(self, bundles: Callable[[], Iterator[Any]]) -> None:
        self._bundles = bundles

    def estimate_inmemory_data_size(self) -> int | None:
        """Nobody knows it before everything is listed."""
        return None

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,
    ) -> list[ReadTask]:
        """Return the one task that lists; Ray takes from it as fast as workers need bundles."""
        del parallelism, per_task_row_limit, data_context  # one listing is not parted
        bundles = self._bundles

        def read() -> Iterator[Any]:
            for bundle in bundles():
                yield pyarrow.table({"bundle": [bundle.dumped()]})

        return [ReadTask(read, BlockMetadata(None, None, None, None))]
