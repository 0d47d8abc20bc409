"""What a terminal shows while a network trains."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lightsr.cli.reporting import print_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from lightsr.training.progress import Progress, Status


@contextmanager
def training_progress() -> Generator[Progress]:
    """Give what fits standard error: a bar with the rows above it, or the rows alone.

    What the package logs goes there too; of several processes, the first one's, and the others'
    warnings.
    """
    from lightsr.training.progress import LoggedProgress

    first = os.environ.get("RANK", "0") == "0"
    if not (first and sys.stderr.isatty()):
        with _logging_to(print_line, logging.INFO if first else logging.WARNING):
            yield LoggedProgress()
        return
    from rich import progress
    from rich.console import Console

    bars = progress.Progress(
        progress.BarColumn(bar_width=24),
        progress.TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )

    def above(text: str) -> None:
        bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    with bars, _logging_to(above, logging.INFO):
        yield _Bar(bars)


class _Bar:
    """A bar of the iterations, and lines above it."""

    def __init__(self, bars: Bars) -> None:
        from lightsr.training.progress import LoggedProgress

        self._bars, self._rows = bars, LoggedProgress()
        self._task = bars.add_task("starting", total=None)

    def step(self, status: Status) -> None:
        """Move the bar."""
        self._bars.update(
            self._task,
            total=status.iterations,
            completed=status.iteration,
            description=status.line(),
        )

    def row(self, status: Status) -> None:
        """Print a line above it."""
        self._rows.row(status)


class _Handler(logging.Handler):
    def __init__(self, show: object) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        if callable(self._show):
            self._show(self.format(record))


@contextmanager
def _logging_to(show: object, level: int) -> Generator[None]:
    logger = logging.getLogger("lightsr")
    handler = _Handler(show)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[0], before[2]
        logger.setLevel(before[1])
