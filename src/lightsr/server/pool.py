"""The pool: a queue of jobs and the worker processes that do them."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio

from lightsr.engine.ensemble import VIEWS
from lightsr.errors import LightsrError
from lightsr.networks.registry import network_spec
from lightsr.server.jobs import Job
from lightsr.server.metrics import Metrics
from lightsr.server.orders import Done, Plan, Setup
from lightsr.server.problems import Kind, Problem
from lightsr.server.process import LostError, WorkerProcess
from lightsr.server.settings import Settings

log = logging.getLogger("lightsr")

_PATIENCE = 10.0
"""Seconds that a worker has to leave a job before it is killed."""
_SIDE = 256
"""Of a picture whose multi-adds tell how networks differ."""
_LONGEST_PAUSE = 30.0
"""Seconds between attempts to start a worker, at most."""
_LOST = Problem(
    Kind.WORKER_LOST,
    "the process that worked on the picture ended unexpectedly, perhaps for lack of memory; "
    "other pictures are not affected",
)


class Pool:
    """Keeps a number of workers at work. Everything happens in the event loop's thread."""

    def __init__(self, settings: Settings, folder: Path, metrics: Metrics) -> None:
        self.share = settings.share()
        self._setup = Setup(
            settings.model,
            settings.backend,
            settings.device,
            settings.precision,
            self.share.memory,
            settings.input_pixels,
            settings.output_pixels,
        )
        self._limit = settings.job_seconds
        self._scratch = folder / "scratch"
        self._scratch.mkdir(exist_ok=True)
        self._metrics = metrics
        self._waiting: deque[Job] = deque()
        self._running: dict[Job, WorkerProcess] = {}
        self._ready: set[WorkerProcess] = set()
        self._news = anyio.Event()
        self._pace = Pace()
        metrics.watch("lightsr_waiting", "Pictures in the queue.", lambda: len(self._waiting))
        metrics.watch("lightsr_running", "Pictures being worked on.", lambda: len(self._running))
        metrics.watch("lightsr_workers", "Workers ready or at work.", lambda: self.ready)

    @property
    def ready(self) -> int:
        """Workers that are ready for orders or at work."""
        return len(self._ready)

    @property
    def running(self) -> list[Job]:
        """The jobs that are being worked on."""
        return list(self._running)

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Have workers for as long as the block lasts; it begins when the first is ready.

        Raises `LightsrError` where that cannot run.
        """
        first = await self._start()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._keep_slot, first)
                for _ in range(self.share.workers - 1):
                    group.start_soon(self._keep_slot, None)
                yield
                group.cancel_scope.cancel()
        finally:
            await first.end()

    def line_up(self, job: Job) -> None:
        """Put a job at the end of the queue."""
        self._waiting.append(job)
        self._tell()

    def stop(self, job: Job, why: Problem) -> None:
        """End a job: at once where it waits, as soon as its worker leaves it otherwise."""
        if job in self._waiting:
            self._waiting.remove(job)
            job.finish(why)
            self._tell()
        else:
            job.stop(why)

    def stop_waiting(self, why: Problem) -> None:
        """End all jobs that no worker has taken."""
        for job in list(self._waiting):
            self.stop(job, why)

    def ahead(self, job: Job) -> int | None:
        """Return how many jobs will be taken before one that waits; None for one that does not."""
        return self._waiting.index(job) if job in self._waiting else None

    def wait_for(self, ahead: int) -> float:
        """Return the seconds, about, until a job with so many ahead of it is taken."""
        workers = max(1, self.ready)
        left = sum(job.seconds_left or self._pace.usual for job in self._running) / workers
        return left + self._pace.usual * ahead / workers

    def wait_of(self, job: Job) -> float | None:
        """Return the seconds, about, until a job that waits is done."""
        ahead = self.ahead(job)
        return None if ahead is None else self.wait_for(ahead) + self._pace.usual

    async def _start(self) -> WorkerProcess:
        worker = await WorkerProcess.start(self._setup, self.share.threads, self._scratch)
        self._pace.begin(worker.pace)
        return worker

    async def _keep_slot(self, worker: WorkerProcess | None) -> None:
        """Feed one worker after another, each until it dies."""
        pause = 0.0
        while True:
            try:
                worker = worker or await self._start()
            except LightsrError as error:
                pause = min(_LONGEST_PAUSE, 2 * pause or 0.5)
                log.error("a worker cannot be started, next try in %g s: %s", pause, error)
                await anyio.sleep(pause)
                continue
            pause = 0.0
            try:
                await self._feed(worker)
            finally:
                self._ready.discard(worker)
                how = await worker.end()
            self._metrics.worker_lost()
            log.warning("worker %d ended %s; another takes its place", worker.pid, how)
            worker = None

    async def _feed(self, worker: WorkerProcess) -> None:
        self._ready.add(worker)
        async with anyio.create_task_group() as group:
            group.start_soon(self._notice_end, worker)
            while (job := await self._next(worker)) is not None:
                await self._do(worker, job)
            group.cancel_scope.cancel()

    async def _notice_end(self, worker: WorkerProcess) -> None:
        await worker.until_ended()
        self._ready.discard(worker)
        self._tell()

    async def _next(self, worker: WorkerProcess) -> Job | None:
        """Take the next job, as soon as there is one; None where the worker has ended."""
        while worker in self._ready:
            if self._waiting:
                return self._waiting.popleft()
            await self._news.wait()
        return None

    async def _do(self, worker: WorkerProcess, job: Job) -> None:
        self._running[job] = worker
        outcome = None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch, worker, job)
                outcome = await self._outcome(worker, job)
                group.cancel_scope.cancel()
        except BaseException:
            job.finish(job.stopping or Problem(Kind.NOT_SERVING, "the server is being stopped"))
            raise
        finally:
            del self._running[job]
        if job.stopping is not None:
            job.finish(job.stopping)
        elif outcome is not None:
            job.finish(outcome)
        else:
            self._waiting.appendleft(job)
            self._tell()

    async def _outcome(self, worker: WorkerProcess, job: Job) -> Done | Problem | None:
        """Have a worker do a job; None where it ended before it took the job."""
        try:
            async with aclosing(worker.work(job)) as conversation:
                async for told in conversation:
                    if isinstance(told, Plan):
                        job.understand(told, self._pace.expected(job, told))
                        continue
                    if isinstance(told, Done):
                        self._pace.learn(job, told)
                    return told
        except LostError:
            self._ready.discard(worker)
        return _LOST if job.began else None

    async def _watch(self, worker: WorkerProcess, job: Job) -> None:
        """Stop a job that takes too long or is no longer wanted."""
        while job.stopping is None:
            with anyio.move_on_after(self._limit - job.elapsed):
                await job.news()
            if job.elapsed >= self._limit:
                limit = f"the picture took longer than the {self._limit:g} seconds that are allowed"
                job.stop(Problem(Kind.TOO_LONG, limit))
        await worker.cancel(job)
        await anyio.sleep(_PATIENCE)
        worker.kill()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


class Pace:
    """How long pictures take, learnt from those that are done."""

    def __init__(self) -> None:
        self.usual = 1.0
        """Seconds for a picture, lately."""
        self._first = 0.0
        self._learnt: dict[tuple[str, int, bool], float] = {}

    def begin(self, seconds_per_multi_add: float) -> None:
        """Set what is assumed before anything is known."""
        self._first = self._first or seconds_per_multi_add

    def expected(self, job: Job, plan: Plan) -> float:
        """Return the seconds that a job is expected to take."""
        return self._of(_key(job, plan)) * math.prod(plan.before)

    def learn(self, job: Job, done: Done) -> None:
        """Take the time that a job took into account; small pictures tell little of the pace."""
        self.usual += 0.2 * (done.seconds - self.usual)
        if job.plan is None:
            return
        pixels = math.prod(job.plan.before)
        key = _key(job, job.plan)
        before = self._of(key)
        weight = min(0.5, pixels / 100_000)
        self._learnt[key] = before + weight * (done.seconds / pixels - before)

    def _of(self, key: tuple[str, int, bool]) -> float:
        model, scale, ensemble = key
        per_pixel = network_spec(model).cost[scale].multi_adds(_SIDE, _SIDE) / _SIDE**2
        return self._learnt.get(key, self._first * per_pixel * (VIEWS if ensemble else 1))


def _key(job: Job, plan: Plan) -> tuple[str, int, bool]:
    return plan.model, plan.scale, job.order is not None and job.order.ensemble
