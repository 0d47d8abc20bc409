"""A job: one picture's way through the server, and how far along it is."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import anyio

from lightsr.server.orders import Done, Order, Plan
from lightsr.server.problems import Kind, Problem


class State(str, Enum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_NEARLY = 0.99
"""Progress at most before the work is done, however good the guess."""


@dataclass(eq=False)
class Job:
    """One picture's way through the server. Everything happens in the event loop's thread."""

    folder: Path
    """Where its files lie, under names of our own."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """Hard to guess: who knows it may ask for the result."""
    created: float = field(default_factory=time.time)
    admitted: float = field(default_factory=time.monotonic)
    is_kept: bool = False
    """Whether a client may ask about it, until it is forgotten."""
    state: State = State.QUEUED
    order: Order | None = None
    plan: Plan | None = None
    done: Done | None = None
    problem: Problem | None = None
    """Why it failed or was cancelled."""
    began: float = 0.0
    """When a worker took it, by the monotonic clock; so is `ended`."""
    ended: float = 0.0
    expected: float | None = None
    """Seconds that the work is expected to take."""
    tiles: tuple[int, int] = (0, 1)
    when_over: Callable[[Job], None] | None = None
    stopping: Problem | None = None
    """Why it is to be stopped, from when that is wanted."""
    _news: anyio.Event = field(default_factory=anyio.Event)

    @property
    def source(self) -> Path:
        """The picture as it was uploaded."""
        return self.folder / f"{self.id}.in"

    @property
    def result(self) -> Path:
        """The enlarged picture."""
        return self.folder / f"{self.id}.out"

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state not in (State.QUEUED, State.RUNNING)

    def begin(self) -> None:
        """Say that a worker has taken it."""
        self.state, self.began = State.RUNNING, time.monotonic()
        self.tell()

    def understand(self, plan: Plan, expected: float | None) -> None:
        """Say what it comes to."""
        self.plan, self.expected = plan, expected
        self.tell()

    def advance(self, done: int, count: int) -> None:
        """Say that `done` of its tiles are through."""
        self.tiles = (done, count)
        self.tell()

    def finish(self, outcome: Done | Problem) -> None:
        """End it. The picture that was uploaded is removed, as is half a result."""
        if self.is_over:
            return
        if isinstance(outcome, Done):
            self.state, self.done = State.DONE, outcome
        else:
            cancelled = outcome.kind is Kind.CANCELLED
            self.state = State.CANCELLED if cancelled else State.FAILED
            self.problem = outcome
            self.result.unlink(missing_ok=True)
        self.source.unlink(missing_ok=True)
        self.ended = time.monotonic()
        self.tell()
        if self.when_over is not None:
            self.when_over(self)

    def stop(self, why: Problem) -> None:
        """Ask whoever works on it to stop."""
        if self.stopping is None:
            self.stopping = why
            self.tell()

    def remove(self) -> None:
        """Remove its files."""
        for path in (self.source, self.result):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def tell(self) -> None:
        """Wake whoever waits for news."""
        self._news.set()
        self._news = anyio.Event()

    async def news(self) -> None:
        """Wait until something changes."""
        await self._news.wait()

    async def until_over(self) -> None:
        """Wait for the end."""
        while not self.is_over:
            await self.news()

    @property
    def elapsed(self) -> float:
        """Seconds that were worked on it so far."""
        return (self.ended or time.monotonic()) - self.began if self.began else 0.0

    @property
    def progress(self) -> float:
        """How much of the work is done, 0 to 1: tiles counted, the rest guessed by the time."""
        if self.state is not State.RUNNING:
            return float(self.state is State.DONE)
        done, count = self.tiles
        guess = self.elapsed / self.expected if self.expected else 0.0
        return min(_NEARLY, max(done, min(guess * count, done + _NEARLY)) / count)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the work will still take, as far as that can be told."""
        if self.is_over:
            return 0.0
        if self.expected is None:
            return None
        done, count = self.tiles
        if done:
            return self.elapsed / done * (count - done)
        return max(0.0, self.expected - self.elapsed)

    def facts(self) -> dict[str, Any]:
        """Return what a client is told, but for what the queue knows."""
        plan, done = self.plan, self.done
        left = self.seconds_left
        return {
            "id": self.id,
            "state": self.state.value,
            "progress": round(self.progress, 3),
            "seconds_left": None if left is None else round(left, 1),
            "seconds": round(self.elapsed, 3),
            "created": self.created,
            "input": None if plan is None else _area(plan.before),
            "output": None if plan is None else _area(plan.after),
            "model": None if plan is None else plan.model,
            "scale": None if plan is None else plan.scale,
            "format": None if plan is None else plan.format,
            "bytes": None if done is None else done.bytes,
            "notices": [] if done is None else done.notices,
            "problem": None if self.problem is None else self.problem.document(),
        }


def _area(size: tuple[int, int]) -> dict[str, int]:
    return {"width": size[1], "height": size[0]}
