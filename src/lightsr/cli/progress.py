"""Telling a person how far the work is, on standard error: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

from lightsr.cli.reporting import print_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE = 10.0
"""Seconds between lines about one picture, where there is no terminal."""


class Reporter:
    """Is told what happens to a number of pictures, and says nothing of it."""

    def __init__(self, pictures: int) -> None:
        self.pictures = pictures
        self.done = 0

    def note(self, text: str) -> None:
        """Hear a line that is worth to be shown."""

    def begin(self, name: str) -> None:
        """Take up the next picture."""

    def tiles(self, done: int, count: int) -> None:
        """Say that `done` of a picture's tiles are through."""

    def frames(self, done: int, count: int | None, rate: float) -> None:
        """Say that `done` frames of a video are through, at `rate` frames a second."""

    def many(self, done: int, count: int | None, rate: float) -> None:
        """Say that `done` of `count` pictures (None: not known) are through, `rate` a second."""

    def finish(self, text: str | None) -> None:
        """Say that a picture is through, with a line about it unless it failed."""
        self.done += 1
        if text is not None:
            count = f"[{self.done}/{self.pictures}] " if self.pictures > 1 else ""
            self.note(f"{count}{text}")


class Lines(Reporter):
    """Prints a line for each picture, and now and then one about a picture that takes long."""

    _said = 0.0

    def begin(self, name: str) -> None:
        """Take up the next picture."""
        self._name = name
        self._said = monotonic()

    def note(self, text: str) -> None:
        """Print it."""
        print_line(text)

    def tiles(self, done: int, count: int) -> None:
        """Say so when nothing was said for a while."""
        if done < count and monotonic() - self._said > _PATIENCE:
            self._said = monotonic()
            self.note(f"{self._name}: {done} of {count} tiles")

    def frames(self, done: int, count: int | None, rate: float) -> None:
        """Say so, with the time left, when nothing was said for a while."""
        if monotonic() - self._said > _PATIENCE:
            self._said = monotonic()
            self.note(f"{self._name}: {_in_words('frames', done, count, rate, 'fps')}")

    def many(self, done: int, count: int | None, rate: float) -> None:
        """Say so, with the time left, when nothing was said for a while."""
        if monotonic() - self._said > _PATIENCE:
            self._said = monotonic()
            self.note(_in_words("pictures", done, count, rate, "a second"))


class Bars(Reporter):
    """Shows a bar for the pictures and one for the tiles of a picture, with the time left."""

    def __init__(self, pictures: int, bars: Progress, what: str) -> None:
        super().__init__(pictures)
        self._bars = bars
        self._all: TaskID | None = None
        if pictures > 1:
            self._all = bars.add_task(what, total=pictures)
        self._picture: TaskID | None = None

    def note(self, text: str) -> None:
        """Print it above the bars."""
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, name: str) -> None:
        """Put up a bar for the next picture."""
        self._short = _shortened(name)
        self._picture = self._bars.add_task(self._short, total=None)

    def tiles(self, done: int, count: int) -> None:
        """Move the picture's bar."""
        if self._picture is not None:
            self._bars.update(self._picture, completed=done, total=count)

    def frames(self, done: int, count: int | None, rate: float) -> None:
        """Move the video's bar."""
        if self._picture is not None:
            total = None if count is None else max(done, count)
            self._bars.update(
                self._picture,
                completed=done,
                total=total,
                description=f"{self._short} {_rate_in_words(rate)}",
            )

    def many(self, done: int, count: int | None, rate: float) -> None:
        """Move the bar of all pictures."""
        if self._all is None:
            self._all = self._bars.add_task("pictures", total=None)
        total = None if count is None else max(done, count)
        words = f"pictures {_rate_in_words(rate, 'a second')}"
        self._bars.update(self._all, completed=done, total=total, description=words)

    def finish(self, text: str | None) -> None:
        """Take the picture's bar down and move the one of all pictures."""
        if self._picture is not None:
            self._bars.remove_task(self._picture)
            self._picture = None
        if self._all is not None:
            self._bars.advance(self._all)
        super().finish(text)


@contextmanager
def reporter(pictures: int, *, quiet: bool, what: str = "pictures") -> Generator[Reporter]:
    """Give the reporter that fits standard error; what the package logs goes through it.

    `what` says what there is to be done that many of.
    """
    if quiet:
        with _hearing(Reporter(pictures)) as silent:
            yield silent
    elif not sys.stderr.isatty():
        with _hearing(Lines(pictures)) as lines:
            yield lines
    else:
        from rich import progress
        from rich.console import Console

        bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        with bars, _hearing(Bars(pictures, bars, what)) as shown:
            yield shown


def before_the_first(*, quiet: bool) -> AbstractContextManager[Reporter]:
    """Report what the package logs before it is known how many pictures there are."""
    return _hearing(Reporter(0) if quiet else Lines(0))


@contextmanager
def _hearing(to: Reporter) -> Generator[Reporter]:
    """Send the package's log records to a reporter for a while."""
    log = logging.getLogger("lightsr")
    before = log.handlers, log.propagate
    log.handlers, log.propagate = [_Handler(to)], False
    try:
        yield to
    finally:
        log.handlers, log.propagate = before


class _Handler(logging.Handler):
    def __init__(self, to: Reporter) -> None:
        super().__init__(logging.WARNING)
        self._to = to

    def emit(self, record: logging.LogRecord) -> None:
        self._to.note(f"lightsr: {record.getMessage()}")


def _in_words(what: str, done: int, count: int | None, rate: float, unit: str) -> str:
    words = f"{done} {what}" if count is None else f"{done} of {max(done, count)} {what}"
    if not rate:
        return words
    words += f", {_rate_in_words(rate, unit)}"
    if count is None:
        return words
    left = timedelta(seconds=round(max(0, count - done) / rate))
    return f"{words}, {left} left"


def _rate_in_words(rate: float, unit: str = "fps") -> str:
    return f"{rate:.3g} {unit}" if rate else ""


def _shortened(name: str, longest: int = 40) -> str:
    return name if len(name) <= longest else f"…{name[1 - longest :]}"
