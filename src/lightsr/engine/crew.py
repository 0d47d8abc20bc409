"""Doing many jobs: small pictures several at a time, everything else one after the other.

While one small picture is enlarged, others are decoded and encoded, and so no core waits. Each
worker does pictures from beginning to end, equal ones in a row together. What is small is decided
by the memory that all of them together may take.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import ParamSpec, TypeAlias, TypeVar

from lightsr.engine.backends.base import Pixels
from lightsr.engine.fit import Fit
from lightsr.engine.jobs import Job
from lightsr.engine.machine import available_cores, keep_to_one_core
from lightsr.engine.run import Done, WriteSettings, read, write
from lightsr.engine.sizes import Size
from lightsr.errors import LightsrError
from lightsr.images.picture import Picture
from lightsr.images.reading import picture_size

P = ParamSpec("P")
T = TypeVar("T")

_SMALL = 1 << 18
"""LR pixels of a small picture at most, so that Ctrl-C is heard within seconds."""
_TOGETHER = 1 << 18
"""LR pixels of the equal pictures that a GPU does together. On processors nothing is won by it:
four of 128x128 take as long together as one after the other."""
_ENCODER = 55
"""Bytes that an encoder takes for each pixel of a small picture's result; AVIF's does."""

Alone = Callable[[Job], Done]
"""Does one job, while nothing else is being done."""
Outcome: TypeAlias = "Done | Exception"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job: the picture that is there, or why there is none."""

    job: Job
    outcome: Outcome


def run_jobs(
    jobs: Sequence[Job], fit: Fit, settings: WriteSettings, alone: Alone
) -> Iterator[Result]:
    """Do jobs, and say in their order what became of each; none stops the others.

    `alone` does those that are not small pictures, as `run_job` would. Results are those of
    doing one after the other.
    """
    with _Crew(fit, settings, a_core_each=len(jobs) > 1) as crew:
        for jobs_alike, small in crew.grouped(jobs):
            if small:
                crew.begin(jobs_alike)
                yield from crew.finished(leave=crew.workers)
                continue
            yield from crew.finished()
            for job in jobs_alike:
                yield Result(job, _tried(alone, job))
        yield from crew.finished()


class _Crew:
    """Workers for small pictures. A context manager; leaving it early drops what has not begun."""

    def __init__(self, fit: Fit, settings: WriteSettings, *, a_core_each: bool) -> None:
        self._fit, self._settings = fit, settings
        self.workers = max(2, available_cores())
        self._pool = ThreadPoolExecutor(
            self.workers,
            thread_name_prefix="lightsr-picture",
            initializer=keep_to_one_core if a_core_each else None,
        )
        self._begun: deque[tuple[list[Job], Future[list[Outcome]]]] = deque()
        self._stop = threading.Event()
        self._folders: list[Path] = []
        self._budget: int | None = None
        self._on_processor = True

    def __enter__(self) -> _Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        for folder in reversed(self._folders):  # those that nothing was written to
            with contextlib.suppress(OSError):
                folder.rmdir()

    def grouped(self, jobs: Iterable[Job]) -> Iterator[tuple[list[Job], bool]]:
        """Yield runs of jobs in order, and whether they are small pictures of one size."""
        alike: list[Job] = []
        size: Size | None = None
        for job in jobs:
            its = self._small_size(job)
            is_full = its is not None and len(alike) >= self._together(its)
            if alike and (its != size or is_full):
                yield alike, True
                alike = []
            size = its
            if its is None:
                yield [job], False
            else:
                alike.append(job)
        if alike:
            yield alike, True

    def begin(self, jobs: list[Job]) -> None:
        """Have small pictures of one size done as soon as there is a worker."""
        for job in jobs:
            if job.target is not None:
                self._make(job.target.parent)
        self._begun.append((jobs, self._pool.submit(self._do, jobs)))

    def finished(self, leave: int = 0) -> Iterator[Result]:
        """Yield what became of the pictures begun first, until only `leave` groups are begun."""
        while len(self._begun) > leave:
            jobs, future = self._begun.popleft()
            for job, outcome in zip(jobs, future.result(), strict=True):
                yield Result(job, outcome)

    def _do(self, jobs: list[Job]) -> list[Outcome]:
        """Read, enlarge and write pictures of one size; every one may fail by itself."""
        begun = perf_counter()
        pictures = [_tried(read, job, self._fit.memory()) for job in jobs]
        enlarged = iter(self._enlarged([one for one in pictures if isinstance(one, Picture)]))
        outcomes: list[Outcome] = []
        for job, picture in zip(jobs, pictures, strict=True):
            if isinstance(picture, Picture):
                outcomes.append(_tried(self._written, job, picture, next(enlarged)))
            else:
                outcomes.append(picture)
        share = (perf_counter() - begun) / len(jobs)
        return [replace(one, seconds=share) if isinstance(one, Done) else one for one in outcomes]

    def _enlarged(self, pictures: list[Picture]) -> list[Pixels | Exception]:
        """Enlarge pictures together, or one by one where that fails, so that few do."""
        if self._stop.is_set():  # nobody asks for the outcome any more
            return [LightsrError("interrupted")] * len(pictures)
        if len(pictures) > 1:
            together = _tried(self._enlarged_together, pictures)
            if not isinstance(together, Exception):
                return [*together]
        return [_tried(self._enlarged_alone, picture) for picture in pictures]

    def _enlarged_together(self, pictures: list[Picture]) -> list[Pixels]:
        upscaler, size = self._fit.for_picture(pictures[0])
        if size is not None:
            return [self._enlarged_alone(picture) for picture in pictures]
        return upscaler.enlarge_all(pictures)

    def _enlarged_alone(self, picture: Picture) -> Pixels:
        upscaler, size = self._fit.for_picture(picture)
        return upscaler.enlarge(picture, size)

    def _written(self, job: Job, picture: Picture, enlarged: Pixels | Exception) -> Done:
        if isinstance(enlarged, Exception):
            raise enlarged
        after = (enlarged.shape[0], enlarged.shape[1])
        write(job, [enlarged], after, picture, self._settings, self._fit.memory())
        return Done((picture.height, picture.width), after, 0.0)

    def _small_size(self, job: Job) -> Size | None:
        """Return a picture's size if it is small; None for large ones, videos, and what fails."""
        if job.is_video or job.source is None or job.target is None:
            return None
        try:
            size = picture_size(job.source)
            upscaler, wanted = self._fit.for_size(size, job.name)
        except LightsrError:
            return None
        if self._budget is None:
            self._budget = upscaler.free_memory()
        self._on_processor = upscaler.backend.device == "cpu"
        count = self._together(size)
        after = wanted or (size[0] * upscaler.scale, size[1] * upscaler.scale)
        needed = upscaler.peak_memory(size, count) + count * _pixels(after) * _ENCODER
        fits = needed * self.workers <= self._budget
        return size if fits and _pixels(size) <= _SMALL else None

    def _together(self, size: Size) -> int:
        return 1 if self._on_processor else max(1, _TOGETHER // _pixels(size))

    def _make(self, folder: Path) -> None:
        """Make a folder before two workers do, one of which might take it away again."""
        missing: list[Path] = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            with contextlib.suppress(OSError):  # it is told when the picture is written
                path.mkdir()
                self._folders.append(path)


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _tried(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | Exception:
    """Return what `work` returns, or what it raises."""
    try:
        return work(*arguments, **named)
    except Exception as error:
        return error
