"""The service behind the API: who gets in, what is kept for whom, and the way out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from lightsr.server.jobs import Job, State
from lightsr.server.metrics import Metrics
from lightsr.server.orders import Order
from lightsr.server.pool import Pool
from lightsr.server.problems import Kind, Problem
from lightsr.server.settings import Settings

log = logging.getLogger("lightsr")

_MOST_KEPT = 10_000
"""Jobs that clients can ask about, at most."""
_TIDY = 1.0
"""Seconds between looks for results that have been kept long enough."""


class Service:
    """Admits pictures, has them enlarged, keeps results. All in the event loop's thread."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.pool = Pool(settings, folder, self.metrics)
        self._folder = folder
        self._places = settings.queue + self.pool.share.workers
        self._taken = 0
        self._kept: dict[str, Job] = {}
        self._closing = anyio.Event()
        self.metrics.watch(
            "lightsr_places_taken",
            "Pictures that take a place: those in the queue, worked on, or still being sent.",
            lambda: self._taken,
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Serve for as long as the block lasts. Raises `LightsrError` where that is impossible."""
        async with self.pool.at_work(), anyio.create_task_group() as group:
            group.start_soon(self._keep_tidy)
            group.start_soon(self._end_in_grace)
            yield
            group.cancel_scope.cancel()

    @property
    def is_ready(self) -> bool:
        """Whether a picture that came now would be enlarged."""
        return self.pool.ready > 0 and not self._closing.is_set()

    def admit(self) -> Job:
        """Give a job a place, which is free again when the job is over.

        Raises `Problem` where all are taken, or the server is about to stop.
        """
        if self._closing.is_set():
            raise stopping()
        if self._taken >= self._places:
            wait = max(1, math.ceil(self.pool.wait_for(0)))
            raise Problem(
                Kind.QUEUE_FULL,
                f"{self._taken} pictures are being worked on or waiting, which is all that this "
                f"server takes; try again in {wait} s",
                wait,
            )
        self._taken += 1
        return Job(self._folder, when_over=self._over)

    def line_up(self, job: Job, order: Order) -> None:
        """Have a job done. Raises `Problem` where the server is about to stop."""
        if self._closing.is_set():
            raise stopping()
        job.order = order
        self.pool.line_up(job)

    def keep(self, job: Job) -> None:
        """Keep a job for clients to ask about."""
        job.is_kept = True
        self._kept[job.id] = job

    def find(self, id: str) -> Job:
        """Return a job that is kept. Raises `Problem` where there is none of that name."""
        job = self._kept.get(id)
        if job is None:
            raise Problem(
                Kind.NOT_FOUND,
                "there is no job of that name; results are removed some time after they are made",
            )
        return job

    def forget(self, job: Job) -> None:
        """Stop a job if it is not over, and remove everything about it."""
        self._kept.pop(job.id, None)
        self.pool.stop(job, cancelled())
        if job.is_over:
            job.remove()

    def close(self) -> None:
        """Take nothing more, return what waits, and stop jobs whose results nobody could fetch.

        What clients are waiting for is finished, as long as the grace lasts.
        """
        self._closing.set()
        self.pool.stop_waiting(stopping())
        for job in self.pool.running:
            if job.id in self._kept:
                job.stop(stopping())

    def _over(self, job: Job) -> None:
        self._taken -= 1
        waited = (job.began or job.ended) - job.admitted
        self.metrics.job_over(job, waited)
        if job.state is not State.DONE or (job.is_kept and job.id not in self._kept):
            job.remove()

    async def _keep_tidy(self) -> None:
        while True:
            await anyio.sleep(_TIDY)
            for job in self._outdated():
                self.forget(job)

    def _outdated(self) -> list[Job]:
        """Return the jobs that have been kept for long enough, or that make way for others."""
        now = time.monotonic()
        over = [job for job in self._kept.values() if job.is_over]
        over.sort(key=lambda job: job.ended, reverse=True)
        outdated: list[Job] = []
        total = 0
        for count, job in enumerate(over):
            total += job.done.bytes if job.done is not None else 0
            if (
                now - job.ended > self.settings.keep_seconds
                or total > self.settings.keep_bytes
                or count >= _MOST_KEPT
            ):
                outdated.append(job)
        return outdated

    async def _end_in_grace(self) -> None:
        await self._closing.wait()
        await anyio.sleep(self.settings.grace_seconds)
        for job in self.pool.running:
            job.stop(stopping())


def stopping() -> Problem:
    """Return the problem of whoever comes, or waits, when the server stops."""
    return Problem(Kind.NOT_SERVING, "the server is being stopped; try again later", 10)


def cancelled() -> Problem:
    """Return what becomes of a job that its client no longer wants."""
    return Problem(Kind.CANCELLED, "the job was cancelled")
