"""A run: checks, then passes over the input until every picture is accounted for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

from lightsr.cluster.listing import Listing
from lightsr.cluster.places import STATE, Folder, input_place, output_place, require_apart
from lightsr.cluster.records import Generation, Records
from lightsr.cluster.report import Report
from lightsr.cluster.session import places, rejoin, require_ray, session
from lightsr.cluster.settings import Enlarging, Sharing
from lightsr.cluster.tasks import Outcome
from lightsr.cluster.worker import Order
from lightsr.engine.machine import available_cores, parse_memory
from lightsr.errors import LightsrError, PictureError, UserError

if TYPE_CHECKING:
    from lightsr.cluster.pipeline import Pass

_POLL = 0.25
"""Seconds between looks at what has become of pictures."""
_FLUSH = 5.0
"""Seconds of records that a run may lose when it is killed."""
_REPLACEMENT = 30.0
"""Seconds that a lost machine has to come back, before the others do without it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a run is."""

    done: int = 0
    kept: int = 0
    """Found done by a run before."""
    failed: int = 0
    total: int | None = None
    """Of all pictures; None until they are counted."""
    rate: float = 0.0
    """Pictures a second, lately."""

    @property
    def accounted(self) -> int:
        """Pictures of which it is known what became of them."""
        return self.done + self.kept + self.failed


Tell = Callable[[Counts], None]
Failed = Callable[[str, str], None]
"""Is told the name of a picture and why it failed."""


class _FewerError(Exception):
    """The machines that are left have no room for all workers."""


def upscale(
    source: str,
    output: str,
    enlarging: Enlarging,
    sharing: Sharing,
    tell: Tell = lambda _: None,
    failed: Failed = lambda _name, _reason: None,
) -> Counts:
    """Enlarge what lies in a folder, a pattern or a prefix into another folder or prefix.

    `tell` is called now and then. Pictures that fail are told to `failed` and stand in the
    report; the others are done. What an earlier run with the same options has done is kept where
    its source is unchanged and its result there, by its size.

    Raises `UserError` and its kinds for what cannot be begun, and `LightsrError` where no worker
    can work.
    """
    require_ray()
    enlarging.check()
    return _Run(source, output, enlarging, sharing, tell, failed).run()


class _Run:
    def __init__(
        self,
        source: str,
        output: str,
        enlarging: Enlarging,
        sharing: Sharing,
        tell: Tell,
        failed: Failed,
    ) -> None:
        shard = sharing.shard
        self._part = "all" if shard is None else f"{shard.number}-of-{shard.count}"
        self._source, self._output = input_place(source), output_place(output, self._part)
        self._enlarging, self._sharing = enlarging, sharing
        self._tell, self._failed = tell, failed
        self._records = Records(self._output, self._part, enlarging.fingerprint())
        self._counts = Counts()
        self._total: int | None = None
        self._pace: deque[tuple[float, int]] = deque(maxlen=120)
        self._gpus = 1 if enlarging.device == "cuda" else 0

    def run(self) -> Counts:
        self._check()
        cores = available_cores()
        asked = self._sharing.workers
        local = asked or max(1, cores // self._sharing.threads)
        with session(
            self._sharing.address,
            local * self._sharing.threads,
            local * self._gpus,
            verbose=self._sharing.verbose,
        ):
            if self._sharing.overwrite:
                self._records.clear()
            try:
                self._go_through(asked)
            finally:
                if isinstance(self._output, Folder):
                    self._output.remove(f"{STATE}/{self._output.parts}")
        return self._counts

    def _check(self) -> None:
        """Raise `UserError` for what would come to nothing, before anything is started."""
        require_apart(self._source, self._output)
        first = next(self._listing([], 1).found(), None)
        if first is None:
            of = "" if self._sharing.shard is None else " of this shard"
            raise PictureError(f"{self._source} holds no pictures{of}")
        ours = self._sharing.overwrite or bool(self._output.names(STATE))
        if self._output.holds_anything() and not ours:
            raise PictureError(
                f"{self._output} holds what no run has written; choose an empty place, or add"
                f" --overwrite"
            )
        if isinstance(self._output, Folder):
            self._output.remove(f"{STATE}/{self._output.parts}")

    def _go_through(self, asked: int) -> None:
        Thread(target=self._count, daemon=True).start()
        before = 0
        while True:
            room = places(self._sharing.threads, self._gpus)
            if not room:
                raise LightsrError(
                    f"no machine of the cluster has room for a worker of {self._sharing.threads}"
                    f" threads; give fewer --threads"
                )
            workers = min(asked or sum(room), sum(room))
            try:
                self._pass(workers, min(workers, max(room)))
            except _FewerError:
                before = self._counts.done
                self._counts = replace(self._counts, done=0, kept=0, failed=0)
                rejoin(self._sharing.address or "auto", verbose=self._sharing.verbose)
                continue
            kept = max(0, self._counts.kept - before)
            self._counts = replace(
                self._counts, done=self._counts.done + self._counts.kept - kept, kept=kept
            )
            self._counts = replace(self._counts, total=self._counts.accounted)
            return

    def _pass(self, workers: int, neighbours: int) -> None:
        from lightsr.cluster.pipeline import Pass

        old = self._records.usable()
        new = self._records.begin(old)
        memory = self._sharing.memory
        order = Order(
            self._source,
            self._output,
            self._enlarging,
            self._sharing.threads,
            None if memory is None else parse_memory(memory),
            neighbours,
        )
        with Report(self._output, self._part, self._sharing.report) as report:
            work = Pass(self._listing(old, workers), order, gpus=self._gpus)
            try:
                self._follow(work, new, report, workers)
            finally:
                with suppress(Exception):  # the cluster may be gone
                    self._account(work, new, report)
                new.flush()
        self._records.remove(old)

    def _follow(self, work: Pass, new: Generation, report: Report, workers: int) -> None:
        """Take what becomes of pictures until there are no more."""
        flushed = short = monotonic()
        while not work.is_over:
            work.wait(_POLL)
            self._account(work, new, report)
            self._tell(replace(self._counts, total=self._total))
            now = monotonic()
            if now - flushed > _FLUSH:
                new.flush()
                flushed = now
                if sum(places(self._sharing.threads, self._gpus)) >= workers:
                    short = now
            if now - short > _REPLACEMENT:
                raise _FewerError

    def _account(self, work: Pass, new: Generation, report: Report) -> None:
        for outcome in work.take():
            if outcome.state == "unable":
                raise LightsrError(f"no worker can work: {outcome.reason}")
            new.account(outcome)
            if outcome.state == "failed":
                report.add(outcome.task.name, outcome.reason)
                self._failed(outcome.task.name, outcome.reason)
            self._add(outcome)

    def _add(self, outcome: Outcome) -> None:
        counts = self._counts
        now = monotonic()
        if not self._pace or now - self._pace[-1][0] >= 0.5:
            self._pace.append((now, counts.accounted))
        since, then = self._pace[0]
        rate = (counts.accounted + 1 - then) / (now - since) if now > since else 0.0
        one = {outcome.state: getattr(counts, outcome.state) + 1}
        self._counts = replace(counts, rate=rate, **one)

    def _count(self) -> None:
        """Count the pictures, while the first of them are done, for the time left."""
        total = 0
        with suppress(UserError):  # told where the pass lists them
            for _ in self._listing([], 1).found():
                total += 1
            self._total = total

    def _listing(self, generations: list[str], workers: int) -> Listing:
        return Listing(
            self._source,
            self._output,
            self._enlarging.format,
            self._sharing.shard,
            self._records,
            generations,
            workers,
        )
