"""A worker: an actor that loads the network once and enlarges the pictures of its bundles.

It may have two bundles at a time: while a picture of one is computed, one of the other is fetched
or put. Samples are held of one picture only.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightsr.cluster.places import Folder, Place
from lightsr.cluster.settings import Enlarging
from lightsr.cluster.tasks import Bundle, Outcome, Task
from lightsr.engine.machine import available_memory
from lightsr.errors import LightsrError
from lightsr.images.formats import output_format
from lightsr.server.settings import LEAST_MEMORY

if TYPE_CHECKING:
    from lightsr.engine.fit import Fit


@dataclass(frozen=True, slots=True)
class Order:
    """What every worker is to do."""

    source: Place
    output: Place
    enlarging: Enlarging
    threads: int
    memory: int | None
    """In bytes; None: its part of half of what is free on its machine."""
    neighbours: int
    """Workers on a machine, itself included."""


class Worker:
    """Does bundles; called with a batch of Ray Data's, of one bundle in the column `bundle`."""

    def __init__(self, order: Order, ledger: Any) -> None:
        """Load the network. Where that fails, every bundle's outcome says why."""
        for name in ("LIGHTSR_THREADS", "OMP_NUM_THREADS", "VIPS_CONCURRENCY"):
            os.environ[name] = str(order.threads)  # before anything starts threads
        logging.getLogger("lightsr").setLevel(logging.ERROR)
        self._order, self._ledger = order, ledger
        self._computing = threading.Lock()
        self._fit: Fit | None = None
        self._unable = ""
        try:
            self._fit = order.enlarging.fit(self._memory())
        except Exception as error:
            self._unable = _said(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do the bundles of a batch. Their outcomes go to the ledger, one by one."""
        for text in batch["bundle"]:
            self._do(Bundle.loaded(str(text)))
        return {"bundles": [len(batch["bundle"])]}

    def _do(self, bundle: Bundle) -> None:
        ray: Any = import_module("ray")
        tell, number = self._ledger, bundle.number
        known = ray.get(tell.begin.remote(number))
        if known is None:
            return
        finished, deadly = known
        for task in bundle.tasks:
            if task.position in finished:
                continue
            if task.position in deadly:
                outcome = Outcome(task, "failed", reason=self._deadly(task))
            else:
                tell.started.remote(number, task.position)
                outcome = self._outcome(task)
            tell.finished.remote(number, outcome)
        ray.get(tell.end.remote(number))

    def _outcome(self, task: Task) -> Outcome:
        if self._fit is None:
            return Outcome(task, "unable", reason=self._unable)
        try:
            if task.refused is not None:
                return Outcome(task, "failed", reason=task.refused)
            if task.recorded is not None and self._order.output.size(task.target) == task.recorded:
                return Outcome(task, "kept", task.recorded)
            return Outcome(task, "done", self._enlarged(task, self._fit))
        except Exception as error:
            said = str(error) if isinstance(error, LightsrError) else ""
            name = self._order.source.said(task.name)
            return Outcome(task, "failed", reason=said or f"{name}: {_said(error)}")

    def _enlarged(self, task: Task, fit: Fit) -> int:
        """Enlarge a picture, put it where it belongs, and return its bytes."""
        from lightsr.engine.run import enlarge

        source, output = self._order.source, self._order.output
        name = source.said(task.name)
        content = source.content(task.name)
        writing = self._order.enlarging.writing
        if isinstance(output, Folder):
            part = output.part(Path(task.target).name)
            try:
                with self._computing:
                    enlarge(content, name, part, fit, writing)
                size = part.stat().st_size
                output.finish(part, task.target)
            finally:
                part.unlink(missing_ok=True)
            return size
        kind = output_format(Path(task.target), writing.format, "png")
        with self._computing:
            _, made = enlarge(content, name, None, fit, replace(writing, format=kind.name))
        assert made is not None
        output.put(task.target, made)
        return len(made)

    def _memory(self) -> int:
        if self._order.memory is not None:
            return self._order.memory
        return max(LEAST_MEMORY, available_memory() // 2 // self._order.neighbours)

    def _deadly(self, task: Task) -> str:
        name = self._order.source.said(task.name)
        return f"{name}: workers died of it again and again; it may need more memory than there is"


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, LightsrError) else f"{type(error).__name__}: {error}"
